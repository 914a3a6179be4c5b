"""How many examples the property tests try: few by default, `PROPERTY_EXAMPLES` of each when run by hand."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "30"))

# No database: two runs at once must not share one. No deadline: a busy machine is no failure.
examples = settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

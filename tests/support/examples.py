"""How many examples the property tests try: few by default, `PROPERTY_EXAMPLES` of each when run by hand."""

import os

from hypothesis import HealthCheck, settings


def _trying(few: int) -> settings:
    # No database: two runs at once must not share one. No deadline: a busy machine is no failure.
    return settings(
        max_examples=int(os.environ.get("PROPERTY_EXAMPLES", few)),
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


examples = _trying(30)
examples_of_each_vendor = _trying(4)
"""For a property that is tried at every vendor, which makes some 150 examples of it."""

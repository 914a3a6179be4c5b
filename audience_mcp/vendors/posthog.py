"""PostHog: the cohorts of one project.

Facts from the MIT-licensed part of PostHog's source (the cohort API, its limits and its errors) and from its
pages. Not documented: whether PostHog Cloud cuts `limit`, and what a count is while it is recalculated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Fields,
    Listing,
    Offset,
    One,
    Rate,
    Row,
    Setting,
    Vendor,
    Wait,
    Words,
    api_key,
    as_count,
)

CAPTURE = re.compile(r"^((?:https://)?(?:us|eu))\.i\.posthog\.com", re.ASCII)
"""The address that takes events, which people know from sending them, and which is not the API's."""
IN_SECONDS = re.compile(r"in ([0-9]{1,6}) seconds", re.ASCII)
"""The wait ends a sentence: `available in 17 seconds.`."""
LIST = "api/projects/{project}/cohorts/"
"""Without the slash at its end there is no such route."""
TYPES = {True: "static", False: "dynamic", None: "dynamic"}


class PostHog(Vendor):
    """`GET /api/projects/{project}/cohorts/`; its links may name another host, and are not followed."""

    name = "posthog"
    title = "PostHog"
    kind = "cohort"
    settings = (
        api_key("POSTHOG_PERSONAL_API_KEY", description="Personal API key, phx_…"),
        Setting(
            "project",
            ("POSTHOG_PROJECT_ID",),
            "Project",
            required=True,
            identifies=True,
            pattern=re.compile(r"[0-9]{1,10}", re.ASCII),
            example="12345",
        ),
        Setting(
            "base_url",
            ("POSTHOG_BASE_URL", "POSTHOG_HOST"),
            "Address of the region or the server",
            default="https://us.posthog.com",
            normalize=lambda text: CAPTURE.sub(r"\1.posthog.com", text),
        ),
    )
    size_unknown = "never calculated"
    listings = (
        Listing(
            LIST,
            counts="persons in the cohort when it was last calculated",
            ids="[0-9]{1,10}",
            rows="results",
            total="count",
            paging=Offset(link="next"),
            params={"limit": "200", "basic": "true"},
            page_size="limit",
            fields=Fields(
                "count",
                Words("is_static", TYPES),
                "unknown",
                description="description",
                created="created_at",
                details=("last_calculation", "cohort_type"),
            ),
            one=One(f"{LIST}{{id}}/"),
            deleted_at="deleted",  # one cohort may be answered after it was deleted
        ),
    )
    waits = (Wait("detail", pattern=IN_SECONDS),)
    # Of 480 a minute and 4,800 an hour, which all programs with this key share.
    limits = {"": [Rate(400, 60), Rate(4000, 3600)]}
    error_hints = {
        "unauthorized": "{api_key} must be a personal API key (phx_…; a project's phc_… is none), made in "
        "the region that {base_url} names.",
        "forbidden": "The key in {api_key} needs the scope cohort:read, and access to the project that "
        "{project} names.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A calculation that is under way or failed leaves the last count as it was."""
        if row.size == 0 and raw.get("last_calculation") is None:
            row.size = None  # a static cohort whose import has not ended, say
        known, failures = row.size is not None, as_count(raw.get("errors_calculating")) or 0
        row.status = "ready" if known else "unknown"
        if failures and raw.get("last_error_message") is not None:
            row.add_detail("last_error_message", raw["last_error_message"])
        if raw.get("is_calculating") is True:
            row.status = "processing"
            row.size_note = "being recalculated" if known else None
        elif failures:
            times = "calculation" if failures == 1 else f"{failures} calculations"
            row.status = "ready" if known else "failed"
            row.size_note = f"the last {times} failed"
            if known:
                row.size_note += "; the size is from an earlier one"

"""PostHog: the cohorts of one project.

Facts from the MIT-licensed part of PostHog's source (the cohort API, its limits and its errors) and from its
pages. Not documented: whether PostHog Cloud cuts `limit`, and what a count is while it is calculated anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Kind, Listing, Offset, Rate, Request, Response, Row, Setting, Vendor,
    as_count, is_object, pick, text_at, value_at,
)  # fmt: skip

CAPTURE = re.compile(r"^((?:https://)?(?:us|eu))\.i\.posthog\.com", re.ASCII)
IN_SECONDS = re.compile(r"in ([0-9]{1,6}) seconds", re.ASCII)
LIST = "api/projects/{project}/cohorts/"  # without the slash at its end there is no such route


class PostHog(Vendor):
    """`GET /api/projects/{project}/cohorts/`; its links may name another host, and are not followed."""

    name = "posthog"
    title = "PostHog"
    kind = "cohort"
    settings = (
        Setting("api_key", ("POSTHOG_PERSONAL_API_KEY",), "Personal API key, phx_…",
                required=True, secret=True),
        Setting("project", ("POSTHOG_PROJECT_ID",), "Project", required=True, identifies=True,
                pattern=re.compile(r"[0-9]{1,10}", re.ASCII), example="12345"),
        # Those who send events know the address that takes them, which is not the API's.
        Setting("base_url", ("POSTHOG_BASE_URL", "POSTHOG_HOST"), "Address of the region or the server",
                default="https://us.posthog.com",
                normalize=lambda text: CAPTURE.sub(r"\1.posthog.com", text)),
    )  # fmt: skip
    size_counts = "persons in the cohort when it was last calculated"
    size_unknown = "never calculated"
    id_shape = re.compile(r"[0-9]{1,10}", re.ASCII)
    listings = (
        Listing(LIST, "results", Offset(link="next"), {"limit": "200", "basic": "true"}, total="count",
                one=Request(f"{LIST}{{id}}/")),
    )  # fmt: skip
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"": [Rate(400, 60), Rate(4000, 3600)]}
    """Of 480 a minute and 4,800 an hour, which all programs with this key share."""
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "{api_key} must be a personal API key (phx_…; a project's phc_… is none), made in "
        "the region that {base_url} names.",
        "forbidden": "The key in {api_key} needs the scope cohort:read, and access to the project that "
        "{project} names.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """A calculation that is under way or failed leaves the last count as it was."""
        size, failures = as_count(raw.get("count")), as_count(raw.get("errors_calculating")) or 0
        row = Row(
            id,
            text_at(raw, "name") or id,
            size,
            "static" if raw.get("is_static") is True else "dynamic",
            "unknown" if size is None else "ready",
            description=text_at(raw, "description"),
            created=raw.get("created_at"),
            details=pick(
                raw, "last_calculation", "cohort_type", *(("last_error_message",) if failures else ())
            ),
        )
        if raw.get("is_calculating") is True:
            row.status = "processing"
            row.size_note = "being recalculated" if size is not None else None
        elif failures:
            row.status = "failed" if size is None else "ready"
            times = "calculation" if failures == 1 else f"{failures} calculations"
            row.size_note = f"the last {times} failed" + (
                "; the size is from an earlier one" if size is not None else ""
            )
        return row

    def retry_after(self, body: object) -> object:
        """A sentence that ends `available in 17 seconds.`."""
        found = IN_SECONDS.search(text_at(body, "detail") or "") if is_object(body) else None
        return found[1] if found else None

    def status_of(self, response: Response) -> int:
        """One cohort may be answered after it was deleted."""
        return 404 if value_at(response.body, "deleted") is True else response.status

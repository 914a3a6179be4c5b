"""Batch (Customer Engagement Platform): audiences known by their names, and segments by their codes.

Facts from Batch's "List" and "View" pages of audiences and its "List" page of segments (API 2.11). One
request a second per project is what integrators observe; Batch's own overview page could not be read in full.
Not documented: what a segment's code looks like, and what a version without segments answers (404 is taken
for it). That they stand under `segments`, as audiences under `audiences`, is inferred.
"""

from __future__ import annotations

from audience_mcp.vendors import (
    Cursor,
    Fields,
    Listing,
    One,
    Rate,
    Response,
    Setting,
    Vendor,
    Words,
    api_key,
    base_url,
    value_at,
)

STATES = {"APPLIED": "ready", "REPLACED": "ready", "IN_PROGRESS": "processing"}
"""`REPLACED` means that newer content took the place of an older update's: nothing failed."""


PAGES = Cursor("next_from", "from", more="has_more")
SEGMENTS = Listing(
    "segments/list",
    kind="segment",
    counts="not counted",
    size_note="Batch gives no count of a segment",
    ids=".{1,255}",
    rows="segments",
    total="count",
    paging=PAGES,
    params={"limit": "100"},
    page_size="limit",
    fields=Fields(type="dynamic", id="code", name="display_name", created="created_at", updated="updated_at"),
    absent_on=(404,),
)
"""There is no request for one segment."""


class Batch(Vendor):
    """`GET /audiences/list` and `GET /segments/list`; `GET /audiences/view?name=` gives one audience."""

    name = "batch"
    title = "Batch"
    settings = (
        api_key("BATCH_REST_API_KEY", description="REST API key of the company"),
        Setting(
            "project",
            ("BATCH_PROJECT_KEY",),
            "Key of the project, project_…",
            required=True,
            secret=True,
            identifies=True,
        ),
        base_url("BATCH_BASE_URL", "https://api.batch.com/2.11", "Base URL with the API version"),
        Setting("max_rps", ("BATCH_MAX_RPS",), "Requests a second to a project", default="1"),
    )
    headers = {"X-Batch-Project": "{project}"}
    ids_are = "chosen"  # an audience has no id: the name, in its exact case, is the key
    at_once = 1
    limits = {"": [Rate(setting="max_rps")]}
    listings = (
        Listing(
            "audiences/list",
            kind="audience",
            bare_beside=(SEGMENTS,),
            counts="custom user ids",
            ids="[A-Za-z0-9_-]{1,255}",
            rows="audiences",
            total="count",
            paging=PAGES,
            params={"limit": "100"},
            page_size="limit",
            fields=Fields(
                "nb_ids",
                status=Words("indexing_state", STATES),
                id="name",
                name="display_name",
                created="created",
                updated="updated",
                details=("indexing_state", "type"),
            ),
            one=One("audiences/view", {"name": "{id}"}),
        ),
        SEGMENTS,
    )
    error_hints = {
        "unauthorized": "Check {api_key}, and that {project} is a project that this key may read: "
        "Batch answers the same to both.",
    }

    def status(self, response: Response) -> int:
        """An error under 200 is documented nowhere, and is an error all the same."""
        error = value_at(response.body, "error_code") if response.status == 200 else None
        return response.status if not error else 401 if str(error).startswith("AUTHENTICATION") else 500

"""Whop: a Relay connection; one audience is the list filtered by its id.

Facts from Whop's "List Audiences" page, its merged OpenAPI document and its Python SDK (2.6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Cursor,
    Fields,
    Listing,
    One,
    Response,
    Row,
    Setting,
    Vendor,
    Wait,
    Words,
    api_key,
    base_url,
    is_object,
    members_of,
    value_at,
)

STATUSES = {
    "ready": "ready",
    "partial": "partial",
    "failed": "failed",
    "pending": "processing",
    "processing": "processing",
    "syncing": "processing",
}
COUNTS = ("matched_rows", "processed_rows", "progress_percent")
FURTHER = (
    "error_message",
    "platform_audience_ids",
    "audience_type",
    "source_type",
    "auto_refresh",
    "last_refreshed_at",
    "source_audience_id",
    "lookalike_ratio",
    "lookalike_starting_ratio",
    "match_rates",
)
LOWER = "lower_bound"
TRY_AGAIN = re.compile(r"\bin (\d{1,9}) seconds?\b", re.ASCII)
"""The wait stands in the message: "Try again in 12 seconds."."""


class Whop(Vendor):
    """`GET /audiences?account_id=` pages with `first`/`after` and `page_info`; `audience_id=` filters.

    No `Api-Version-Date` is sent (a date that Whop does not know breaks every request), and a key may
    pin one by itself, so dates are read as Unix seconds and as ISO text alike.
    """

    name = "whop"
    title = "Whop"
    settings = (
        api_key("WHOP_API_KEY", description="API key, scope audience:basic:read"),
        Setting(
            "account_id",
            ("WHOP_ACCOUNT_ID",),
            "Account that owns the audiences, biz_…",
            required=True,
            identifies=True,
        ),
        base_url("WHOP_BASE_URL", "https://api.whop.com/api/v1"),
    )
    ids_are = "unmistakable"
    listings = (
        Listing(
            "audiences",
            counts="rows uploaded, or people matching",
            ids="adaud_[A-Za-z0-9_]{1,200}",
            rows="data",
            paging=Cursor("page_info.end_cursor", "after", more="page_info.has_next_page"),
            params={"account_id": "{account_id}", "first": "100"},
            page_size="first",
            fields=Fields(
                "total_rows",
                status=Words("status", STATUSES),
                created="created_at",
                updated="updated_at",
                match_rate="match_rate",
                details=(*COUNTS, *FURTHER),
            ),
            # An unknown id gives an empty list.
            one=One("audiences", {"account_id": "{account_id}", "audience_id": "{id}"}, listed=True),
        ),
    )
    waits = (Wait("error.message", pattern=TRY_AGAIN), Wait("error", pattern=TRY_AGAIN))
    error_hints = {
        "unauthorized": "Check {api_key}: it may have expired, be bound to other IP addresses, or belong to "
        "Whop's sandbox while {base_url} names production (or the other way round).",
        "forbidden": "The key in {api_key} needs the scope audience:basic:read for {account_id}.",
        "invalid_request": "Check {account_id} (it looks like biz_…) and the API version that the key in "
        "{api_key} may pin.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """`total_rows` is the size, save where its zero means "not applicable" or "not yet"."""
        kind, source = raw.get("audience_type") or "custom", raw.get("source_type") or "csv_upload"
        if kind == "lookalike" or source == "engagement" or raw.get("engagement"):
            row.type, what = ("lookalike", kind) if kind == "lookalike" else ("dynamic", "engagement")
            row.size, row.size_note = None, f"{what}: not counted by Whop"
            # The other counts are zeros that mean nothing here.
            row.drop_details(COUNTS)
        elif source == "people_filter" or raw.get("auto_refresh") is True:
            row.type = "dynamic"
        elif kind != "custom" or source != "csv_upload":
            row.type = "unknown"
        rates = members_of(raw.get("match_rates"))
        ranges = [each for each in rates if is_object(each) and each.get(LOWER) is not None]
        if len(ranges) == 1:  # of several platforms there is no one rate
            (of_one,) = ranges
            row.add_detail("match_rate", of_one[LOWER])
            rest = {name: value for name, value in of_one.items() if name not in (LOWER, "status")}
            row.add_detail("match_rates", [rest])
        if row.size == 0 and row.status == "processing":
            row.size, row.size_note = None, "not counted yet: still processing"
        elif row.size == 0 and "unknown" in (row.status, row.type):
            row.size, row.size_note = None, "Whop gives 0, which may mean: not counted"

    def status(self, response: Response) -> int:
        """A 400 about `audience_id` is an unknown audience; an error under 200 is an error all the same."""
        status, error = response.status, value_at(response.body, "error")
        if status == 200 and error:
            return 401 if is_object(error) and error.get("type") == "unauthorized" else 500
        return 404 if status == 400 and is_object(error) and error.get("param") == "audience_id" else status

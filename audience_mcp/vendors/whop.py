"""Whop: a Relay connection; one audience is the list filtered by its id.

Facts from Whop's "List Audiences" page, its merged OpenAPI document and its Python SDK (2.6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Cursor, Kind, Listing, Request, Row, Setting, Status, Vendor,
    as_count, is_object, pick, text_at, value_at,
)  # fmt: skip

STATUSES: Mapping[object, Status] = {
    "ready": "ready", "partial": "partial", "failed": "failed",
    "pending": "processing", "processing": "processing", "syncing": "processing"}  # fmt: skip
COUNTS = ("matched_rows", "processed_rows", "progress_percent")
FURTHER = (
    "error_message", "platform_audience_ids", "audience_type", "source_type", "auto_refresh",
    "last_refreshed_at", "source_audience_id", "lookalike_ratio", "lookalike_starting_ratio", "match_rates",
)  # fmt: skip
_TRY_AGAIN = re.compile(r"\bin (\d{1,9}) seconds?\b", re.ASCII)


class Whop(Vendor):
    """`GET /audiences?account_id=` pages with `first`/`after` and `page_info`; `audience_id=` filters.

    No `Api-Version-Date` is sent (a date that Whop does not know breaks every request), and a key may
    pin one by itself, so dates are read as Unix seconds and as ISO text alike.
    """

    name, title = "whop", "Whop"
    settings = (
        Setting("api_key", ("WHOP_API_KEY",), "API key, scope audience:basic:read", required=True,
                secret=True),
        Setting("account_id", ("WHOP_ACCOUNT_ID",), "Account that owns the audiences, biz_…", required=True,
                identifies=True),
        Setting("base_url", ("WHOP_BASE_URL",), "Base URL", default="https://api.whop.com/api/v1"),
    )  # fmt: skip
    size_counts = "rows uploaded, or people matching"
    listings = (
        Listing("audiences", "data", Cursor("page_info.end_cursor", "after", more="page_info.has_next_page"),
                {"account_id": "{account_id}", "first": "100"},
                one=Request("audiences", {"account_id": "{account_id}", "audience_id": "{id}"})),
    )  # fmt: skip
    one_in_list = True
    """An unknown id gives an empty list; the id that comes is checked, in case the filter is ignored."""
    id_shape = re.compile(r"adaud_[A-Za-z0-9_]{1,200}", re.ASCII)
    id_is_generated = True
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it may have expired, be bound to other IP addresses, or belong to "
        "Whop's sandbox while {base_url} names production (or the other way round).",
        "forbidden": "The key in {api_key} needs the scope audience:basic:read for {account_id}.",
        "invalid_request": "Check {account_id} (it looks like biz_…) and the API version that the key in "
        "{api_key} may pin.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """`total_rows` is the size, save where its zero means "not applicable" or "not yet"."""
        word = text_at(raw, "status")
        unknown_word = () if word in STATUSES else ("status",)
        row = Row(
            id,
            text_at(raw, "name") or id,
            as_count(raw.get("total_rows")),
            status=STATUSES.get(word, "unknown"),
            created=raw.get("created_at"),
            updated=raw.get("updated_at"),
            details=pick(raw, *unknown_word, *COUNTS, *FURTHER),
        )
        kind, source = raw.get("audience_type") or "custom", raw.get("source_type") or "csv_upload"
        if kind == "lookalike" or source == "engagement" or raw.get("engagement"):
            row.type, what = ("lookalike", kind) if kind == "lookalike" else ("dynamic", "engagement")
            row.size, row.size_note = None, f"{what}: not counted by Whop"
            row.details = pick(raw, *unknown_word, *FURTHER)  # the counts are zeros that mean nothing here
        elif source == "people_filter" or raw.get("auto_refresh") is True:
            row.type = "dynamic"
        elif kind != "custom" or source != "csv_upload":
            row.type = "unknown"
        if row.size == 0 and row.status == "processing":
            row.size, row.size_note = None, "not counted yet: still processing"
        elif row.size == 0 and "unknown" in (row.status, row.type):
            row.size, row.size_note = None, "Whop gives 0, which may mean: not counted"
        return row

    def effective_status(self, status: int, body: object) -> int:
        """A 400 about `audience_id` is an unknown audience; an error under 200 is an error all the same."""
        error = value_at(body, "error")
        if status == 200 and error:
            return 401 if is_object(error) and error.get("type") == "unauthorized" else 500
        return 404 if status == 400 and is_object(error) and error.get("param") == "audience_id" else status

    def retry_after(self, body: object) -> object:
        """Whop writes the wait into the message: "Try again in 12 seconds."."""
        message = value_at(body, "error.message") or value_at(body, "error")
        found = _TRY_AGAIN.search(message) if isinstance(message, str) else None
        return found[1] if found else None

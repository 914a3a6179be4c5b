"""CommBox: one list without pages, and no way to ask for one audience.

Facts from CommBox's "Get Audiences" page and its OpenAPI document (2.07).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from audience_mcp.vendors import (
    Kind,
    Listing,
    Page,
    Request,
    Row,
    Setting,
    Vendor,
    as_count,
    is_object,
    pick,
    signals_failure,
    text_at,
)

PAGE_OF_OTHER_LISTS = 100
"""CommBox's other lists stop at 100 objects; whether this one does is written nowhere."""


class CommBox(Vendor):
    """`GET /audiences` answers all audiences at once: `{status, description, response_time, data}`."""

    name = "commbox"
    title = "CommBox"
    settings = (
        Setting(
            "api_key",
            ("COMMBOX_API_KEY",),
            "API key, from Settings > API (needs an admin)",
            required=True,
            secret=True,
        ),
        Setting("base_url", ("COMMBOX_BASE_URL",), "Base URL", default="https://api.commbox.io"),
    )
    size_counts = "users"
    listings = (Listing("audiences", "data"),)
    id_shape = re.compile(r"[0-9]{1,20}", re.ASCII)
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}; CommBox replaces keys on a schedule, so it may have been rotated.",
        "forbidden": "The key in {api_key} may not read audiences: an admin can give one that may.",
    }

    def page(self, body: object, request: Request) -> Page:
        """`data` is everything; a length of exactly 100 is told, since it looks like a page."""
        page = super().page(body, request)
        if len(page.rows) != PAGE_OF_OTHER_LISTS:
            return page
        return replace(
            page, note="sent exactly 100 audiences and documents no further pages: there may be more"
        )

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Dynamic audiences are counted when a campaign starts, so they have no size."""
        row = Row(
            id, text_at(raw, "name") or id, as_count(raw.get("user_count")), created=raw.get("created_time")
        )
        kind = str(raw.get("type")).lower()
        if kind == "dynamic":
            row.type, row.size = "dynamic", None
            row.size_note = "dynamic: counted when a campaign is launched"
        elif kind != "static":
            row.type, row.details = "unknown", pick(raw, "type")
        return row

    def effective_status(self, status: int, body: object) -> int:
        """The body repeats the status, as a number or as text; a failure there counts, whatever HTTP says."""
        said = body.get("status") if is_object(body) and status == 200 else None
        inner = as_count(said)
        if inner is None:
            return 500 if isinstance(said, str) and signals_failure(said) else status
        return status if inner < 400 else inner if inner < 600 else 500

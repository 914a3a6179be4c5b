"""CommBox: one list without pages, and no way to request one audience.

Facts from CommBox's "Get Audiences" page and its OpenAPI document (2.07). Not documented: whether this list
stops at 100 objects, as CommBox's other lists do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from audience_mcp.vendors import (
    Fields,
    Listing,
    Page,
    Response,
    Row,
    Vendor,
    api_key,
    as_count,
    base_url,
    is_object,
    signals_failure,
)

PAGE_OF_OTHER_LISTS = 100


class CommBox(Vendor):
    """`GET /audiences` answers all audiences at once: `{status, description, response_time, data}`."""

    name = "commbox"
    title = "CommBox"
    settings = (
        api_key("COMMBOX_API_KEY", description="API key, from Settings > API Key (needs an admin)"),
        base_url("COMMBOX_BASE_URL", "https://api.commbox.io"),
    )
    listings = (
        Listing(
            "audiences",
            counts="users",
            ids="[0-9]{1,20}",
            rows="data",
            fields=Fields("user_count", created="created_time"),
        ),
    )
    error_hints = {
        "unauthorized": "Check {api_key}; CommBox replaces keys on a schedule, so it may have been rotated.",
        "forbidden": "The key in {api_key} may not read audiences: an admin can give one that may.",
    }

    def page(self, page: Page, body: object) -> Page:
        """A length of exactly 100 is reported, since it looks like a page."""
        if len(page.rows) != PAGE_OF_OTHER_LISTS:
            return page
        return replace(
            page, note="sent exactly 100 audiences and documents no further pages: there may be more"
        )

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """Types come in any case. Dynamic audiences are counted when a campaign starts: they have no size."""
        said = raw.get("type")
        word = str(said).lower()
        if word == "dynamic":
            row.type, row.size = "dynamic", None
            row.size_note = "dynamic: counted when a campaign is launched"
        elif word != "static":
            row.type = "unknown"
            row.details = None if said is None else {"type": said}

    def status(self, response: Response) -> int:
        """The body repeats the status, as a number or as text; a failure there counts, whatever HTTP says."""
        status, body = response.status, response.body
        said = body.get("status") if is_object(body) and status == 200 else None
        inner = as_count(said)
        if inner is None:
            return 500 if isinstance(said, str) and signals_failure(said) else status
        return status if inner < 400 else inner if inner < 600 else 500

"""OpenAI Ads: the custom audiences of one ad account, each with a range of matched users for a size.

Facts from developers.openai.com/ads ("Custom audiences", "API overview", the list envelope of "Ads"), and
from public clients that were used with live accounts. Not documented: the words of finer ranges, whether the
upper ends belong to a range (taken as exclusive), and the codes of errors.
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
    Vendor,
    Words,
    api_key,
    base_url,
    text_at,
)

RANGE = "matched_user_count_range"
STATUSES = {
    "ready": "ready",
    "too_small": "ready",
    "upload_pending": "processing",
    "processing": "processing",
    "rockset_ingest_pending": "processing",
    "publishing": "processing",
    "failed": "failed",
    "archived": "unknown",
}
NOTES = {
    "too_small": "too small to be used",
    "archived": "archived: it can no longer be used",
}
NOT_AVAILABLE = "none"
"""The word for a count that is not available, "not that it is zero"."""
UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
NUMBER = r"([0-9]{1,16})([km]?)"
UNDER = re.compile(f"under_{NUMBER}", re.ASCII)
BETWEEN = re.compile(f"{NUMBER}_{NUMBER}", re.ASCII)
FROM = re.compile(f"{NUMBER}_plus", re.ASCII)


def range_of(word: str) -> tuple[int, int | None] | None:
    """Both ends of a range by its word, both inclusive; without an upper one if there is none, None if it
    is no range."""
    if found := UNDER.fullmatch(word):
        low, above = 0, int(found[1]) * UNITS[found[2]]
    elif found := BETWEEN.fullmatch(word):
        low, above = int(found[1]) * UNITS[found[2]], int(found[3]) * UNITS[found[4]]
    elif found := FROM.fullmatch(word):
        return int(found[1]) * UNITS[found[2]], None
    else:
        return None
    return (low, above - 1) if low < above else None


class OpenAiAds(Vendor):
    """`GET /custom_audiences` answers `{data, last_id, has_more}`; with `/{id}` it answers one audience."""

    name = "openaiads"
    title = "OpenAI Ads"
    kind = "custom audience"
    settings = (
        api_key("OPENAI_ADS_API_KEY", description="API key of the ad account, made in Ads Manager"),
        base_url("OPENAI_ADS_BASE_URL", "https://api.ads.openai.com/v1"),
    )
    ids_are = "unmistakable"
    size_unknown = "OpenAI gives no range yet"
    listings = (
        Listing(
            "custom_audiences",
            counts="matched ChatGPT users (a range)",
            ids="caud_[A-Za-z0-9_-]{1,64}",
            rows="data",
            paging=Cursor("last_id", "after", more="has_more"),
            # In this order, audiences that are made meanwhile come last.
            params={"limit": "500", "order": "asc"},
            page_size="limit",
            fields=Fields(
                RANGE,
                "static",
                Words("status", STATUSES),
                description="description",
                created="created_at",
                updated="updated_at",
                details=(RANGE, "uploaded_identifier_count_range", "membership_revision"),
            ),
            one=One("custom_audiences/{id}"),
        ),
    )
    error_hints = {
        "unauthorized": "Check {api_key}: a key of another OpenAI product does not do.",
        "forbidden": "Custom audiences may not be switched on for the ad account of {api_key}: ask its "
        "representative at OpenAI.",
        "not_found": "Custom audiences may not be switched on for the ad account of {api_key}.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A word for a range, read by its form; exact counts are never given."""
        row.size = None
        word, status = text_at(raw, RANGE), str(raw.get("status"))
        if status in NOTES:
            row.add_detail("status", status)
            row.size_note = NOTES[status]
        if word in (None, NOT_AVAILABLE):
            return
        known = range_of(word)
        if known is None:
            row.size_note = "its range is a word that is not known: see details"
        elif known[0] or row.status != "processing":  # until it is matched, "under" says nothing
            row.size, row.size_max = known
        if row.size is not None and row.size_max is None:
            row.open_ended = True
            row.size_note = f"{row.size:,} or more: no upper end is given"

    def status(self, response: Response) -> int:
        """A read cannot conflict: this API says so at random, and answers when asked again."""
        return 503 if response.status == 409 else response.status

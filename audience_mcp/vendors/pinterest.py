"""Pinterest: the audiences of one ad account, its own and those shared with it.

Facts from Pinterest's OpenAPI document of API v5 (5.23) and its developer pages. Not documented: what exactly
a size counts, how fresh it is, and the codes of most errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Bearer,
    Cursor,
    Fields,
    Listing,
    One,
    Row,
    Setting,
    Vendor,
    Words,
    api_key,
    base_url,
)

AUDIENCES = "ad_accounts/{account}/audiences"
TYPES = {"CUSTOMER_LIST": "static", "VISITOR": "dynamic", "ENGAGEMENT": "dynamic", "ACTALIKE": "lookalike"}
STATUSES = {"READY": "ready", "TOO_SMALL": "ready", "INITIALIZING": "processing"}


def owned_or_received(ownership: str) -> Listing:
    """The audiences that an account owns, or those that others share with it."""
    return Listing(
        AUDIENCES,
        counts="Pinterest users",
        ids="[0-9]{1,18}",
        rows="items",
        paging=Cursor("bookmark", "bookmark", absent_is_end=True),
        params={"page_size": "250", "order": "ASCENDING", "ownership_type": ownership},
        page_size="page_size",
        fields=Fields(
            "size",
            Words("audience_type", TYPES),
            Words("status", STATUSES),
            description="description",
            created="created_timestamp",
            updated="updated_timestamp",
            details=("audience_type", "created_by_company_name"),
        ),
        one=One(f"{AUDIENCES}/{{id}}"),
    )


class Pinterest(Vendor):
    """`GET /ad_accounts/{account}/audiences`, once for each kind of ownership."""

    name = "pinterest"
    title = "Pinterest"
    settings = (
        api_key("PINTEREST_ACCESS_TOKEN", description="Access token", role="access_token"),
        Setting(
            "account",
            ("PINTEREST_AD_ACCOUNT_ID",),
            "Ad account",
            required=True,
            identifies=True,
            pattern=re.compile(r"[0-9]{1,18}", re.ASCII),
            example="549755885175",
        ),
        base_url("PINTEREST_BASE_URL", "https://api.pinterest.com/v5"),
    )
    size_unknown = "Pinterest gives no size for it"
    auth = Bearer("access_token")
    listings = (owned_or_received("OWNED"), owned_or_received("RECEIVED"))
    error_hints = {
        "unauthorized": "The token in {access_token} may have expired: Pinterest's live for about 30 days.",
        "forbidden": "The token in {access_token} needs the scope ads:read, and its user a role in the ad "
        "account that {account} names.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """What is being filled or too small says so."""
        if row.status == "processing":
            row.size_note = "still being filled"
        if raw.get("status") in ("TOO_SMALL", "INITIALIZING"):
            row.add_detail("status", raw["status"])
        if raw.get("status") == "TOO_SMALL":
            row.size_note = "too small to be targeted (under 100)"

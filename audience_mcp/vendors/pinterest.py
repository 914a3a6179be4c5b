"""Pinterest: the audiences of one ad account, its own and those shared with it.

Facts from Pinterest's OpenAPI document of API v5 (5.23) and its developer pages. Not documented: what exactly
a size counts, how fresh it is, and the codes of most errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    AudienceType, Cursor, Kind, Listing, Request, Row, Setting, Status, Vendor,
    as_count, pick, text_at,
)  # fmt: skip

TYPES: Mapping[object, AudienceType] = {
    "CUSTOMER_LIST": "static", "VISITOR": "dynamic", "ENGAGEMENT": "dynamic",
    "ACTALIKE": "lookalike"}  # fmt: skip
STATUSES: Mapping[object, Status] = {"READY": "ready", "TOO_SMALL": "ready", "INITIALIZING": "processing"}
LIST = "ad_accounts/{account}/audiences"


class Pinterest(Vendor):
    """`GET /ad_accounts/{account}/audiences`, which lists what the account owns or what it received."""

    name = "pinterest"
    title = "Pinterest"
    settings = (
        Setting("access_token", ("PINTEREST_ACCESS_TOKEN",), "Access token", required=True, secret=True),
        Setting("account", ("PINTEREST_AD_ACCOUNT_ID",), "Ad account", required=True, identifies=True,
                pattern=re.compile(r"[0-9]{1,18}", re.ASCII), example="549755885175"),
        Setting("base_url", ("PINTEREST_BASE_URL",), "Base URL", default="https://api.pinterest.com/v5"),
    )  # fmt: skip
    size_counts = "Pinterest users"
    size_unknown = "Pinterest gives no size for it"
    auth_headers: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {access_token}"}
    id_shape = re.compile(r"[0-9]{1,18}", re.ASCII)
    listings = tuple(
        Listing(LIST, "items", Cursor("bookmark", "bookmark", absent_is_end=True),
                {"page_size": "250", "order": "ASCENDING", "ownership_type": ownership},
                one=Request(f"{LIST}/{{id}}"))
        for ownership in ("OWNED", "RECEIVED")
    )  # fmt: skip
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "The token in {access_token} may have expired: Pinterest's live for about 30 days.",
        "forbidden": "The token in {access_token} needs the scope ads:read, and its user a role in the ad "
        "account that {account} names.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """What is being filled has no size while its count is 0. Dates are Unix seconds."""
        word, size = text_at(raw, "status"), as_count(raw.get("size"))
        kind, status = text_at(raw, "audience_type"), STATUSES.get(word, "unknown")
        note = "too small to be targeted (under 100)" if word == "TOO_SMALL" else None
        if status == "processing":
            size = size or None
            note = "still being filled" if size else "not filled yet"
        return Row(
            id,
            text_at(raw, "name") or id,
            size,
            TYPES.get(kind, "unknown"),
            status,
            note,
            description=text_at(raw, "description"),
            created=raw.get("created_timestamp"),
            updated=raw.get("updated_timestamp"),
            details=pick(
                raw, "audience_type", "created_by_company_name", *(("status",) if word != "READY" else ())
            ),
        )

"""LinkedIn: the ad segments ("matched audiences") of one ad account.

Facts from learn.microsoft.com ("Ad Segments", "Matched Audiences FAQ", "Pagination", "Rate Limiting", "Error
Handling", "Versioning") and from requests of LinkedIn's Python client (linkedin-api-client 0.3). Not
documented: the largest page, whether the total always comes, what a segment of under 300 members shows, the
words of `type`, and the codes of most errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from audience_mcp.vendors import (
    Bearer,
    Encoded,
    Fields,
    Listing,
    Offset,
    One,
    Response,
    Row,
    Setting,
    Vendor,
    Version,
    Wait,
    Words,
    api_key,
    base_url,
    value_at,
)

STATUSES = {
    "READY": "ready",
    "BUILDING": "processing",
    "UPDATING": "processing",
    "FAILED": "failed",
    "ERROR": "failed",
    "ARCHIVED": "unknown",
    "EXPIRED": "unknown",
}
COUNTED = ("READY", "ARCHIVED")
"""Statuses in which a 0 was counted; in the others it was not, or is no longer."""
NOTES = {
    "UPDATING": "may be of before the update under way",
    "ARCHIVED": "archived: unused for 30 days",
    "EXPIRED": "expired: unused for 90 days, its data is no longer available",
}
FEW = "0 may mean that it has too few members to be shown"
VERSION_CODES = ("NONEXISTENT_VERSION", "VERSION_MISSING")


class LinkedIn(Vendor):
    """`GET /adSegments?q=accounts` answers `{elements, paging}`; `GET /adSegments/{id}` one segment."""

    name = "linkedin"
    title = "LinkedIn"
    kind = "ad segment"
    settings = (
        api_key("LINKEDIN_ACCESS_TOKEN", description="Access token, scope r_ads", role="access_token"),
        Setting(
            "account",
            ("LINKEDIN_AD_ACCOUNT_ID",),
            "Ad account, digits, also with urn:li:sponsoredAccount:",
            required=True,
            identifies=True,
            pattern=re.compile(r"[0-9]{1,19}", re.ASCII),
            example="512345678",
            normalize=lambda text: text.rpartition(":")[2],
        ),
        Setting(
            "version",
            ("LINKEDIN_VERSION",),
            "Version of the API, a month of the last twelve",
            default="202607",
            pattern=re.compile(r"20[0-9]{2}(0[1-9]|1[0-2])", re.ASCII),
            example="202607",
        ),
        base_url("LINKEDIN_BASE_URL", "https://api.linkedin.com/rest"),
    )
    size_unknown = "LinkedIn has not counted it"
    auth = Bearer("access_token")
    headers = {"LinkedIn-Version": "{version}", "X-Restli-Protocol-Version": "2.0.0"}
    # Inferred: a year each (202511 ended on 2026-11-16, 202601 ends on 2027-01-15).
    version = Version("202607", date(2027, 7, 14), setting="version")
    at_once = 1
    listings = (
        Listing(
            "adSegments",
            counts="LinkedIn members (approximate, for their privacy)",
            ids="[0-9]{1,19}",
            rows="elements",
            total="paging.total",
            # A page in the middle may be short, so none but an empty one is the end.
            paging=Offset("start", empty_is_end=True),
            params={
                "q": "accounts",
                # Its parentheses must stand as they are, and what is in them must be encoded.
                "accounts": Encoded("List(urn%3Ali%3AsponsoredAccount%3A{account})"),
                "count": "100",
            },
            page_size="count",
            fields=Fields(
                "approximateMemberCount",
                Words("type", {"BULK": "static"}),
                Words("status", STATUSES),
                description="description",
                created="created.time",
                updated="lastModified.time",
                details=("type",),
            ),
            one=One("adSegments/{id}", owned=("account", "urn:li:sponsoredAccount:{account}")),
        ),
    )
    waits = (Wait("message", "utc_day", pattern=re.compile(r"\b(DAY) limit\b")),)
    error_hints = {
        "unauthorized": "The token in {access_token} may have expired: LinkedIn's live for 60 days.",
        "forbidden": "The token in {access_token} needs the scope r_ads, and its member a role (VIEWER is "
        "enough) in the ad account that {account} names.",
        "invalid_request": "LinkedIn serves each version of its API for a year: set {version} to one of the "
        "last twelve months, as YYYYMM.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A 0 is a size only where LinkedIn has counted, and may hide a few even there."""
        status = str(raw.get("status"))
        if row.size == 0 and status not in COUNTED:
            row.size = None
        few = FEW if row.size == 0 else None
        row.size_note = "; ".join(filter(None, (NOTES.get(status), few))) or None
        if row.size is None and status == "UPDATING":
            row.size_note = None
        if status in STATUSES and status != "READY":
            row.add_detail("status", status)

    def status(self, response: Response) -> int:
        """Map the codes for a version that is no longer served, or was not sent, to 426."""
        if response.status >= 400 and value_at(response.body, "code") in VERSION_CODES:
            return 426
        return response.status

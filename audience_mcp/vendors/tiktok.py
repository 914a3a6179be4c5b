"""TikTok: the custom audiences of one advertiser, page by page; what a 0 stands for, nobody says.

Facts on the request, its envelope and its codes from TikTok's Python SDK (tiktok-business-api-sdk-official
1.1.3). TikTok's own pages could not be read, and its SDK does not type the rows: their form is what five
independent readers agree on (Airbyte, Nango, Segment.com, Pipedream, one studio). Not documented: the words
of `audience_type`, the zone of times, and whether a 0 is nobody, too few or not matched yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Fields,
    Header,
    Listing,
    PageNumber,
    Response,
    Row,
    Setting,
    Vendor,
    api_key,
    as_count,
    base_url,
    value_at,
)

MEANS: Mapping[int, frozenset[int]] = {
    429: frozenset({40100, 40132}),
    401: frozenset({40102, 40104, 40105, 40106}),
    403: frozenset({40001, 40003, 40113, 40117, 40118, 40124, 40125, 40130}),
    404: frozenset({40007, 40300}),
}
"""The HTTP status that codes amount to: TikTok itself answers 200 to nearly all of them. Of the others those
that begin with 4 are about the request, and the rest (20001 too: a part of a list) about TikTok."""


class TikTok(Vendor):
    """`GET /dmp/custom_audience/list/`: `{code, message, request_id, data: {list, page_info}}`."""

    name = "tiktok"
    title = "TikTok"
    settings = (
        api_key("TIKTOK_ACCESS_TOKEN", description="Access token", role="access_token"),
        Setting(
            "advertiser",
            ("TIKTOK_ADVERTISER_ID",),
            "Advertiser, digits",
            required=True,
            identifies=True,
            pattern=re.compile(r"[0-9]{1,20}", re.ASCII),
            example="7012345678901234567",
        ),
        base_url(
            "TIKTOK_BASE_URL",
            "https://business-api.tiktok.com/open_api/v1.3",
            "Base URL with the API version",
        ),
    )
    kind = "custom audience"
    size_unknown = "TikTok gives no number: not matched yet, or too few"
    auth = Header("Access-Token", "{access_token}")
    listings = (
        Listing(
            "dmp/custom_audience/list/",  # without the slash at the end it is another address
            counts="people whom TikTok matched (its estimate, a day or two old)",
            ids="[0-9]{1,20}",
            rows="data.list",
            total="data.page_info.total_number",
            paging=PageNumber(last="data.page_info.total_page"),
            params={"advertiser_id": "{advertiser}", "page_size": "100"},
            page_size="page_size",
            # Times have no zone, so they are details and no dates.
            fields=Fields(
                "cover_num",
                "unknown",
                "processing",
                id="audience_id",
                details=(
                    "audience_type",
                    "is_valid",
                    "is_expiring",
                    "expired_time",
                    "create_time",
                    "calculate_type",
                    "shared",
                    "is_creator",
                ),
            ),
        ),
    )
    error_hints = {
        "unauthorized": "Check {access_token}: it ends only when it is revoked, and goes out without Bearer.",
        "forbidden": "The app of {access_token} needs the permission Audience Management, and its user the "
        "advertiser in {advertiser}.",
        "not_found": "Check {advertiser}.",
        "invalid_request": "Check {advertiser}, which TikTok may refuse so, and the API version in "
        "{base_url}.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A 0 stands for "not matched yet" and "too few" as well, so it is unknown."""
        row.size = row.size or None
        row.status = "ready" if row.size else "processing"
        if "lookalike" in str(raw.get("audience_type")).lower():
            row.type = "lookalike"

    def status(self, response: Response) -> int:
        """By the code in the body, whatever the HTTP status; its message is prose, and is never shown."""
        said = value_at(response.body, "code")
        code = as_count(said)
        if said is None or code == 0:
            return response.status
        means = next((status for status, codes in MEANS.items() if code in codes), None)
        return means or (400 if code is not None and 40_000 <= code < 50_000 else 503)

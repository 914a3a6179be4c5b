"""beehiiv: the segments and newsletter lists of one publication.

Facts from a copy of its OpenAPI document and from its SDK.
Not documented: what ids of lists begin with, the unit of `RateLimit-Reset`, what is answered where a plan
has no newsletter lists (404 is taken for it), and whether a calculation that failed leaves the size of the
one before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Fields,
    Listing,
    One,
    PageNumber,
    Rate,
    Row,
    Setting,
    Vendor,
    Wait,
    Words,
    api_key,
    base_url,
)

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PATH = "publications/{publication}"
PAGES = PageNumber(last="total_pages")
STATUSES = {
    "completed": "ready",
    "pending": "processing",
    "processing": "processing",
    "failed": "failed",
}


class Beehiiv(Vendor):
    """`GET /publications/{pub}/segments` and `/newsletter_lists`, each page by its number."""

    name = "beehiiv"
    title = "beehiiv"
    settings = (
        api_key("BEEHIIV_API_KEY"),
        Setting(
            "publication",
            ("BEEHIIV_PUBLICATION_ID",),
            "Publication, pub_…",
            required=True,
            identifies=True,
            pattern=re.compile(f"pub_{UUID}", re.ASCII),
            example="pub_0f0c3e5a-1b2c-4d3e-8f90-a1b2c3d4e5f6",
        ),
        base_url("BEEHIIV_BASE_URL", "https://api.beehiiv.com/v2"),
    )
    ids_are = "generated"
    limits = {"": [Rate(180, 60)]}
    listings = (
        Listing(
            f"{PATH}/segments",
            kind="segment",
            counts="subscriptions in the segment when it was last calculated",
            ids=f"seg_{UUID}",
            rows="data",
            total="total_results",
            paging=PAGES,
            params={"limit": "100"},
            page_size="limit",
            fields=Fields(
                "total_results",
                Words("type", {"dynamic": "dynamic", "static": "static", "manual": "static"}),
                Words("status", STATUSES),
                details=("active", "last_calculated"),
            ),
            one=One(f"{PATH}/segments/{{id}}", at="data"),
        ),
        Listing(
            f"{PATH}/newsletter_lists",
            kind="list",
            counts="active subscribers of the list",
            ids=f"[a-z_]{{1,24}}_{UUID}",
            rows="data",
            total="total_results",
            paging=PAGES,
            params={"limit": "100"},
            page_size="limit",
            fields=Fields(
                "subscriber_count",
                description="description",
                created="created_at",
                updated="updated_at",
                details=("slug", "status", "auto_subscribe"),
            ),
            one=One(f"{PATH}/newsletter_lists/{{id}}", at="data"),
            absent_on=(404,),
        ),
    )
    waits = (Wait("RateLimit-Reset", header=True),)  # its example is a moment, and other headers are waits
    error_hints = {
        "unauthorized": "Check {api_key}.",
        "forbidden": "The key in {api_key} needs the scopes segments:read and newsletter_lists:read.",
        "not_found": "Check {publication}: it is the id of the publication, pub_… with a UUID.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """While a segment is being recalculated, or if that failed, the size is the previous one."""
        if listing.kind != "segment":
            return
        if row.status == "ready":
            if raw.get("active") is False:
                row.size_note = "inactive: no longer recalculated"
        elif raw.get("status") == "pending" or not row.size or raw.get("last_calculated") is None:
            row.size, row.size_note = None, "not calculated yet"
        else:
            row.size_note = "of the last calculation that ended"

"""Twilio Segment: the Engage audiences of one space.

Facts from Segment's Public API reference and its Python SDK (73.2). Not documented: how fresh
a count is, and what sets a unique count apart. The reference and the SDK spell the parameters of paging
differently, and both mark them as not final.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Cursor,
    Fields,
    Listing,
    One,
    Rate,
    Row,
    Setting,
    Vendor,
    Wait,
    Words,
    api_key,
    as_count,
    base_url,
    value_at,
)

STATUSES = {
    "Live": "ready",
    "Backfilling": "processing",
    "Computing": "processing",
    "Preparing": "processing",
    "Error": "failed",
    "Failed": "failed",
}
STOPPED = ("Disabled", "Locked", "Not Computing", "Awaiting Destinations")
"""Statuses in which a size stays as it was last computed."""
ID = "[A-Za-z0-9_-]{1,64}"


class Segment(Vendor):
    """`GET /spaces/{space}/audiences`; the number of entries shows whether `pagination.count` is heeded."""

    name = "segment"
    title = "Twilio Segment"
    settings = (
        api_key("SEGMENT_PUBLIC_API_TOKEN", description="Public API token"),
        Setting(
            "space",
            ("SEGMENT_SPACE_ID",),
            "Engage space",
            required=True,
            identifies=True,
            pattern=re.compile(ID, re.ASCII),
            example="spa_9aQ1Lj62S4bomZKLF4DPqW",
        ),
        Setting(
            "region",
            ("SEGMENT_REGION",),
            "Region of the workspace, us or eu",
            default="us",
            choices={"us": "api", "eu": "eu1.api"},
        ),
        base_url("SEGMENT_BASE_URL", "https://{region}.segmentapis.com"),
    )
    size_unknown = "Segment gives no count for it"
    ids_are = "generated"
    headers = {"Accept": "application/vnd.segment.v1+json"}
    listings = (
        Listing(
            "spaces/{space}/audiences",
            counts="users, or the accounts or entities that size_note names",
            ids=ID,
            rows="data.audiences",
            total="data.pagination.totalEntries",
            paging=Cursor("data.pagination.next", "pagination.cursor", absent_is_end=True),
            params={"pagination.count": "200"},
            page_size="pagination.count",
            fields=Fields(
                "size.count",
                "dynamic",
                Words("status", STATUSES),
                description="description",
                created="createdAt",
                updated="updatedAt",
                details=("audienceType", "status"),
            ),
            one=One("spaces/{space}/audiences/{id}", at="data.audience"),
        ),
    )
    waits = (Wait("errors.0.data.msBeforeNext", "ms"),)
    limits = {
        "": [Rate(55, 60)]
    }  # 60 list requests a minute are allowed; single audiences have a higher limit
    error_hints = {
        "unauthorized": "Check {api_key}: it must be a Public API token of a workspace in the region that "
        "{region} names.",
        "forbidden": "The token in {api_key} needs read access to the space, and the workspace needs Engage.",
        "not_found": "{space} names no space of this workspace.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """Counts are numbers of users, accounts or entities."""
        details, word = row.details, raw.get("status")
        if word == "Live":
            del details["status"]
        unique = as_count(value_at(raw, "size.uniqueCount"))
        if unique is not None:
            details["uniqueCount"] = unique
        row.details = details
        if row.size is None:
            return
        if word in STOPPED:
            row.status = "ready"
        counted = value_at(raw, "size.type")
        row.unit = str(counted)
        if counted in ("ACCOUNTS", "ENTITIES"):
            row.size_note = str(counted).lower()

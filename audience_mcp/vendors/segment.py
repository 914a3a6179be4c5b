"""Twilio Segment: the Engage audiences of one space.

Facts from Segment's Public API reference and its Python SDK (73.2). Not documented: how fresh
a count is, and what sets a unique count apart. The reference and the SDK spell the parameters of paging
differently, and both mark them as not final.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Cursor, Kind, Listing, Rate, Request, Row, Setting, Status, Vendor, Wait,
    as_count, pick, text_at, value_at,
)  # fmt: skip

STATUSES: Mapping[object, Status] = {
    "Live": "ready", "Backfilling": "processing", "Computing": "processing", "Preparing": "processing",
    "Error": "failed", "Failed": "failed"}  # fmt: skip
STOPPED = ("Disabled", "Locked", "Not Computing", "Awaiting Destinations")
"""Statuses in which a size stays as it was last computed."""
PAGING = Cursor("data.pagination.next", "pagination.cursor", absent_is_end=True)


class Segment(Vendor):
    """`GET /spaces/{space}/audiences`; whether `pagination.count` is heeded, the number of entries tells."""

    name = "segment"
    title = "Twilio Segment"
    settings = (
        Setting("api_key", ("SEGMENT_PUBLIC_API_TOKEN",), "Public API token", required=True, secret=True),
        Setting("space", ("SEGMENT_SPACE_ID",), "Engage space", required=True, identifies=True,
                pattern=re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII), example="spa_9aQ1Lj62S4bomZKLF4DPqW"),
        Setting("region", ("SEGMENT_REGION",), "Region of the workspace, us or eu", default="us",
                choices={"us": "api", "eu": "eu1.api"}),
        Setting("base_url", ("SEGMENT_BASE_URL",), "Base URL", default="https://{region}.segmentapis.com"),
    )  # fmt: skip
    size_counts = "users, or the accounts or entities that size_note names"
    size_unknown = "Segment gives no count for it"
    auth_headers: ClassVar[Mapping[str, str]] = {
        "Authorization": "Bearer {api_key}",
        "Accept": "application/vnd.segment.v1+json",
    }
    id_shape = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
    listings = (
        Listing("spaces/{space}/audiences", "data.audiences", PAGING, {"pagination.count": "200"},
                total="data.pagination.totalEntries", one=Request("spaces/{space}/audiences/{id}")),
    )  # fmt: skip
    one_at = "data.audience"
    waits = (Wait("errors.0.data.msBeforeNext", "ms"),)
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"": [Rate(55, 60)]}
    """Of 60 lists a minute; one audience may be asked for more often."""
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it must be a Public API token of a workspace in the region that "
        "{region} names.",
        "forbidden": "The token in {api_key} needs read access to the space, and the workspace needs Engage.",
        "not_found": "{space} names no space of this workspace.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Counts are numbers of users, accounts or entities."""
        word, size = text_at(raw, "status"), as_count(value_at(raw, "size.count"))
        counted, unique = text_at(raw, "size.type"), as_count(value_at(raw, "size.uniqueCount"))
        ready = word in STOPPED and size is not None
        return Row(
            id,
            text_at(raw, "name") or id,
            size,
            "dynamic",
            "ready" if ready else STATUSES.get(word, "unknown"),
            counted.lower() if size is not None and counted in ("ACCOUNTS", "ENTITIES") else None,
            description=text_at(raw, "description"),
            created=raw.get("createdAt"),
            updated=raw.get("updatedAt"),
            details={
                **pick(raw, "audienceType", *(("status",) if word != "Live" else ())),
                **({"uniqueCount": unique} if unique is not None else {}),
            },
        )

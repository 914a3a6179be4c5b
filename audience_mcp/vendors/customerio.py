"""Customer.io: the segments of one workspace (App API), each of whose sizes costs a request.

Facts from Customer.io's App API document and its Node SDK (5.2). Not documented: whether archived segments
are listed, how fresh a count is, and keys that may only read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    AudienceType, Counted, Kind, Listing, Rate, Request, Row, Setting, Status, UnexpectedShape, Values,
    Vendor, as_object, pick, text_at,
)  # fmt: skip

TYPES: Mapping[object, AudienceType] = {"manual": "static", "dynamic": "dynamic"}
STATUSES: Mapping[object, Status] = {
    "finished": "ready", "events": "processing", "build": "processing", "events_queued": "processing",
    "build_queued": "processing"}  # fmt: skip


class CustomerIo(Vendor):
    """`GET /segments` answers all at once; `GET /segments/{id}/customer_count` counts one."""

    name = "customerio"
    title = "Customer.io"
    kind = "segment"
    settings = (
        Setting("api_key", ("CUSTOMERIO_APP_API_KEY", "CUSTOMERIO_API_KEY"), "App API key of the workspace",
                required=True, secret=True),
        Setting("region", ("CUSTOMERIO_REGION",), "Region of the account, us or eu", default="us",
                choices={"us": "api", "eu": "api-eu"}),
        Setting("base_url", ("CUSTOMERIO_BASE_URL",), "Base URL", default="https://{region}.customer.io/v1"),
    )  # fmt: skip
    size_counts = "people in the segment, reachable or not"
    id_shape = re.compile(r"[0-9]{1,10}", re.ASCII)
    listings = (Listing("segments", "segments", one=Request("segments/{id}")),)
    one_at = "segment"
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"": [Rate(8)]}
    """Ten a second are allowed; two are left for others."""
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it must be an App API key, not a Track key, and {region} must be "
        "the account's region.",
        "forbidden": "The key in {api_key} may be bound to other IP addresses.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Dates are Unix seconds; a segment that is being built says how far it is."""
        state = text_at(raw, "state")
        return Row(
            id,
            text_at(raw, "name") or id,
            type=TYPES.get(text_at(raw, "type"), "unknown"),
            status=STATUSES.get(state, "unknown"),
            size_pending=True,
            description=text_at(raw, "description"),
            created=raw.get("created_at"),
            updated=raw.get("updated_at"),
            details=pick(raw, "tags", "progress", *(("state",) if state != "finished" else ())),
        )

    def count_request(self, rows: Sequence[Row], values: Values) -> Request:
        """The number of people alone; who they are is another request, which is never made."""
        return Request(f"segments/{rows[0].id}/customer_count")

    def parse_counts(self, body: object, rows: Sequence[Row]) -> Mapping[str, Counted]:
        """What is still being built has no size while its count is 0."""
        (row,), said = rows, as_object(body)
        if str(said.get("segment_id", row.id)) != row.id:
            raise UnexpectedShape("it counts another segment")
        count = said.get("count")
        if row.status == "ready":
            return {row.id: Counted(count)}
        return {row.id: Counted(count, "still being built") if count else Counted(None, "not counted yet")}

"""Customer.io: the segments of one workspace (App API), each of whose sizes costs a request.

Facts from Customer.io's App API document and its Node SDK (5.2). Not documented: whether archived segments
are listed, how fresh a count is, and keys that may only read.
"""

from __future__ import annotations

from collections.abc import Mapping

from audience_mcp.vendors import (
    Count,
    Counted,
    Fields,
    Listing,
    One,
    Rate,
    Request,
    Row,
    Rows,
    Setting,
    Sizes,
    Talk,
    UnexpectedShape,
    Values,
    Vendor,
    Words,
    api_key,
    as_object,
    base_url,
)

TYPES = {"manual": "static", "dynamic": "dynamic"}
STATES = {
    "finished": "ready",
    "events": "processing",
    "build": "processing",
    "events_queued": "processing",
    "build_queued": "processing",
}


def count_people(rows: Rows, values: Values) -> Talk[Sizes]:
    """The number of people alone; who they are is another request, which is never made."""
    ((id, row),) = rows.items()
    said = as_object((yield Request(f"segments/{id}/customer_count", purpose="count")))
    if str(said.get("segment_id", id)) != id:
        raise UnexpectedShape("it counts another segment")
    count = said.get("count")
    if row.status == "ready":
        return {id: count}
    return {id: Counted(count, "still being built") if count else Counted(None, "not counted yet")}


class CustomerIo(Vendor):
    """`GET /segments` answers all at once; `GET /segments/{id}/customer_count` counts one."""

    name = "customerio"
    title = "Customer.io"
    kind = "segment"
    settings = (
        api_key("CUSTOMERIO_APP_API_KEY", "CUSTOMERIO_API_KEY", description="App API key of the workspace"),
        Setting(
            "region",
            ("CUSTOMERIO_REGION",),
            "Region of the account, us or eu",
            default="us",
            choices={"us": "api", "eu": "api-eu"},
        ),
        base_url("CUSTOMERIO_BASE_URL", "https://{region}.customer.io/v1"),
    )
    listings = (
        Listing(
            "segments",
            counts="people in the segment, reachable or not",
            ids="[0-9]{1,10}",
            rows="segments",
            fields=Fields(
                type=Words("type", TYPES),
                status=Words("state", STATES),
                description="description",
                created="created_at",
                updated="updated_at",
                details=("tags", "progress"),
            ),
            one=One("segments/{id}", at="segment"),
            count=Count(count_people),
        ),
    )
    limits = {"": [Rate(8)]}  # ten a second are allowed; two are left for others
    error_hints = {
        "unauthorized": "Check {api_key}: it must be an App API key, not a Track key, and {region} must be "
        "the account's region.",
        "forbidden": "The key in {api_key} may be bound to other IP addresses.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A segment that is being built shows the state of that."""
        if row.status == "processing":
            row.add_detail("state", raw["state"])

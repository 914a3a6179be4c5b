"""Campaign Monitor: the lists and segments of one client, whose sizes cost a request each.

Facts from its documentation, from its Python client (createsend 9.1) and from the answers recorded there.
HTTP's status is coarse, and the code in an error's body decides. Not documented: how fresh the count of a
segment is, the limits of these requests, and which code an unknown list has (101 is taken for it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from audience_mcp.vendors import (
    Basic,
    Fields,
    Listing,
    One,
    Response,
    Row,
    Setting,
    Vendor,
    Wait,
    api_key,
    as_count,
    base_url,
    count_each,
    text_at,
    value_at,
)

ID = "[0-9A-Za-z]{32}"
MEANS = {60: 403, 101: 404, 102: 403, 271: 404, 278: 503, 287: 503}
"""The status that a code amounts to; 278 and 287: a segment is being counted just now."""
LISTS = Listing(
    "clients/{client}/lists.json",
    kind="list",
    counts="active subscribers of the list",
    ids=ID,
    rows="",
    fields=Fields(id="ListID", name="Name", status="unknown"),
    one=One("lists/{id}.json"),
    count=replace(count_each("lists/{id}/stats.json", "TotalActiveSubscribers"), shows_ready=True),
)


class CampaignMonitor(Vendor):
    """`GET /clients/{client}/lists.json` and `segments.json`, each a bare array without sizes."""

    name = "campaignmonitor"
    title = "Campaign Monitor"
    settings = (
        api_key("CAMPAIGNMONITOR_API_KEY", "CAMPAIGN_MONITOR_API_KEY", "CREATESEND_API_KEY"),
        Setting(
            "client",
            ("CAMPAIGNMONITOR_CLIENT_ID", "CAMPAIGN_MONITOR_CLIENT_ID", "CREATESEND_CLIENT_ID"),
            "API client ID of the client",
            required=True,
            identifies=True,
        ),
        base_url("CAMPAIGNMONITOR_BASE_URL", "https://api.createsend.com/api/v3.3"),
    )
    ids_are = "generated"
    auth = Basic("{api_key}", "x")
    at_once = 4
    listings = (
        LISTS,
        Listing(
            "clients/{client}/segments.json",
            kind="segment",
            counts="active subscribers in the segment",
            ids=ID,
            rows="",
            fields=Fields("ActiveSubscribers", "dynamic", "unknown", id="SegmentID", name="Title"),
            one=One("segments/{id}.json"),
            count=replace(count_each("segments/{id}.json", "ActiveSubscribers"), shows_ready=True),
        ),
    )
    waits = (Wait("X-RateLimit-Reset", header=True),)
    error_hints = {
        "unauthorized": "Check {api_key}.",
        "forbidden": "Check {client}: it must be the API client ID of a client of this account.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """One list alone has its name elsewhere; a segment lies within its list, and alone has its size."""
        if row.size is not None:
            row.status = "ready"
        if listing is LISTS:
            row.name = text_at(raw, "Name") or text_at(raw, "Title") or row.name
        elif (parent := text_at(raw, "ListID")) is not None:
            row.part_of = LISTS.full_id(parent)

    def status(self, response: Response) -> int:
        """By the code, where it says more than the status."""
        if response.status == 200:
            return 200
        return MEANS.get(as_count(value_at(response.body, "Code")) or 0, response.status)

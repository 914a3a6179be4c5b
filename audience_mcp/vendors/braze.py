"""Braze: the segments of one workspace, each of whose estimated sizes costs a request.

Facts from Braze's documentation (export endpoints for segments, API limits, errors). Not documented: what a
page past the end is, how an unknown segment is refused, and whether sizes need analytics tracking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from audience_mcp.vendors import (  # isort: skip
    Counted, Kind, Listing, PageNumber, Rate, Request, Response, Row, Setting, Values, Vendor, Wait,
    array_at, as_object, is_object, pick, text_at, value_at,
)  # fmt: skip

DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Braze(Vendor):
    """`GET /segments/list?page=` in hundreds, which end with a page that is not full: there is no other sign.

    The exact size would be had by exporting people, and is not asked for.
    """

    name = "braze"
    title = "Braze"
    kind = "segment"
    settings = (
        Setting("api_key", ("BRAZE_API_KEY",), "REST API key", required=True, secret=True),
        Setting("base_url", ("BRAZE_REST_ENDPOINT", "BRAZE_BASE_URL"), "REST endpoint of the instance",
                required=True, example="https://rest.iad-01.braze.com"),
    )  # fmt: skip
    size_counts = "users in the segment, as Braze estimates for the latest day"
    size_unknown = "Braze gives no estimate for it"
    id_shape = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
    paging = PageNumber("page", first=0, full_page=100)
    listings = (Listing("segments/list", "segments", paging, {"sort_direction": "asc"}),)
    waits = (Wait("x-ratelimit-reset", "unix_s", header=True),)
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"": [Rate(10)]}
    """Far below the 250,000 an hour that a workspace shares with what it sends."""
    error_hints: ClassVar[Mapping[Kind, str]] = {
        "unauthorized": "Check {api_key}: it needs the permissions segments.list, segments.data_series and "
        "segments.details, and {base_url} must be the REST endpoint of its instance.",
        "forbidden": "The plan or the account in {api_key} does not allow it, or a permission is missing: "
        "segments.list, segments.data_series, segments.details.",
    }

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """Only one segment asked for alone tells its dates."""
        return Row(
            id,
            text_at(raw, "name") or id,
            type="dynamic",
            size_pending=True,
            description=text_at(raw, "text_description"),  # `description` is made of the filters
            created=raw.get("created_at"),
            updated=raw.get("updated_at"),
            details=pick(raw, "tags"),
        )

    def get_request(self, id: str, values: Values) -> Request:
        """One segment; its answer does not say which."""
        return Request("segments/details", {"segment_id": id}, carry=id)

    def parse_get(self, body: object, request: Request) -> Sequence[object]:
        """The bare segment, with the id that was asked for."""
        return [{**as_object(body), "id": request.carry}]

    def count_request(self, rows: Sequence[Row], values: Values) -> Request:
        """The last day of a series."""
        return Request("segments/data_series", {"segment_id": rows[0].id, "length": "1"})

    def parse_counts(self, body: object, rows: Sequence[Row]) -> Mapping[str, Counted]:
        """The entry of the latest day; there may be none, one or two."""
        days = {
            text_at(day, "time") or "": day.get("size") for day in array_at(body, "data") if is_object(day)
        }
        latest = max(days, default="")
        when = f" of {latest}" if DAY.fullmatch(latest) else ""
        return {rows[0].id: Counted(days[latest], f"Braze's estimate{when}") if days else Counted(None)}

    def status_of(self, response: Response) -> int:
        """202 is maintenance; 404 for the list is an unknown key; 400 for one segment is an unknown id."""
        status, listed = response.status, response.request.listing is not None
        if status == 200:
            return 200 if value_at(response.body, "message") in ("success", None) else 500
        known = {202: 503, 404: 401 if listed else 404, 400: 404 if response.request.carry else 400}
        return known.get(status, status)

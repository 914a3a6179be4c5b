"""Braze: the segments of one workspace, each of whose estimated sizes costs a request.

Facts from Braze's documentation (export endpoints for segments, API limits, errors). Not documented: what a
page past the end is, how an unknown segment is refused, and whether sizes need analytics tracking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from audience_mcp.vendors import (
    Count,
    Counted,
    Fields,
    History,
    Listing,
    PageNumber,
    Past,
    Rate,
    Request,
    Response,
    Rows,
    Setting,
    Sizes,
    Span,
    Talk,
    Values,
    Vendor,
    Wait,
    api_key,
    array_at,
    as_object,
    is_object,
    text_at,
    value_at,
    write_moment,
)

DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
DAYS = 100
"""The days of one series at most: today's size brings those before it along."""


def request_one(id: str, values: Values) -> Talk[object]:
    """The bare segment, which does not name its own id. A segment has its dates only here."""
    body = yield Request("segments/details", {"segment_id": id}, purpose="one")
    return {**as_object(body), "id": id}


def count_latest_day(rows: Rows, values: Values) -> Talk[Sizes]:
    """The last entry of a series of days, which may have none, and the days before it.

    The exact size could only be had by exporting people, and is not requested.
    """
    (id,) = rows
    body = yield Request("segments/data_series", {"segment_id": id, "length": str(DAYS)}, purpose="count")
    past = days_in(body)
    latest, size = max(past, key=lambda day: day[0], default=("", None))
    if not DAY.fullmatch(latest):
        return {id: Counted(size, "Braze's estimate" if past else None)}
    return {id: Counted(size, f"Braze's estimate of {latest}", sized_on=latest, past=past)}


def ask_days(rows: Rows, span: Span, values: Values) -> Talk[Mapping[str, Past]]:
    """Days that did not come along with a size."""
    (id,) = rows
    length = str(min(DAYS, span.length.days + 2))
    params = {"segment_id": id, "length": length, "ending_at": write_moment(span.until)}
    body = yield Request("segments/data_series", params, purpose="history")
    return {id: days_in(body)}


def days_in(body: object) -> list[tuple[str, object]]:
    """The days of a series with their sizes, in the order of the answer, which is not documented."""
    found = (day for day in array_at(body, "data") if is_object(day))
    return [(text_at(day, "time") or "", day.get("size")) for day in found]


class Braze(Vendor):
    """`GET /segments/list?page=` in hundreds, which end with a page that is not full: there is no other
    sign."""

    name = "braze"
    title = "Braze"
    kind = "segment"
    ids_are = "generated"
    settings = (
        api_key("BRAZE_API_KEY", description="REST API key"),
        Setting(
            "base_url",
            ("BRAZE_REST_ENDPOINT", "BRAZE_BASE_URL"),
            "REST endpoint of the instance",
            required=True,
            example="https://rest.iad-01.braze.com",
        ),
    )
    size_unknown = "Braze gives no estimate for it"
    listings = (
        Listing(
            "segments/list",
            counts="users in the segment, as Braze estimates for the latest day",
            ids="[0-9A-Za-z-]{1,64}",
            rows="segments",
            paging=PageNumber(first=0, full_page=100),
            params={"sort_direction": "asc"},
            fields=Fields(
                type="dynamic",
                description="text_description",  # `description` is made of the filters
                created="created_at",
                updated="updated_at",
                details=("tags",),
            ),
            one=request_one,
            count=Count(count_latest_day),
            history=History(
                ask_days,
                "day",
                days=DAYS - 2,  # the first may be cut, and the last is the size itself
                dated=True,
                note="each day's is an estimate from another sample of users, as is the size of now",
            ),
        ),
    )
    waits = (Wait("x-ratelimit-reset", header=True),)
    limits = {"": [Rate(10)]}  # far below the 250,000 an hour that a workspace shares with what it sends
    error_hints = {
        "unauthorized": "Check {api_key}: it needs the permissions segments.list, segments.data_series and "
        "segments.details, and {base_url} must be the REST endpoint of its instance.",
        "forbidden": "The plan or the account in {api_key} does not allow it, or a permission is missing: "
        "segments.list, segments.data_series, segments.details.",
    }

    def status(self, response: Response) -> int:
        """202 is maintenance; 404 for the list is an unknown key; 400 for one segment is an unknown id."""
        status, purpose = response.status, response.request.purpose
        if status == 200:
            return 200 if value_at(response.body, "message") in ("success", None) else 500
        known = {202: 503, 404: 401 if purpose == "list" else 404, 400: 404 if purpose == "one" else 400}
        return known.get(status, status)

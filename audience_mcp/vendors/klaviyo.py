"""Klaviyo: lists and segments, whose sizes cost requests of their own.

Facts from Klaviyo's OpenAPI document (revision 2026-07-15) and its Python SDK (25.0). Not documented: whether
the segments' report is live, and whether it leaves out a segment without data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta

from audience_mcp.vendors import (
    Count,
    Fields,
    Header,
    History,
    Listing,
    NextLink,
    One,
    Past,
    Rate,
    Request,
    Row,
    Rows,
    Setting,
    Sizes,
    Span,
    Talk,
    UnexpectedShape,
    Values,
    Vendor,
    Version,
    api_key,
    array_at,
    base_url,
    count_each,
    value_at,
    write_moment,
)

JSON_API = "application/vnd.api+json"
LIST = "name,created,updated,opt_in_process"
SEGMENT = "name,created,updated,is_active,is_processing,is_starred"
"""The fields requested: without them, a segment comes with its whole tree of rules."""
DAYS = 60
"""The days of one report at most."""
OVER_EVERYWHERE = timedelta(hours=12, seconds=1)
"""How long after the last moment of a day in UTC it is over in the account's time zone, whatever that is."""
NEXT = NextLink("links.next", param="page[cursor]")


def request_report(kind: str, rows: Rows, **attributes: object) -> Request:
    """A report on the members of up to a hundred segments. kind: `values`, or `series` of days."""
    wanted = ",".join(f'"{id}"' for id in rows)
    asked = {"statistics": ["total_members"], **attributes, "filter": f"any(segment_id,[{wanted}])"}
    return Request(
        f"api/segment-{kind}-reports",
        method="POST",
        json={"data": {"type": f"segment-{kind}-report", "attributes": asked}},
        media_type=JSON_API,
        purpose="count" if kind == "values" else "history",
        pace="report",
    )


def report_segments(rows: Rows, values: Values) -> Talk[Sizes]:
    """The members of up to a hundred segments today; one that the report leaves out is unknown."""
    body = yield request_report("values", rows, timeframe={"key": "today"})
    return {
        str(value_at(each, "groupings.segment_id")): value_at(each, "statistics.total_members")
        for each in array_at(body, "data.attributes.results")
    }


def report_days(rows: Rows, span: Span, values: Values) -> Talk[Mapping[str, Past]]:
    """The members of up to a hundred segments day by day; lists have no such report.

    Whether a day's figure is of its beginning or its end is not documented, so no longer stretches than days
    are asked for. Each stands at the place of its day in `date_times`, which are of the account's time zone.
    """
    begin = f"{span.since:%Y-%m-%d}T00:00:00Z"
    timeframe = {"start": begin, "end": write_moment(span.until + OVER_EVERYWHERE)}
    body = yield request_report("series", rows, interval="daily", timeframe=timeframe)
    days = [str(each)[:10] for each in array_at(body, "data.attributes.date_times")]
    found: dict[str, Past] = {}
    for each in array_at(body, "data.attributes.results"):
        sizes = array_at(each, "statistics.total_members")
        if len(sizes) != len(days):
            raise UnexpectedShape("it has another number of sizes than of days")
        found[str(value_at(each, "groupings.segment_id"))] = list(zip(days, sizes, strict=True))
    return found


class Klaviyo(Vendor):
    """`GET /api/lists` and `/api/segments`, 10 a page; a list is counted alone, segments 100 at a time."""

    name = "klaviyo"
    title = "Klaviyo"
    settings = (
        api_key("KLAVIYO_API_KEY", "KLAVIYO_PRIVATE_KEY", description="Private API key, pk_…"),
        Setting(
            "revision",
            ("KLAVIYO_REVISION",),
            "Revision of the API",
            default="2026-07-15",
            pattern=re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
            example="2026-07-15",
        ),
        base_url("KLAVIYO_BASE_URL", "https://a.klaviyo.com"),
    )
    ids_are = "generated"
    auth = Header("Authorization", "Klaviyo-API-Key {api_key}")
    headers = {
        "revision": "{revision}",  # without it nothing is answered
        # Else a revision that has ended is answered by a newer one without a word.
        "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
        "Accept": JSON_API,
    }
    version = Version("2026-07-15", date(2028, 7, 14), setting="revision")  # two years each
    limits = {
        "": [Rate(75), Rate(750, 60)],
        "count": [Rate(1), Rate(15, 60)],
        "report": [Rate(1), Rate(2, 60), Rate(225, 86_400)],
    }
    listings = (
        Listing(
            "api/lists",
            kind="list",
            counts="profiles in the list",
            ids="[A-Za-z0-9]{1,32}",
            rows="data",
            paging=NEXT,
            params={"page[size]": "10", "fields[list]": LIST},
            page_size="page[size]",
            fields=Fields(
                "profile_count",
                at="attributes",
                created="created",
                updated="updated",
                details=("opt_in_process",),
            ),
            one=One(
                "api/lists/{id}",
                {"additional-fields[list]": "profile_count", "fields[list]": LIST},
                at="data",
                pace="count",
            ),
            count=count_each(
                "api/lists/{id}",
                "data.attributes.profile_count",
                {"additional-fields[list]": "profile_count", "fields[list]": "name"},
                pace="count",
            ),
        ),
        Listing(
            "api/segments",
            kind="segment",
            counts="profiles in the segment",
            ids="[A-Za-z0-9]{1,32}",
            rows="data",
            paging=NEXT,
            params={"page[size]": "10", "fields[segment]": SEGMENT},
            page_size="page[size]",
            fields=Fields(
                "profile_count",
                "dynamic",
                "ready",
                at="attributes",
                created="created",
                updated="updated",
                details=("is_active", "is_starred"),
            ),
            one=One(
                "api/segments/{id}",
                {"additional-fields[segment]": "profile_count", "fields[segment]": SEGMENT},
                at="data",
                pace="count",
            ),
            count=Count(report_segments, batch=100),
            history=History(
                report_days,
                "day",
                batch=100,
                days=DAYS - 2,  # a report begins with a day and ends within one
                begins=date(2023, 6, 21),  # its help says so; its API, 20 days before
            ),
        ),
    )
    error_hints = {
        "unauthorized": "Check {api_key}: it must be a private key (pk_…), not the public site id.",
        "forbidden": "The key in {api_key} needs the scopes lists:read and segments:read.",
        "invalid_request": "Check {api_key} and {revision}: a bad key and an old revision are answered so.",
    }

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """A segment says that it is being evaluated, or that it no longer is."""
        if value_at(raw, "attributes.is_processing") is True:
            row.status, row.size_note = "processing", "still being evaluated"
        elif value_at(raw, "attributes.is_active") is False:
            row.size_note = "inactive: no longer updated"

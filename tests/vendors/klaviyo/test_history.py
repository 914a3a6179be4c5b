"""Klaviyo remembers the members of segments day by day, and of lists nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from klaviyo_api import KlaviyoAPI

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sandbox import klaviyo as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.testing import serve_api
from audience_mcp.vendors import Row
from audience_mcp.vendors.klaviyo import Klaviyo
from tests.vendors.klaviyo.case import a_list, a_segment
from tests.vendors.past import asking, past_in, request_for, sizes_then

pytestmark = pytest.mark.anyio

KLAVIYO = Klaviyo()
HELD = Row("segment-Tq4Wz9", "Night owls", kind="segment")
OTHER = Row("segment-Ab12Cd", "Others", kind="segment")
SERIES = "/api/segment-series-reports"
OLD = {"created": "2025-01-02T03:04:05+00:00", "updated": "2025-02-02T03:04:05+00:00"}
IDS = re.compile(r'any\(segment_id,\[("[A-Za-z0-9]+"(?:,"[A-Za-z0-9]+")*)\]\)', re.ASCII)
LAST = date(2026, 11, 20)


def a_body(days: Sequence[str], sizes: Mapping[str, Sequence[object]]) -> dict[str, Any]:
    results = [
        {"groupings": {"segment_id": id}, "statistics": {"total_members": [*each]}}
        for id, each in sizes.items()
    ]
    times = [f"{day}T00:00:00-05:00" for day in days]
    attributes = {"date_times": times, "results": results}
    return {"data": {"type": "segment-series-report", "id": "r1", "attributes": attributes}}


def imitated(sizes: Mapping[str, Sequence[int]], rows: Sequence[Any]) -> Any:
    """Klaviyo, with the members of segments by days, the last of them today's; 60 days a report at most."""

    def answer(asked: Asked) -> Answer:
        if asked.path != SERIES or asked.headers.get("content-type") != api.JSON_API:
            return answer_as(api, asked, rows)
        wanted = json.loads(asked.body)["data"]["attributes"]
        span = wanted["timeframe"]
        begin, end = (datetime.fromisoformat(span[at].replace("Z", "+00:00")) for at in ("start", "end"))
        ids = IDS.fullmatch(wanted["filter"])
        chosen = json.loads(f"[{ids[1]}]") if ids else []
        fits = end - begin <= timedelta(days=60) and len(chosen) <= 100
        if not fits or wanted["interval"] != "daily" or wanted["statistics"] != ["total_members"]:
            return Answer(400, {"errors": [{"code": "invalid"}]})
        days = [begin.date() + timedelta(days=n) for n in range((end - begin).days + 1)]
        days = [day for day in days if day <= LAST]
        told = {
            id: [([0] * 400 + [*sizes[id]])[-1 - (LAST - day).days] for day in days]
            for id in chosen
            if id in sizes
        }
        return Answer(200, a_body([day.isoformat() for day in days], told))

    return answer


def variables(origin: str) -> Mapping[str, str]:
    return {"KLAVIYO_API_KEY": api.KEY, "KLAVIYO_BASE_URL": origin}


def test_a_report_is_asked_for_day_by_day_up_to_when_the_last_day_is_over_everywhere() -> None:
    request = request_for(KLAVIYO, [HELD, OTHER], {})
    assert (request.method, request.path, request.pace) == ("POST", "api/segment-series-reports", "report")
    assert request.media_type == api.JSON_API
    assert request.json == {
        "data": {
            "type": "segment-series-report",
            "attributes": {
                "statistics": ["total_members"],
                "interval": "daily",
                "timeframe": {"start": "2026-11-10T00:00:00Z", "end": "2026-11-19T00:00:01Z"},
                "filter": 'any(segment_id,["Tq4Wz9","Ab12Cd"])',
            },
        }
    }


def test_each_size_stands_at_the_place_of_its_day() -> None:
    body = a_body(["2026-11-10", "2026-11-11"], {"Tq4Wz9": [1188, None]})
    assert past_in(KLAVIYO, [HELD, OTHER], body, {}) == {
        "Tq4Wz9": [("2026-11-10", 1188), ("2026-11-11", None)]
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": {"attributes": {"date_times": []}}},
        a_body(["2026-11-10"], {"Tq4Wz9": [1, 2]}),
        {"data": {"attributes": {"date_times": [], "results": [{"groupings": {"segment_id": "Tq4Wz9"}}]}}},
    ],
)
def test_a_report_in_another_form_is_not_taken_for_one(body: object) -> None:
    with pytest.raises(UnexpectedShape):
        past_in(KLAVIYO, [HELD], body, {})


async def test_growth_of_segments_is_known_on_the_first_day_by_one_report(tmp_path: Path) -> None:
    rows = [a_segment(f"S{n:04}", f"Segment {n}", 100 + n, **OLD) for n in range(50)]
    sizes = {f"S{n:04}": [90 + n] * 20 + [91 + n] * 8 + [100 + n] for n in range(50)}
    async with asking(KLAVIYO, tmp_path, imitated(sizes, rows), variables) as there:
        answer = await there.compare("2026-11-10", limit=5)
        again = await there.compare("2026-10-25", limit=5)
    assert answer.compared is not None
    assert (answer.compared.from_vendor, answer.compared.change) == (50, 500)
    assert answer.sources[0].compared_to == "2026-11-10"
    assert again.sources[0].compared_to == "2026-10-25"
    assert there.paths("series") == [SERIES]


async def test_a_third_report_within_a_minute_waits(tmp_path: Path) -> None:
    rows = [a_segment(f"S{n:04}", f"Segment {n}", 100 + n, **OLD) for n in range(150)]
    sizes = {f"S{n:04}": [90 + n] * 29 for n in range(150)}
    async with asking(KLAVIYO, tmp_path, imitated(sizes, rows), variables) as there:
        begun = there.clock.now()
        answer = await there.compare("2026-11-10", limit=0)
        took = there.clock.now() - begun
    assert answer.compared is not None
    assert answer.compared.from_vendor == 150
    assert len(there.paths("report")) == 4  # two of sizes, and two of the past
    assert took >= 60


async def test_lists_have_no_record_and_none_is_asked_for(tmp_path: Path) -> None:
    async with asking(KLAVIYO, tmp_path, imitated({}, [a_list("Yx12ab", "VIP", 7)]), variables) as there:
        answer = await there.compare("2026-11-10")
    assert sizes_then(answer) == {"list-Yx12ab": (None, None, None)}
    assert there.paths("series") == []


async def test_figures_that_klaviyo_fills_in_of_before_a_segment_are_none(tmp_path: Path) -> None:
    rows = [
        a_segment("Tq4Wz9", "Night owls", 1204, created="2026-11-15T08:00:00+00:00"),
        a_segment("Ab12Cd", "Others", 7, **OLD),
    ]
    sizes = {"Tq4Wz9": [1000] * 29, "Ab12Cd": [5] * 29}
    async with asking(KLAVIYO, tmp_path, imitated(sizes, rows), variables) as there:
        answer = await there.compare("2026-11-10")
    assert [(row.ref, row.new, row.size_then) for row in answer.audiences] == [
        ("klaviyo:segment-Tq4Wz9", True, None),
        ("klaviyo:segment-Ab12Cd", None, 5),
    ]


async def test_nothing_is_asked_of_before_klaviyos_first_day(tmp_path: Path) -> None:
    async with asking(
        KLAVIYO,
        tmp_path,
        imitated({}, [a_segment("Ab12Cd", "Others", 7, created="2021-01-02T03:04:05+00:00")]),
        variables,
    ) as there:
        answer = await there.compare("2022-11-10")
    assert there.paths("series") == []
    assert [note for note in answer.notes or () if "nothing of before 2023-06-21" in note]


@pytest.mark.slow
async def test_klaviyos_own_sdk_sends_the_same_and_reads_the_same_days() -> None:
    answer = imitated({"Tq4Wz9": [1188] * 5 + [1204] * 5}, [])
    sent = request_for(KLAVIYO, [HELD], {}).json

    def theirs(origin: str) -> list[tuple[object, object]]:
        sdk: Any = KlaviyoAPI(api.KEY, max_retries=1, test_host=origin)
        told = sdk.Reporting.query_segment_series(sent).data.attributes
        times = [f"{each:%Y-%m-%d}" for each in told.date_times]
        return list(zip(times, told.results[0].statistics["total_members"], strict=True))

    async with serve_api(answer) as (origin, asked):
        read = await run_sync(theirs, origin)
    (request,) = asked
    assert request.path == SERIES
    assert past_in(KLAVIYO, [HELD], answer(request).body, {}) == {"Tq4Wz9": read}
    begun, ended = (
        datetime.fromisoformat(
            json.loads(request.body)["data"]["attributes"]["timeframe"][at].replace("Z", "+00:00")
        )
        for at in ("start", "end")
    )
    assert (f"{begun:%Y-%m-%dT%H:%M:%SZ}", f"{ended:%Y-%m-%dT%H:%M:%SZ}") == (
        "2026-11-10T00:00:00Z",
        "2026-11-19T00:00:01Z",
    )

"""HubSpot remembers sizes of moments that it chooses; how often is not documented."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sandbox import hubspot as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.vendors import Rate, Request, Row
from audience_mcp.vendors.hubspot import HubSpot
from tests.vendors.hubspot.case import a_list
from tests.vendors.past import asking, past_in, request_for, sizes_then

pytestmark = pytest.mark.anyio

HUBSPOT = HubSpot()
HELD = Row("4021", "Harbour leads")
RECORD = [("2026-11-09T06:00:00Z", 1100), ("2026-11-12T06:00:00.250Z", 1150), ("2026-11-12T18:00:00Z", 1160)]


def imitated(
    record: Mapping[str, Sequence[tuple[str, object]]], rows: Sequence[Any] = (), status: int = 200
) -> Any:
    """HubSpot, with the sizes of lists by id; both dates are required."""
    path = re.compile(r"/crm/lists/2026-09/([0-9]+)/size-and-edits-history/between", re.ASCII)
    lists = rows or [a_list(4021, "Harbour leads", 1204)]

    def answer(asked: Asked) -> Answer:
        found = path.fullmatch(asked.path)
        if found is None:
            return answer_as(api, asked, lists)
        if status != 200 or asked.query.keys() != {"startDate", "endDate"}:
            return Answer(
                400 if status == 200 else status, {"status": "error", "category": "VALIDATION_ERROR"}
            )
        since, until = asked.query["startDate"][0], asked.query["endDate"][0]
        told = [{"size": s, "timestamp": t} for t, s in record.get(found[1], ()) if since <= t <= until]
        return Answer(200, {"sizeHistory": told[::-1], "editHistory": []})

    return answer


def variables(origin: str) -> Mapping[str, str]:
    return {"HUBSPOT_ACCESS_TOKEN": api.KEY, "HUBSPOT_BASE_URL": origin}


def test_one_list_is_asked_for_between_two_moments() -> None:
    request = request_for(HUBSPOT, [HELD], {})
    assert request == Request(
        "crm/lists/2026-09/4021/size-and-edits-history/between",
        {"startDate": "2026-11-10T12:00:00Z", "endDate": "2026-11-18T12:00:00Z"},
    )
    assert HUBSPOT.rates({})[request.pace] == [Rate(5)]


def test_a_point_is_a_moment_and_a_size() -> None:
    body = {
        "sizeHistory": [{"size": 1188, "timestamp": "2026-10-30T06:00:00Z"}],
        "editHistory": ["2026-10-31"],
    }
    assert past_in(HUBSPOT, [HELD], body, {}) == {"4021": [("2026-10-30T06:00:00Z", 1188)]}
    with pytest.raises(UnexpectedShape):
        past_in(HUBSPOT, [HELD], {"editHistory": []}, {})


async def test_growth_is_known_on_the_first_day_with_the_moment_that_it_is_since(tmp_path: Path) -> None:
    async with asking(HUBSPOT, tmp_path, imitated({"4021": RECORD}), variables) as there:
        answer = await there.compare("2026-11-12")
        earlier = await there.compare("2026-11-12T12:00:00Z")
    assert sizes_then(answer) == {"4021": (1160, "vendor", None)}
    assert answer.sources[0].compared_to == "2026-11-12T18:00:00Z"
    assert [each.change for each in answer.audiences] == [44]
    assert earlier.sources[0].compared_to == "2026-11-12T06:00:00Z"
    assert len(there.paths("between")) == 1


async def test_between_two_points_nothing_is_claimed(tmp_path: Path) -> None:
    async with asking(HUBSPOT, tmp_path, imitated({"4021": RECORD[:1]}), variables) as there:
        answer = await there.compare("2026-11-14")
    assert sizes_then(answer) == {"4021": (None, None, None)}
    assert answer.compared is None
    assert [note for note in answer.notes or () if "its last before is of 2026-11-09T06:00:00Z" in note]


async def test_five_hundred_lists_go_on_after_the_answer_at_half_of_the_smallest_plans_pace(
    tmp_path: Path,
) -> None:
    rows = [a_list(5000 + n, f"Shop {n}", 10 + n) for n in range(40)]
    record = {str(5000 + n): [("2026-11-12T06:00:00Z", 5)] for n in range(40)}
    async with asking(HUBSPOT, tmp_path, imitated(record, rows), variables) as there:
        begun = there.clock.now()
        answer = await there.compare("2026-11-12")
    assert there.clock.now() - begun >= 40 / 5 - 1
    assert answer.compared is not None
    assert answer.compared.from_vendor == 40
    assert len(there.paths("between")) == 40


@pytest.mark.parametrize(("status", "why"), [(403, "forbidden"), (404, None)])
async def test_a_refusal_costs_no_size_of_now(tmp_path: Path, status: int, why: str | None) -> None:
    async with asking(HUBSPOT, tmp_path, imitated({}, status=status), variables) as there:
        answer = await there.compare("2026-11-12")
    assert (answer.complete, answer.sum_of_sizes) == (True, 1204)
    assert bool([note for note in answer.notes or () if f"({why})" in note]) is (why is not None)

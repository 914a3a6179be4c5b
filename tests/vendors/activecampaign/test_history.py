"""ActiveCampaign remembers each evaluation of a saved segment, of which the present size is the last."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.testing import Answer, Asked
from audience_mcp.vendors import Request, Row
from audience_mcp.vendors.activecampaign import ActiveCampaign
from tests.vendors.activecampaign import api
from tests.vendors.activecampaign.case import a_list, a_segment
from tests.vendors.bodies import row
from tests.vendors.past import asking, past_in, request_for, sizes_then

pytestmark = pytest.mark.anyio

VENDOR = ActiveCampaign()
SEGMENT = a_segment(1, "Big orders", 120)
ID = str(SEGMENT["id"])
HELD = Row(f"segment-{ID}", "Big orders", kind="segment")


def a_run(at: str, count: object) -> dict[str, object]:
    attributes = {
        "timestamp": at,
        "segment_id": ID,
        "segment_hash": "97f7",
        "run_id": "5270",
        "result_count": count,
        "active_result_count": 9,
    }
    return {"type": "SegmentCountHistory", "id": at, "attributes": attributes}


def imitated(
    runs: Sequence[tuple[str, object]], last: str, rows: Sequence[Any] = (SEGMENT,), status: int = 200
) -> Any:
    """ActiveCampaign, whose segment was evaluated then, and last at `last`: up to 50 runs, newest first."""
    path = re.compile(r"/api/3/segmentsV2/([0-9a-f-]+)/count-history/([0-9]+)", re.ASCII)

    def answer(asked: Asked) -> Answer:
        found = path.fullmatch(asked.path)
        if found is None:
            told = api.answer(asked, rows)
            if "audiences" in asked.path and isinstance(told.body, dict) and told.status == 200:
                for each in told.body["data"]:
                    each["attributes"]["counts"]["last_total"]["run_id_start"] = last
            return told
        if status != 200:
            return api.refused(status, "no")
        before = [
            (at, n)
            for at, n in runs
            if datetime.fromisoformat(at[:19] + "+00:00").timestamp() < int(found[2])
        ]
        return Answer(200, {"data": [a_run(at, n) for at, n in sorted(before, reverse=True)[:50]]})

    return answer


def variables(origin: str) -> Mapping[str, str]:
    return {"ACTIVECAMPAIGN_URL": origin, "ACTIVECAMPAIGN_API_KEY": api.KEY}


def test_the_runs_before_a_moment_are_asked_for_by_the_second_after_it() -> None:
    second = int(datetime.fromisoformat("2026-11-18T12:00:00+00:00").timestamp()) + 1
    assert request_for(VENDOR, [HELD], {}) == Request(f"api/3/segmentsV2/{ID}/count-history/{second}")


def test_a_run_is_the_contacts_that_match_and_not_the_active_ones() -> None:
    body = {"data": [a_run("2026-02-03T10:40:00.000Z", 120)]}
    assert past_in(VENDOR, [HELD], body, {}) == {ID: [("2026-02-03T10:40:00.000Z", 120)]}
    with pytest.raises(UnexpectedShape):
        past_in(VENDOR, [HELD], {}, {})


def test_a_segment_knows_the_day_of_its_size() -> None:
    one = row(VENDOR, api.sent(SEGMENT), VENDOR.listings[1])
    assert one is not None
    assert one.sized_on == "2026-02-01"


async def test_growth_is_known_on_the_first_day_from_the_run_before_the_last(tmp_path: Path) -> None:
    runs = [
        ("2026-11-09T10:40:00.000Z", 100),
        ("2026-11-11T10:40:00.000Z", 105),
        ("2026-11-19T08:00:00.000Z", 120),
    ]
    async with asking(VENDOR, tmp_path, imitated(runs, "2026-11-19T08:00:00.000Z"), variables) as there:
        answer = await there.compare("2026-11-12", kind="segment")
        again = await there.compare("2026-11-10", kind="segment")
    assert sizes_then(answer) == {f"segment-{ID}": (105, "vendor", None)}
    assert answer.sources[0].compared_to == "2026-11-11T10:40:00Z"
    assert sizes_then(again) == {f"segment-{ID}": (100, "vendor", None)}
    assert len(there.paths("count-history")) == 1


async def test_a_size_that_is_the_run_before_the_moment_has_not_changed_by_0_since(tmp_path: Path) -> None:
    runs = [("2026-11-09T10:40:00.000Z", 100), ("2026-11-11T08:00:00.000Z", 120)]
    async with asking(VENDOR, tmp_path, imitated(runs, "2026-11-11T08:00:00.000Z"), variables) as there:
        answer = await there.compare("2026-11-18", kind="segment")
    assert sizes_then(answer) == {f"segment-{ID}": (None, None, None)}
    assert [each.change for each in answer.audiences] == [None]
    assert [note for note in answer.notes or () if "1 sizes of now are themselves of then or before" in note]
    assert there.paths("count-history") == []


async def test_fifty_runs_in_a_day_are_not_all_that_there_are(tmp_path: Path) -> None:
    busy = [(f"2026-11-12T{n // 60:02}:{n % 60:02}:00.000Z", 100 + n) for n in range(200)]
    runs = [("2026-11-08T00:00:00.000Z", 50), *busy]
    async with asking(VENDOR, tmp_path, imitated(runs, "2026-11-19T08:00:00.000Z"), variables) as there:
        late = await there.compare("2026-11-12", kind="segment")
        early = await there.compare("2026-11-12T01:00:00Z", kind="segment")
    assert sizes_then(late) == {f"segment-{ID}": (299, "vendor", None)}
    assert sizes_then(early) == {f"segment-{ID}": (160, "vendor", None)}
    assert len(there.paths("count-history")) == 2


async def test_lists_have_no_record_and_none_is_asked_for(tmp_path: Path) -> None:
    async with asking(VENDOR, tmp_path, imitated([], "x", [a_list(7, "Kiln news", 812)]), variables) as there:
        await there.compare("2026-11-12")
    assert there.paths("count-history") == []


async def test_a_plan_without_the_record_costs_one_request_and_a_note(tmp_path: Path) -> None:
    rows = [a_segment(n, f"S {n}", n) for n in range(1, 30)]
    answering = imitated([], "2026-11-19T08:00:00.000Z", rows, status=403)
    async with asking(VENDOR, tmp_path, answering, variables) as there:
        await there.compare("2026-11-12")
        answer = await there.compare("2026-11-12")
    assert (answer.complete, answer.sum_of_sizes) == (True, sum(range(1, 30)))
    assert [note for note in answer.notes or () if "to this key (forbidden)" in note]
    assert len(there.paths("count-history")) == 1

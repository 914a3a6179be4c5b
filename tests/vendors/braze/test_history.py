"""Braze remembers an estimate for each day; a hundred of them come with the size."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.query import ListQuery
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.testing import serve_api
from audience_mcp.vendors import Request, Row
from audience_mcp.vendors.braze import Braze
from tests.vendors.bodies import account, sizes_in
from tests.vendors.braze import api
from tests.vendors.braze.case import row, uuid
from tests.vendors.past import asking, past_in, request_for, sizes_then

pytestmark = pytest.mark.anyio

BRAZE = Braze()
VALUES = account(BRAZE).values
HELD = Row(uuid(1), "Ferry riders")


def variables(origin: str) -> Mapping[str, str]:
    return {"BRAZE_API_KEY": api.KEY, "BRAZE_REST_ENDPOINT": origin}


def series(last: str, *sizes: object) -> list[dict[str, object]]:
    """Days in a row with these sizes, the last one given."""
    end = date.fromisoformat(last)
    return [
        {"time": (end - timedelta(days=len(sizes) - 1 - n)).isoformat(), "size": size}
        for n, size in enumerate(sizes)
    ]


def a_segment(number: int, *sizes: object, last: str = "2026-11-20") -> dict[str, Any]:
    return row(number, f"Segment {number}", None, series=series(last, *sizes))


def test_days_that_did_not_come_along_are_asked_for_by_their_last_moment() -> None:
    assert request_for(BRAZE, [HELD], VALUES) == Request(
        "segments/data_series", {"segment_id": uuid(1), "length": "10", "ending_at": "2026-11-18T12:00:00Z"}
    )


def test_a_series_is_days_with_sizes_in_any_order() -> None:
    data = [{"time": "2026-11-11", "size": 8}, "x", {"time": "2026-11-10", "size": None}]
    body = {"message": "success", "data": data}
    assert past_in(BRAZE, [HELD], body, VALUES) == {uuid(1): [("2026-11-11", 8), ("2026-11-10", None)]}
    with pytest.raises(UnexpectedShape):
        past_in(BRAZE, [HELD], {"message": "success"}, VALUES)


def test_the_size_and_the_days_before_it_are_of_one_answer() -> None:
    body = {"message": "success", "data": series("2026-11-20", 5, 6, 7)}
    (counted,) = sizes_in(BRAZE, [HELD], body, VALUES).values()
    assert (counted.size, counted.sized_on) == (7, "2026-11-20")
    assert list(counted.past) == [("2026-11-18", 5), ("2026-11-19", 6), ("2026-11-20", 7)]


async def test_what_grew_in_a_quarter_of_a_year_costs_no_further_request(tmp_path: Path) -> None:
    rows = [a_segment(1, *range(1000, 1100)), a_segment(2, *range(100, 0, -1))]
    async with asking(BRAZE, tmp_path, lambda asked: api.answer(asked, rows), variables) as there:
        answer = await there.compare("2026-11-12", sort="growth")
        again = await there.compare("2026-09-01")
    assert sizes_then(answer) == {
        uuid(1): (1091, "vendor", None),
        uuid(2): (9, "vendor", None),
    }
    assert [each.change for each in answer.audiences] == [8, -8]
    assert answer.sources[0].compared_to == "2026-11-12"
    assert sizes_then(again)[uuid(1)] == (1019, "vendor", None)
    assert len(there.paths("data_series")) == 2
    assert answer.notes is not None
    assert "2 of 2 sizes then are Braze's own record, of 2026-11-12" in answer.notes[0]
    assert "estimate from another sample of users" in answer.notes[0]


async def test_days_of_longer_ago_cost_a_request_a_segment(tmp_path: Path) -> None:
    rows = [a_segment(1, *range(300))]
    async with asking(BRAZE, tmp_path, lambda asked: api.answer(asked, rows), variables) as there:
        answer = await there.compare("2026-07-01")
    assert sizes_then(answer) == {uuid(1): (157, "vendor", None)}
    assert len(there.paths("data_series")) == 2


async def test_the_first_day_that_came_along_may_be_cut_and_is_asked_for_where_it_is_needed(
    tmp_path: Path,
) -> None:
    rows = [a_segment(1, *range(300))]

    def cut(asked: Asked) -> Answer:
        answer = api.answer(asked, rows)
        if "data_series" in asked.path and "ending_at" not in asked.query:
            assert isinstance(answer.body, dict)
            first, *rest = answer.body["data"]
            answer.body["data"] = [{**first, "size": 3}, *rest]
        return answer

    async with asking(BRAZE, tmp_path, cut, variables) as there:
        assert sizes_then(await there.compare("2026-08-14")) == {uuid(1): (201, "vendor", None)}
        assert len(there.paths("data_series")) == 1
        assert sizes_then(await there.compare("2026-08-13")) == {uuid(1): (200, "vendor", None)}
        assert len(there.paths("data_series")) == 2


async def test_zeros_before_the_first_figure_are_none(tmp_path: Path) -> None:
    rows = [a_segment(1, *([0] * 95), 5, 6, 7, 8, 9)]
    async with asking(BRAZE, tmp_path, lambda asked: api.answer(asked, rows), variables) as there:
        answer = await there.compare("2026-11-10")
        assert sizes_then(answer) == {uuid(1): (None, None, None)}
        assert answer.compared is None or answer.compared.sum_then == 0
        assert sizes_then(await there.compare("2026-11-18")) == {uuid(1): (7, "vendor", None)}


async def test_where_braze_lags_the_day_of_the_size_is_no_size_then(tmp_path: Path) -> None:
    rows = [a_segment(1, 5, 6, 7, last="2026-11-18")]
    async with asking(BRAZE, tmp_path, lambda asked: api.answer(asked, rows), variables) as there:
        answer = await there.compare("2026-11-18")
        assert sizes_then(answer) == {uuid(1): (None, None, None)}
        assert [note for note in answer.notes or () if "1 sizes of now are themselves of then" in note]
        assert sizes_then(await there.compare("2026-11-17")) == {uuid(1): (6, "vendor", None)}


async def test_a_process_that_finds_the_sizes_counted_finds_their_days_too(tmp_path: Path) -> None:
    rows = [a_segment(1, 5, 6, 7, last="2026-11-18"), a_segment(2, *range(40, 60))]

    def imitated(asked: Asked) -> Answer:
        return api.answer(asked, rows)

    async with serve_api(imitated) as (origin, requests):
        async with asking(BRAZE, tmp_path, imitated, lambda _: variables(origin)) as first:
            await first.catalog.list_audiences(ListQuery())
        counted = [each for each in requests if "data_series" in each.path]
        async with asking(BRAZE, tmp_path, imitated, lambda _: variables(origin)) as second:
            answer = await second.compare("2026-11-18")
    assert len(counted) == 2
    assert [each for each in requests if "data_series" in each.path] == counted
    assert sizes_then(answer) == {uuid(1): (None, None, None), uuid(2): (57, "vendor", None)}

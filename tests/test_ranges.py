"""Sizes that a vendor gives as a range: kept as one, summed at both ends, filtered by the end that counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.sandbox import Answer, Asked, meta
from audience_mcp.sandbox.exchange import RefusedError
from audience_mcp.testing import serve_api
from audience_mcp.vendors.registry import built_in_vendors

pytestmark = pytest.mark.anyio


def row(id: int, name: str, low: int, high: int) -> dict[str, object]:
    return {
        **meta.meta_rows()[0],
        "id": str(id),
        "name": name,
        "approximate_count_lower_bound": low,
        "approximate_count_upper_bound": high,
    }


ROWS = [
    row(1, "Wide", 1_000, 9_000),
    row(2, "Exact", 5_000, 5_000),
    row(3, "Unknown", -1, -1),
    row(4, "Small", 0, 1_000),
]
CONTACTS = {"status": "200", "data": [{"id": "9", "name": "Wide", "type": "Static", "user_count": 400}]}


@asynccontextmanager
async def opened() -> AsyncIterator[Catalog]:
    """A catalog of ranges at Meta and of one plain size at CommBox."""

    def answer(asked: Asked) -> Answer:
        if asked.path == "/audiences":
            return Answer(200, CONTACTS)
        try:
            return meta.answer(asked, ROWS)
        except RefusedError as refused:
            return meta.refusal(refused)

    async with serve_api(answer) as (origin, _):
        variables = {
            **meta.environment(origin),
            "COMMBOX_API_KEY": "made-up-key",
            "COMMBOX_BASE_URL": origin,
        }
        async with open_catalog(load_configuration(variables, built_in_vendors())) as catalog:
            yield catalog


async def refs(**query: object) -> list[str]:
    async with opened() as catalog:
        answer = await catalog.list_audiences(ListQuery(**query))  # type: ignore[arg-type]
    return sorted(audience.ref for audience in answer.audiences)


async def test_a_range_is_shown_with_both_its_ends_and_an_exact_size_with_one_more_at_most() -> None:
    async with opened() as catalog:
        answer = await catalog.list_audiences(ListQuery(sources=["meta"]))
    shown = {audience.name: (audience.size, audience.size_max) for audience in answer.audiences}
    assert shown["Wide"] == (1_000, 9_000)
    assert shown["Exact"][0] == 5_000
    assert shown["Exact"][1] in (None, 5_000)
    assert shown["Unknown"] == (None, None)
    assert shown["Small"] == (0, 1_000)


async def test_a_sum_of_ranges_has_both_ends_and_plain_sizes_count_in_both() -> None:
    async with opened() as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.sum_of_sizes, answer.sum_max, answer.unknown_sizes) == (6_400, 15_400, 1)
    reports = {report.source: (report.sum_of_sizes, report.sum_max) for report in answer.sources}
    assert reports == {"meta": (6_000, 15_000), "commbox": (400, None)}


async def test_a_sum_without_ranges_has_no_upper_end() -> None:
    async with opened() as catalog:
        answer = await catalog.list_audiences(ListQuery(sources=["commbox"], limit=0))
    assert (answer.sum_of_sizes, answer.sum_max) == (400, None)


async def test_the_lower_end_counts_for_at_least_and_the_upper_for_at_most() -> None:
    assert await refs(min_size=1_001) == ["meta:2"]
    assert await refs(min_size=1_000) == ["meta:1", "meta:2"]
    assert await refs(max_size=8_999) == ["commbox:9", "meta:2", "meta:4"]
    assert await refs(max_size=9_000) == ["commbox:9", "meta:1", "meta:2", "meta:4"]


async def test_an_unknown_size_is_neither_at_least_nor_at_most_anything() -> None:
    assert "meta:3" not in await refs(min_size=0)
    assert "meta:3" not in await refs(max_size=2**53)


async def test_a_group_of_ranges_has_both_ends_too() -> None:
    async with opened() as catalog:
        answer = await catalog.list_audiences(ListQuery(group_by="name"))
    (wide,) = answer.groups or []
    assert (wide.key, wide.matched, wide.sum_of_sizes, wide.sum_max) == ("Wide", 2, 1_400, 9_400)


async def test_one_audience_is_a_range_by_ref_as_in_the_list() -> None:
    async with opened() as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience="meta:1"))).audiences
    assert (one.size, one.size_max) == (1_000, 9_000)

"""Sizes that a vendor gives as a range: kept as one, summed at both ends, filtered by the end that counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.sandbox import Answer, Asked, meta
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.sandbox.exchange import RefusedError
from audience_mcp.sources.rows import row_of
from audience_mcp.store import open_store
from audience_mcp.testing import serve_api
from audience_mcp.vendors import Listing
from audience_mcp.vendors.openaiads import OpenAiAds
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.openaiads import api as openaiads
from tests.vendors.openaiads.case import row as open_row

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
    assert "meta:3" not in await refs(min_size=1)
    assert "meta:3" not in await refs(max_size=2**53)


async def test_a_group_of_ranges_has_both_ends_too() -> None:
    async with opened() as catalog:
        answer = await catalog.list_audiences(ListQuery(group_by="name"))
    (wide,) = answer.groups or []
    assert (wide.key, wide.matched, wide.sum_of_sizes, wide.sum_max) == ("Wide", 2, 1_400, 9_400)


# --- Ranges without an upper end ----------------------------------------------------------------------


OPEN = [open_row(1, "Many", "5m_plus"), open_row(2, "Some", "25k_100k"), open_row(3, "Few", "under_25k")]


@asynccontextmanager
async def half_open(store: Path | None = None) -> AsyncIterator[Catalog]:
    """A catalog of three ranges at OpenAI Ads, one of them without an upper end, and of ranges at Meta."""

    def answer(asked: Asked) -> Answer:
        if "customaudiences" in asked.path:
            return answer_as(meta, asked, ROWS)
        return openaiads.answer(asked, OPEN)

    async with serve_api(answer) as (origin, _):
        variables = {
            **meta.environment(origin),
            "OPENAI_ADS_API_KEY": openaiads.KEY,
            "OPENAI_ADS_BASE_URL": f"{origin}/v1",
        }
        kept = open_store(str(store)) if store else None
        async with open_catalog(load_configuration(variables, built_in_vendors()), store=kept) as catalog:
            yield catalog


async def test_over_a_range_without_an_upper_end_there_is_no_upper_sum_and_a_note_says_so() -> None:
    async with half_open() as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
        without = await catalog.list_audiences(ListQuery(limit=0, search="-many"))
    assert (answer.sum_of_sizes, answer.sum_max) == (6_000 + 5_025_000, None)
    assert {report.source: report.sum_max for report in answer.sources} == {"meta": 15_000, "openaiads": None}
    note = "No sum_max: 1 audience with a range that has no upper end (openaiads)."
    assert note in (answer.notes or ())
    assert (without.sum_of_sizes, without.sum_max) == (6_000 + 25_000, 15_000 + 99_999 + 24_999)
    assert note not in (without.notes or ())


async def test_a_range_without_an_upper_end_is_at_least_its_lower_one_and_never_at_most_anything() -> None:
    async with half_open() as catalog:
        least = await catalog.list_audiences(ListQuery(min_size=5_000_000))
        most = await catalog.list_audiences(ListQuery(sources=["openaiads"], max_size=2**53))
    assert [row.name for row in least.audiences] == ["Many"]
    assert {row.name for row in most.audiences} == {"Some", "Few"}


async def test_a_group_with_a_range_without_an_upper_end_has_no_upper_sum() -> None:
    async with half_open() as catalog:
        answer = await catalog.list_audiences(ListQuery(group_by="source"))
    assert {group.key: group.sum_max for group in answer.groups or ()} == {"meta": 15_000, "openaiads": None}


async def test_that_a_range_has_no_upper_end_is_remembered_with_the_reading(tmp_path: Path) -> None:
    for _ in range(2):
        async with half_open(tmp_path) as catalog:
            answer = await catalog.list_audiences(ListQuery(sources=["openaiads"]))
        assert (answer.sum_max, answer.audiences[0].size_max) == (None, None)
        assert any("no upper end" in note for note in answer.notes or ())


def test_a_size_that_is_not_known_and_one_with_an_upper_end_are_not_open_ended() -> None:
    class Careless(OpenAiAds):
        def refine(self, row: Row, raw: Mapping[str, Any], listing: Listing) -> None:
            row.size, row.size_max, row.open_ended = raw["low"], raw["high"], raw["open"]

    vendor = Careless()

    def open_ended(low: object, high: object, said: object) -> bool:
        found = row_of(vendor, vendor.listings[0], {"id": "caud_1", "low": low, "high": high, "open": said})
        assert found is not None
        return found.open_ended

    assert open_ended(5, None, True) is True
    assert open_ended(None, None, True) is False
    assert open_ended(5, 9, True) is False
    assert open_ended(5, None, "yes") is False


async def test_one_audience_is_a_range_by_ref_as_in_the_list() -> None:
    async with opened() as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience="meta:1"))).audiences
    assert (one.size, one.size_max) == (1_000, 9_000)

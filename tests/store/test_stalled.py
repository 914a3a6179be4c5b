"""Sizes that have stayed the same for 30 days: of which audiences that is known, and of which it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.audience import Row
from audience_mcp.core.values import as_count
from audience_mcp.store import open_store
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.stored import Unchanged, from_ms, to_ms
from audience_mcp.vendors import Listing
from tests.store.conftest import Open
from tests.store.uses import owner
from tests.support.clock import START, FakeClock
from tests.support.scripted import Acme, Script, catalog_of

pytestmark = pytest.mark.anyio

DAY = 86_400
READ_ON = (0, 8, 16, 20, 24, 28)
"""Days of readings before the last one, on day 31: five of them are among its last 30 days."""


class Following(Acme):
    """Audiences that follow a rule, or do not, some with a range for a size."""

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        row.type = "static" if raw.get("static") else "dynamic"
        row.size_max = as_count(raw.get("upper"))


ROWS: list[dict[str, Any]] = [
    {"id": "a1", "name": "Stalled", "size": 40},
    {"id": "a2", "name": "A list", "size": 40, "static": True},
    {"id": "a3", "name": "A range", "size": 40, "upper": 80},
    {"id": "a4", "name": "Unknown", "size": None},
    {"id": "a5", "name": "Empty", "size": 0},
    {"id": "a6", "name": "Moving", "size": 1},
]


class World:
    """A vendor that is read on some days."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.clock = FakeClock()

    @asynccontextmanager
    async def catalog(self, rows: list[dict[str, Any]]) -> AsyncIterator[Catalog]:
        store = open_store(str(self.folder), self.clock) if self.folder is not None else None
        script = Script({"": {"rows": rows}})
        values = {"acme": {"base_url": "https://acme.example"}}
        async with catalog_of(
            self.clock, {"acme": script}, kind=Following, values=values, store=store
        ) as catalog:
            yield catalog
            if store is not None:
                await store.saved()

    async def read_on(self, days: tuple[int, ...], last: int = 31) -> None:
        """Read on these days, each time with another size for the one that moves."""
        for day in days:
            self.clock.advance((START + timedelta(days=day) - self.clock.utc()).total_seconds())
            async with self.catalog([*ROWS[:-1], {**ROWS[-1], "size": day + 1}]) as catalog:
                await catalog.list_audiences(ListQuery(refresh=True))
        self.clock.advance((START + timedelta(days=last) - self.clock.utc()).total_seconds())

    async def stalled(self, rows: list[dict[str, Any]] = ROWS, **arguments: Any) -> list[str]:
        async with self.catalog(rows) as catalog:
            answer = await catalog.list_audiences(ListQuery(issue=["stalled"], refresh=True, **arguments))
            return [row.ref.partition(":")[2] for row in answer.audiences]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store")


async def test_a_dynamic_audience_of_the_same_size_for_30_days_is_stalled_with_since_when(
    world: World,
) -> None:
    await world.read_on(READ_ON)
    async with world.catalog(ROWS) as catalog:
        full = await catalog.list_audiences(ListQuery(detail="full", refresh=True))
        issues = {row.ref: row.issues for row in full.audiences}
        assert issues["acme:a1"] == ["stalled: the same size since 2026-11-20 or longer"]
        assert issues["acme:a5"] == ["empty", "stalled: the same size since 2026-11-20 or longer"]
        assert [issues[f"acme:a{n}"] for n in (2, 3, 4, 6)] == [None] * 4
        groups = await catalog.list_audiences(ListQuery(group_by="issue"))
        assert {g.key: g.matched for g in groups.groups or ()} == {"empty": 1, "stalled": 2}
        found = await catalog.get_audience(GetQuery(audience="acme:a1"))
        assert found.audiences[0].issues == issues["acme:a1"]
    assert await world.stalled() == ["a1", "a5"]


async def test_a_size_that_is_another_one_now_is_not_stalled(world: World) -> None:
    await world.read_on(READ_ON)
    assert await world.stalled([{**ROWS[0], "size": 41}, ROWS[4]]) == ["a5"]


@pytest.mark.parametrize(
    ("days", "last"), [((0, 8, 16, 24, 28), 31), ((2, 8, 16, 20, 24, 28), 31), (READ_ON, 29)]
)
async def test_what_was_read_on_too_few_days_or_for_too_short_a_time_is_not_claimed(
    world: World, days: tuple[int, ...], last: int
) -> None:
    await world.read_on(days, last)
    assert await world.stalled() == []


async def test_without_a_store_nothing_is_stalled() -> None:
    world = World(None)
    await world.read_on(READ_ON)
    assert await world.stalled() == []


async def test_another_days_question_in_the_same_process_is_judged_anew(world: World) -> None:
    await world.read_on(READ_ON, last=29)
    async with world.catalog(ROWS) as catalog:
        query = ListQuery(issue=["stalled"], limit=0)
        assert (await catalog.list_audiences(query)).matched == 0
        world.clock.advance(2 * DAY)
        assert (await catalog.list_audiences(replace_refresh(query))).matched == 2


def replace_refresh(query: ListQuery) -> ListQuery:
    """The same question, with the vendors read again."""
    return query.model_copy(update={"refresh": True})


def test_sizes_that_are_counted_one_by_one_are_judged_by_when_they_were_counted(opened: Open) -> None:
    backend = opened()
    now = from_ms(1_795_000_000_000)
    days = (40, 25, 20, 15, 10, 5)
    for ago in days:
        at = now - timedelta(days=ago)
        sizes = {"same": 9, "moves": ago, "refused": None if ago == 15 else 9, "few": 9 if ago > 10 else None}
        rows = [Row(id, id, size, "dynamic", counted_at=at) for id, size in sizes.items()]
        backend.history(partial(HistoryPart.record, owner=owner(), rows=rows, moment=to_ms(at)))
    since = to_ms(now - timedelta(days=30))
    found = backend.history(lambda history: history.find_unchanged(owner(), since, 5))
    assert found == {"same": Unchanged(9, now - timedelta(days=40))}

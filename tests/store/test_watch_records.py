"""`watch` with what vendors remember: what is judged by it, how that is said, and when it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.changes import parse_change
from audience_mcp.catalog.query import ListQuery, parse_arguments
from audience_mcp.catalog.watch import ALL, Conditions, Watched
from audience_mcp.cli import watching
from audience_mcp.cli.output import Output
from audience_mcp.config import load_configuration
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.store import open_store
from tests.store.test_recall import DAY, Vendor, World, day, days
from tests.support.clock import START, FakeClock
from tests.test_counts import Api, Counting

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store")


async def watch(world: World, vendor: Vendor, conditions: Conditions, days_ago: int = 7) -> Watched:
    since = {"compare_to": to_rfc3339(world.clock.utc() - days_ago * DAY)}
    async with world.catalog(vendor) as catalog:
        return await catalog.watch(parse_arguments(ListQuery, since), conditions)


async def test_what_is_judged_by_a_vendors_record_says_so_and_that_gone_alone_is_unknown(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor = Vendor({"a1": 100, "a2": 100}, {"a1": days([500], ends=8), "a2": days([400], ends=9)})
    watched = await watch(world, vendor, ALL)
    assert {each.conditions[0] for each in watched.found} == {"drop"}
    (note,) = watched.unjudged
    assert note.startswith("acme: no reading of ours")
    assert "gone is unknown" in note
    watching._show(watched, Output())
    for out in (capsys.readouterr().out, watching._as_markdown(watched)):
        assert f"then: the vendor's own record of {day(8)}" in out
        assert f"then: the vendor's own record of {day(9)}" in out
        assert "2 of 2 sizes then are Acme's own record" in out
        assert "reading of ours is compared" not in out
    assert (await watch(world, vendor, Conditions(drop=parse_change("10%")))).unjudged == []


async def test_a_reading_of_ours_that_nothing_is_judged_by_is_not_named(world: World) -> None:
    vendor = Vendor({"a1": 100}, {"a1": days([500], ends=8)})
    await world.read(vendor)
    world.pass_days(1)
    dropped = await watch(world, vendor, Conditions(drop=parse_change("10%")), 8)
    assert (len(dropped.found), dropped.moments, dropped.late) == (1, {}, [])
    assert list((await watch(world, vendor, ALL, 8)).moments) == ["acme"]


async def test_watching_for_issues_or_for_what_is_gone_asks_vendors_for_no_record(world: World) -> None:
    vendor = Vendor({"a1": 0}, {"a1": days([500] * 20)})
    for conditions in (Conditions(issues=frozenset(["empty"])), Conditions(gone=True)):
        await watch(world, vendor, conditions)
        assert vendor.recalled == []
    world.pass_days(1)
    async with world.catalog(vendor) as catalog:
        query = parse_arguments(ListQuery, {"compare_to": day(-1 + 7)})
        gone = await catalog.watch(query, Conditions(gone=True))
        assert gone.answer.audiences[0].then_from is None
        assert vendor.recalled == []
        dropped = await catalog.watch(query, Conditions(drop=parse_change("10%")))
    assert dropped.found[0].audience.then_from == "vendor"


async def test_a_size_that_was_counted_at_another_moment_names_it_in_its_row_also_of_what_is_gone(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])

    @asynccontextmanager
    async def catalog(*ids: int) -> AsyncIterator[Catalog]:
        api, store = Api([*ids], clock), open_store(str(tmp_path), clock)
        async with open_catalog(configured, clock=clock, connect=lambda _: api.fetch, store=store) as each:
            yield each
            await store.saved()

    async with catalog(1, 2) as first:
        await first.record()
    clock.advance(1800)
    async with catalog(1, 2) as later:
        await later.record()
    clock.advance(86_400)
    async with catalog(1) as now:
        since = parse_arguments(ListQuery, {"compare_to": "2026-11-20T13:00:00Z"})
        watched = await now.watch(since, Conditions(gone=True))
    (gone,) = watched.found
    assert watched.moments["acme"] == START + timedelta(minutes=30)
    assert (gone.audience.size_then, gone.audience.then_as_of) == (20, to_rfc3339(START))
    assert "then: counted 2026-11-20 12:00 UTC" in watching._as_markdown(watched)

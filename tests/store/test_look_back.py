"""Questions about how it was: answered from what is stored, with no vendor asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.index import Index
from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import ListQuery, parse_arguments
from audience_mcp.config import Account, load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import InvalidArgument, ToolError, VendorError
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.talk import Fetch
from audience_mcp.store import open_store
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.stored import Baseline, NoBaseline, Owner, StoreError
from tests.store.test_compare import DAY, Nesting, World, counted_anew, page
from tests.support.clock import FakeClock
from tests.support.scripted import Script, catalog_of
from tests.test_counts import Api, Counting

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store", FakeClock())


class Silent(Script):
    """A vendor that must not be asked."""

    async def fetch(self, request: object) -> object:
        raise AssertionError("a vendor was asked")


async def look(world: World, as_of: str, *sources: str, **query: Any) -> AudienceList:
    """What a new process says of a moment, with vendors that must not be asked."""
    async with world.catalog({name: Silent() for name in sources or ("acme",)}) as catalog:
        return await asked(catalog, as_of, **query)


async def asked(catalog: Catalog, as_of: str, **query: Any) -> AudienceList:
    return await catalog.list_audiences(parse_arguments(ListQuery, {"as_of": as_of, **query}))


def sizes(answer: AudienceList) -> dict[str, int | None]:
    return {row.ref.partition(":")[2]: row.size for row in answer.audiences}


async def test_the_sizes_of_a_past_moment_come_from_the_store_alone(world: World) -> None:
    await world.read({"a1": 100, "a2": 50, "a3": None}, days=7)
    await world.read({"a1": 120, "a3": 5, "a4": 9}, days=3)
    answer = await look(world, "2026-11-22")
    assert sizes(answer) == {"a1": 100, "a2": 50, "a3": None}
    assert (answer.matched, answer.sum_of_sizes, answer.unknown_sizes) == (3, 150, 1)
    assert answer.complete
    (report,) = answer.sources
    assert (report.as_of, report.audiences) == ("2026-11-20T12:00:00Z", 3)
    unknown = next(row for row in answer.audiences if row.size is None)
    assert unknown.size_note == "unknown then"


async def test_a_bare_date_is_its_end_and_today_is_now(world: World) -> None:
    await world.read({"a1": 1}, days=1 / 4)  # the 20th, at noon
    await world.read({"a1": 2}, days=1 / 8)  # at six
    assert sizes(await look(world, "2026-11-20")) == {"a1": 2}
    world.clock.advance(DAY)
    assert sizes(await look(world, "2026-11-20")) == {"a1": 2}
    assert sizes(await look(world, "2026-11-20T17:59:59Z")) == {"a1": 1}


async def test_a_moment_that_lies_ahead_is_a_bad_value(world: World) -> None:
    await world.read({"a1": 1}, days=1 / 8)
    async with world.catalog({"acme": Silent()}) as catalog:
        with pytest.raises(
            InvalidArgument, match="'as_of' must not lie ahead: it is 2026-11-20T15:00:00Z now"
        ):
            await asked(catalog, "2026-11-21")


async def test_before_the_first_reading_the_first_one_answers_and_that_is_said(world: World) -> None:
    await world.read({"a1": 1}, days=5)
    answer = await look(world, "2026-11-01")
    assert sizes(answer) == {"a1": 1}
    assert answer.sources[0].as_of == "2026-11-20T12:00:00Z"
    assert answer.notes is not None
    assert any("nothing is stored at 2026-11-01T23:59:59Z or before" in note for note in answer.notes)


async def test_two_past_moments_are_compared_with_each_other(world: World) -> None:
    await world.read({"a1": 100, "a2": 7, "a9": 30}, days=30)
    await world.read({"a1": 150, "a2": 7, "a3": 4}, days=30)
    await world.read({"a1": 999}, days=30)
    answer = await look(world, "2026-12-25", compare_to="2026-11-25", sort="growth_pct")
    assert [
        (row.ref[5:], row.size, row.size_then, row.change, row.change_pct) for row in answer.audiences
    ] == [
        ("a1", 150, 100, 50, 50.0),
        ("a2", 7, 7, 0, 0.0),
        ("a3", 4, None, None, None),
    ]
    assert answer.compared is not None
    assert (answer.compared.sum_then, answer.compared.sum_now) == (107, 157)
    assert (answer.compared.new, answer.compared.gone) == (1, 1)
    (report,) = answer.sources
    assert (report.as_of, report.compared_to) == ("2026-12-20T12:00:00Z", "2026-11-20T12:00:00Z")


@pytest.mark.parametrize("compare_to", ["2026-11-22", "2026-11-23", "2026-11-22T23:59:59.999Z"])
async def test_the_moment_to_compare_with_must_be_the_earlier_one(world: World, compare_to: str) -> None:
    await world.read({"a1": 1}, days=5)
    async with world.catalog({"acme": Silent()}) as catalog:
        with pytest.raises(
            InvalidArgument, match=r"'compare_to' must be before as_of \(2026-11-22T23:59:59Z\)"
        ):
            await asked(catalog, "2026-11-22", compare_to=compare_to)


def described(sizes: Mapping[str, int], **facts: Any) -> dict[str, Any]:
    made = page(sizes)
    for row in made["rows"]:
        row |= facts
    return made


async def test_what_history_does_not_keep_is_of_the_last_reading_and_unknown_of_what_it_lacks(
    world: World,
) -> None:
    await world.read({"a1": 100, "a2": 50}, days=2)
    now = described({"a1": 120}, dynamic=True, created="2026-03-04T05:06:07Z")
    async with world.catalog({"acme": Script({"": now})}) as catalog:
        await catalog.list_audiences(ListQuery())
        answer = await asked(catalog, "2026-11-20", detail="full", sort="name")
        assert [
            (row.ref[5:], row.size, row.type, row.status, row.created_at) for row in answer.audiences
        ] == [
            ("a1", 100, "dynamic", None, "2026-03-04T05:06:07Z"),
            ("a2", 50, "unknown", "unknown", None),
        ]
        assert answer.notes is not None
        notes = " ".join(answer.notes)
        assert "those of the last reading" in notes
        assert "1 of the audiences then are in no reading that is still kept" in notes
        for filters in ({"type": ["static"]}, {"status": ["failed"]}, {"created_before": "2026-01-01"}):
            assert (await asked(catalog, "2026-11-20", **filters)).matched == 0
        for filters in ({"type": ["dynamic"]}, {"status": ["ready"]}):
            assert sizes(await asked(catalog, "2026-11-20", **filters)) == {"a1": 100}
    # Another process finds the last reading in the store.
    assert sizes(await look(world, "2026-11-20", type=["dynamic"])) == {"a1": 100}
    world.clock.advance(2 * DAY)  # when it is kept no longer
    later = await look(world, "2026-11-20", detail="full")
    assert {row.type for row in later.audiences} == {"unknown"}


async def test_what_lies_within_another_is_not_added_again_though_history_keeps_no_parents(
    world: World,
) -> None:
    rows = described({"a2": 40}, within=True)["rows"]
    first = {"rows": [*page({"a1": 100})["rows"], *rows]}
    async with world.catalog({"acme": Script({"": first})}) as catalog:
        await catalog.list_audiences(ListQuery())
        world.clock.advance(DAY)
        answer = await asked(catalog, "2026-11-20")
    assert (answer.matched, answer.sum_of_sizes) == (2, 100)


async def test_ranges_of_the_past_have_both_ends_and_one_without_an_upper_end_says_so(world: World) -> None:
    rows = [*described({"a1": 100}, upper=150)["rows"], *page({"a2": 7})["rows"]]
    async with world.catalog({"acme": Script({"": {"rows": rows}})}) as catalog:
        await catalog.list_audiences(ListQuery())
    world.clock.advance(DAY)
    answer = await look(world, "2026-11-20")
    assert [(row.size, row.size_max) for row in answer.audiences] == [(100, 150), (7, None)]
    assert (answer.sum_of_sizes, answer.sum_max) == (107, 157)
    async with world.catalog({"acme": Script({"": described({"a1": 100}, open=True)})}) as catalog:
        await catalog.list_audiences(ListQuery())
    answer = await look(world, "2026-11-21")
    assert (answer.audiences[0].size_note, answer.sum_max) == ("100 or more: no upper end is given", None)


async def test_a_source_of_which_nothing_is_stored_is_missing_and_never_zero(world: World) -> None:
    await world.read({"a1": 5}, days=2)
    answer = await look(world, "2026-11-21", "acme", "other")
    assert (answer.matched, answer.sum_of_sizes, answer.complete) == (1, 5, False)
    other = next(report for report in answer.sources if report.source == "other")
    assert (other.audiences, other.complete) == (None, False)
    assert other.error is not None
    assert "nothing is stored of it" in other.error.message
    async with world.catalog({"other": Silent()}) as catalog:
        with pytest.raises(ToolError, match="other: nothing is stored of it"):
            await asked(catalog, "2026-11-21")


async def test_a_source_that_cannot_be_read_now_is_answered_as_it_was(world: World) -> None:
    await world.read({"a1": 5}, days=2)
    script = Script({"": VendorError("unauthorized", "acme refused the key.")})
    async with world.catalog({"acme": script}) as catalog:
        answer = await asked(catalog, "2026-11-21")
    assert (sizes(answer), answer.complete, script.asked) == ({"a1": 5}, True, [])


async def test_what_was_stored_a_moment_ago_is_part_of_today(world: World) -> None:
    async with world.catalog({"acme": Script({"": [page({"a1": 1}), page({"a1": 2})]})}) as catalog:
        await catalog.list_audiences(ListQuery())
        assert sizes(await asked(catalog, "2026-11-20")) == {"a1": 1}
        world.clock.advance(60)
        await catalog.list_audiences(ListQuery(refresh=True))
        assert sizes(await asked(catalog, "2026-11-20")) == {"a1": 2}


async def test_other_filters_groups_and_searches_hold_for_the_past(world: World) -> None:
    await world.read({"a1": 100, "a2": 50, "a3": 7}, days=2)
    await world.read({"a1": 1}, days=2)
    assert sizes(await look(world, "2026-11-20", min_size=10, sort="size_asc")) == {"a2": 50, "a1": 100}
    assert sizes(await look(world, "2026-11-20", search="name of a3")) == {"a3": 7}
    grouped = await look(world, "2026-11-20", group_by="source")
    assert grouped.groups is not None
    assert [(group.key, group.sum_of_sizes) for group in grouped.groups] == [("acme", 157)]
    totals = await look(world, "2026-11-20", limit=0)
    assert (totals.matched, totals.median_size) == (3, 50)
    listed = await look(world, "2026-11-20", missing_in=["acme"])
    assert listed.matched == 0
    empty = await look(world, "2026-11-22", issue=["empty"])
    assert empty.matched == 0


async def test_with_the_store_off_a_look_back_says_what_to_set(world: World) -> None:
    async with catalog_of(world.clock, {"acme": Silent()}, kind=Nesting) as catalog:
        with pytest.raises(InvalidArgument, match=r"AUDIENCE_MCP_STORE is off\. Leave out as_of"):
            await asked(catalog, "2026-11-20")


async def test_sizes_that_are_counted_one_by_one_are_the_last_known_at_that_moment(tmp_path: Path) -> None:
    clock = FakeClock()
    ask = counted_anew(tmp_path, clock)
    await ask(Api([1, 2, 3], clock), search='"Audience 1"')
    clock.advance(DAY / 2)
    await ask(Api([1, 2, 3], clock, refused=frozenset("2")), refresh=True, search="-1")
    clock.advance(DAY)
    api = Api([1, 2, 3], clock)
    answer = await ask(api, as_of="2026-11-20T20:00:00Z")
    assert sizes(answer) == {"1": 10, "2": None, "3": None}
    answer = await ask(api, as_of="2026-11-21")
    assert {row.ref[5:]: (row.size, row.size_note) for row in answer.audiences} == {
        "1": (10, "counted at 2026-11-20T12:00:00Z"),
        "2": (None, "unknown then"),
        "3": (30, None),
    }
    assert (answer.unknown_sizes, answer.sizes_pending, answer.complete) == (1, None, True)
    assert (api.lists, api.counted) == (0, [])


async def test_fifty_calls_for_five_moments_make_each_reading_of_the_past_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    restore, index = Pager.restore, Index.__init__

    def restored(pager: Pager, rows: Sequence[Row], **facts: Any) -> None:
        made.append(len(rows))
        restore(pager, rows, **facts)

    def indexed(self: Index, rows: Mapping[SourceReader, Iterable[Row]]) -> None:
        made.append(0)
        index(self, rows)

    for day in range(5):
        await world.read({"a1": day, "a2": 7}, days=1)
    monkeypatch.setattr(Pager, "restore", restored)
    monkeypatch.setattr(Index, "__init__", indexed)
    async with world.catalog({"acme": Silent()}) as catalog:
        answers: dict[int, list[AudienceList]] = {}

        async def ask(number: int) -> None:
            answer = await asked(catalog, f"2026-11-{20 + number % 5}", offset=number // 5, limit=1)
            answers.setdefault(number % 5, []).append(answer)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(ask, number)
        for number in range(50, 60):  # and once more in turns
            await ask(number)
        assert {day: {a.sum_of_sizes for a in those} for day, those in answers.items()} == {
            day: {day + 7} for day in range(5)
        }
    assert sorted(made) == [0] * 5 + [2] * 5  # an index and a reading for each moment


async def test_history_that_cannot_be_read_is_said_and_never_taken_for_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.read({"a1": 5})
    await world.read({"a1": 7}, source="other")
    load = HistoryPart.baseline

    def fail(history: HistoryPart, owner: Owner, *further: Any) -> Baseline | NoBaseline:
        if owner.source == "acme":
            raise StoreError("locked", "held by another program")
        return load(history, owner, *further)

    monkeypatch.setattr(HistoryPart, "baseline", fail)
    answer = await look(world, "2026-11-21", "other", "acme")
    assert (sizes(answer), answer.complete) == ({"a1": 7}, False)
    error = next(report.error for report in answer.sources if report.source == "acme")
    assert error is not None
    assert (error.kind, "cannot be read just now" in error.message) == ("unavailable", True)


async def test_a_source_whose_key_is_no_longer_set_is_answered_as_it_was(tmp_path: Path) -> None:
    clock = FakeClock()
    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])
    (source,) = configured.sources
    problem = VendorError("not_configured", "acme is not configured: set ACME_KEY.")

    def connect(account: Account) -> Fetch:
        return Api([1, 2], clock).fetch

    store = open_store(str(tmp_path), clock)
    async with open_catalog(configured, clock=clock, connect=connect, store=store) as catalog:
        await catalog.list_audiences(ListQuery())
        await store.saved()
    clock.advance(DAY)
    keyless = replace(configured, sources=(replace(source, account=None, problem=problem),))
    store = open_store(str(tmp_path), clock)
    async with open_catalog(keyless, clock=clock, connect=connect, store=store) as catalog:
        with pytest.raises(ToolError, match="set ACME_KEY"):
            await catalog.list_audiences(ListQuery())
        answer = await asked(catalog, "2026-11-20")
    assert (sizes(answer), answer.complete) == ({"1": 10, "2": 20}, True)

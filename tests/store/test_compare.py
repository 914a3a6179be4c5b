"""Questions about time, asked of catalogs that remember: what is compared with what, and never claimed."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from audience_mcp.catalog import catalog as catalog_module
from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.compose import compose_list
from audience_mcp.catalog.composer import COMPOSED_HERE
from audience_mcp.catalog.models import AudienceList, AudienceMatch, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.cli import sizes
from audience_mcp.config import Account, Source, load_configuration
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import InvalidArgument, ToolError, VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.core.text import to_json
from audience_mcp.core.values import as_count
from audience_mcp.sources.source_history import SourceHistory
from audience_mcp.sources.talk import Fetch
from audience_mcp.store import open_store
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.stored import Baseline, NoBaseline
from audience_mcp.vendors import Listing, One, Row, Setting, text_at
from tests.support.clock import START, FakeClock
from tests.support.scripted import Acme, Script, catalog_of
from tests.test_counts import Api, Counting

pytestmark = pytest.mark.anyio

DAY = 86_400
URL = {"base_url": "https://acme.example"}
Sizes = Mapping[str, int | None]


class Nesting(Acme):
    """Audiences of which some lie within `a1`, are ranges, or are of another type."""

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        row.part_of = "a1" if raw.get("within") else None
        row.type = "dynamic" if raw.get("dynamic") else "static"
        row.size_max, row.open_ended = as_count(raw.get("upper")), raw.get("open") is True


class Measured(Nesting):
    """The same, whose sizes have units."""

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        super().refine(row, raw, listing)
        row.unit = text_at(raw, "unit")


def page(sizes: Sizes, **further: Any) -> dict[str, Any]:
    return {
        "rows": [{"id": id, "name": f"Name of {id}", "size": size} for id, size in sizes.items()],
        **further,
    }


def since_start_with(**further: Any) -> ListQuery:
    return parse_arguments(ListQuery, {"compare_to": to_rfc3339(START), **further})


def since_start(**later: float) -> ListQuery:
    return parse_arguments(ListQuery, {"compare_to": to_rfc3339(START + timedelta(**later))})


class World:
    """A vendor over time, and catalogs that ask it, each as a process of its own with the same store."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.folder = folder
        self.clock = clock

    @asynccontextmanager
    async def catalog(
        self, scripts: Mapping[str, Script], kind: type[Acme] = Nesting, **settings: Any
    ) -> AsyncIterator[Catalog]:
        store = open_store(str(self.folder), self.clock)
        values = {name: {"base_url": f"https://{name}.example"} for name in scripts}
        async with catalog_of(
            self.clock, scripts, kind=kind, values=values, store=store, **settings
        ) as catalog:
            yield catalog
            await store.saved()

    async def read(self, sizes: Sizes, days: float = 1, source: str = "acme") -> None:
        """A day on which the vendor was read, and the time until the next one."""
        await self.read_script(Script({"": page(sizes)}), days, source)

    async def read_script(
        self, script: Script, days: float = 1, source: str = "acme", kind: type[Acme] | None = None
    ) -> None:
        async with self.catalog({source: script}, kind or Nesting) as catalog:
            await catalog.list_audiences(ListQuery(refresh=True))
        self.clock.advance(days * DAY)

    async def ask(self, sizes: Sizes | Script, days_ago: float = 7, **query: Any) -> AudienceList:
        script = sizes if isinstance(sizes, Script) else Script({"": page(sizes)})
        async with self.catalog({"acme": script}) as catalog:
            return await catalog.list_audiences(
                parse_arguments(ListQuery, {"compare_to": self.day(days_ago), **query})
            )

    def day(self, days_ago: float) -> str:
        return to_rfc3339(self.clock.utc() - timedelta(days=days_ago))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store", FakeClock())


def changes(answer: AudienceList) -> dict[str, tuple[int | None, int | None, bool | None]]:
    return {row.ref: (row.size_then, row.change, row.new) for row in answer.audiences}


async def test_each_row_has_what_it_was_and_by_how_much_it_changed(world: World) -> None:
    await world.read({"a1": 100, "a2": 50, "a3": None, "a4": 7, "a9": 30}, days=7)
    answer = await world.ask({"a1": 120, "a2": 20, "a3": 5, "a4": None, "a5": 9})
    assert changes(answer) == {
        "acme:a1": (100, 20, None),
        "acme:a2": (50, -30, None),
        "acme:a3": (None, None, None),
        "acme:a4": (7, None, None),
        "acme:a5": (None, None, True),
    }
    assert to_dict(answer)["compared"] == {
        "sum_now": 140,
        "sum_then": 150,
        "change": -10,
        "new": 1,
        "gone": 1,
        "unknown": 2,
        "gone_audiences": [{"ref": "acme:a9", "name": "Name of a9", "size_then": 30}],
    }
    (report,) = answer.sources
    assert (report.as_of, report.compared_to) == ("2026-11-27T12:00:00Z", "2026-11-20T12:00:00Z")
    assert (answer.complete, answer.notes) == (True, None)


async def test_the_baseline_is_the_last_reading_at_or_before_the_moment(world: World) -> None:
    for size in (1, 2, 3, 4):
        await world.read({"a1": size}, days=2)
    answer = await world.ask({"a1": 10}, days_ago=4)
    assert answer.sources[0].compared_to == world.day(4)
    assert changes(answer) == {"acme:a1": (3, 7, None)}
    answer = await world.ask({"a1": 10}, days_ago=4.5, refresh=True)
    assert changes(answer) == {"acme:a1": (2, 8, None)}


async def test_where_nothing_is_that_old_the_first_reading_is_compared_with_and_named(world: World) -> None:
    await world.read({"a1": 1}, days=1)
    await world.read({"a1": 2}, days=1)
    answer = await world.ask({"a1": 10}, days_ago=30)
    assert answer.sources[0].compared_to == "2026-11-20T12:00:00Z"
    assert changes(answer) == {"acme:a1": (1, 9, None)}
    assert answer.notes == [
        f"acme: nothing is stored at {world.day(30)} or before; compared with the first reading after it."
    ]


async def test_the_first_answer_ever_is_compared_with_nothing_and_says_since_when_there_is_history(
    world: World,
) -> None:
    first = await world.ask({"a1": 10})
    again = await world.ask({"a1": 10})  # served by the store: still the same reading
    for answer in (first, again):
        assert changes(answer) == {"acme:a1": (None, None, None)}
        assert (answer.compared, answer.sources[0].compared_to) == (None, None)
        assert answer.notes is not None
        assert answer.notes[0].startswith(
            "acme: nothing is stored before this reading, so no reading of ours is compared"
        )
    assert again.notes is not None
    assert again.notes[0].endswith("its history begins at 2026-11-20T12:00:00Z.")


async def test_a_new_audience_is_never_growth_from_zero(world: World) -> None:
    await world.read({"a1": 5}, days=7)
    answer = await world.ask({"a1": 5, "a2": 1000}, sort="growth")
    assert [row.ref for row in answer.audiences] == ["acme:a1", "acme:a2"]
    assert answer.compared is not None
    assert (answer.compared.change, answer.compared.new) == (0, 1)


async def test_growth_and_decline_order_by_change_with_unknown_last(world: World) -> None:
    await world.read({"a1": 10, "a2": 10, "a3": 10, "a4": None}, days=7)
    now = {"a1": 11, "a2": 5, "a3": 90, "a4": 7, "a5": 1}
    for sort, order in (("growth", "a3 a1 a2 a4 a5"), ("decline", "a2 a1 a3 a4 a5")):
        answer = await world.ask(now, sort=sort)
        assert " ".join(row.ref.removeprefix("acme:") for row in answer.audiences) == order


async def test_a_question_for_growth_without_a_date_says_what_is_missing() -> None:
    with pytest.raises(ToolError, match="sort=growth needs compare_to"):
        parse_arguments(ListQuery, {"sort": "growth"})


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ({"sort": "decline_pct"}, "sort=decline_pct needs compare_to"),
        ({"min_change": "10%"}, "min_change needs compare_to"),
        ({"max_change": "-500"}, "max_change needs compare_to"),
    ],
)
async def test_a_question_about_change_without_a_date_says_what_is_missing(
    arguments: dict[str, str], missing: str
) -> None:
    with pytest.raises(ToolError, match=missing):
        parse_arguments(ListQuery, arguments)


async def test_bounds_of_a_change_that_nothing_can_pass_are_refused() -> None:
    with pytest.raises(ToolError, match="min_change is above max_change"):
        since_start_with(min_change="10%", max_change="5%")
    assert since_start_with(min_change="", max_change="").min_change is None


async def test_a_change_has_its_percentage_unless_there_was_nothing_before(world: World) -> None:
    await world.read({"a1": 300, "a2": 0, "a3": None, "a4": 8}, days=7)
    answer = await world.ask({"a1": 400, "a2": 5, "a3": 9, "a4": None, "a5": 1})
    assert {row.ref: row.change_pct for row in answer.audiences} == {
        "acme:a1": 33.3,
        "acme:a2": None,
        "acme:a3": None,
        "acme:a4": None,
        "acme:a5": None,
    }


async def test_growth_and_decline_in_percent_order_by_it_with_what_has_none_last(world: World) -> None:
    before = {"a1": 1000, "a2": 10, "a3": 100, "a4": 0}
    await world.read(before, days=7)
    now = {"a1": 1100, "a2": 20, "a3": 50, "a4": 5_000, "a5": 7}
    growth = await world.ask(now, sort="growth_pct")
    assert [row.ref[5:] for row in growth.audiences] == ["a2", "a1", "a3", "a4", "a5"]
    decline = await world.ask(now, sort="decline_pct")
    assert [row.ref[5:] for row in decline.audiences] == ["a3", "a1", "a2", "a4", "a5"]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"max_change": "-10%"}, ["a1", "a2"]),
        ({"max_change": "-11"}, ["a2"]),
        ({"min_change": "0"}, ["a3", "a4", "a6"]),
        ({"min_change": "0%"}, ["a3", "a4"]),
        ({"min_change": "-10%", "max_change": "9.99%"}, ["a1", "a3"]),
        ({"min_change": 0, "max_change": 0}, ["a3"]),
    ],
)
async def test_a_change_can_be_asked_for_by_its_bounds(
    world: World, bounds: dict[str, Any], expected: list[str]
) -> None:
    await world.read({"a1": 100, "a2": 200, "a3": 7, "a4": 1000, "a5": None, "a6": 0}, days=7)
    now = {"a1": 90, "a2": 100, "a3": 7, "a4": 1100, "a5": 3, "a6": 4, "a7": 50}
    answer = await world.ask(now, **bounds, sort="name")
    assert [row.ref[5:] for row in answer.audiences] == expected
    assert (answer.matched, answer.sum_of_sizes) == (len(expected), sum(now[id] for id in expected))
    assert answer.compared is not None
    assert answer.compared.gone is None


async def test_compared_with_a_bare_date_is_the_end_of_that_day(world: World) -> None:
    await world.read({"a1": 1}, days=1 / 4)  # the 20th, at noon
    await world.read({"a1": 2}, days=1)  # at six
    answer = await world.ask({"a1": 5}, compare_to="2026-11-20")
    assert answer.audiences[0].size_then == 2
    assert answer.sources[0].compared_to == "2026-11-20T18:00:00Z"


async def test_compared_with_today_is_its_beginning(world: World) -> None:
    await world.read({"a1": 1}, days=3 / 4)  # the 20th, at noon
    await world.read({"a1": 2}, days=1 / 8)  # the 21st, at six in the morning
    answer = await world.ask({"a1": 5}, compare_to="2026-11-21")
    assert answer.audiences[0].size_then == 1


async def test_a_moment_that_lies_ahead_is_a_bad_value(world: World) -> None:
    async with world.catalog({"acme": Script({"": page({"a1": 5})})}) as catalog:
        for ahead in ("2026-11-21", "2026-11-20T12:00:01Z"):
            with pytest.raises(
                InvalidArgument, match="'compare_to' must not lie ahead: it is 2026-11-20T12:00:00Z"
            ):
                await catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": ahead}))


async def test_the_other_filters_hold_for_what_is_compared(world: World) -> None:
    await world.read({"a1": 100, "a2": 50, "a9": 70}, days=7)
    answer = await world.ask({"a1": 120, "a2": 20}, min_size=100)
    assert answer.compared is not None
    assert (answer.compared.sum_now, answer.compared.sum_then) == (120, 100)
    assert (answer.compared.gone, answer.compared.gone_audiences) == (None, None)
    assert answer.notes == [
        "Which audiences are gone is said only where sources and search are the only filters."
    ]


async def test_what_is_gone_follows_the_search(world: World) -> None:
    await world.read({"a1": 100, "a2": 50, "a22": 70, "a3": 9}, days=7)
    answer = await world.ask({"a1": 120}, search="a2")
    assert answer.compared is not None
    assert (answer.matched, answer.compared.gone) == (0, 2)
    assert [gone.ref for gone in answer.compared.gone_audiences or ()] == ["acme:a22", "acme:a2"]


async def test_many_that_are_gone_are_gone_through_in_a_thread_however_few_are_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(*arguments: Any) -> AudienceList:
        threads.append(threading.get_ident())
        return compose_list(*arguments)

    monkeypatch.setattr(catalog_module, "compose_list", noted)
    await world.read({f"a{n}": n for n in range(COMPOSED_HERE + 1)}, days=7)
    threads.clear()
    answer = await world.ask({"a0": 0}, search="a")
    assert answer.compared is not None
    assert answer.compared.gone == COMPOSED_HERE
    assert threads
    assert threading.get_ident() not in threads


async def test_of_many_that_are_gone_the_biggest_are_named_and_all_are_counted(world: World) -> None:
    await world.read({f"a{n}": n for n in range(50)}, days=7)
    answer = await world.ask({"a0": 0})
    assert answer.compared is not None
    assert answer.compared.gone == 49
    named = answer.compared.gone_audiences or []
    assert [gone.size_then for gone in named] == list(range(49, 29, -1))


async def test_what_is_gone_never_crowds_an_answer_out_of_its_budget(world: World) -> None:
    long = {f"a{n}": n for n in range(10**6, 10**6 + 50)}
    async with world.catalog({"acme": Script({"": _long_names(long)})}) as catalog:
        await catalog.list_audiences(ListQuery())
    world.clock.advance(7 * DAY)
    async with world.catalog({"acme": Script({"": page({"a1": 1})})}, max_chars=4000) as catalog:
        answer = await catalog.list_audiences(since_start())
    assert len(to_json(to_dict(answer))) <= 4000
    assert answer.returned == 1
    assert answer.compared is not None
    assert answer.compared.gone == 50


def _long_names(sizes: Sizes) -> dict[str, Any]:
    return {"rows": [{"id": id, "name": f"{id} {'long ' * 40}", "size": size} for id, size in sizes.items()]}


async def test_a_source_that_is_not_read_in_full_says_nothing_of_what_is_gone(world: World) -> None:
    await world.read({"a1": 100, "a2": 50}, days=7)
    broken = Script(
        {"": page({"a1": 120}, next="2"), "2": VendorError("bad_response", "acme: odd.", final=True)}
    )
    answer = await world.ask(broken)
    assert answer.compared is not None
    assert (answer.compared.change, answer.compared.gone) == (20, None)
    assert answer.notes is not None
    assert any("not read in full now: acme" in note for note in answer.notes)


async def test_a_partial_reading_is_never_a_baseline(world: World) -> None:
    await world.read({"a1": 1, "a2": 1}, days=1)
    broken = Script(
        {"": page({"a1": 50}, next="2"), "2": VendorError("bad_response", "acme: odd.", final=True)}
    )
    await world.ask(broken)
    world.clock.advance(DAY)
    answer = await world.ask({"a1": 3, "a2": 3}, days_ago=0.5)
    assert answer.sources[0].compared_to == "2026-11-20T12:00:00Z"
    assert changes(answer) == {"acme:a1": (1, 2, None), "acme:a2": (1, 2, None)}


async def test_where_an_older_reading_answers_it_is_compared_with_one_before_it(world: World) -> None:
    await world.read({"a1": 1}, days=1)
    await world.read({"a1": 2, "a2": 2}, days=0.5)
    answer = await world.ask(Script({"": VendorError("unavailable", "acme: is down.")}), days_ago=0.2)
    assert (answer.sources[0].as_of, answer.sources[0].compared_to) == (
        "2026-11-21T12:00:00Z",
        "2026-11-20T12:00:00Z",
    )
    assert changes(answer) == {"acme:a1": (1, 1, None), "acme:a2": (None, None, True)}
    assert answer.compared is not None
    assert answer.compared.gone is None


async def test_audiences_within_others_are_not_added_to_the_change_again(world: World) -> None:
    def nested(first: int, second: int) -> Script:
        rows = page({"a1": first, "a2": second})
        rows["rows"][1]["within"] = True
        return Script({"": rows})

    async with world.catalog({"acme": nested(100, 60)}) as catalog:
        await catalog.list_audiences(ListQuery())
    world.clock.advance(7 * DAY)
    answer = await world.ask(nested(110, 90))
    assert answer.compared is not None
    assert (answer.compared.sum_now, answer.compared.sum_then) == (110, 100)
    assert changes(answer)["acme:a2"] == (60, 30, None)


async def test_groups_have_what_they_were_over_audiences_known_both_times(world: World) -> None:
    def typed(sizes: Sizes) -> Script:
        rows = page(sizes)
        for row in rows["rows"]:
            row["dynamic"] = row["id"] in ("a3", "a4")
        return Script({"": rows})

    async with world.catalog({"acme": typed({"a1": 10, "a2": 20, "a3": 30})}) as catalog:
        await catalog.list_audiences(ListQuery())
    world.clock.advance(7 * DAY)
    answer = await world.ask(
        typed({"a1": 15, "a2": None, "a3": 100, "a4": 9}), group_by="type", sort="growth"
    )
    assert [(g.key, g.sum_of_sizes, g.sum_then, g.change) for g in answer.groups or ()] == [
        ("dynamic", 109, 30, 70),
        ("static", 15, 10, 5),
    ]


async def test_of_several_sources_each_has_its_own_baseline(world: World) -> None:
    await world.read({"a1": 1}, days=7, source="old")
    both = {"old": Script({"": page({"a1": 4})}), "young": Script({"": page({"a1": 8})})}
    async with world.catalog(both) as catalog:
        answer = await catalog.list_audiences(since_start(days=1))
    assert [report.compared_to for report in answer.sources] == ["2026-11-20T12:00:00Z", None]
    assert changes(answer) == {"old:a1": (1, 3, None), "young:a1": (None, None, None)}
    assert answer.compared is not None
    assert (answer.compared.sum_now, answer.compared.change) == (4, 3)
    assert answer.notes is not None
    assert answer.notes[0].startswith("young: nothing is stored before this reading")


def counted_anew(folder: Path, clock: FakeClock) -> Callable[..., Awaitable[AudienceList]]:
    """What asks a vendor whose sizes are counted one by one, each time as a program that was just started."""
    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])

    async def ask(api: Api, **query: Any) -> AudienceList:
        def connect(account: Account) -> Fetch:
            return api.fetch

        store = open_store(str(folder), clock)
        async with open_catalog(configured, clock=clock, connect=connect, store=store) as catalog:
            answer = await catalog.list_audiences(parse_arguments(ListQuery, query))
            await store.saved()
            return answer

    return ask


async def test_sizes_that_are_counted_one_by_one_are_compared_too(tmp_path: Path) -> None:
    clock = FakeClock()
    ask = counted_anew(tmp_path, clock)
    await ask(Api([1, 2, 3], clock), type="dynamic")  # 1 and 3
    clock.advance(7 * DAY)
    answer = await ask(Api([1, 2, 3], clock), compare_to="2026-11-20T13:00:00Z")
    assert changes(answer) == {
        "acme:3": (30, 0, None),
        "acme:2": (None, None, None),
        "acme:1": (10, 0, None),
    }


# Where there is no history to be had


async def test_the_same_comparison_is_composed_once_and_another_moment_anew(world: World) -> None:
    await world.read({"a1": 100})
    await world.read({"a1": 150})
    async with world.catalog({"acme": Script({"": page({"a1": 170})})}) as catalog:
        first = await catalog.list_audiences(since_start(hours=1))
        assert await catalog.list_audiences(since_start(hours=1)) is first
        assert [row.change for row in first.audiences] == [70]
        later = await catalog.list_audiences(since_start(hours=25))
        assert [row.change for row in later.audiences] == [20]
        grown = parse_arguments(ListQuery, {"compare_to": to_rfc3339(START), "sort": "growth"})
        assert [row.change for row in (await catalog.list_audiences(grown)).audiences] == [70]


async def test_many_comparisons_and_looks_back_at_once_load_what_was_stored_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.read({"a1": 100})
    loads = 0
    load = HistoryPart.baseline

    def counted(*arguments: Any) -> Baseline | NoBaseline:
        nonlocal loads
        loads += 1
        return load(*arguments)

    monkeypatch.setattr(HistoryPart, "baseline", counted)
    async with world.catalog({"acme": Script({"": page({"a1": 150})})}) as catalog:
        answers: dict[str, list[AudienceList]] = {"compare_to": [], "as_of": []}

        async def ask(limit: int, about: str) -> None:
            asked = {about: to_rfc3339(START), "limit": limit}
            answers[about].append(await catalog.list_audiences(parse_arguments(ListQuery, asked)))

        async with anyio.create_task_group() as callers:
            for limit in range(1, 9):
                for about in answers:
                    callers.start_soon(ask, limit, about)
        assert [answer.audiences[0].change for answer in answers["compare_to"]] == [50] * 8
        assert [answer.audiences[0].size for answer in answers["as_of"]] == [100] * 8
    assert loads == 1


async def test_with_the_store_off_questions_about_time_say_what_to_set(tmp_path: Path) -> None:
    script = Script({"": page({"a1": 1})})
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        with pytest.raises(ToolError, match="AUDIENCE_MCP_STORE"):
            await catalog.list_audiences(since_start())
        with pytest.raises(ToolError, match="AUDIENCE_MCP_STORE"):
            await catalog.get_audience(parse_arguments(GetQuery, {"audience": "a1", "since": "2026-11-20"}))
    assert script.asked == []


async def test_history_that_cannot_be_read_costs_the_comparison_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.read({"a1": 1}, days=7)
    (world.folder / "history.sqlite3").unlink()
    (world.folder / "history.sqlite3").mkdir()
    answer = await world.ask({"a1": 5})
    assert (answer.complete, answer.sum_of_sizes, answer.compared) == (True, 5, None)
    assert answer.notes is not None
    assert (
        "acme: its stored history cannot be read just now, so no reading of ours is compared." in answer.notes
    )
    assert any("could not be used" in note for note in answer.notes)


# One audience over time


async def get(world: World, sizes: Sizes, since: float | None = 30, **settings: Any) -> AudienceMatch:
    async with world.catalog({"acme": Script({"": page(sizes)})}, **settings) as catalog:
        arguments = {"audience": "Name of a1"} | ({"since": world.day(since)} if since is not None else {})
        return await catalog.get_audience(parse_arguments(GetQuery, arguments))


def line(answer: AudienceMatch) -> list[tuple[str, int]]:
    return [(point.as_of[5:10], point.size) for point in answer.audiences[0].history or ()]


async def test_one_audience_shows_each_size_when_it_was_first_seen_and_the_latest(world: World) -> None:
    for size in (5, 5, 6, 6, 6, None, 4):
        await world.read({"a1": size, "a2": 1})
    answer = await get(world, {"a1": 4})
    assert line(answer) == [("11-20", 5), ("11-22", 6), ("11-26", 4), ("11-27", 4)]
    assert answer.notes is None
    assert (await get(world, {"a1": 4}, since=None)).audiences[0].history is None


async def test_of_a_history_it_is_told_which_sizes_are_ranges_without_an_upper_end(world: World) -> None:
    await world.read({"a1": 5})
    await world.read_script(opened_at(7))
    answer = await get(world, {"a1": 9})
    assert line(answer) == [("11-20", 5), ("11-21", 7), ("11-22", 9)]
    assert answer.notes is not None
    (note,) = answer.notes
    assert note.startswith("acme: these sizes over time are the lower ends of ranges without an upper one")
    assert note.endswith(": 'Name of a1' (7).")
    world.clock.advance(DAY)
    query = parse_arguments(GetQuery, {"audience": "acme:a1", "since": world.day(0.5)})
    async with world.catalog({"acme": opened_at(8)}) as catalog:
        now = await catalog.get_audience(query)
    # Of the reading of now, which is not stored yet.
    assert "'Name of a1' (8)" in " ".join(now.notes or ())


def opened_at(size: int) -> Script:
    """A vendor whose only audience has a range that begins at `size` and has no end."""
    return Script({"": {"rows": [{"id": "a1", "name": "Name of a1", "size": size, "open": True}]}})


async def test_history_since_a_day_begins_with_the_size_that_it_had_then(world: World) -> None:
    for size in (5, 5, 6, 7):
        await world.read({"a1": size})
    assert line(await get(world, {"a1": 9}, since=2.5)) == [
        ("11-21", 5),
        ("11-22", 6),
        ("11-23", 7),
        ("11-24", 9),
    ]


async def test_long_history_is_thinned_to_sixty_points_with_its_ends(world: World) -> None:
    store = open_store(str(world.folder), world.clock)
    history = SourceHistory(Source("acme", Acme(), Account("acme", Acme(), URL, {})), store, Redactor())
    for number in range(150):
        await history.record([Row("a1", "Name of a1", number)], world.clock.utc())
        world.clock.advance(3600)
    await store.aclose()
    answer = await get(world, {"a1": 999}, since=400)
    points = line(answer)
    assert len(points) == 60
    assert (points[0], points[-1]) == (("11-20", 0), ("11-26", 999))
    small = await get(world, {"a1": 999}, since=400, max_chars=4000)
    assert len(small.audiences[0].history or ()) >= 20
    assert len(to_json(to_dict(small))) <= 4000


async def test_long_histories_of_audiences_of_one_name_share_a_small_answer(world: World) -> None:
    store = open_store(str(world.folder), world.clock)
    history = SourceHistory(Source("acme", Acme(), Account("acme", Acme(), URL, {})), store, Redactor())
    for number in range(150):
        await history.record([Row(id, "VIP", number) for id in ("a1", "a2")], world.clock.utc())
        world.clock.advance(3600)
    await store.aclose()
    listed = {"rows": [{"id": id, "name": "VIP", "size": 999} for id in ("a1", "a2")]}
    async with world.catalog({"acme": Script({"": listed})}, max_chars=4000) as catalog:
        query = parse_arguments(GetQuery, {"audience": "VIP", "since": world.day(400)})
        answer = await catalog.get_audience(query)
    assert len(to_json(to_dict(answer))) <= 4000
    histories = [each.history or [] for each in answer.audiences]
    assert [len(points) for points in histories] == [20, 20]
    assert {(points[0].size, points[-1].size) for points in histories} == {(0, 999)}


async def test_an_audience_that_was_never_stored_says_so(world: World) -> None:
    await world.read({"a2": 1})
    answer = await get(world, {"a1": None, "a2": 1})
    assert answer.audiences[0].history is None
    assert answer.notes == ["acme: no size of this audience is stored."]


@pytest.mark.slow
async def test_a_store_that_hangs_holds_an_answer_up_no_longer_than_its_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.read({"a1": 1}, days=7)
    monkeypatch.setattr(SourceHistory, "baseline", _never)
    with anyio.fail_after(20):
        async with world.catalog({"acme": Script({"": page({"a1": 5})})}, deadline_s=1) as catalog:
            answer = await catalog.list_audiences(since_start())
    assert (answer.sum_of_sizes, answer.compared) == (5, None)
    assert answer.notes == [
        "acme: its stored history cannot be read just now, so no reading of ours is compared."
    ]


async def _never(*given: Any) -> None:
    await anyio.sleep_forever()


# Whose history it is


class Keyed(Acme):
    """A vendor that knows its accounts by their keys alone."""

    name = "keyed"
    settings = (
        *Acme.settings,
        Setting("api_key", ("KEYED_KEY",), "Key", required=True, secret=True),
    )


async def ask_with(
    world: World, key: str, sizes: Sizes, names: str = "", described: str = "", **query: Any
) -> AudienceList:
    listed = [
        {"id": id, "name": f"{names}{id}", "size": size, "text": described} for id, size in sizes.items()
    ]
    store = open_store(str(world.folder), world.clock)
    values = {"acme": {**URL, "api_key": key}}
    async with catalog_of(
        world.clock, {"acme": Script({"": {"rows": listed}})}, kind=Keyed, values=values, store=store
    ) as catalog:
        answer = await catalog.list_audiences(parse_arguments(ListQuery, {"refresh": True, **query}))
        await store.saved()
        return answer


async def test_another_accounts_key_sees_nothing_of_the_first_ones_in_the_first_answer_too(
    world: World,
) -> None:
    await ask_with(world, "key-number-a", {"a1": 110, "a9": 844}, "Secret ")
    world.clock.advance(9 * DAY)
    for later in range(3):
        answer = await ask_with(world, "key-number-b", {"a1": 44_000}, "Other ", compare_to=world.day(7))
        assert "Secret" not in to_json(to_dict(answer))
        assert answer.compared is None or (answer.compared.gone, answer.compared.change) == (0, 0)
        if not later:
            assert answer.notes is not None
            assert "of another account" in answer.notes[0]
        world.clock.advance(60)
    again = await ask_with(world, "key-number-a", {"a1": 111, "a9": 844}, "Secret ", compare_to=world.day(7))
    assert changes(again) == {"acme:a9": (844, 0, None), "acme:a1": (110, 1, None)}


async def test_a_rotated_key_goes_on_with_its_history(world: World) -> None:
    await ask_with(world, "key-number-a", {"a1": 110, "a9": 844})
    world.clock.advance(9 * DAY)
    for _ in range(2):
        answer = await ask_with(world, "key-number-c", {"a1": 120, "a9": 844}, compare_to=world.day(7))
        assert changes(answer) == {"acme:a9": (844, 0, None), "acme:a1": (110, 10, None)}
        world.clock.advance(60)


async def test_names_that_hold_a_key_of_this_process_come_out_of_the_store_without_it(world: World) -> None:
    pasted = {"a1": 1, "a2": 2}
    await ask_with(world, "key-number-a", pasted, "pasted other-key-0123 ")
    world.clock.advance(60)
    store = open_store(str(world.folder), world.clock)
    values = {"acme": {**URL, "api_key": "key-number-a"}, "other": {**URL, "api_key": "other-key-0123"}}
    scripts = {"acme": Script({}), "other": Script({"": page({"a3": 3})})}
    async with catalog_of(world.clock, scripts, kind=Keyed, values=values, store=store) as catalog:
        answer = await catalog.list_audiences(ListQuery())
        assert [row.name for row in answer.audiences] == ["Name of a3", "pasted **** a2", "pasted **** a1"]
        histories = await catalog.find_histories(None, START)
        assert {each.name for each in histories.audiences} >= {"pasted **** a1", "pasted **** a2"}
    world.clock.advance(DAY)
    scripts["acme"] = Script({"": page({"a7": 7})})
    async with catalog_of(
        world.clock, scripts, kind=Keyed, values=values, store=open_store(str(world.folder), world.clock)
    ) as catalog:
        answer = await catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": world.day(1)}))
        assert answer.compared is not None
        assert [gone.name for gone in answer.compared.gone_audiences or ()] == [
            "pasted **** a2",
            "pasted **** a1",
        ]


class Described(Acme):
    """Audiences with descriptions, which are not stored, and units."""

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        row.description, row.unit = str(raw.get("text") or "") or None, str(raw.get("unit") or "") or None


async def test_what_a_search_may_have_found_by_its_description_is_not_said_to_be_gone(world: World) -> None:
    def listed(*ids: str) -> dict[str, Any]:
        return {"rows": [{"id": id, "name": id, "size": 1, "text": "uploaded"} for id in ids]}

    for ids in (("a1", "a2", "a3"), ("a1",)):
        store = open_store(str(world.folder), world.clock)
        script = {"acme": Script({"": listed(*ids)})}
        async with catalog_of(world.clock, script, kind=Described, store=store) as catalog:
            for search, gone in ((None, 2), ("uploaded", None), ("-uploaded", None)):
                query = {"compare_to": world.day(1), **({"search": search} if search else {})}
                answer = await catalog.list_audiences(parse_arguments(ListQuery, query))
                if len(ids) == 1:
                    assert answer.compared is not None
                    assert answer.compared.gone == gone
                    assert any("descriptions" in note for note in answer.notes or ()) is (gone is None)
            await store.saved()
        world.clock.advance(DAY)


async def test_sizes_of_another_unit_are_not_compared_and_that_is_said(world: World) -> None:
    for unit in ("on Display", "in Search"):
        rows = [
            {"id": "a1", "name": "One", "size": 52_000, "unit": unit},
            {"id": "a2", "name": "Two", "size": 5},
        ]
        store = open_store(str(world.folder), world.clock)
        async with catalog_of(
            world.clock, {"acme": Script({"": {"rows": rows}})}, kind=Described, store=store
        ) as catalog:
            answer = await catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": world.day(1)}))
            await store.saved()
        world.clock.advance(DAY)
    assert changes(answer) == {"acme:a1": (52_000, None, None), "acme:a2": (5, 0, None)}
    assert answer.compared is not None
    assert (answer.compared.unknown, answer.compared.sum_now, answer.compared.change) == (1, 5, 0)
    assert answer.notes is not None
    assert "another unit" in answer.notes[0]


async def test_a_range_is_compared_with_a_range_alone_and_that_is_said(world: World) -> None:
    def rows(*figures: dict[str, Any]) -> Script:
        made = [{"id": f"a{n}", "name": f"Name {n}", **figure} for n, figure in enumerate(figures, 1)]
        return Script({"": {"rows": made}})

    to_number, to_range, open_then, open_now, same = (
        ({"size": 1000, "upper": 5000}, {"size": 4900}),
        ({"size": 700}, {"size": 500, "upper": 1000}),
        ({"size": 5_000_000, "open": True}, {"size": 1_000_000, "upper": 4_999_999}),
        ({"size": 30}, {"size": 20, "open": True}),
        ({"size": 100, "upper": 200}, {"size": 200, "upper": 300}),
    )
    both = to_number, to_range, open_then, open_now, same
    await world.read_script(rows(*(then for then, _ in both)))
    answer = await world.ask(rows(*(now for _, now in both)), 1, sort="growth")
    assert {ref: change for ref, (_, change, _) in changes(answer).items()} == {
        "acme:a1": None,
        "acme:a2": None,
        "acme:a3": None,
        "acme:a4": None,
        "acme:a5": 100,
    }
    assert answer.audiences[0].ref == "acme:a5"
    assert answer.compared is not None
    assert (answer.compared.unknown, answer.compared.sum_now, answer.compared.sum_then) == (4, 200, 100)
    assert answer.notes is not None
    assert [note for note in answer.notes if note.startswith("acme: 4 audiences have a range")]


async def test_history_gives_no_change_between_figures_that_do_not_count_alike(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    figures: Sequence[tuple[dict[str, Any], dict[str, Any]]] = (
        ({"size": 1_000, "unit": "on Display"}, {"size": 90_000, "unit": "in Search"}),
        ({"size": 1_000, "upper": 5_000}, {"size": 4_900}),
        ({"size": 30}, {"size": 20, "open": True}),
        ({"size": 1}, {"size": 3}),
    )
    for place in (0, 1):
        rows = [{"id": f"a{n}", "name": f"Name {n}", **each[place]} for n, each in enumerate(figures, 1)]
        await world.read_script(Script({"": {"rows": rows}}), kind=Measured)
    for daily in (False, True):
        async with world.catalog({"acme": Script()}) as catalog:
            found = await catalog.find_histories(None, START - timedelta(days=9), daily=daily)
            totals = await catalog.find_totals(None, START - timedelta(days=9), (), "source", daily=daily)
        assert {each.ref[-2:] for each in found.audiences if each.has_change} == {"a4"}
        assert [each.has_change for each in totals.groups] == [False]
    sizes._print_histories(found, "text", alone=False)
    shown = {line.split()[-1]: line.split()[1] for line in capsys.readouterr().out.splitlines()[1:5]}
    assert (shown["acme:a4"], [each for each in shown.values() if each[0] in "+-"]) == ("+2", ["+2"])


async def test_a_narrow_question_leaves_the_days_counted_sizes_as_they_were(tmp_path: Path) -> None:
    clock = FakeClock()
    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])

    @asynccontextmanager
    async def catalog() -> AsyncIterator[Catalog]:
        api = Api([1, 2, 3], clock)

        def connect(account: Account) -> Fetch:
            return api.fetch

        store = open_store(str(tmp_path), clock)
        async with open_catalog(configured, clock=clock, connect=connect, store=store) as each:
            yield each
            await store.saved()

    async with catalog() as morning:
        (recorded,) = await morning.record()
    assert (recorded.stored, recorded.audiences, recorded.unknown_sizes) == (True, 3, 0)
    clock.advance(2 * 3600)
    async with catalog() as noon:
        await noon.list_audiences(parse_arguments(ListQuery, {"search": "nobody has that name"}))
    clock.advance(1800)
    async with catalog() as later:  # sizes that were just counted are those of the moment at which they were
        (recorded,) = await later.record()
        assert (recorded.stored, recorded.unknown_sizes) == (True, 0)
    clock.advance(1200)
    async with catalog() as again:
        (recorded,) = await again.record()
        assert (recorded.stored, recorded.unknown_sizes) == (True, 0)
    clock.advance(DAY)
    for at, counted in (
        ("2026-11-20T14:15:00Z", "2026-11-20T12:00:00Z"),
        ("2026-11-20", "2026-11-20T14:30:00Z"),
    ):
        async with catalog() as next_day:
            answer = await next_day.list_audiences(parse_arguments(ListQuery, {"compare_to": at}))
        assert answer.compared is not None
        assert (answer.compared.unknown, answer.compared.sum_then) == (0, 60)
        assert {row.size_then for row in answer.audiences} == {10, 20, 30}
        assert {row.then_as_of for row in answer.audiences} <= {counted, None}
        assert answer.sources[0].compared_to != counted or not any(r.then_as_of for r in answer.audiences)


async def test_an_audience_that_is_looked_up_has_the_latest_size_in_its_history(world: World) -> None:
    await world.read({"a1": 1005, "a2": 1}, days=9)
    script = Script({"": page({"a1": 1505})}, {"a1": {"id": "a1", "name": "Name of a1", "size": 1505}})
    store = open_store(str(world.folder), world.clock)
    values = {"acme": URL}

    class LooksUp(Acme):
        listings = (replace(Acme.listings[0], one=One("one/{id}")),)

    async with catalog_of(world.clock, {"acme": script}, kind=LooksUp, values=values, store=store) as catalog:
        query = parse_arguments(GetQuery, {"audience": "acme:a1", "since": world.day(30)})
        answer = await catalog.get_audience(query)
    assert script.asked == ["a1"]
    assert line(answer) == [("11-20", 1005), ("11-29", 1505)]


async def test_what_changed_is_what_the_rows_say_for_every_question_over_several_pasts(world: World) -> None:
    days = [{f"a{n}": n * day for n in range(day, 40 + day)} for day in range(1, 8)]
    for before in days[:-1]:
        await world.read(before)
    now = days[-1]
    async with world.catalog({"acme": Script({"": page(now)})}) as catalog:
        for _ in range(2):  # the second time from what the first has left
            for number, then in enumerate(days[:-1]):
                for low in (None, 100):
                    moment = to_rfc3339(START + timedelta(days=number))
                    asked = {"compare_to": moment, "sort": "growth", "min_size": low}
                    query = parse_arguments(ListQuery, {k: v for k, v in asked.items() if v is not None})
                    answer = await catalog.list_audiences(query)
                    both = [id for id in now if id in then and now[id] >= (low or 0)]
                    compared = answer.compared
                    assert compared is not None
                    assert compared.sum_now == sum(now[id] for id in both)
                    assert compared.sum_then == sum(then[id] for id in both)
                    assert compared.new == sum(id not in then and now[id] >= (low or 0) for id in now)
                    assert compared.gone == (None if low else len(then.keys() - now.keys()))
                    grown = max(both, key=lambda id: (now[id] - then[id], id))
                    assert answer.audiences[0].change == now[grown] - then[grown]

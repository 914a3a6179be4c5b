"""Questions about time, asked of catalogs that remember: what is compared with what, and never claimed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.models import AudienceList, AudienceMatch, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.config import Account, load_configuration
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.core.text import to_json
from audience_mcp.sources.pager import Fetch
from audience_mcp.store import open_store
from audience_mcp.store.store import Store
from audience_mcp.vendors import Row
from tests.support.clock import START, FakeClock
from tests.support.scripted import Acme, Script, catalog_of
from tests.test_counts import Api, Counting

pytestmark = pytest.mark.anyio

DAY = 86_400
Sizes = Mapping[str, int | None]


class Nesting(Acme):
    """Audiences of which some lie within `a1`, are ranges, or are of another type."""

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        row = super().row(raw, id)
        row.part_of = "a1" if raw.get("within") else None
        row.type = "dynamic" if raw.get("dynamic") else "static"
        return row


def page(sizes: Sizes, **further: Any) -> dict[str, Any]:
    return {
        "rows": [{"id": id, "name": f"Name of {id}", "size": size} for id, size in sizes.items()],
        **further,
    }


def since_start(**later: float) -> ListQuery:
    return parse_arguments(ListQuery, {"compare_to": to_rfc3339(START + timedelta(**later))})


class World:
    """A vendor over time, and catalogs that ask it, each as a process of its own with the same store."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.folder = folder
        self.clock = clock

    @asynccontextmanager
    async def catalog(self, scripts: Mapping[str, Script], **settings: Any) -> AsyncIterator[Catalog]:
        store = open_store(str(self.folder), self.clock)
        values = {name: {"base_url": f"https://{name}.example"} for name in scripts}
        async with catalog_of(
            self.clock, scripts, kind=Nesting, values=values, store=store, **settings
        ) as catalog:
            yield catalog
            await store.saved()

    async def read(self, sizes: Sizes, days: float = 1, source: str = "acme") -> None:
        """A day on which the vendor was read, and the time until the next one."""
        async with self.catalog({source: Script({"": page(sizes)})}) as catalog:
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
            "acme: nothing is stored before this reading, so nothing is compared"
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


async def test_sizes_that_are_counted_one_by_one_are_compared_too(tmp_path: Path) -> None:
    clock = FakeClock()
    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])

    async def ask(api: Api, **query: Any) -> AudienceList:
        def connect(account: Account) -> Fetch:
            return api.fetch

        store = open_store(str(tmp_path), clock)
        async with open_catalog(configured, clock=clock, connect=connect, store=store) as catalog:
            answer = await catalog.list_audiences(parse_arguments(ListQuery, query))
            await store.saved()
            return answer

    await ask(Api([1, 2, 3], clock), type="dynamic")  # 1 and 3
    clock.advance(7 * DAY)
    answer = await ask(Api([1, 2, 3], clock), compare_to="2026-11-20T13:00:00Z")
    assert changes(answer) == {
        "acme:3": (30, 0, None),
        "acme:2": (None, None, None),
        "acme:1": (10, 0, None),
    }


# Where there is no history to be had


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
    assert "acme: its stored history cannot be read just now, so nothing is compared." in answer.notes
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
    account = '["acme", "https://acme.example", "@acme"]'
    for number in range(150):
        await store.record(account, [Row("a1", "Name of a1", number)], world.clock.utc())
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
    account = '["acme", "https://acme.example", "@acme"]'
    for number in range(150):
        await store.record(account, [Row(id, "VIP", number) for id in ("a1", "a2")], world.clock.utc())
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


async def test_a_store_that_hangs_holds_an_answer_up_no_longer_than_its_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.read({"a1": 1}, days=7)
    monkeypatch.setattr(Store, "baseline", _never)
    with anyio.fail_after(20):
        async with world.catalog({"acme": Script({"": page({"a1": 5})})}, deadline_s=1) as catalog:
            answer = await catalog.list_audiences(since_start())
    assert (answer.sum_of_sizes, answer.compared) == (5, None)
    assert answer.notes == ["acme: its stored history cannot be read just now, so nothing is compared."]


async def _never(*given: Any) -> None:
    await anyio.sleep_forever()

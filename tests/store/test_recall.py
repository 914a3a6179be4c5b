"""What vendors remember fills what our own history lacks: whose which size then is, and when it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.models import AudienceList, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.cli.output import Output
from audience_mcp.cli.tables import show_list
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import VendorError
from audience_mcp.sources.source_history import SourceHistory
from audience_mcp.store import open_store
from audience_mcp.store.stored import NoBaseline
from audience_mcp.vendors import History, Listing, Rate, Request, Row, as_count, history_each, text_at
from tests.support.apart import apart
from tests.support.clock import START, FakeClock
from tests.support.examples import examples
from tests.support.scripted import Acme, Script, catalog_of, settled

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
PARAMS = {"since": "{since}", "until": "{until}"}
DAILY = History(history_each("past/{id}", "points", "when", "size", PARAMS), "day")


class Remembering(Acme):
    """A vendor that remembers. A row may say of which day its size is, or be a range."""

    title = "Acme"

    listings = (replace(Acme.listings[0], history=DAILY),)

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        row.sized_on = text_at(raw, "sized_on")
        row.size_max = as_count(raw.get("size_max"))


class OneByOne(Remembering):
    """The same, asked for one audience at a time, and for one a second."""

    at_once = 1
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"past": [Rate(1)]}


class TwoAMinute(OneByOne):
    """The same, asked twice a minute at most."""

    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {"past": [Rate(2, 60)]}


def remembering(history: History, kind: type[Remembering] = Remembering) -> Remembering:
    """The same, with another record."""
    made: Remembering = type("Made", (kind,), {"listings": (replace(Acme.listings[0], history=history),)})()
    return made


class Vendor(Script):
    """A vendor whose audiences have sizes now and a past; both may be changed.

    past: by id, when and how many; a VendorError or a body in its place is the answer. recalled: what of the
    past was asked for: the id, the first and the last day. clock: one
    on which an answer about the past takes `takes_s`.
    """

    def __init__(self, sizes: Mapping[str, Any], past: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.sizes = dict(sizes)
        self.past = dict(past or {})
        self.recalled: list[tuple[str, str, str]] = []
        self.clock: FakeClock | None = None
        self.takes_s = 1.0

    async def fetch(self, request: Request) -> object:
        if not request.path.startswith("past/"):
            rows = [
                {"id": id, "name": f"Name of {id}", **(size if isinstance(size, dict) else {"size": size})}
                for id, size in self.sizes.items()
            ]
            self.pages[""] = {"rows": rows}
            return await super().fetch(request)
        id = request.path.removeprefix("past/")
        since, until = request.params["since"], request.params["until"]
        self.recalled.append((id, since[:10], until[:10]))
        if self.clock is not None:
            await self.clock.sleep(self.takes_s)
        told = self.past.get(id, [])
        if isinstance(told, Exception):
            raise told
        if isinstance(told, dict):
            return told
        await anyio.lowlevel.checkpoint()
        return {
            "points": [{"when": w, "size": s} for w, s in told if since[: len(w)] <= w <= until[: len(w)]]
        }


def day(days_ago: int) -> str:
    return (START - days_ago * DAY).date().isoformat()


def days(sizes: Sequence[int], ends: int = 1) -> list[tuple[str, int]]:
    """Sizes of days in a row, the last of so many days ago."""
    return [(day(ends + len(sizes) - 1 - n), size) for n, size in enumerate(sizes)]


class World:
    """A vendor over time, and catalogs that ask it, each as a process of its own with the same store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()

    @asynccontextmanager
    async def catalog(
        self, vendor: Vendor, kind: Remembering | None = None, **settings: Any
    ) -> AsyncIterator[Catalog]:
        store = open_store(str(self.folder), self.clock)
        made = kind or Remembering()
        async with catalog_of(
            self.clock, {"acme": vendor}, kind=lambda: made, store=store, **settings
        ) as catalog:
            yield catalog
            await settled()
            await store.saved()

    async def ask(
        self, vendor: Vendor, to: int | str = 7, kind: Remembering | None = None, **query: Any
    ) -> AudienceList:
        """What changed since a moment, or since so many days ago."""
        moment = to if isinstance(to, str) else to_rfc3339(self.clock.utc() - to * DAY)
        async with self.catalog(vendor, kind) as catalog:
            return await catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": moment, **query}))

    async def read(self, vendor: Vendor, kind: Remembering | None = None) -> None:
        async with self.catalog(vendor, kind) as catalog:
            await catalog.list_audiences(ListQuery(refresh=True))

    def pass_days(self, number: float) -> None:
        self.clock.advance(number * 86_400)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store")


def told(answer: AudienceList) -> dict[str, tuple[int | None, int | None, str | None, str | None]]:
    return {
        row.ref.removeprefix("acme:"): (row.size_then, row.change, row.then_from, row.then_as_of)
        for row in answer.audiences
    }


async def test_growth_can_be_asked_for_on_the_first_day(world: World) -> None:
    vendor = Vendor({"a1": 120, "a2": 50}, {"a1": days([90, 100, 110], ends=7), "a2": days([60], ends=8)})
    answer = await world.ask(vendor, day(8))
    assert told(answer) == {"a1": (100, 20, "vendor", None), "a2": (60, -10, "vendor", None)}
    compared = answer.compared
    assert compared is not None
    assert (compared.sum_now, compared.sum_then, compared.change, compared.from_vendor) == (170, 160, 10, 2)
    assert (compared.new, compared.unknown, compared.gone, compared.pending) == (0, 0, None, None)
    assert answer.sources[0].compared_to == day(8)
    assert answer.notes == [
        f"acme: 2 of 2 sizes then are Acme's own record, of {day(8)}, and not readings of ours."
    ]
    assert answer.complete


async def test_a_bare_date_means_its_end_and_its_midnight_the_day_before(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([90, 100, 110], ends=7)})
    assert told(await world.ask(vendor, day(8)))["a1"][0] == 100
    assert told(await world.ask(vendor, f"{day(8)}T00:00:00Z"))["a1"][0] == 90


async def test_sizes_then_of_several_days_each_name_theirs(world: World) -> None:
    vendor = Vendor({"a1": 120, "a2": 50}, {"a1": days([100], ends=8), "a2": days([60], ends=9)})
    answer = await world.ask(vendor, 7)
    assert told(answer) == {"a1": (100, 20, "vendor", day(8)), "a2": (60, -10, "vendor", day(9))}
    assert answer.sources[0].compared_to is None
    assert answer.notes is not None
    assert f"from {day(9)} to {day(8)}" in answer.notes[0]


async def test_a_reading_of_ours_that_is_near_is_never_replaced(world: World) -> None:
    vendor = Vendor({"a1": 77}, {"a1": days([100] * 20)})
    await world.read(vendor)
    world.pass_days(7)
    answer = await world.ask(vendor, 3)  # ours is 4 days before it, which lies 3 before now
    assert told(answer)["a1"][2] == "vendor" or told(answer)["a1"][0] == 77
    answer = await world.ask(vendor, 4)
    assert told(answer) == {"a1": (77, 0, None, None)}
    assert vendor.recalled[1:] == []


async def test_a_reading_of_ours_that_is_far_gives_way_to_a_near_point_and_serves_without_one(
    world: World,
) -> None:
    vendor = Vendor({"a1": 77, "a2": 5})
    await world.read(vendor)
    at = world.clock.utc()
    world.pass_days(60)
    last = (world.clock.utc() - 4 * DAY).date().isoformat()
    vendor.past = {"a1": [(last, 70)], "a2": []}
    answer = await world.ask(vendor, 3)
    assert told(answer) == {"a1": (70, 7, "vendor", last), "a2": (5, 0, None, None)}
    assert answer.sources[0].compared_to == to_rfc3339(at)
    assert answer.compared is not None
    assert answer.compared.from_vendor == 1


async def test_where_our_history_begins_later_the_vendors_point_goes_before_it(world: World) -> None:
    vendor = Vendor({"a1": 77, "a2": 5}, {"a1": days([70], ends=8)})
    await world.read(vendor)
    first = to_rfc3339(world.clock.utc())
    world.pass_days(1)
    answer = await world.ask(vendor, 8)
    assert told(answer) == {"a1": (70, 7, "vendor", day(8)), "a2": (5, 0, None, None)}
    assert answer.sources[0].compared_to == first
    assert answer.notes is not None
    assert "compared with the first reading after it" in answer.notes[0]


async def test_one_point_of_the_vendors_does_not_hide_that_of_the_others_nothing_is_stored(
    world: World,
) -> None:
    vendor = Vendor({"a1": 100, "a2": 7}, {"a1": days([50], ends=8)})
    note = (
        "acme: nothing is stored before this reading, so no reading of ours is compared; its history begins"
    )
    answer = await world.ask(vendor, 7)
    assert told(answer) == {"a1": (50, 50, "vendor", None), "a2": (None, None, None, None)}
    assert [each for each in answer.notes or () if each.startswith(note)]
    answer = await world.ask(vendor, 7, search="a1")
    assert not [each for each in answer.notes or () if each.startswith(note)]


async def test_points_of_the_vendors_do_not_hide_that_the_history_is_another_accounts_or_unreadable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = Vendor({"a1": 100}, {"a1": days([50] * 20)})
    for found, note in (
        (NoBaseline(another=True), "the sizes stored under this name before are of another account"),
        (None, "its stored history cannot be read just now"),
    ):

        async def baseline(
            self: object, at: datetime, before: datetime, found: NoBaseline | None = found
        ) -> NoBaseline | None:
            return found

        with monkeypatch.context() as patched:
            patched.setattr(SourceHistory, "baseline", baseline)
            answer = await world.ask(vendor, 7)
        assert told(answer) == {"a1": (50, 50, "vendor", None)}
        assert [each for each in answer.notes or () if note in each]


@pytest.mark.parametrize("moment", ["0001-01-01", "0001-01-01T00:00:00Z", "1300-01-01"])
async def test_a_moment_before_any_calendar_of_a_vendor_is_answered_by_the_first_reading(
    world: World, moment: str
) -> None:
    vendor = Vendor({"a1": 100}, {"a1": days([50, 60, 70])})
    await world.read(vendor)
    first = to_rfc3339(world.clock.utc())
    world.pass_days(1)
    answer = await world.ask(vendor, moment)
    assert (told(answer), answer.sources[0].compared_to) == ({"a1": (100, 0, None, None)}, first)
    async with world.catalog(vendor) as catalog:
        answer = await catalog.list_audiences(parse_arguments(ListQuery, {"as_of": moment}))
        assert (answer.matched, answer.sources[0].as_of) == (1, first)


async def test_a_size_of_the_first_day_of_the_calendar_ends_no_call(world: World) -> None:
    vendor = Vendor({"a1": {"size": 100, "sized_on": "0001-01-01"}}, {"a1": days([50, 60, 70])})
    assert told(await world.ask(vendor, 2)) == {"a1": (None, None, None, None)}


async def test_a_point_after_the_moment_is_never_compared_with(world: World) -> None:
    answer = await world.ask(Vendor({"a1": 77}, {"a1": days([70], ends=6)}), day(7))
    assert told(answer) == {"a1": (None, None, None, None)}
    assert answer.compared is None
    assert answer.notes is not None
    assert "nothing is stored before this reading" in answer.notes[0]


async def test_a_point_that_is_too_far_from_the_moment_is_named_and_not_compared_with(world: World) -> None:
    monthly = remembering(
        History(history_each("past/{id}", "points", "when", "size", PARAMS), "month", whole=True)
    )
    vendor = Vendor({"a1": 77}, {"a1": [("2026-09", 60), ("2026-10", 70)]})
    answer = await world.ask(vendor, "2026-11-18", monthly)
    assert told(answer) == {"a1": (None, None, None, None)}
    assert answer.notes is not None
    assert "its last before is of 2026-10-31" in answer.notes[-1]
    assert told(await world.ask(vendor, "2026-11-04", monthly)) == {"a1": (70, 7, "vendor", None)}


async def test_an_audience_made_after_the_moment_is_new_whatever_is_remembered_of_before(
    world: World,
) -> None:
    sizes = {"a1": {"size": 77, "created": f"{day(3)}T08:00:00Z"}, "a2": 5}
    vendor = Vendor(sizes, {"a1": days([70] * 20), "a2": days([4] * 20)})
    answer = await world.ask(vendor, 7)
    assert [(row.ref, row.new, row.size_then) for row in answer.audiences] == [
        ("acme:a1", True, None),
        ("acme:a2", None, 4),
    ]
    assert answer.compared is not None
    assert (answer.compared.new, answer.compared.sum_then) == (1, 4)
    assert {id for id, *_ in vendor.recalled} == {"a2"}


async def test_points_of_before_the_creation_are_none(world: World) -> None:
    sizes = {"a1": {"size": 77, "created": f"{day(9)}T08:00:00Z"}}
    vendor = Vendor(sizes, {"a1": days([70, 71], ends=10)})
    assert told(await world.ask(vendor, 8)) == {"a1": (None, None, None, None)}


async def test_an_audience_that_was_edited_since_is_counted_in_the_note(world: World) -> None:
    sizes = {"a1": {"size": 77, "updated": f"{day(2)}T08:00:00Z"}, "a2": {"size": 5, "updated": "2025-01-01"}}
    answer = await world.ask(Vendor(sizes, {"a1": days([70], ends=8), "a2": days([4], ends=8)}), day(8))
    assert answer.notes is not None
    assert answer.notes[0].endswith(
        "; 1 of these audiences were edited since, which may be part of their change."
    )


async def test_a_size_that_is_itself_of_then_makes_no_change_and_that_is_said(world: World) -> None:
    sizes = {"a1": {"size": 77, "sized_on": day(8)}, "a2": {"size": 5, "sized_on": day(1)}, "a3": 9}
    past = {id: days([70, 71, 72], ends=8) for id in sizes}
    answer = await world.ask(Vendor(sizes, past), day(8), remembering(replace(DAILY, dated=True)))
    assert told(answer) == {
        "a1": (None, None, None, None),
        "a3": (None, None, None, None),
        "a2": (72, -67, "vendor", None),
    }
    assert answer.notes is not None
    assert any("1 sizes of now are themselves of then or before" in note for note in answer.notes)


async def test_only_audiences_that_pass_the_filters_are_asked_for(world: World) -> None:
    vendor = Vendor({f"a{n}": n for n in range(1, 9)}, {f"a{n}": days([1] * 20) for n in range(1, 9)})
    answer = await world.ask(vendor, 7, min_size=3, max_size=6, search="a4 OR a5 OR a8")
    assert {id for id, *_ in vendor.recalled} == {"a4", "a5"}
    assert answer.compared is not None
    assert answer.compared.from_vendor == 2


async def test_a_filter_by_change_goes_by_what_vendors_remember(world: World) -> None:
    vendor = Vendor({"a1": 20, "a2": 20}, {"a1": days([19] * 20), "a2": days([10] * 20)})
    answer = await world.ask(vendor, 7, min_change="50%", sort="growth")
    assert told(answer) == {"a2": (10, 10, "vendor", None)}


async def test_nothing_is_asked_twice_in_any_process(world: World) -> None:
    vendor = Vendor({"a1": 120, "a2": 7}, {"a1": days([100] * 40)})
    await world.ask(vendor, 7)
    assert sorted(vendor.recalled) == [("a1", day(16), day(1)), ("a2", day(16), day(1))]
    for to in (7, day(8), 5, 2, 6):
        await world.ask(vendor, to)
        world.clock.advance(60)
    assert len(vendor.recalled) == 2
    answer = await world.ask(vendor, 20)
    assert told(answer)["a1"] == (100, 20, "vendor", day(21))
    # Of what is known, only what lies before it.
    assert sorted(vendor.recalled[2:]) == [("a1", day(64), day(1)), ("a2", day(64), day(1))]


async def test_a_day_later_only_that_day_is_asked_for(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([100] * 40)})
    await world.ask(vendor, 7)
    world.pass_days(1)
    vendor.past["a1"] = [*vendor.past["a1"], (day(0), 105)]
    async with world.catalog(vendor) as catalog:
        await catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": day(0), "refresh": True}))
    assert vendor.recalled[1:] == []  # ours of that day is near
    answer = await world.ask(vendor, 7)
    assert told(answer)["a1"] == (100, 20, "vendor", day(7))
    assert vendor.recalled[1:] == []


async def test_the_first_answer_stays_though_the_vendor_restates_or_forgets_its_past(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([100] * 10)})
    await world.ask(vendor, 7)
    vendor.past["a1"] = days([1] * 40)
    assert told(await world.ask(vendor, 7))["a1"][0] == 100
    assert told(await world.ask(vendor, 30))["a1"][0] == 1
    assert told(await world.ask(vendor, 6))["a1"][0] == 100


async def test_a_question_without_a_moment_and_record_and_history_ask_for_nothing(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([100] * 40)})
    async with world.catalog(vendor) as catalog:
        await catalog.list_audiences(ListQuery())
        await catalog.get_audience(GetQuery(audience="a1"))
        await catalog.record()
        await catalog.find_histories(None, START - 30 * DAY)
    assert vendor.recalled == []


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden"])
async def test_a_record_that_is_refused_costs_one_request_a_note_and_nothing_else(
    world: World, kind: Any
) -> None:
    refused = VendorError(kind, "no", status=403)
    vendor = Vendor({f"a{n}": n for n in range(1, 9)}, {f"a{n}": refused for n in range(1, 9)})
    async with world.catalog(vendor) as catalog:
        for _ in range(2):
            answer = await catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": day(8)}))
            assert answer.complete
            assert answer.sources[0].error is None
            assert [note for note in answer.notes or () if f"to this key ({kind})" in note]
            assert answer.compared is None
    assert len(vendor.recalled) == 1


async def test_a_refusal_of_one_audience_leaves_that_one_unknown_and_is_not_asked_again(world: World) -> None:
    refused = VendorError("not_found", "no", status=404)
    vendor = Vendor({"a1": 120, "a2": 7}, {"a1": refused, "a2": days([5] * 20)})
    async with world.catalog(vendor) as catalog:
        for _ in range(2):
            answer = await catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": day(8)}))
            assert told(answer) == {"a1": (None, None, None, None), "a2": (5, 2, "vendor", None)}
            assert answer.compared is not None
            assert (answer.compared.unknown, answer.compared.pending) == (1, None)
    assert sorted(id for id, *_ in vendor.recalled) == ["a1", "a2"]


async def test_where_every_audience_is_refused_the_others_are_not_tried(world: World) -> None:
    refused = VendorError("not_found", "no", status=404)
    sizes = {f"a{n}": n for n in range(1, 40)}
    vendor = Vendor(sizes, dict.fromkeys(sizes, refused))
    answer = await world.ask(vendor, day(8), OneByOne())
    assert len(vendor.recalled) == 3
    assert [note for note in answer.notes or () if "(not_found)" in note]


@pytest.mark.parametrize("fault", [VendorError("unavailable", "no", status=503), {"points": None}, {}])
async def test_what_fails_in_passing_is_said_and_asked_again_by_the_next_call(
    world: World, fault: Any
) -> None:
    vendor = Vendor({"a1": 120, "a2": 7}, {"a1": fault, "a2": days([5] * 20)})
    async with world.catalog(vendor) as catalog:
        query = parse_arguments(ListQuery, {"compare_to": day(8), "sort": "growth"})
        answer = await catalog.list_audiences(query)
        assert told(answer) == {"a2": (5, 2, "vendor", None), "a1": (None, None, None, None)}
        assert answer.complete
        assert answer.compared is not None
        assert (answer.compared.pending, answer.compared.unknown) == (1, 1)
        assert [note for note in answer.notes or () if "could not be read just now" in note]
        vendor.past["a1"] = days([100] * 20)
        answer = await catalog.list_audiences(query)
    assert told(answer) == {"a1": (100, 20, "vendor", None), "a2": (5, 2, "vendor", None)}
    assert answer.compared is not None
    assert answer.compared.pending is None
    assert sorted(id for id, *_ in vendor.recalled) == ["a1", "a1", "a2"]


async def test_as_many_are_asked_for_at_once_as_the_vendor_takes_and_halves_where_one_is_refused(
    world: World,
) -> None:
    batches: list[list[str]] = []

    def ask(rows: Mapping[str, Any], span: Any, values: Mapping[str, str]) -> Any:
        batches.append([*rows])
        yield Request("past/a1", {"since": "2026-01-01", "until": "2026-11-20"}, purpose="history")
        if "a3" in rows:
            raise VendorError("invalid_request", "no", status=400)
        return {id: days([5] * 20) for id in rows}

    vendor = Vendor({f"a{n}": n for n in range(1, 8)}, {"a1": days([5])})
    answer = await world.ask(vendor, 7, remembering(History(ask, "day", batch=4)))
    batches.remove(["a1"])  # by which the pace is known
    assert sorted(map(len, batches)) == [1, 1, 2, 2, 3, 4]
    assert {id for id, row in told(answer).items() if row[0] is None} == {"a3"}


async def test_at_the_vendors_pace_the_rest_is_pending_and_goes_on_after_the_answer(world: World) -> None:
    sizes = {f"a{n}": 100 + n for n in range(1, 31)}
    vendor = Vendor(sizes, {id: days([90] * 20) for id in sizes})
    vendor.clock = world.clock
    kind = remembering(
        History(history_each("past/{id}", "points", "when", "size", PARAMS, pace="past"), "day"), OneByOne
    )
    async with world.catalog(vendor, kind, deadline_s=20) as catalog:
        query = parse_arguments(ListQuery, {"compare_to": day(8), "sort": "growth", "limit": 40})
        begun = world.clock.now()
        answer = await catalog.list_audiences(query)
        assert 4 <= world.clock.now() - begun <= 7
        compared = answer.compared
        assert compared is not None
        assert compared.pending is not None
        assert compared.pending > 20
        assert (compared.from_vendor or 0) + compared.pending == 30
        assert [row.change is None for row in answer.audiences] == [False] * (30 - compared.pending) + [
            True
        ] * compared.pending
        assert answer.complete
        assert (answer.sum_of_sizes, answer.unknown_sizes) == (sum(sizes.values()), 0)
        assert [
            note
            for note in answer.notes or ()
            if f"the sizes then of {compared.pending} audiences are still to come" in note
        ]
        await settled()
        answer = await catalog.list_audiences(query)
    assert answer.compared is not None
    assert (answer.compared.pending, answer.compared.from_vendor) == (None, 30)
    assert len(vendor.recalled) == 30


async def test_calls_at_once_ask_for_each_audience_once(world: World) -> None:
    vendor = Vendor({f"a{n}": n for n in range(1, 9)}, {f"a{n}": days([1] * 20) for n in range(1, 9)})
    answers: list[AudienceList] = []
    async with world.catalog(vendor) as catalog:

        async def ask(**query: Any) -> None:
            asked = parse_arguments(ListQuery, {"compare_to": day(8), **query})
            answers.append(await catalog.list_audiences(asked))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            for n in range(1, 4):
                tasks.start_soon(partial(ask, search=f"a{n}"))
    assert sorted(id for id, *_ in vendor.recalled) == sorted(vendor.sizes)
    assert sorted(answer.compared.from_vendor or 0 for answer in answers if answer.compared) == [1, 1, 1, 8]


async def test_groups_and_totals_have_what_vendors_remember(world: World) -> None:
    vendor = Vendor({"a1": 20, "a2": 7}, {"a1": days([19] * 20), "a2": days([10] * 20)})
    answer = await world.ask(vendor, 7, group_by="source")
    assert answer.groups is not None
    assert [(group.sum_then, group.change) for group in answer.groups] == [(29, -2)]
    answer = await world.ask(vendor, 7, limit=0)
    assert answer.compared is not None
    assert (answer.compared.sum_then, answer.compared.from_vendor) == (29, 2)


async def test_what_is_gone_is_known_from_readings_of_ours_alone(world: World) -> None:
    vendor = Vendor({"a1": 20, "a2": 7}, {"a1": days([19] * 20), "a2": days([10] * 20)})
    answer = await world.ask(vendor, 7)
    assert "gone" not in (to_dict(answer)["compared"])


async def test_of_a_range_no_change_is_made(world: World) -> None:
    sizes = {"a1": {"size": 120, "size_max": 200}}
    answer = await world.ask(Vendor(sizes, {"a1": days([100] * 20)}), 7)
    assert [(row.size_then, row.change, row.change_pct) for row in answer.audiences] == [(100, None, None)]
    assert answer.compared is not None
    assert (answer.compared.unknown, answer.compared.sum_then) == (1, 0)


async def test_before_the_records_first_day_nothing_is_asked_for(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([100] * 20)})
    kind = remembering(replace(DAILY, begins=date(2026, 11, 1)))
    answer = await world.ask(vendor, "2026-10-30", kind)
    assert vendor.recalled == []
    assert answer.notes is not None
    assert answer.notes[-1] == "acme: Acme's own record has nothing of before 2026-11-01."
    await world.ask(vendor, "2026-11-05", kind)
    assert [since for _, since, _ in vendor.recalled] == ["2026-11-01"]


async def test_a_request_spans_no_more_days_than_the_vendor_allows_and_brings_along_what_it_can(
    world: World,
) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([100] * 300)})
    kind = remembering(replace(DAILY, days=60))
    await world.ask(vendor, 3, kind)
    await world.ask(vendor, 20, kind)
    await world.ask(vendor, 30, kind)
    assert vendor.recalled == [("a1", day(61), day(1))]
    assert told(await world.ask(vendor, 200, kind))["a1"][3] is None
    assert vendor.recalled[1:] == [("a1", day(261), day(201))]


class Cut(Vendor):
    """A vendor whose answers end, and begin, with a day that is cut: one more than was asked for."""

    async def fetch(self, request: Request) -> object:
        if not request.path.startswith("past/"):
            return await super().fetch(request)
        first = date.fromisoformat(request.params["since"][:10]) - DAY
        last = date.fromisoformat(request.params["until"][:10]) + DAY
        self.recalled.append((request.path, first.isoformat(), last.isoformat()))
        await anyio.lowlevel.checkpoint()
        return {
            "points": [
                {
                    "when": (each := first + n * DAY).isoformat(),
                    "size": 400 if each in (first, last) else 1000,
                }
                for n in range((last - first).days + 1)
            ]
        }


async def test_a_day_that_is_cut_at_the_edge_of_an_answer_is_no_point_and_is_asked_for(world: World) -> None:
    vendor = Cut({"a1": 1000})
    kind = remembering(replace(DAILY, days=10))
    for days_ago in (40, 39, 50, 51):
        answer = await world.ask(vendor, day(days_ago), kind)
        assert told(answer) == {"a1": (1000, 0, "vendor", None)}
        assert answer.sources[0].compared_to == day(days_ago)


async def test_the_oldest_point_of_an_answer_that_is_full_is_one_to_the_fraction_of_a_second(
    world: World,
) -> None:
    vendor = Vendor({"a1": 120}, {"a1": [(f"{day(9)}T08:00:00.700Z", 90), (f"{day(3)}T08:00:00.700Z", 100)]})
    answer = await world.ask(vendor, 7, remembering(replace(DAILY, every="moment", most=2)))
    assert told(answer)["a1"][:3] == (90, 30, "vendor")


async def test_a_store_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("no folder")
    vendor = Vendor({"a1": 120}, {"a1": days([100] * 20)})
    world = World(folder)
    async with world.catalog(vendor) as catalog:
        for _ in range(2):
            answer = await catalog.list_audiences(parse_arguments(ListQuery, {"compare_to": day(8)}))
            assert told(answer) == {"a1": (100, 20, "vendor", None)}
    assert len(vendor.recalled) == 1


async def test_people_see_in_a_table_which_size_then_is_the_vendors(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor = Vendor({"a1": 120, "a2": 50, "a3": 7}, {"a1": days([100], ends=8), "a2": days([60], ends=9)})
    answer = await world.ask(vendor, 7)
    capsys.readouterr()
    show_list(answer, ListQuery(), Output())
    shown = {line.split()[-1]: line for line in capsys.readouterr().out.splitlines() if "acme:a" in line}
    (one,) = [line for line in shown.values() if "acme:a1" in line]
    assert f"then: the vendor's own record of {day(8)}" in one
    (other,) = [line for line in shown.values() if "acme:a3" in line]
    assert "own record" not in other
    world = World(world.folder / "of one day")
    show_list(await world.ask(Vendor({"a1": 120}, {"a1": days([100], ends=8)})), ListQuery(), Output())
    assert f"{day(8)} with {day(0)} 12:00 UTC: acme" in capsys.readouterr().out


_size = st.integers(1, 50)


@pytest.mark.slow
@examples
@given(
    past=st.dictionaries(st.integers(1, 30), _size, max_size=12),
    ours=st.lists(st.tuples(st.integers(0, 10), _size), max_size=3),
    asked=st.integers(1, 35),
    now=_size,
)
def test_a_change_that_is_told_is_the_difference_of_two_figures_at_the_moments_named(
    tmp_path_factory: pytest.TempPathFactory,
    past: dict[int, int],
    ours: list[tuple[int, int]],
    asked: int,
    now: int,
) -> None:
    """past: sizes by days before the start. ours: what we read, and days until then. asked: days ago."""

    async def play() -> None:
        world = World(tmp_path_factory.mktemp("store"))
        vendor = Vendor({"a1": 0}, {"a1": [(day(ago), size) for ago, size in past.items()]})
        read: dict[str, int] = {}
        for wait, size in ours:
            world.pass_days(wait + 0.01)
            vendor.sizes["a1"] = size
            await world.read(vendor)
            read[to_rfc3339(world.clock.utc().replace(microsecond=0))] = size
        world.pass_days(0.5)
        vendor.sizes["a1"] = now
        answer = await world.ask(vendor, asked, refresh=True)
        (row,) = answer.audiences
        at = world.clock.utc() - asked * DAY
        if row.change is None:
            return
        named = row.then_as_of or answer.sources[0].compared_to
        assert named is not None
        if row.then_from == "vendor":
            assert {day(ago): size for ago, size in past.items()}[named] == row.size_then
            end = datetime.fromisoformat(named).replace(tzinfo=timezone.utc) + DAY
            assert end - timedelta(milliseconds=1) <= at
            assert at - end <= asked * DAY
        else:
            assert read[named] == row.size_then
        assert row.change == now - (row.size_then or 0)
        assert answer.compared is not None
        assert (answer.compared.sum_then, answer.compared.change) == (row.size_then, row.change)

    apart(anyio.run, play)


async def test_progress_says_how_much_of_a_vendors_past_is_read_and_never_goes_back(world: World) -> None:
    told: list[tuple[float, float | None, str]] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        told.append((done, total, message))

    vendor = Vendor({"a1": 10, "a2": 20}, {"a1": days([9] * 20), "a2": days([19] * 20)})
    query = parse_arguments(ListQuery, {"compare_to": to_rfc3339(world.clock.utc() - 7 * DAY)})
    async with world.catalog(vendor, OneByOne()) as catalog:
        answer = await catalog.list_audiences(query, progress)
    assert [row.change for row in answer.audiences] == [1, 1]
    assert told[0][2] == "acme: page 1, 2 audiences read"
    assert told[1] == (2, 4, "acme: 0 of 2 audiences' past sizes read")
    assert told[-1] == (4, 4, "acme: 2 of 2 audiences' past sizes read")
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})

"""Sizes that cost a request each: for which rows they are asked, how often, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import anyio
import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import Account, load_configuration
from audience_mcp.core.errors import VendorError
from audience_mcp.sources.reader import Connect
from audience_mcp.sources.talk import Fetch
from audience_mcp.vendors import (
    Count,
    Counted,
    Fields,
    Listing,
    Rate,
    Request,
    Row,
    Rows,
    Setting,
    Sizes,
    Talk,
    Values,
    Vendor,
    array_at,
)
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


def count(rows: Rows, values: Values) -> Talk[Sizes]:
    body = yield Request("count", {"ids": ",".join(rows)}, purpose="count")
    counts: Any = array_at(body, "counts")
    return {str(id): Counted(size) for id, size in counts}


class Counting(Vendor):
    """A vendor whose sizes are counted `batch` at a time."""

    name = "acme"
    title = "Acme"
    settings = (
        Setting("api_key", ("ACME_KEY",), "Key", required=True, secret=True),
        Setting("base_url", ("ACME_BASE_URL",), "Base URL", default="https://acme.example"),
    )
    listings: ClassVar[tuple[Listing, ...]] = ()
    per_second: float = 1000

    def __init__(self, batch: int = 1) -> None:
        counting = Count(count, batch)
        vars(self)["listings"] = (
            Listing("list", rows="rows", fields=Fields(), counts="members", ids="[0-9]{1,9}", count=counting),
        )

    def rates(self, values: Values) -> Mapping[str, Sequence[Rate]]:
        return {"": [Rate(self.per_second)]}

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        row.name, row.type = f"Audience {row.id}", "dynamic" if int(row.id) % 2 else "static"


@dataclass
class Api:
    """What the vendor answers: audience n has 10 n members. counted: the ids of each count request.

    refused: ids that it does not count, and refusal the status that says so. faults: raised by the next
    counts. seconds: how long a count takes.
    """

    ids: Sequence[object]
    clock: FakeClock
    refused: frozenset[str] = frozenset()
    refusal: int = 400
    faults: list[VendorError] = field(default_factory=list)
    seconds: float = 0
    lists: int = 0
    counted: list[list[str]] = field(default_factory=list)

    async def fetch(self, request: Request) -> object:
        if request.path == "list":
            self.lists += 1
            return {"rows": [{"id": id} for id in self.ids]}
        ids = request.params["ids"].split(",")
        self.counted.append(ids)
        if self.seconds:
            await self.clock.sleep(self.seconds)
        await anyio.lowlevel.checkpoint()
        if self.faults:
            raise self.faults.pop()
        if self.refused.intersection(ids):
            raise VendorError("invalid_request", f"acme: HTTP {self.refusal}", status=self.refusal)
        return {"counts": [[id, 10 * int(id)] for id in ids]}

    @property
    def all_counted(self) -> list[str]:
        return sorted(id for ids in self.counted for id in ids)


@dataclass
class Heeded(Api):
    """Counts the first batch, and more only when `noticed`."""

    noticed: anyio.Event = field(default_factory=anyio.Event)

    async def fetch(self, request: Request) -> object:
        if request.path == "count" and self.counted:
            await self.noticed.wait()
        return await super().fetch(request)


@asynccontextmanager
async def opened(api: Api, vendor: Vendor | None = None, **variables: str) -> AsyncIterator[Catalog]:
    configured = load_configuration({"ACME_KEY": "made-up-key", **variables}, [vendor or Counting()])

    def connect(account: Account) -> Fetch:
        return api.fetch

    connecting: Connect = connect
    with anyio.fail_after(30):
        async with open_catalog(configured, clock=api.clock, connect=connecting) as catalog:
            yield catalog


async def test_every_size_is_counted_once_and_summed() -> None:
    api = Api(range(1, 8), FakeClock())
    async with opened(api) as catalog:
        answer = await catalog.list_audiences(ListQuery())
        again = await catalog.list_audiences(ListQuery())
    assert (answer.sum_of_sizes, answer.unknown_sizes, answer.complete) == (280, 0, True)
    assert again.sum_of_sizes == 280
    assert api.all_counted == [str(n) for n in range(1, 8)]


async def test_progress_says_how_many_sizes_are_counted_and_never_goes_back() -> None:
    told: list[tuple[float, float | None, str]] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        told.append((done, total, message))
        if " 2 of 7" in message:
            api.noticed.set()

    api = Heeded(range(1, 8), FakeClock())
    async with opened(api, Counting(batch=2)) as catalog:
        await catalog.list_audiences(ListQuery(), progress)
    assert told[0] == (1, 1, "acme: page 1, 7 audiences read")
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})
    assert told[1] == (2, 9, "acme: 0 of 7 sizes counted")
    assert (4, 9, "acme: 2 of 7 sizes counted") in told
    assert told[-1] == (9, 9, "acme: 7 of 7 sizes counted")


async def test_only_rows_that_pass_the_questions_other_filters_are_counted() -> None:
    api = Api(range(1, 8), FakeClock())
    async with opened(api) as catalog:
        answer = await catalog.list_audiences(ListQuery(type=["static"], min_size=30))
    assert [a.id or a.ref for a in answer.audiences] == ["acme:6", "acme:4"]
    assert api.all_counted == ["2", "4", "6"]


async def test_one_audience_costs_one_count() -> None:
    api = Api(range(1, 8), FakeClock())
    async with opened(api) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience="Audience 5"))).audiences
    assert one.size == 50
    assert api.counted == [["5"]]


async def test_calls_at_once_share_the_counts_of_the_same_rows() -> None:
    api = Api(range(1, 8), FakeClock())
    sums: list[int] = []

    async def ask(catalog: Catalog) -> None:
        sums.append((await catalog.list_audiences(ListQuery(limit=0))).sum_of_sizes)

    async with opened(api) as catalog, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask, catalog)
    assert sums == [280] * 5
    assert api.all_counted == [str(n) for n in range(1, 8)]


async def test_a_call_that_comes_while_sizes_are_being_counted_asks_for_none_of_them_again() -> None:
    api, going_on = Api(range(1, 8), FakeClock()), anyio.Event()

    async def fetch(request: Request) -> object:
        if request.path == "count":
            api.counted.append(request.params["ids"].split(","))
            await going_on.wait()
            return {"counts": [[id, 10 * int(id)] for id in api.counted[-1]]}
        return await api.fetch(request)

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])
    with anyio.fail_after(30):
        async with (
            open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(catalog.list_audiences, ListQuery(limit=0))
            while not api.counted:
                await anyio.lowlevel.checkpoint()
            tasks.start_soon(catalog.list_audiences, ListQuery(limit=0))
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            going_on.set()
    assert api.all_counted == [str(n) for n in range(1, 8)]


@pytest.mark.parametrize(("batch", "requests"), [(1, 7), (3, 3), (7, 1), (50, 1)])
async def test_as_many_are_counted_in_one_request_as_the_vendor_takes(batch: int, requests: int) -> None:
    api = Api(range(1, 8), FakeClock())
    async with opened(api, Counting(batch)) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert answer.sum_of_sizes == 280
    assert len(api.counted) == requests


async def test_an_audience_that_the_vendor_does_not_count_is_unknown_and_the_answer_is_complete() -> None:
    api = Api(range(1, 8), FakeClock(), refused=frozenset({"3"}))
    async with opened(api) as catalog:
        answer = await catalog.list_audiences(ListQuery(detail="full"))
    (odd,) = [a for a in answer.audiences if a.size is None]
    assert (odd.id, odd.size_note) == ("3", "the vendor refused to count this audience")
    assert (answer.sum_of_sizes, answer.unknown_sizes, answer.complete) == (250, 1, True)
    assert answer.sizes_pending in (None, 0)


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422])
async def test_a_batch_that_is_refused_is_halved_until_the_one_that_cannot_be_counted_stands_alone(
    status: int,
) -> None:
    api = Api(range(1, 17), FakeClock(), refused=frozenset({"11"}), refusal=status)
    async with opened(api, Counting(16)) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert answer.unknown_sizes == 1
    assert answer.sum_of_sizes == 10 * (sum(range(1, 17)) - 11)
    assert len(api.counted) == 1 + 2 * 4


async def test_an_id_unlike_the_documented_ones_is_never_put_into_a_count() -> None:
    class Odd(Counting):
        def __init__(self) -> None:
            super().__init__()
            vars(self)["listings"] = (replace(self.listings[0], ids="[0-4]"),)

    api = Api([1, 2, 7], FakeClock())
    async with opened(api, Odd()) as catalog:
        answer = await catalog.list_audiences(ListQuery(detail="full"))
    (odd,) = [a for a in answer.audiences if a.size is None]
    assert odd.id == "7"
    assert odd.size_note is not None
    assert "its id is not like those" in odd.size_note
    assert api.all_counted == ["1", "2"]


async def test_a_fault_of_one_count_is_told_costs_no_other_and_the_next_call_asks_for_it_again() -> None:
    api = Api(range(1, 31), FakeClock(), faults=[VendorError("unavailable", "acme: is away", status=503)])
    async with opened(api) as catalog:
        first = await catalog.list_audiences(ListQuery(limit=0))
        (report,) = first.sources
        assert not first.complete
        assert first.sizes_pending == 1
        assert report.error is not None
        assert report.error.kind == "unavailable"
        second = await catalog.list_audiences(ListQuery(limit=0))
    assert (second.complete, second.sum_of_sizes) == (True, 10 * sum(range(1, 31)))
    assert api.lists == 1
    assert len(api.all_counted) == 31  # one was asked for twice: the one that failed


async def test_that_the_key_may_not_count_is_told_as_long_as_it_is_so_and_no_longer() -> None:
    clock = FakeClock()
    refusals = [VendorError("forbidden", "acme: it may not count", status=403) for _ in range(2)]
    api = Api(["1", "2"], clock, faults=refusals)
    async with opened(api) as catalog:
        for limit in (2, 1):  # by the call that meets it, and by another that asks for no count any more
            answer = await catalog.list_audiences(ListQuery(limit=limit))
            (report,) = answer.sources
            assert report.error is not None
            assert report.error.kind == "forbidden"
        clock.advance(3600)
        answer = await catalog.list_audiences(ListQuery(refresh=True))
    assert answer.sources[0].error is None
    assert answer.sum_of_sizes == 30


async def test_sizes_that_cannot_all_come_in_time_are_waited_for_5_seconds_and_go_on_behind_the_answer() -> (
    None
):
    clock = FakeClock()
    api = Api(range(1, 101), clock, seconds=1)
    vendor = Counting()
    vendor.per_second, vendor.at_once = 1, 1  # type: ignore[misc]
    async with opened(api, vendor) as catalog:
        began = clock.now()
        answer = await catalog.list_audiences(ListQuery(limit=0))
        assert clock.now() - began <= 7
        (report,) = answer.sources
        assert not answer.complete
        assert answer.sizes_pending
        assert 90 <= answer.sizes_pending <= 97
        assert answer.unknown_sizes >= answer.sizes_pending
        assert report.error is not None
        assert report.error.kind == "timeout"
        assert report.error.retry_after_s
        assert "of 100 sizes counted" in report.error.message
        while len(api.counted) < 100:  # nobody asks meanwhile
            await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        after = await catalog.list_audiences(ListQuery(limit=0))
    assert (after.complete, after.sum_of_sizes) == (True, 10 * sum(range(1, 101)))
    assert len(api.counted) == 100


async def test_how_soon_to_ask_again_is_what_the_vendors_pace_needs() -> None:
    clock = FakeClock()

    class ByTheMinute(Counting):
        def rates(self, values: Values) -> Mapping[str, Sequence[Rate]]:
            return {"": [Rate(10, 60)]}

    async with opened(Api(range(1, 37), clock, seconds=60), ByTheMinute()) as catalog:
        (report,) = (await catalog.list_audiences(ListQuery(limit=0))).sources
    assert report.error is not None
    assert report.sizes_pending == 36
    assert report.error.retry_after_s == 180  # ten a minute, the first ten at once


async def test_counts_serve_a_later_reading_and_say_when_they_were_made_until_they_are_an_hour_old() -> None:
    clock = FakeClock()
    api = Api([1, 2], clock)
    async with opened(api, AUDIENCE_MCP_CACHE_S="0") as catalog:
        await catalog.list_audiences(ListQuery())
        clock.advance(600)
        later = await catalog.list_audiences(ListQuery())
        assert (api.lists, len(api.counted)) == (2, 2)
        assert {a.size_note for a in later.audiences} == {"counted at 2026-11-20T12:00:00Z"}
        assert later.sum_of_sizes == 30
        clock.advance(3600)
        newest = await catalog.list_audiences(ListQuery())
    assert (api.lists, len(api.counted)) == (3, 4)
    assert {a.size_note for a in newest.audiences} == {None}


@pytest.mark.parametrize("body", [{}, {"counts": None}, []])
async def test_a_count_that_cannot_be_read_is_unknown_and_not_zero(body: object) -> None:
    api = Api([1], FakeClock())

    async def fetch(request: Request) -> object:
        return body if request.path == "count" else await api.fetch(request)

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])
    async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    (one,) = answer.audiences
    assert (one.size, one.size_note) == (None, "the vendor's count could not be read")
    assert answer.unknown_sizes == 1


async def test_a_count_that_could_not_be_read_is_asked_for_again_by_the_next_reading() -> None:
    api, well = Api([1, 2], FakeClock()), False

    async def fetch(request: Request) -> object:
        return await api.fetch(request) if well or request.path == "list" else {"counts": None}

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])
    async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:
        assert (await catalog.list_audiences(ListQuery())).unknown_sizes == 2
        well = True
        api.clock.advance(60)
        later = await catalog.list_audiences(ListQuery(refresh=True))
    assert (later.unknown_sizes, later.sum_of_sizes) == (0, 30)


@pytest.mark.parametrize("size", ["1,234", "1.2k", True, -1, 1.5, 1e30, float("nan"), {}, [7]])
async def test_a_figure_that_is_no_size_is_unknown_and_asked_for_again_by_the_next_reading(
    size: object,
) -> None:
    api, said = Api([1, 2], FakeClock()), {"1": size, "2": 20}

    async def fetch(request: Request) -> object:
        if request.path == "list":
            return await api.fetch(request)
        return {"counts": [[id, said[id]] for id in request.params["ids"].split(",")]}

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting(2)])
    async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:
        answer = await catalog.list_audiences(ListQuery())
        assert [(a.size, a.size_note) for a in answer.audiences] == [
            (20, None),
            (None, "the vendor's count could not be read"),
        ]
        said["1"] = 10
        api.clock.advance(60)
        later = await catalog.list_audiences(ListQuery(refresh=True))
    assert (later.unknown_sizes, later.sum_of_sizes) == (0, 30)


@pytest.mark.parametrize(("early", "shown", "note"), [(0, None, "not counted yet"), (40, 40, None)])
async def test_what_is_counted_while_an_audience_is_processed_does_not_serve_when_it_is_ready(
    early: int, shown: int | None, note: str | None
) -> None:
    class Building(Counting):
        state = "processing"

        def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
            row.status = self.state  # type: ignore[assignment]

    api, members, vendor = Api([1], FakeClock()), early, Building()

    async def fetch(request: Request) -> object:
        return await api.fetch(request) if request.path == "list" else {"counts": [["1", members]]}

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [vendor])
    async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:
        (row,) = (await catalog.list_audiences(ListQuery())).audiences
        assert (row.size, row.size_note) == (shown, note)
        vendor.state, members = "ready", 55
        api.clock.advance(60)
        (row,) = (await catalog.list_audiences(ListQuery(refresh=True))).audiences
    assert (row.size, row.size_note) == (55, None)


async def test_a_few_counts_that_always_fail_do_not_keep_the_others_from_being_counted() -> None:
    api, vendor = Api(range(1, 9), FakeClock()), Counting()
    vendor.at_once = 1  # type: ignore[misc]

    async def fetch(request: Request) -> object:
        if request.params.get("ids") in ("1", "2", "3"):
            raise VendorError("unavailable", "acme: is away", status=503)
        return await api.fetch(request)

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [vendor])
    async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.sum_of_sizes, answer.sizes_pending) == (10 * sum(range(4, 9)), 3)
    (report,) = answer.sources
    assert report.error is not None
    assert "3 sizes could not be counted. is away" in report.error.message


@pytest.mark.parametrize("status", [504, 524])
async def test_a_batch_that_takes_too_long_is_halved(status: int) -> None:
    api = Api(range(1, 17), FakeClock())

    async def fetch(request: Request) -> object:
        ids = request.params.get("ids", "").split(",")
        if len(ids) > 8:
            raise VendorError("unavailable", f"acme: HTTP {status}", status=status)
        return await api.fetch(request)

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting(16)])
    async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.sum_of_sizes, answer.complete) == (10 * sum(range(1, 17)), True)


async def test_one_half_of_a_batch_that_fails_leaves_the_other_its_sizes() -> None:
    api = Api(range(1, 5), FakeClock())

    async def fetch(request: Request) -> object:
        if request.path == "count" and len(request.params["ids"].split(",")) > 2:
            raise VendorError("invalid_request", "acme: HTTP 413", status=413)
        if request.params.get("ids") == "1,2":
            raise VendorError("unavailable", "acme: is away", status=503)
        return await api.fetch(request)

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting(4)])
    async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.sum_of_sizes, answer.sizes_pending, answer.complete) == (70, 2, False)


async def test_an_audience_that_the_key_may_not_count_leaves_the_others_of_its_batch_their_sizes() -> None:
    api = Api(range(1, 9), FakeClock())

    async def fetch(request: Request) -> object:
        if "3" in request.params.get("ids", "").split(","):
            raise VendorError("forbidden", "acme: not for this key", status=403)
        return await api.fetch(request)

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting(4)])
    async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.sum_of_sizes, answer.unknown_sizes) == (10 * (sum(range(1, 9)) - 3), 1)
    assert (answer.complete, answer.sizes_pending) == (True, None)
    (report,) = answer.sources
    assert report.error is not None
    assert "the size of 'Audience 3' could not be counted" in report.error.message


@pytest.mark.parametrize(("failed", "pending"), [(429, 1), (503, 1), (403, None), (400, None)])
async def test_a_size_that_fails_alone_in_an_answer_is_asked_for_again_or_refused_alone(
    failed: int, pending: int | None
) -> None:
    class Partial(Counting):
        def __init__(self) -> None:
            super().__init__()
            vars(self)["listings"] = (replace(self.listings[0], count=Count(fail_one, 3)),)

    def fail_one(rows: Rows, values: Values) -> Talk[Sizes]:
        sizes = yield from count(rows, values)
        return {id: Counted(None, failed=failed) if id == "2" and not well else sizes[id] for id in rows}

    api, well = Api(range(1, 4), FakeClock()), False
    async with opened(api, Partial()) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
        assert (answer.sum_of_sizes, answer.unknown_sizes) == (40, 1)
        assert (answer.sizes_pending, answer.complete) == (pending, pending is None)
        (report,) = answer.sources
        assert report.error is not None
        assert "the size of 'Audience 2' could not be counted. Acme sent an error" in report.error.message
        well = True
        later = await catalog.list_audiences(ListQuery(limit=0))
    assert later.sum_of_sizes == (60 if pending else 40)


async def test_sizes_that_come_while_the_source_is_read_again_serve_both_calls() -> None:
    api, going_on = Api(range(1, 8), FakeClock()), anyio.Event()
    answers = []

    async def fetch(request: Request) -> object:
        if request.path == "count":
            await going_on.wait()
        return await api.fetch(request)

    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting()])
    with anyio.fail_after(30):
        async with open_catalog(configured, clock=api.clock, connect=lambda account: fetch) as catalog:

            async def ask(refresh: bool) -> None:
                answers.append(await catalog.list_audiences(ListQuery(limit=0, refresh=refresh)))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, False)
                for _ in range(200):
                    await anyio.lowlevel.checkpoint()
                api.clock.advance(15)
                tasks.start_soon(ask, True)
                for _ in range(200):
                    await anyio.lowlevel.checkpoint()
                going_on.set()
    assert api.lists == 2
    assert [(answer.sum_of_sizes, answer.complete) for answer in answers] == [(280, True)] * 2
    assert api.all_counted == [str(n) for n in range(1, 8)]


async def test_a_count_that_leaves_an_audience_out_leaves_its_size_unknown() -> None:
    class Forgetful(Counting):
        def __init__(self) -> None:
            super().__init__()
            vars(self)["listings"] = (replace(self.listings[0], count=Count(forget_one, 3)),)

    def forget_one(rows: Rows, values: Values) -> Talk[Sizes]:
        sizes = yield from count(rows, values)
        return dict(list(sizes.items())[1:])

    api = Api(range(1, 4), FakeClock())
    async with opened(api, Forgetful()) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    notes = {a.name: a.size_note for a in answer.audiences if a.size is None}
    assert list(notes.values()) == ["the vendor's count has no figure for this audience"]
    assert answer.unknown_sizes == 1

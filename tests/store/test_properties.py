"""Whatever is recorded, in whatever order and by whatever clock: what is told was really stored."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audience_mcp.core.audience import Row
from audience_mcp.store.guard import Backend
from audience_mcp.store.history import AHEAD_MS, HistoryPart
from audience_mcp.store.retention import DAY_MS, points_to_drop, thin
from audience_mcp.store.sqlite import SqliteStore
from audience_mcp.store.stored import (
    Baseline,
    NoBaseline,
    Owner,
    StoredCount,
    StoreError,
    Timeline,
    from_ms,
    to_ms,
)
from tests.store.conftest import HandClock
from tests.support.postgres import schema

START = 1_795_000_000_000
HOUR_S = 3600
SIZES = st.one_of(st.none(), st.integers(0, 3))
UNITS = st.sampled_from([None, "u"])
LISTED = st.dictionaries(st.sampled_from("abcd"), st.tuples(SIZES, UNITS))
COUNTED = st.dictionaries(st.sampled_from("wxyz"), SIZES)
HOURS = st.one_of(
    st.integers(1, 30), st.integers(-60, 60), st.sampled_from([24 * 8, 24 * 100, 24 * 500, -24 * 40])
)
ACCOUNTS = ("A", "B")
STEPS: st.SearchStrategy[list[Any]] = st.lists(
    st.one_of(
        st.tuples(
            st.just("read"), HOURS, st.sampled_from(ACCOUNTS), LISTED, st.sets(st.sampled_from("wxyz"))
        ),
        st.tuples(st.just("count"), st.integers(0, 90), st.sampled_from(ACCOUNTS), COUNTED, st.just(set())),
        st.tuples(st.just("new key"), st.just(0), st.sampled_from(ACCOUNTS), st.just({}), st.just(set())),
        st.tuples(st.just("restart"), st.just(0), st.just("A"), st.just({}), st.just(set())),
        st.tuples(st.just("full"), st.just(0), st.sampled_from(ACCOUNTS), LISTED, st.just(set())),
        st.tuples(st.just("lost"), st.just(0), st.just("A"), st.just({}), st.just(set())),
    ),
    min_size=1,
    max_size=16,
)


@dataclass
class Account:
    """One account of a vendor that is known by its key alone, under the one name that both accounts have.

    given: each size that its vendor gave, by the moment and the audience. listed: those of them that came
    with a reading of that moment. present: what it has now.
    """

    name: str
    keys: int = 0
    given: dict[tuple[int, str], tuple[int | None, str | None]] = field(default_factory=dict)
    listed: dict[tuple[int, str], tuple[int | None, str | None]] = field(default_factory=dict)
    readings: set[int] = field(default_factory=set)
    present: list[Row] = field(default_factory=list)

    @property
    def owner(self) -> Owner:
        """Whose history it is, by the key of now."""
        key = f"{self.name}-{self.keys}"
        return Owner("acme", "", "acme", (("api_key", key, True),), by_key=True)

    def rows(self, listed: Mapping[str, Any], pending: set[str]) -> list[Row]:
        """A reading's rows. One audience is always there, so that the account is known again by its name."""
        return [
            Row("all", f"All of {self.name}", 1),
            *[Row(id, f"{self.name} {id}", size, unit=unit) for id, (size, unit) in listed.items()],
            *[Row(id, f"{self.name} {id}", size_pending=True) for id in sorted(pending)],
        ]


class World:
    """A store, and two accounts that use it under one name."""

    def __init__(self, open_store: Any, clock: HandClock) -> None:
        self.open_store = open_store
        self.clock = clock
        self.store: Backend = open_store()
        self.accounts = {name: Account(name) for name in ACCOUNTS}

    @property
    def now(self) -> int:
        """The wall clock, in milliseconds."""
        return round(self.clock.time * 1000)

    def do(self, what: str, number: int, name: str, sizes: Mapping[str, Any], pending: set[str]) -> None:
        """One step."""
        account = self.accounts[name]
        if what == "restart":
            self.store.close()
            self.store = self.open_store()
        elif what == "lost":
            self.lose_connection()
        elif what == "full":
            self.fail_to_record(account, account.rows(sizes, pending))
        elif what == "new key":
            account.keys += 1
        elif what == "read":
            self.clock.time += number * HOUR_S
            account.present = account.rows(sizes, pending)
            if self.store.history(lambda h: h.record(account.owner, account.present, self.now)):
                for row in account.present:
                    if not row.size_pending:
                        account.given.setdefault((self.now, row.id), (row.size, row.unit))
                        if self.now not in account.readings:
                            account.listed[self.now, row.id] = row.size, row.unit
                account.readings.add(self.now)
        else:
            self.clock.time += number
            counts = {id: StoredCount(size, None, None, from_ms(self.now)) for id, size in sizes.items()}
            self.store.history(lambda h: h.record_counts(account.owner, counts))
            for id, size in sizes.items():
                account.given.setdefault((self.now, id), (size, None))

    def lose_connection(self) -> None:
        """End the connection under the store, as a database that restarts does."""
        if isinstance(self.store, SqliteStore):
            self.store.close()  # the next use opens the files again
        else:
            end = "SELECT pg_terminate_backend(pg_backend_pid())"
            with suppress(StoreError):
                self.store.history(lambda h: h._db.execute(end))

    def fail_to_record(self, account: Account, rows: list[Row]) -> None:
        """Record a reading as the disk becomes full, after the first of its statements has been done."""

        def record(history: HistoryPart) -> None:
            history.record(account.owner, rows, self.now + 1)
            raise StoreError("full", "the disk is full")

        def record_in_vain(history: HistoryPart) -> None:
            with history._db.transaction("test"):
                record(history)

        with pytest.raises(StoreError, match="full"):
            self.store.history(record_in_vain)

    def check(self, at: int) -> None:
        """What is told of a moment, to each account."""
        for account in self.accounts.values():
            who, present = account.owner, account.present
            found = self.store.history(partial(_baseline, who, at, present))
            lines = self.store.history(partial(_timelines, who, at, present))
            if isinstance(found, Baseline):
                self._check_baseline(account, found, at)
            for line in lines:
                assert line.name.endswith(account.name) or line.name.startswith(account.name)
                moments = [to_ms(each.as_of) for each in line.moments]
                assert moments == sorted(set(moments))
                for each in line.moments:
                    assert account.given[to_ms(each.as_of), line.id][0] == each.size

    def _check_baseline(self, account: Account, found: Baseline, at: int) -> None:
        moment = to_ms(found.as_of)
        assert moment in account.readings
        assert moment <= self.now + AHEAD_MS
        for id, past in found.audiences.items():
            assert account.name in past.name
            if past.counts:
                assert past.size is None
                for each in past.counts:
                    assert account.given[to_ms(each.as_of), id] == (each.size, None)
                    assert to_ms(each.as_of) <= max(at, moment + DAY_MS)
            else:  # one whose size was pending has none
                size, unit = account.listed.get((moment, id), (None, None))
                assert (past.size, past.unit) == (size, unit if size is not None else None)


def _baseline(who: Owner, at: int, present: list[Row], history: HistoryPart) -> Baseline | NoBaseline:
    return history.baseline(who, at, 2**50, lambda: present)


def _timelines(who: Owner, since: int, present: list[Row], history: HistoryPart) -> list[Timeline]:
    return history.timelines(who, since, None, lambda: present)


@contextmanager
def world(kind: str) -> Iterator[World]:
    """A world with a store of this kind."""
    clock = HandClock()
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            made = World(lambda: SqliteStore(Path(folder), clock), clock)
            yield made
            made.store.close()
        return
    from audience_mcp.store.postgres import PostgresStore

    with schema() as address:
        made = World(lambda: PostgresStore(address, clock), clock)
        yield made
        made.store.close()


def _live(kind: str, steps: list[Any]) -> None:
    with world(kind) as each:
        for step in steps:
            each.do(*step)
            each.check(each.now)
        now = each.now
        for at in (now - DAY_MS, now - 30 * DAY_MS, START, 0):
            each.check(at)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(STEPS)
@example([("count", 0, "A", {"w": None, "z": 0}, set()), ("read", 0, "A", {}, {"z"})])
def test_what_is_told_was_given_by_this_accounts_vendor_at_the_moments_named(steps: list[Any]) -> None:
    _live("sqlite", steps)


@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_the_same_in_a_database(steps: list[Any]) -> None:
    _live("postgres", steps)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 5), COUNTED, SIZES), min_size=1, max_size=12),
    st.lists(st.integers(1, 100), max_size=6),
)
def test_what_was_stored_as_known_becomes_unknown_by_age_alone(
    day: list[tuple[int, dict[str, int | None], int | None]], later: list[int]
) -> None:
    with world("sqlite") as each:
        last: dict[str, tuple[int, int]] = {}
        account = each.accounts["A"]
        each.clock.time = START / 1000 // 86_400 * 86_400
        for hours, counted, listed in day:
            each.do("read", min(hours, 1), "A", {"a": (listed, None)}, set("wxyz"))
            if listed is not None:
                last["a"] = each.now, listed
            each.do("count", 5, "A", counted, set())
            last |= {id: (each.now, size) for id, size in counted.items() if size is not None}
        first_day = each.now
        for days in later:
            each.do("read", 24 * days, "A", {}, set())
        if each.now - first_day > 89 * DAY_MS:
            return
        lines = each.store.history(lambda h: h.timelines(account.owner, 0))
        told = {line.id: {(to_ms(m.as_of), m.size) for m in line.moments} for line in lines}
        for id, (moment, size) in last.items():
            sizes = sorted(told[id])
            known = [size for at, size in sizes if at <= moment]
            assert known
            assert known[-1] == size


@given(st.lists(st.integers(0, 500 * 24), min_size=1, max_size=300, unique=True))
def test_thinning_keeps_the_newest_and_nothing_of_the_last_week_goes(hours: list[int]) -> None:
    moments = sorted(START + hour * 3_600_000 for hour in hours)
    now = moments[-1]
    dropped = set(points_to_drop(moments, now))
    kept = [moment for moment in moments if moment not in dropped]
    assert kept[-1] == now
    assert all(moment in kept for moment in moments if moment >= now - 7 * DAY_MS)
    assert all(now - moment <= 400 * DAY_MS for moment in kept)
    older = [moment for moment in kept if moment < now - 7 * DAY_MS]
    assert len({moment // DAY_MS for moment in older}) == len(older)
    # Thinned again, nothing more goes.
    assert points_to_drop(kept, now) == []


@given(st.lists(st.integers(), max_size=200), st.integers(2, 60))
def test_a_line_of_too_many_points_keeps_its_first_and_last(values: list[int], most: int) -> None:
    places = thin(values, most)
    assert len(places) == min(len(values), most)
    assert places == sorted(set(places))
    assert not values or (places[0], places[-1]) == (0, len(values) - 1)

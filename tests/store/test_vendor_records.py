"""What vendors themselves remember, as it is kept over each kind of store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from audience_mcp.core.audience import Row
from audience_mcp.core.points import TICK, Span, VendorPoint
from audience_mcp.store.guard import Backend
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.sqlite import HISTORY, SqliteStore
from audience_mcp.store.stored import NoBaseline, Owner, VendorRecord, to_ms
from tests.store.conftest import HandClock, Open
from tests.store.uses import owner

ACME = owner("acme")
TODAY = datetime(2026, 11, 20, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def now(clock: HandClock) -> None:
    clock.time = TODAY.timestamp() + 12 * 3600


def ago(days: float) -> datetime:
    return TODAY - timedelta(days=days)


def points(*sizes: tuple[float, int], of_day: bool = True) -> list[VendorPoint]:
    """Points of so many days ago, the oldest first; of a day, at its end."""
    ends = TICK if of_day else timedelta()
    return [VendorPoint(ago(days) - ends, size, of_day) for days, size in sorted(sizes, reverse=True)]


def keep(
    store: Backend, told: Sequence[VendorPoint], asked: Sequence[Span], who: Owner = ACME, id: str = "a"
) -> None:
    store.history(lambda part: part.record_vendor(who, {id: VendorRecord(told, asked)}))


def kept(store: Backend, who: Owner = ACME, id: str = "a") -> VendorRecord:
    return store.history(lambda part: part.find_vendor(who, [id])).get(id, VendorRecord())


def test_what_was_told_and_asked_serves_other_processes(opened: Open) -> None:
    told, asked = points((3, 7), (2, 9)), [Span(ago(5), ago(1))]
    keep(opened(), told, asked)
    assert kept(opened()) == VendorRecord(told, asked)
    assert kept(opened(), id="b") == VendorRecord()


def test_a_moment_stays_a_moment_and_a_day_a_day(store: Backend) -> None:
    told = [*points((3, 7)), *points((2.5, 9), of_day=False)]
    keep(store, told, [])
    assert [each.as_of for each in kept(store).points] == ["2026-11-16", "2026-11-17T12:00:00Z"]


def test_that_there_is_nothing_is_kept_too(store: Backend) -> None:
    keep(store, [], [Span(ago(5), ago(1))])
    assert kept(store) == VendorRecord([], [Span(ago(5), ago(1))])


def test_the_first_answer_stays_though_the_vendor_restates_its_past(store: Backend) -> None:
    keep(store, points((3, 7)), [Span(ago(5), ago(2))])
    keep(store, points((3, 8), (1, 9)), [Span(ago(4), ago(1))])
    assert kept(store) == VendorRecord(points((3, 7), (1, 9)), [Span(ago(5), ago(1))])


def test_stretches_that_were_asked_apart_stay_apart(store: Backend) -> None:
    keep(store, [], [Span(ago(9), ago(7))])
    keep(store, [], [Span(ago(3), ago(1))])
    assert kept(store).asked == [Span(ago(9), ago(7)), Span(ago(3), ago(1))]


def test_points_are_kept_as_readings_of_their_age_are(store: Backend) -> None:
    days = range(1, 500)
    keep(store, points(*((day, day) for day in days)), [Span(ago(500), ago(1))])
    there = [(TODAY - each.moment).days for each in kept(store).points]
    assert [day for day in there if day <= 89] == list(range(89, 0, -1))
    older = [day for day in there if day > 91]
    assert {after - before for after, before in pairwise(older)} == {7}
    assert {(ago(day) - TICK).weekday() for day in older} == {6}  # a week's last day
    assert 393 <= max(there) <= 400
    assert kept(store).asked[0].since >= ago(401)


def test_what_has_grown_old_is_thinned_with_the_readings(store: Backend, clock: HandClock) -> None:
    keep(store, points(*((day, day) for day in range(1, 80))), [Span(ago(80), ago(1))])
    store.history(partial(record_a, 5, to_ms(ago(0))))
    clock.time += 100 * 86_400
    for days in (-99, -100):
        store.history(partial(record_a, 5, to_ms(ago(days))))
    there = [(TODAY - each.moment).days for each in kept(store).points]
    assert {before - after for before, after in pairwise(there)} <= {7, 3}  # the 90 days begin within a week
    assert 10 <= len(there) <= 12
    clock.time += 400 * 86_400
    for days in (-499, -500):
        store.history(partial(record_a, 5, to_ms(ago(days))))
    assert kept(store) == VendorRecord()


def test_of_moments_within_one_day_all_stay_for_a_week_and_then_the_last(store: Backend) -> None:
    told = points((2.75, 1), (2.5, 2), (2.25, 3), (20.75, 4), (20.5, 5), (20.25, 6), of_day=False)
    keep(store, told, [])
    assert [each.size for each in kept(store).points] == [6, 1, 2, 3]


def test_another_account_sees_none_of_it_and_clearing_takes_it(store: Backend) -> None:
    keep(store, points((3, 7)), [Span(ago(5), ago(1))])
    keep(store, points((3, 8)), [Span(ago(5), ago(1))], owner("other"))
    keys = [each.key for each in store.history(HistoryPart.contents) if each.source == "acme"]
    assert store.history(lambda part: part.clear(keys)) == 1
    assert kept(store) == VendorRecord()
    assert [each.size for each in kept(store, owner("other")).points] == [8]
    assert store.history(lambda part: part.clear()) == 1
    assert kept(store, owner("other")) == VendorRecord()


def test_a_record_without_any_reading_is_no_baseline_and_is_listed_with_its_span(store: Backend) -> None:
    keep(store, points((3, 7)), [Span(ago(5), ago(1))])
    before = store.history(lambda part: part.baseline(ACME, to_ms(TODAY), to_ms(TODAY)))
    assert before == NoBaseline(None)
    (stored,) = store.history(HistoryPart.contents)
    assert (stored.source, stored.span.first, stored.span.last, stored.span.readings) == (
        "acme",
        ago(5),
        ago(1),
        0,
    )


def test_a_reading_joins_the_series_that_began_with_a_record(store: Backend) -> None:
    keep(store, points((3, 7)), [Span(ago(5), ago(1))])
    store.history(lambda part: part.record(ACME, [Row("a", "A", 5)], to_ms(ago(0))))
    assert [each.size for each in kept(store).points] == [7]
    (stored,) = store.history(HistoryPart.contents)
    assert stored.span.readings == 1


def keyed(key: str) -> Owner:
    return Owner("acme", "https://acme.example", "acme", (("api_key", key, True),), by_key=True)


def test_a_new_key_takes_the_record_over_with_the_history_that_is_its_own(store: Backend) -> None:
    rows = [Row("a", "VIP of Hull", 5)]
    store.history(lambda part: part.record(keyed("old"), rows, to_ms(ago(1))))
    keep(store, points((3, 7)), [Span(ago(5), ago(1))], keyed("old"))
    seen = store.history(lambda part: part.find_vendor(keyed("new"), ["a"], lambda: rows))
    assert [each.size for each in seen["a"].points] == [7]
    assert (
        store.history(lambda part: part.find_vendor(keyed("new"), ["a"], lambda: [Row("a", "Another", 5)]))
        == {}
    )


def test_while_it_is_unknown_whose_history_there_is_no_series_begins_that_would_hide_it(
    store: Backend,
) -> None:
    rows = [Row("a", "VIP of Hull", 5)]
    store.history(lambda part: part.record(keyed("old"), rows, to_ms(ago(2))))
    keep(store, points((3, 7)), [Span(ago(5), ago(1))], keyed("new"))
    store.history(lambda part: part.record(keyed("new"), rows, to_ms(ago(1))))
    (stored,) = store.history(HistoryPart.contents)
    assert stored.span.readings == 2


def test_what_is_too_much_goes_the_oldest_first(store: Backend) -> None:
    class Small(HistoryPart):
        def __init__(self, part: HistoryPart) -> None:
            super().__init__(part._db, 150_000)

    def record_within(rows: Sequence[Row], moment: int, part: HistoryPart) -> None:
        Small(part).record(ACME, rows, moment)

    ids = [f"audience-{n:04}" for n in range(60)]
    for day in (3, 2, 1):
        readings = [Row(id, id, day) for id in ids]
        store.history(partial(record_within, readings, to_ms(ago(day))))
    told = {
        id: VendorRecord(points(*((day + 4, day) for day in range(80))), [Span(ago(90), ago(1))])
        for id in ids
    }
    store.history(lambda part: Small(part).record_vendor(ACME, told))
    assert store.history(lambda part: part._db.bytes_used()) < 150_000
    left = kept(store, id=ids[0])
    assert left.points == []
    assert [span.until for span in left.asked] == [ago(1)]
    (stored,) = store.history(HistoryPart.contents)
    assert stored.span.readings > 0


def test_the_tables_are_made_in_a_file_of_before_them_without_a_newer_version(
    tmp_path: Path, clock: HandClock
) -> None:
    """Programs of both ages use one file: neither may lock the other out."""
    store = SqliteStore(tmp_path, clock)
    store.history(lambda part: part.record(ACME, [Row("a", "A", 5)], to_ms(ago(1))))
    store.close()
    with sqlite3.connect(tmp_path / HISTORY) as file:
        version = file.execute("PRAGMA user_version").fetchone()
        file.execute("DROP TABLE audience_mcp_vendor_sizes")
        file.execute("DROP TABLE audience_mcp_vendor_asked")
    file.close()
    keep(store, points((3, 7)), [Span(ago(5), ago(1))])
    assert [each.size for each in kept(store).points] == [7]
    store.close()
    with sqlite3.connect(tmp_path / HISTORY) as file:
        assert file.execute("PRAGMA user_version").fetchone() == version
    file.close()


def line(store: Backend, since: float = 99, *, daily: bool = False) -> list[tuple[str, int]]:
    """What is shown of one audience over time, since so many days ago: when, and how many."""
    at = to_ms(ago(since))
    found = store.history(lambda part: part.days(ACME, at) if daily else part.timelines(ACME, at, ["a"]))
    return [
        (each.vendors.as_of if each.vendors else str(each.as_of.date()), each.size)
        for one in found
        for each in one.moments
    ]


def test_before_our_first_known_size_stands_what_the_vendor_remembers_and_after_it_nothing(
    store: Backend,
) -> None:
    for days, size in ((4, None), (3, 30), (2, 31), (1, None)):
        store.history(partial(record_a, size, to_ms(ago(days)) + 1))
    keep(store, points((6, 10), (4.5, 11), (3, 12), (2, 99), (1, 98)), [Span(ago(9), ago(1))])
    assert line(store) == [
        ("2026-11-13", 10),
        ("2026-11-15", 11),
        ("2026-11-16", 12),
        ("2026-11-17", 30),
        ("2026-11-18", 31),
    ]
    assert line(store, since=4.2) == [
        ("2026-11-15", 11),
        ("2026-11-16", 12),
        ("2026-11-17", 30),
        ("2026-11-18", 31),
    ]
    assert line(store, since=2.5) == [("2026-11-17", 30), ("2026-11-18", 31)]
    assert line(store, daily=True) == line(store)


def record_a(size: int | None, moment: int, part: HistoryPart) -> None:
    part.record(ACME, [Row("a", "A", size)], moment)


def test_of_several_moments_of_a_day_the_daily_line_has_the_last(store: Backend) -> None:
    store.history(partial(record_a, 30, to_ms(ago(1))))
    keep(store, points((4.75, 10), (4.5, 11), (3.5, 12), of_day=False), [Span(ago(9), ago(1))])
    assert [size for _, size in line(store)] == [10, 11, 12, 30]
    assert [size for _, size in line(store, daily=True)] == [11, 12, 30]

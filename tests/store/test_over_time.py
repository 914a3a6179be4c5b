"""Sizes a day, and totals over time, over each kind of store."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from audience_mcp.catalog.over_time import GroupHistory, Groups, StoredSource
from audience_mcp.core.audience import Row
from audience_mcp.store.guard import Backend
from audience_mcp.store.stored import Owner, SeriesTotals, StoredCount, Total, from_ms, to_ms
from tests.store.conftest import HandClock

HOUR = 3_600_000
DAY = 24 * HOUR
START = to_ms(datetime(2026, 11, 2, 6, 10, tzinfo=timezone.utc))
ACME = Owner("acme", "https://acme.example", "acme", (("project", "p", False),), kind="list")


@pytest.fixture(autouse=True)
def now(clock: HandClock) -> None:
    clock.time = (START + 10 * DAY) / 1000


def record(store: Backend, moment: int, *rows: Row) -> None:
    assert store.history(lambda part: part.record(ACME, rows, moment))


def count(store: Backend, moment: int, size: int | None) -> None:
    """The audience `s` is counted by itself."""
    counts = {"s": StoredCount(size, None, None, from_ms(moment))}
    store.history(lambda part: part.record_counts(ACME, counts))


def totals(store: Backend, since: int = 0, *, by_kind: bool = False) -> SeriesTotals:
    return store.history(lambda part: part.totals(ACME, since, by_kind=by_kind))


def sums(store: Backend, since: int = 0) -> list[tuple[int, int, int]]:
    """When, the sum, and how many are of unknown size."""
    found = totals(store, since)
    of_all = found.groups.get("", ())
    return [(to_ms(at), each.size, each.unknown) for at, each in zip(found.moments, of_all, strict=True)]


def days(store: Backend, since: int = 0) -> dict[str, list[tuple[int, int]]]:
    found = store.history(lambda part: part.days(ACME, since))
    return {each.id: [(to_ms(m.as_of), m.size) for m in each.moments] for each in found}


def test_a_day_has_its_last_known_size_and_no_day_is_made_up(store: Backend) -> None:
    record(store, START, Row("a", "A", 1), Row("b", "B", 5))
    record(store, START + HOUR, Row("a", "A", 1), Row("b", "B", 6))
    record(store, START + 2 * HOUR, Row("a", "A", 2), Row("b", "B", None))
    record(store, START + 2 * DAY, Row("a", "A", 2))
    record(store, START + 3 * DAY, Row("a", "A", 2), Row("b", "B", 0))
    assert days(store) == {
        "a": [(START + 2 * HOUR, 2), (START + 2 * DAY, 2), (START + 3 * DAY, 2)],
        "b": [(START + HOUR, 6), (START + 3 * DAY, 0)],
    }
    assert days(store, START + 3 * DAY)["a"] == [(START + 3 * DAY, 2)]


def test_a_range_without_an_upper_end_has_none_after_its_reading_was_thinned_out_either(
    store: Backend, clock: HandClock
) -> None:
    record(store, START, Row("a", "A", 100, open_ended=True))
    record(store, START + HOUR, Row("a", "A", None))
    clock.time = (START + 30 * DAY) / 1000
    for days_later in (20, 30):
        record(store, START + days_later * DAY, Row("a", "A", 7, size_max=9))
    (line,) = store.history(lambda part: part.timelines(ACME, 0))
    expected = [(100, None), (7, 9), (7, 9)]
    assert [(each.size, each.size_max) for each in line.moments] == expected
    (daily,) = store.history(lambda part: part.days(ACME, 0))
    assert [(each.size, each.size_max) for each in daily.moments] == expected


def test_a_size_that_is_counted_by_itself_is_of_the_day_of_its_count(store: Backend) -> None:
    record(store, START, Row("s", "S", size_pending=True))
    record(store, START + DAY, Row("s", "S", size_pending=True))
    for hours, size in ((1, 10), (3, 30), (26, 40)):
        count(store, START + hours * HOUR, size)
    assert days(store) == {"s": [(START + 3 * HOUR, 30), (START + 26 * HOUR, 40)]}


def test_a_total_adds_what_was_there_and_counts_what_is_unknown(store: Backend) -> None:
    record(store, START, Row("a", "A", 1), Row("b", "B", 5))
    record(store, START + DAY, Row("a", "A", 1), Row("b", "B", None))
    record(store, START + 2 * DAY, Row("a", "A", 3))
    assert sums(store) == [(START, 6, 0), (START + DAY, 1, 1), (START + 2 * DAY, 3, 0)]
    assert sums(store, START + DAY + HOUR) == [(START + DAY, 1, 1), (START + 2 * DAY, 3, 0)]


def test_an_audience_within_another_is_in_no_total_while_that_one_is_there(store: Backend) -> None:
    inner = Row("s", "S", 4, kind="segment", part_of="l")
    record(store, START, Row("l", "L", 10), inner)
    record(store, START + DAY, inner)
    assert sums(store) == [(START, 10, 0), (START + DAY, 4, 0)]
    by_kind = totals(store, by_kind=True).groups
    assert [each.size for each in by_kind["list"]] == [10, 0]
    assert [each.size for each in by_kind["segment"]] == [4, 4]


def test_upper_ends_are_added_where_there_are_ranges_unless_one_is_open(store: Backend) -> None:
    record(store, START, Row("a", "A", 10, size_max=15), Row("b", "B", 1))
    record(store, START + DAY, Row("a", "A", 10, size_max=15), Row("b", "B", 1, open_ended=True))
    record(store, START + 2 * DAY, Row("a", "A", 10), Row("b", "B", 1))
    found = totals(store)
    groups, _ = over_time(found)
    assert [(p.sum_of_sizes, p.sum_max) for p in groups[0].history] == [(11, 16), (11, None), (11, None)]


def test_a_total_has_the_count_that_came_after_its_reading_else_that_of_the_day_before(
    store: Backend,
) -> None:
    for day in range(3):
        record(store, START + day * DAY, Row("s", "S", size_pending=True), Row("a", "A", 1))
    for moment, size in ((START + HOUR, 10), (START + 2 * DAY + HOUR, 30)):
        count(store, moment, size)
    assert sums(store) == [(START, 11, 0), (START + DAY, 11, 0), (START + 2 * DAY, 31, 0)]
    count(store, START + 2 * DAY + 2 * HOUR, None)
    assert sums(store)[-1] == (START + 2 * DAY, 1, 1)


# Groups of several sources


def at(day: int, hour: int = 6) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=timezone.utc)


BEGINNING = at(1)


def stored(source: str, client: str | None = "acme") -> StoredSource:
    return StoredSource(source, "acme", client, None, None)


def of(*sizes: tuple[datetime, int]) -> SeriesTotals:
    return SeriesTotals([when for when, _ in sizes], {"": [Total(matched=1, size=size) for _, size in sizes]})


def over_time(
    *parts: SeriesTotals, since: datetime = BEGINNING, daily: bool = False
) -> tuple[list[GroupHistory], list[str]]:
    groups = Groups("client")
    for number, each in enumerate(parts):
        groups.add(stored(f"s{number}-acme"), each)
    return groups.over_time(since, daily=daily)


def shown(groups: list[GroupHistory]) -> list[tuple[str, int]]:
    (group,) = groups
    return [(point.as_of[8:13], point.sum_of_sizes) for point in group.history]


def test_a_total_of_several_sources_has_the_last_reading_of_each() -> None:
    groups, notes = over_time(of((at(2), 1), (at(3), 2)), of((at(2, 7), 10), (at(3, 7), 20)))
    assert shown(groups) == [("02T07", 11), ("03T06", 12), ("03T07", 22)]
    assert notes == []
    daily, _ = over_time(of((at(2), 1), (at(3), 2)), of((at(2, 7), 10), (at(3, 7), 20)), daily=True)
    assert shown(daily) == [("02T07", 11), ("03T07", 22)]


def test_a_total_of_other_audiences_or_sources_than_at_first_has_no_change() -> None:
    def part(*whose: int) -> SeriesTotals:
        totals = [Total(matched=1, size=3, whose=each) for each in whose]
        return SeriesTotals([at(2 + day) for day in range(len(whose))], {"": totals})

    assert [g.has_change for g in over_time(part(1, 2, 1))[0]] == [True]
    assert [g.has_change for g in over_time(part(1, 1, 2))[0]] == [False]
    later = SeriesTotals([at(4)], {"": [Total(matched=1, size=1, whose=9)]})
    assert [g.has_change for g in over_time(part(1, 1, 1), later)[0]] == [False]


def test_a_source_that_joins_later_or_is_no_longer_read_is_named() -> None:
    groups, notes = over_time(of((at(2), 1), (at(8), 2)), of((at(5), 10)))
    assert shown(groups) == [("02T06", 1), ("05T06", 11), ("08T06", 12)]
    assert notes == [
        "A total has a source from its first stored reading on: s1-acme from 2026-11-05.",
        "Not read on the last day shown, so that the last sizes before it are in the total: "
        "s1-acme since 2026-11-05.",
    ]


def test_from_a_day_on_no_total_lacks_a_source_that_was_read_before() -> None:
    groups, notes = over_time(of((at(2), 1), (at(8), 2)), of((at(3), 10), (at(8), 20)), since=at(5))
    assert (shown(groups), notes) == ([("03T06", 11), ("08T06", 22)], [])


def test_an_account_that_took_the_name_of_another_counts_in_its_place() -> None:
    groups = Groups("source")
    groups.add(stored("brevo"), of((at(2), 100), (at(3), 100)))
    groups.add(stored("brevo"), of((at(4), 7), (at(5), 8)))
    found, _ = groups.over_time(at(1), daily=False)
    assert shown(found) == [("02T06", 100), ("03T06", 100), ("04T06", 7), ("05T06", 8)]


def test_a_total_of_nothing_is_no_point_and_where_all_went_that_of_all_is_the_last_one() -> None:
    nothing = SeriesTotals([at(1), at(2)], {"": [Total(), Total()]})
    came = SeriesTotals([at(1), at(2), at(3)], {"": [Total(), Total(matched=1, size=5, whose=7), Total()]})
    assert over_time(nothing) == ([], [])
    assert shown(over_time(came)[0]) == [("02T06", 5)]
    groups = Groups(None)
    groups.add(stored("brevo"), nothing)
    assert shown(groups.over_time(BEGINNING, daily=True)[0]) == [("02T06", 0)]

"""Sizes over time, over each kind of store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest

from audience_mcp.core.audience import Row
from audience_mcp.store.guard import Backend
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.values import Baseline, from_ms, to_ms
from tests.store.conftest import HandClock, Open

HOUR = 3_600_000
DAY = 24 * HOUR
START = to_ms(datetime(2026, 11, 2, 12, tzinfo=timezone.utc))  # a Monday
LATER = 2**50


def rows(**sizes: int | None) -> list[Row]:
    return [Row(id, f"Name of {id}", size) for id, size in sizes.items()]


def record(store: Backend, moment: int, another: bool = False, **sizes: int | None) -> None:
    store.history(lambda part: part.record("acme", rows(**sizes), moment, may_be_another=another))


def sizes_of(baseline: Baseline | None) -> tuple[int, Mapping[str, int | None]] | None:
    if baseline is None:
        return None
    return to_ms(baseline.as_of), {id: past.size for id, past in baseline.audiences.items()}


def then(store: Backend, at: int, before: int = LATER) -> tuple[int, Mapping[str, int | None]] | None:
    return sizes_of(store.history(lambda part: part.baseline("acme", at, before)))


def line(store: Backend, id: str, since: int = 0) -> list[tuple[int, int]]:
    found = store.history(lambda part: part.timelines("acme", since, [id]))
    return [(to_ms(moment.as_of), moment.size) for each in found for moment in each.moments]


@pytest.fixture(autouse=True)
def now(clock: HandClock) -> None:
    clock.time = START / 1000


def test_the_baseline_is_the_last_reading_at_or_before_the_moment(opened: Open) -> None:
    store = opened()
    record(store, START, a=1, b=10)
    record(store, START + DAY, a=2, b=10)
    record(store, START + 2 * DAY, a=3, b=10)
    other = opened()
    assert then(other, START + DAY) == (START + DAY, {"a": 2, "b": 10})
    assert then(other, START + DAY - 1) == (START, {"a": 1, "b": 10})
    assert then(other, LATER) == (START + 2 * DAY, {"a": 3, "b": 10})


def test_where_nothing_is_that_old_the_first_reading_is_the_baseline(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START + DAY, a=2)
    assert then(store, 0) == (START, {"a": 1})


def test_a_reading_is_never_compared_with_itself_or_a_later_one(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START + DAY, a=2)
    assert then(store, LATER, before=START + DAY) == (START, {"a": 1})
    assert then(store, LATER, before=START) is None


def test_an_account_without_history_has_no_baseline(store: Backend) -> None:
    record(store, START, a=1)
    assert store.history(lambda part: part.baseline("other", LATER, LATER)) is None
    assert store.history(lambda part: part.span("other")) is None
    assert store.history(lambda part: part.timelines("other", 0)) == []


def test_what_came_and_went_is_there_only_in_between(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START + DAY, a=1, b=5)
    record(store, START + 2 * DAY, b=5)
    record(store, START + 3 * DAY, a=1, b=5)
    assert [then(store, START + n * DAY) for n in range(4)] == [
        (START, {"a": 1}),
        (START + DAY, {"a": 1, "b": 5}),
        (START + 2 * DAY, {"b": 5}),
        (START + 3 * DAY, {"a": 1, "b": 5}),
    ]


def test_a_size_that_was_not_known_is_not_taken_for_zero_or_for_the_last_known(store: Backend) -> None:
    record(store, START, a=7)
    record(store, START + DAY, a=None)
    record(store, START + 2 * DAY, a=0)
    assert [then(store, START + n * DAY) for n in range(3)] == [
        (START, {"a": 7}),
        (START + DAY, {"a": None}),
        (START + 2 * DAY, {"a": 0}),
    ]


def test_an_audience_has_the_name_and_kind_that_it_had_last(store: Backend) -> None:
    record(store, START, a=1)
    store.history(lambda part: part.record("acme", [Row("a", "New name", 1, kind="list")], START + DAY))
    baseline = store.history(lambda part: part.baseline("acme", START, LATER))
    assert baseline is not None
    assert (baseline.audiences["a"].name, baseline.audiences["a"].kind) == ("New name", "list")


def test_a_reading_that_comes_late_falls_into_its_place(store: Backend) -> None:
    record(store, START, a=1, b=1, gone=1)
    record(store, START + 2 * DAY, a=1, b=3, new=1)
    record(store, START + DAY, a=2, b=1, between=9)
    assert [then(store, START + n * DAY) for n in range(3)] == [
        (START, {"a": 1, "b": 1, "gone": 1}),
        (START + DAY, {"a": 2, "b": 1, "between": 9}),
        (START + 2 * DAY, {"a": 1, "b": 3, "new": 1}),
    ]
    record(store, START - DAY, b=1)
    assert then(store, START - DAY) == (START - DAY, {"b": 1})
    assert then(store, START) == (START, {"a": 1, "b": 1, "gone": 1})


def test_the_same_reading_recorded_twice_is_one_point(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START, a=2)
    assert then(store, START) == (START, {"a": 1})
    span = store.history(lambda part: part.span("acme"))
    assert span is not None
    assert span.readings == 1


def test_a_timeline_tells_when_each_size_was_first_seen_and_when_the_last_one_was_last(
    store: Backend,
) -> None:
    for hours, size in enumerate([5, 5, 6, 6, 6, 4, 4]):
        record(store, START + hours * HOUR, a=size, b=1)
    assert line(store, "a") == [
        (START, 5),
        (START + 2 * HOUR, 6),
        (START + 5 * HOUR, 4),
        (START + 6 * HOUR, 4),
    ]
    assert line(store, "b") == [(START, 1), (START + 6 * HOUR, 1)]


def test_a_timeline_since_a_moment_begins_with_the_reading_at_or_before_it(store: Backend) -> None:
    for hours, size in enumerate([5, 5, 6, 7]):
        record(store, START + hours * HOUR, a=size)
    since = START + 2 * HOUR - 1
    assert line(store, "a", since) == [(START + HOUR, 5), (START + 2 * HOUR, 6), (START + 3 * HOUR, 7)]
    assert line(store, "a", LATER) == [(START + 3 * HOUR, 7)]


def test_a_timeline_leaves_out_when_the_size_was_not_known(store: Backend) -> None:
    for hours, size in enumerate([5, None, 5, 8, None]):
        record(store, START + hours * HOUR, a=size)
    assert line(store, "a") == [(START, 5), (START + 3 * HOUR, 8)]


def test_sizes_counted_one_by_one_belong_to_the_reading_whose_rows_they_are_of(store: Backend) -> None:
    def pending(moment: int) -> None:
        listed = [Row(id, id, size_pending=True) for id in ("a", "b")]
        store.history(lambda part: part.record("acme", listed, moment))

    def counted(moment: int, **sizes: int | None) -> None:
        store.history(lambda part: part.record_counts("acme", sizes, moment))

    pending(START)
    assert then(store, START) == (START, {"a": None, "b": None})
    counted(START, a=3)
    pending(START + DAY)
    counted(START + DAY, a=3, b=4, unheard_of=1)
    counted(START + 7, a=99)  # of no reading that is there
    assert then(store, START) == (START, {"a": 3, "b": None})
    assert then(store, START + DAY) == (START + DAY, {"a": 3, "b": 4})
    assert line(store, "a") == [(START, 3), (START + DAY, 3)]
    counted(START, b=2)  # the one before, as its counting went on
    assert then(store, START) == (START, {"a": 3, "b": 2})


@pytest.mark.slow
def test_every_reading_stays_for_a_week_one_a_day_for_ninety_days_and_one_a_week_for_400(
    store: Backend, clock: HandClock
) -> None:
    moment = START
    for number in range(4 * 440):
        moment = START + number * 6 * HOUR
        clock.time = moment / 1000
        record(store, moment, a=number)
    points = store.history(lambda part: part._tables.points(1))
    ages = [moment - point for point in points]
    assert sum(age <= 7 * DAY for age in ages) in (28, 29)
    assert sum(7 * DAY < age <= 90 * DAY for age in ages) in (82, 83, 84)
    assert sum(age > 90 * DAY for age in ages) in (44, 45, 46)
    assert max(ages) <= 401 * DAY
    # The last one of its day, and of its week; what they said is still there.
    assert all(from_ms(point).hour == 18 for point, age in zip(points, ages, strict=True) if age > 8 * DAY)
    assert all(
        from_ms(point).weekday() == 6 for point, age in zip(points, ages, strict=True) if age > 97 * DAY
    )
    for point in points:
        assert then(store, point) == (point, {"a": (point - START) // (6 * HOUR)})


def test_a_clock_that_is_years_ahead_once_loses_nothing(store: Backend, clock: HandClock) -> None:
    for day in range(3):
        record(store, START + day * DAY, a=day)
    clock.time += 10 * 365 * 86_400
    record(store, START + 3650 * DAY, a=99)
    clock.time = (START + 3 * DAY) / 1000
    record(store, START + 3 * DAY, a=3)
    assert [then(store, START + n * DAY) for n in range(4)] == [(START + n * DAY, {"a": n}) for n in range(4)]


def test_another_account_behind_a_name_begins_a_new_series(store: Backend) -> None:
    record(store, START, another=True, a=1, b=2, c=3, d=4, e=5)
    record(store, START + DAY, another=True, a=1, f=2, g=3, h=4, i=5)  # one in five is the same
    assert then(store, START, START + DAY) is not None
    record(store, START + 2 * DAY, another=True, v=1, w=2, x=3, y=4, z=5, a=1)  # fewer are
    assert then(store, START, START + 2 * DAY) is None
    assert then(store, START, LATER) == (START + 2 * DAY, {"v": 1, "w": 2, "x": 3, "y": 4, "z": 5, "a": 1})


def test_an_account_that_is_known_by_its_own_id_keeps_its_series_whatever_it_holds(store: Backend) -> None:
    record(store, START, a=1)
    record(store, START + DAY, z=1)
    assert then(store, START, START + DAY) == (START, {"a": 1})


def test_an_account_that_is_empty_for_a_while_is_still_the_same(store: Backend) -> None:
    record(store, START, another=True, a=1)
    record(store, START + DAY, another=True)
    record(store, START + 2 * DAY, another=True, a=2)
    assert then(store, START) == (START, {"a": 1})
    assert then(store, START + DAY) == (START + DAY, {})


def test_the_span_tells_since_when_there_is_history(store: Backend) -> None:
    for day in range(3):
        record(store, START + day * DAY, a=day)
    span = store.history(lambda part: part.span("acme"))
    assert span is not None
    assert (span.first, span.last, span.readings) == (from_ms(START), from_ms(START) + timedelta(days=2), 3)
    assert store.history(lambda part: part.spans()) == {"acme": span}


def test_clearing_one_account_leaves_the_others(store: Backend) -> None:
    record(store, START, a=1)
    store.history(lambda part: part.record("other", rows(a=1), START))
    store.history(lambda part: part.clear(["acme"]))
    assert list(store.history(lambda part: part.spans())) == ["other"]
    store.history(lambda part: part.clear())
    assert store.history(lambda part: part.spans()) == {}


def test_what_is_too_much_goes_the_oldest_first(store: Backend, clock: HandClock) -> None:
    def record_within(day: int) -> None:
        each = [Row(f"a{n}", f"Audience {n}", n + day) for n in range(300)]
        store.history(
            lambda part: HistoryPart(part._db, max_bytes=300_000).record("acme", each, START + day * DAY)
        )

    for day in range(60):
        clock.time = (START + day * DAY) / 1000
        record_within(day)
        assert store.history(lambda part: part._db.bytes_used()) <= 400_000
    span = store.history(lambda part: part.span("acme"))
    assert span is not None
    assert span.first > from_ms(START + DAY)
    assert span.last == from_ms(START + 59 * DAY)
    found = then(store, to_ms(span.first))
    day = (to_ms(span.first) - START) // DAY
    assert found == (to_ms(span.first), {f"a{n}": n + day for n in range(300)})

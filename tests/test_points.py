"""Of what a vendor remembers, only what can be compared with a size of now becomes a point."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_mcp.core.points import TICK, Every, Span, VendorPoint, last_possible, merge_spans, sound_points
from tests.support.examples import examples

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=timezone.utc)


def told(raw: list[tuple[object, object]], every: Every = "day", **more: Any) -> dict[str, int]:
    now = more.pop("now", NOW)
    return {point.as_of: point.size for point in sound_points(raw, every, now, **more)}


def test_a_days_point_is_shown_as_its_day_and_stands_for_its_end() -> None:
    assert sound_points([("2026-10-31", 7)], "day", NOW) == [
        VendorPoint(utc(2026, 11, 1) - TICK, 7, of_day=True)
    ]


def test_a_months_point_is_its_last_day() -> None:
    raw: list[tuple[object, object]] = [("2026-10", 412), ("2025-12", 7), ("2024-02", 3)]
    assert told(raw, "month") == {"2024-02-29": 3, "2025-12-31": 7, "2026-10-31": 412}


def test_a_moment_is_shown_in_utc_to_the_second() -> None:
    raw: list[tuple[object, object]] = [("2026-11-02T06:00:00.250-05:00", 9)]
    assert told(raw, "moment") == {"2026-11-02T11:00:00Z": 9}


@pytest.mark.parametrize(
    ("now", "there"),
    [
        (utc(2026, 11, 20, 11, 59), False),  # in Baker Island it is still the 19th
        (utc(2026, 11, 20, 12, 0), True),
    ],
)
def test_a_day_is_a_point_once_it_is_over_in_every_time_zone(now: datetime, there: bool) -> None:
    assert told([("2026-11-19", 5)], now=now) == ({"2026-11-19": 5} if there else {})


@pytest.mark.parametrize(
    ("now", "there"),
    [(utc(2026, 11, 30, 23), False), (utc(2026, 12, 1, 11), False), (utc(2026, 12, 1, 12), True)],
)
def test_a_month_likewise(now: datetime, there: bool) -> None:
    assert told([("2026-11", 5)], "month", now=now) == ({"2026-11-30": 5} if there else {})


def test_nothing_of_later_than_now_is_a_point() -> None:
    raw: list[tuple[object, object]] = [("2026-11-20T12:00:01Z", 1), ("2026-11-20T12:00:00Z", 2)]
    assert told(raw, "moment") == {"2026-11-20T12:00:00Z": 2}
    assert told([("2027-01-01", 5)]) == {}


def test_nothing_of_before_the_creation_is_a_point() -> None:
    raw: list[tuple[object, object]] = [("2026-11-03", 3), ("2026-11-04", 4), ("2026-11-05", 5)]
    assert told(raw, created=utc(2026, 11, 4, 9)) == {"2026-11-04": 4, "2026-11-05": 5}


def test_the_day_that_the_present_size_is_of_and_later_ones_are_no_points() -> None:
    raw: list[tuple[object, object]] = [("2026-11-03", 3), ("2026-11-04", 4), ("2026-11-05", 5)]
    assert told(raw, sized_on=date(2026, 11, 4)) == {"2026-11-03": 3}
    runs: list[tuple[object, object]] = [("2026-11-03T23:59:59Z", 3), ("2026-11-04T00:00:00Z", 4)]
    assert told(runs, "moment", sized_on=date(2026, 11, 4)) == {"2026-11-03T23:59:59Z": 3}


def test_zeros_before_the_first_figure_are_none_and_later_ones_are_zeros() -> None:
    raw: list[tuple[object, object]] = [
        (f"2026-11-0{day}", size) for day, size in enumerate([0, 0, 8, 0, 9], 1)
    ]
    assert told(raw) == {"2026-11-03": 8, "2026-11-04": 0, "2026-11-05": 9}
    assert told(raw[:2]) == {}
    assert told(raw[:2], known_since=utc(2026, 10, 1)) == {"2026-11-01": 0, "2026-11-02": 0}


def test_a_zero_is_none_where_the_figures_before_it_are_of_before_the_creation() -> None:
    raw: list[tuple[object, object]] = [("2026-11-03", 3), ("2026-11-05", 0), ("2026-11-06", 4)]
    assert told(raw, created=utc(2026, 11, 5)) == {"2026-11-06": 4}


def test_two_figures_of_one_day_that_differ_are_none_and_equal_ones_are_one() -> None:
    raw: list[tuple[object, object]] = [
        ("2026-11-03", 3),
        ("2026-11-03", 4),
        ("2026-11-03", 3),
        ("2026-11-04", 5),
    ]
    assert told([*raw, ("2026-11-04", 5)]) == {"2026-11-04": 5}


@pytest.mark.parametrize("size", [None, -1, 1.5, True, "many", 2**53 + 1, [], float("nan")])
def test_what_is_no_size_is_no_point(size: object) -> None:
    assert told([("2026-11-03", size)]) == {}


@pytest.mark.parametrize("size", [7, 7.0, "7"])
def test_a_size_may_be_written_as_everywhere(size: object) -> None:
    assert told([("2026-11-03", size)]) == {"2026-11-03": 7}


@pytest.mark.parametrize(
    ("every", "when"),
    [
        *(("day", when) for when in ("2026-11", "2026-11-31", "2026-11-03T00:00:00Z", 20261103, None)),
        *(("month", when) for when in ("2026-13", "2026-00", "2026-11-03", "9999-12", 202610)),
        *(("moment", when) for when in ("2026-11-03", "soon", "", None, True)),
    ],
)
def test_what_is_not_when_a_size_was_is_no_point(every: Every, when: object) -> None:
    assert told([(when, 5)], every) == {}


@pytest.mark.parametrize(
    ("every", "at", "latest"),
    [
        ("moment", utc(2026, 11, 18, 7), utc(2026, 11, 18, 7)),
        ("moment", utc(2026, 11, 21), NOW),
        ("day", utc(2026, 11, 18, 7), utc(2026, 11, 18) - TICK),
        ("day", utc(2026, 11, 18), utc(2026, 11, 18) - TICK),
        ("day", utc(2026, 11, 18) - TICK, utc(2026, 11, 18) - TICK),
        ("day", NOW, utc(2026, 11, 20) - TICK),
        ("month", utc(2026, 11, 18), utc(2026, 11, 1) - TICK),
        ("month", utc(2026, 10, 31, 23), utc(2026, 10, 1) - TICK),
        ("month", utc(2026, 11, 1) - TICK, utc(2026, 11, 1) - TICK),
    ],
)
def test_the_latest_point_that_there_can_be_is_of_the_last_whole_day_or_month(
    every: Every, at: datetime, latest: datetime
) -> None:
    assert last_possible(every, at, NOW) == latest


def test_stretches_that_overlap_or_touch_are_one() -> None:
    day = timedelta(days=1)
    spans = [
        Span(NOW, NOW + day),
        Span(NOW - 3 * day, NOW),
        Span(NOW + 2 * day, NOW + 4 * day),
        Span(NOW + 3 * day, NOW + 3 * day),
    ]
    assert merge_spans(spans) == [Span(NOW - 3 * day, NOW + day), Span(NOW + 2 * day, NOW + 4 * day)]


_days = st.dates(date(2026, 9, 1), date(2026, 12, 31)).map(date.isoformat)
_raw = st.lists(st.tuples(_days, st.one_of(st.integers(-1, 9), st.none())), max_size=40)


@examples
@given(_raw, st.datetimes(datetime(2026, 9, 1), datetime(2026, 12, 31), timezones=st.just(timezone.utc)))
def test_every_point_is_a_figure_that_the_vendor_gave_for_a_day_that_is_over(
    raw: list[tuple[str, int | None]], now: datetime
) -> None:
    points = sound_points(raw, "day", now)
    assert [point.moment for point in points] == sorted({point.moment for point in points})
    for point in points:
        assert {size for day, size in raw if day == point.as_of and size is not None and size >= 0} == {
            point.size
        }
        assert point.moment + TICK + timedelta(hours=12) <= now
    assert not points or points[0].size > 0

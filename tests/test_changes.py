"""Bounds for changes, and moments of the past, as people write them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from audience_mcp.catalog.changes import parse_change, percent_of
from audience_mcp.catalog.moments import parse_moment

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("given", "change", "before", "expected"),
    [
        ("10%", 10, 100, 0),
        ("10%", 11, 100, 1),
        ("10%", 9, 100, -1),
        ("-10%", -1, 10, 0),
        ("-10%", -10_000_001, 100_000_000, -1),
        (" −12.5 % ", -125, 1000, 0),
        ("+1,000", 1000, None, 0),
        ("1 000 000", 1_000_000, None, 0),
        ("1,000.5%", 2001, 200, 0),
        ("10\u00a0%", 10, 100, 0),
        (25, 24, 7, -1),
        (25.0, 26, 7, 1),
        ("0", 0, 0, 0),
    ],
)
def test_a_bound_is_judged_exactly_and_includes_itself(
    given: object, change: int, before: int | None, expected: int
) -> None:
    assert parse_change(given).compare(change, before) == expected


def test_an_unknown_change_is_on_no_side_of_a_bound_and_nothing_has_a_percentage_of_nothing() -> None:
    assert parse_change("5").compare(None, 100) is None
    assert parse_change("5%").compare(None, 100) is None
    assert parse_change("5%").compare(5, 0) is None
    assert parse_change("5%").compare(5, None) is None


def test_a_drop_is_the_same_bound_below_zero() -> None:
    assert -parse_change("10%") == parse_change("-10%")


@pytest.mark.parametrize(
    "given",
    [
        *("", "ten", "10 percent", "0.1", "%", "1e3", "--5", True, None, [], "10%%"),
        *("1,5%", "-12,50%", "0,125%", "1,5", "10,00", "1,0000", "1,000 000", ",500", "1 5%", "٣%"),
    ],
)
def test_what_is_no_number_and_no_percentage_is_refused_with_both_forms(given: object) -> None:
    with pytest.raises(ValueError, match=r"whole number such as -500, .* such as -10% or -1\.5%"):
        parse_change(given)


def test_a_percentage_has_one_decimal_and_is_unknown_over_nothing() -> None:
    assert percent_of(1, 3) == 33.3
    assert percent_of(-50, 100) == -50.0
    assert str(percent_of(-1, 10_000)) == "0.0"
    assert percent_of(5, 0) is percent_of(5, None) is percent_of(None, 5) is None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("given", "to_compare", "to_look_at"),
    [
        ("2026-11-01", "2026-11-01T23:59:59.999", "2026-11-01T23:59:59.999"),
        ("2026-11-19", "2026-11-19T23:59:59.999", "2026-11-19T23:59:59.999"),
        ("2026-11-20", "2026-11-20T00:00:00", "2026-11-20T23:59:59.999"),
        ("2026-11-01T08:00:00Z", "2026-11-01T08:00:00", "2026-11-01T08:00:00"),
        ("2026-11-01T08:00+02:00", "2026-11-01T06:00:00", "2026-11-01T06:00:00"),
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00", "2026-11-20T12:00:00"),
    ],
)
def test_a_bare_date_means_its_end_and_compared_with_today_its_beginning(
    given: str, to_compare: str, to_look_at: str
) -> None:
    moment = parse_moment(given)
    assert moment.to_compare(NOW) == at(to_compare)
    assert moment.to_look_at(NOW) == at(to_look_at)


@pytest.mark.parametrize("given", ["2026-11-21", "2026-11-20T12:00:01Z", "2030-01-01"])
def test_a_moment_that_lies_ahead_is_refused_with_the_time_that_it_is(given: str) -> None:
    moment = parse_moment(given)
    for resolve in (moment.to_compare, moment.to_look_at):
        with pytest.raises(ValueError, match=r"must not lie ahead: it is 2026-11-20T12:00:00Z now"):
            resolve(NOW)


@pytest.mark.parametrize("given", ["yesterday", "", 5, None, "2026-13-01", "20261101"])
def test_what_is_no_date_is_refused_with_the_forms_of_one(given: object) -> None:
    with pytest.raises(ValueError, match="2026-11-01"):
        parse_moment(given)

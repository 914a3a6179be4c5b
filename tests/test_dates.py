"""Dates as vendors write them."""

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_mcp.core.dates import parse_datetime, to_rfc3339
from tests.support.examples import examples


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-02-11T12:00:00Z", "2026-02-11T12:00:00Z"),
        ("2026-02-11t12:00:00z", "2026-02-11T12:00:00Z"),
        ("2026-02-11 12:00:00", "2026-02-11T12:00:00Z"),
        ("2026-02-11 12:00:00 UTC", "2026-02-11T12:00:00Z"),
        ("2026-02-11T12:00:00.123456Z", "2026-02-11T12:00:00.123456Z"),
        (" 2026-02-11T12:00Z\n", "2026-02-11T12:00:00Z"),
        ("2026-02-11", "2026-02-11T00:00:00Z"),
        ("2025-10-16T07:41:06.000Z", "2025-10-16T07:41:06Z"),
        ("2025-10-16T07:41:06.479Z", "2025-10-16T07:41:06.479000Z"),
        ("2025-10-16T07:41:06,5Z", "2025-10-16T07:41:06.500000Z"),
        ("2025-02-06T07:51:52.2581942Z", "2025-02-06T07:51:52.258194Z"),
        ("2025-02-06T07:51:52.123456789Z", "2025-02-06T07:51:52.123456Z"),
        ("2018-06-29T14:59:03", "2018-06-29T14:59:03Z"),
        ("2026-02-11T12:00:00+05:30", "2026-02-11T06:30:00Z"),
        ("2026-02-11T12:00:00-0800", "2026-02-11T20:00:00Z"),
        ("2026-02-11T12:00:00+02", "2026-02-11T10:00:00Z"),
        ("2024-02-29T23:59:59-00:01", "2024-03-01T00:00:59Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_iso_text_is_read_with_utc_for_a_missing_zone(written: str, read: str) -> None:
    when = parse_datetime(written)

    assert when is not None
    assert to_rfc3339(when) == read


@pytest.mark.parametrize(
    "written",
    [1764547200, 1764547200.0, "1764547200", " 1764547200 ", 1764547200000, "1764547200000", 1764547200000.0],
)
def test_unix_seconds_and_milliseconds_are_read_as_number_and_as_text(written: object) -> None:
    assert parse_datetime(written) == datetime(2025, 12, 1, tzinfo=timezone.utc)


def test_parts_of_a_unix_second_are_kept() -> None:
    assert parse_datetime(1764547200.5) == parse_datetime("1764547200.5") == parse_datetime(1764547200500)


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-11T12:00+01Z",
        "2026-02-11T24:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-02-11T12:00:00.1234Zx",
        "2026-02-11T12:00:00.Z23Z",
        "٢٠26-02-11T12:00:00Z",
        "2026-W07-3T12:00:00Z",
        "2025-04-15T07:23:18:479",  # a colon before the milliseconds, as CommBox's documents have it
        "0000-01-01T00:00:00Z",
        "2026-02-30",
        "2026-13-01",
        "2026-02-11T25:00:00Z",
        "2026-02-11T12:60:00Z",
        "9999-12-31T23:59:59-05:00",
        "0001-01-01T00:00:00+05:00",
        "2026-02-11T12:00:00+24:00",
        "2026-02-11T12:00:00+05:60",
        "2026-2-1",
        "26-02-11",
        "2026/02/11",
        "11 Feb 2026",
        "soon",
        "",
        " ",
        "-",
        "Z",
        "٢٠٢٦-٠٢-١١",
        "2026",
        "20260211",
        "-1764547200",
        "9" * 400,
        "1e9",
        "nan",
        "inf",
        "0",
        0,
        -1,
        -1764547200,
        0.0,
        True,
        False,
        None,
        [],
        {},
        [1764547200],
        10**400,
        -(10**400),
        1e308,
        float("nan"),
        float("inf"),
        float("-inf"),
        253402300800000,
        "253402300800000",
    ],
)
def test_what_cannot_be_read_is_absent(written: object) -> None:
    assert parse_datetime(written) is None


@examples
@given(
    st.text(max_size=40)
    | st.from_regex(
        r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,12})?)?([Zz]|[+-]\d\d:?\d\d)?)?", fullmatch=True
    )
    | st.integers()
    | st.floats()
    | st.booleans()
)
def test_any_value_at_all_is_a_moment_in_utc_that_can_be_written_or_absent(value: object) -> None:
    when = parse_datetime(value)

    if when is not None:
        assert when.utcoffset().total_seconds() == 0  # type: ignore[union-attr]
        assert parse_datetime(to_rfc3339(when)) == when

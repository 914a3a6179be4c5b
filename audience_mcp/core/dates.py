"""Dates as vendors write them, and as this project does (RFC 3339, UTC)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

# Read by hand because `datetime.fromisoformat` of Python 3.10 takes neither "Z" nor the seven digits
# of a .NET clock, and because a date alone is a date too.
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?"
    r"\s?([Zz]|UTC|([+-])([01]\d|2[0-3]):?([0-5]\d)?)?)?",
    re.ASCII,
)
_UNIX = re.compile(r"\d{9,15}(\.\d{1,12})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECONDS_FROM = 10**11  # as seconds this is the year 5138; as milliseconds, 1973


def parse_datetime(value: object) -> datetime | None:
    """A vendor's date in UTC, or None where it cannot be read.

    Takes ISO 8601 text (a zone it lacks is UTC) and Unix seconds or milliseconds, as a number or as
    text of nine digits or more (fewer are no moment an audience was made at: `2026`, `20260211`). Zero
    and below stand for "no date".
    """
    if isinstance(value, str):
        value = value.strip()
        if not _UNIX.fullmatch(value):
            return _iso(value)
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
            return _EPOCH + timedelta(seconds=seconds) if seconds > 0 else None
        except (OverflowError, ValueError):
            return None
    return None


def _iso(text: str) -> datetime | None:
    found = _ISO.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, zone_h, zone_m = found.groups()
    try:
        there = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "0")[:6].ljust(6, "0")), tzinfo=timezone.utc,
        )  # fmt: skip
        offset = timedelta(hours=int(zone_h or 0), minutes=int(zone_m or 0))
        return there + offset if sign == "-" else there - offset
    except (OverflowError, ValueError):
        return None


def to_rfc3339(when: datetime) -> str:
    """`2026-02-11T12:00:00Z`; parts of a second only where there are any."""
    return when.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")

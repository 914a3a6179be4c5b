"""Parses the dates that vendors send, and writes RFC 3339 in UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

# Not `datetime.fromisoformat`, which in Python 3.10 accepts neither "Z" nor the seven fractional digits of
# .NET.
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?"
    r"\s?([Zz]|UTC|([+-])([01]\d|2[0-3]):?([0-5]\d)?)?)?",
    re.ASCII,
)
_PLAIN = (20, 24, 27)
"""Characters of a date-time in UTC with no, three or six digits after the second."""
_UNIX = re.compile(r"\d{9,15}(\.\d{1,12})?", re.ASCII)
_FIRST = datetime.min.replace(tzinfo=timezone.utc)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECONDS_FROM = 10**11  # as seconds this is the year 5138; as milliseconds, 1973


def parse_datetime(value: object) -> datetime | None:
    """A vendor's date in UTC, or None if it cannot be parsed.

    Accepts ISO 8601 text (without a zone it is UTC) and Unix seconds or milliseconds, as a number or as
    text of at least nine digits (fewer, such as `2026` or `20260211`, are not a plausible time). Zero and
    less mean "no date".
    """
    if isinstance(value, str):
        value = value.strip()
        # `fromisoformat` reads the common form in an eighth of the time. (Some Pythons accept hour 24.)
        if len(value) in _PLAIN and value[7] == "-" and value[10] == "T" and value[-1] == "Z":
            try:
                return datetime.fromisoformat(f"{value[:-1]}+00:00") if value[11:13] != "24" else None
            except ValueError:
                return _iso(value)
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
        offset = timedelta(hours=int(zone_h or 0), minutes=int(zone_m or 0))
        date = int(year), int(month), int(day)
        time = int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "0")[:6].ljust(6, "0"))
        local = datetime(*date, *time, tzinfo=timezone.utc)
        return local + offset if sign == "-" else local - offset
    except (OverflowError, ValueError):
        return None


def earlier(moment: datetime, by: timedelta) -> datetime:
    """The moment so long before one in UTC; the first one of the calendar where that lies before it."""
    return moment - by if moment - _FIRST >= by else _FIRST


def to_rfc3339(when: datetime) -> str:
    """`2026-02-11T12:00:00Z`, with fractions of a second only if there are any."""
    return when.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")

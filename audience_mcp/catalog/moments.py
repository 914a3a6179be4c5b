"""Moments of the past as people give them: a date-time is that moment, a bare date means its end in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from audience_mcp.core.dates import parse_datetime, to_rfc3339

BAD_DATE = "must be a date such as 2026-11-01, or a date-time such as 2026-11-01T08:00:00Z"
MESSAGES = {
    "future": "must not lie ahead: it is {now} now",
}
_DATE_CHARS = len("2026-11-01")


@dataclass(frozen=True, slots=True)
class PastMoment:
    """A moment of the past. begins: it, or the beginning of the day that was given; in UTC.

    is_date: whether a day was given without a time.
    """

    begins: datetime
    is_date: bool = False

    def to_compare(self, now: datetime) -> datetime:
        """The moment to compare `now` with: the end of a day, or the beginning of today.

        Raises ValueError if it lies ahead.
        """
        return self._resolve(now, self.begins)

    def to_look_at(self, now: datetime) -> datetime:
        """The moment to look back at: the end of a day, which for today is as good as now, since nothing is
        stored after now. Raises ValueError if it lies ahead.
        """
        return self._resolve(now, None)

    def _resolve(self, now: datetime, today: datetime | None) -> datetime:
        if self.begins > now:
            raise ValueError(MESSAGES["future"].format(now=to_rfc3339(now.replace(microsecond=0))))
        if not self.is_date:
            return self.begins
        ends = self.begins + timedelta(days=1)
        return today if today is not None and ends > now else ends - timedelta(milliseconds=1)


def parse_moment(value: object) -> PastMoment:
    """Parse an ISO date or date-time (without a zone it is UTC). Raises ValueError."""
    text = value.strip() if isinstance(value, str) else ""
    when = parse_datetime(text) if "-" in text else None
    if when is None:
        raise ValueError(BAD_DATE)
    return PastMoment(when, is_date=len(text) == _DATE_CHARS)

"""Sizes of the past as a vendor itself remembers them, and which of them can be used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Literal

from audience_mcp.core.dates import earlier, parse_datetime, to_rfc3339
from audience_mcp.core.values import as_count

Every = Literal["day", "month", "moment"]
"""What one point of a record stands for: a day, a month's last day, or a moment that the vendor names."""

DAY = timedelta(days=1)
TICK = timedelta(milliseconds=1)
"""By which the end of a day lies before the next one."""
OVER_AFTER = timedelta(hours=12)
"""How long after its end in UTC a day is over in every time zone: 36 hours after it began."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MONTH = re.compile(r"\d{4}-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class VendorPoint:
    """A size that the vendor itself remembers.

    moment: to which it belongs; of a day, its end in UTC. of_day: whether it is a day's, without a time.
    """

    moment: datetime
    size: int
    of_day: bool = False

    @property
    def as_of(self) -> str:
        """The day (`2026-10-31`) or the moment (RFC 3339), as answers show it."""
        if self.of_day:
            return self.moment.date().isoformat()
        return to_rfc3339(self.moment)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends included."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.until - self.since


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """The same stretches of time, the oldest first, with those joined that overlap or touch."""
    merged: list[Span] = []
    for each in sorted(spans, key=lambda span: span.since):
        if merged and each.since <= merged[-1].until:
            merged[-1] = Span(merged[-1].since, max(merged[-1].until, each.until))
        else:
            merged.append(each)
    return merged


def last_possible(every: Every, at: datetime, now: datetime) -> datetime:
    """The latest moment at or before `at` at which a point can lie by `now`."""
    if every == "moment":
        return min(at, now)
    day = start_of_day(min(at + TICK, now - OVER_AFTER))
    return earlier(day if every == "day" else day.replace(day=1), TICK)


def start_of_day(moment: datetime) -> datetime:
    """The beginning of a moment's day in UTC."""
    return moment.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)


def end_before(day: date) -> datetime:
    """The end of the day before this one, in UTC."""
    return earlier(datetime(day.year, day.month, day.day, tzinfo=timezone.utc), TICK)


def points_since(points: Sequence[VendorPoint], since: datetime) -> list[VendorPoint]:
    """Points, the oldest first, from the last one at or before a moment on."""
    before = [place for place, each in enumerate(points) if each.moment <= since]
    return list(points[before[-1] if before else 0 :])


def differ_at_seam(points: Iterable[VendorPoint], begins: datetime, ours: int) -> VendorPoint | None:
    """The vendor's last point of the day on which ours begin, if it is more than a tenth from ours."""
    of_day = [each for each in points if each.moment.date() == begins.date()]
    if not of_day or abs(of_day[-1].size - ours) * 10 <= max(of_day[-1].size, ours):
        return None
    return of_day[-1]


def sound_points(
    raw: Iterable[tuple[object, object]],
    every: Every,
    now: datetime,
    created: datetime | None = None,
    sized_on: date | None = None,
    known_since: datetime | None = None,
    within: Span | None = None,
) -> list[VendorPoint]:
    """The points of a record that can be used, the oldest first.

    raw: when and how many, as the vendor writes it. created: when the audience was. sized_on: the day that
    its present size is of. known_since: the moment of the first size above 0 that is known already.
    within: the stretch of time of which an answer tells all; at its edges a day may be cut.

    Left out: what lies outside that stretch; a day or a month that is not over everywhere, what lies after
    now, before the creation, or on the day of the present size or after it; zeros with no other figure before
    them; two figures of one moment that differ; what is not a size.
    """
    found: dict[datetime, int | None] = {}
    for when, size in raw:
        moment, count = _moment(when, every) if isinstance(when, str) else None, as_count(size)
        if moment is None or count is None or moment > last_possible(every, moment, now):
            continue
        if within is None or within.since <= moment <= within.until:
            found[moment] = count if found.get(moment, count) == count else None
    points: list[VendorPoint] = []
    for moment in sorted(found):
        size_then = found[moment]
        if size_then is None or (created is not None and moment < created):
            continue
        if sized_on is not None and moment.date() >= sized_on:
            continue
        if size_then or points or (known_since is not None and known_since < moment):
            points.append(VendorPoint(moment, size_then, every != "moment"))
    return points


@lru_cache(maxsize=4_096)
def _moment(when: str, every: Every) -> datetime | None:
    """The moment of a point as the vendor writes it: of a day or a month, its end in UTC.

    One object for each, since all audiences of a vendor have points of the same days.
    """
    if every == "moment":
        found = parse_datetime(when) if _DAY.fullmatch(when) is None else None
        return found.replace(microsecond=0) if found is not None else None
    try:
        if every == "day":
            return _start(when) + DAY - TICK if _DAY.fullmatch(when) else None
        if not _MONTH.fullmatch(when):
            return None
        return (_start(f"{when}-01") + 31 * DAY).replace(day=1) - TICK
    except (ValueError, OverflowError):
        return None


def _start(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=timezone.utc)

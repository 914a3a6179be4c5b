"""Keeps the history within its bounds: all readings of a week, then one a day, then one a week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from audience_mcp.core.points import Span
from audience_mcp.store.series import OPEN, State, is_known, sizes_at
from audience_mcp.store.stored import VendorRecord, from_ms, to_ms
from audience_mcp.store.tables import Count, HistoryTables

ALL_FOR = timedelta(days=7)
DAILY_FOR = timedelta(days=90)
WEEKLY_FOR = timedelta(days=400)
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS
"""1970 began on a Thursday; weeks begin on Mondays."""
MAX_BYTES = 64 * 1024 * 1024
"""Of the whole history; the oldest readings are dropped first."""
THINNED_TO = 0.9
"""Share of MAX_BYTES to which a history that is too big is cut, so that the next reading need not cut."""


def points_to_drop(moments: Sequence[int], now: int) -> list[int]:
    """Those of `moments` (ascending, in milliseconds) that need not be kept any longer.

    Every one of the last 7 days stays, the last of each day for 90 and of each week for 400 days; days and
    weeks are of UTC. The newest always stays.
    """
    all_from, daily_from, weekly_from = _bounds(now)
    dropped = []
    for moment, following in pairwise(moments):
        if moment >= all_from:
            break
        if moment < weekly_from:
            dropped.append(moment)
        elif moment < daily_from:
            if _week(moment) == _week(following):
                dropped.append(moment)
        elif moment // DAY_MS == following // DAY_MS:
            dropped.append(moment)
    return dropped


def thin_out(tables: HistoryTables, series: int, state: State, points: Sequence[int], moment: int) -> State:
    """Drop the readings of a series that need not be kept. points: those before the new one, of `moment`.

    How old they are goes by the reading before: a clock that is years ahead, once, loses nothing.
    """
    now = min(int(tables.db.now() * 1000), max(points, default=moment))
    dropped = points_to_drop(sorted([*points, moment]), now)
    if dropped:
        _keep_last_known(tables, series, state, dropped, _bounds(now))
        state = _drop(tables, series, state, dropped)
    if not points or max(points) // DAY_MS != moment // DAY_MS:
        _thin_counts(tables, series, now)
        _thin_records(tables, series, now)
    return state


def cut_record(record: VendorRecord, now: int) -> VendorRecord:
    """What is to be kept of a vendor's record: as much as of readings of that age."""
    weekly_from = _bounds(now)[2]
    dropped = set(points_to_drop([to_ms(each.moment) for each in record.points], now))
    points = [
        each
        for each in record.points
        if to_ms(each.moment) not in dropped and to_ms(each.moment) >= weekly_from
    ]
    begin = from_ms(weekly_from)
    asked = [Span(max(each.since, begin), each.until) for each in record.asked if each.until >= begin]
    return VendorRecord(points, asked)


def _thin_records(tables: HistoryTables, series: int, now: int) -> None:
    """Drop what is kept of a vendor's record and has grown too old."""
    all_from, daily_from, weekly_from = _bounds(now)
    tables.drop_records(weekly_from, series)
    tables.thin_records(series, weekly_from, daily_from, MONDAY_MS, WEEK_MS)
    tables.thin_records(series, daily_from, all_from, 0, DAY_MS)


def make_room(tables: HistoryTables, max_bytes: int) -> None:
    """Drop the oldest readings of all accounts until the whole is small enough."""
    db = tables.db
    if db.bytes_used() <= max_bytes:
        return
    while db.bytes_used() > max_bytes * THINNED_TO:
        points = tables.all_points()
        oldest = points[: max(1, len(points) // 10)]
        if not oldest:
            tables.drop_records(OPEN)
            return
        tables.drop_records(oldest[-1][1])
        for series in {series for series, _ in oldest}:
            _drop_oldest(tables, series, [moment for each, moment in oldest if each == series])
    db.shrink()


def _bounds(now: int) -> tuple[int, int, int]:
    """From when on all, from when on one a day, and from when on one a week are kept."""
    first, second, third = (
        now - keep // timedelta(milliseconds=1) for keep in (ALL_FOR, DAILY_FOR, WEEKLY_FOR)
    )
    return first, second, third


def _week(moment: int) -> int:
    return (moment - MONDAY_MS) // WEEK_MS


def _keep_last_known(
    tables: HistoryTables, series: int, state: State, dropped: Sequence[int], bounds: tuple[int, int, int]
) -> None:
    """Of sizes that only dropped readings gave, keep the last of each day or week as a count.

    Not where a reading of that day or week that stays has the audience's size itself.
    """
    _, daily_from, weekly_from = bounds
    in_time = [moment for moment in dropped if moment >= weekly_from]
    if not in_time:
        return

    def stretch(moment: int) -> tuple[str, int]:
        return ("day", moment // DAY_MS) if moment >= daily_from else ("week", _week(moment))

    last: dict[tuple[int, tuple[str, int]], Count] = {}
    for number, interval in tables.find_without_point(series, dropped):
        if interval.known:
            for moment in in_time:
                if interval.first <= moment <= interval.last:
                    known = last.get((number, stretch(moment)))
                    if known is None or known.moment < moment:
                        last[number, stretch(moment)] = Count(moment, interval.size, interval.size_max)
    gone = set(dropped)
    staying = {stretch(point): point for point in tables.points(series) if point not in gone}
    has_size: dict[tuple[str, int], set[int]] = {}
    for where in {where for _, where in last}:
        point = staying.get(where)
        over = tables.find_covering(series, point) if point is not None else {}
        there = sizes_at(state, over, point) if point is not None else ()
        has_size[where] = {number for number, said in there if is_known(said.size)}
    tables.add_counts(
        series, [(number, count) for (number, where), count in last.items() if number not in has_size[where]]
    )


def _thin_counts(tables: HistoryTables, series: int, now: int) -> None:
    all_from, daily_from, weekly_from = _bounds(now)
    tables.delete_counts(series, 0, weekly_from)
    tables.thin_counts(series, weekly_from, daily_from, MONDAY_MS, WEEK_MS)
    tables.thin_counts(series, daily_from, all_from, 0, DAY_MS)


def _drop_oldest(tables: HistoryTables, series: int, moments: Sequence[int]) -> None:
    with tables.db.transaction(f"series {series}"):
        # Another writer may have made room meanwhile.
        there = set(tables.points(series))
        oldest = [moment for moment in moments if moment in there]
        state = tables.state_of(series)
        if state is None or not oldest:
            return
        if len(there) == len(oldest):
            tables.delete_series(series)
            return
        tables.delete_counts(series, 0, max(oldest) + 1)
        tables.write(series, _drop(tables, series, state, oldest))


def _drop(tables: HistoryTables, series: int, state: State, dropped: Sequence[int]) -> State:
    tables.delete_points(series, dropped)
    used = tables.numbers_used(series)
    unused = [n for n, first in enumerate(state.firsts) if first is None and n not in used]
    if len(unused) * 2 <= len(state.ids):
        return state
    state, renumbered = state.without(unused)
    tables.renumber(series, renumbered)
    return state


def thin(moments: Sequence[int], most: int) -> list[int]:
    """At most `most` places in `moments`, evenly spread, the first and the last among them."""
    count = len(moments)
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]

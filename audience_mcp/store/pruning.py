"""Keeps the history within its bounds: old readings go, and with them what only they said."""

from __future__ import annotations

from collections.abc import Sequence

from audience_mcp.store.retention import points_to_drop
from audience_mcp.store.series import State
from audience_mcp.store.tables import HistoryTables

MAX_BYTES = 64 * 1024 * 1024
"""Of the whole history; the oldest readings go first."""
THINNED_TO = 0.9
"""Once it is too big, it is made so much smaller, so that the next reading need not do it again."""


def thin_out(tables: HistoryTables, series: int, state: State, points: Sequence[int], moment: int) -> State:
    """Drop the readings of a series that need not be kept. points: those before the new one, of `moment`.

    How old they are goes by the reading before: a clock that is years ahead, once, loses nothing.
    """
    moments = sorted([*points, moment])
    now = min([int(tables.db.now() * 1000), max(points, default=moment)])
    dropped = points_to_drop(moments, now)
    return _drop(tables, series, state, dropped) if dropped else state


def make_room(tables: HistoryTables, max_bytes: int) -> None:
    """Drop the oldest readings of all accounts until the whole is small enough."""
    db = tables.db
    if db.bytes_used() <= max_bytes:
        return
    while db.bytes_used() > max_bytes * THINNED_TO:
        points = tables.all_points()
        oldest = points[: max(1, len(points) // 10)]
        if not oldest:
            return
        for series in {series for series, _ in oldest}:
            _drop_oldest(tables, series, [moment for each, moment in oldest if each == series])
    db.shrink()


def _drop_oldest(tables: HistoryTables, series: int, moments: Sequence[int]) -> None:
    with tables.db.transaction(tables.account_of(series)):
        if len(tables.points(series)) == len(moments):
            tables.delete_series(series)
            return
        tables.write(series, _drop(tables, series, tables.state_of(series), moments))


def _drop(tables: HistoryTables, series: int, state: State, dropped: Sequence[int]) -> State:
    tables.delete_points(series, dropped)
    used = tables.numbers_used(series)
    unused = [n for n, first in enumerate(state.firsts) if first is None and n not in used]
    if len(unused) * 2 <= len(state.ids):
        return state
    state, renumbered = state.without(unused)
    tables.renumber(series, renumbered)
    return state

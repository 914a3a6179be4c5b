"""How big audiences were: recorded with every complete reading, asked for by moment or by audience."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from audience_mcp.core.audience import Row
from audience_mcp.store.database import Database, secret_in
from audience_mcp.store.pruning import MAX_BYTES, make_room, thin_out
from audience_mcp.store.series import (
    OPEN,
    Interval,
    State,
    advance,
    cut_names,
    is_another_account,
    put,
    sizes_at,
)
from audience_mcp.store.tables import HistoryTables
from audience_mcp.store.values import Baseline, Moment, Past, Span, Timeline, from_ms


class HistoryPart:
    """The history of a store, over a database. Every method raises StoreError.

    account: what a series belongs to, as a text. Moments are milliseconds since 1970. max_bytes: how big it
    may be.
    """

    def __init__(self, database: Database, max_bytes: int = MAX_BYTES) -> None:
        self._db = database
        self._tables = HistoryTables(database)
        self._max_bytes = max_bytes

    def secret(self) -> bytes:
        """The random secret under which ids that are secret become names of series.

        It is the history's own, since the other one goes with damaged readings.
        """
        return secret_in(self._db, "audience_mcp_history_meta")

    # Recording

    def record(self, account: str, rows: Sequence[Row], moment: int, *, may_be_another: bool = False) -> None:
        """Keep the sizes of a complete reading. One whose moment is there already is not kept again.

        may_be_another: whether there may be another account behind the same text since the last reading; a
        new series then begins where the audiences are others.
        """
        with self._db.transaction(account):
            series, state = self._tables.series(account)
            if series is not None and may_be_another and is_another_account(state, rows):
                series = None
            if series is None:
                series, state = self._tables.new_series(account), State()
            points = self._tables.points(series)
            if moment in points:
                return
            before, after = _beside(points, moment)
            self._tables.add_point(series, moment)
            if after is None:
                self._tables.end(series, advance(state, rows, before, moment))
            else:
                self._insert_between(series, state, rows, (before, moment, after))
            state = thin_out(self._tables, series, state, points, moment)
            if state.changed:
                self._tables.write(series, state)
        make_room(self._tables, self._max_bytes)

    def record_counts(self, account: str, sizes: Mapping[str, int | None], moment: int) -> None:
        """Keep sizes that were asked for one by one, as part of the reading whose moment that is."""
        with self._db.transaction(account):
            series, state = self._tables.series(account)
            points = self._tables.points(series) if series is not None else []
            if series is None or moment not in points:
                return
            beside = _beside(points, moment)
            numbers = state.numbers()
            counted = {numbers[id]: size for id, size in sizes.items() if id in numbers}
            ended = self._tables.find_ended(series, counted)
            for number, size in counted.items():
                if _covers([*ended.get(number, []), *_held(state, number)], moment):
                    place = beside[0], moment, beside[1]
                    self._put(series, state, number, ended.get(number, []), place, size)
            self._tables.write(series, state)

    def _insert_between(
        self,
        series: int,
        state: State,
        rows: Sequence[Row],
        place: tuple[int | None, int, int | None],
    ) -> None:
        """Take in a reading that is older than the newest: a slow one, or of a clock that was set back."""
        numbers = state.numbers()
        there = {
            numbers[row.id] if row.id in numbers else state.add(row.id, name, row.kind): row
            for row, name in zip(rows, cut_names(rows), strict=True)
        }
        ended = self._tables.find_ended(series)
        for number in range(len(state.ids)):
            row = there.get(number)
            size = None if row is None or row.size_pending else row.size
            self._put(series, state, number, ended.get(number, []), place, size, there=row is not None)

    def _put(
        self,
        series: int,
        state: State,
        number: int,
        ended: Sequence[Interval],
        place: tuple[int | None, int, int | None],
        size: int | None,
        *,
        there: bool = True,
    ) -> None:
        now = put([*ended, *_held(state, number)], *place, size, there=there)
        last = next((each for each in now if each.last == OPEN), None)
        state.changed = True
        state.firsts[number] = last.first if last else None
        state.sizes[number] = last.size if last else state.sizes[number]
        kept = [each for each in now if each.last != OPEN]
        self._tables.remove(series, number, set(ended).difference(kept))
        self._tables.end(series, [(number, each) for each in kept if each not in ended])

    # Asking

    def baseline(self, account: str, at: int, before: int) -> Baseline | None:
        """The sizes of the last reading at or before `at`, else of the first after it.

        before: the moment of the reading that is to be compared with it, and with none that is not older.
        """
        with self._db.snapshot():
            series, state = self._tables.series(account)
            points = (
                [each for each in self._tables.points(series) if each < before] if series is not None else []
            )
            if not points:
                return None
            moment = max((each for each in points if each <= at), default=points[0])
            over = {
                int(number): size
                for number, size in self._db.query(
                    "SELECT audience, size FROM audience_mcp_sizes "
                    "WHERE series = ? AND last >= ? AND first <= ?",
                    (series, moment, moment),
                )
            }
        audiences = {
            state.ids[number]: Past(state.names[number], state.kinds[number], size)
            for number, size in sizes_at(state, over, moment)
        }
        return Baseline(from_ms(moment), audiences)

    def span(self, account: str) -> Span | None:
        """How much history an account has."""
        found = self._db.query(
            "SELECT MIN(moment), MAX(moment), COUNT(*) FROM audience_mcp_points WHERE series = "
            "(SELECT MAX(id) FROM audience_mcp_series WHERE account = ?)",
            (account,),
        )
        first, last, count = found[0]
        return Span(from_ms(first), from_ms(last), count) if count else None

    def timelines(self, account: str, since: int, ids: Sequence[str] | None = None) -> list[Timeline]:
        """The sizes of audiences over time: that at or before `since`, and each other one after it.

        ids: of which audiences; all where None. A last moment says until when the last size was seen.
        """
        with self._db.snapshot():
            series, state = self._tables.series(account)
            points = self._tables.points(series)
            if series is None or not points:
                return []
            start = max((each for each in points if each <= since), default=None)
            numbers = state.numbers()
            wanted = None if ids is None else [numbers[id] for id in ids if id in numbers]
            ended = self._tables.find_ended(series, wanted, since if start is None else start)
        found = []
        for number in range(len(state.ids)) if wanted is None else wanted:
            holds = [each._replace(last=points[-1]) for each in _held(state, number)]
            moments = _moments([*ended.get(number, []), *holds], start)
            if moments:
                found.append(Timeline(state.ids[number], state.names[number], moments))
        return found

    def spans(self) -> dict[str, Span]:
        """How much history there is, by account."""
        accounts = [row[0] for row in self._db.query("SELECT DISTINCT account FROM audience_mcp_series")]
        spans = {account: self.span(account) for account in sorted(accounts)}
        return {account: span for account, span in spans.items() if span is not None}

    def clear(self, accounts: Sequence[str] | None = None) -> None:
        """Forget the history of these accounts, or all of it."""
        for account in list(self.spans()) if accounts is None else accounts:
            with self._db.transaction(account):
                found = self._db.query("SELECT id FROM audience_mcp_series WHERE account = ?", (account,))
                for (series,) in found:
                    self._tables.delete_series(series)


def _beside(points: Sequence[int], moment: int) -> tuple[int | None, int | None]:
    """The readings just before and just after a moment."""
    before = max((each for each in points if each < moment), default=None)
    after = min((each for each in points if each > moment), default=None)
    return before, after


def _held(state: State, number: int) -> list[Interval]:
    """The interval that still holds, if one does."""
    first = state.firsts[number]
    return [] if first is None else [Interval(first, OPEN, state.sizes[number])]


def _covers(intervals: Iterable[Interval], moment: int) -> bool:
    return any(each.first <= moment <= each.last for each in intervals)


def _moments(intervals: Sequence[Interval], start: int | None) -> list[Moment]:
    """When each size was first seen, from the one at `start` on, and when the last one was last seen."""
    shown: list[Moment] = []
    for each in intervals:
        if each.size is None:
            continue
        # Of what began before, only that it was so at `start` is told.
        first = max(each.first, start) if start is not None else each.first
        if not shown or shown[-1].size != each.size:
            shown.append(Moment(from_ms(first), each.size))
    known = [each for each in intervals if each.size is not None]
    if shown and known:
        last = Moment(from_ms(known[-1].last), known[-1].size or 0)
        if last.as_of > shown[-1].as_of:
            shown.append(last)
    return shown

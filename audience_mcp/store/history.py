"""How big audiences were: recorded with every complete reading, looked up by moment or by audience."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from audience_mcp.core.audience import Row
from audience_mcp.core.points import points_since
from audience_mcp.core.secrets import HIDDEN
from audience_mcp.store.database import HISTORY_META, Database, hash_parts, secret_in
from audience_mcp.store.encoding import Clean, as_it_is
from audience_mcp.store.over_time import (
    Recorded,
    Wanted,
    last_of_days,
    same_count,
    sizes_as_they_changed,
    sizes_by_day,
    totals_over_time,
)
from audience_mcp.store.retention import DAY_MS, MAX_BYTES, cut_record, make_room, thin_out
from audience_mcp.store.series import (
    NOT_COUNTED,
    OPEN,
    OPEN_ENDED,
    Interval,
    State,
    advance,
    figure_of,
    is_known,
    is_same_account,
    names_of,
    put,
    sizes_at,
    upper_end,
)
from audience_mcp.store.stored import (
    Baseline,
    LastSeen,
    Moment,
    NoBaseline,
    Owner,
    Past,
    RecordedReading,
    SeriesTotals,
    Span,
    StoredCount,
    StoredSeries,
    Timeline,
    Unchanged,
    VendorRecord,
    from_ms,
    to_ms,
)
from audience_mcp.store.tables import Count, HistoryTables, Series

AHEAD_MS = 60_000
"""A reading that is further ahead of the store's clock than this is of a wrong clock, and no point."""
COUNTS_KEPT = 2
"""Counts of an audience that a baseline has: the last may be the very one that answers now."""

Present = Callable[[], "Collection[Row] | None"]
"""The audiences that an account has now, in full; None if that is not known."""


class HistoryPart:
    """The history of a store, over a database. Every method raises StoreError.

    Moments are milliseconds since 1970. max_bytes: how big it may be.
    """

    def __init__(self, database: Database, max_bytes: int = MAX_BYTES) -> None:
        self._db = database
        self._tables = HistoryTables(database)
        self._max_bytes = max_bytes

    # Whose it is

    def key_of(self, owner: Owner) -> str:
        """The key of an account's history, which holds no secret: one among its ids is there as an HMAC.

        The HMAC's secret is the history's own, since that of the readings is lost with them.
        """
        ids = [f"#{self._hash(role, value)}" if secret else value for role, value, secret in owner.ids]
        return json.dumps([owner.vendor, owner.base_url, *ids])

    def _make_secret(self) -> None:
        """Make the secret if it does not exist yet, which a snapshot cannot."""
        secret_in(self._db, HISTORY_META)

    def _hash(self, role: str, value: str) -> str:
        return hash_parts(secret_in(self._db, HISTORY_META), (role, value))

    def _find(self, owner: Owner, present: Present) -> tuple[Series | None, bool]:
        """The series of an account, and whether one of another account has its source's name.

        An account that is known by its key alone takes over the series of its source's name if `present` says
        that it is the same account.
        """
        if not owner.ids:  # it is not configured in full, so the name is all that there is to go by
            named = self._tables.series_of(owner.source)
            return next((each for each in named if each.vendor == owner.vendor), None), False
        key = self.key_of(owner)
        series = self._tables.find_series(key)
        if not owner.by_key:
            return series, False
        others = self._others(owner, key)
        rows = present() if series is None and others else None
        for other in others if rows is not None else ():
            state = self._tables.state_of(other.number)
            if rows is not None and state is not None and is_same_account(state, rows, owner):
                return other, False
        return series, bool(others) and (series is not None or rows is not None)

    def _others(self, owner: Owner, key: str) -> list[Series]:
        """The series with readings under the source's name and another key, the newest first."""
        of_vendor = json.loads(key)[:2]
        return [
            each
            for each in self._tables.series_of(owner.source)
            if each.key != key and json.loads(each.key)[:2] == of_vendor and self._tables.points(each.number)
        ]

    # Recording

    def record(self, owner: Owner, rows: Sequence[Row], moment: int) -> bool:
        """Keep the sizes of a complete reading, and those that were counted for it at moments of their own.

        One whose moment is there already is not kept again. False if the moment lies ahead of the store's
        clock.
        """
        with self._db.transaction(f"history {owner.vendor} {owner.source}"):
            found, _ = self._find(owner, lambda: rows)
            key = self.key_of(owner)
            named = key, owner.source, owner.client, owner.kind
            number = found.number if found is not None else self._tables.add_series(*named)
            with self._db.transaction(f"series {number}"):
                state = self._tables.state_of(number, set_aside=True)
                if state is None:  # deleted or set aside meanwhile
                    number, state = self._tables.add_series(*named), State()
                elif found is not None and found[1:] != named:
                    self._tables.rename_series(Series(number, *named))
                limit = self._limit()
                points, state = self._drop_later(number, state, limit)
                if moment > limit:
                    return False
                if moment not in points:
                    state = self._add_point(number, state, rows, points, moment)
                counted = (
                    (row.id, row.counted_at, row.size, row.size_max)
                    for row in rows
                    if row.counted_at is not None and row.size is not None
                )
                self._add_counts(number, state, counted, limit)
                if state.changed:
                    self._tables.write(number, state)
        make_room(self._tables, self._max_bytes)
        return True

    def record_counts(self, owner: Owner, counts: Mapping[str, StoredCount]) -> None:
        """Keep sizes that were counted one by one, by the audience's id, each at its own moment."""
        with self._db.transaction(f"history {owner.vendor} {owner.source}"):
            series = self._tables.find_series(self.key_of(owner))
            if series is None:
                return
            with self._db.transaction(f"series {series.number}"):
                state = self._tables.state_of(series.number)
                if state is not None:
                    counted = ((id, each.at, each.size, each.size_max) for id, each in counts.items())
                    self._add_counts(series.number, state, counted, self._limit())

    # What the vendor itself remembers

    def record_vendor(
        self, owner: Owner, records: Mapping[str, VendorRecord], present: Present = lambda: None
    ) -> None:
        """Keep what the vendor remembers, by the audience's id; a series begins with it where none is there.

        None begins where it is unknown whether the history under the source's name is the account's.
        """
        with self._db.transaction(f"history {owner.vendor} {owner.source}"):
            series, is_others = self._find(owner, present)
            key = self.key_of(owner)
            if series is None and owner.by_key and not is_others and self._others(owner, key):
                return
            named = key, owner.source, owner.client, owner.kind
            number = series.number if series is not None else self._tables.add_series(*named)
            with self._db.transaction(f"series {number}"):
                if self._tables.state_of(number) is not None:
                    now = int(self._db.now() * 1000)
                    now = min(now, max(self._tables.points(number), default=now))
                    self._tables.add_records(number, {id: cut_record(r, now) for id, r in records.items()})
        make_room(self._tables, self._max_bytes)

    def find_vendor(
        self, owner: Owner, ids: Collection[str], present: Present = lambda: None
    ) -> dict[str, VendorRecord]:
        """What was kept of the vendor's own record, by the audience's id."""
        self._make_secret()
        with self._db.snapshot():
            series, _ = self._find(owner, present)
            return self._tables.find_records(series.number, ids) if series is not None else {}

    def _limit(self) -> int:
        """The last moment that is not later than now."""
        return int(self._db.now() * 1000) + AHEAD_MS

    def _add_point(
        self, series: int, state: State, rows: Sequence[Row], points: Sequence[int], moment: int
    ) -> State:
        place = bisect_right(points, moment)
        before = points[place - 1] if place else None
        after = points[place] if place < len(points) else None
        self._tables.add_point(series, moment)
        if after is None:
            self._tables.end(series, advance(state, rows, before, moment))
        else:
            self._insert_between(series, state, rows, (before, moment, after))
        return thin_out(self._tables, series, state, points, moment)

    def _add_counts(
        self,
        series: int,
        state: State,
        counted: Iterable[tuple[str, datetime | None, int | None, int | None]],
        limit: int,
    ) -> None:
        numbers: dict[str, int] = {}
        found = []
        for id, at, size, size_max in counted:
            if at is not None and to_ms(at) <= limit:
                numbers = numbers or state.numbers()
                if id in numbers:
                    found.append((numbers[id], Count(to_ms(at), size, size_max)))
        if found:
            self._tables.add_counts(series, found)

    def _insert_between(
        self, series: int, state: State, rows: Sequence[Row], place: tuple[int | None, int, int | None]
    ) -> None:
        """Take in a reading that is older than the newest: a slow one, or of a clock that was set back."""
        numbers = state.numbers()
        there = {
            numbers[row.id] if row.id in numbers else state.add(row, name): row
            for row, name in zip(rows, names_of(rows), strict=True)
        }
        ended = self._tables.find_ended(series)
        removed: list[tuple[int, Interval]] = []
        added: list[tuple[int, Interval]] = []
        for number in range(len(state.ids)):
            row, before = there.get(number), ended.get(number, [])
            now = put([*before, *state.held(number)], *place, figure_of(row) if row is not None else None)
            state.hold(number, next((each for each in now if each.last == OPEN), None))
            kept = [each for each in now if each.last != OPEN]
            removed += [(number, each) for each in before if each not in kept]
            added += [(number, each) for each in kept if each not in before]
        self._tables.remove(series, removed)
        self._tables.end(series, added)

    def _drop_later(self, series: int, state: State, limit: int) -> tuple[list[int], State]:
        """Drop what a clock that was ahead has recorded: the state is again that of the last true reading."""
        points = self._tables.points(series)
        later = [moment for moment in points if moment > limit]
        if not later:
            return points, state
        points = points[: len(points) - len(later)]
        last = points[-1] if points else None
        ended = self._tables.find_ended(series, since=last or 0)
        reopened: list[tuple[int, Interval]] = []
        for number in range(len(state.ids)):
            held = state.held(number)
            if held and last is not None and held[0].first <= last:
                continue
            covering = [each for each in ended.get(number, ()) if last is not None and each.first <= last]
            state.hold(number, covering[-1]._replace(last=OPEN) if covering else None)
            reopened += [(number, each) for each in ended.get(number, ())]
        self._tables.remove(series, reopened)
        self._tables.delete_counts(series, limit + 1, OPEN)
        self._tables.delete_points(series, later)
        state.changed = True
        return points, state

    # Asking

    def baseline(
        self, owner: Owner, at: int, before: int, present: Present = lambda: None, clean: Clean = as_it_is
    ) -> Baseline | NoBaseline:
        """The sizes of the last reading at or before `at`, else of the first after it.

        before: the moment of the reading that is to be compared with it, and with none that is not older.
        clean: takes keys out of names.
        """
        self._make_secret()
        with self._db.snapshot():
            series, another = self._find(owner, present)
            state = self._tables.state_of(series.number, clean) if series is not None else None
            if series is None or state is None:
                return NoBaseline(None, another)
            points = self._true_points(series.number)
            earlier = [each for each in points if each < before]
            if not earlier:
                return NoBaseline(from_ms(points[0]) if points else None, another)
            moment = max((each for each in earlier if each <= at), default=earlier[0])
            there = list(sizes_at(state, self._tables.find_covering(series.number, moment), moment))
            counts: dict[int, Sequence[Moment]] = {}
            if any(said.size == NOT_COUNTED for _, said in there):
                counts = self._counts_at(series.number, at, moment, before)
        audiences = {}
        for number, (size, unit, size_max) in there:
            id = state.ids[number]
            if HIDDEN in id:
                continue
            by_itself = size == NOT_COUNTED
            audiences[id] = Past(
                state.names[number],
                state.kinds[number],
                None if by_itself else size,
                unit,
                counts.get(number, ()) if by_itself else (),
                upper_end(size_max),
                size_max == OPEN_ENDED,
                state.parents[number],
            )
        return Baseline(from_ms(moment), audiences)

    def find_unchanged(
        self, owner: Owner, since: int, days: int, present: Present = lambda: None
    ) -> dict[str, Unchanged]:
        """The audiences whose size has been the same since `since` or longer, by id.

        days: the least number of different days since then on which it must have been read. Ranges are left
        out, since a range can stay the same while the size changes.
        """
        self._make_secret()
        with self._db.snapshot():
            series, _ = self._find(owner, present)
            state = self._tables.state_of(series.number) if series is not None else None
            if series is None or state is None:
                return {}
            points = self._true_points(series.number)
            counts = self._tables.find_counts(series.number, 0, self._limit())
        was_read = len({each // DAY_MS for each in points if each >= since}) >= days
        found: dict[str, Unchanged] = {}
        for number, (id, first) in enumerate(zip(state.ids, state.firsts, strict=True)):
            said = state.figure(number)
            if first is None or HIDDEN in id:
                continue
            if said.size == NOT_COUNTED:
                same = same_count(counts.get(number, ()))
                if same and len({each.moment // DAY_MS for each in same if each.moment >= since}) >= days:
                    first, size = same[0].moment, same[0].size
                else:
                    continue
            else:
                size = said.size if was_read and said.size_max is None else None
            if size is not None and first <= since:
                found[id] = Unchanged(size, from_ms(first))
        return found

    def find_recorded(self, owner: Owner, moment: int) -> RecordedReading | None:
        """What is stored of the reading of just this moment; None if it is not there."""
        self._make_secret()
        with self._db.snapshot():
            series, _ = self._find(owner, lambda: None)
            state = self._tables.state_of(series.number) if series is not None else None
            if series is None or state is None or moment not in self._true_points(series.number):
                return None
            there = list(sizes_at(state, self._tables.find_covering(series.number, moment), moment))
            counts = self._counts_at(series.number, self._limit(), moment, OPEN)
        known = sum(
            bool(counts.get(number)) if said.size == NOT_COUNTED else said.size is not None
            for number, said in there
        )
        return RecordedReading(len(there), known)

    def _counts_at(self, series: int, at: int, moment: int, before: int) -> dict[int, Sequence[Moment]]:
        """The last known counts of each audience for a baseline, the newest first; none where it was refused.

        They are of the baseline's day or of the 24 h before it, and not after `at`; where the baseline itself
        is after `at`, the first ones of its day come before those. What was counted or refused on a later day
        says nothing of the baseline.
        """
        day = moment - moment % DAY_MS
        is_later = moment > at
        until = min(day + DAY_MS - 1, before - 1)
        if not is_later:
            until = min(until, at)
        found = self._tables.find_counts(series, min(day, moment - DAY_MS), until)
        last: dict[int, Sequence[Moment]] = {}
        for number, counts in found.items():
            if is_later:
                counts = [
                    *[each for each in counts if each.moment < moment],
                    *[each for each in reversed(counts) if each.moment >= moment],
                ]
            if counts[-1].size is None and counts[-1].moment >= moment:
                continue
            known = [
                Moment(from_ms(each.moment), each.size, upper_end(each.size_max))
                for each in counts
                if each.size is not None
            ]
            last[number] = known[: -COUNTS_KEPT - 1 : -1]
        return last

    def _span(self, series: int) -> Span | None:
        points = self._true_points(series)
        return Span(from_ms(points[0]), from_ms(points[-1]), len(points)) if points else None

    def _record_span(self, series: int) -> Span | None:
        """That of what the vendor remembers, where there is no reading."""
        records = self._tables.find_records(series).values()
        asked = [each for record in records for each in record.asked]
        return Span(min(s.since for s in asked), max(s.until for s in asked), 0) if asked else None

    def _true_points(self, series: int) -> list[int]:
        """The moments of a series' readings that are not later than now."""
        points = self._tables.points(series)
        return points[: bisect_right(points, self._limit())] if points else points

    def timelines(
        self,
        whose: Owner | str,
        since: int,
        ids: Sequence[str] | None = None,
        present: Present = lambda: None,
        clean: Clean = as_it_is,
    ) -> list[Timeline]:
        """The sizes of an account's audiences over time: that at or before `since`, and each other after it.

        whose: an account, or the key of a series. ids: of which audiences; all where None. A last moment says
        until when the last size was seen. clean: takes keys out of names.
        """
        self._make_secret()
        with self._db.snapshot():
            series = self._series_of(whose, present)
            state = self._tables.state_of(series.number, clean) if series is not None else None
            if series is None or state is None:
                return []
            return self._with_records(series, state, self._timelines(series, state, since, ids), since)

    def _with_records(
        self, series: Series, state: State, lines: Sequence[Timeline], since: int, *, daily: bool = False
    ) -> list[Timeline]:
        """The lines with what the vendor remembers of the time before our first known size of an audience.

        daily: the last of each day, from the day of `since` on.
        """
        records = self._tables.find_records(series.number, [line.id for line in lines]) if lines else {}
        if not records:
            return list(lines)
        begins = self._tables.find_first_known(series.number)
        for number, first in enumerate(state.firsts):
            if first is not None and is_known(state.sizes[number]):
                begins[number] = min(begins.get(number, first), first)
        numbers = state.numbers()
        found = []
        for line in lines:
            first = begins.get(numbers.get(line.id, -1), 0)
            known = records[line.id].points if line.id in records and first > since else ()
            points = [p for p in known if to_ms(p.moment) < first]
            if not daily:
                points = points_since(points, from_ms(since))
            else:
                points = [p for p in points if to_ms(p.moment) >= since - since % DAY_MS]
                points = [points[place] for place in last_of_days([to_ms(each.moment) for each in points])]
            # A record counts what our sizes count, so it is in the unit of the first of them.
            unit = line.moments[0].unit if line.moments else None
            moments = [Moment(each.moment, each.size, vendors=each, unit=unit) for each in points]
            found.append(replace(line, moments=[*moments, *line.moments]))
        return found

    def _series_of(self, whose: Owner | str, present: Present) -> Series | None:
        """The series of an account, or the newest one under a key."""
        return self._tables.find_series(whose) if isinstance(whose, str) else self._find(whose, present)[0]

    def days(
        self, whose: Owner | str, since: int, present: Present = lambda: None, clean: Clean = as_it_is
    ) -> list[Timeline]:
        """The last known size of each day that has one, from that of `since` on, of each audience."""
        recorded = self._recorded(whose, present, clean)
        if recorded is None:
            return []
        series, state = recorded.series, recorded.state
        found: list[Timeline] = []
        for number, id in enumerate(state.ids):
            if HIDDEN not in id and (moments := sizes_by_day(recorded, number, since)):
                kind = state.kinds[number] or series.kind
                found.append(Timeline(id, state.names[number], kind, moments))
        with self._db.snapshot():
            return self._with_records(series, state, found, since, daily=True)

    def totals(
        self,
        whose: Owner | str,
        since: int,
        present: Present = lambda: None,
        clean: Clean = as_it_is,
        wanted: Wanted | None = None,
        *,
        by_kind: bool,
    ) -> SeriesTotals:
        """The totals at each reading from the last one at or before `since` on. wanted: over which audiences.

        by_kind: of each kind of audience by itself.
        """
        recorded = self._recorded(whose, present, clean)
        if recorded is None:
            return SeriesTotals([], {})
        return totals_over_time(recorded, since, wanted, by_kind=by_kind)

    def _recorded(self, whose: Owner | str, present: Present, clean: Clean) -> Recorded | None:
        """All that is stored of a series; None if nothing is."""
        self._make_secret()
        with self._db.snapshot():
            series = self._series_of(whose, present)
            state = self._tables.state_of(series.number, clean) if series is not None else None
            if series is None or state is None or not (points := self._true_points(series.number)):
                return None
            ended = self._tables.find_ended(series.number)
            counts = self._tables.find_counts(series.number, 0, self._limit())
            return Recorded(series, points, state, ended, counts, self._limit())

    def _timelines(
        self, series: Series, state: State, since: int, ids: Sequence[str] | None
    ) -> list[Timeline]:
        points = self._true_points(series.number)
        if not points:
            return []
        start = max((each for each in points if each <= since), default=None)
        numbers = state.numbers()
        wanted = None if ids is None else [numbers[id] for id in ids if id in numbers]
        ended = self._tables.find_ended(series.number, wanted, since if start is None else start)
        only = wanted[0] if wanted is not None and len(wanted) == 1 else None
        limit = self._limit()
        counts = self._tables.find_counts(series.number, 0, limit, only)
        recorded = Recorded(series, points, state, ended, counts, limit)
        found = []
        for number in range(len(state.ids)) if wanted is None else wanted:
            moments = sizes_as_they_changed(recorded, number, start, since)
            if moments and HIDDEN not in state.ids[number]:
                kind = state.kinds[number] or series.kind
                found.append(Timeline(state.ids[number], state.names[number], kind, moments))
        return found

    def names(self, owner: Owner, present: Present = lambda: None, clean: Clean = as_it_is) -> dict[str, str]:
        """The name of each audience that any stored reading has, by id; of today and of the past."""
        self._make_secret()
        with self._db.snapshot():
            series, _ = self._find(owner, present)
            state = self._tables.state_of(series.number, clean) if series is not None else None
        return dict(zip(state.ids, state.names, strict=True)) if state is not None else {}

    def last_seen(
        self,
        owner: Owner,
        ids: Sequence[str],
        since: int = 0,
        present: Present = lambda: None,
        clean: Clean = as_it_is,
    ) -> list[LastSeen]:
        """Audiences as they were last stored, with their sizes over time from `since` on."""
        self._make_secret()
        found = []
        with self._db.snapshot():
            series, _ = self._find(owner, present)
            state = self._tables.state_of(series.number, clean) if series is not None else None
            points = self._true_points(series.number) if series is not None else []
            if series is None or state is None or not points:
                return []
            numbers = state.numbers()
            wanted = [numbers[id] for id in ids if id in numbers and HIDDEN not in id]
            ended = self._tables.find_ended(series.number, wanted)
            recorded = Recorded(series, points, state, ended, {}, self._limit())
            whole = {line.id: line.moments for line in self._timelines(series, state, 0, ids)}
            since_then = self._timelines(series, state, since, ids)
            since_then = self._with_records(series, state, since_then, since)
            lines = {line.id: line.moments for line in since_then}
            for number in wanted:
                moments = [min(each.last, points[-1]) for each in recorded.intervals(number)]
                if moments:
                    id = state.ids[number]
                    sizes = whole.get(id, ())
                    found.append(
                        LastSeen(
                            id,
                            state.names[number],
                            state.kinds[number],
                            state.parents[number],
                            from_ms(max(moments)),
                            sizes[-1] if sizes else None,
                            lines.get(id, ()),
                        )
                    )
        return found

    # For people

    def contents(self) -> list[StoredSeries]:
        """Every series with its span, in the order of sources' names."""
        found = []
        for series in self._tables.all_series():
            span = self._span(series.number) or self._record_span(series.number)
            if span is not None:
                found.append(StoredSeries(series.key, series.vendor, series.source, series.client, span))
        return sorted(found, key=lambda each: (each.source, each.key))

    def clear(self, keys: Collection[str] | None = None) -> int:
        """Delete the histories under these keys, or all; of how many audiences that was."""
        audiences = 0
        for series in self._tables.all_series():
            if keys is None or series.key in keys:
                with self._db.transaction(f"series {series.number}"):
                    state = self._tables.state_of(series.number)
                    audiences += len(
                        {*(state.ids if state else ()), *self._tables.find_records(series.number)}
                    )
                    self._tables.delete_series(series.number)
        self._db.shrink()
        return audiences

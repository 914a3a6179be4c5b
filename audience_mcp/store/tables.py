"""The history as a database holds it: series of accounts, moments of readings, intervals and counts."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from audience_mcp.core.points import Span, VendorPoint, merge_spans
from audience_mcp.store.database import Database
from audience_mcp.store.encoding import Clean, as_it_is
from audience_mcp.store.series import Figure, Interval, State
from audience_mcp.store.stored import StoreError, VendorRecord, from_ms, to_ms

DAMAGED = "damaged"
"""In place of the vendor and the source of a series that could not be decoded."""


class Count(NamedTuple):
    """A size that was counted by itself, and when; None if the vendor gave none then.

    size_max: the upper end of a range, or OPEN_ENDED.
    """

    moment: int
    size: int | None
    size_max: int | None = None


class Series(NamedTuple):
    """A series: its number, the key that it is stored under, and what its source was last.

    client: whom the source's suffix names. kind: the vendor's word for audiences that have none of their own.
    """

    number: int
    key: str
    source: str
    client: str | None = None
    kind: str | None = None

    @property
    def vendor(self) -> str:
        """The vendor whose it is."""
        return str(json.loads(self.key)[0])


class HistoryTables:
    """What the tables of a history hold. Every method raises StoreError.

    The caller of a change holds a transaction of the account; only `add_series` takes one of its own. Moments
    are milliseconds since 1970, audiences go by their numbers in the series' state.
    """

    def __init__(self, database: Database) -> None:
        self.db = database

    # Series

    def find_series(self, key: str) -> Series | None:
        """The newest series under a key."""
        return next(iter(self._series("WHERE key = ? ORDER BY id DESC LIMIT 1", key)), None)

    def all_series(self) -> list[Series]:
        """Every series, the newest first."""
        return self._series("ORDER BY id DESC")

    def series_of(self, source: str) -> list[Series]:
        """The series last recorded under a source's name, the newest first."""
        return self._series("WHERE source = ? ORDER BY id DESC", source)

    def _series(self, which: str, *parameters: object) -> list[Series]:
        sql = "SELECT id, key, source, client, kind FROM audience_mcp_series"
        return [Series(*each) for each in self.db.query(f"{sql} {which}", parameters)]

    def state_of(self, series: int, clean: Clean = as_it_is, *, set_aside: bool = False) -> State | None:
        """What is known of a series as of its newest reading, without keys; None if it is gone.

        None also if it cannot be decoded; with `set_aside` it is then put under another key, so that a new
        series can begin and no other is touched.
        """
        found = self.db.query("SELECT key, state FROM audience_mcp_series WHERE id = ?", (series,))
        if not found:
            return None
        try:
            return State.decode(bytes(found[0][1]), clean)
        except StoreError:
            self.db.note("history_damaged")
            if set_aside:
                self.rename_series(Series(series, json.dumps([DAMAGED, str(series)]), DAMAGED))
            return None

    def add_series(self, key: str, source: str, client: str | None, kind: str | None) -> int:
        """Begin a series; its number is higher than any other's."""
        with self.db.transaction("series"):
            (highest,) = self.db.query("SELECT MAX(id) FROM audience_mcp_series")[0]
            series = int(highest or 0) + 1
            self.db.execute(
                "INSERT INTO audience_mcp_series (id, key, source, client, kind, state) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (series, key, source, client, kind, State().encode()),
            )
        return series

    def rename_series(self, series: Series) -> None:
        """Store a series under another key, or with what is now known of its source."""
        number, *named = series
        self.db.execute(
            "UPDATE audience_mcp_series SET key = ?, source = ?, client = ?, kind = ? WHERE id = ?",
            (*named, number),
        )

    def write(self, series: int, state: State) -> None:
        """Keep the state of a series."""
        self.db.execute("UPDATE audience_mcp_series SET state = ? WHERE id = ?", (state.encode(), series))

    def delete_series(self, series: int) -> None:
        """Delete a series with all that belongs to it."""
        for table in ("sizes", "counted", "points", "vendor_sizes", "vendor_asked"):
            self.db.execute(f"DELETE FROM audience_mcp_{table} WHERE series = ?", (series,))  # noqa: S608
        self.db.execute("DELETE FROM audience_mcp_series WHERE id = ?", (series,))

    # Readings

    def points(self, series: int) -> list[int]:
        """The moments of a series' readings, the oldest first."""
        found = self.db.query(
            "SELECT moment FROM audience_mcp_points WHERE series = ? ORDER BY moment", (series,)
        )
        return [int(moment) for (moment,) in found]

    def all_points(self) -> list[tuple[int, int]]:
        """The series and moment of every reading, the oldest first."""
        found = self.db.query("SELECT series, moment FROM audience_mcp_points ORDER BY moment")
        return [(int(series), int(moment)) for series, moment in found]

    def add_point(self, series: int, moment: int) -> None:
        """Add a reading."""
        self.db.execute("INSERT INTO audience_mcp_points (series, moment) VALUES (?, ?)", (series, moment))

    def delete_points(self, series: int, moments: Sequence[int]) -> None:
        """Delete readings, and the intervals in which no reading is left."""
        self.db.execute_many(
            "DELETE FROM audience_mcp_points WHERE series = ? AND moment = ?",
            [(series, each) for each in moments],
        )
        self.db.execute(
            "DELETE FROM audience_mcp_sizes WHERE series = ? AND last >= ? AND first <= ? AND NOT EXISTS ("
            "SELECT 1 FROM audience_mcp_points p WHERE p.series = audience_mcp_sizes.series "
            "AND p.moment BETWEEN audience_mcp_sizes.first AND audience_mcp_sizes.last)",
            (series, min(moments), max(moments)),
        )

    def find_without_point(self, series: int, moments: Sequence[int]) -> list[tuple[int, Interval]]:
        """The intervals whose readings are all among `moments`, with audiences' numbers."""
        gone = set(moments)
        left = [point for point in self.points(series) if point not in gone]
        found = self.db.query(
            "SELECT audience, first, last, size, unit, size_max FROM audience_mcp_sizes "
            "WHERE series = ? AND last >= ? AND first <= ?",
            (series, min(moments), max(moments)),
        )
        rows = [(int(number), Interval(*interval)) for number, *interval in found]
        return [
            (n, each) for n, each in rows if bisect_left(left, each.first) == bisect_right(left, each.last)
        ]

    # Sizes that readings gave

    def find_ended(
        self, series: int, numbers: Iterable[int] | None = None, since: int = 0
    ) -> dict[int, list[Interval]]:
        """The intervals that are over, by the audience's number, the oldest first."""
        sql = (
            "SELECT audience, first, last, size, unit, size_max FROM audience_mcp_sizes "
            "WHERE series = ? AND last >= ?"
        )
        wanted = None if numbers is None else set(numbers)
        only = next(iter(wanted)) if wanted and len(wanted) == 1 else None
        found = (
            self.db.query(f"{sql} ORDER BY last", (series, since))
            if only is None
            else self.db.query(f"{sql} AND audience = ? ORDER BY last", (series, since, only))
        )
        ended: dict[int, list[Interval]] = {}
        for number, *interval in found:
            if wanted is None or number in wanted:
                ended.setdefault(int(number), []).append(Interval(*interval))
        return ended

    def find_covering(self, series: int, moment: int) -> dict[int, Figure]:
        """What the intervals say that are over and cover a moment, by the audience's number."""
        found = self.db.query(
            "SELECT audience, size, unit, size_max FROM audience_mcp_sizes "
            "WHERE series = ? AND last >= ? AND first <= ?",
            (series, moment, moment),
        )
        return {number: Figure(size, unit, size_max) for number, size, unit, size_max in found}

    def end(self, series: int, over: Iterable[tuple[int, Interval]]) -> None:
        """Keep intervals that are over, by the audience's number."""
        self.db.execute_many(
            "INSERT INTO audience_mcp_sizes (series, last, audience, first, size, unit, size_max) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (series, each.last, number, each.first, *each.figure)
                for number, each in sorted(over, key=lambda pair: (pair[1].last, pair[0]))
            ],
        )

    def remove(self, series: int, over: Iterable[tuple[int, Interval]]) -> None:
        """Take intervals away."""
        self.db.execute_many(
            "DELETE FROM audience_mcp_sizes WHERE series = ? AND last = ? AND audience = ?",
            [(series, each.last, number) for number, each in over],
        )

    # Sizes that were counted one by one

    def add_counts(self, series: int, counts: Iterable[tuple[int, Count]]) -> None:
        """Keep counts, by the audience's number. One that is there already stays as it is."""
        self.db.execute_many(
            "INSERT INTO audience_mcp_counted (series, audience, moment, size, size_max) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (series, audience, moment) DO NOTHING",
            [(series, number, *each) for number, each in counts],
        )

    def find_counts(
        self, series: int, since: int, until: int, number: int | None = None
    ) -> dict[int, list[Count]]:
        """The counts of a stretch of time, both ends included, by the audience's number, the oldest first."""
        sql = "SELECT audience, moment, size, size_max FROM audience_mcp_counted WHERE series = ? "
        which = "AND moment >= ? AND moment <= ?"
        found = (
            self.db.query(f"{sql}{which} ORDER BY moment", (series, since, until))
            if number is None
            else self.db.query(
                f"{sql}AND audience = ? {which} ORDER BY moment", (series, number, since, until)
            )
        )
        counts: dict[int, list[Count]] = {}
        for audience, *count in found:
            counts.setdefault(int(audience), []).append(Count(*count))
        return counts

    def thin_counts(self, series: int, since: int, until: int, offset: int, length: int) -> None:
        """Of counts from `since` and before `until`, keep the last known one of each stretch of `length`.

        A later one without a size stays too. Stretches begin at multiples of `length` after `offset`.
        """
        self.db.execute(
            "DELETE FROM audience_mcp_counted WHERE series = ? AND moment >= ? AND moment < ? AND EXISTS ("
            "SELECT 1 FROM audience_mcp_counted l WHERE l.series = audience_mcp_counted.series "
            "AND l.audience = audience_mcp_counted.audience AND l.moment > audience_mcp_counted.moment "
            "AND l.moment < ((audience_mcp_counted.moment - ?) / ? + 1) * ? + ? "
            "AND (l.size IS NOT NULL OR audience_mcp_counted.size IS NULL))",
            (series, since, until, offset, length, length, offset),
        )

    def delete_counts(self, series: int, since: int, until: int) -> None:
        """Delete the counts from `since` and before `until`."""
        self.db.execute(
            "DELETE FROM audience_mcp_counted WHERE series = ? AND moment >= ? AND moment < ?",
            (series, since, until),
        )

    def find_first_known(self, series: int) -> dict[int, int]:
        """The first moment of a known size that is over or was counted, by the audience's number."""
        found = self.db.query(
            "SELECT audience, MIN(moment) FROM (SELECT audience, first AS moment FROM audience_mcp_sizes "
            "WHERE series = ? AND size >= 0 UNION ALL SELECT audience, moment FROM audience_mcp_counted "
            "WHERE series = ? AND size >= 0) known GROUP BY audience",
            (series, series),
        )
        return {int(audience): int(moment) for audience, moment in found}

    # What the vendor itself remembers

    def find_records(self, series: int, ids: Collection[str] | None = None) -> dict[str, VendorRecord]:
        """What is kept of the vendor's own record, by the audience's id; of these audiences, or of all."""
        points: dict[str, list[VendorPoint]] = {}
        asked = self._find_asked(series, ids)
        sql = "SELECT audience, moment, size, of_day FROM audience_mcp_vendor_sizes"
        for id, moment, size, of_day in self._find_of(sql, "moment", series, ids):
            points.setdefault(str(id), []).append(VendorPoint(from_ms(moment), int(size), bool(of_day)))
        there = points.keys() | asked.keys()
        return {
            id: VendorRecord(points.get(id, []), asked.get(id, []))
            for id in (there if ids is None else there.intersection(ids))
        }

    def _find_asked(self, series: int, ids: Collection[str] | None) -> dict[str, list[Span]]:
        """The stretches of time of which a vendor was asked, by the audience's id, the oldest first."""
        asked: dict[str, list[Span]] = {}
        sql = "SELECT audience, first, last FROM audience_mcp_vendor_asked"
        for id, first, last in self._find_of(sql, "last", series, ids):
            asked.setdefault(str(id), []).append(Span(from_ms(first), from_ms(last)))
        return asked

    def _find_of(
        self, sql: str, order: str, series: int, ids: Collection[str] | None
    ) -> list[tuple[Any, ...]]:
        """The rows of a series, in this order: those of one audience if one alone is asked for, else all."""
        if ids is None or len(ids) != 1:
            return self.db.query(f"{sql} WHERE series = ? ORDER BY {order}", (series,))
        return self.db.query(f"{sql} WHERE series = ? AND audience = ? ORDER BY {order}", (series, *ids))

    def add_records(self, series: int, records: Mapping[str, VendorRecord]) -> None:
        """Keep what a vendor remembers, by the audience's id. A point that is there already stays."""
        self.db.execute_many(
            "INSERT INTO audience_mcp_vendor_sizes (series, audience, moment, size, of_day) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (series, audience, moment) DO NOTHING",
            [
                (series, id, to_ms(each.moment), each.size, int(each.of_day))
                for id, record in records.items()
                for each in record.points
            ],
        )
        asked = self._find_asked(series, records)
        merged = {id: merge_spans([*asked.get(id, ()), *record.asked]) for id, record in records.items()}
        self.db.execute_many(
            "DELETE FROM audience_mcp_vendor_asked WHERE series = ? AND audience = ?",
            [(series, id) for id in merged],
        )
        self.db.execute_many(
            "INSERT INTO audience_mcp_vendor_asked (series, audience, first, last) VALUES (?, ?, ?, ?)",
            [(series, id, to_ms(s.since), to_ms(s.until)) for id, spans in merged.items() for s in spans],
        )

    def thin_records(self, series: int, since: int, until: int, offset: int, length: int) -> None:
        """Of a vendor's points from `since` and before `until`, keep the last one of each stretch of time.

        Stretches are as those of `thin_counts`.
        """
        self.db.execute(
            "DELETE FROM audience_mcp_vendor_sizes WHERE series = ? AND moment >= ? AND moment < ? "
            "AND EXISTS (SELECT 1 FROM audience_mcp_vendor_sizes l "
            "WHERE l.series = audience_mcp_vendor_sizes.series "
            "AND l.audience = audience_mcp_vendor_sizes.audience "
            "AND l.moment > audience_mcp_vendor_sizes.moment "
            "AND l.moment < ((audience_mcp_vendor_sizes.moment - ?) / ? + 1) * ? + ?)",
            (series, since, until, offset, length, length, offset),
        )

    def drop_records(self, before: int, series: int | None = None) -> None:
        """Drop what vendors remember of before a moment, and that they were asked; of all series or one."""
        which, given = ("", ()) if series is None else (" AND series = ?", (series,))
        for sql, bounds in (
            ("DELETE FROM audience_mcp_vendor_sizes WHERE moment < ?", (before,)),
            ("DELETE FROM audience_mcp_vendor_asked WHERE last < ?", (before,)),
            ("UPDATE audience_mcp_vendor_asked SET first = ? WHERE first < ?", (before, before)),
        ):
            self.db.execute(f"{sql}{which}", (*bounds, *given))

    # Audiences' numbers

    def numbers_used(self, series: int) -> set[int]:
        """The audiences of which something is stored beside the state."""
        found = self.db.query(
            "SELECT audience FROM audience_mcp_sizes WHERE series = ? "
            "UNION SELECT audience FROM audience_mcp_counted WHERE series = ?",
            (series, series),
        )
        return {int(number) for (number,) in found}

    def renumber(self, series: int, renumbered: Mapping[int, int]) -> None:
        """Give audiences other numbers, as their state has them."""
        ended, counted = self.find_ended(series), self.find_counts(series, 0, 2**62)
        for table in ("sizes", "counted"):
            self.db.execute(f"DELETE FROM audience_mcp_{table} WHERE series = ?", (series,))  # noqa: S608
        self.end(series, [(renumbered[n], each) for n, intervals in ended.items() for each in intervals])
        self.add_counts(series, [(renumbered[n], each) for n, counts in counted.items() for each in counts])

"""What is known over all audiences of some readings: orders, dates, names, totals. Each is made when first
needed.

Of fifty callers who want a hundred thousand audiences sorted, only the first waits for the sorting.
"""

from __future__ import annotations

import heapq
import math
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any, Literal, TypeVar
from weakref import ref

from audience_mcp.catalog.display import Match
from audience_mcp.catalog.search import folded_name, signature
from audience_mcp.catalog.totals import Totals
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import parse_datetime
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

DateField = Literal["created", "updated"]

MOST_KEPT = 4
"""Indexes kept. Questions to all sources share one; those to other sets of sources have their own."""
MOST_PAST = 5
"""The same of readings of the past, and of pasts that are compared with: as many moments as are asked for at
once."""
FEW = 8
"""A part smaller than one in this many audiences is sorted or filtered by itself."""

T = TypeVar("T")

_PENDING = attrgetter("size_pending")

_State = tuple[ref[Pager], int, bool]
"""A reading, its number of rows and whether it has ended."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order of audiences. name: stands for the key, so that what was sorted by it once is found again.

    key: what to sort an audience by, infinite where that is unknown. by_size: whether it depends on sizes.
    past: stands for the past that it depends on, if it does.
    """

    name: Hashable
    key: Callable[[SourceReader, Row], float | str]
    by_size: bool = False
    past: Hashable = None


class Index:
    """All audiences of some readings. They may not change, but for sizes that are counted later."""

    def __init__(self, rows: Mapping[SourceReader, Iterable[Row]]) -> None:
        self.rows: Mapping[SourceReader, Sequence[Row]] = {
            reader: list(each) for reader, each in rows.items()
        }
        self.count = sum(map(len, self.rows.values()))
        self._readers = sorted(self.rows, key=_prefix)
        self._made: dict[Hashable, Any] = {}
        self._made_of_past: OrderedDict[Hashable, dict[Hashable, Any]] = OrderedDict()
        self._settled = False

    def once(self, what: Hashable, make: Callable[[], T], past: Hashable = None) -> T:
        """The result of `make`, which is called for the first question only.

        past: stands for the past that the result depends on too, if it does. Kept for the last few of these.
        """
        kept = self._made
        if past is not None:
            kept = self._made_of_past.setdefault(past, {})
            self._made_of_past.move_to_end(past)
            if len(self._made_of_past) > MOST_PAST:
                self._made_of_past.popitem(last=False)
        if what not in kept:
            kept[what] = make()
        made: T = kept[what]
        return made

    @property
    def settled(self) -> bool:
        """Whether every size that costs a request has been answered, so that no size changes any more."""
        if not self._settled:
            self._settled = not any(map(_PENDING, chain.from_iterable(self.rows.values())))
        return self._settled

    def has(self, sort: Hashable) -> bool:
        """Whether the totals and this order of all audiences are there already."""
        made = [("order", sort), *(("totals", reader) for reader in self.rows)]
        return all(each in self._made for each in made)

    def is_pending(self, rows: Sequence[Row]) -> bool:
        """Whether any of some rows has a size that is not counted yet."""
        return not self.settled and any(map(_PENDING, rows))

    def totals(self, reader: SourceReader, rows: Sequence[Row]) -> Totals:
        """The totals of some or all rows of a source."""
        return self.over(reader, rows, "totals", Totals.over)

    def over(
        self,
        reader: SourceReader,
        rows: Sequence[Row],
        what: Hashable,
        add_up: Callable[[Sequence[Row]], T],
        past: Hashable = None,
    ) -> T:
        """What `add_up` finds over some or all rows of a source. `past`: as of `once`."""
        if len(rows) < len(self.rows[reader]) or not self.settled:
            return add_up(rows)
        return self.once((what, reader), lambda: add_up(rows), past)

    def sort(
        self, matches: Mapping[SourceReader, Sequence[Row]], order: Order, begin: int, end: int
    ) -> list[Match]:
        """Part `begin:end` of some or all audiences in an order: unknown values last, ties by ref."""
        count = sum(map(len, matches.values()))
        end = min(end, count)
        if begin >= end:
            return []
        if count * FEW < self.count or (order.by_size and not self.settled):
            every = [(reader, row) for reader, rows in matches.items() for row in rows]
            return _first(every, end, order)[begin:]
        rows, sources = self._order(order)
        if count == self.count:
            places: Iterable[int] = range(begin, end)
        else:
            wanted = set(map(id, chain.from_iterable(matches.values())))
            found: list[int] = []
            for place, row in enumerate(rows):
                if id(row) in wanted:
                    found.append(place)
                    if len(found) == end:
                        break
            places = found[begin:]
        return [(self._readers[sources[place]], rows[place]) for place in places]

    def named(self, name: str) -> list[Match]:
        """The audiences with this folded name."""
        rows, sources = self._order(ORDERS["name"])
        begin = bisect_left(rows, name, key=folded_name)
        places = range(begin, bisect_right(rows, name, lo=begin, key=folded_name))
        return [(self._readers[sources[place]], rows[place]) for place in places]

    def dated(
        self,
        reader: SourceReader,
        rows: Sequence[Row],
        field: DateField,
        since: datetime | None,
        before: datetime | None,
    ) -> tuple[list[Row], int]:
        """Those of some or all rows of a source that have a date in a time, and how many have no such date.

        since: inclusive. before: exclusive.
        """
        begin = -math.inf if since is None else since.timestamp()
        end = math.inf if before is None else before.timestamp()
        every = self.rows[reader]
        if len(rows) * FEW < len(every):
            dated = [(row, _time(row, field)) for row in rows]
            return [row for row, at in dated if begin <= at < end], sum(math.isnan(at) for _, at in dated)
        times = self.once((field, reader), lambda: array("d", [_time(row, field) for row in every]))
        if len(rows) == len(every):
            found = [row for row, at in zip(every, times, strict=True) if begin <= at < end]
            return found, sum(map(math.isnan, times))
        wanted = set(map(id, rows))
        pairs = [(row, at) for row, at in zip(every, times, strict=True) if id(row) in wanted]
        return [row for row, at in pairs if begin <= at < end], sum(math.isnan(at) for _, at in pairs)

    def names(self) -> frozenset[str]:
        """The folded names of all audiences."""
        every = chain.from_iterable(self.rows.values())
        return self.once("names", lambda: frozenset(map(folded_name, every)))

    def signatures(self, reader: SourceReader) -> Sequence[int]:
        """The signature of the name of each row of a source."""
        rows = self.rows[reader]
        return self.once(
            ("signatures", reader), lambda: array("Q", [signature(folded_name(row)) for row in rows])
        )

    def _order(self, order: Order) -> tuple[Sequence[Row], Sequence[int]]:
        """All rows in an order, and the place of each one's source among the readers."""
        return self.once(("order", order.name), lambda: self._make_order(order), order.past)

    def _make_order(self, order: Order) -> tuple[Sequence[Row], Sequence[int]]:
        # By ref first: sorting keeps the order of what is equal.
        rows: list[Row] = []
        sources = array("H")
        for number, reader in enumerate(self._readers):
            rows += sorted(self.rows[reader], key=attrgetter("id"))
            sources.extend([number] * len(self.rows[reader]))
        keys = [order.key(self._readers[source], row) for source, row in zip(sources, rows, strict=True)]
        places = sorted(range(len(rows)), key=keys.__getitem__)
        return [rows[place] for place in places], array("H", [sources[place] for place in places])


class Indexes:
    """The indexes of the readings asked last. One is dropped once any of its readings is replaced.

    of_past: whether the readings are of the past, so that none replaces another.
    """

    def __init__(self, *, of_past: bool = False) -> None:
        self._of_past = of_past
        self._kept: OrderedDict[tuple[tuple[SourceReader, _State], ...], Index] = OrderedDict()

    def covering(self, snapshots: Mapping[SourceReader, Snapshot]) -> Index:
        """An index of at least what was read so far, made only if there is none."""
        now = {reader: _state(snapshot) for reader, snapshot in snapshots.items()}
        kept = (index for key, index in self._kept.items() if now.items() <= dict(key).items())
        return next(kept, None) or self.of(snapshots)

    def of(self, snapshots: Mapping[SourceReader, Snapshot]) -> Index:
        """The index of what was read so far."""
        now = {reader: _state(snapshot) for reader, snapshot in snapshots.items()}
        if not self._of_past:
            for key in [key for key in self._kept if any(now.get(r, state) != state for r, state in key)]:
                del self._kept[key]
        key = tuple(now.items())
        if key not in self._kept:
            self._kept[key] = Index({reader: each.pager.rows.values() for reader, each in snapshots.items()})
            if len(self._kept) > (MOST_PAST if self._of_past else MOST_KEPT):
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _state(snapshot: Snapshot) -> _State:
    return ref(snapshot.pager), len(snapshot.pager.rows), snapshot.pager.done


def _first(matches: Sequence[Match], most: int, order: Order) -> list[Match]:
    """The first `most` in an order, ties by ref."""

    def by(match: Match) -> tuple[float | str, str, str]:
        return order.key(*match), _prefix(match[0]), match[1].id

    if most * 20 < len(matches):
        return heapq.nsmallest(most, matches, key=by)
    return sorted(matches, key=by)[:most]


def _prefix(reader: SourceReader) -> str:
    """What the source's refs begin with."""
    return f"{reader.name}:"


def _time(row: Row, field: DateField) -> float:
    """Unix seconds, or not a number if there is no date."""
    when = parse_datetime(row.created if field == "created" else row.updated)
    return math.nan if when is None else when.timestamp()


def _by_time(value: object, direction: int) -> float:
    when = parse_datetime(value)
    return math.inf if when is None else direction * when.timestamp()


def _by_size(sign: int) -> Callable[[SourceReader, Row], float]:
    return lambda reader, row: math.inf if row.size is None else sign * row.size


ORDERS: Mapping[Hashable, Order] = {
    order.name: order
    for order in (
        Order("size", _by_size(-1), by_size=True),
        Order("size_asc", _by_size(1), by_size=True),
        Order("name", lambda reader, row: folded_name(row)),
        Order("newest", lambda reader, row: _by_time(row.created, -1)),
        Order("oldest", lambda reader, row: _by_time(row.created, 1)),
        Order("updated", lambda reader, row: _by_time(row.updated, -1)),
        Order("updated_asc", lambda reader, row: _by_time(row.updated, 1)),
    )
}

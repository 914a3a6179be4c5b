"""One account's sizes over time, as they are held while something is recorded or asked.

Sizes are kept as intervals: from the first reading that gave a size to the last one in a row that gave the
same. Those that still hold are in the state of the series, a column each; those that are over are rows of a
table. Between two readings nothing is claimed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from audience_mcp.core.audience import Row
from audience_mcp.store.encoding import from_bytes, to_bytes
from audience_mcp.store.values import StoreError

MAX_NAME = 1_000
"""Characters of a name that are stored."""
OPEN = 2**62
"""The end of an interval that still holds."""


class Interval(NamedTuple):
    """A size, and the first and last reading in a row that gave it; None where it was not known."""

    first: int
    last: int
    size: int | None


@dataclass(slots=True)
class State:
    """What was there at the newest reading. An audience's number is its place in these columns, for good.

    firsts: since when it has had its size; None for one that is gone. changed: whether it must be written.
    """

    ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    kinds: list[str | None] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    firsts: list[int | None] = field(default_factory=list)
    changed: bool = False

    def encode(self) -> bytes:
        """The state as bytes."""
        return zlib.compress(to_bytes([self.ids, self.names, self.kinds, self.sizes, self.firsts]), 1)

    @classmethod
    def decode(cls, data: bytes) -> State:
        """What `encode` made. Raises StoreError."""
        try:
            columns = from_bytes(zlib.decompress(data))
            state = cls(*columns)
            lengths = {len(column) for column in columns}
        except (zlib.error, TypeError) as e:
            raise StoreError("damaged", "a stored series is not as it was written") from e
        if len(lengths) > 1:
            raise StoreError("damaged", "a stored series has columns of different lengths")
        return state

    def numbers(self) -> dict[str, int]:
        """Each audience's number, by id."""
        return {id: number for number, id in enumerate(self.ids)}

    def add(self, id: str, name: str, kind: str | None) -> int:
        """A number for an audience that was never there before."""
        self.ids.append(id)
        self.names.append(name)
        self.kinds.append(kind)
        self.sizes.append(None)
        self.firsts.append(None)
        return len(self.ids) - 1

    def without(self, unused: Iterable[int]) -> tuple[State, dict[int, int]]:
        """The state without these audiences, and the new numbers of the others, by the old ones."""
        gone = set(unused)
        kept = [number for number in range(len(self.ids)) if number not in gone]
        columns = (self.ids, self.names, self.kinds, self.sizes, self.firsts)
        state = State(*([column[n] for n in kept] for column in columns))  # type: ignore[arg-type]
        state.changed = True
        return state, {old: new for new, old in enumerate(kept)}


def cut_names(rows: Sequence[Row]) -> list[str]:
    """The rows' names as the vendor gave them, not longer than anyone would look at; shown only cleaned."""
    return [row.name[:MAX_NAME] or row.id for row in rows]


def advance(
    state: State, rows: Sequence[Row], previous: int | None, moment: int
) -> list[tuple[int, Interval]]:
    """Take the newest reading into the state; the intervals that are over by it, with audiences' numbers."""
    sizes = [None if row.size_pending else row.size for row in rows]
    names, kinds = cut_names(rows), [row.kind for row in rows]
    ids = [row.id for row in rows]
    if not state.ids:
        state.ids, state.names, state.kinds, state.sizes = ids, names, kinds, sizes
        state.firsts, state.changed = [moment] * len(ids), True
        return []
    numbers: Sequence[int] = range(len(ids))
    gone: Iterable[int] = ()
    if ids != state.ids:
        known = state.numbers()
        numbers = [
            known[id] if id in known else state.add(id, name, kind)
            for id, name, kind in zip(ids, names, kinds, strict=True)
        ]
        there = set(numbers)
        gone = [n for n, first in enumerate(state.firsts) if first is not None and n not in there]
    _rename(state, numbers, names, kinds)
    over: list[tuple[int, Interval]] = []
    for number, size in zip(numbers, sizes, strict=True):
        if size != state.sizes[number] or state.firsts[number] is None:
            over += _end(state, number, previous)
            state.sizes[number], state.firsts[number], state.changed = size, moment, True
    for number in gone:
        over += _end(state, number, previous)
        state.firsts[number], state.changed = None, True
    return over


def _rename(state: State, numbers: Sequence[int], names: Sequence[str], kinds: Sequence[str | None]) -> None:
    for number, name, kind in zip(numbers, names, kinds, strict=True):
        if name != state.names[number] or kind != state.kinds[number]:
            state.names[number], state.kinds[number], state.changed = name, kind, True


def _end(state: State, number: int, previous: int | None) -> list[tuple[int, Interval]]:
    first = state.firsts[number]
    if first is None or previous is None:
        return []
    return [(number, Interval(first, previous, state.sizes[number]))]


def put(
    intervals: Iterable[Interval],
    before: int | None,
    moment: int,
    after: int | None,
    size: int | None,
    *,
    there: bool = True,
) -> list[Interval]:
    """An audience's intervals once a reading at `moment` says its size, between the readings beside it.

    before, after: the moments of those readings, if any. there: whether the audience was there at all.
    """
    kept: list[Interval] = []
    for each in intervals:
        if not each.first <= moment <= each.last:
            kept.append(each)
            continue
        if there and each.size == size:
            return list(intervals)
        if before is not None and each.first <= before:
            kept.append(each._replace(last=before))
        if after is not None and each.last >= after:
            kept.append(each._replace(first=after))
    if there:
        new = Interval(moment, OPEN if after is None else moment, size)
        for each in list(kept):
            covers_before = before is not None and each.first <= before <= each.last
            covers_after = after is not None and each.first <= after <= each.last
            if each.size == size and (covers_before or covers_after):
                kept.remove(each)
                new = Interval(min(each.first, new.first), max(each.last, new.last), size)
        kept.append(new)
    return sorted(kept)


def is_another_account(state: State, rows: Sequence[Row]) -> bool:
    """Whether fewer than one in five of the audiences has the id and the name of before."""
    there = {
        (id, name)
        for id, name, first in zip(state.ids, state.names, state.firsts, strict=True)
        if first is not None
    }
    if not there or not rows:
        return False
    same = sum((row.id, name) in there for row, name in zip(rows, cut_names(rows), strict=True))
    return same * 5 < len(rows)


def sizes_at(state: State, over: Mapping[int, int | None], moment: int) -> Iterable[tuple[int, int | None]]:
    """The audiences that were there at a moment, by number, with their sizes. over: from ended intervals."""
    for number, first in enumerate(state.firsts):
        if first is not None and first <= moment:
            yield number, state.sizes[number]
        elif number in over:
            yield number, over[number]

"""One account's sizes over time, as they are held while something is recorded or asked.

Sizes are kept as intervals: from the first reading that gave a size to the last one in a row that gave the
same. Those that still hold are in the state of the series, a column each; those that are over are rows of a
table. Between two readings nothing is claimed.

A size that costs a request of its own is not part of a reading: the reading says only that the audience was
there (`NOT_COUNTED`), and the size has a moment of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from audience_mcp.core.audience import Row
from audience_mcp.core.text import clean as clean_text
from audience_mcp.store.encoding import Clean, as_it_is, from_bytes, to_bytes
from audience_mcp.store.stored import Owner, StoreError

OPEN = 2**62
"""The end of an interval that still holds."""
NOT_COUNTED = -1
"""In place of a size: the audience was there, and its size is counted by itself, if at all."""
OPEN_ENDED = -1
"""In place of an upper end: the vendor gave a range that has none."""
SAME_SHARE = 5
"""Under a new key, one in so many audiences must be known from before for the account to be the same."""


class Interval(NamedTuple):
    """A size, and the first and last reading in a row that gave it.

    size: None if it was unknown, NOT_COUNTED if it was not part of the reading. unit: what one unit of it is,
    if that may differ from reading to reading. size_max: the upper end of a range, of which `size` is the
    lower one, or OPEN_ENDED.
    """

    first: int
    last: int
    size: int | None
    unit: str | None = None
    size_max: int | None = None

    @property
    def known(self) -> bool:
        """Whether it says a size."""
        return is_known(self.size)

    @property
    def figure(self) -> Figure:
        """What it says."""
        return Figure(self.size, self.unit, self.size_max)


class Figure(NamedTuple):
    """What a reading says of an audience's size, as in an Interval."""

    size: int | None
    unit: str | None = None
    size_max: int | None = None


@dataclass(slots=True)
class State:
    """What was there at the newest reading. An audience's number is its place in these columns, for good.

    parents: the id of the audience that it lies within. firsts: since when it has had its size; None for one
    that is gone. changed: whether it must be written.
    """

    ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    kinds: list[str | None] = field(default_factory=list)
    parents: list[str | None] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    maxima: list[int | None] = field(default_factory=list)
    units: list[str | None] = field(default_factory=list)
    firsts: list[int | None] = field(default_factory=list)
    changed: bool = False

    def encode(self) -> bytes:
        """The state as JSON that the view `sizes` reads: an array for each audience."""
        return to_bytes(list(zip(*(getattr(self, name) for name in COLUMNS), strict=True)))

    @classmethod
    def of(cls, rows: Sequence[Row], moment: int) -> State:
        """What a reading says of its audiences, each of which has its place in it as its number."""
        sizes, units, maxima = _figures_of(rows)
        return cls(
            [row.id for row in rows],
            names_of(rows),
            [row.kind for row in rows],
            [row.part_of for row in rows],
            sizes,
            maxima,
            units,
            [moment] * len(rows),
        )

    @classmethod
    def decode(cls, data: bytes, clean: Clean = as_it_is) -> State:
        """What `encode` made; `clean` takes keys out of it. Raises StoreError."""
        try:
            rows = clean(data, from_bytes(data))
            if not {len(COLUMNS)}.issuperset(map(len, rows)):
                raise ValueError("an audience has more or fewer facts")
            columns: Any = map(list, zip(*rows, strict=True))
            return cls(*columns)  # none, where there are no audiences
        except (TypeError, ValueError, KeyError) as e:
            raise StoreError("damaged", "a stored series is not as it was written") from e

    def numbers(self) -> dict[str, int]:
        """Each audience's number, by id."""
        return {id: number for number, id in enumerate(self.ids)}

    def add(self, row: Row, name: str) -> int:
        """A number for an audience that was never there before."""
        said = (row.id, name, row.kind, row.part_of, None, None, None, None)
        for column, value in zip(COLUMNS, said, strict=True):
            getattr(self, column).append(value)
        return len(self.ids) - 1

    def extend(self, others: State) -> None:
        """Take in audiences that were never there before."""
        self.changed = self.changed or bool(others.ids)
        for name in COLUMNS:
            getattr(self, name).extend(getattr(others, name))

    def part(self, numbers: Sequence[int]) -> State:
        """The state of these audiences alone, which have other numbers there."""
        columns: Any = ([column[n] for n in numbers] for column in (getattr(self, name) for name in COLUMNS))
        return State(*columns)

    def figure(self, number: int) -> Figure:
        """What the newest reading in which an audience was says of its size."""
        return Figure(self.sizes[number], self.units[number], self.maxima[number])

    def held(self, number: int) -> list[Interval]:
        """The interval of an audience that still holds, if one does."""
        first = self.firsts[number]
        return [] if first is None else [Interval(first, OPEN, *self.figure(number))]

    def hold(self, number: int, interval: Interval | None) -> None:
        """Say what holds for an audience from now on; None if it is gone."""
        self.changed = True
        self.firsts[number] = interval.first if interval else None
        if interval:
            self.sizes[number], self.units[number], self.maxima[number] = interval.figure

    def without(self, unused: Iterable[int]) -> tuple[State, dict[int, int]]:
        """The state without these audiences, and the new numbers of the others, by the old ones."""
        gone = set(unused)
        kept = [number for number in range(len(self.ids)) if number not in gone]
        return replace(self.part(kept), changed=True), {old: new for new, old in enumerate(kept)}


COLUMNS = tuple(each.name for each in fields(State) if each.name != "changed")
"""The columns of a state, in the order in which they are stored of each audience."""


def names_of(rows: Iterable[Row]) -> list[str]:
    """The rows' names as they are shown, since other programs read them from the view `sizes`."""
    return [clean_text(row.name) or row.id for row in rows]


def figure_of(row: Row) -> Figure:
    """What a reading says of a row's size; NOT_COUNTED if it is counted by itself."""
    (size,), (unit,), (size_max,) = _figures_of([row])
    return Figure(size, unit, size_max)


def _figures_of(rows: Iterable[Row]) -> tuple[list[int | None], list[str | None], list[int | None]]:
    """What a reading says of rows' sizes, as `figure_of`: the sizes, their units and upper ends."""
    sizes: list[int | None] = []
    units: list[str | None] = []
    maxima: list[int | None] = []
    for row in rows:
        size, unit, size_max = row.size, None, None
        if row.size_pending or row.counted_at is not None:
            size = NOT_COUNTED
        elif size is not None:
            unit, size_max = row.unit, OPEN_ENDED if row.open_ended else row.size_max
        sizes.append(size)
        units.append(unit)
        maxima.append(size_max)
    return sizes, units, maxima


def advance(
    state: State, rows: Sequence[Row], previous: int | None, moment: int
) -> list[tuple[int, Interval]]:
    """Take the newest reading into the state; the intervals that are over by it, with audiences' numbers."""
    told, new = State.of(rows, moment), State()
    numbers: Sequence[int] = range(len(told.ids))
    if told.ids != state.ids:
        known = state.numbers()
        new = told.part([place for place, id in enumerate(told.ids) if id not in known])
        told = told.part([place for place, id in enumerate(told.ids) if id in known])
        numbers = [known[id] for id in told.ids]
    there = set(numbers)
    gone = [n for n, first in enumerate(state.firsts) if first is not None and n not in there]
    for number, name, kind, parent in zip(numbers, told.names, told.kinds, told.parents, strict=True):
        same = name == state.names[number] and kind == state.kinds[number] and parent == state.parents[number]
        if not same:
            state.names[number], state.kinds[number], state.parents[number] = name, kind, parent
            state.changed = True
    over: list[tuple[int, Interval]] = []
    for number, size, unit, size_max in zip(numbers, told.sizes, told.units, told.maxima, strict=True):
        same = (
            size == state.sizes[number] and unit == state.units[number] and size_max == state.maxima[number]
        )
        if not same or state.firsts[number] is None:
            over += _end(state, number, previous)
            state.hold(number, Interval(moment, OPEN, size, unit, size_max))
    for number in gone:
        over += _end(state, number, previous)
        state.hold(number, None)
    state.extend(new)
    return over


def _end(state: State, number: int, previous: int | None) -> list[tuple[int, Interval]]:
    held = state.held(number)
    return [(number, each._replace(last=previous)) for each in held] if previous is not None else []


def put(
    intervals: Iterable[Interval],
    before: int | None,
    moment: int,
    after: int | None,
    said: Figure | None,
) -> list[Interval]:
    """An audience's intervals once a reading at `moment` says its size, between the readings beside it.

    before, after: the moments of those readings, if any. said: None if it was not there.
    """
    kept: list[Interval] = []
    for each in intervals:
        if not each.first <= moment <= each.last:
            kept.append(each)
            continue
        if each.figure == said:
            return list(intervals)
        if before is not None and each.first <= before:
            kept.append(each._replace(last=before))
        if after is not None and each.last >= after:
            kept.append(each._replace(first=after))
    if said is not None:
        new = Interval(moment, OPEN if after is None else moment, *said)
        for each in list(kept):
            covers_before = before is not None and each.first <= before <= each.last
            covers_after = after is not None and each.first <= after <= each.last
            if each.figure == said and (covers_before or covers_after):
                kept.remove(each)
                new = new._replace(first=min(each.first, new.first), last=max(each.last, new.last))
        kept.append(new)
    return sorted(kept, key=lambda each: each.first)


def is_same_account(state: State, rows: Collection[Row], owner: Owner) -> bool:
    """Whether a series that was recorded with another key is of the same account, by its audiences.

    At least one in five of the smaller of both must have a name of before, or its id if ids are unique over
    all of the vendor's accounts. Audiences that the vendor makes for every account do not count. Where
    nothing is left to go by, the account is another one.
    """
    before = {
        id: name
        for id, name, first in zip(state.ids, state.names, state.firsts, strict=True)
        if first is not None and name not in owner.made_for_all
    }
    now = {
        row.id: name for row, name in zip(rows, names_of(rows), strict=True) if name not in owner.made_for_all
    }
    fewer, more = sorted((before, now), key=len)
    names = set(more.values())
    same = sum(name in names or (owner.unique_ids and id in more) for id, name in fewer.items())
    return bool(fewer) and same * SAME_SHARE >= len(fewer)


def sizes_at(state: State, over: Mapping[int, Figure], moment: int) -> Iterable[tuple[int, Figure]]:
    """The audiences that were there at a moment, by number, with what was said of their sizes.

    over: what the ended intervals say that cover the moment.
    """
    held = zip(state.firsts, state.sizes, state.units, state.maxima, strict=True)
    for number, (first, size, unit, size_max) in enumerate(held):
        if first is not None and first <= moment:
            yield number, Figure(size, unit, size_max)
        elif number in over:
            yield number, over[number]


def upper_end(size_max: int | None) -> int | None:
    """The upper end of a range; None if it has none, or what is stored is not a range."""
    return None if size_max == OPEN_ENDED else size_max


def is_known(size: int | None) -> bool:
    """Whether it is a size, and not a mark for one that is unknown or counted by itself."""
    return size is not None and size != NOT_COUNTED

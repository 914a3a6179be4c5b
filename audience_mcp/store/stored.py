"""What goes into the store and comes out of it, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Literal, NamedTuple

from audience_mcp.core.audience import Row
from audience_mcp.core.points import Span as Stretch
from audience_mcp.core.points import VendorPoint

Fault = Literal[
    "damaged", "full", "locked", "missing", "network", "newer", "read_only", "slow", "unreachable", "fault"
]
"""Why a store cannot be used."""

Now = Callable[[], float]
"""The wall clock, in seconds since 1970."""

SAME_S = 0.001
"""Readings that started within this many seconds of each other are the same one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class StoreError(Exception):
    """The store could not do what was asked.

    fault: why; the text is for the log. again: whether a new connection may be able to do it.
    """

    def __init__(self, fault: Fault, text: str, *, again: bool = False) -> None:
        super().__init__(text)
        self.fault: Fault = fault
        self.again = again


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose history it is: an account, by the ids that name it, as (role, value, whether it is a secret).

    source: the name under which the account is configured. by_key: whether the ids are only the account's
    keys, which may be replaced: a new key takes over the history recorded under the source's name, if its
    audiences say that it is the same account. client: whom the source's suffix names, if anyone. kind: what
    an audience is called where the vendor has one kind. unique_ids: whether an id is no other audience's at
    any account of the vendor. made_for_all: names of audiences that the vendor makes for every account.
    """

    vendor: str
    base_url: str
    source: str
    ids: tuple[tuple[str, str, bool], ...] = field(default=(), repr=False)
    by_key: bool = False
    client: str | None = None
    kind: str | None = None
    unique_ids: bool = False
    made_for_all: frozenset[str] = frozenset()


@dataclass(slots=True)
class StoredReading:
    """A complete reading of a source.

    rows: in the vendor's order. as_of: when its first page came. started_ago_s, first_page_ago_s,
    ended_ago_s: how long ago it began, got its first page and ended, in seconds. pages, total, invalid,
    duplicates, notes: as its pager had them.
    """

    rows: Sequence[Row]
    as_of: datetime
    started_ago_s: float
    first_page_ago_s: float
    ended_ago_s: float
    pages: int = 1
    total: int | None = None
    invalid: int = 0
    duplicates: int = 0
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a request may be sent. wait_s: 0 if it may, and has been counted; else seconds
    after which to ask again.

    paused_s: seconds for which the vendor wants no request of any kind.
    """

    wait_s: float
    paused_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StoredCount:
    """The size of one audience that was requested separately.

    ago_s: how long ago, in seconds. sized_on: the day that the size itself is of, where the vendor says so.
    """

    size: int | None
    size_max: int | None
    note: str | None
    at: datetime
    ago_s: float = 0.0
    sized_on: str | None = None


@dataclass(slots=True)
class Past:
    """One audience as it was.

    size: None if it was unknown. unit: what one unit of it was, if that may differ from reading to reading.
    counts: for a size that was counted by itself, the last counts at or before the moment asked for, the
    newest first; `size` is then None. size_max: the upper end of a range, of which `size` is the lower one.
    open_ended: whether it was a range without an upper end. part_of: the id of the audience that it lies
    within.
    """

    name: str
    kind: str | None
    size: int | None
    unit: str | None = None
    counts: Sequence[Moment] = ()
    size_max: int | None = None
    open_ended: bool = False
    part_of: str | None = None

    @property
    def last_size(self) -> int | None:
        """The last size that was known."""
        return self.counts[0].size if self.counts else self.size

    def size_for(self, row: Row) -> int | None:
        """The size to compare with that of `row`."""
        if not self.counts:
            return self.size
        count = self.count_for(row)
        return count.size if count is not None else None

    def count_for(self, row: Row) -> Moment | None:
        """The count to compare with that of `row`: the last may be the very one that `row` has."""
        now = None if row.counted_at is None else to_ms(row.counted_at)
        return next((each for each in self.counts if now is None or to_ms(each.as_of) < now), None)

    def is_other_unit(self, row: Row) -> bool:
        """Whether what was counted then is not what is counted now."""
        return not self.counts and self.unit != row.unit

    def is_other_kind(self, row: Row) -> bool:
        """Whether only one of both figures is a number, or only one of both ranges has an upper end.

        Their lower ends say nothing of a change: an exact 4,900 after "1,000 to 5,000" is no growth.
        """
        then, was_open = self.size_max, self.open_ended
        if self.counts:
            count = self.count_for(row)
            then, was_open = (None if count is None else count.size_max), False
        return (then is None, was_open) != (row.size_max is None, row.open_ended)


_serials = count(1)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A source's audiences, by id, as of a complete reading of the past.

    serial: another number for each one that is loaded.
    """

    as_of: datetime
    audiences: Mapping[str, Past]
    serial: int = field(default_factory=lambda: next(_serials), compare=False)


@dataclass(frozen=True, slots=True)
class NoBaseline:
    """That nothing is stored to compare with.

    first: the first reading that is stored, if any. another: whether the history stored under the source's
    name is of another account.
    """

    first: datetime | None = None
    another: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A size that has not changed, and the first reading that gave it."""

    size: int
    since: datetime


@dataclass(frozen=True, slots=True)
class RecordedReading:
    """What the history has of one reading: how many audiences, and of how many of them the size."""

    audiences: int
    known_sizes: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A size, and a moment at which it was that.

    size_max: the upper end of a range. vendors: the point that the vendor itself remembers, where it is one.
    unit: what one unit of it was, if that may differ. open_ended: whether it was a range with no upper end.
    """

    as_of: datetime
    size: int
    size_max: int | None = None
    vendors: VendorPoint | None = None
    unit: str | None = None
    open_ended: bool = False

    def counts_like(self, other: Moment) -> bool:
        """Whether both are figures of one unit and kind, so that their difference is a change."""
        return (self.unit, self.size_max is None, self.open_ended) == (
            other.unit,
            other.size_max is None,
            other.open_ended,
        )


@dataclass(frozen=True, slots=True)
class Timeline:
    """One audience's sizes over time: each moment at which another size was seen, and the last one."""

    id: str
    name: str
    kind: str | None
    moments: Sequence[Moment]


class Total(NamedTuple):
    """A sum over audiences at a moment.

    matched: how many there were; unknown: those of unknown size. size: the sum of the others, of ranges with
    the lower ends. ranges: how many in it are ranges; above: by how much their upper ends are above the lower
    ones. open_ended: ranges in it that have no upper end. whose: the same of two sums if the same audiences
    are in them, by figures of the same units and kinds.
    """

    matched: int = 0
    unknown: int = 0
    size: int = 0
    ranges: int = 0
    above: int = 0
    open_ended: int = 0
    whose: int = 0


@dataclass(frozen=True, slots=True)
class SeriesTotals:
    """A series' sums over time: the moments of its readings, and the sums at each of them by group.

    The group is a kind of audience; the empty text where they were not asked for by kind.
    """

    moments: Sequence[datetime]
    groups: Mapping[str, Sequence[Total]]


@dataclass(frozen=True, slots=True)
class LastSeen:
    """One audience as it was last stored.

    at: the last reading that it was in. last_size: its last known size, if any was. line: its sizes over
    time, as far as they were asked for.
    """

    id: str
    name: str
    kind: str | None
    part_of: str | None
    at: datetime
    last_size: Moment | None
    line: Sequence[Moment]


@dataclass(frozen=True, slots=True)
class VendorRecord:
    """What a vendor remembers of one audience, as far as it was asked.

    points: the oldest first. asked: the stretches of time of which it was asked; what has no point there is
    not remembered.
    """

    points: Sequence[VendorPoint] = ()
    asked: Sequence[Stretch] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """How much history an account has: its first and its last reading, and how many are kept."""

    first: datetime
    last: datetime
    readings: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a store, for people.

    place: the folder, or the database without its password. bytes: of each part, where known. histories:
    how much history there is of each series. readings: when the kept readings were made, by source's name.
    """

    place: str
    bytes: Mapping[str, int]
    histories: Sequence[StoredSeries] = ()
    readings: Sequence[tuple[str, datetime]] = ()


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """A series as people see it: its key, and the vendor, source and client that it was last recorded for."""

    key: str
    vendor: str
    source: str
    client: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was deleted: readings, and audiences with a history."""

    readings: int = 0
    audiences: int = 0


def to_ms(when: datetime) -> int:
    """A moment as it is stored: milliseconds since 1970."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def from_ms(moment: int) -> datetime:
    """A stored moment."""
    return _EPOCH + timedelta(milliseconds=moment)

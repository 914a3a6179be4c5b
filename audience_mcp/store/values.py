"""What goes into the store and comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Literal

from audience_mcp.core.audience import Row

Trouble = Literal[
    "damaged", "full", "locked", "missing", "network", "newer", "read_only", "slow", "unreachable", "fault"
]
"""Why a store cannot be used."""

Now = Callable[[], float]
"""The wall clock, in seconds since 1970."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class StoreError(Exception):
    """The store could not do what it was asked to. trouble: why; the text is for the log."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.trouble: Trouble = trouble


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
    """Whether a request may be sent. wait_s: 0 if it may, and has been counted; else ask again after so long.

    paused_s: how long the vendor wants to be left alone, of whatever kind the request is.
    """

    wait_s: float
    paused_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StoredCount:
    """The size of one audience that was asked for by itself. ago_s: how long ago, in seconds."""

    size: int | None
    size_max: int | None
    note: str | None
    at: datetime
    ago_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Past:
    """One audience as it was. size: None where it was not known."""

    name: str
    kind: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """A source's audiences, by id, as of a complete reading of the past."""

    as_of: datetime
    audiences: Mapping[str, Past]


@dataclass(frozen=True, slots=True)
class Moment:
    """A size, and a moment at which it was that."""

    as_of: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """One audience's sizes over time: each moment at which another size was seen, and the last one."""

    id: str
    name: str
    moments: Sequence[Moment]


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
    how much history there is, by account. readings: when the kept readings were made, by vendor.
    """

    place: str
    bytes: Mapping[str, int]
    histories: Mapping[str, Span] = field(default_factory=dict)
    readings: Sequence[tuple[str, datetime]] = ()


def to_ms(when: datetime) -> int:
    """A moment as it is stored: milliseconds since 1970."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def from_ms(moment: int) -> datetime:
    """A stored moment."""
    return _EPOCH + timedelta(milliseconds=moment)

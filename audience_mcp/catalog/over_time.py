"""Totals over time: how big all audiences of a source, a kind or a client were together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from audience_mcp.catalog.compare import format_moment
from audience_mcp.catalog.totals import Totals, add_up
from audience_mcp.core.points import DAY, start_of_day
from audience_mcp.sources.source_history import StoredHistory
from audience_mcp.store.over_time import last_of_days
from audience_mcp.store.stored import SeriesTotals, Total, to_ms

By = Literal["source", "kind", "client"]
MESSAGES = {
    "since": "A total has a source from its first stored reading on: {of}.",
    "open": "Some of these totals count ranges without an upper end by their lower one, and are that many or "
    "more: {of}.",
    "until": "Not read on the last day shown, so that the last sizes before it are in the total: {of}.",
}
ALL = "all together"
"""What a note calls the one group that has no key."""
NO_CLIENT = "-"
"""The group of sources that are no client's."""


class TotalPoint(BaseModel):
    """A total, and the moment of the newest reading in it."""

    model_config = ConfigDict(extra="forbid")

    as_of: str
    sum_of_sizes: int = Field(ge=0)
    sum_max: int | None = Field(default=None, ge=0, description="with the upper ends of ranges")
    unknown_sizes: int = Field(ge=0, description="audiences of unknown size, which are in no sum")


class GroupHistory(BaseModel):
    """The totals of one group, at each moment at which one of its sources was read."""

    model_config = ConfigDict(extra="forbid")

    key: str
    label: str | None = Field(default=None, description="of a client: its name")
    history: list[TotalPoint]
    has_change: bool = Field(
        default=True,
        exclude=True,
        description="whether the first and the last total are over the same audiences, counted alike",
    )


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A source of which something may be stored: one that is configured, or of a vendor of which none is.

    history: None if nothing can be. label: the client's name for people. own_id: the vendor's own id in an id
    of a ref.
    """

    source: str
    vendor: str
    client: str | None
    label: str | None
    history: StoredHistory | None
    own_id: Callable[[str], str] = str


@dataclass(slots=True)
class _Line:
    """One source's part of a group. until: the last moment at which it counts, if it ends.

    place: of the reading that was looked at last.
    """

    source: str
    moments: Sequence[datetime]
    totals: Sequence[Total]
    until: datetime | None = None
    place: int = -1

    def at(self, moment: datetime) -> tuple[Totals, int]:
        """The last totals at a moment, and whose they are; none before the first.

        The moment is not before the one asked for last.
        """
        while self.place + 1 < len(self.moments) and self.moments[self.place + 1] <= moment:
            self.place += 1
        if self.place < 0 or (self.until is not None and moment > self.until):
            return Totals(), 0
        total = self.totals[self.place]
        totals = Totals(
            matched=total.matched,
            sum_of_sizes=total.size,
            sum_max=total.size + total.above if total.ranges and not total.open_ended else None,
            unknown=total.unknown,
            open_ended=total.open_ended,
        )
        return totals, total.whose


@dataclass(slots=True)
class Groups:
    """Totals of sources, gathered by group. by: None for one group of all, whose key is empty."""

    by: By | None
    _lines: dict[str, list[_Line]] = field(default_factory=dict)
    _labels: dict[str, str | None] = field(default_factory=dict)

    def add(self, of: StoredSource, totals: SeriesTotals) -> None:
        """Take in what is stored of a source."""
        for kind, sums in totals.groups.items():
            key = {"source": of.source, "kind": kind, "client": of.client or NO_CLIENT, None: ""}[self.by]
            self._lines.setdefault(key, []).append(_Line(of.source, totals.moments, sums))
            self._labels[key] = of.label if self.by == "client" else None

    def over_time(self, since: datetime, *, daily: bool) -> tuple[list[GroupHistory], list[str]]:
        """The groups, the biggest last total first, and notes: which sources begin later or end earlier, and
        which have ranges without an upper end.

        daily: only the last total of each day that has a reading.
        """
        groups = []
        later: dict[str, None] = {}
        ended: dict[str, None] = {}
        opened: dict[str, None] = {}
        for key, lines in self._lines.items():
            _end_replaced(lines)
            first, last = min(line.moments[0] for line in lines), max(line.moments[-1] for line in lines)
            # A total begins when all have been read that were on its first day, or before `since`.
            together = max(since, start_of_day(first) + DAY)
            begins = max(line.moments[0] for line in lines if line.moments[0] <= together)
            moments = sorted({each for line in lines for each in line.moments if each >= begins})
            if daily:
                moments = [moments[place] for place in last_of_days([to_ms(each) for each in moments])]
            parts = [(moment, [line.at(moment) for line in lines]) for moment in moments]
            totals = [(moment, add_up(each for each, _ in part), part) for moment, part in parts]
            # A sum of 0 where nothing was there yet, or is any more, would be growth from 0, or a fall to it.
            totals = [each for each in totals if each[1].matched] or (totals[-1:] if self.by is None else [])
            if totals:
                ends = [[whose for _, whose in part] for _, _, part in (totals[0], totals[-1])]
                history = [_point(moment, whole) for moment, whole, _ in totals]
                label = self._labels[key]
                if any(whole.open_ended for _, whole, _ in totals):
                    opened[key or ALL] = None
                groups.append(
                    GroupHistory(key=key, label=label, history=history, has_change=ends[0] == ends[1])
                )
            later |= {
                f"{x.source} from {x.moments[0]:%Y-%m-%d}": None for x in lines if x.moments[0] > begins
            }
            ended |= {
                f"{line.source} since {line.moments[-1]:%Y-%m-%d}": None
                for line in lines
                if line.until is None and line.moments[-1] < start_of_day(last)
            }
        groups.sort(key=lambda group: (-group.history[-1].sum_of_sizes, group.key))
        found = {"open": opened, "since": later, "until": ended}
        notes = [MESSAGES[why].format(of=", ".join(of)) for why, of in found.items() if of]
        return groups, notes


def _end_replaced(lines: Sequence[_Line]) -> None:
    """End the lines whose source's name another account has taken: it counts in place of the earlier one."""
    last = {line.source: line.moments[-1] for line in sorted(lines, key=lambda line: line.moments[-1])}
    for line in lines:
        if line.moments[-1] < last[line.source]:
            line.until = line.moments[-1]


def _point(moment: datetime, totals: Totals) -> TotalPoint:
    return TotalPoint(
        as_of=format_moment(moment),
        sum_of_sizes=totals.sum_of_sizes,
        sum_max=totals.sum_max,
        unknown_sizes=totals.unknown,
    )

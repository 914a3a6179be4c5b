"""Totals over audiences: known sizes, ranges and unknown ones, with nested audiences counted once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from audience_mcp.core.audience import Row


@dataclass(slots=True)
class Totals:
    """Sums over rows.

    sum_of_sizes: of known sizes, with the lower ends of ranges. sum_max: the same with the upper ends; None
    if no row is a range, or one has no upper end. nested: rows left out of both, because another matched row
    contains them. open_ended: rows in the sums that are ranges without an upper end.
    """

    matched: int = 0
    sum_of_sizes: int = 0
    sum_max: int | None = None
    unknown: int = 0
    pending: int = 0
    nested: int = 0
    open_ended: int = 0

    @classmethod
    def over(cls, rows: Sequence[Row]) -> Totals:
        """The totals of rows of one source, each of which may lie within another of them."""
        nesting = nesting_ids(rows)
        # One value of all rows at a time takes a third of the time of one row at a time.
        known = [row for row in rows if row.size is not None]
        counted = [row for row in known if row.part_of not in nesting] if nesting else known
        sizes = [row.size or 0 for row in counted]
        ranges = [row for row in counted if row.size_max is not None]
        open_ended = sum([row.open_ended for row in counted])
        total = sum(sizes)
        upper = total + sum((row.size_max or 0) - (row.size or 0) for row in ranges)
        return cls(
            matched=len(rows),
            sum_of_sizes=total,
            sum_max=upper if ranges and not open_ended else None,
            unknown=len(rows) - len(known),
            pending=sum([row.size_pending for row in rows]),
            nested=len(known) - len(counted),
            open_ended=open_ended,
        )

    def add(self, other: Totals) -> None:
        """Add the totals of another source."""
        self.open_ended += other.open_ended
        if self.open_ended:
            self.sum_max = None
        elif self.sum_max is not None or other.sum_max is not None:
            mine = self.sum_of_sizes if self.sum_max is None else self.sum_max
            its = other.sum_of_sizes if other.sum_max is None else other.sum_max
            self.sum_max = mine + its
        self.matched += other.matched
        self.sum_of_sizes += other.sum_of_sizes
        self.unknown += other.unknown
        self.pending += other.pending
        self.nested += other.nested


_PART_OF = attrgetter("part_of")


def nesting_ids(rows: Sequence[Row]) -> frozenset[str]:
    """The ids of rows that may contain other rows; empty if none of them lies within another."""
    if not any(map(_PART_OF, rows)):
        return frozenset()
    return frozenset([row.id for row in rows])


def add_up(totals: Iterable[Totals]) -> Totals:
    """The sum of several totals."""
    whole = Totals()
    for each in totals:
        whole.add(each)
    return whole

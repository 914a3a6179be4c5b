"""Totals over audiences: what is known, what is a range, what is unknown, and nobody counted as nested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from audience_mcp.catalog.models import Group
from audience_mcp.catalog.query import ListQuery
from audience_mcp.catalog.reports import Hit
from audience_mcp.catalog.rows import display_name
from audience_mcp.core.audience import Row
from audience_mcp.core.text import fold
from audience_mcp.sources.reader import SourceReader

MAX_REFS = 12
"""Refs of a group by name."""


@dataclass(slots=True)
class Totals:
    """Sums over rows. nested: rows left out of the sums, since another matched one contains them.

    sum_max: with the upper ends of ranges; None where no row is a range.
    """

    matched: int = 0
    sum_of_sizes: int = 0
    sum_max: int | None = None
    unknown: int = 0
    pending: int = 0
    nested: int = 0

    @classmethod
    def over(cls, rows: Iterable[Row], matched: frozenset[str]) -> Totals:
        """The totals of rows of one source; `matched` are the ids that nest others."""
        totals, upper, ranged = cls(), 0, False
        for row in rows:
            totals.matched += 1
            if row.size_pending:
                totals.pending += 1
            if row.size is None:
                totals.unknown += 1
            elif row.part_of is not None and row.part_of in matched:
                totals.nested += 1
            else:
                totals.sum_of_sizes += row.size
                ranged = ranged or row.size_max is not None
                upper += row.size if row.size_max is None else row.size_max
        totals.sum_max = upper if ranged else None
        return totals

    def add(self, other: Totals) -> None:
        """Add the totals of another source."""
        if self.sum_max is not None or other.sum_max is not None:
            mine = self.sum_of_sizes if self.sum_max is None else self.sum_max
            its = other.sum_of_sizes if other.sum_max is None else other.sum_max
            self.sum_max = mine + its
        self.matched += other.matched
        self.sum_of_sizes += other.sum_of_sizes
        self.unknown += other.unknown
        self.pending += other.pending
        self.nested += other.nested


def total_by_source(hits: Mapping[SourceReader, Sequence[Row]]) -> dict[SourceReader, Totals]:
    """The totals of each source's rows."""
    return {reader: Totals.over(rows, nesting_ids(rows)) for reader, rows in hits.items()}


def nesting_ids(rows: Sequence[Row]) -> frozenset[str]:
    """The ids of rows that others may lie within; none where no row says that it lies within one."""
    if not any(row.part_of for row in rows):
        return frozenset()
    return frozenset(row.id for row in rows)


def add_up(totals: Iterable[Totals]) -> Totals:
    """The totals of all sources."""
    whole = Totals()
    for each in totals:
        whole.add(each)
    return whole


def group(
    query: ListQuery,
    hits: Mapping[SourceReader, Sequence[Row]],
    change: Callable[[SourceReader, Row], int | None] | None = None,
) -> tuple[list[Group], int]:
    """The groups asked for, in order, and how many audiences are in none of them.

    By name there is a group for each name that two or more audiences bear, case and accents aside, under
    its most frequent spelling. change: how much each audience has grown, where that is asked.
    """
    members: dict[str, list[Hit]] = {}
    for reader, rows in hits.items():
        for row in rows:
            members.setdefault(_key(query, reader, row), []).append((reader, row))
    by_name = query.group_by == "name"
    alone = sum(1 for each in members.values() if len(each) < 2) if by_name else 0
    groups = [
        _make_group(key, each, change, by_name=by_name)
        for key, each in members.items()
        if not by_name or len(each) > 1
    ]
    if query.sort == "name":
        groups.sort(key=lambda g: fold(g.key))
    elif query.sort in ("growth", "decline"):
        sign = -1 if query.sort == "growth" else 1
        groups.sort(key=lambda g: (g.change is None, sign * (g.change or 0), fold(g.key)))
    else:
        sign = 1 if query.sort == "size_asc" else -1
        groups.sort(key=lambda g: (sign * g.sum_of_sizes, fold(g.key)))
    return groups, alone


def _key(query: ListQuery, reader: SourceReader, row: Row) -> str:
    if query.group_by == "source":
        return reader.name
    if query.group_by == "kind":
        return row.kind or reader.source.vendor.kind
    if query.group_by == "type":
        return row.type
    return row.status if query.group_by == "status" else fold(display_name(row))


def _make_group(
    key: str,
    hits: Sequence[Hit],
    change: Callable[[SourceReader, Row], int | None] | None,
    *,
    by_name: bool,
) -> Group:
    """A group's sums. An audience that lies within one of another group counts in its own."""
    members: dict[SourceReader, list[Row]] = {}
    for reader, row in hits:
        members.setdefault(reader, []).append(row)
    nesting = {reader: nesting_ids(rows) for reader, rows in members.items()}
    totals = add_up(Totals.over([row], nesting[reader]) for reader, row in hits)
    made = Group(
        key=key,
        matched=totals.matched,
        sum_of_sizes=totals.sum_of_sizes,
        sum_max=totals.sum_max,
        unknown_sizes=totals.unknown,
    )
    if change is not None:
        _add_change(made, hits, nesting, change)
    if by_name:
        spellings = [display_name(row) for _, row in hits]
        made.key = max(dict.fromkeys(spellings), key=spellings.count)
        made.refs = sorted(f"{reader.name}:{row.id}" for reader, row in hits)[:MAX_REFS]
    return made


def _add_change(
    made: Group,
    hits: Sequence[Hit],
    nesting: Mapping[SourceReader, frozenset[str]],
    change: Callable[[SourceReader, Row], int | None],
) -> None:
    """Add what a group was and by how much it has changed, over its audiences that are known both times."""
    known = [
        (row.size, by)
        for reader, row in hits
        if row.size is not None
        and (by := change(reader, row)) is not None
        and not (row.part_of is not None and row.part_of in nesting[reader])
    ]
    if known:
        made.change = sum(by for _, by in known)
        made.sum_then = sum(size - by for size, by in known)

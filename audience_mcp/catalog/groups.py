"""Groups audiences by what they share, with totals of each group."""

from __future__ import annotations

import heapq
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from audience_mcp.catalog.display import display_name
from audience_mcp.catalog.index import Index
from audience_mcp.catalog.issues import IssueFinder
from audience_mcp.catalog.models import Group, Member
from audience_mcp.catalog.query import BY_CHANGE, GroupBy, ListQuery, Sort
from audience_mcp.catalog.search import folded_name
from audience_mcp.catalog.totals import Totals, add_up, nesting_ids
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import parse_datetime
from audience_mcp.core.text import fold
from audience_mcp.sources.reader import SourceReader

MAX_MEMBERS = 12
"""Audiences shown of a group by name or issue."""
IN_NO_GROUP: Mapping[GroupBy, str] = {
    "name": "with a name that no other has",
    "month": "without a creation date",
    "issue": "without any issue",
}
"""By what an audience may be in no group, and why it is not."""

Change = Callable[[SourceReader, Row], "int | None"]
"""An audience's change in size since the compared time, if it is known."""


@dataclass(slots=True)
class Members:
    """The audiences of one group by source, and their totals; one is nested if another of the group
    contains it.

    sum_then, change: over those of known size both times; None if there are none, or nothing is compared.
    shown: as answers show it, once one has.
    """

    key: str
    rows: dict[SourceReader, list[Row]] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    sum_then: int | None = None
    change: int | None = None
    shown: Group | None = None


def group(
    query: ListQuery,
    by: GroupBy,
    matches: Mapping[SourceReader, Sequence[Row]],
    index: Index,
    issues: IssueFinder,
    change: Change | None = None,
) -> tuple[list[Members], int]:
    """The groups in their order, and the number of audiences in none of them.

    By name there is a group for each name that two or more audiences share, ignoring case and accents.
    """
    if sum(map(len, matches.values())) == index.count and index.settled:
        groups, alone = index.once(("groups", by, issues.basis), lambda: _gather(by, matches, issues))
    else:
        groups, alone = _gather(by, matches, issues)
    if change is not None:
        groups = [_compare(each, change) for each in groups]
    return sorted(groups, key=_order(query.sort)), alone


def show(group: Members, by: GroupBy, change: Change | None = None) -> Group:
    """A group as the answer shows it: a name in its most frequent spelling, names and issues with members."""
    if group.shown is not None:
        return group.shown
    every = [(reader, row) for reader, rows in group.rows.items() for row in rows]
    mean, median = average([row.size for _, row in every if row.size is not None])
    group.shown = made = Group(
        key=group.key,
        matched=group.totals.matched,
        sum_of_sizes=group.totals.sum_of_sizes,
        sum_max=group.totals.sum_max,
        unknown_sizes=group.totals.unknown,
        sum_then=group.sum_then,
        change=group.change,
        mean_size=mean,
        median_size=median,
    )
    if by == "client":
        made.label = next((reader.source.label for reader in group.rows if reader.source.label), None)
    if by == "name":
        made.key = Counter(display_name(row) for _, row in every).most_common(1)[0][0]
    if by in ("name", "issue"):
        largest = heapq.nsmallest(
            MAX_MEMBERS, every, key=lambda m: (m[1].size is None, -(m[1].size or 0), m[0].name, m[1].id)
        )
        made.members = [
            Member(
                ref=f"{reader.name}:{row.id}",
                size=row.size,
                change=change(reader, row) if change is not None else None,
            )
            for reader, row in largest
        ]
    return made


def average(sizes: Sequence[int]) -> tuple[int | None, int | None]:
    """Mean and median, rounded; None over nothing."""
    if not sizes:
        return None, None
    return round(sum(sizes) / len(sizes)), round(statistics.median(sizes))


def _gather(
    by: GroupBy, matches: Mapping[SourceReader, Sequence[Row]], issues: IssueFinder
) -> tuple[list[Members], int]:
    keys = {reader: _keys(by, reader, rows, issues) for reader, rows in matches.items()}
    counts = Counter(chain.from_iterable(chain.from_iterable(keys.values())))
    groups = {key: Members(key) for key, count in counts.items() if count > 1 or by != "name"}
    alone = 0
    for reader, rows in matches.items():
        for of_row, row in zip(keys[reader], rows, strict=True):
            placed = False
            for key in of_row:
                if key in groups:
                    groups[key].rows.setdefault(reader, []).append(row)
                    placed = True
            alone += not placed
    for each in groups.values():
        each.totals = add_up(map(Totals.over, each.rows.values()))
    return list(groups.values()), alone


def _keys(
    by: GroupBy, reader: SourceReader, rows: Sequence[Row], issues: IssueFinder
) -> Sequence[Sequence[str]]:
    """The groups of each row."""
    if by == "issue":
        codes = issues.codes(reader)
        return [codes.get(id(row), ()) for row in rows]
    if by == "month":
        dates = (parse_datetime(row.created) for row in rows)
        return [(f"{date:%Y-%m}",) if date is not None else () for date in dates]
    if by == "client":
        return [(reader.source.client or "-",)] * len(rows)
    if by == "source":
        return [(reader.name,)] * len(rows)
    if by == "kind":
        kind = reader.source.vendor.kind
        return [(row.kind or kind,) for row in rows]
    if by == "type":
        return [(row.type,) for row in rows]
    if by == "status":
        return [(row.status,) for row in rows]
    return [(folded_name(row),) for row in rows]


def _compare(group: Members, change: Change) -> Members:
    """The group with what it was, over its audiences of known size both times."""
    known: list[tuple[int, int]] = []
    for reader, rows in group.rows.items():
        nesting = nesting_ids(rows)
        for row in rows:
            by = change(reader, row)
            if row.size is not None and by is not None and row.part_of not in nesting:
                known.append((row.size, by))
    if not known:
        return Members(group.key, group.rows, group.totals)
    changed = sum(by for _, by in known)
    then = sum(size for size, _ in known) - changed
    return Members(group.key, group.rows, group.totals, then, changed)


def _order(sort: Sort) -> Callable[[Members], tuple[bool, int, str]]:
    if sort == "name":
        return lambda group: (False, 0, fold(group.key))
    if sort in BY_CHANGE:
        sign = -1 if sort.startswith("growth") else 1
        return lambda group: (group.change is None, sign * (group.change or 0), fold(group.key))
    sign = 1 if sort == "size_asc" else -1
    return lambda group: (False, sign * group.totals.sum_of_sizes, fold(group.key))

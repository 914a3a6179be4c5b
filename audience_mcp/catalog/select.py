"""Filters audiences by a query, and orders them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from audience_mcp.catalog.arguments import FILTERS
from audience_mcp.catalog.compare import Comparison
from audience_mcp.catalog.display import Match
from audience_mcp.catalog.index import ORDERS, DateField, Index, Order
from audience_mcp.catalog.issues import IssueFinder
from audience_mcp.catalog.query import BY_CHANGE, ListQuery, Sort
from audience_mcp.catalog.search import folded_name, parse_search
from audience_mcp.core.audience import IssueCode, Row
from audience_mcp.core.text import clean
from audience_mcp.sources.reader import SourceReader

MESSAGES = {
    "undated": "{count:,} of those that pass the other filters have no {what} date, and do not match.",
}


Matches = Mapping[SourceReader, Sequence[Row]]
"""The audiences that match, by source."""


@dataclass(slots=True)
class Selection:
    """The rows that pass every filter that does not wait for sizes, by source, with notes for the reader."""

    matches: dict[SourceReader, Sequence[Row]]
    notes: list[str] = field(default_factory=list)


def select(query: ListQuery, index: Index, elsewhere: Collection[str] | None = None) -> Selection:
    """Apply every filter that does not wait for sizes, which may have to be requested from the vendor first.

    An audience whose status only its size will tell passes any filter on it until then. elsewhere: with
    `missing_in`, the folded names of those sources; None if they were not all read in full.
    """
    matches: dict[SourceReader, Sequence[Row]] = dict(index.rows)
    notes: list[str] = []
    if types := query.type:
        matches = {r: [row for row in rows if row.type in types] for r, rows in matches.items()}
    if statuses := query.status:
        matches = {
            r: [row for row in rows if row.status in statuses or _is_undecided(row)]
            for r, rows in matches.items()
        }
    if query.kind:
        kinds = {kind.strip().lower() for kind in query.kind}
        matches = {r: _of_kinds(r, rows, kinds) for r, rows in matches.items()}
        there = _kinds_there(index)
        if unknown := kinds - {kind.lower() for kind in there}:
            notes.append(f"No kind {clean(', '.join(sorted(unknown)))} here; there are {', '.join(there)}.")
    if query.missing_in and elsewhere is None:
        matches = {r: [] for r in matches}
        notes.append("Nothing is listed as missing, since not every source in missing_in was read in full.")
    elif elsewhere:
        matches = {
            r: [row for row in rows if folded_name(row) not in elsewhere] for r, rows in matches.items()
        }
    if query.search is not None:
        search = parse_search(query.search)
        notes += search.notes
        matches = {reader: search.among(rows, reader.source.vendor) for reader, rows in matches.items()}
    notes += query.notes
    for what, dates, since, before in _windows(query):
        if since or before:
            undated = 0
            for reader, rows in matches.items():
                matches[reader], lack = index.dated(reader, rows, dates, since, before)
                undated += lack
            if undated:
                notes.append(MESSAGES["undated"].format(count=undated, what=what))
    return Selection(matches, notes)


def _is_undecided(row: Row) -> bool:
    return row.size_pending and row.status == "unknown"


def filter_counted(query: ListQuery, rows: Sequence[Row]) -> Sequence[Row]:
    """Apply the filters that wait for sizes: `status` once more, `min_size` and `max_size`.

    An unknown size passes neither bound.

    Of a range, the lower end is compared with `min_size` and the upper one with `max_size`, which a range
    without an upper end never passes.
    """
    if statuses := query.status:
        rows = [row for row in rows if row.status in statuses]
    low, high = query.min_size, query.max_size
    if low is None and high is None:
        return rows
    return [
        row
        for row in rows
        if row.size is not None
        and row.size >= (low or 0)
        and (
            high is None
            or (not row.open_ended and (row.size if row.size_max is None else row.size_max) <= high)
        )
    ]


def needs_issues(query: ListQuery) -> bool:
    """Whether the answer to a question depends on issues, or shows them."""
    shown = query.detail == "full" and query.limit != 0
    return bool(query.issue) or query.group_by == "issue" or shown


def narrow(query: ListQuery, matches: Matches, issues: IssueFinder) -> Matches:
    """Apply every filter that waits for sizes of now, but for none of the past."""
    matches = {reader: filter_counted(query, rows) for reader, rows in matches.items()}
    if query.issue is None:
        return matches
    return {
        reader: filter_by_issue(query.issue, rows, issues.codes(reader)) for reader, rows in matches.items()
    }


def filter_changed(query: ListQuery, matches: Matches, comparison: Comparison) -> Matches:
    """Apply `min_change` and `max_change`; an unknown change passes neither, and what was 0 or unknown then
    no percentage.
    """
    low, high = query.min_change, query.max_change
    if low is None and high is None:
        return matches

    def passes(reader: SourceReader, row: Row) -> bool:
        found = comparison.difference(reader, row)
        sides = low.compare(*found) if low else 1, high.compare(*found) if high else -1
        return sides[0] is not None and sides[1] is not None and sides[0] >= 0 >= sides[1]

    return {reader: [row for row in rows if passes(reader, row)] for reader, rows in matches.items()}


def filter_by_issue(
    wanted: Collection[IssueCode], rows: Sequence[Row], codes: Mapping[int, Sequence[IssueCode]]
) -> Sequence[Row]:
    """The rows with any of the issues. codes: those of each row that has some, by `id(row)`."""
    return [row for row in rows if any(code in wanted for code in codes.get(id(row), ()))]


def _of_kinds(reader: SourceReader, rows: Sequence[Row], kinds: Collection[str]) -> Sequence[Row]:
    one = reader.source.vendor.kind
    return [row for row in rows if (row.kind or one).lower() in kinds]


def _kinds_there(index: Index) -> list[str]:
    """The words of all asked sources for their kinds of audience."""
    found = {row.kind or reader.source.vendor.kind for reader, rows in index.rows.items() for row in rows}
    for reader in index.rows:
        vendor = reader.source.vendor
        found |= {listing.kind or vendor.kind for listing in vendor.listings}
    return sorted(found)


def _windows(query: ListQuery) -> Iterable[tuple[str, DateField, datetime | None, datetime | None]]:
    yield "creation", "created", query.created_since, query.created_before
    yield "update", "updated", query.updated_since, query.updated_before


def is_plain(query: ListQuery) -> bool:
    """Whether a query wants rows of all audiences of its sources, in an order by what they are now."""
    narrowed = any(getattr(query, name) is not None for name in FILTERS if name != "sources")
    return not narrowed and query.group_by is None and query.compare_to is None and query.as_of is None


def order(
    query: ListQuery,
    matches: Mapping[SourceReader, Sequence[Row]],
    index: Index,
    most: int,
    comparison: Comparison,
) -> list[Match]:
    """`most` matches from `query.offset` on in the requested order: unknown values last, ties by ref."""
    chosen = _order_by_change(query.sort, comparison) if query.sort in BY_CHANGE else ORDERS[query.sort]
    return index.sort(matches, chosen, query.offset, query.offset + most)


def _order_by_change(sort: Sort, comparison: Comparison) -> Order:
    sign = -1 if sort.startswith("growth") else 1
    in_percent = sort.endswith("_pct")

    def by_change(reader: SourceReader, row: Row) -> float:
        change, then = comparison.difference(reader, row)
        if change is None or (in_percent and not then):
            return math.inf
        return sign * (change / (then or 1) if in_percent else change)

    return Order(sort, by_change, by_size=True, past=comparison.moments)

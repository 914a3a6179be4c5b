"""Which audiences a query matches, and in which order they are shown."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from audience_mcp.catalog.query import ListQuery
from audience_mcp.catalog.reports import Hit
from audience_mcp.catalog.rows import display_name
from audience_mcp.catalog.search import parse_search
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import parse_datetime
from audience_mcp.core.text import fold
from audience_mcp.sources.reader import SourceReader

NOTES = {
    "undated": "{count:,} of those that pass the other filters have no {what} date, and do not match.",
    "null": "{names} came as null and was not applied; if a value was meant, send it as a number or text.",
}


@dataclass(slots=True)
class Selection:
    """What passes every filter but those on sizes, by source; notes: what the reader must know of it."""

    hits: dict[SourceReader, list[Row]]
    notes: list[str] = field(default_factory=list)


def select(query: ListQuery, rows: Mapping[SourceReader, Iterable[Row]]) -> Selection:
    """The rows that pass every filter but those on sizes, which may still have to be asked for."""
    notes: list[str] = []
    filters = _plain_filters(query)
    if query.search is not None:
        search = parse_search(query.search)
        notes += search.notes
        filters.append(search.matches)
    if query.nulls:
        notes.append(NOTES["null"].format(names=", ".join(query.nulls)))
    windows = [_Window(what, since, before) for what, since, before in _windows(query) if since or before]
    filters += [window.holds for window in windows]
    hits = {reader: _passing(each, filters) for reader, each in rows.items()}
    notes += [NOTES["undated"].format(count=w.undated, what=w.what) for w in windows if w.undated]
    return Selection(hits, notes)


def _passing(rows: Iterable[Row], filters: Iterable[Callable[[Row], bool]]) -> list[Row]:
    """The rows that pass each filter in turn."""
    left = list(rows)
    for passes in filters:
        left = [row for row in left if passes(row)]
    return left


def filter_by_size(query: ListQuery, rows: Sequence[Row]) -> list[Row]:
    """The rows within the sizes asked for; audiences of unknown size match neither.

    Of a range, the lower end counts for `min_size` and the upper one for `max_size`.
    """
    low, high = query.min_size, query.max_size
    if low is None and high is None:
        return list(rows)
    return [
        row
        for row in rows
        if row.size is not None
        and row.size >= (low or 0)
        and (high is None or (row.size if row.size_max is None else row.size_max) <= high)
    ]


def _plain_filters(query: ListQuery) -> list[Callable[[Row], bool]]:
    filters: list[Callable[[Row], bool]] = []
    if query.type:
        filters.append(lambda row: row.type == query.type)
    if query.status:
        filters.append(lambda row: row.status == query.status)
    return filters


def _windows(query: ListQuery) -> Iterable[tuple[str, datetime | None, datetime | None]]:
    yield "creation", query.created_since, query.created_before
    yield "update", query.updated_since, query.updated_before


@dataclass(slots=True)
class _Window:
    """A stretch of time; `undated` counts the rows that have no such date."""

    what: str
    since: datetime | None
    before: datetime | None
    undated: int = 0

    def holds(self, row: Row) -> bool:
        when = parse_datetime(row.created if self.what == "creation" else row.updated)
        if when is None:
            self.undated += 1
            return False
        return not (self.since and when < self.since) and not (self.before and when >= self.before)


def order(
    query: ListQuery,
    hits: Sequence[Hit],
    most: int,
    change: Callable[[SourceReader, Row], int | None] = lambda reader, row: None,
) -> list[Hit]:
    """The first `most` in the order asked for: unknown values last, ties by ref.

    change: how much each has grown, for the orders that go by it.
    """
    prefix = {reader: f"{reader.name}:" for reader, _ in hits}
    if query.sort in ("growth", "decline"):
        sign = -1 if query.sort == "growth" else 1

        def by_change(hit: Hit) -> tuple[Any, str, str]:
            by = change(*hit)
            return math.inf if by is None else sign * by, prefix[hit[0]], hit[1].id

        return heapq.nsmallest(most, hits, key=by_change)
    key = _ORDERS[query.sort]
    return heapq.nsmallest(most, hits, key=lambda hit: (key(hit[1]), prefix[hit[0]], hit[1].id))


def _by_time(value: object, direction: int) -> Any:
    when = parse_datetime(value)
    return math.inf if when is None else direction * when.timestamp()


_ORDERS: Mapping[str, Callable[[Row], Any]] = {
    "size": lambda row: math.inf if row.size is None else -row.size,
    "size_asc": lambda row: math.inf if row.size is None else row.size,
    "name": lambda row: fold(display_name(row)),
    "newest": lambda row: _by_time(row.created, -1),
    "oldest": lambda row: _by_time(row.created, 1),
    "updated": lambda row: _by_time(row.updated, -1),
}

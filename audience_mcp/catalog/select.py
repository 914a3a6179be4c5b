"""Which audiences a query matches, and their order."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from typing import Any

from audience_mcp.catalog.query import ListQuery
from audience_mcp.catalog.reports import Hit
from audience_mcp.catalog.rows import display_name
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import parse_datetime
from audience_mcp.core.text import MAX_LOOKED_AT, clean, fold, strip_invisible
from audience_mcp.sources.reader import Snapshot, SourceReader


def _matched(question: ListQuery, snapshot: dict[SourceReader, Snapshot]) -> Iterator[Hit]:
    words = fold(clean(question.search, 500)).split() if question.search else []
    low, high = question.min_size, question.max_size
    sized = low is not None or high is not None
    for reader, h in snapshot.items():
        for row in h.pager.rows.values():
            if question.type and row.type != question.type:
                continue
            if question.status and row.status != question.status:
                continue
            if sized and (
                row.size is None or row.size < (low or 0) or (high is not None and row.size > high)
            ):
                continue
            if words:
                text = fold(f"{strip_invisible(row.name[:MAX_LOOKED_AT])}\n{row.id}")
                if not all(word in text for word in words):
                    text += "\n" + fold(clean(row.description))
                    if not all(word in text for word in words):
                        continue
            if question.created_since and not _since(row.created, question.created_since):
                continue
            if question.updated_since and not _since(row.updated, question.updated_since):
                continue
            yield reader, row


def _since(value: object, since: Any) -> bool:
    when = parse_datetime(value)
    return when is not None and when >= since


def _sorted(question: ListQuery, matched: list[Hit], most: int) -> list[Hit]:
    """The first `most` in the order asked for: unknown values last, ties by ref."""
    worst = math.inf

    def by_size(row: Row) -> Any:
        return worst if row.size is None else -row.size

    def by_smallest(row: Row) -> Any:
        return worst if row.size is None else row.size

    def by_name(row: Row) -> Any:
        return fold(display_name(row))

    def latest(value: object) -> Any:
        when = parse_datetime(value)
        return worst if when is None else -when.timestamp()

    orders: dict[str, Callable[[Row], Any]] = {
        "size": by_size,
        "smallest": by_smallest,
        "name": by_name,
        "newest": lambda row: latest(row.created),
        "updated": lambda row: latest(row.updated),
    }
    order = orders[question.sort]
    prefix = {reader: f"{reader.name}:" for reader, _ in matched}
    return heapq.nsmallest(most, matched, key=lambda f: (order(f[1]), prefix[f[0]], f[1].id))

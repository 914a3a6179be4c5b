"""Source reports: how much of each source was read, and why the rest was not."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from audience_mcp.catalog.models import Problem, SourceReport
from audience_mcp.catalog.totals import Totals
from audience_mcp.config import Source
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import VendorError
from audience_mcp.core.text import clean
from audience_mcp.sources.reading import Snapshot

NOTE_CHARS = 600
"""Characters of one note or message."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T[\d:.]+Z)?")
_COUNT = re.compile(r"\b\d")


def report_source(
    source: Source, snapshot: Snapshot, totals: Totals | None = None, compared_to: str | None = None
) -> SourceReport:
    """The report of a source that was read; totals: over the rows of it that matched."""
    found = report_lookup(source, complete=snapshot.complete)
    found.label = source.label
    if snapshot.as_of:
        found.as_of = to_rfc3339(snapshot.as_of.replace(microsecond=0))
    if snapshot.pager.started:  # otherwise the number is unknown, not 0
        found.audiences = len(snapshot.pager.rows)
        if totals is not None:
            found.matched = totals.matched if totals.matched != found.audiences else None
            found.sum_of_sizes = totals.sum_of_sizes
            found.sum_max, found.unknown_sizes = totals.sum_max, totals.unknown
            found.sizes_pending = totals.pending or None
    found.compared_to = compared_to
    found.error = to_problem(snapshot.error)
    return found


def to_problem(error: VendorError | None) -> Problem | None:
    """An error as reports show it."""
    if error is None:
        return None
    message = clean(error.message, NOTE_CHARS)
    return Problem(kind=error.kind, message=message, retry_after_s=error.retry_after_s)


def report_lookup(source: Source, *, complete: bool = True) -> SourceReport:
    """The report of a source where one audience was looked up and no listing was read."""
    vendor = source.vendor
    counts = vendor.size_counts
    return SourceReport(
        source=source.name,
        vendor=None if vendor.name == source.name else vendor.name,
        complete=complete,
        size_counts={kind: clean(unit) for kind, unit in counts.items()}
        if isinstance(counts, Mapping)
        else clean(counts),
    )


def name_sources_once(notes: Sequence[str], names: Collection[str]) -> list[str]:
    """Say notes that hold for several sources once: `a: text` and `b: text` become `a, b: text`.

    A number in it is each one's, and no sum: `a, b (each): skipped 8 rows`.
    """
    found: dict[str, list[str]] = {}
    for note in notes:
        name, colon, text = note.partition(": ")
        if colon and name in names:
            found.setdefault(text, []).append(name)
        else:
            found.setdefault(note, [])
    return [_merge(list(dict.fromkeys(by)), text) if by else text for text, by in found.items()]


def _merge(sources: Sequence[str], text: str) -> str:
    each = " (each)" if len(sources) > 1 and _COUNT.search(_MOMENT.sub("", text)) else ""
    return f"{', '.join(sources)}{each}: {text}"

"""How each source stands, as an answer reports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from audience_mcp.catalog.models import Problem, SourceReport
from audience_mcp.config import Source
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import VendorError
from audience_mcp.core.text import clean
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

if TYPE_CHECKING:
    from audience_mcp.catalog.totals import Totals

NOTE_CHARS = 600
"""Characters of one note or message."""

Hit = tuple[SourceReader, Row]
"""An audience, and the source that it is at."""


def report_source(
    source: Source, snapshot: Snapshot, totals: Totals | None = None, compared_to: str | None = None
) -> SourceReport:
    """How a source stands: how far it was read, and the totals of what matched there."""
    found = report_lookup(source, complete=snapshot.complete)
    if snapshot.as_of:
        found.as_of = to_rfc3339(snapshot.as_of.replace(microsecond=0))
    if snapshot.pager.started:  # nothing read is not "no audiences"
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
    """An error as a report tells it."""
    if error is None:
        return None
    message = clean(error.message, NOTE_CHARS)
    return Problem(kind=error.kind, message=message, retry_after_s=error.retry_after_s)


def report_lookup(source: Source, *, complete: bool = True) -> SourceReport:
    """The report of a source that was asked for one audience alone."""
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

"""How each source stands, as an answer reports it."""

from __future__ import annotations

from audience_mcp.catalog.models import Problem, SourceReport
from audience_mcp.config import Source
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import VendorError
from audience_mcp.core.text import clean
from audience_mcp.sources.reader import Snapshot, SourceReader

NOTE_CHARS = 600
"""Characters of one note or message."""


def report_source(source: Source, snapshot: Snapshot) -> SourceReport:
    """How a source stands, over all that was read of it."""
    pager = snapshot.pager
    found = SourceReport(
        source=source.name,
        vendor=source.vendor.name,
        complete=snapshot.complete,
        size_counts=clean(source.vendor.size_counts),
        as_of=to_rfc3339(snapshot.as_of.replace(microsecond=0)) if snapshot.as_of else None,
    )
    if pager.started:  # nothing read is not "no audiences"
        found.audiences, found.sum_of_sizes, found.unknown_sizes = (
            len(pager.rows),
            pager.sum_of_sizes,
            pager.unknown_sizes,
        )
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
    return SourceReport(
        source=source.name,
        vendor=source.vendor.name,
        complete=complete,
        size_counts=clean(source.vendor.size_counts),
    )


Hit = tuple[SourceReader, Row]

"""The answer of `list_audiences` from what was selected: totals, rows or groups, reports, notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audience_mcp.catalog.budget import fit_groups, fit_list
from audience_mcp.catalog.history import Comparison, sum_up
from audience_mcp.catalog.models import Audience, AudienceList
from audience_mcp.catalog.query import ListQuery
from audience_mcp.catalog.reports import Hit, report_source
from audience_mcp.catalog.rows import to_concise, to_full
from audience_mcp.catalog.select import Selection, filter_by_size, order
from audience_mcp.catalog.totals import Totals, add_up, group, total_by_source
from audience_mcp.core.audience import Row
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

SHORTEST_ROW = 30
"""Characters of the shortest row."""

NOTES = {
    "incomplete": "Not complete: {sources} not read in full; the totals cover only what was read.",
    "pending": "Not complete: {count:,} sizes still to be counted ({sources}); ask again for them.",
    "no_match": "Nothing matches all of these filters: use fewer, or fewer words in search.",
    "past_end": "offset {offset:,} is past the last of {count:,}.",
    "nested": "{audiences} within another matched one (part_of), not added to the sums again.",
    "nested_in_groups": "{audiences} within another matched one (part_of): no total adds that again, and a "
    "group leaves out only what lies within another of its own.",
    "units": "Units differ: see size_counts.",
    "group_order": "Groups are ordered by their sums: sort '{sort}' is for audiences.",
    "alone": "{audiences} with a name that no other has, in no group.",
}


def compose_list(
    query: ListQuery,
    selection: Selection,
    snapshots: Mapping[SourceReader, Snapshot],
    max_chars: int,
    comparison: Comparison | None = None,
) -> AudienceList:
    """The answer, cut to `max_chars` characters; its totals are over everything that matched."""
    hits = {reader: filter_by_size(query, rows) for reader, rows in selection.hits.items()}
    by_source = total_by_source(hits)
    totals = add_up(by_source.values())
    answer = AudienceList(
        matched=totals.matched,
        returned=0,
        sum_of_sizes=totals.sum_of_sizes,
        sum_max=totals.sum_max,
        unknown_sizes=totals.unknown,
        sizes_pending=totals.pending or None,
        complete=not totals.pending and all(snapshot.complete for snapshot in snapshots.values()),
        sources=[
            report_source(r.source, s, by_source[r], comparison.moment(r) if comparison else None)
            for r, s in snapshots.items()
        ],
        notes=None,
    )
    notes = [*_notes(query, by_source, totals, snapshots), *selection.notes]
    if comparison is not None:
        compared, more = sum_up(query, hits, snapshots, comparison, max_chars)
        answer.compared = compared if comparison.baselines else None
        notes += [*comparison.notes, *more]
    if not totals.matched and answer.complete and any(s.pager.rows for s in snapshots.values()):
        notes.append(NOTES["no_match"])
    chosen = "limit" in query.model_fields_set
    if query.group_by is not None:
        groups, alone = group(query, hits, comparison.change if comparison else None)
        if alone:
            notes.append(NOTES["alone"].format(audiences=_audiences(alone)))
        if query.sort in ("newest", "oldest", "updated"):
            notes.append(NOTES["group_order"].format(sort=query.sort))
        _note_end(query, len(groups), notes)
        answer.notes = notes or None
        shown = groups[query.offset : query.offset + query.limit]
        left = max(0, len(groups) - query.offset)
        return fit_groups(
            answer, shown, following=left, offset=query.offset, chosen=chosen, max_chars=max_chars
        )
    _note_end(query, totals.matched, notes)
    answer.notes = notes or None
    return fit_list(
        answer,
        _rows(query, hits, max_chars, comparison),
        following=max(0, totals.matched - query.offset),
        offset=query.offset,
        chosen=chosen,
        max_chars=max_chars,
    )


def _rows(
    query: ListQuery,
    hits: Mapping[SourceReader, Sequence[Row]],
    max_chars: int,
    comparison: Comparison | None,
) -> list[Audience]:
    most = query.offset + min(query.limit, max_chars // SHORTEST_ROW)
    every: list[Hit] = [(reader, row) for reader, rows in hits.items() for row in rows]
    comparison = comparison or Comparison()
    ordered = order(query, every, most, comparison.change)[query.offset :]
    if query.detail == "full":
        return [
            comparison.describe(reader, row, to_full(reader.name, reader.source.vendor, row))
            for reader, row in ordered
        ]
    created = bool(query.created_since or query.created_before) or query.sort in ("newest", "oldest")
    updated = bool(query.updated_since or query.updated_before) or query.sort == "updated"
    return [
        comparison.describe(
            reader,
            row,
            to_concise(reader.name, reader.source.vendor, row, created=created, updated=updated),
        )
        for reader, row in ordered
    ]


def _notes(
    query: ListQuery,
    by_source: Mapping[SourceReader, Totals],
    totals: Totals,
    snapshots: Mapping[SourceReader, Snapshot],
) -> list[str]:
    notes = []
    waiting = [reader.name for reader, each in by_source.items() if each.pending]
    # Where an older reading answers, its own note says so.
    short = [r.name for r, s in snapshots.items() if not s.complete and not s.older and r.name not in waiting]
    if short:
        notes.append(NOTES["incomplete"].format(sources=", ".join(short)))
    if waiting:
        notes.append(NOTES["pending"].format(count=totals.pending, sources=", ".join(waiting)))
    notes += [note for snapshot in snapshots.values() for note in snapshot.notes]
    if totals.nested:
        notes.append(
            NOTES["nested_in_groups" if query.group_by else "nested"].format(
                audiences=_audiences(totals.nested)
            )
        )
    units = {str(reader.source.vendor.size_counts) for reader, each in by_source.items() if each.sum_of_sizes}
    if len(units) > 1:
        notes.append(NOTES["units"])
    return notes


def _audiences(count: int) -> str:
    return "1 audience" if count == 1 else f"{count:,} audiences"


def _note_end(query: ListQuery, count: int, notes: list[str]) -> None:
    if count and query.offset >= count:
        notes.append(NOTES["past_end"].format(offset=query.offset, count=count))

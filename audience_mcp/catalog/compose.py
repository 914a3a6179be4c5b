"""Composes the answer of `list_audiences`: totals, rows or groups, reports, notes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timezone
from types import MappingProxyType

from audience_mcp.catalog.budget import fit_groups, fit_list
from audience_mcp.catalog.compare import Comparison, sum_up
from audience_mcp.catalog.display import to_concise, to_full
from audience_mcp.catalog.groups import IN_NO_GROUP, average, group, show
from audience_mcp.catalog.index import Index
from audience_mcp.catalog.issues import IssueFinder, write_issues
from audience_mcp.catalog.miss import suggest_names
from audience_mcp.catalog.models import Audience, AudienceList
from audience_mcp.catalog.query import ListQuery
from audience_mcp.catalog.reports import name_sources_once, report_source
from audience_mcp.catalog.select import (
    Selection,
    filter_changed,
    narrow,
    order,
)
from audience_mcp.catalog.totals import Totals, add_up
from audience_mcp.core.audience import Row
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

SHORTEST_ROW = 30
"""Characters of the shortest row, which bounds how many rows can be shown."""

MESSAGES = {
    "incomplete": "Not complete: {sources} not read in full; the totals cover only what was read.",
    "past_end": "offset {offset:,} is past the last of {count:,}.",
    "units": "Units differ: see size_counts.",
    "nested": "{audiences} within another matched one (part_of), not added to the sums again.",
    "nested_in_groups": "{audiences} within another matched one (part_of): no total adds that again, and a "
    "group leaves out only what one of its own contains.",
    "no_sum_max": "No sum_max: {audiences} with a range that has no upper end ({sources}).",
}
_ABOUT_SUMS = re.compile(
    "|".join(
        re.sub(r"\\{\w+\\}", ".*", re.escape(MESSAGES[name]))
        for name in ("units", "nested", "nested_in_groups", "no_sum_max")
    )
)


def compose_list(
    query: ListQuery,
    selection: Selection,
    snapshots: Mapping[SourceReader, Snapshot],
    index: Index,
    max_chars: int,
    issues: IssueFinder,
    comparison: Comparison | None = None,
    elsewhere: Mapping[SourceReader, Snapshot] = MappingProxyType({}),
) -> AudienceList:
    """The answer, cut to `max_chars` characters. Its totals are over everything that matched.

    elsewhere: the sources of `missing_in`, of which one that was not read in full has its report here too.
    """
    matches = narrow(query, selection.matches, issues)
    matches = filter_changed(query, matches, comparison or Comparison())
    unread = {r: s for r, s in elsewhere.items() if not s.complete and r not in snapshots}
    by_source = {reader: index.totals(reader, rows) for reader, rows in matches.items()}
    totals = add_up(by_source.values())
    answer = AudienceList(
        matched=totals.matched,
        returned=0,
        sum_of_sizes=totals.sum_of_sizes,
        sum_max=totals.sum_max,
        unknown_sizes=totals.unknown,
        sizes_pending=totals.pending or None,
        complete=not totals.pending and all(s.complete for s in [*snapshots.values(), *elsewhere.values()]),
        sources=[
            *(
                report_source(r.source, s, by_source[r], comparison.moment(r) if comparison else None)
                for r, s in snapshots.items()
            ),
            *(report_source(r.source, s) for r, s in unread.items()),
        ],
        notes=None,
    )
    if not query.limit:
        sizes = [row.size for rows in matches.values() for row in rows if row.size is not None]
        answer.mean_size, answer.median_size = average(sizes)
    notes = [*_notes(query, by_source, totals, snapshots), *selection.notes]
    if query.limit:
        notes += _fold_unmatched(answer, by_source, snapshots)
    if comparison is not None:
        compared, more = sum_up(query, matches, snapshots, index, comparison, max_chars)
        answer.compared = compared if comparison.readers else None
        notes += [*comparison.all_notes, *more]
    notes = name_sources_once(notes, {reader.name for reader in snapshots})
    if not totals.matched and answer.complete and any(s.pager.rows for s in snapshots.values()):
        notes.append("Nothing matches all of these filters: use fewer, or fewer words in search.")
        if (
            query.search
            and not any(selection.matches.values())
            and (near := suggest_names(query.search, index))
        ):
            notes.append(f"Nearest names: {', '.join(near)}.")
    chosen = "limit" in query.model_fields_set
    if query.group_by is not None:
        groups, alone = group(
            query, query.group_by, matches, index, issues, comparison.change if comparison else None
        )
        if alone:
            notes.append(f"{_audiences(alone)} {IN_NO_GROUP[query.group_by]}, in no group.")
        if query.sort in ("newest", "oldest", "updated", "updated_asc"):
            notes.append(f"Groups are ordered by their sums: sort '{query.sort}' is for audiences.")
        _note_end(query, len(groups), notes)
        answer.notes = notes or None
        most = min(query.limit, max_chars // SHORTEST_ROW)
        change = comparison.change if comparison else None
        shown = [show(each, query.group_by, change) for each in groups[query.offset : query.offset + most]]
        left = max(0, len(groups) - query.offset)
        return fit_groups(
            answer, shown, following=left, offset=query.offset, chosen=chosen, max_chars=max_chars
        )
    _note_end(query, totals.matched, notes)
    answer.notes = notes or None
    return fit_list(
        answer,
        _rows(query, matches, index, max_chars, issues, comparison),
        following=max(0, totals.matched - query.offset),
        offset=query.offset,
        chosen=chosen,
        max_chars=max_chars,
    )


def _rows(
    query: ListQuery,
    matches: Mapping[SourceReader, Sequence[Row]],
    index: Index,
    max_chars: int,
    issues: IssueFinder,
    comparison: Comparison | None,
) -> list[Audience]:
    most = min(query.limit, max_chars // SHORTEST_ROW)
    comparison = comparison or Comparison()
    ordered = order(query, matches, index, most, comparison)
    if query.detail == "full":
        shown = [
            comparison.describe(reader, row, to_full(reader.name, reader.source.vendor, row))
            for reader, row in ordered
        ]
        for (reader, row), audience in zip(ordered, shown, strict=True):
            audience.issues = write_issues(issues.find(reader, row))
        return shown
    created = bool(query.created_since or query.created_before) or query.sort in ("newest", "oldest")
    updated = bool(query.updated_since or query.updated_before) or query.sort in ("updated", "updated_asc")
    return [
        comparison.describe(
            reader,
            row,
            to_concise(reader.name, reader.source.vendor, row, created=created, updated=updated),
        )
        for reader, row in ordered
    ]


def _fold_unmatched(
    answer: AudienceList, by_source: Mapping[SourceReader, Totals], snapshots: Mapping[SourceReader, Snapshot]
) -> list[str]:
    """Put a note in place of the reports of complete sources without a match.

    An account without any audience keeps its report, which says so.
    """
    moments = {
        reader.name: snapshot.as_of
        for reader, snapshot in snapshots.items()
        if snapshot.complete and snapshot.as_of and snapshot.pager.rows and not by_source[reader].matched
    }
    if not moments:
        return []
    answer.sources = [report for report in answer.sources if report.source not in moments]
    since = min(moments.values()).astimezone(timezone.utc)
    return [f"no match in: {', '.join(moments)} (read {since:%Y-%m-%dT%H:%MZ} or later)"]


def _notes(
    query: ListQuery,
    by_source: Mapping[SourceReader, Totals],
    totals: Totals,
    snapshots: Mapping[SourceReader, Snapshot],
) -> list[str]:
    notes = []
    waiting = [reader.name for reader, each in by_source.items() if each.pending]
    # An older reading that answers has its own note.
    short = [r.name for r, s in snapshots.items() if not s.complete and not s.older and r.name not in waiting]
    if short:
        notes.append(MESSAGES["incomplete"].format(sources=", ".join(short)))
    if waiting:
        notes.append(
            f"Not complete: {totals.pending:,} sizes not counted yet ({', '.join(waiting)}); ask again."
        )
    notes += [note for snapshot in snapshots.values() for note in snapshot.notes]
    if totals.nested:
        text = MESSAGES["nested_in_groups" if query.group_by else "nested"]
        notes.append(text.format(audiences=_audiences(totals.nested)))
    if totals.open_ended:
        without = ", ".join(reader.name for reader, each in by_source.items() if each.open_ended)
        audiences = _audiences(totals.open_ended)
        notes.append(MESSAGES["no_sum_max"].format(audiences=audiences, sources=without))
    units = {str(reader.source.vendor.size_counts) for reader, each in by_source.items() if each.sum_of_sizes}
    if len(units) > 1:
        notes.append(MESSAGES["units"])
    return notes


def is_about_sums(note: str) -> bool:
    """Whether a note of an answer says something of its sums alone."""
    return _ABOUT_SUMS.fullmatch(note) is not None


def _audiences(count: int) -> str:
    return "1 audience" if count == 1 else f"{count:,} audiences"


def _note_end(query: ListQuery, count: int, notes: list[str]) -> None:
    if count and query.offset >= count:
        notes.append(MESSAGES["past_end"].format(offset=query.offset, count=count))

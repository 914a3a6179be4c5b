"""Answers as people read them: tables, cards, totals and what they must know."""

from __future__ import annotations

import json as jsons
from collections.abc import Callable, Mapping, Sequence

from rich.text import Text

from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, Group, SourceReport
from audience_mcp.catalog.query import ListQuery
from audience_mcp.cli.changes import change_cell, show_compared, show_moments, write_change
from audience_mcp.cli.options import in_words_of_options
from audience_mcp.cli.output import NARROW, Column, Output, count_noun

EIGHTHS = " ▏▎▍▌▋▊▉█"
WIDE = 110
"""Columns of a terminal from which on remarks have a column of their own."""


def show_list(answer: AudienceList, query: ListQuery, out: Output) -> None:
    """Show rows or groups, totals, sources, and what the reader must know."""
    if answer.groups is not None:
        _show_groups(answer.groups, out)
    elif query.detail == "full":
        _show_cards(answer.audiences, out)
    elif answer.audiences:
        _show_rows(answer.audiences, out)
    if answer.audiences:
        out.line()
    out.line(_write_totals(answer), "bold")
    if answer.audiences and answer.returned < answer.matched:
        shown = f"Shown: {query.offset + 1:,} to {query.offset + answer.returned:,}."
        more = f" Next: --offset {answer.next_offset}" if answer.next_offset else ""
        out.line(f"{shown}{more}")
    if answer.compared is not None:
        show_compared(answer.compared, out)
    _show_sources(answer.sources, out)
    if answer.compared is not None:
        show_moments(answer.sources, out)
    _show_caveats(answer, out)


def show_match(answer: AudienceMatch, out: Output) -> None:
    """Show each audience in full, and what the reader must know."""
    _show_cards(answer.audiences, out, {report.source: name_unit(report) for report in answer.sources})
    _show_caveats(answer, out)


def _write_totals(answer: AudienceList) -> str:
    if not answer.matched:
        return "No audience matches." if answer.complete else "No audience matches among those read."
    audiences = count_noun(answer.matched, "audience")
    if answer.unknown_sizes == answer.matched:
        return f"{audiences}, {'all ' if answer.matched > 1 else ''}of unknown size."
    said = f"{audiences}, {write_range(answer.sum_of_sizes, answer.sum_max)} in all"
    if answer.unknown_sizes:
        said += f", not counting {answer.unknown_sizes:,} of unknown size"
    return said + ("." if answer.matched == 1 else ". A person in two audiences counts twice.")


def _show_rows(audiences: Sequence[Audience], out: Output) -> None:
    """A table: bars where there is room, and what has no column of its own under the name."""
    roomy, wide = out.width >= NARROW, out.width >= WIDE
    remarked = any(_list_remarks(a) for a in audiences)
    compared = any(a.new or a.size_then is not None for a in audiences)
    biggest = max((a.size or 0 for a in audiences), default=0)
    size = Column("Size", right=True, whole=True)
    change = Column("Change", right=True, whole=True)
    ref, remarks = Column("Ref", style="cyan"), Column("Remarks", style="yellow")

    def bar(a: Audience) -> str:
        return draw_bar(a.size, biggest, 20 if wide else 10, out.blocks)

    def name(a: Audience) -> Text:
        below = [] if roomy else [Text(a.ref, ref.style)]
        below += [Text(_list_remarks(a), remarks.style)] if _list_remarks(a) and not wide else []
        return Text("\n").join([Text(a.name), *([Text("  ").join(below)] if below else [])])

    layout: list[tuple[Column, Callable[[Audience], str | Text]]]
    if out.terminal:
        layout = [(size, _size_cell), (Column("", style="blue", whole=True), bar), (Column("Audience"), name)]
        layout = layout if roomy else [layout[0], layout[2]]
        layout[1:1] = [(change, change_cell)] if compared else []
        layout += [(ref, lambda a: a.ref)] if roomy else []
        layout += [(remarks, _list_remarks)] if wide and remarked else []
    else:
        layout = [(size, write_size), (Column("Audience"), lambda a: a.name), (ref, lambda a: a.ref)]
        layout[1:1] = [(change, change_cell)] if compared else []
        layout += [(remarks, _list_remarks)] if remarked else []
    out.table([column for column, _ in layout], [[cell(a) for _, cell in layout] for a in audiences])


def _show_groups(groups: Sequence[Group], out: Output) -> None:
    columns = [
        Column("Group"),
        Column("Audiences", right=True, whole=True),
        Column("Unknown size", right=True, whole=True),
        Column("Sum", right=True, whole=True),
    ]
    rows: list[list[str | Text]] = [
        [g.key, f"{g.matched:,}", f"{g.unknown_sizes:,}", write_range(g.sum_of_sizes, g.sum_max)]
        for g in groups
    ]
    if any(g.change is not None for g in groups):
        columns.append(Column("Change", right=True, whole=True))
        rows = [
            [*row, "unknown" if g.change is None else write_change(g.change)]
            for row, g in zip(rows, groups, strict=True)
        ]
    out.table(columns, rows)
    out.line()


def write_size(audience: Audience) -> str:
    """A size, both ends of a range, or that it is not known."""
    if audience.size is None:
        return "unknown"
    return write_range(audience.size, audience.size_max)


def write_range(low: int, high: int | None) -> str:
    """A number, or both ends of a range."""
    return f"{low:,}" if high is None or high == low else f"{low:,} to {high:,}"


def _size_cell(audience: Audience) -> str | Text:
    return Text(write_size(audience), "dim") if audience.size is None else write_size(audience)


def draw_bar(size: int | None, biggest: int, width: int, blocks: bool) -> str:
    """A bar as long as the size is beside the biggest one; a size that is not 0 is never invisible."""
    if not size or not biggest:
        return " " * width
    eighths = max(1, round(size / biggest * width * 8))
    if not blocks:
        return ("#" * max(1, eighths // 8)).ljust(width)
    return (EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(width)


def _list_remarks(audience: Audience) -> str:
    note = audience.size_note or ""
    type = audience.type if audience.type and not note.startswith(audience.type) else None
    return "; ".join(remark for remark in (audience.kind, type, audience.status, note) if remark)


def _show_cards(audiences: Sequence[Audience], out: Output, units: Mapping[str, str] | None = None) -> None:
    """Each audience with all that is known of it; `units` says what a size counts, by source."""
    for number, audience in enumerate(audiences):
        if number:
            out.line()
        out.line(audience.name, "bold")
        facts: list[tuple[str, str]] = [("ref", audience.ref), ("size", write_size(audience))]
        unit = (units or {}).get(audience.source or "")
        if audience.size is not None and unit:
            facts.append(("size counts", unit))
        for key in (
            "size_note",
            "kind",
            "type",
            "status",
            "part_of",
            "description",
            "created_at",
            "updated_at",
        ):
            value = getattr(audience, key)
            if value is not None:
                facts.append((key.removesuffix("_at").replace("_", " "), value))
        for key, value in (audience.details or {}).items():
            text = value if isinstance(value, str) else jsons.dumps(value, ensure_ascii=False)
            facts.append((f"{audience.vendor}: {key}", text))
        out.table([Column("", style="dim"), Column("")], [[f"  {key}", value] for key, value in facts])


def _show_sources(reports: Sequence[SourceReport], out: Output) -> None:
    read = [r for r in reports if r.audiences is not None]
    if not read:
        return
    out.line()
    columns = [
        Column("Source", whole=True),
        Column("Matched", right=True, whole=True),
        Column("Unknown size", right=True, whole=True),
        Column("Sum", right=True, whole=True),
        Column("Of"),
    ]
    if out.terminal and out.width < NARROW:
        columns = [columns[0], columns[1], columns[3], columns[4]]
    table = []
    for r in read:
        unit = name_unit(r) if r.complete else f"{name_unit(r)} (not read in full)"
        matched = r.audiences or 0 if r.matched is None else r.matched
        known = r.unknown_sizes != matched or not matched
        total = write_range(r.sum_of_sizes or 0, r.sum_max) if known else "unknown"
        row = [r.source, f"{matched:,} of {r.audiences:,}", f"{r.unknown_sizes or 0:,}", total, unit]
        table.append(row if len(columns) == 5 else [row[0], row[1], row[3], row[4]])
    out.table(columns, table)


def name_unit(report: SourceReport) -> str:
    """What one unit of size is, by kind where kinds differ."""
    counts = report.size_counts
    if isinstance(counts, str):
        return counts
    return "; ".join(f"{kind}: {unit}" for kind, unit in counts.items())


def _show_caveats(answer: AudienceList | AudienceMatch, out: Output) -> None:
    """What makes the answer less than it seems, and the notes."""
    said_here = ("Not complete:", "Not every source was read in full")
    notes = [note for note in answer.notes or [] if not note.startswith(said_here)]
    if not answer.complete or notes:
        out.line()
    if not answer.complete:
        lower = (
            "the figures are a lower bound" if isinstance(answer, AudienceList) else "others may match too"
        )
        out.line(f"NOT COMPLETE: {lower}.", "bold red")
        for report in answer.sources:
            if report.error:
                out.line(report.error.message, "red", indent=2)
    for note in notes:
        out.line(f"Note: {in_words_of_options(note)}", "yellow")

"""`list` and `get`: the two tools for people."""

from __future__ import annotations

import json as jsons
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, TypeVar

from rich.text import Text

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, Group, SourceReport, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.cli import INCOMPLETE, OK, refuse
from audience_mcp.cli.asking import explain_unconfigured, run_to_exit, show_progress, start
from audience_mcp.cli.csv_output import write_csv
from audience_mcp.cli.output import NARROW, Column, Output, count_noun, ignore_broken_pipe, write_json
from audience_mcp.core.errors import ToolError
from audience_mcp.core.progress import Progress

AnswerT = TypeVar("AnswerT", AudienceList, AudienceMatch)

Form = Literal["text", "json", "csv"]
EVERYTHING = 10**12
"""A limit, and a number of characters, that nothing reaches: people and scripts get all that there is."""
EIGHTHS = " ▏▎▍▌▋▊▉█"
WIDE = 110
"""Columns of a terminal from which on remarks have a column of their own."""


def list_audiences(query: ListQuery, form: Form, *, sandbox: bool, page: str | None = None) -> int:
    """Ask, and print rows, totals and what the reader must know: all of it, unless `--limit` says less."""
    if "limit" not in query.model_fields_set:
        query = query.model_copy(update={"limit": EVERYTHING})
    if form == "csv":
        query = query.model_copy(update={"detail": "full"})
    return _answered(
        lambda catalog, tell: catalog.list_audiences(query, tell, EVERYTHING),
        lambda answer, out: _show_list(answer, query, out),
        form,
        sandbox=sandbox,
        page=page,
    )


def get_audience(query: GetQuery, form: Form, *, sandbox: bool, page: str | None = None) -> int:
    """Ask, and print the audience in full."""
    return _answered(
        lambda catalog, tell: catalog.get_audience(query, tell, EVERYTHING),
        _show_match,
        form,
        sandbox=sandbox,
        page=page,
    )


def _answered(
    ask: Callable[[Catalog, Progress | None], Awaitable[AnswerT]],
    show: Callable[[AnswerT, Output], None],
    form: Form,
    *,
    sandbox: bool,
    page: str | None,
) -> int:
    """Ask, then print in that form, or write a file that is a page."""

    async def main() -> int:
        startup, redactor = start(sandbox=sandbox)
        if not startup.configuration.sources:
            return refuse(explain_unconfigured(startup.configuration))
        async with startup.open_catalog() as catalog:
            with show_progress("reading") as tell:
                try:
                    answer = await ask(catalog, tell)
                except ToolError as e:
                    return refuse(for_people(redactor.text(str(e))))
        safe = redactor.json(to_dict(answer))
        if page is not None:
            from audience_mcp.cli.page_output import write_page

            write_page(safe, page)
            _tell_on_stderr(answer)
            return OK if answer.complete else INCOMPLETE
        with ignore_broken_pipe():
            if form == "json":
                write_json(safe)
            elif form == "csv":
                write_csv(type(answer).model_validate(safe))
                _tell_on_stderr(answer)
            else:
                show(type(answer).model_validate(safe), Output())
        return OK if answer.complete else INCOMPLETE

    return run_to_exit(main)


def _tell_on_stderr(answer: AudienceList | AudienceMatch) -> None:
    """What makes the answer less than it seems, beside the rows that a program reads."""
    for report in answer.sources:
        if report.error:
            print(f"audience-mcp: {report.error.message}", file=sys.stderr)


def _show_list(answer: AudienceList, query: ListQuery, out: Output) -> None:
    if answer.groups is not None:
        _groups(answer.groups, out)
    elif query.detail == "full":
        _cards(answer.audiences, out)
    elif answer.audiences:
        _rows(answer.audiences, out)
    if answer.audiences:
        out.line()
    out.line(_totals(answer), "bold")
    if answer.audiences and answer.returned < answer.matched:
        shown = f"Shown: {query.offset + 1:,} to {query.offset + answer.returned:,}."
        more = f" Next: --offset {answer.next_offset}" if answer.next_offset else ""
        out.line(f"{shown}{more}")
    _sources(answer.sources, out)
    _to_know(answer, out)


def _show_match(answer: AudienceMatch, out: Output) -> None:
    _cards(answer.audiences, out, {report.source: _unit(report) for report in answer.sources})
    _to_know(answer, out)


def _totals(answer: AudienceList) -> str:
    if not answer.matched:
        return "No audience matches." if answer.complete else "No audience matches among those read."
    audiences = count_noun(answer.matched, "audience")
    if answer.unknown_sizes == answer.matched:
        return f"{audiences}, {'all ' if answer.matched > 1 else ''}of unknown size."
    said = f"{audiences}, {_range(answer.sum_of_sizes, answer.sum_max)} in all"
    if answer.unknown_sizes:
        said += f", not counting {answer.unknown_sizes:,} of unknown size"
    return said + ("." if answer.matched == 1 else ". A person in two audiences counts twice.")


def _rows(audiences: Sequence[Audience], out: Output) -> None:
    """A table: bars where there is room, and what has no column of its own under the name."""
    roomy, wide = out.width >= NARROW, out.width >= WIDE
    remarked = any(_remarks(a) for a in audiences)
    biggest = max((a.size or 0 for a in audiences), default=0)
    size = Column("Size", right=True, whole=True)
    ref, remarks = Column("Ref", style="cyan"), Column("Remarks", style="yellow")

    def bar(a: Audience) -> str:
        return _bar(a.size, biggest, 20 if wide else 10, out.blocks)

    def name(a: Audience) -> Text:
        below = [] if roomy else [Text(a.ref, ref.style)]
        below += [Text(_remarks(a), remarks.style)] if _remarks(a) and not wide else []
        return Text("\n").join([Text(a.name), *([Text("  ").join(below)] if below else [])])

    layout: list[tuple[Column, Callable[[Audience], str | Text]]]
    if out.terminal:
        layout = [(size, _size_text), (Column("", style="blue", whole=True), bar), (Column("Audience"), name)]
        layout = layout if roomy else [layout[0], layout[2]]
        layout += [(ref, lambda a: a.ref)] if roomy else []
        layout += [(remarks, _remarks)] if wide and remarked else []
    else:
        layout = [(size, _size), (Column("Audience"), lambda a: a.name), (ref, lambda a: a.ref)]
        layout += [(remarks, _remarks)] if remarked else []
    out.table([column for column, _ in layout], [[cell(a) for _, cell in layout] for a in audiences])


def _groups(groups: Sequence[Group], out: Output) -> None:
    columns = [
        Column("Group"),
        Column("Audiences", right=True, whole=True),
        Column("Unknown size", right=True, whole=True),
        Column("Sum", right=True, whole=True),
    ]
    out.table(
        columns,
        [
            [g.key, f"{g.matched:,}", f"{g.unknown_sizes:,}", _range(g.sum_of_sizes, g.sum_max)]
            for g in groups
        ],
    )
    out.line()


def _size(audience: Audience) -> str:
    if audience.size is None:
        return "unknown"
    return _range(audience.size, audience.size_max)


def _range(low: int, high: int | None) -> str:
    return f"{low:,}" if high is None or high == low else f"{low:,} to {high:,}"


def _size_text(audience: Audience) -> str | Text:
    return Text(_size(audience), "dim") if audience.size is None else _size(audience)


def _bar(size: int | None, biggest: int, width: int, blocks: bool) -> str:
    """A bar as long as the size is beside the biggest one; a size that is not 0 is never invisible."""
    if not size or not biggest:
        return " " * width
    eighths = max(1, round(size / biggest * width * 8))
    if not blocks:
        return ("#" * max(1, eighths // 8)).ljust(width)
    return (EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(width)


def _remarks(audience: Audience) -> str:
    note = audience.size_note or ""
    type = audience.type if audience.type and not note.startswith(audience.type) else None
    return "; ".join(remark for remark in (audience.kind, type, audience.status, note) if remark)


def _cards(audiences: Sequence[Audience], out: Output, units: Mapping[str, str] | None = None) -> None:
    """Each audience with all that is known of it; `units` says what a size counts, by source."""
    for number, audience in enumerate(audiences):
        if number:
            out.line()
        out.line(audience.name, "bold")
        facts: list[tuple[str, str]] = [("ref", audience.ref), ("size", _size(audience))]
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


def _sources(reports: Sequence[SourceReport], out: Output) -> None:
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
        unit = _unit(r) if r.complete else f"{_unit(r)} (not read in full)"
        matched = r.audiences or 0 if r.matched is None else r.matched
        known = r.unknown_sizes != matched or not matched
        total = _range(r.sum_of_sizes or 0, r.sum_max) if known else "unknown"
        row = [r.source, f"{matched:,} of {r.audiences:,}", f"{r.unknown_sizes or 0:,}", total, unit]
        table.append(row if len(columns) == 5 else [row[0], row[1], row[3], row[4]])
    out.table(columns, table)


def _unit(report: SourceReport) -> str:
    """What one unit of size is, by kind where kinds differ."""
    counts = report.size_counts
    if isinstance(counts, str):
        return counts
    return "; ".join(f"{kind}: {unit}" for kind, unit in counts.items())


def _to_know(answer: AudienceList | AudienceMatch, out: Output) -> None:
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
        out.line(f"Note: {for_people(note)}", "yellow")


def for_people(text: str) -> str:
    """A sentence for callers of the tools, in the words of the command line."""
    text = text.replace("list_audiences with search", "audience-mcp list --search")
    return re.sub(r"\b(offset|limit|detail)=(\w+)", r"--\1 \2", text)

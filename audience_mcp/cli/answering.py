"""`list` and `get`: the two tools for people."""

from __future__ import annotations

import json as jsons
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from rich.text import Text

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, SourceReport, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.cli import INCOMPLETE, OK, refuse
from audience_mcp.cli.asking import explain_unconfigured, run_to_exit, show_progress, start
from audience_mcp.cli.output import NARROW, Column, Output, count_noun, ignore_broken_pipe, write_json
from audience_mcp.core.errors import ToolError
from audience_mcp.core.progress import Progress

AnswerT = TypeVar("AnswerT", AudienceList, AudienceMatch)

EIGHTHS = " ▏▎▍▌▋▊▉█"
WIDE = 110
"""Columns of a terminal from which on remarks have a column of their own."""


def list_audiences(question: ListQuery, *, sandbox: bool, json: bool) -> int:
    """Ask, and print rows, totals and what the reader must know."""
    return _answered(
        lambda catalog, tell: catalog.list_audiences(question, tell),
        lambda answer, out: _show_list(answer, question, out),
        sandbox=sandbox,
        json=json,
    )


def get_audience(question: GetQuery, *, sandbox: bool, json: bool) -> int:
    """Ask, and print the audience in full."""
    return _answered(
        lambda catalog, tell: catalog.get_audience(question, tell), _show_match, sandbox=sandbox, json=json
    )


def _answered(
    ask: Callable[[Catalog, Progress | None], Awaitable[AnswerT]],
    show: Callable[[AnswerT, Output], None],
    *,
    sandbox: bool,
    json: bool,
) -> int:
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
        with ignore_broken_pipe():
            if json:
                write_json(safe)
            else:
                show(type(answer).model_validate(safe), Output())
        return OK if answer.complete else INCOMPLETE

    return run_to_exit(main)


def _show_list(answer: AudienceList, question: ListQuery, out: Output) -> None:
    if question.detail == "full":
        _cards(answer.audiences, out)
    elif answer.audiences:
        _rows(answer.audiences, out)
    if answer.audiences:
        out.line()
    out.line(_totals(answer), "bold")
    if answer.audiences and answer.returned < answer.matched:
        shown = f"Shown: {question.offset + 1:,} to {question.offset + answer.returned:,}."
        more = f" Next: --offset {answer.next_offset}" if answer.next_offset else ""
        out.line(f"{shown}{more}")
    _sources(answer.sources, out)
    _to_know(answer, out)


def _show_match(answer: AudienceMatch, out: Output) -> None:
    _cards(answer.audiences, out, {report.source: report.size_counts for report in answer.sources})
    _to_know(answer, out)


def _totals(answer: AudienceList) -> str:
    if not answer.matched:
        return "No audience matches." if answer.complete else "No audience matches among those read."
    audiences = count_noun(answer.matched, "audience")
    if answer.unknown_sizes == answer.matched:
        return f"{audiences}, {'all ' if answer.matched > 1 else ''}of unknown size."
    said = f"{audiences}, {answer.sum_of_sizes:,} in all"
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


def _size(audience: Audience) -> str:
    if audience.size is None:
        return "unknown"
    high = f" to {audience.size_max:,}" if audience.size_max is not None else ""
    return f"{audience.size:,}{high}"


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
    kind = audience.type if audience.type and not note.startswith(audience.type) else None
    return "; ".join(remark for remark in (kind, audience.status, note) if remark)


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
        for key in ("size_note", "type", "status", "description", "created_at", "updated_at"):
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
        Column("Audiences", right=True, whole=True),
        Column("Unknown size", right=True, whole=True),
        Column("Sum", right=True, whole=True),
        Column("Of"),
    ]
    if out.terminal and out.width < NARROW:
        columns = [columns[0], columns[1], columns[3], columns[4]]
    table = []
    for r in read:
        unit = r.size_counts if r.complete else f"{r.size_counts} (not read in full)"
        known = r.unknown_sizes != r.audiences or not r.audiences
        total = f"{r.sum_of_sizes or 0:,}" if known else "unknown"
        row = [r.source, f"{r.audiences:,}", f"{r.unknown_sizes or 0:,}", total, unit]
        table.append(row if len(columns) == 5 else [row[0], row[1], row[3], row[4]])
    out.table(columns, table)


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

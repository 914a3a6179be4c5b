"""`record` and `history`: sizes stored now, and shown over time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from rich.cells import cell_len
from rich.text import Text

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.models import HistoryPoint, to_dict
from audience_mcp.catalog.over_time import By, GroupHistory
from audience_mcp.catalog.query import ListQuery, parse_arguments
from audience_mcp.catalog.recording import GroupHistories, Histories, Recorded
from audience_mcp.cli.exits import FAILED, INCOMPLETE, MISUSED, OK, Stop, refuse, say
from audience_mcp.cli.options import refuse_question
from audience_mcp.cli.output import (
    GAP,
    PADDED,
    Column,
    Output,
    Page,
    count_noun,
    ignore_broken_pipe,
    write_history_csv,
    write_json,
    write_page,
    write_totals_csv,
)
from audience_mcp.cli.plots import draw_line, draw_plot, explain_marks
from audience_mcp.cli.queries import Form
from audience_mcp.cli.running import SAVES_WITHIN_S, explain_unconfigured, run_to_exit, show_progress, start
from audience_mcp.cli.tables import NAME_WIDTH, write_change, write_range
from audience_mcp.config import Environment
from audience_mcp.core.errors import ToolError

WIDE_LINE, NARROW_LINE = 16, 8
"""Columns of a line over time, where there is room for the first, and elsewhere."""
NOT_ALIKE = "the first and the last size are not counted alike: in another unit, or one as a range"
NOT_THE_SAME = "the first and the last total are not of the same audiences, counted alike"
BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)


def record_sizes(environment: Environment, sources: Sequence[str], *, json: bool) -> int:
    """Read these sources, or all, in full and print, for each, whether its sizes were stored."""

    async def ask(catalog: Catalog) -> int:
        with show_progress("reading") as tell:
            recorded = await catalog.record(tell, sources)
        with ignore_broken_pipe():
            if json:
                write_json({"sources": [to_dict(each) for each in recorded]})
            else:
                out = Output()
                for each in recorded:
                    out.line(_write_recorded(each), "" if each.stored else "red")
        if not any(each.stored for each in recorded):
            return FAILED
        return OK if all(each.stored and not each.error for each in recorded) else INCOMPLETE

    return run_with_store(environment, "record", ask, sandbox=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What `history` was asked: which audiences, of which sources, from when on, and how they are shown."""

    text: str | None
    since: str | None
    sources: Sequence[str]
    by: By | None
    daily: bool


@dataclass(frozen=True, slots=True)
class _Line:
    """A line over time: an audience's with its ref, or a group's.

    has_change: whether its first and last size count the same, so that their difference is a net change.
    """

    name: str
    points: Sequence[HistoryPoint]
    ref: str = ""
    unknown: int = 0
    has_change: bool = True

    @property
    def change(self) -> str:
        return write_change(self.points[-1].size - self.points[0].size) if self.has_change else ""

    @property
    def size(self) -> str:
        last = self.points[-1]
        return write_range(last.size, last.size_max)


def show_history(
    environment: Environment, asked: Asked, form: Form, *, sandbox: bool, page: Page | None
) -> int:
    """Print the stored sizes over time: of all audiences, of those that a text means, or their totals."""
    start_at = _parse_since(asked.since)

    async def ask(catalog: Catalog) -> int:
        if page is not None:
            return await _write_page(catalog, asked, start_at, page)
        if asked.by is not None:
            totals = await _find_totals(catalog, asked, start_at, asked.by, daily=asked.daily)
            return _print_totals(totals, form)
        histories = await catalog.find_histories(asked.text, start_at, asked.sources, daily=asked.daily)
        return _print_histories(histories, form, alone=asked.text is not None)

    return run_with_store(environment, "history", ask, sandbox=sandbox)


async def _find_totals(
    catalog: Catalog, asked: Asked, start_at: datetime, by: By | None, *, daily: bool
) -> GroupHistories:
    return await catalog.find_totals(asked.text, start_at, asked.sources, by, daily=daily)


def _print_histories(histories: Histories, form: Form, *, alone: bool) -> int:
    with ignore_broken_pipe():
        if form == "json":
            notes = [*histories.unreadable, *histories.notes]
            told = {"notes": notes} if notes else {}
            write_json({"audiences": [to_dict(each) for each in histories.audiences], **told})
        elif form == "csv":
            write_history_csv(histories.audiences)
        else:
            lines = [
                _Line(each.name, each.history, each.ref, has_change=each.has_change)
                for each in histories.audiences
            ]
            _show(lines, Output(), alone=alone)
    return _end_with(histories.unreadable, histories.notes)


def _print_totals(totals: GroupHistories, form: Form) -> int:
    with ignore_broken_pipe():
        if form == "json":
            notes = [*totals.unreadable, *totals.notes]
            write_json({"groups": [to_dict(each) for each in totals.groups], "notes": notes})
        elif form == "csv":
            write_totals_csv(totals.groups)
        else:
            lines = [
                _Line(
                    f"{each.key} ({each.label})" if each.label else each.key,
                    _points(each),
                    unknown=each.history[-1].unknown_sizes,
                    has_change=each.has_change,
                )
                for each in totals.groups
            ]
            _show(lines, Output(), alone=len(lines) == 1)
    return _end_with(totals.unreadable, totals.notes)


def _points(group: GroupHistory) -> list[HistoryPoint]:
    return [HistoryPoint(as_of=p.as_of, size=p.sum_of_sizes, size_max=p.sum_max) for p in group.history]


async def _write_page(catalog: Catalog, asked: Asked, start_at: datetime, page: Page) -> int:
    """Write a line over time for each audience, or group, and one for all of them together."""
    if asked.by is None:
        histories = await catalog.find_histories(asked.text, start_at, asked.sources, daily=asked.daily)
        unreadable, notes, of_sizes = histories.unreadable, histories.notes, histories.notes
        rows = [
            {**to_dict(each), "size": each.history[-1].size, "has_change": each.has_change}
            for each in histories.audiences
        ]
    else:
        totals = await _find_totals(catalog, asked, start_at, asked.by, daily=asked.daily)
        unreadable, notes, of_sizes = totals.unreadable, totals.notes, []
        rows = [_as_row(each.label or each.key, each) for each in totals.groups]
    answer: dict[str, object] = {"complete": not unreadable, "matched": len(rows), "audiences": rows}
    if len(rows) > 1:
        # Once a day: sources are read some seconds apart, and their sum is of no interest in between.
        together = await _find_totals(catalog, asked, start_at, None, daily=True)
        (whole,) = together.groups
        unknown = whole.history[-1].unknown_sizes
        answer["total"] = {**_as_row("", whole), "unknown_sizes": unknown}
        notes = [*of_sizes, *together.notes]
    write_page({**answer, "sources": [], "notes": [*unreadable, *notes]}, page, catalog.name_codes({}))
    return INCOMPLETE if unreadable else OK


def _as_row(name: str, group: GroupHistory) -> dict[str, object]:
    points = [to_dict(point) for point in _points(group)]
    return {"name": name, "size": points[-1]["size"], "history": points, "has_change": group.has_change}


def _end_with(unreadable: Sequence[str], notes: Sequence[str]) -> int:
    """Say on stderr what sizes mean, and which are missing. Returns the exit code."""
    for note in (*notes, *unreadable):
        say(f"audience-mcp: {note}")
    return INCOMPLETE if unreadable else OK


def run_with_store(
    environment: Environment, command: str, ask: Callable[[Catalog], Awaitable[int]], *, sandbox: bool
) -> int:
    """Run a command that needs a store, and a vendor unless it is `history`. Returns the exit code."""

    async def main() -> int:
        startup = start(environment, sandbox=sandbox)
        if command != "history" and not startup.configuration.sources:
            return refuse(explain_unconfigured())
        if not sandbox and startup.configuration.settings.store == "off":
            raise Stop(
                (
                    f"{command} needs a store, and AUDIENCE_MCP_STORE is off. Leave it out, or set it to "
                    "a folder."
                ),
                MISUSED,
            )
        async with startup.open_catalog(SAVES_WITHIN_S) as catalog:
            try:
                return await ask(catalog)
            except ToolError as e:
                return refuse_question(e)
            finally:
                if trouble := catalog.take_note():
                    say(f"audience-mcp: {trouble}")

    return run_to_exit(main)


def _parse_since(text: str | None) -> datetime:
    """Return the moment of the first size to show. Raises Stop."""
    if text is None:
        return BEGINNING
    try:
        return parse_arguments(ListQuery, {"updated_since": text}).updated_since or BEGINNING
    except ToolError as e:
        raise Stop(str(e).replace("'updated_since'", "--since"), MISUSED) from None


def _write_recorded(each: Recorded) -> str:
    why = each.error.message.removeprefix(f"{each.source}: ") if each.error else ""
    if not each.stored:
        return f"{each.source}: not stored: {why or each.why or 'the store has not taken it.'}"
    unknown = f", {each.unknown_sizes:,} of unknown size" if each.unknown_sizes else ""
    stored = (
        f"{each.source}: stored {count_noun(each.audiences or 0, 'audience')}{unknown}, as of {each.as_of}."
    )
    return f"{stored} {why}".rstrip()


def _show(lines: Sequence[_Line], out: Output, *, alone: bool) -> None:
    if alone:
        for number, each in enumerate(lines):
            if number:
                out.line()
            _show_plot(each, out)
        return
    of_audiences = bool(lines[0].ref)
    facts: list[tuple[Column, list[str | Text]]] = [
        (Column("Size", right=True, whole=True), [each.size for each in lines]),
        (Column("Change", right=True, whole=True), [each.change for each in lines]),
    ]
    if any(each.unknown for each in lines):
        facts.append((Column("Unknown", right=True, whole=True), [f"{each.unknown:,}" for each in lines]))
    taken = sum(
        max(cell_len(str(cell)) for cell in [column.heading, *cells]) + GAP for column, cells in facts
    )
    refs_take = max(cell_len(each.ref) for each in lines) + GAP if of_audiences else 0
    longest = max(cell_len(each.name) for each in lines)
    names_take = min(longest, NAME_WIDTH if out.terminal else PADDED)
    room = out.width - taken - names_take - refs_take
    width = WIDE_LINE if room >= WIDE_LINE + GAP else NARROW_LINE
    # Where a ref has no room beside the name, it stands below it.
    is_below = out.terminal and room < width + GAP and refs_take <= out.width - taken - width - GAP
    drawn: list[str | Text] = [draw_line(each.points, width, out.blocks) for each in lines]
    names: list[str | Text] = [
        Text("\n").join([Text(each.name), Text(each.ref, "cyan")]) if is_below else each.name
        for each in lines
    ]
    layout = [*facts, (Column("", style="blue", whole=True), drawn)]
    layout.append((Column("Audience" if of_audiences else "Total of"), names))
    if of_audiences and not is_below:
        layout.append((Column("Ref", style="cyan", whole=True), [each.ref for each in lines]))
    out.table(
        [column for column, _ in layout], [list(row) for row in zip(*(c for _, c in layout), strict=True)]
    )
    out.line()
    first = min(each.points[0].as_of for each in lines)
    last = max(each.points[-1].as_of for each in lines)
    what = count_noun(len(lines), "audience" if of_audiences else "total")
    out.line(f"{what}, between {first} and {last}.", "bold")
    whose = "an audience's smallest size" if of_audiences else "the smallest total"
    out.line(f"Each line goes from {whose} to its biggest; a change is net.")
    if not all(each.has_change for each in lines):
        out.line(f"No change is given where {NOT_ALIKE if of_audiences else NOT_THE_SAME}.")
    every = (point for each in lines for point in each.points)
    if (explained := explain_marks(every, out.blocks, in_line=True)) is not None:
        out.line(explained)


def _show_plot(each: _Line, out: Output) -> None:
    first, last = each.points[0], each.points[-1]
    out.line(f"{each.name}  [{each.ref}]" if each.ref else each.name, "bold")
    for line in draw_plot(each.points, min(out.width, 80), out.blocks):
        out.line(line)
    if (explained := explain_marks(each.points, out.blocks)) is not None:
        out.line(explained)
    if first.as_of == last.as_of:
        out.line(f"{each.size} at {last.as_of}, the only moment that is stored.")
    else:
        sizes = f"{write_range(first.size, first.size_max)} at {first.as_of}, {each.size} at {last.as_of}"
        why = NOT_ALIKE if each.ref else NOT_THE_SAME
        out.line(
            f"{sizes}: {each.change} net."
            if each.has_change
            else f"{sizes}: no change is given, since {why}."
        )
    if each.unknown:
        out.line(f"{count_noun(each.unknown, 'audience')} of unknown size: in no total.")

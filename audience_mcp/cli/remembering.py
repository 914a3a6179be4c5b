"""`record` and `history`: sizes are stored now, and looked at over time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timezone

from rich.text import Text

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.models import to_dict
from audience_mcp.catalog.query import ListQuery, parse_arguments
from audience_mcp.catalog.remembered import Histories, Recorded, SizeHistory
from audience_mcp.cli import FAILED, INCOMPLETE, MISUSED, OK, Stop, refuse, say
from audience_mcp.cli.asking import explain_unconfigured, run_to_exit, show_progress, start
from audience_mcp.cli.changes import write_change
from audience_mcp.cli.csv_output import write_history_csv
from audience_mcp.cli.options import in_words_of_options
from audience_mcp.cli.output import NARROW, Column, Output, count_noun, ignore_broken_pipe, write_json
from audience_mcp.cli.plots import draw_line, draw_plot
from audience_mcp.cli.queries import Form
from audience_mcp.core.errors import ToolError

BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
MESSAGES = {
    "off": "{command} needs a store, and AUDIENCE_MCP_STORE is off. Leave it out, or set it to a folder.",
    "not_stored": "not stored: {why}",
    "no_reason": "the store has not taken it.",
}


def record_sizes(*, json: bool) -> int:
    """Read every source to its end, and say of each what the history now has."""

    async def ask(catalog: Catalog) -> int:
        with show_progress("reading") as tell:
            recorded = await catalog.record(tell)
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

    return _run("record", ask, sandbox=False)


def show_history(text: str | None, since: str | None, form: Form, *, sandbox: bool, page: str | None) -> int:
    """Print the stored sizes of all audiences over time, or of those that `text` means."""
    start_at = _parse_since(since)

    async def ask(catalog: Catalog) -> int:
        if sandbox:  # made up when its audiences are first read
            await catalog.list_audiences(ListQuery(limit=0))
        histories = await catalog.find_histories(text, start_at)
        if page is not None:
            from audience_mcp.cli.page_output import write_page

            write_page(_as_answer(histories), page)
            return OK
        with ignore_broken_pipe():
            if form == "json":
                write_json({"audiences": [to_dict(each) for each in histories.audiences]})
            elif form == "csv":
                write_history_csv(histories.audiences)
            else:
                _show(histories.audiences, Output(), alone=text is not None)
        for note in histories.notes:
            say(f"audience-mcp: {note}")
        return INCOMPLETE if histories.notes else OK

    return _run("history", ask, sandbox=sandbox)


def _run(command: str, ask: Callable[[Catalog], Awaitable[int]], *, sandbox: bool) -> int:
    async def main() -> int:
        startup = start(sandbox=sandbox)
        if not startup.configuration.sources:
            return refuse(explain_unconfigured(startup.configuration))
        if not sandbox and startup.configuration.settings.store == "off":
            raise Stop(MESSAGES["off"].format(command=command), MISUSED)
        async with startup.open_catalog() as catalog:
            try:
                return await ask(catalog)
            except ToolError as e:
                return refuse(in_words_of_options(str(e)))
            finally:
                if trouble := catalog.take_note():
                    say(f"audience-mcp: {trouble}")

    return run_to_exit(main)


def _parse_since(text: str | None) -> datetime:
    """The moment from which on sizes are shown. Raises Stop."""
    if text is None:
        return BEGINNING
    try:
        return parse_arguments(ListQuery, {"updated_since": text}).updated_since or BEGINNING
    except ToolError as e:
        raise Stop(str(e).replace("'updated_since'", "--since"), MISUSED) from None


def _write_recorded(each: Recorded) -> str:
    why = each.error.message.removeprefix(f"{each.source}: ") if each.error else ""
    if not each.stored:
        return f"{each.source}: {MESSAGES['not_stored'].format(why=why or each.why or MESSAGES['no_reason'])}"
    unknown = f", {each.unknown_sizes:,} of unknown size" if each.unknown_sizes else ""
    stored = (
        f"{each.source}: stored {count_noun(each.audiences or 0, 'audience')}{unknown}, as of {each.as_of}."
    )
    return f"{stored} {why}".rstrip()


def _as_answer(histories: Histories) -> dict[str, object]:
    """As the page takes it: each audience with its last size, and a line over time."""
    rows = [{**to_dict(each), "size": each.history[-1].size} for each in histories.audiences]
    return {
        "complete": True,
        "matched": len(rows),
        "audiences": rows,
        "sources": [],
        "notes": histories.notes,
    }


def _show(audiences: Sequence[SizeHistory], out: Output, *, alone: bool) -> None:
    if alone:
        for number, each in enumerate(audiences):
            if number:
                out.line()
            _show_plot(each, out)
        return
    roomy = out.width >= NARROW or not out.terminal
    columns = [
        Column("Size", right=True, whole=True),
        Column("Change", right=True, whole=True),
        Column("", style="blue", whole=True),
        Column("Audience"),
        Column("Ref", style="cyan"),
    ]
    rows: list[list[str | Text]] = []
    for each in audiences:
        line = draw_line(each.history, 16 if roomy else 8, out.blocks)
        rows.append([f"{each.history[-1].size:,}", write_change(_change(each)), line, each.name, each.ref])
    out.table(columns, rows)
    out.line()
    first = min(each.history[0].as_of for each in audiences)
    last = max(each.history[-1].as_of for each in audiences)
    out.line(f"{count_noun(len(audiences), 'audience')}, between {first} and {last}.", "bold")
    out.line("Each line goes from an audience's smallest size to its biggest; a change is net.")


def _show_plot(each: SizeHistory, out: Output) -> None:
    first, last = each.history[0], each.history[-1]
    out.line(f"{each.name}  [{each.ref}]", "bold")
    for line in draw_plot(each.history, min(out.width, 80), out.blocks):
        out.line(line)
    out.line(
        f"{first.size:,} at {first.as_of}, {last.size:,} at {last.as_of}: {write_change(_change(each))} net."
    )


def _change(each: SizeHistory) -> int:
    return each.history[-1].size - each.history[0].size

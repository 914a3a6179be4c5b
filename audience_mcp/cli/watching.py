"""`watch`: what needs attention since a moment, for scheduled jobs that pass it on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timezone
from typing import Literal

from rich.cells import cell_len
from rich.text import Text

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.changes import ChangeBound, parse_change
from audience_mcp.catalog.models import Audience
from audience_mcp.catalog.query import ListQuery, parse_arguments
from audience_mcp.catalog.watch import ALL, Conditions, Found, Watched
from audience_mcp.cli.exits import FOUND, INCOMPLETE, MISUSED, OK, Stop, refuse, say
from audience_mcp.cli.options import in_words_of_options, parse_since
from audience_mcp.cli.output import (
    Column,
    Output,
    count_noun,
    ignore_broken_pipe,
    write_json,
    write_watch_csv,
)
from audience_mcp.cli.running import show_progress
from audience_mcp.cli.sizes import run_with_store
from audience_mcp.cli.tables import write_change, write_moment, write_percent, write_record, write_size
from audience_mcp.config import Environment
from audience_mcp.core.errors import InvalidArgument, ToolError

Form = Literal["text", "json", "csv", "markdown"]
_MARKUP = re.compile(r"([\\`*_\[\]|~])")
BAD_BOUND = "{option} must be a whole number such as 500, or a percentage such as 10% or 1.5%, above 0."


def choose_form(json: bool, csv: bool, markdown: bool) -> Form:
    """Return the form that the options ask for. Raises Stop."""
    if json + csv + markdown > 1:
        raise Stop("choose one of --json, --csv and --markdown.", MISUSED)
    return "json" if json else "csv" if csv else "markdown" if markdown else "text"


def parse_conditions(drop: str | None, grow: str | None, gone: bool, issue: Sequence[str]) -> Conditions:
    """Return the conditions that the options mean: all, where none is given. Raises Stop."""
    issues = _parse({"issue": ",".join(issue)}).issue or ()
    if drop is None and grow is None and not gone and not issues:
        return ALL
    return Conditions(_parse_bound("--drop", drop), _parse_bound("--grow", grow), gone, frozenset(issues))


def watch_audiences(
    environment: Environment,
    conditions: Conditions,
    since: str,
    sources: Sequence[str],
    form: Form,
    *,
    sandbox: bool,
) -> int:
    """Print what meets any of the conditions since a moment."""
    query = _parse({"compare_to": parse_since(since), **({"sources": list(sources)} if sources else {})})

    async def ask(catalog: Catalog) -> int:
        with show_progress("reading") as tell:
            try:
                watched = await catalog.watch(query, conditions, tell)
            except InvalidArgument as e:
                return refuse(_in_words(e), MISUSED)
        with ignore_broken_pipe():
            if form == "json":
                write_json(watched.as_dict())
            elif form == "csv":
                write_watch_csv(watched)
            elif form == "markdown":
                print(_as_markdown(watched))
            else:
                _show(watched, Output())
        for report in watched.answer.sources:
            if report.error:
                say(f"audience-mcp: {in_words_of_options(report.error.message)}")
        for note in watched.notes if form == "csv" else watched.unjudged:
            say(f"audience-mcp: {_in_words_of_watch(note)}")
        return FOUND if watched.found else OK if watched.complete else INCOMPLETE

    return run_with_store(environment, "watch", ask, sandbox=sandbox)


def _parse(arguments: dict[str, object]) -> ListQuery:
    try:
        return parse_arguments(ListQuery, arguments)
    except ToolError as e:
        raise Stop(_in_words(e), MISUSED) from None


def _in_words(error: ToolError) -> str:
    return _in_words_of_watch(str(error))


def _in_words_of_watch(text: str) -> str:
    return in_words_of_options(text).replace("--compare-to", "--since")


def _parse_bound(option: str, text: str | None) -> ChangeBound | None:
    """Return by how much an audience must have changed at least. Raises Stop."""
    if text is None:
        return None
    try:
        bound = parse_change(text)
    except ValueError:
        raise Stop(BAD_BOUND.format(option=option), MISUSED) from None
    if bound.amount <= 0:
        raise Stop(BAD_BOUND.format(option=option), MISUSED)
    return bound


def _summary(watched: Watched) -> str:
    """Return what was found; since the moment asked for, if all is compared with readings of about then."""
    judged = watched.conditions.compare and not (watched.late or watched.far or watched.unjudged)
    since = f" since {_write_time(watched.since)}" if judged else ""
    of = count_noun(watched.answer.matched, "audience")
    if not watched.found:
        return f"Nothing needs attention{since}; {of} read."
    number = len(watched.found)
    need = "needs" if number == 1 else "need"
    return f"{count_noun(number, 'audience')} {need} attention{since}; {of} read."


def _caveats(watched: Watched) -> list[str]:
    """What the figures do not say, and which readings they are compared with."""
    notes = [_in_words_of_watch(note) for note in watched.other_notes]
    is_said = any(note.startswith("Not complete:") for note in notes)
    lines = [] if watched.complete or is_said else ["Not complete: not every source could be judged in full."]
    if watched.unknown_changes:
        unknown = count_noun(watched.unknown_changes, "audience")
        lines.append(f"{unknown} of unknown size then or now: whether they dropped or grew is not known.")
    return [*_baselines(watched), *lines, *notes]


def _baselines(watched: Watched) -> list[str]:
    """Which readings of ours are compared with: a line for each day, with its sources."""
    days: dict[tuple[bool, date], dict[str, datetime]] = {}
    for source, at in watched.moments.items():
        days.setdefault((at > watched.since, at.astimezone(timezone.utc).date()), {})[source] = at
    lines = []
    for (is_late, _), moments in sorted(days.items()):
        first, last = _write_time(min(moments.values())), _write_time(max(moments.values()))
        when = first if first == last else f"{first.removesuffix(' UTC')} to {last[11:]}"
        everything = len(moments) == len(watched.answer.sources) > 1
        sources = "all sources" if everything else ", ".join(moments)
        asked = _write_time(watched.since)
        if is_late:
            when = f"the first reading after it, {when}"
            lines.append(f"Nothing is stored of {asked} or before: compared with {when} ({sources}).")
        elif not watched.far.isdisjoint(moments):
            lines.append(f"Compared with the last reading before {asked}, {when} ({sources}).")
        else:
            lines.append(f"Compared with {when} ({sources}).")
    return lines


def _write_time(at: datetime) -> str:
    return write_moment(at.astimezone(timezone.utc).isoformat())


def _change(audience: Audience) -> str:
    """`-1,204 (-10.4%)`; empty where it is unknown."""
    if audience.change is None:
        return ""
    percent = write_percent(audience.change, audience.size_then)
    return f"{write_change(audience.change)} ({percent})" if percent else write_change(audience.change)


def _size(each: Found) -> str:
    if "gone" in each.conditions:
        then = each.audience.size_then
        return "gone" if then is None else f"gone, {then:,} then"
    return write_size(each.audience)


def _remarks(each: Found) -> str:
    """The issues, and of what the size then is, if not of the reading that its source is compared with."""
    audience = each.audience
    remarks = list(audience.issues or ()) if "issue" in each.conditions else []
    if audience.size_then is not None:
        counted = f"then: counted {write_moment(audience.then_as_of)}" if audience.then_as_of else None
        remarks += filter(None, [write_record(audience) or counted])
    return "; ".join(remarks)


_FACTS: Sequence[tuple[Column, Callable[[Found], str]]] = (
    (Column("Condition", whole=True), lambda each: " ".join(each.conditions)),
    (Column("Size", right=True, whole=True), _size),
    (Column("Change", right=True, whole=True), lambda each: _change(each.audience)),
    (Column("Audience"), lambda each: each.audience.name),
    (Column("Ref", style="cyan", whole=True), lambda each: each.audience.ref),
)


def _show(watched: Watched, out: Output) -> None:
    if watched.found:
        shown = [*_FACTS, (Column("Remarks", style="yellow"), _remarks)]
        width = sum(
            max(cell_len(cell(each)) for each in watched.found) + 2 for column, cell in shown if column.whole
        )
        if out.terminal and width + 40 > out.width:
            _show_stacked(watched.found, out)
        else:
            rows: list[list[str | Text]] = [[cell(each) for _, cell in shown] for each in watched.found]
            out.table([column for column, _ in shown], rows)
        out.line()
    out.line(_summary(watched), "bold")
    for line in _caveats(watched):
        out.line(line)
    for note in watched.unjudged if not out.terminal else ():  # on a terminal it is beside what stderr says
        out.line(_in_words_of_watch(note))


def _show_stacked(found: Sequence[Found], out: Output) -> None:
    """Print each audience on lines of its own, for a terminal that has no room for a table."""
    for each in found:
        out.line(each.audience.name, "bold")
        facts = (" ".join(each.conditions), _size(each), _change(each.audience))
        out.line("  ".join(fact for fact in facts if fact), indent=2)
        out.line(each.audience.ref, "cyan", indent=2)
        if remarks := _remarks(each):
            out.line(remarks, "yellow", indent=2)


def _as_markdown(watched: Watched) -> str:
    """Return what was found for a mail, a ticket or a chat. Names are text there too, and never markup."""
    lines = [f"**{_escape(_summary(watched))}**"]
    if watched.found:
        shown = [*_FACTS, (Column("Remarks"), _remarks)]
        lines += ["", f"| {' | '.join(column.heading for column, _ in shown)} |"]
        lines.append(f"|{'|'.join(' ---: ' if column.right else ' --- ' for column, _ in shown)}|")
        lines += [f"| {' | '.join(_escape(cell(each)) for _, cell in shown)} |" for each in watched.found]
    notes = [*_caveats(watched), *map(_in_words_of_watch, watched.unjudged)]
    lines += ["", *(f"- {_escape(note)}" for note in notes)]
    return "\n".join(lines).rstrip()


def _escape(text: str) -> str:
    """Return a text in which nothing is markup, in Markdown or in the HTML that may stand in it."""
    return _MARKUP.sub(r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

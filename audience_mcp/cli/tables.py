"""Answers for people: tables, one audience in full, totals, changes and notes."""

from __future__ import annotations

import json as jsons
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from audience_mcp.catalog.models import (
    Audience,
    AudienceList,
    AudienceMatch,
    Compared,
    Group,
    HistoryPoint,
    SourceReport,
    Unit,
)
from audience_mcp.catalog.query import ListQuery
from audience_mcp.cli.options import in_words_of_options
from audience_mcp.cli.output import NARROW, Column, Output, count_noun
from audience_mcp.cli.plots import draw_plot, explain_marks

EIGHTHS = " ▏▎▍▌▋▊▉█"
WIDE = 110
"""Terminal width, in columns, from which remarks have a column of their own."""
NAME_WIDTH, REMARKS_WIDTH = 20, 24
"""Columns that names, and remarks, get at least in a table."""
MOST_SOURCES = 10
"""Sources that a table below the audiences has at most; of more, it has those that were not read in full."""
REMARKS = Column("Remarks", style="yellow")
_Layout = tuple[Column, Callable[[Audience], "str | Text"]]
OLDER = "as of its last complete reading"
"""What a report's error says if an earlier reading answers in place of one that failed."""


def show_list(answer: AudienceList, query: ListQuery, out: Output) -> None:
    """Print rows or groups, totals, sources and notes."""
    if answer.groups is not None:
        _show_groups(answer.groups, out)
    elif query.detail == "full":
        _show_cards(answer.audiences, out)
    elif answer.audiences:
        _show_rows(answer.audiences, query, out)
    if answer.audiences:
        out.line()
    out.line(_write_totals(answer), "bold")
    if answer.audiences and answer.returned < answer.matched:
        shown = f"Shown: {query.offset + 1:,} to {query.offset + answer.returned:,}."
        more = f" Next: --offset {answer.next_offset}" if answer.next_offset else ""
        out.line(f"{shown}{more}")
    if answer.compared is not None:
        _show_compared(answer.compared, out)
    _show_sources(answer, query, out)
    if answer.compared is not None:
        _show_moments(answer.sources, out)
    else:
        _show_when_read(answer.sources, out, stored=query.as_of is not None)
    _show_caveats(answer, out)


def show_match(answer: AudienceMatch, out: Output, *, since: datetime | None = None) -> None:
    """Print each audience in full, and notes. since: print its sizes from this date on, too."""
    units = {report.source: report.size_counts for report in answer.sources}
    _show_cards(answer.audiences, out, units, since)
    _show_when_read(answer.sources, out)
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


def _show_rows(audiences: Sequence[Audience], query: ListQuery, out: Output) -> None:
    """Print the rows: a table with bars where there is room; refs are never broken."""
    wide = out.width >= WIDE
    compared = any(a.new or a.size_then is not None for a in audiences)
    remarked = any(_list_remarks(a) for a in audiences)
    biggest = max((a.size or 0 for a in audiences), default=0)
    bars = 20 if wide else 10

    def bar(a: Audience) -> str:
        return draw_bar(a.size, biggest, bars, out.blocks)

    def name_with_remarks(a: Audience) -> Text:
        remarks = _list_remarks(a)
        return Text("\n").join([Text(a.name), *([Text(remarks, REMARKS.style)] if remarks else [])])

    facts: list[_Layout] = [
        (Column("Size", right=True, whole=True), _size_cell if out.terminal else write_size)
    ]
    if compared:
        facts.append((Column("Change", right=True, whole=True), _change_cell))
        facts.append((Column("%", right=True, whole=True), lambda a: write_percent(a.change, a.size_then)))
    if shown_date := _date_asked_for(query):
        heading, get = shown_date
        facts.append((Column(heading, whole=True), lambda a: (get(a) or "unknown")[:10]))
    refs: list[_Layout] = [(Column("Ref", style="cyan", whole=True), lambda a: a.ref)]
    beside: list[_Layout] = [(REMARKS, _list_remarks)] if remarked and (wide or not out.terminal) else []
    if not out.terminal:
        _print_layout([*facts, (Column("Audience"), lambda a: a.name), *refs, *beside], audiences, out)
        return
    name = (Column("Audience"), (lambda a: a.name) if beside else name_with_remarks)
    room = out.width - _width_of([*facts, *refs], audiences) - (REMARKS_WIDTH if beside else 0)
    if room < NAME_WIDTH:
        _print_stacked(facts, audiences, out)
        return
    with_bars = room - bars - 2 >= NAME_WIDTH and out.width >= NARROW
    barred: list[_Layout] = [(Column("", style="blue", whole=True), bar)] if with_bars else []
    _print_layout([facts[0], *facts[1:], *barred, name, *refs, *beside], audiences, out)


def _print_layout(layout: Sequence[_Layout], audiences: Sequence[Audience], out: Output) -> None:
    out.table([column for column, _ in layout], [[cell(a) for _, cell in layout] for a in audiences])


def _width_of(layout: Sequence[_Layout], audiences: Sequence[Audience]) -> int:
    """Return the columns of a terminal that these columns of a table take, with the gaps after them."""
    cells = [[column.heading, *(str(cell(a)) for a in audiences)] for column, cell in layout]
    return sum(max(map(cell_len, column)) + 2 for column in cells)


def _print_stacked(facts: Sequence[_Layout], audiences: Sequence[Audience], out: Output) -> None:
    """Print each audience on lines of its own, for a terminal that has no room for a table."""
    for a in audiences:
        out.line(a.name, "bold")
        out.line("  ".join(str(cell(a)) for _, cell in facts), indent=2)
        out.line(a.ref, "cyan", indent=2)
        if remarks := _list_remarks(a):
            out.line(remarks, REMARKS.style, indent=2)


def _date_asked_for(query: ListQuery) -> tuple[str, Callable[[Audience], str | None]] | None:
    """Return the heading and the date that filters or order are about; None if they are about none."""
    if query.updated_since or query.updated_before or query.sort.startswith("updated"):
        return "Updated", lambda a: a.updated_at
    if query.created_since or query.created_before or query.sort in ("newest", "oldest"):
        return "Created", lambda a: a.created_at
    return None


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
        columns += [Column("Change", right=True, whole=True), Column("%", right=True, whole=True)]
        rows = [
            [
                *row,
                "unknown" if g.change is None else write_change(g.change),
                write_percent(g.change, g.sum_then),
            ]
            for row, g in zip(rows, groups, strict=True)
        ]
    out.table(columns, rows)
    out.line()


def _change_cell(audience: Audience) -> str | Text:
    """Return the change, `new`, or `unknown` where the size then or now is unknown."""
    if audience.new:
        return Text("new", "green")
    if audience.change is None:
        return Text("unknown", "dim")
    return write_change(audience.change)


def _show_compared(compared: Compared, out: Output) -> None:
    """Print the change over all matches, and what is new, gone or unknown."""
    known = f"{compared.sum_then:,} then, {compared.sum_now:,} now: {write_change(compared.change)} net"
    percent = write_percent(compared.change, compared.sum_then)
    known += f" ({percent})" if percent else ""
    out.line(f"Audiences known both times: {known}, not people added.")
    counts = [
        (compared.new, f"{compared.new:,} new"),
        (compared.gone, f"{compared.gone or 0:,} gone"),
        (compared.unknown, f"{compared.unknown:,} of unknown size then or now"),
    ]
    besides = [text for count, text in counts if count]
    if besides:
        out.line(f"Besides: {', '.join(besides)}.")
    for gone in compared.gone_audiences or []:
        size = "unknown" if gone.size_then is None else f"{gone.size_then:,}"
        out.line(f"gone: {gone.name} [{gone.ref}], {size} then", indent=2)
    left = (compared.gone or 0) - len(compared.gone_audiences or [])
    if left:
        out.line(f"gone: {count_noun(left, 'more audience')}", indent=2)


def _show_moments(reports: Sequence[SourceReport], out: Output) -> None:
    """Print which two moments are compared, for each source."""
    out.line()
    out.line("Compared:")
    moments: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        if report.compared_to and report.as_of:
            both = write_moment(report.compared_to), write_moment(report.as_of)
            moments.setdefault(both, []).append(report.source)
    for (then, now), sources in moments.items():
        out.line(f"{then} with {now}: {', '.join(sources)}", indent=2)


def write_size(audience: Audience) -> str:
    """Write a size, a range, or `unknown`."""
    if audience.size is None:
        return "unknown"
    return write_range(audience.size, audience.size_max)


def write_range(low: int, high: int | None) -> str:
    """Write a number, or both ends of a range."""
    return f"{low:,}" if high is None or high == low else f"{low:,} to {high:,}"


def write_percent(change: int | None, then: int | None) -> str:
    """Write a change in percent of the size then: `+8.5%`; empty where it is unknown, or the size then 0."""
    if change is None or not then:
        return ""
    percent = change / then * 100
    if change and abs(percent) < 0.05:
        return "+<0.1%" if change > 0 else "-<0.1%"
    return f"{percent:+,.1f}%" if change else "0%"


def write_change(change: int) -> str:
    """Write a change with its sign: `+1,204`, `-36`, `0`."""
    return f"{change:+,}" if change else "0"


def _size_cell(audience: Audience) -> str | Text:
    return Text(write_size(audience), "dim") if audience.size is None else write_size(audience)


def draw_bar(size: int | None, biggest: int, width: int, blocks: bool) -> str:
    """Return a bar, padded to `width`, as long as the size relative to the biggest; never empty above 0."""
    if not size or not biggest:
        return " " * width
    eighths = max(1, round(size / biggest * width * 8))
    if not blocks:
        return ("#" * max(1, eighths // 8)).ljust(width)
    return (EIGHTHS[8] * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(width)


def _list_remarks(audience: Audience) -> str:
    note = audience.size_note or ""
    type = audience.type if audience.type and not note.startswith(audience.type) else None
    then = write_record(audience)
    return "; ".join(remark for remark in (audience.kind, type, audience.status, note, then) if remark)


def write_record(audience: Audience) -> str | None:
    """Write that the size then is of the vendor's own record, if it is."""
    if audience.then_from is None:
        return None
    of = f" of {audience.then_as_of}" if audience.then_as_of else ""
    return f"then: the vendor's own record{of}"


def _show_cards(
    audiences: Sequence[Audience],
    out: Output,
    units: Mapping[str, Unit] | None = None,
    since: datetime | None = None,
) -> None:
    """Print all that is known of each audience. `units`: what a size counts, by source."""
    for number, audience in enumerate(audiences):
        if number:
            out.line()
        out.line(audience.name, "bold")
        facts: list[tuple[str, str]] = [("ref", audience.ref), ("size", write_size(audience))]
        if audience.gone:
            facts.append(("gone", f"last seen {write_moment(audience.last_seen_at)}; size is its last known"))
        unit = (units or {}).get(audience.source or "")
        if audience.size is not None and unit:
            facts.append(("size counts", write_unit(unit, audience.kind)))
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
        if since is not None or audience.gone:
            _show_past(audience.history or [], since, out)


def _show_past(history: Sequence[HistoryPoint], since: datetime | None, out: Output) -> None:
    out.line()
    if not history:
        said = "No size is stored" if since is None else f"No size is stored since {since:%Y-%m-%d}"
        out.line(f"{said}: audience-mcp record stores today's.", indent=2)
        return
    for line in draw_plot(history, min(out.width, 80) - 2, out.blocks):
        out.line(line, indent=2)
    if (explained := explain_marks(history, out.blocks)) is not None:
        out.line(explained, indent=2)
    first, last = history[0], history[-1]
    if (first.size_max is None) is not (last.size_max is None):
        said = "no change is given, since one of them is a range"
    else:
        said = f"{write_change(last.size - first.size)} net"
        percent = write_percent(last.size - first.size, first.size)
        said += f" ({percent})" if percent and last.size != first.size else ""
    then, now = (write_range(each.size, each.size_max) for each in (first, last))
    out.line(f"{then} at {first.as_of}, {now} at {last.as_of}: {said}.", indent=2)


def _show_sources(answer: AudienceList, query: ListQuery, out: Output) -> None:
    """Print matches by source where there are several, or where not all was read; and what sizes count."""
    read = [r for r in answer.sources if r.audiences is not None]
    full = query.detail == "full" or query.limit == 0
    shown = [r for r in read if full or not r.complete or _matched(r)]
    if answer.groups is not None and query.group_by == "source" and answer.complete:
        shown = []  # the groups have said it
    listed = shown
    if len(shown) > MOST_SOURCES and not full:
        listed = [r for r in shown if not r.complete]
        in_full = "all" if not listed else f"{len(shown) - len(listed)} of them"
        out.line()
        out.line(f"{len(shown)} sources, {in_full} read in full; --group-by source shows each.")
    if len(listed) > 1 or (listed and (full or not answer.complete)):
        out.line()
        _print_sources(listed, out)
        none = [r.source for r in read if r not in shown]
        if none:
            out.line(f"Nothing matches at {', '.join(none)}.")
    units: dict[str, list[str]] = {}
    for r in shown or [r for r in read if _matched(r)]:
        units.setdefault(name_unit(r), []).append(r.vendor or r.source)
    if units:
        out.line()
        each = [f"{', '.join(dict.fromkeys(names))}: {unit}" for unit, names in units.items()]
        out.line(
            f"What sizes count: {' | '.join(each)}." if len(each) > 1 else f"Sizes count {next(iter(units))}."
        )


def _print_sources(reports: Sequence[SourceReport], out: Output) -> None:
    columns = [Column("Source", whole=True), Column("Matched", right=True, whole=True)]
    unknown, partial = any(r.unknown_sizes for r in reports), any(not r.complete for r in reports)
    unknown = unknown and (not out.terminal or out.width >= NARROW)
    columns += [Column("Unknown size", right=True, whole=True)] if unknown else []
    columns += [Column("Sum", right=True, whole=True)]
    columns += [Column("Read", whole=True)] if partial else []
    table = []
    for r in reports:
        matched = _matched(r)
        known = r.unknown_sizes != matched or not matched
        row = [r.source, f"{matched:,} of {r.audiences:,}"]
        row += [f"{r.unknown_sizes or 0:,}"] if unknown else []
        row += [write_range(r.sum_of_sizes or 0, r.sum_max) if known else "unknown"]
        row += ["in full" if r.complete else _describe_read(r)] if partial else []
        table.append(row)
    out.table(columns, table)


def _describe_read(report: SourceReport) -> str:
    if _is_older(report):
        return f"before, at {write_moment(report.as_of)}"
    return "sizes to come" if report.sizes_pending and report.audiences else "in part"


def _is_older(report: SourceReport) -> bool:
    return report.error is not None and OLDER in report.error.message


def _matched(report: SourceReport) -> int:
    return (report.audiences or 0) if report.matched is None else report.matched


def _show_when_read(reports: Sequence[SourceReport], out: Output, *, stored: bool = False) -> None:
    """Print when the sources were read. stored: whether the answer is of readings stored before."""
    moments = sorted({write_moment(r.as_of) for r in reports if r.as_of})
    if not moments:
        return
    when = moments[0] if len(moments) == 1 else f"between {moments[0]} and {moments[-1]}"
    out.line()
    what = "As stored" if stored else "Read"
    out.line(f"{what} {'' if len(moments) > 1 else 'at '}{when}.", "dim")


def write_moment(moment: str | None) -> str:
    """Write an RFC 3339 moment in UTC to the minute, `2026-11-28 18:42 UTC`, or a day as it is."""
    if moment is None:
        return "an unknown time"
    return f"{moment[:10]} {moment[11:16]} UTC" if moment[10:] else moment


def write_unit(unit: Unit, kind: str | None) -> str:
    """Write what a size counts, for audiences of this kind if it differs by kind."""
    if isinstance(unit, str):
        return unit
    return unit[kind] if kind in unit else "; ".join(f"{each}: {text}" for each, text in unit.items())


def name_unit(report: SourceReport) -> str:
    """Return what one unit of size is, by kind where kinds differ."""
    return write_unit(report.size_counts, None)


def _show_caveats(answer: AudienceList | AudienceMatch, out: Output) -> None:
    """Print why the answer is not complete, and the notes."""
    errors = [report.error.message for report in answer.sources if report.error]
    said_here = ("Not complete:", "Not every source was read in full", *errors)
    notes = [note for note in answer.notes or [] if not note.startswith(said_here)]
    if not answer.complete or notes:
        out.line()
    if not answer.complete:
        partial = [r for r in answer.sources if not r.complete and not _is_older(r)]
        if isinstance(answer, AudienceMatch):
            what = "others may match too"
        elif partial:
            what = "the figures of what was read in part are a lower bound"
        else:
            what = "some figures are from before, and may be higher or lower now"
        out.line(f"NOT COMPLETE: {what}.", "bold red")
        for error in errors:
            out.line(error, "red", indent=2)
    for note in notes:
        out.line(f"Note: {in_words_of_options(note)}", "yellow")

"""The forms in which a command prints: lines and tables, JSON, CSV (RFC 4180), and a page for a browser.

On a terminal tables have colour; anywhere else they are plain aligned lines. Everything is written as `Text`
or with `print`, so nothing that a vendor wrote is read as markup.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, SourceReport
from audience_mcp.catalog.over_time import GroupHistory
from audience_mcp.catalog.recording import SizeHistory
from audience_mcp.catalog.watch import Watched
from audience_mcp.cli.exits import MISUSED, Stop, say

PADDED = 48
"""Columns to which a text is padded at most; a longer one moves the rest of its line alone."""
GAP = 2
"""Columns between those of a table."""
NARROW = 80
"""Terminal width, in columns, below which tables have no bars and refs stand on lines of their own."""


AUDIENCE_COLUMNS = (
    "ref",
    "name",
    "size",
    "size_max",
    "kind",
    "type",
    "status",
    "source",
    "vendor",
    "id",
    "part_of",
    "description",
    "created_at",
    "updated_at",
    "size_note",
    "as_of",
    "issues",
)
GROUP_COLUMNS = ("key", "matched", "sum_of_sizes", "sum_max", "unknown_sizes")
COMPARED_COLUMNS = ("size_then", "change", "change_pct", "compared_to", "then_from")
COMPARED_GROUP_COLUMNS = ("sum_then", "change")
"""Further columns where sizes are compared with earlier ones."""
HISTORY_COLUMNS = ("ref", "name", "source", "vendor", "kind", "as_of", "size", "size_max", "from")
TOTAL_COLUMNS = ("key", "as_of", "sum_of_sizes", "sum_max", "unknown_sizes")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a text that a spreadsheet would run."""


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Let `ignore_broken_pipe` handle it, which keeps the exit code."""
        raise BrokenPipeError


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and how its cells are shown."""

    heading: str
    right: bool = False
    style: str = ""
    whole: bool = False  # never wrapped


@dataclass(frozen=True, slots=True)
class Page:
    """A page to write: its file, its title if it was given one, and the question (see `server.page`)."""

    file: str
    title: str | None
    tool: str
    arguments: Mapping[str, Any]


class Output:
    """Stdout: a terminal with a width, or plain text."""

    def __init__(self) -> None:
        self._console = _Terminal(highlight=False, markup=False, emoji=False)
        self.terminal = self._console.is_terminal
        self.width = self._console.width
        self.blocks = "utf" in (self._console.encoding or "").lower()
        if not self.terminal and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(
                errors="replace"
            )  # a character that the encoding lacks must not stop the output

    def line(self, text: str = "", style: str = "", *, indent: int = 0, whole: bool = False) -> None:
        """Print a line. On a terminal it is wrapped; further lines are indented like the first.

        whole: leave it in one piece, as an address that is to be clicked or copied.
        """
        if not self.terminal or whole:
            print(" " * indent + text)
            return
        for part in Text(text, style=style).wrap(self._console, max(20, self.width - indent)):
            self._console.print(Text(" " * indent) + part, soft_wrap=True)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
        """Print rows under headings. If all headings are empty, none are shown.

        On a terminal with no room for what must not be broken, that stands below the rest of its row.
        """
        if self.terminal and self.width < _least_width(columns, rows):
            self._print_in_lines(columns, rows)
        elif self.terminal:
            self._console.print(_build_table(columns, rows))
        else:
            _print_plain(columns, [[str(cell) for cell in row] for row in rows])

    def _print_in_lines(self, columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
        """Print each row in two lines, or in three where its whole cells do not fit beside each other."""
        whole = [i for i, column in enumerate(columns) if column.whole]
        widths = {i: max((cell_len(str(row[i])) for row in rows), default=0) for i in whole}
        fits = sum(widths.values()) + GAP * len(whole) <= self.width
        lines = [whole] if fits else [whole[:-1], whole[-1:]]
        for row in rows:
            texts = [str(cell) for cell in row]
            first = "  ".join(text for i, text in enumerate(texts) if i not in widths and text)
            if first:
                self.line(first, "bold")
            for line in lines:
                cells = [_pad(texts[i], widths[i], columns[i].right) for i in line]
                self.line("  ".join(cells).rstrip(), indent=GAP)


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _least_width(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> int:
    """Return the width that a table takes at least: its whole cells, and a little of the others."""
    return sum(
        max((cell_len(str(row[i])) for row in rows), default=0) + 2 if column.whole else 10
        for i, column in enumerate(columns)
    )


def _build_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> Table:
    headed = any(column.heading for column in columns)
    table = Table(box=None, show_header=headed, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(
            Text(column.heading),
            justify="right" if column.right else "left",
            style=column.style,
            overflow="fold",
            no_wrap=column.whole,
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return table


def _print_plain(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    headings = [column.heading.upper() for column in columns]
    shown = [headings, *rows] if any(headings) else rows
    widths = [max((cell_len(row[i]) for row in shown), default=0) for i in range(len(columns))]
    widths = [w if c.whole else min(w, PADDED) for w, c in zip(widths, columns, strict=True)]
    for row in shown:
        cells = [_pad(cell, width, c.right) for cell, c, width in zip(row, columns, widths, strict=True)]
        print("  ".join(cells).rstrip())


def write_json(value: Any) -> None:
    """Print JSON in UTF-8, whatever the locale: on one line for programs, indented on a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def write_csv(answer: AudienceList | AudienceMatch, *, compared: bool = False) -> None:
    """Print an answer's groups or audiences as CSV in UTF-8, whatever the locale."""
    groups = answer.groups if isinstance(answer, AudienceList) else None
    columns: Sequence[str] = AUDIENCE_COLUMNS if groups is None else GROUP_COLUMNS
    if compared:
        columns = [*columns, *(COMPARED_COLUMNS if groups is None else COMPARED_GROUP_COLUMNS)]
    if groups is not None:
        _write_rows(columns, ([getattr(group, column) for column in columns] for group in groups))
        return
    reports = {report.source: report for report in answer.sources}
    _write_rows(columns, (_audience_cells(row, columns, reports) for row in answer.audiences))


def write_watch_csv(watched: Watched) -> None:
    """Print a line for each audience that meets a condition, as `list` does, and which ones it meets."""
    columns = [*AUDIENCE_COLUMNS, *COMPARED_COLUMNS]
    reports = {report.source: report for report in watched.answer.sources}
    _write_rows(
        [*columns, "condition"],
        (
            [*_audience_cells(each.audience, columns, reports), " ".join(each.conditions)]
            for each in watched.found
        ),
    )


def _audience_cells(
    row: Audience, columns: Sequence[str], reports: Mapping[str, SourceReport]
) -> list[object]:
    """A row's cells: issues as codes, and the moments at which it was read and with which it is compared."""
    report = reports.get(row.source or "")
    facts = {
        **dict(row),
        "as_of": report.as_of if report is not None else None,
        "issues": " ".join(issue.partition(":")[0] for issue in row.issues or ()),
        "compared_to": row.then_as_of or (report.compared_to if report is not None else None),
    }
    return [facts[column] for column in columns]


def write_history_csv(audiences: Iterable[SizeHistory]) -> None:
    """Print one line for each moment of each audience."""
    _write_rows(
        HISTORY_COLUMNS,
        (
            [each.ref, each.name, each.source, each.vendor, each.kind, p.as_of, p.size, p.size_max, p.from_]
            for each in audiences
            for p in each.history
        ),
    )


def write_totals_csv(groups: Iterable[GroupHistory]) -> None:
    """Print one line for each moment of each group."""
    totals = ([each.key, *dict(total).values()] for each in groups for total in each.history)
    _write_rows(TOTAL_COLUMNS, totals)


def _write_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> str:
    """Return a value as a cell: empty if unknown; text that looks like a formula gets an apostrophe."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text


def choose_page(file: str | None, title: str | None, tool: str, arguments: Mapping[str, Any]) -> Page | None:
    """Return the page that `--html` and `--title` ask for, if any. Raises Stop."""
    if file is None and title is not None:
        raise Stop("--title is for --html.", MISUSED)
    return Page(file, title, tool, arguments) if file is not None else None


def write_page(answer: Mapping[str, Any], page: Page, names: Mapping[str, str]) -> None:
    """Write an answer (its JSON form) as a page, and say so on stderr. Raises Stop.

    names: what people call the codes in the answer.
    """
    from audience_mcp.server.page import Question, render_page

    question = Question(page.tool, page.arguments, names, page.title)
    try:
        Path(page.file).write_text(render_page(answer, question), encoding="utf-8")
    except OSError as e:
        text = f"{page.file} cannot be written: {e.strerror or e}. Choose another file."
        raise Stop(text, MISUSED) from None
    say(f"audience-mcp: wrote {page.file}. Open it in a browser.")


@contextlib.contextmanager
def ignore_broken_pipe() -> Iterator[None]:
    """Write to stdout. A reader that stops reading (`| head -1`) ends the writing silently."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Discard what is still buffered; otherwise Python reports an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def count_noun(number: int, one: str, many: str | None = None) -> str:
    """`1 audience`, `2,000 audiences`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"

"""What people see: tables and colour on a terminal, plain aligned lines anywhere else.

Everything is written as `Text` or with `print`: nothing that a vendor wrote is ever read as markup.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROW = 80
"""Columns of a terminal under which a table has no bars, and what is long goes on lines of its own."""


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `ignore_broken_pipe`, which knows the exit code."""
        raise BrokenPipeError


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and how its cells are shown."""

    heading: str
    right: bool = False
    style: str = ""
    whole: bool = False  # never wrapped


class Output:
    """Stdout, as a terminal of some width or as plain text."""

    def __init__(self) -> None:
        self._console = _Terminal(highlight=False, markup=False, emoji=False)
        self.terminal = self._console.is_terminal
        self.width = self._console.width
        self.blocks = "utf" in (self._console.encoding or "").lower()
        if not self.terminal and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(
                errors="replace"
            )  # a character that the encoding lacks must not stop the output

    def line(self, text: str = "", style: str = "", *, indent: int = 0) -> None:
        """One line; on a terminal broken at its width, further lines indented as the first."""
        if not self.terminal:
            print(" " * indent + text)
            return
        for part in Text(text, style=style).wrap(self._console, max(20, self.width - indent)):
            self._console.print(Text(" " * indent) + part, soft_wrap=True)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
        """Rows under headings; an empty heading everywhere means none are shown."""
        if self.terminal:
            self._console.print(_build_table(columns, rows))
        else:
            _print_plain(columns, [[str(cell) for cell in row] for row in rows])


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
    for row in shown:
        cells = []
        for cell, column, width in zip(row, columns, widths, strict=True):
            space = " " * (width - cell_len(cell))
            cells.append(space + cell if column.right else cell + space)
        print("  ".join(cells).rstrip())


def write_json(value: Any) -> None:
    """JSON in UTF-8 whatever the locale: one line for programs, indented on a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


@contextlib.contextmanager
def ignore_broken_pipe() -> Iterator[None]:
    """Write; a reader that stops reading (`| head -1`) ends the writing without a word."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer goes nowhere: else Python complains of it on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def count_noun(number: int, one: str, many: str | None = None) -> str:
    """`1 audience`, `2,000 audiences`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"

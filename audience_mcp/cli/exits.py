"""How a command ends: its exit code, and what it says on stderr."""

from __future__ import annotations

import difflib
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

OK = 0
FAILED = 1
MISUSED = 2
INCOMPLETE = 3
FOUND = 4
INTERRUPTED = 130
PROGRAM = "audience-mcp"
_LIST_MARK = re.compile(r" *(?:- |\d+\. )?")


class Stop(Exception):
    """Ends the command with a sentence on stderr and an exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def say(text: str) -> None:
    """Write to stderr. On a terminal, lines are broken between words."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(wrap(line, width) for line in text.split("\n"))
    print(text, file=sys.stderr)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'batch'?` if a known name resembles the one that was typed, else nothing."""
    near = difflib.get_close_matches(name.lower(), list(known), 1, 0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def refuse(text: str, code: int = FAILED) -> int:
    """Say on stderr why there is no result. Returns the exit code."""
    say(f"audience-mcp: {text}")
    return code


def as_typed() -> str:
    """Return what a person types to start this program: its name where the shell finds it, else its path."""
    started = Path(sys.argv[0])
    if started.stem != PROGRAM or shutil.which(PROGRAM):
        return PROGRAM
    return shlex.quote(sys.argv[0]) if sys.platform != "win32" else f'"{started}"'


def wrap(line: str, width: int) -> str:
    """Break a line between words only; further lines are indented like its text, behind a mark of a list."""
    mark = _LIST_MARK.match(line)
    return (
        textwrap.fill(
            line,
            width,
            subsequent_indent=" " * (mark.end() if mark else 0),
            break_long_words=False,
            break_on_hyphens=False,
        )
        or line
    )

"""The human face: everything that `audience-mcp` does besides serving on stdin and stdout."""

from __future__ import annotations

import difflib
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

OK = 0
FAILED = 1
MISUSED = 2
INCOMPLETE = 3
INTERRUPTED = 130


class Stop(Exception):
    """Ends the command with a sentence on stderr and an exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def say(text: str) -> None:
    """Write to stderr; on a terminal, lines are broken between words."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(_wrap(line, width) for line in text.split("\n"))
    print(text, file=sys.stderr)


def suggest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'batch'?` where a known name resembles the one that was typed, else nothing."""
    near = difflib.get_close_matches(name.lower(), list(known), 1, 0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def refuse(text: str, code: int = FAILED) -> int:
    """Say on stderr why there is no result; the exit code."""
    say(f"audience-mcp: {text}")
    return code


def _wrap(line: str, width: int) -> str:
    """A line broken between words alone, further lines indented as the first."""
    indent = line[: len(line) - len(line.lstrip(" "))]
    return (
        textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        or line
    )


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit code."""
    from audience_mcp.cli.app import build_application

    try:
        code = build_application()(args=list(arguments), prog_name="audience-mcp", standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Stop as e:
        return refuse(str(e), e.code)
    except Exception as e:
        # The classes of these have moved between releases of typer, so they are recognized by name.
        if type(e).__name__ == "Abort":  # Ctrl-C, or the end of input, at a question
            return INTERRUPTED
        format_message = getattr(e, "format_message", None)
        if format_message is None:
            raise
        context = getattr(e, "ctx", None)
        text = str(format_message())
        stop = "" if text.endswith((".", "?", ")")) else "."
        return refuse(
            f"{text}{stop}\nMore: {context.command_path if context else 'audience-mcp'} --help", MISUSED
        )
    return code if isinstance(code, int) else OK

"""The human face: everything that `audience-mcp` does besides serving on stdin and stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence

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


def refuse(text: str, code: int = FAILED) -> int:
    """Say on stderr why there is no result; the exit code."""
    print(f"audience-mcp: {text}", file=sys.stderr)
    return code


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
        # The classes of these have moved between releases of typer, so they are told by what they are.
        if type(e).__name__ == "Abort":  # Ctrl-C, or the end of input, at a question
            return INTERRUPTED
        told = getattr(e, "format_message", None)
        if told is None:
            raise
        context = getattr(e, "ctx", None)
        text = str(told())
        stop = "" if text.endswith((".", "?", ")")) else "."
        return refuse(
            f"{text}{stop}\nMore: {context.command_path if context else 'audience-mcp'} --help", MISUSED
        )
    return code if isinstance(code, int) else OK

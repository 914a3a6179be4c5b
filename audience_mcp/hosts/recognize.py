"""Whether an entry of a host's file starts audience-mcp, or another program that only mentions it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PROGRAM = "audience-mcp"
_MODULE = "audience_mcp"
_PYTHON = re.compile(r"(python|pypy|pythonw)[\d.]*|py")
_LAUNCHERS = {"uvx", "uv", "pipx"}
_SUBCOMMANDS = {"uv": ("run", "tool"), "pipx": ("run",)}
_TAKING_A_VALUE = frozenset(
    {
        *("-X", "-W"),
        *("--from", "--with", "--with-editable", "--with-requirements", "--python", "-p", "--index"),
        *("--directory", "--project", "--extra", "--group", "--env-file", "--spec", "--pip-args"),
    }
)
"""Options of Python, uv and pipx that are followed by a value."""


def starts_audience_mcp(entry: object) -> bool:
    """Whether an entry starts audience-mcp.

    Its own script, Python with `-m audience_mcp`, or either through uv, uvx or pipx. A program whose
    arguments merely contain the words is another one, with other keys in its environment.
    """
    if not isinstance(entry, dict):
        return False
    command, args = entry.get("command"), entry.get("args", [])
    if not isinstance(command, str) or not isinstance(args, list):
        return False
    return all(isinstance(arg, str) for arg in args) and _starts([command, *args])


def _starts(words: Sequence[str]) -> bool:
    """Whether a command line, as a list of words, starts audience-mcp."""
    if not words:
        return False
    program, args = _name(words[0]), list(words[1:])
    if program == _PROGRAM:
        return True
    if program == "cmd":
        return len(args) > 1 and args[0].lower() == "/c" and _starts(args[1:])
    if _PYTHON.fullmatch(program):
        rest = _skip_options(args, until="-m")
        return rest[:2] == ["-m", _MODULE] or bool(rest and _name(rest[0]) == _PROGRAM)
    if program not in _LAUNCHERS:
        return False
    rest = _skip_options(args)
    for _ in range(2):  # `uv tool run` has two
        if rest and rest[0] in (*_SUBCOMMANDS.get(program, ()), "run"):
            rest = _skip_options(rest[1:], until="-m")
    if rest[:1] == ["-m"]:  # uv run -m
        return rest[1:2] == [_MODULE]
    if not rest:
        return False
    return re.split(r"[@=<>~!\[]", rest[0])[0] == _PROGRAM or (program == "uv" and _starts(rest))


def _skip_options(args: list[str], until: str = "") -> list[str]:
    """Return the arguments from the first that is not an option, or that is `until`."""
    at = 0
    while at < len(args) and args[at].startswith("-") and args[at] != until:
        at += 2 if args[at] in _TAKING_A_VALUE else 1
    return args[at:]


def _name(program: str) -> str:
    """Return a program's name without its folder and without Windows' extension."""
    name = re.split(r"[\\/]", program)[-1].lower()
    return re.sub(r"\.(exe|cmd|bat)$", "", name)

"""Options made from the tools' parameters: what the tools can be asked, the commands can be asked too."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import Any, TypeVar, get_args

import click
from pydantic import BaseModel

from audience_mcp.catalog.changes import ChangeBound
from audience_mcp.catalog.moments import PastMoment
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.catalog.schemas import input_schema
from audience_mcp.cli.exits import FAILED, MISUSED, Stop, refuse
from audience_mcp.config import Environment, is_set, read_environment
from audience_mcp.core.errors import ConfigurationError, InvalidArgument, ToolError
from audience_mcp.hosts.entries import read_variables
from audience_mcp.hosts.known import HOSTS, HostError

QueryT = TypeVar("QueryT", ListQuery, GetQuery)
CommandT = TypeVar("CommandT", bound=Callable[..., Any])
Completion = Callable[[click.Context, click.Parameter, str], list[str]]
FLAGS = {"sources": ("--sources", "--source"), "source": ("--sources", "--source")}
"""One word for both commands, and the parameters' own names."""
FOR_PEOPLE = {
    "list_audiences with search": "audience-mcp list --search",
    "Units differ: see size_counts.": "The total adds different units: see what sizes count.",
    " (part_of)": "",
    "No sum_max: ": "No upper end of the sum: ",
}
"""What the tools say to a model, and what a person reads in its place."""
BAD_SINCE = "--since must be a date, a date-time, or how long ago: 12h, 7d, 2w."
_AGO = re.compile(r"(\d{1,5}) ?([hdw])", re.ASCII | re.IGNORECASE)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}
WORDS = "words"
"""The argument of `list`, which is a search."""


def environment_flags(command: CommandT) -> CommandT:
    """Give a command the options that say where variables come from."""
    for option in (
        click.option(
            "--from",
            "from_host",
            metavar="HOST",
            help="Use the variables of our entry in this host, such as claude-desktop.",
            shell_complete=complete(HOSTS),
        ),
        click.option("--env-file", metavar="FILE", help="Read variables from this file: NAME=value a line."),
    ):
        command = option(command)
    return command


def environment_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command these options, and what they lead to as its argument `environment`."""

    @wraps(command)
    def run(env_file: str | None, from_host: str | None, **values: Any) -> int:
        return command(environment=take_environment(env_file, from_host), **values)

    return environment_flags(run)


def take_environment(env_file: str | None, from_host: str | None) -> Environment:
    """Return the variables that the options mean. Raises Stop."""
    try:
        return read_variables_of(env_file, from_host)
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None


def read_variables_of(env_file: str | None, from_host: str | None) -> Environment:
    """Return what `take_environment` does. Raises ConfigurationError."""
    return read_environment(read_outside(from_host), env_file)


def read_outside(from_host: str | None) -> Environment:
    """Return the variables that win over those of a settings file: a host's and the environment's.

    Raises ConfigurationError.
    """
    variables = dict(os.environ)
    try:
        if from_host is not None:
            variables |= {k: v for k, v in read_variables(from_host, variables).items() if is_set(v)}
    except HostError as e:
        raise ConfigurationError(str(e)) from None
    return variables


def query_options(kind: type[QueryT], *, but: Collection[str] = ()) -> Callable[[CommandT], CommandT]:
    """A decorator that gives a command an option for each of the tool's parameters, save those in `but`."""
    options = [_option(kind, name) for name in kind.model_fields if name not in but]

    def decorate(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def read_arguments(kind: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as arguments of the tool, not yet checked."""
    given: dict[str, Any] = {
        k: v for k, v in values.items() if k in kind.model_fields and v not in (None, False, ())
    }
    given = {k: ",".join(v) if isinstance(v, tuple) else v for k, v in given.items()}
    if values.get(WORDS):
        given["search"] = " ".join([*values[WORDS], *([given["search"]] if "search" in given else [])])
    return given


def parse_query(kind: type[QueryT], values: Mapping[str, Any]) -> QueryT:
    """The options as a query. Raises Stop, in words of the options and not of the tool's parameters."""
    try:
        return parse_arguments(kind, read_arguments(kind, values))
    except ToolError as e:
        raise Stop(in_words_of_options(str(e), kind), MISUSED) from None


def refuse_question(error: ToolError) -> int:
    """Say why a question gets no answer, in words of the command line. Returns the exit code."""
    code = MISUSED if isinstance(error, InvalidArgument) else FAILED
    return refuse(in_words_of_options(str(error)), code)


def split_names(values: Sequence[str]) -> list[str]:
    """Return the names in an option that may be repeated, or hold several with commas between them."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def sources_option(command: CommandT) -> CommandT:
    """Give a command the option `--sources`."""
    help = "Only these sources, vendors or clients. Default: all."
    return click.option("--sources", "--source", "sources", multiple=True, metavar="NAMES", help=help)(
        command
    )


def complete(words: Iterable[str]) -> Completion:
    """How a shell completes a value that is one of these words."""
    return lambda context, parameter, begun: [word for word in words if word.startswith(begun)]


def in_words_of_options(text: str, kind: type[BaseModel] = ListQuery) -> str:
    """A sentence about a tool's parameters, in the words of the command line."""

    def option(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in kind.model_fields:
            return found[0]
        return name.upper() if name == "audience" else FLAGS.get(name, (_flag(name),))[0]

    for words, others in FOR_PEOPLE.items():
        text = text.replace(words, others)
    text = re.sub(r"\b(offset|limit|detail)=(\w+)", r"--\1 \2", text)
    return re.sub(r"'([a-z_]+)'|\b([a-z]+_[a-z]+)\b", option, text)


def _option(kind: type[BaseModel], name: str) -> Callable[[CommandT], CommandT]:
    """The option for a tool's parameter, in the words of the tool."""
    parameter = input_schema(kind)["properties"][name]
    words = [word for word in parameter.get("items", parameter).get("enum", []) if word != "none"]
    help = [parameter["description"]]
    if words:
        help.append(f"{'Any' if parameter['type'] == 'array' else 'One'} of {', '.join(words)}.")
    default = kind.model_fields[name].default
    if default not in (None, False) and name != "limit":
        help.append(f"Default: {default}.")
    if name == "limit":
        help.append("Default: all.")
    is_flag = parameter["type"] == "boolean"
    return click.option(
        *FLAGS.get(name, (_flag(name),)),
        name,
        is_flag=is_flag or None,
        multiple=parameter["type"] == "array",
        metavar=None if is_flag else "WORD" if words else _metavar(kind, name, parameter),
        help=in_words_of_options(" ".join(help), kind),
        shell_complete=complete(words) if words else None,
    )


def _metavar(kind: type[BaseModel], name: str, parameter: dict[str, Any]) -> str:
    """What stands for an option's value in its help."""
    annotation = kind.model_fields[name].annotation
    if _is_a(annotation, datetime) or _is_a(annotation, PastMoment):
        return "DATE"
    if _is_a(annotation, ChangeBound):
        return "CHANGE"
    return {"integer": "N", "array": "NAMES"}.get(parameter["type"], "NAME" if name == "source" else "WORDS")


def _is_a(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_is_a(part, wanted) for part in get_args(annotation))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def parse_since(text: str) -> str:
    """Return a date or a date-time as it is, and that of so long ago for 12h, 7d or 2w. Raises Stop."""
    ago = _AGO.fullmatch(text.strip())
    if ago is None:
        if not re.match(r"\s*\d{4}-", text, re.ASCII):
            raise Stop(BAD_SINCE, MISUSED)
        return text
    hours = int(ago[1]) * _HOURS[ago[2].lower()]
    if not hours:
        raise Stop(BAD_SINCE, MISUSED)
    return (datetime.now(timezone.utc) - timedelta(hours=hours)).isoformat()

"""Options made from the tools' parameters: what the tools can be asked, the commands can be asked too."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, get_args

import typer
from pydantic import BaseModel

from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.cli import MISUSED, Stop
from audience_mcp.core.errors import ToolError
from audience_mcp.server.schemas import tool_schema

Kind = type[ListQuery] | type[GetQuery]
FLAGS = {"sources": ("--sources", "--source"), "source": ("--sources", "--source")}
"""One word for both commands, and the parameters' own names."""
FOR_PEOPLE = {
    "list_audiences with search": "audience-mcp list --search",
    "Units differ: see size_counts.": "The total adds different units: see the last column above.",
}
"""What the tools say to a model, and what a person is told in its place."""
WORDS = "words"
"""The argument of `list`, which is a search."""


def build_command(kind: Kind, run: Callable[..., int], arguments: Sequence[inspect.Parameter]) -> Any:
    """A function that typer makes a command of.

    It has an option for each parameter of the query, and the parameters of `run` beside `query`, which it
    passes on. `arguments` take the place of options of the same name.
    """
    given = {argument.name for argument in arguments}
    options = [_option(kind, name) for name in kind.model_fields if name not in given]
    signature = inspect.signature(run, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "query"]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (context, *arguments, *options, *own)
    ]

    def command(**values: Any) -> int:
        query = _parse(kind, values)
        return run(query=query, **{parameter.name: values[parameter.name] for parameter in own})

    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": int}
    return command


def make_argument(
    name: str, annotation: Any, metavar: str, help: str, *, required: bool = True
) -> inspect.Parameter:
    """A positional argument for `build_command`."""
    default = typer.Argument(... if required else None, metavar=metavar, help=help, show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(kind: Kind, name: str) -> inspect.Parameter:
    """The option for a tool's parameter, in the words of the tool."""
    parameter = tool_schema(kind)["properties"][name]
    words = parameter.get("enum")
    help = [parameter["description"]]
    if words:
        help.append(f"One of {', '.join(words)}.")
    if parameter.get("default") not in (None, False) and name != "limit":
        help.append(f"Default: {parameter['default']}.")
    if name == "limit":
        help.append("Default: all.")
    annotation: Any = str | None
    if parameter["type"] == "boolean":
        annotation = bool
    elif parameter["type"] == "array":
        annotation = list[str] | None
    default = typer.Option(
        False if annotation is bool else None,
        *FLAGS.get(name, (_flag(name),)),
        help=in_words_of_options(" ".join(help), kind),
        metavar=None if annotation is bool else _metavar(kind, name, parameter),
        show_default=False,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _metavar(kind: Kind, name: str, parameter: dict[str, Any]) -> str:
    """What stands for an option's value in its help."""
    if "enum" in parameter:
        return "WORD"
    if _is_a(kind.model_fields[name].annotation, datetime):
        return "DATE"
    return {"integer": "N", "array": "NAMES"}.get(parameter["type"], "NAME" if name == "source" else "WORDS")


def _is_a(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_is_a(part, wanted) for part in get_args(annotation))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _parse(kind: Kind, values: dict[str, Any]) -> ListQuery | GetQuery:
    """The options as a query; what is wrong is said of the option, not of the tool's parameter."""
    given = {k: v for k, v in values.items() if k in kind.model_fields and v not in (None, False, [])}
    if isinstance(given.get("sources"), list):
        given["sources"] = ",".join(given["sources"])
    if words := values.get(WORDS):
        given["search"] = " ".join([*words, *([given["search"]] if "search" in given else [])])
    try:
        return parse_arguments(ListQuery, given) if kind is ListQuery else parse_arguments(GetQuery, given)
    except ToolError as e:
        raise Stop(in_words_of_options(str(e), kind), MISUSED) from None


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

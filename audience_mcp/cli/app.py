"""The commands and their options. What they do is imported when they are chosen."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audience_mcp import __version__
from audience_mcp.catalog.query import GetQuery, ListQuery, QueryT, parse_arguments
from audience_mcp.cli import MISUSED, Stop
from audience_mcp.core.errors import ToolError
from audience_mcp.hosts.known import HOSTS
from audience_mcp.server.schemas import tool_schema

if TYPE_CHECKING:
    from audience_mcp.cli.answering import Form

ABOUT = """\
How big are my audiences? One answer for CommBox, Batch, Smallest.ai and Whop.

Without a command this is an MCP server on stdin and stdout, for a client such as Claude Desktop, Claude
Code, Cursor or VS Code to start. The commands are for people: they read the same variables.

\b
Look around without any key:
  audience-mcp list --sandbox
  audience-mcp demo

\b
With keys (BATCH_REST_API_KEY and BATCH_PROJECT_KEY, for example):
  audience-mcp check
  audience-mcp list --search vip --limit 10
  audience-mcp install claude-desktop

\b
Exit codes:
  0    done, and the answer is complete
  1    no answer: a source, or what was asked for, could not be read or found
  2    the arguments, or a setting, cannot be used
  3    an answer that is not complete: its figures are a lower bound
  130  interrupted
"""
LIST = """\
List audiences with sizes and totals, read to the last page.

\b
  audience-mcp list
  audience-mcp list --sources batch,whop --sort newest --limit 20
  audience-mcp list --status failed --detail full
  audience-mcp list --limit 0 --json
  audience-mcp list --html audiences.html     (a picture, to open, send or print)

The exit code is 3 where the answer is not complete: a source, or a part of one, could not be read in time.
Rows that do not fit AUDIENCE_MCP_MAX_CHARS (40000) are left out, and that is told; totals cover them.
"""
GET = """\
Show one audience in full: by its ref (batch:vip), by a vendor's id, or by its name.

\b
  audience-mcp get batch:vip
  audience-mcp get "Newsletter 2026" --source commbox

The exit code is 1 where nothing matches, and 3 where a source could not be read, so that others may match.
"""
CHECK = """\
Ask every configured source for one page: is it reached, which variable is at fault, how many audiences.

The exit code is 1 if any source fails, and where none is configured.
"""
INSTALL = """\
Write the server into a host's configuration, next to what is there; a backup is kept.

\b
  audience-mcp install claude-desktop
  audience-mcp install vscode --keys leave    (VS Code asks for the keys)
  audience-mcp install cursor --print         (only shows the entry)
  audience-mcp install claude-code --sandbox  (made-up audiences, no keys)
"""
UNINSTALL = "Take the server out of a host's configuration again; a backup is kept."

DEMO = "Start the server on made-up audiences, ask it questions through a real client, print the answers."

KEYS = """\
What becomes of the keys in the environment: ask, store (in the host's file, readable by you alone), or \
leave (VS Code asks for them itself; other hosts get none). Default: ask on a terminal, else leave."""

Csv = Annotated[bool, typer.Option("--csv", help="Print audiences, or groups, as CSV.")]
Html = Annotated[
    str | None, typer.Option("--html", help="Write a page for a browser to this file.", metavar="FILE")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="Use made-up audiences; no keys needed.")]
Host = Annotated[str, typer.Argument(metavar="HOST", help=f"{', '.join(HOSTS)}.", show_default=False)]
Name = Annotated[str, typer.Option("--name", help="The server's name in the host.", metavar="NAME")]
File = Annotated[
    str | None, typer.Option("--file", help="The configuration file, if not the usual one.", metavar="PATH")
]


def _option(kind: type[ListQuery] | type[GetQuery], name: str, metavar: str | None = None) -> Any:
    """The option for a tool's parameter, in the words of the tool."""
    parameter = tool_schema(kind)["properties"][name]
    words = parameter.get("enum")
    said = [parameter["description"]]
    if words:
        said.append(f"One of {', '.join(words)}.")
    if parameter.get("default") not in (None, False):
        said.append(f"Default: {parameter['default']}.")
    flag = f"--{name.replace('_', '-')}"
    return typer.Option(flag, help=" ".join(said), metavar=metavar or ("WORD" if words else None))


def _serve(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Serve made-up audiences; no keys needed.")
    ] = False,
    http: Annotated[
        bool, typer.Option("--http", help="Serve on Streamable HTTP at /mcp instead of stdio.")
    ] = False,
    host: Annotated[
        str | None,
        typer.Option("--host", help="With --http: the address. Default: 127.0.0.1.", metavar="HOST"),
    ] = None,
    port: Annotated[
        str | None, typer.Option("--port", help="With --http: the port. Default: 8000.", metavar="PORT")
    ] = None,
) -> int:
    command = context.invoked_subcommand
    if version:
        print(f"audience-mcp {__version__}")
        raise typer.Exit
    if command is not None and (sandbox or http or host is not None or port is not None):
        example = (
            f": audience-mcp {command} --sandbox" if sandbox and command in ("list", "get", "check") else ""
        )
        raise Stop(f"the server's options stand alone; those of {command} come after it{example}.", MISUSED)
    if command is not None:
        return 0
    if not http:
        if host is not None or port is not None:
            raise Stop("--host and --port are for --http.", MISUSED)
        from audience_mcp.server.stdio import serve as serve_stdio

        return serve_stdio(sandbox=sandbox)
    if port is not None and not re.fullmatch(r"\d{1,5}", port, re.ASCII):
        raise Stop("--port must be a whole number from 0 (any free port) to 65535.", MISUSED)
    from audience_mcp.server.http import serve as serve_http

    return serve_http(sandbox=sandbox, host=host or "127.0.0.1", port=int(port or 8000))


def _list(
    context: typer.Context,
    sources: Annotated[list[str] | None, _option(ListQuery, "sources", "NAMES")] = None,
    search: Annotated[str | None, _option(ListQuery, "search", "WORDS")] = None,
    type: Annotated[str | None, _option(ListQuery, "type")] = None,
    status: Annotated[str | None, _option(ListQuery, "status")] = None,
    min_size: Annotated[str | None, _option(ListQuery, "min_size", "N")] = None,
    max_size: Annotated[str | None, _option(ListQuery, "max_size", "N")] = None,
    created_since: Annotated[str | None, _option(ListQuery, "created_since", "DATE")] = None,
    created_before: Annotated[str | None, _option(ListQuery, "created_before", "DATE")] = None,
    updated_since: Annotated[str | None, _option(ListQuery, "updated_since", "DATE")] = None,
    updated_before: Annotated[str | None, _option(ListQuery, "updated_before", "DATE")] = None,
    group_by: Annotated[str | None, _option(ListQuery, "group_by")] = None,
    sort: Annotated[str | None, _option(ListQuery, "sort")] = None,
    limit: Annotated[str | None, _option(ListQuery, "limit", "N")] = None,
    offset: Annotated[str | None, _option(ListQuery, "offset", "N")] = None,
    detail: Annotated[str | None, _option(ListQuery, "detail")] = None,
    refresh: Annotated[bool, _option(ListQuery, "refresh")] = False,
    json: Json = False,
    csv: Csv = False,
    html: Html = None,
    sandbox: Sandbox = False,
) -> int:
    query, form = _query(ListQuery, context), _form(json, csv, html)
    from audience_mcp.cli.answering import list_audiences

    return list_audiences(query, form, sandbox=sandbox, page=html)


def _get(
    context: typer.Context,
    audience: Annotated[str, typer.Argument(help="A ref, an id or a name.", show_default=False)],
    source: Annotated[str | None, _option(GetQuery, "source", "NAME")] = None,
    refresh: Annotated[bool, _option(GetQuery, "refresh")] = False,
    json: Json = False,
    csv: Csv = False,
    html: Html = None,
    sandbox: Sandbox = False,
) -> int:
    query, form = _query(GetQuery, context), _form(json, csv, html)
    from audience_mcp.cli.answering import get_audience

    return get_audience(query, form, sandbox=sandbox, page=html)


def _form(json: bool, csv: bool, html: str | None) -> Form:
    if json + csv + (html is not None) > 1:
        raise Stop("choose one of --json, --csv and --html.", MISUSED)
    return "json" if json else "csv" if csv else "text"


def _check(json: Json = False, sandbox: Sandbox = False) -> int:
    from audience_mcp.cli.checking import check_sources

    return check_sources(sandbox=sandbox, json=json)


def _install(
    host: Host,
    keys: Annotated[str | None, typer.Option("--keys", help=KEYS, metavar="WORD")] = None,
    vendor: Annotated[
        list[str] | None,
        typer.Option("--vendor", help="Only this vendor's variables; may be repeated.", metavar="NAME"),
    ] = None,
    run_demo: Annotated[bool, typer.Option("--print", help="Show the entry and change nothing.")] = False,
    sandbox: Sandbox = False,
    name: Name = "audience-mcp",
    file: File = None,
) -> int:
    from audience_mcp.cli.installing import Target, install

    return install(
        Target(host, name, file, os.environ), keys=keys, only=vendor or [], show=run_demo, sandbox=sandbox
    )


def _uninstall(host: Host, name: Name = "audience-mcp", file: File = None) -> int:
    from audience_mcp.cli.installing import Target, uninstall

    return uninstall(Target(host, name, file, os.environ))


def _demo() -> int:
    from audience_mcp.cli.demo import run_demo

    return run_demo()


def _query(kind: type[QueryT], context: typer.Context) -> QueryT:
    """The options as a question; what is wrong is said of the option, not of the tool's parameter."""
    given = {k: v for k, v in context.params.items() if k in kind.model_fields and v not in (None, False, [])}
    if "sources" in given:
        given["sources"] = ",".join(given["sources"])
    try:
        return parse_arguments(kind, given)
    except ToolError as e:
        raise Stop(_of_options(str(e), kind), MISUSED) from None


def _of_options(text: str, kind: type[QueryT]) -> str:
    def option(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        flag = name.upper() if name == "audience" else f"--{name.replace('_', '-')}"
        return flag if name in kind.model_fields else found[0]

    return re.sub(r"'([a-z_]+)'|\b([a-z]+_[a-z]+)\b", option, text)


def build_application() -> typer.Typer:
    """The whole command line; its help is plain text, the same on a terminal and in a file."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True, help=ABOUT)(_serve)
    app.command("check", help=CHECK, short_help="Can each source be read? If not, what to mend.")(_check)
    app.command("list", help=LIST, short_help="List audiences, with sizes and totals.")(_list)
    app.command("get", help=GET, short_help="Show one audience in full.")(_get)
    app.command("install", help=INSTALL, short_help="Write the server into a host's configuration.")(_install)
    app.command("uninstall", help=UNINSTALL, short_help="Take it out again.")(_uninstall)
    app.command("demo", help=DEMO, short_help="Questions and answers on made-up audiences.")(_demo)
    return app

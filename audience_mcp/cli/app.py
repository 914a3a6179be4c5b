"""The commands and their options. What they do is imported when they are chosen."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer

from audience_mcp import __version__
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.cli import MISUSED, Stop, help
from audience_mcp.cli.options import WORDS, build_command, make_argument
from audience_mcp.hosts.known import HOSTS

MESSAGES = {
    "order": "put options after the command: audience-mcp {command}{option}",
    "only_http": "--host and --port are for --http.",
    "bad_port": "--port must be a whole number from 0 (any free port) to 65535.",
}

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


def _serve(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Serve made-up audiences; no keys needed.")
    ] = False,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over Streamable HTTP at /mcp instead of stdio.")
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
        option = " --sandbox" if sandbox and command in ("list", "get", "check", "history", "install") else ""
        raise Stop(MESSAGES["order"].format(command=command, option=option), MISUSED)
    if command is not None:
        return 0
    if not http:
        if host is not None or port is not None:
            raise Stop(MESSAGES["only_http"], MISUSED)
        from audience_mcp.server.stdio import serve as serve_stdio

        return serve_stdio(sandbox=sandbox)
    if port is not None and not re.fullmatch(r"\d{1,5}", port, re.ASCII):
        raise Stop(MESSAGES["bad_port"], MISUSED)
    from audience_mcp.server.http import serve as serve_http

    return serve_http(sandbox=sandbox, host=host or "127.0.0.1", port=int(port or 8000))


def _list(
    query: ListQuery, json: Json = False, csv: Csv = False, html: Html = None, sandbox: Sandbox = False
) -> int:
    from audience_mcp.cli.queries import choose_form, list_audiences

    return list_audiences(query, choose_form(json, csv, html), sandbox=sandbox, page=html)


def _get(
    query: GetQuery, json: Json = False, csv: Csv = False, html: Html = None, sandbox: Sandbox = False
) -> int:
    from audience_mcp.cli.queries import choose_form, get_audience

    return get_audience(query, choose_form(json, csv, html), sandbox=sandbox, page=html)


def _check(json: Json = False, sandbox: Sandbox = False) -> int:
    from audience_mcp.cli.checking import check_sources

    return check_sources(sandbox=sandbox, json=json)


def _record(json: Json = False) -> int:
    from audience_mcp.cli.remembering import record_sizes

    return record_sizes(json=json)


def _history(
    audience: Annotated[
        str | None, typer.Argument(metavar="[AUDIENCE]", help="A ref, an id or a name.", show_default=False)
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only sizes since this day.", metavar="DATE")
    ] = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print a line for each moment as CSV.")] = False,
    html: Html = None,
    sandbox: Sandbox = False,
) -> int:
    from audience_mcp.cli.queries import choose_form
    from audience_mcp.cli.remembering import show_history

    return show_history(audience, since, choose_form(json, csv, html), sandbox=sandbox, page=html)


def _store(context: typer.Context, json: Json = False) -> int:
    if context.invoked_subcommand is not None:
        return 0
    from audience_mcp.cli.storing import show_store

    return show_store(json=json)


def _clear(
    source: Annotated[
        str | None,
        typer.Option("--source", help="Forget only this source.", metavar="NAME"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    from audience_mcp.cli.storing import clear_store

    return clear_store(source=source, yes=yes)


def _install(
    host: Host,
    keys: Annotated[str | None, typer.Option("--keys", help=help.KEYS, metavar="WORD")] = None,
    vendor: Annotated[
        list[str] | None,
        typer.Option("--vendor", help="Only this vendor's variables; may be repeated.", metavar="NAME"),
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Show the entry and change nothing.")] = False,
    sandbox: Sandbox = False,
    name: Name = "audience-mcp",
    file: File = None,
) -> int:
    from audience_mcp.cli.installing import Target, install

    target = Target(host, name, file, os.environ)
    return install(target, keys=keys, only=vendor or [], show=show, sandbox=sandbox)


def _uninstall(host: Host, name: Name = "audience-mcp", file: File = None) -> int:
    from audience_mcp.cli.installing import Target, uninstall

    return uninstall(Target(host, name, file, os.environ))


def _demo() -> int:
    from audience_mcp.cli.demo import run_demo

    return run_demo()


def build_application() -> typer.Typer:
    """The whole command line; its help is plain text, the same on a terminal and in a file."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    words = make_argument(WORDS, list[str] | None, "WORDS", "What to search for.", required=False)
    audience = make_argument("audience", str, "AUDIENCE", "A ref, an id or a name.")
    app.callback(invoke_without_command=True, help=help.ABOUT)(_serve)
    for name, text, command in (
        ("check", help.CHECK, _check),
        ("list", help.LIST, build_command(ListQuery, _list, [words])),
        ("get", help.GET, build_command(GetQuery, _get, [audience])),
        ("record", help.RECORD, _record),
        ("history", help.HISTORY, _history),
        ("install", help.INSTALL, _install),
        ("uninstall", help.UNINSTALL, _uninstall),
        ("demo", help.DEMO, _demo),
    ):
        app.command(name, help=text, short_help=help.SHORT[name])(command)
    store = typer.Typer(rich_markup_mode=None, add_completion=False)
    store.callback(invoke_without_command=True, help=help.STORE)(_store)
    store.command("clear", help=help.CLEAR, short_help=help.SHORT["clear"])(_clear)
    app.add_typer(store, name="store", short_help=help.SHORT["store"])
    return app

"""The commands and their options. A docstring is a command's help; its work is imported when it is chosen."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import click
from click.exceptions import Exit
from click.shell_completion import shell_complete

from audience_mcp import __version__
from audience_mcp.catalog.over_time import By
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.cli.exits import INTERRUPTED, MISUSED, OK, Stop, refuse
from audience_mcp.cli.options import (
    complete,
    environment_flags,
    environment_options,
    parse_query,
    parse_since,
    query_options,
    read_arguments,
    read_variables_of,
    sources_option,
    split_names,
    take_environment,
)
from audience_mcp.config import Environment
from audience_mcp.core.audience import ISSUE_CODES
from audience_mcp.hosts.known import HOSTS

PROGRAM = "audience-mcp"
TOTALS_BY: Sequence[By] = ("source", "kind", "client")
COMPLETE = "_AUDIENCE_MCP_COMPLETE"
"""Set by a shell that asks what may be typed next."""
SANDBOX_COMMANDS = ("list", "get", "check", "history", "watch", "install")

json_option = click.option("--json", is_flag=True, help="Print the result as JSON.")
csv_option = click.option("--csv", is_flag=True, help="Print audiences, or groups, as CSV.")
html_option = click.option("--html", metavar="FILE", help="Write a page for a browser to this file.")
title_option = click.option("--title", metavar="TEXT", help="With --html: the page's title.")
sandbox_option = click.option("--sandbox", is_flag=True, help="Use made-up audiences; no keys needed.")
host_argument = click.argument(
    "host", metavar="HOST", help=f"{', '.join(HOSTS)}.", shell_complete=complete(HOSTS)
)
name_option = click.option(
    "--name", metavar="NAME", default=PROGRAM, show_default=True, help="The server's name in the host."
)
file_option = click.option("--file", metavar="PATH", help="The configuration file, if not the usual one.")


class Command(click.Command):
    """A command whose mistakes point to its own help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, and say of every mistake which command it is in."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as e:
            e.ctx = e.ctx or ctx
            raise


class Group(Command, click.Group):
    """Commands, listed in the order in which they are defined."""

    command_class = Command
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, as they are defined."""
        return list(self.commands)


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit code."""
    if instruction := os.environ.get(COMPLETE):
        return shell_complete(program, {}, PROGRAM, COMPLETE, instruction)
    try:
        with program.make_context(PROGRAM, list(arguments)) as context:
            code = program.invoke(context)
    except Exit as e:
        return e.exit_code
    except (KeyboardInterrupt, click.Abort):  # Ctrl-C, or the end of input at a question
        return INTERRUPTED
    except Stop as e:
        return refuse(str(e), e.code)
    except click.ClickException as e:
        text, inside = e.format_message(), e.ctx if isinstance(e, click.UsageError) else None
        stop = "" if text.endswith((".", "?", ")")) else "."
        return refuse(f"{text}{stop}\nMore: {inside.command_path if inside else PROGRAM} --help", MISUSED)
    return code if isinstance(code, int) else OK


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, help="Print the version.")
@click.option("--sandbox", is_flag=True, help="Serve made-up audiences; no keys needed.")
@click.option("--http", is_flag=True, help="Serve over Streamable HTTP at /mcp instead of stdio.")
@click.option("--host", metavar="HOST", help="With --http: the address. Default: 127.0.0.1.")
@click.option("--port", metavar="PORT", help="With --http: the port. Default: 8000.")
@environment_flags
@click.pass_context
def program(
    context: click.Context,
    version: bool,
    sandbox: bool,
    http: bool,
    host: str | None,
    port: str | None,
    env_file: str | None,
    from_host: str | None,
) -> int:
    """How big are my audiences? One answer for all the marketing platforms that hold them.

    Without a command this is an MCP server on stdin and stdout, to be started by a client such as Claude
    Desktop, Claude Code, Cursor or VS Code. The commands are for people; they use the same variables.

    \b
    To look around without any key:
      audience-mcp list --sandbox
      audience-mcp demo

    \b
    With keys (BATCH_REST_API_KEY and BATCH_PROJECT_KEY, for example):
      audience-mcp check
      audience-mcp list vip --limit 10
      audience-mcp install claude-desktop

    \b
    Exit codes:
      0    done and complete, also where nothing matches
      1    no answer: no source could be read or is configured;
           get: nothing found; check: a source fails
      2    an argument, a source's name or a setting is not valid
      3    an answer that is not complete
      4    watch found something
      130  interrupted
    """
    command = context.invoked_subcommand
    if version:
        print(f"{PROGRAM} {__version__}")
        context.exit()
    if command is not None:
        if sandbox or http or any(value is not None for value in (host, port, env_file, from_host)):
            option = " --sandbox" if sandbox and command in SANDBOX_COMMANDS else ""
            raise Stop(f"put options after the command: audience-mcp {command}{option}", MISUSED)
        return OK
    if not http:
        if host is not None or port is not None:
            raise Stop("--host and --port are for --http.", MISUSED)
        from audience_mcp.server.stdio import serve as serve_stdio

        return serve_stdio(sandbox=sandbox, environment=take_environment(env_file, from_host))
    if port is not None and not re.fullmatch(r"\d{1,5}", port, re.ASCII):
        raise Stop("--port must be a whole number from 0 (any free port) to 65535.", MISUSED)
    from audience_mcp.server.http import serve as serve_http

    return serve_http(
        sandbox=sandbox,
        host=host or "127.0.0.1",
        port=int(port or 8000),
        environment=take_environment(env_file, from_host),
        read=partial(read_variables_of, env_file, from_host),
    )


@program.command(short_help="Set up vendors and their keys, step by step.")
@environment_flags
def setup(env_file: str | None, from_host: str | None) -> int:
    """Ask which platforms you have, show where each key is made, try it, and keep it in a file of yours.

    It then offers to add the server to the programs found here, and shows how to store sizes every day.
    """
    from audience_mcp.cli.setting_up import set_up, settings_path

    return set_up(from_host, settings_path(os.environ, env_file))


@program.command(short_help="Check that each source can be read, and how to fix it if not.")
@click.argument("sources", metavar="[SOURCE]...", nargs=-1, help="Sources, vendors or clients. Default: all.")
@click.option("--sources", "--source", "more", multiple=True, metavar="NAMES", help="The same as SOURCE.")
@click.option("--all", "everything", is_flag=True, help="List what every other vendor needs, too.")
@click.option("--offline", is_flag=True, help="Judge the configuration alone; ask no vendor.")
@json_option
@sandbox_option
@environment_options
def check(
    environment: Environment,
    sources: Sequence[str],
    more: Sequence[str],
    everything: bool,
    offline: bool,
    json: bool,
    sandbox: bool,
) -> int:
    """Read one page of each configured source: is it reachable, what is wrong if not, how many audiences.

    \b
      audience-mcp check
      audience-mcp check batch acme
      audience-mcp check --offline          (no network; for start scripts)
      audience-mcp check --from cursor      (what Cursor's server sees)

    The exit code is 1 if a source fails or none is configured, and 2 if --offline finds a mistake.
    """
    from audience_mcp.cli import checking

    names = split_names([*sources, *more])
    if offline and sandbox:
        raise Stop("--offline and --sandbox exclude each other.", MISUSED)
    if offline:
        return checking.check_offline(environment, names, json=json)
    return checking.check_sources(environment, names, sandbox=sandbox, json=json, everything=everything)


@program.command("list", short_help="List audiences, with sizes and totals.")
@click.argument("words", metavar="[WORDS]...", nargs=-1, help="What to search for.")
@query_options(ListQuery)
@json_option
@csv_option
@html_option
@title_option
@sandbox_option
@environment_options
def list_audiences(
    environment: Environment,
    json: bool,
    csv: bool,
    html: str | None,
    title: str | None,
    sandbox: bool,
    **asked: Any,
) -> int:
    """List all audiences that match, with sizes and totals. WORDS are what to search for.

    \b
      audience-mcp list
      audience-mcp list vip --sources batch,whop
      audience-mcp list --sort newest --limit 20
      audience-mcp list --status failed --detail full
      audience-mcp list --group-by source
      audience-mcp list --csv > audiences.csv
      audience-mcp list --html audiences.html     (a page to send or print)

    The exit code is 3 if the answer is not complete because a source could not be read in full.
    """
    from audience_mcp.cli import queries
    from audience_mcp.cli.output import choose_page

    query = parse_query(ListQuery, asked)
    page = choose_page(html, title, "list_audiences", read_arguments(ListQuery, asked))
    form = queries.choose_form(json, csv, page)
    return queries.list_audiences(environment, query, form, sandbox=sandbox, page=page)


@program.command("get", short_help="Show one audience in full.")
@click.argument("audience", metavar="AUDIENCE", help="A ref, an id or a name.")
@query_options(GetQuery, but=("audience",))
@json_option
@csv_option
@html_option
@title_option
@sandbox_option
@environment_options
def get_audience(
    environment: Environment,
    json: bool,
    csv: bool,
    html: str | None,
    title: str | None,
    sandbox: bool,
    **asked: Any,
) -> int:
    """Show one audience in full: by its ref (batch:vip), by a vendor's id, or by its name.

    \b
      audience-mcp get batch:vip
      audience-mcp get "Newsletter 2026" --sources commbox

    The exit code is 1 if nothing is found, and 3 if a source could not be read, so that others may match.
    """
    from audience_mcp.cli import queries
    from audience_mcp.cli.output import choose_page

    query = parse_query(GetQuery, asked)
    page = choose_page(html, title, "get_audience", read_arguments(GetQuery, asked))
    form = queries.choose_form(json, csv, page)
    return queries.get_audience(environment, query, form, sandbox=sandbox, page=page)


@program.command(short_help="Store the sizes of now.")
@sources_option
@json_option
@environment_options
def record(environment: Environment, sources: Sequence[str], json: bool) -> int:
    """Read every source now and store the sizes, for scheduled jobs: one line per source.

    docs/store.md has entries for cron, launchd, systemd and Windows.

    The exit code is 3 if a source could not be read in full, and 1 if nothing was stored.
    """
    from audience_mcp.cli.sizes import record_sizes

    return record_sizes(environment, split_names(sources), json=json)


@program.command(short_help="Show stored sizes over time.")
@click.argument("audience", metavar="[AUDIENCE]", required=False, help="A ref, an id or a name.")
@click.option("--since", metavar="DATE", help="Only sizes since a date, a date-time, or 12h, 7d, 2w ago.")
@sources_option
@click.option(
    "--group-by",
    "by",
    type=click.Choice(TOTALS_BY),
    metavar="WORD",
    help="The total of all audiences of each source, kind or client.",
)
@click.option("--daily", is_flag=True, help="One size a day: the last of each day that has a reading.")
@json_option
@click.option("--csv", is_flag=True, help="Print a line for each moment as CSV.")
@html_option
@title_option
@sandbox_option
@environment_options
def history(
    environment: Environment,
    audience: str | None,
    since: str | None,
    sources: Sequence[str],
    by: By | None,
    daily: bool,
    json: bool,
    csv: bool,
    html: str | None,
    title: str | None,
    sandbox: bool,
) -> int:
    """Show stored sizes over time: for all audiences, or for one by its ref, id or name. No vendor is asked.

    \b
      audience-mcp history
      audience-mcp history batch:VIP --since 2026-09-01
      audience-mcp history --group-by client      (how totals developed)
      audience-mcp history --daily --csv > sizes.csv
      audience-mcp history --sandbox              (made-up sizes of eight weeks)

    No key is needed: of vendors without any variable, all that is stored is shown.
    """
    from audience_mcp.cli.output import choose_page
    from audience_mcp.cli.queries import choose_form
    from audience_mcp.cli.sizes import Asked, show_history

    since = None if since is None else parse_since(since)
    asked = Asked(audience, since, split_names(sources), by, daily)
    given = {"audience": audience, "since": since, "sources": asked.sources, "group_by": by}
    page = choose_page(html, title, "history", {k: v for k, v in given.items() if v})
    return show_history(environment, asked, choose_form(json, csv, page), sandbox=sandbox, page=page)


@program.command(short_help="Find what needs attention, for scheduled jobs.")
@click.option("--drop", metavar="SIZE", help="Audiences that lost at least this: 500, or 10%.")
@click.option("--grow", metavar="SIZE", help="Audiences that grew by at least this: 500, or 50%.")
@click.option("--gone", is_flag=True, help="Audiences that the vendor no longer lists.")
@click.option(
    "--issue",
    multiple=True,
    metavar="CODES",
    help=f"Audiences with any of these issues now: {', '.join(ISSUE_CODES)}.",
    shell_complete=complete(ISSUE_CODES),
)
@click.option(
    "--since",
    metavar="WHEN",
    default="1d",
    show_default=True,
    help="Compared with: a date, a date-time, or 12h, 7d, 2w ago.",
)
@sources_option
@json_option
@click.option("--csv", is_flag=True, help="Print the audiences as CSV.")
@click.option("--markdown", is_flag=True, help="Print a table for a mail, a ticket or a chat.")
@sandbox_option
@environment_options
def watch(
    environment: Environment,
    drop: str | None,
    grow: str | None,
    gone: bool,
    issue: Sequence[str],
    since: str,
    sources: Sequence[str],
    json: bool,
    csv: bool,
    markdown: bool,
    sandbox: bool,
) -> int:
    """Find audiences that dropped, grew, are gone, or have an issue: since a moment, for scheduled jobs.

    Without --drop, --grow, --gone and --issue it looks for all four: a drop of 10%, growth of 50%, any issue.

    \b
      audience-mcp watch
      audience-mcp watch --drop 10% --gone --since 7d
      audience-mcp watch --issue failed,empty --sources acme
      audience-mcp watch --markdown > report.md

    docs/watch.md has entries for schedulers, and how to pass the result on to a mail or a chat.

    The exit code is 4 if anything was found, 3 if not every source could be judged, and 0 if all is well.
    """
    from audience_mcp.cli import watching

    form = watching.choose_form(json, csv, markdown)
    conditions = watching.parse_conditions(drop, grow, gone, split_names(issue))
    return watching.watch_audiences(
        environment, conditions, since, split_names(sources), form, sandbox=sandbox
    )


@program.command(short_help="Add the server to a host's configuration.")
@host_argument
@click.option(
    "--keys",
    metavar="WORD",
    help="What to do with the variables that are set here: ask, store (in the host's file, readable by you "
    "alone), or leave (VS Code asks for them, Cursor reads its own, other hosts get none). Default: ask on a "
    "terminal, otherwise leave.",
)
@click.option(
    "--vendor", metavar="NAME", multiple=True, help="Only this vendor's variables; may be repeated."
)
@click.option("--print", "show", is_flag=True, help="Show the entry and change nothing.")
@sandbox_option
@name_option
@file_option
@environment_options
def install(
    environment: Environment,
    host: str,
    keys: str | None,
    vendor: Sequence[str],
    show: bool,
    sandbox: bool,
    name: str,
    file: str | None,
) -> int:
    """Add the server to a host's configuration.

    Everything else in the file stays as it is; a backup is kept.

    \b
      audience-mcp install claude-desktop
      audience-mcp install vscode --keys leave    (VS Code asks for the keys)
      audience-mcp install cursor --print         (only shows the entry)
      audience-mcp install claude-code --sandbox  (made-up audiences, no keys)
    """
    from audience_mcp.cli import installing

    target = installing.Target(host, name, file, environment)
    return installing.install(target, keys=keys, only=vendor, show=show, sandbox=sandbox)


@program.command(short_help="Remove it again.")
@host_argument
@name_option
@file_option
@click.option("--purge", is_flag=True, help="Keep no backup, and delete those that hold our entry.")
@environment_options
def uninstall(environment: Environment, host: str, name: str, file: str | None, purge: bool) -> int:
    """Remove the server from a host's configuration; a backup is kept unless --purge is given."""
    from audience_mcp.cli import installing

    return installing.uninstall(installing.Target(host, name, file, environment), purge=purge)


@program.command(short_help="Questions and answers on made-up audiences.")
@environment_options
def demo(environment: Environment) -> int:
    """Start the server on made-up audiences and ask it questions through a real MCP client."""
    from audience_mcp.cli.demo import run_demo

    return run_demo(environment)


@program.group(invoke_without_command=True, short_help="Show what is stored and where, or forget it.")
@sources_option
@json_option
@environment_flags
@click.pass_context
def store(
    context: click.Context, sources: Sequence[str], json: bool, env_file: str | None, from_host: str | None
) -> int:
    """Show where readings and sizes are stored, how much, since when, and for which accounts."""
    if context.invoked_subcommand is not None:
        return OK
    from audience_mcp.cli.store_admin import show_store

    return show_store(take_environment(env_file, from_host), split_names(sources), json=json)


@store.command(short_help="Forget what is stored.")
@click.option("--sources", "--source", "source", metavar="NAME", help="Forget only this source.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@environment_options
def clear(environment: Environment, source: str | None, yes: bool) -> int:
    """Forget everything that is stored, or what is stored for one source. History cannot be recovered."""
    from audience_mcp.cli.store_admin import clear_store

    return clear_store(environment, source=source, yes=yes)

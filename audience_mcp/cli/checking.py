"""`check`: whether each source can be read, and what is wrong with it if not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text

from audience_mcp.catalog.check import Checked, all_ok, check
from audience_mcp.catalog.models import to_dict
from audience_mcp.cli.exits import FAILED, MISUSED, OK, Stop, as_typed, refuse
from audience_mcp.cli.output import Column, Output, count_noun, ignore_broken_pipe, write_json
from audience_mcp.cli.running import (
    choose_sources,
    explain_unconfigured,
    run_to_exit,
    show_progress,
    start,
    warn,
)
from audience_mcp.config import Configuration, Environment, Source, describe_needs
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.store import default_folder, is_database
from audience_mcp.vendors import Vendor
from audience_mcp.vendors.key_pages import HOW, key_page

if TYPE_CHECKING:
    from audience_mcp.server.access import Access

KEY_KINDS = ("not_configured", "unauthorized", "forbidden")
"""Kinds of errors that another key may mend."""


def check_sources(
    environment: Environment, names: Sequence[str], *, sandbox: bool, json: bool, everything: bool
) -> int:
    """Read one page of each source, or of those named, and print the results.

    everything: also print the variables of vendors that are not set up.
    """

    async def main() -> int:
        startup = start(environment, sandbox=sandbox)
        async with startup.reachable() as configuration:
            chosen = replace(configuration, sources=choose_sources(configuration, names))
            checked = await _check_all(chosen)
        with ignore_broken_pipe():
            if json:
                write_json({"ok": all_ok(checked), "sources": [to_dict(one) for one in checked]})
            else:
                out = Output()
                if checked:
                    _show(checked, configuration.vendors, out)
                if not sandbox and not names and (checked or everything):
                    _show_others(configuration, out, everything=everything)
                if checked and not sandbox and not names:
                    out.line(_describe_store(configuration))
        if not checked:
            return refuse(explain_unconfigured())
        return OK if all_ok(checked) else FAILED

    return run_to_exit(main)


def check_offline(environment: Environment, names: Sequence[str], *, json: bool) -> int:
    """Judge the configuration alone, without any request, and print the results.

    Exit code 2 if a source is misconfigured, 1 if there is none.
    """
    startup = start(environment, sandbox=False)
    access = _read_access(environment, startup.configuration)
    sources = choose_sources(startup.configuration, names)
    wrong = [source for source in sources if source.problem]
    with ignore_broken_pipe():
        if json:
            listed = [
                {"source": s.name, "vendor": s.vendor.name, "ok": s.problem is None}
                | ({"error": {"kind": s.problem.kind, "message": s.problem.message}} if s.problem else {})
                for s in sources
            ]
            rules = (
                [{"caller": rule.caller, "sources": rule.sources} for rule in access.rules] if access else []
            )
            given = {"access": rules} if rules else {}
            write_json({"ok": bool(sources) and not wrong, "sources": listed} | given)
        elif sources:
            _show_configured(sources, access, Output())
    if not sources:
        return refuse(explain_unconfigured())
    return MISUSED if wrong else OK


def _read_access(environment: Environment, configuration: Configuration) -> Access | None:
    """Return who sees what over HTTP. Raises Stop if a setting of Streamable HTTP is not valid."""
    from audience_mcp.server.auth import access_policy

    try:
        policy = access_policy(environment, reachable_via=None, sources=configuration.sources)
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None
    for warning in policy.warnings:
        warn(warning)
    return policy.access


async def _check_all(configuration: Configuration) -> list[Checked]:
    waiting = [source.name for source in configuration.sources]
    everyone = len(waiting)
    with show_progress(f"asking {', '.join(waiting)}") as tell:

        async def report(checked: Checked) -> None:
            waiting.remove(checked.source)
            if tell:
                await tell(everyone - len(waiting), everyone, f"asking {', '.join(waiting)}")

        return await check(configuration, report)


def _show(checked: Sequence[Checked], vendors: Mapping[str, Vendor], out: Output) -> None:
    columns = [
        Column("Source", whole=True),
        Column("State", whole=True),
        Column("Time", right=True, whole=True),
    ]
    rows: list[list[str | Text]] = [
        [one.source, _state(one.ok), f"{one.seconds:.2f} s", describe_found(one)] for one in checked
    ]
    out.table([*columns, Column("Found")], rows)
    out.line()
    fine = sum(one.ok for one in checked)
    if fine == len(checked):
        out.line("Every source can be read." if fine > 1 else "The source can be read.", "bold")
    else:
        out.line(f"{fine:,} of {count_noun(len(checked), 'source')} can be read.", "bold red")
    _show_key_pages(
        [vendors[one.vendor] for one in checked if one.error and one.error.kind in KEY_KINDS], out
    )


def _show_key_pages(vendors: Iterable[Vendor], out: Output) -> None:
    """Print where to read how these vendors' keys are made, an address a line, never broken."""
    pages = sorted(set(filter(None, map(key_page, vendors))))
    if pages:
        out.line(HOW.strip())
        for page in pages:
            out.line(page, indent=2, whole=True)


def _show_configured(sources: Sequence[Source], access: Access | None, out: Output) -> None:

    def describe(source: Source) -> str:
        if source.problem:
            return source.problem.message.removeprefix(f"{source.name}: ")
        return source.label or source.vendor.title

    rows: list[list[str | Text]] = [
        [each.name, _state(each.problem is None), describe(each)] for each in sources
    ]
    out.table([Column("Source", whole=True), Column("State", whole=True), Column("Found")], rows)
    out.line()
    if access is not None:
        given: list[list[str | Text]] = [[rule.caller, ", ".join(rule.sources)] for rule in access.rules]
        out.table([Column("Over HTTP", whole=True), Column("sees")], given)
        out.line()
    _show_key_pages([each.vendor for each in sources if each.problem], out)
    out.line("Nothing was asked: this judges the configuration alone.")


def _state(ok: bool) -> Text:
    return Text("ok", "green") if ok else Text("failed", "bold red")


def _show_others(configuration: Configuration, out: Output, *, everything: bool) -> None:
    """Print the vendors that are not set up: how many, or all with their variables."""
    configured = {source.vendor.name for source in configuration.sources}
    names = [name for name in configuration.vendors if name not in configured]
    if not names:
        return
    if not everything:
        out.line(f"{count_noun(len(names), 'other vendor')}: {as_typed()} check --all, or {as_typed()} setup")
        return
    others: list[Vendor] = [configuration.vendors[name] for name in names]
    out.line()
    out.line("Not set up, with the variables that each needs:")
    out.table(
        [Column("", style="dim", whole=True), Column("", style="dim")],
        [[f"  {v.title}", describe_needs(v)] for v in others],
    )
    out.line()


def _describe_store(configuration: Configuration) -> str:
    setting = configuration.settings.store
    if setting == "off":
        return "Sizes are not remembered: AUDIENCE_MCP_STORE is off."
    where = "a database" if setting and is_database(setting) else setting or default_folder()
    return f"Sizes are remembered in {where} (audience-mcp store)."


def describe_found(one: Checked) -> str:
    """What was found at a source: what is wrong, or how many audiences and what will fail soon.

    Without the page on how to make a key, whose address is too long for a table.
    """
    if one.error is not None:
        return one.error.message.removeprefix(f"{one.source}: ").partition(f" {HOW}")[0]
    found = ""
    if one.audiences is not None:
        found = f"{'at least ' if one.at_least else ''}{count_noun(one.audiences, 'audience')}"
    return ". ".join(filter(None, (found, one.warning)))

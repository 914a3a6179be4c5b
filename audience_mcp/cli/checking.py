"""`check`: the first thing to run with new keys."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from audience_mcp.catalog.check import Checked, all_ok, check
from audience_mcp.catalog.models import to_dict
from audience_mcp.cli import FAILED, OK, refuse
from audience_mcp.cli.asking import explain_unconfigured, run_to_exit, show_progress, start
from audience_mcp.cli.output import Column, Output, count_noun, ignore_broken_pipe, write_json
from audience_mcp.config import Configuration, describe_needs
from audience_mcp.store import default_folder, is_database


def check_sources(*, sandbox: bool, json: bool) -> int:
    """Read a page of each source and print how it went."""

    async def main() -> int:
        startup = start(sandbox=sandbox)
        async with startup.reachable() as configuration:
            checked = await _check_all(configuration)
        with ignore_broken_pipe():
            if json:
                write_json({"ok": all_ok(checked), "sources": [to_dict(one) for one in checked]})
            elif checked:
                _show(checked, configuration, Output(), sandbox=sandbox)
                if not sandbox:
                    Output().line(_tell_store(configuration))
        if not checked:
            return refuse(explain_unconfigured(configuration))
        return OK if all_ok(checked) else FAILED

    return run_to_exit(main)


async def _check_all(configuration: Configuration) -> list[Checked]:
    waiting = [source.name for source in configuration.sources]
    everyone = len(waiting)
    with show_progress(f"asking {', '.join(waiting)}") as tell:

        async def report(checked: Checked) -> None:
            waiting.remove(checked.source)
            if tell:
                await tell(everyone - len(waiting), everyone, f"asking {', '.join(waiting)}")

        return await check(configuration, report)


def _show(checked: Sequence[Checked], configuration: Configuration, out: Output, *, sandbox: bool) -> None:
    columns = [
        Column("Source", whole=True),
        Column("State", whole=True),
        Column("Time", right=True, whole=True),
    ]
    rows: list[list[str | Text]] = []
    for one in checked:
        state = Text("ok", "green") if one.ok else Text("failed", "bold red")
        rows.append([one.source, state, f"{one.seconds:.2f} s", _describe(one)])
    out.table([*columns, Column("Found")], rows)
    out.line()
    fine = sum(one.ok for one in checked)
    if fine == len(checked):
        out.line("Every source can be read." if fine > 1 else "The source can be read.", "bold")
    else:
        out.line(f"{fine:,} of {count_noun(len(checked), 'source')} can be read.", "bold red")
    configured = {one.vendor for one in checked}
    unset = [v for v in configuration.vendors.values() if v.name not in configured]
    if unset and not sandbox:
        out.line()
        out.line("Not set up, with the variables that each needs:")
        out.table(
            [Column("", style="dim", whole=True), Column("", style="dim")],
            [[f"  {v.title}", describe_needs(v)] for v in unset],
        )


def _tell_store(configuration: Configuration) -> str:
    setting = configuration.settings.store
    if setting == "off":
        return "Sizes are not remembered: AUDIENCE_MCP_STORE is off."
    where = "a database" if setting and is_database(setting) else setting or default_folder()
    return f"Sizes are remembered in {where} (audience-mcp store)."


def _describe(one: Checked) -> str:
    if one.error is not None:
        return one.error.message.removeprefix(f"{one.source}: ")
    if one.audiences is None:
        return ""
    return f"{'at least ' if one.at_least else ''}{count_noun(one.audiences, 'audience')}"

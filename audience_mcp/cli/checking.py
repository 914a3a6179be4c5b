"""`check`: the first thing to run with new keys."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.text import Text

from audience_mcp.answers import dumped
from audience_mcp.check import Checked, all_ok, check
from audience_mcp.cli import FAILED, OK, refuse
from audience_mcp.cli.asking import configured, finish, log_to_stderr, nothing_configured, progress
from audience_mcp.cli.output import Column, Output, count, unbroken, write_json
from audience_mcp.config import Configuration, required_variables


def check_sources(*, sandbox: bool, json: bool) -> int:
    """Ask each source for a page and print how it went."""

    async def main() -> int:
        async with configured(os.environ, sandbox=sandbox) as configuration:
            redactor = log_to_stderr(configuration)
            checked = await _asked(configuration)
        safe = redactor.json([dumped(one) for one in checked])
        with unbroken():
            if json:
                write_json({"ok": all_ok(checked), "sources": safe})
            elif checked:
                _show([Checked.model_validate(one) for one in safe], configuration, Output())
        if not checked:
            return refuse(nothing_configured(configuration))
        return OK if all_ok(checked) else FAILED

    return finish(main)


async def _asked(configuration: Configuration) -> list[Checked]:
    waiting = [source.name for source in configuration.sources]
    everyone = len(waiting)
    with progress(f"asking {', '.join(waiting)}") as tell:

        async def told(checked: Checked) -> None:
            waiting.remove(checked.source)
            if tell:
                await tell(everyone - len(waiting), everyone, f"asking {', '.join(waiting)}")

        return await check(configuration, told)


def _show(checked: Sequence[Checked], configuration: Configuration, out: Output) -> None:
    columns = [
        Column("Source", whole=True),
        Column("State", whole=True),
        Column("Time", right=True, whole=True),
    ]
    rows: list[list[str | Text]] = []
    for one in checked:
        state = Text("ok", "green") if one.ok else Text("failed", "bold red")
        rows.append([one.source, state, f"{one.seconds:.2f} s", _found(one)])
    out.table([*columns, Column("Found")], rows)
    out.line()
    fine = sum(one.ok for one in checked)
    if fine == len(checked):
        out.line("Every source can be read." if fine > 1 else "The source can be read.", "bold")
    else:
        out.line(f"{fine:,} of {count(len(checked), 'source')} can be read.", "bold red")
    there = {one.vendor for one in checked}
    unset = [v for v in configuration.vendors if v.name not in there]
    if unset:
        out.line(
            "Not set up: " + "; ".join(f"{v.title} ({' and '.join(required_variables(v))})" for v in unset)
        )


def _found(one: Checked) -> str:
    if one.error is not None:
        return one.error.message.removeprefix(f"{one.source}: ")
    if one.audiences is None:
        return ""
    return f"{'at least ' if one.at_least else ''}{count(one.audiences, 'audience')}"

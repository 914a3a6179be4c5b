"""`store` and `store clear`: what is remembered, where, and how to forget it."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable

import typer
from rich.text import Text

from audience_mcp.catalog.history import format_moment
from audience_mcp.cli import FAILED, INTERRUPTED, MISUSED, OK, Stop, refuse, say
from audience_mcp.cli.asking import run_to_exit, start
from audience_mcp.cli.output import Column, Output, count_noun, ignore_broken_pipe, write_json
from audience_mcp.config import Source
from audience_mcp.sources.sharing import history_account, readings_key
from audience_mcp.store.store import Store
from audience_mcp.store.values import Contents

MESSAGES = {
    "off": "nothing is remembered: AUDIENCE_MCP_STORE is off.",
    "no_source": "there is no source '{name}' in the environment. {there}",
    "there": "There are: {names}.",
    "none": "No vendor is configured.",
    "ask": "Forget everything that is stored in {place}? History cannot be recovered.",
    "ask_source": "Forget what is stored for {source}? Its history cannot be recovered.",
    "needs_yes": "add --yes: there is no terminal here on which to ask first.",
    "kept": "Nothing was forgotten.",
    "cleared": "Forgotten. The store is empty.",
    "cleared_source": "Forgotten: what was stored for {source}.",
    "failed": "the store could not be used.",
}


def show_store(*, json: bool) -> int:
    """Print where the store is, how big, since when, and what is in it."""

    async def look(store: Store, sources: list[Source]) -> int:
        contents = await store.contents()
        if contents is None:
            return refuse(store.take_note() or MESSAGES["failed"])
        with ignore_broken_pipe():
            if json:
                write_json(_as_json(contents))
            else:
                _show(contents, Output())
        if trouble := store.take_note():
            say(f"audience-mcp: {trouble}")
        return OK

    return _run(look)


def clear_store(*, source: str | None, yes: bool) -> int:
    """Forget everything, or what is stored for one source. Asks on a terminal, and needs `yes` elsewhere."""

    async def clear(store: Store, sources: list[Source]) -> int:
        chosen = [each for each in sources if each.name == source]
        if source is not None and not chosen:
            there = MESSAGES["there"].format(names=", ".join(each.name for each in sources))
            raise Stop(
                MESSAGES["no_source"].format(name=source, there=there if sources else MESSAGES["none"]),
                MISUSED,
            )
        contents = await store.contents()
        if contents is None:
            return refuse(store.take_note() or MESSAGES["failed"])
        if not yes and not _confirm(contents.place, source):
            say(MESSAGES["kept"])
            return INTERRUPTED
        keys = accounts = None
        if chosen:
            key, series = await readings_key(chosen[0], store), await history_account(chosen[0], store)
            keys, accounts = [key] if key else [], [series[0]] if series else []
        if not await store.clear(keys, accounts):
            return refuse(store.take_note() or MESSAGES["failed"], FAILED)
        print(MESSAGES["cleared_source" if chosen else "cleared"].format(source=source))
        return OK

    return _run(clear)


def _run(use: Callable[[Store, list[Source]], Awaitable[int]]) -> int:
    async def main() -> int:
        startup = start(sandbox=False)
        store = startup.open_store()
        if store is None:
            return refuse(MESSAGES["off"], MISUSED)
        try:
            return await use(store, list(startup.configuration.sources))
        finally:
            await store.aclose()

    return run_to_exit(main)


def _confirm(place: str, source: str | None) -> bool:
    if not sys.stdin.isatty():
        raise Stop(MESSAGES["needs_yes"], MISUSED)
    ask = MESSAGES["ask_source"].format(source=source) if source else MESSAGES["ask"].format(place=place)
    return typer.confirm(ask, err=True)


def _show(contents: Contents, out: Output) -> None:
    out.line(f"Stored in {contents.place}", "bold")
    for part, size in contents.bytes.items():
        out.line(f"{part}: {_write_bytes(size)}", indent=2)
    if contents.readings:
        out.line(f"readings: {count_noun(len(contents.readings), 'source')}, kept for 24 hours", indent=2)
    if not contents.histories:
        out.line("No sizes are stored yet: audience-mcp record stores today's.")
        return
    out.line()
    columns = [
        Column("Account"),
        Column("Since", whole=True),
        Column("Until", whole=True),
        Column("Readings", right=True, whole=True),
    ]
    rows: list[list[str | Text]] = [
        [
            _name_account(account),
            format_moment(span.first)[:10],
            format_moment(span.last)[:16] + "Z",
            f"{span.readings:,}",
        ]
        for account, span in contents.histories.items()
    ]
    out.table(columns, rows)


def _name_account(account: str) -> str:
    """The vendor and the ids that name an account; one that is secret itself is shown as nothing."""
    vendor, _, *ids = json.loads(account)
    shown = [str(id).removeprefix("@") for id in ids if not str(id).startswith("#")]
    return " ".join([vendor, *(each for each in shown if each != vendor)])


def _write_bytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{-(-size // 1024):,} KiB"


def _as_json(contents: Contents) -> dict[str, object]:
    return {
        "place": contents.place,
        "bytes": dict(contents.bytes),
        "readings": [{"vendor": vendor, "as_of": format_moment(when)} for vendor, when in contents.readings],
        "histories": [
            {
                "account": _name_account(account),
                "since": format_moment(span.first),
                "until": format_moment(span.last),
                "readings": span.readings,
            }
            for account, span in contents.histories.items()
        ],
    }

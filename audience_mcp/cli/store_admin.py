"""`store` and `store clear`: what is stored, where, and how to delete it."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import click
from rich.text import Text

from audience_mcp.catalog.compare import format_moment
from audience_mcp.cli.exits import FAILED, INTERRUPTED, MISUSED, OK, Stop, refuse, say
from audience_mcp.cli.output import Column, Output, count_noun, ignore_broken_pipe, write_json
from audience_mcp.cli.running import run_to_exit, start
from audience_mcp.config import Environment, Source, find_sources
from audience_mcp.store.store import Store
from audience_mcp.store.stored import Contents, StoredSeries

UNUSABLE = "the store could not be used."


def show_store(environment: Environment, names: Sequence[str], *, json: bool) -> int:
    """Print where the store is, how big it is, since when it has sizes, and of which accounts.

    names: of sources, vendors, clients or stored sources, to print the history of these alone.
    """

    async def look(store: Store, sources: list[Source]) -> int:
        contents = await store.contents()
        if contents is None:
            return refuse(store.take_note() or UNUSABLE)
        contents = _only(contents, names, sources)
        with ignore_broken_pipe():
            if json:
                write_json(_as_json(contents, sources))
            else:
                _show(contents, sources, Output())
        if trouble := store.take_note():
            say(f"audience-mcp: {trouble}")
        return OK

    return _run(environment, look)


def clear_store(environment: Environment, *, source: str | None, yes: bool) -> int:
    """Delete everything, or what is stored under one name. Asks on a terminal; elsewhere `yes` is needed.

    source: the name of a source, of a vendor or of a stored source, configured or not.
    """

    async def clear(store: Store, sources: list[Source]) -> int:
        contents = await store.contents()
        if contents is None:
            return refuse(store.take_note() or UNUSABLE)
        chosen = None if source is None else _choose(source.strip().lower(), sources, contents)
        if not yes and not _confirm(contents.place, source):
            say("Nothing was forgotten.")
            return INTERRUPTED
        names, keys = (None, ()) if chosen is None else chosen
        done = await store.clear(names, keys)
        if done is None:
            return refuse(store.take_note() or UNUSABLE, FAILED)
        of = f" of {source}" if source is not None else ""
        print(
            f"Forgotten{of}: {count_noun(done.readings, 'reading')}, "
            f"the history of {count_noun(done.audiences, 'audience')}."
        )
        return OK

    return _run(environment, clear)


def _only(contents: Contents, names: Sequence[str], sources: list[Source]) -> Contents:
    """Return the contents with the histories that the names mean, or all if there is none. Raises Stop."""
    meant: set[str] = set()
    for name in names:
        found = {source.name for source in find_sources(name, sources)}
        meant |= found or _choose(name.strip().lower(), sources, contents)[0]
    if not names:
        return contents
    return replace(contents, histories=[each for each in contents.histories if each.source in meant])


def _choose(name: str, sources: list[Source], contents: Contents) -> tuple[set[str], set[str]]:
    """Return the sources' names and the histories' keys that a name means. Raises Stop if it means none."""
    names = {each.name for each in sources if name in (each.name, each.vendor.name)}
    stored = [each for each in contents.histories if name in (each.source, each.vendor)]
    names |= {each.source for each in stored}
    is_vendor = name in {each.vendor for each in stored} | {each.vendor.name for each in sources}
    names |= {of for of, _ in contents.readings if of == name or (is_vendor and of.startswith(f"{name}-"))}
    if not names:
        known = sorted({each.name for each in sources} | {each.source for each in contents.histories})
        there = f"There are: {', '.join(known)}." if known else "Nothing is configured or stored."
        raise Stop(f"no source is configured or stored under the name '{name}'. {there}", MISUSED)
    return names, {each.key for each in contents.histories if each.source in names}


def _run(environment: Environment, use: Callable[[Store, list[Source]], Awaitable[int]]) -> int:
    async def main() -> int:
        startup = start(environment, sandbox=False)
        store = startup.open_store()
        if store is None:
            return refuse("nothing is remembered: AUDIENCE_MCP_STORE is off.", MISUSED)
        try:
            return await use(store, list(startup.configuration.sources))
        finally:
            await store.aclose()

    return run_to_exit(main)


def _confirm(place: str, source: str | None) -> bool:
    if not sys.stdin.isatty():
        raise Stop("add --yes: there is no terminal here on which to ask first.", MISUSED)
    what = f"what is stored for {source}? Its history" if source else f"everything in {place}? History"
    ask = f"Forget {what} cannot be recovered."
    return click.confirm(ask, err=True)


def _show(contents: Contents, sources: list[Source], out: Output) -> None:
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
        Column("Source"),
        Column("Account"),
        Column("Since", whole=True),
        Column("Until", whole=True),
        Column("Readings", right=True, whole=True),
    ]
    rows: list[list[str | Text]] = [
        [
            each.source if _is_configured(each, sources) else f"{each.source} (no longer configured)",
            _name_account(each),
            format_moment(each.span.first)[:10],
            format_moment(each.span.last)[:16] + "Z",
            f"{each.span.readings:,}",
        ]
        for each in contents.histories
    ]
    out.table(columns, rows)


def _is_configured(stored: StoredSeries, sources: list[Source]) -> bool:
    return any((each.name, each.vendor.name) == (stored.source, stored.vendor) for each in sources)


def _name_account(stored: StoredSeries) -> str:
    """Return the vendor and the ids that identify an account, without those that are secret."""
    _, _, *ids = json.loads(stored.key)
    return " ".join([stored.vendor, *(str(id) for id in ids if str(id)[:1] not in "#@")])


def _write_bytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{-(-size // 1024):,} KiB"


def _as_json(contents: Contents, sources: list[Source]) -> dict[str, object]:
    return {
        "place": contents.place,
        "bytes": dict(contents.bytes),
        "readings": [{"source": source, "as_of": format_moment(when)} for source, when in contents.readings],
        "histories": [
            {
                "source": each.source,
                "configured": _is_configured(each, sources),
                "account": _name_account(each),
                "since": format_moment(each.span.first),
                "until": format_moment(each.span.last),
                "readings": each.span.readings,
            }
            for each in contents.histories
        ],
    }

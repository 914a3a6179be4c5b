"""The two questions, over all sources: how big are the audiences, and which one is this?

The catalog chooses the sources, waits for their readings to its deadline, and answers from what is
there. `open_catalog` makes one together with the task group in which readings run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from audience_mcp.catalog.budget import fit_list
from audience_mcp.catalog.find import Finder
from audience_mcp.catalog.models import AudienceList, AudienceMatch
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.catalog.reports import report_source
from audience_mcp.catalog.rows import to_concise, to_full
from audience_mcp.catalog.select import _matched, _sorted
from audience_mcp.config import Account, Configuration, required_variables
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import ToolError
from audience_mcp.core.progress import Progress
from audience_mcp.core.text import clean
from audience_mcp.sources.call import CallSession
from audience_mcp.sources.pager import Fetch
from audience_mcp.sources.reader import Connect, Snapshot, SourceReader
from audience_mcp.sources.signal import ChangeSignal

if TYPE_CHECKING:
    from audience_mcp.sources.connections import Pool

CLOSE_WITHIN_S = 0.5


class Catalog:
    """All sources, and the answers over them."""

    def __init__(
        self,
        configuration: Configuration,
        readers: Sequence[SourceReader],
        signal: ChangeSignal,
        clock: Clock,
    ) -> None:
        self._configuration = configuration
        self._settings = configuration.settings
        self._readers = {reader.name: reader for reader in readers}
        self._signal = signal
        self._clock = clock

    async def list_audiences(self, question: ListQuery, progress: Progress | None = None) -> AudienceList:
        """Every audience that matches, with totals over all of them. Raises ToolError."""
        readers = self._scope(question.sources)
        snapshot = await self._open_session(refresh=question.refresh, progress=progress).read(readers)
        if not any(h.pager.started for h in snapshot.values()):
            raise ToolError(_nothing_read(snapshot))
        matched = list(_matched(question, snapshot))
        known = [row.size for _, row in matched if row.size is not None]
        rows = _sorted(question, matched, self._most_rows(question))[question.offset :]
        show = to_full if question.detail == "full" else to_concise
        notes = [note for h in snapshot.values() for note in h.notes]
        short = [reader.name for reader, h in snapshot.items() if not h.complete]
        if short:
            notes.insert(
                0, f"Not complete: {', '.join(short)} not read in full; the totals cover only what was read."
            )
        if not matched and not short and any(h.pager.rows for h in snapshot.values()):
            notes.append("Nothing matches all of these filters: use fewer, or fewer words in search.")
        if matched and question.offset >= len(matched):
            notes.append(
                f"offset {question.offset:,} is past the last of {len(matched):,} matching audiences."
            )
        return fit_list(
            AudienceList(
                matched=len(matched),
                returned=0,
                sum_of_sizes=sum(known),
                unknown_sizes=len(matched) - len(known),
                complete=not short,
                audiences=[],
                sources=[report_source(reader.source, h) for reader, h in snapshot.items()],
                notes=notes or None,
            ),
            [show(reader.name, reader.source.vendor, row) for reader, row in rows],
            following=max(0, len(matched) - question.offset),
            offset=question.offset,
            chosen="limit" in question.model_fields_set,
            max_chars=self._settings.max_chars,
        )

    async def get_audience(self, question: GetQuery, progress: Progress | None = None) -> AudienceMatch:
        """The audience that a ref, an id or a name means. Raises ToolError."""
        readers = self._scope([question.source] if question.source else None)
        session = self._open_session(refresh=question.refresh, progress=progress)
        return await Finder(readers, question.audience, session, self._settings.max_chars).found()

    def _open_session(self, *, refresh: bool, progress: Progress | None) -> CallSession:
        seconds = self._settings.deadline_s
        return CallSession(self._signal, self._clock, seconds, refresh=refresh, progress=progress)

    def _most_rows(self, question: ListQuery) -> int:
        """How many rows, from the first on, could be shown: no row is shorter than 30 characters."""
        return question.offset + min(question.limit, self._settings.max_chars // 30)

    def _scope(self, names: Sequence[str] | None) -> list[SourceReader]:
        """The sources a call is about. Raises ToolError, naming what exists."""
        if not self._readers:
            lines = [
                f"{v.title}: {' and '.join(required_variables(v))}"
                for v in self._configuration.vendors.values()
            ]
            raise ToolError(
                "No vendor is configured yet. Ask the user to set the variables of at least one in the "
                f"configuration of this MCP server, and to restart it. {'; '.join(lines)}."
            )
        if not names:
            return list(self._readers.values())
        chosen: dict[str, SourceReader] = {}
        for given in names:
            name = given.strip().lower()
            found = [r for r in self._readers.values() if name in (r.name, r.source.vendor.name)]
            chosen |= {reader.name: reader for reader in found}
            if not found:
                raise ToolError(self._no_such_source(given))
        return list(chosen.values())

    def _no_such_source(self, given: str) -> str:
        there = f"Configured: {', '.join(self._readers)}."
        for vendor in self._configuration.vendors.values():
            if vendor.name == given.strip().lower():
                needs = " and ".join(required_variables(vendor))
                return f"{vendor.title} is not configured: set {needs} and restart this MCP server. {there}"
        return f"There is no source '{clean(given, 60)}'. {there}"


def _nothing_read(snapshot: dict[SourceReader, Snapshot]) -> str:
    errors = [h.error for h in snapshot.values() if h.error]
    if len(errors) == 1:
        return errors[0].message
    told = "\n".join(f"- {clean(e.message, 600)}" for e in errors[:12])
    more = f"\n- and {len(errors) - 12} more" if len(errors) > 12 else ""
    return f"No source could be read, so nothing is known of any audience:\n{told}{more}"


@asynccontextmanager
async def open_catalog(
    configuration: Configuration, *, clock: Clock | None = None, connect: Connect | None = None
) -> AsyncIterator[Catalog]:
    """A catalog whose readings run until this is left; connections are made at the first question."""
    clock = clock or Clock()
    over_http = _OverHttp(clock)
    async with aclosing(over_http), anyio.create_task_group() as tasks:
        signal = ChangeSignal(clock)
        readers = [
            SourceReader(source, connect or over_http, tasks, signal, clock, configuration.settings.cache_s)
            for source in configuration.sources
        ]
        try:
            yield Catalog(configuration, readers, signal, clock)
        finally:
            tasks.cancel_scope.cancel()


class _OverHttp:
    """The ways to vendors, over one pool of connections; both are made when first needed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool: Pool | None = None

    def __call__(self, account: Account) -> Fetch:
        from audience_mcp.sources.client import VendorClient
        from audience_mcp.sources.connections import (
            Pool,  # httpx is loaded when a vendor is first asked, not at start
        )

        self._pool = self._pool or Pool()
        return VendorClient(account, self._pool, self._clock).fetch

    async def aclose(self) -> None:
        """Close every connection; one that will not say good-bye is left to the operating system."""
        if self._pool is not None:
            with anyio.move_on_after(CLOSE_WITHIN_S, shield=True):
                await self._pool.aclose()

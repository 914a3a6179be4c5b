"""The two questions, over all sources: how big are the audiences, and which one is this?

The catalog chooses the sources, waits for their readings to its deadline, and answers from what is
there. `open_catalog` makes one together with the task group in which readings run.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from audience_mcp.catalog.compose import compose_list
from audience_mcp.catalog.find import Finder
from audience_mcp.catalog.history import add_history, compare, require_history
from audience_mcp.catalog.memo import AnswerMemo
from audience_mcp.catalog.models import AudienceList, AudienceMatch
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.catalog.remembered import (
    RECORD_WITHIN_S,
    Histories,
    Recorded,
    confirm_stored,
    find_histories,
    goes_further,
)
from audience_mcp.catalog.select import Selection, select
from audience_mcp.config import Account, Configuration, describe_needs
from audience_mcp.core.audience import Row
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import ToolError
from audience_mcp.core.progress import Progress
from audience_mcp.core.secrets import Redactor
from audience_mcp.core.text import clean
from audience_mcp.sources.call import CallSession
from audience_mcp.sources.pager import Fetch
from audience_mcp.sources.reader import Connect, SourceReader
from audience_mcp.sources.reading import Snapshot
from audience_mcp.sources.sharing import SharedTurns
from audience_mcp.sources.signal import ChangeSignal

if TYPE_CHECKING:
    from audience_mcp.sources.connections import Pool
    from audience_mcp.store.store import Store

CLOSE_WITHIN_S = 0.5
COMPOSED_HERE = 2_000
"""Audiences over which an answer is composed at once; with more of them, in a thread."""

MESSAGES = {
    "nothing_read": "No source could be read, so nothing is known about any audience:\n{errors}",
    "unconfigured": "No vendor is configured yet. Ask the user to set the variables of at least one in the "
    "configuration of this MCP server, and to restart it. Vendors: {vendors}. Their variables are listed by "
    "audience-mcp check.",
    "vendor_unconfigured": "{title} is not configured: set {needs} and restart this MCP server. {there}",
    "no_source": "There is no source '{name}'.{near} {there}",
    "configured": "Configured: {names}.",
}

ComposedT = TypeVar("ComposedT")


class Catalog:
    """All sources, and the answers over them."""

    def __init__(
        self,
        configuration: Configuration,
        readers: Sequence[SourceReader],
        signal: ChangeSignal,
        clock: Clock,
        store: Store | None = None,
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._settings = configuration.settings
        self._readers = {reader.name: reader for reader in readers}
        self._signal = signal
        self._clock = clock
        self._composing = anyio.CapacityLimiter(1)
        self._memo = AnswerMemo()

    async def list_audiences(
        self, query: ListQuery, progress: Progress | None = None, max_chars: int | None = None
    ) -> AudienceList:
        """Every audience that matches, with totals over all of them. Raises ToolError.

        max_chars: characters of the answer, in place of the setting.
        """
        readers = self._scope(query.sources)
        if query.compare_to is not None:
            require_history(self._store, "compare_to")
        session = self._open_session(refresh=query.refresh, progress=progress)
        snapshots = await session.read(readers)
        if not any(snapshot.pager.started for snapshot in snapshots.values()):
            raise ToolError(_explain_nothing_read(snapshots))
        chars = max_chars or self._settings.max_chars
        comparison = None
        if query.compare_to is not None and self._store is not None:
            comparison = await compare(self._store, query.compare_to, snapshots, session.seconds_left)
        trouble = self.take_note()
        lasting = trouble is None and comparison is None
        if lasting and (known := self._memo.get(query, snapshots, chars)) is not None:
            return known
        rows = {reader: snapshot.pager.present_rows() for reader, snapshot in snapshots.items()}

        def begin() -> tuple[Selection, AudienceList | None]:
            """What is selected, and the answer where no size must be asked for first."""
            selection = select(query, rows)
            selection.notes += [trouble] if trouble else []
            if any(row.size_pending for each in selection.hits.values() for row in each):
                return selection, None
            return selection, compose_list(query, selection, snapshots, chars, comparison)

        selection, answer = await self._compose(rows, begin)
        if answer is None:
            uncounted = await session.count(selection.hits)
            for reader, error in uncounted.items():
                snapshots[reader] = replace(
                    snapshots[reader], complete=False, error=snapshots[reader].error or error
                )
            answer = await self._compose(
                rows, partial(compose_list, query, selection, snapshots, chars, comparison)
            )
        if lasting:
            self._memo.keep(query, snapshots, chars, answer)
        return answer

    async def _compose(
        self, rows: Mapping[SourceReader, Collection[Row]], compose: Callable[[], ComposedT]
    ) -> ComposedT:
        """Compose here where that is quick, else in a thread, one at a time: the loop is never held up."""
        if sum(map(len, rows.values())) <= COMPOSED_HERE:
            return compose()
        return await anyio.to_thread.run_sync(compose, limiter=self._composing, abandon_on_cancel=True)

    async def get_audience(
        self, query: GetQuery, progress: Progress | None = None, max_chars: int | None = None
    ) -> AudienceMatch:
        """The audience that a ref means, or those that have a text as id or name. Raises ToolError."""
        readers = self._scope([query.source] if query.source else None)
        store = require_history(self._store, "since") if query.since is not None else None
        session = self._open_session(refresh=query.refresh, progress=progress)
        chars = max_chars or self._settings.max_chars
        add = partial(add_history, store, query.since) if store is not None and query.since else None
        finder = Finder(readers, query.audience, session, chars, [*self._readers], self.take_note, add)
        return await finder.find()

    async def record(self, progress: Progress | None = None) -> list[Recorded]:
        """Read every source now, to its end, and say what the history has of it. Raises ToolError."""
        store = require_history(self._store, "record")
        until = self._clock.now() + RECORD_WITHIN_S
        answer, before = await self.list_audiences(ListQuery(limit=0, refresh=True), progress), None
        while goes_further(before, answer) and self._clock.now() < until:
            answer, before = await self.list_audiences(ListQuery(limit=0), progress), answer
        sources = [self._readers[report.source].source for report in answer.sources]
        return [await confirm_stored(store, *each) for each in zip(sources, answer.sources, strict=True)]

    async def find_histories(self, text: str | None, since: datetime) -> Histories:
        """Stored sizes over time of all audiences, or of those that `text` means. Raises ToolError."""
        store = require_history(self._store, "history")
        readers = [reader.source for reader in self._scope(None)]
        return await find_histories(store, readers, text, since)

    def take_note(self) -> str | None:
        """What the store has to say for itself, once."""
        return self._store.take_note() if self._store is not None else None

    def _open_session(self, *, refresh: bool, progress: Progress | None) -> CallSession:
        seconds = self._settings.deadline_s
        return CallSession(self._signal, self._clock, seconds, refresh=refresh, progress=progress)

    def _scope(self, names: Sequence[str] | None) -> list[SourceReader]:
        """The sources a call is about. Raises ToolError, naming what exists."""
        known = [n for n in names or () if n.strip().lower() in self._configuration.vendors]
        if not self._readers and not known:
            vendors = ", ".join(self._configuration.vendors)
            raise ToolError(MESSAGES["unconfigured"].format(vendors=vendors))
        if not names:
            return list(self._readers.values())
        chosen: dict[str, SourceReader] = {}
        for given in names if self._readers else known:
            name = given.strip().lower()
            found = [r for r in self._readers.values() if name in (r.name, r.source.vendor.name)]
            chosen |= {reader.name: reader for reader in found}
            if not found:
                raise ToolError(self._no_such_source(given))
        return list(chosen.values())

    def _no_such_source(self, given: str) -> str:
        there = MESSAGES["configured"].format(names=", ".join(self._readers) or "nothing yet")
        vendor = self._configuration.vendors.get(given.strip().lower())
        if vendor is not None:
            needs = describe_needs(vendor)
            return MESSAGES["vendor_unconfigured"].format(title=vendor.title, needs=needs, there=there)
        similar = difflib.get_close_matches(given.strip().lower(), self._readers, 1)
        near = f" Did you mean '{similar[0]}'?" if similar else ""
        return MESSAGES["no_source"].format(name=clean(given, 60), near=near, there=there)


def _explain_nothing_read(snapshots: Mapping[SourceReader, Snapshot]) -> str:
    errors = [snapshot.error for snapshot in snapshots.values() if snapshot.error]
    if len(errors) == 1:
        return errors[0].message
    listed = "\n".join(f"- {clean(e.message, 600)}" for e in errors[:12])
    more = f"\n- and {len(errors) - 12} more" if len(errors) > 12 else ""
    return MESSAGES["nothing_read"].format(errors=f"{listed}{more}")


@asynccontextmanager
async def open_catalog(
    configuration: Configuration,
    *,
    clock: Clock | None = None,
    connect: Connect | None = None,
    redactor: Redactor | None = None,
    store: Store | None = None,
) -> AsyncIterator[Catalog]:
    """A catalog whose readings run until this is left; connections are made at the first query.

    redactor: takes the keys out of what vendors send, and learns the tokens that they give out. store: what
    is shared with other processes and remembered; it is closed at the end.
    """
    clock = clock or Clock()
    redactor = redactor or Redactor()
    redactor.add(*configuration.secrets)
    over_http = _OverHttp(clock, redactor, store)
    async with aclosing(over_http), anyio.create_task_group() as tasks:
        signal = ChangeSignal(clock)
        readers = [
            SourceReader(
                source,
                connect or over_http,
                tasks,
                signal,
                clock,
                configuration.settings.cache_s,
                redactor,
                store,
            )
            for source in configuration.sources
        ]
        try:
            yield Catalog(configuration, readers, signal, clock, store)
        finally:
            if store is not None:
                store.end_soon()
            tasks.cancel_scope.cancel()
    if store is not None:
        await store.aclose()


class _OverHttp:
    """The ways to vendors, over one pool of connections; both are made when first needed."""

    def __init__(self, clock: Clock, redactor: Redactor, store: Store | None = None) -> None:
        self._clock = clock
        self._store = store
        self._redactor = redactor
        self._pool: Pool | None = None

    def __call__(self, account: Account) -> Fetch:
        from audience_mcp.sources.client import VendorClient
        from audience_mcp.sources.connections import (
            Pool,  # httpx is loaded when a vendor is first asked, not at start
        )

        self._pool = self._pool or Pool()
        shared = SharedTurns(account, self._store) if self._store and self._store.shares else None
        return VendorClient(account, self._pool, self._clock, self._redactor, shared).fetch

    async def aclose(self) -> None:
        """Close every connection; one that will not say good-bye is left to the operating system."""
        if self._pool is not None:
            with anyio.move_on_after(CLOSE_WITHIN_S, shield=True):
                await self._pool.aclose()

"""Answers both tools' questions over all sources: how big are the audiences, and which one is this?

The catalog chooses the sources, waits for their readings until its deadline, and answers from what has been
read by then. `open_catalog` makes one, with the task group in which readings run.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from audience_mcp.catalog.compare import compare, format_moment, require_history
from audience_mcp.catalog.compose import compose_list
from audience_mcp.catalog.composer import Composer
from audience_mcp.catalog.find import Finder
from audience_mcp.catalog.index import Indexes
from audience_mcp.catalog.issues import IssueFinder, Stalled, basis_of, find_stalled
from audience_mcp.catalog.line import add_history
from audience_mcp.catalog.look_back import LookBack
from audience_mcp.catalog.memo import AnswerMemo
from audience_mcp.catalog.models import AudienceList, AudienceMatch
from audience_mcp.catalog.naming import name_refs, name_sources
from audience_mcp.catalog.over_time import By, StoredSource
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.catalog.recall import recall
from audience_mcp.catalog.recording import (
    RECORD_WITHIN_S,
    GroupHistories,
    Histories,
    Recorded,
    confirm_stored,
    find_histories,
    find_totals,
    goes_further,
)
from audience_mcp.catalog.select import Selection, is_plain, narrow, needs_issues, select
from audience_mcp.catalog.watch import Conditions, Watched, judge
from audience_mcp.config import Account, Configuration, Source, describe_needs, find_sources
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import InvalidArgument, ToolError
from audience_mcp.core.progress import Progress
from audience_mcp.core.secrets import Redactor
from audience_mcp.core.text import clean
from audience_mcp.sources.call import CallSession
from audience_mcp.sources.reader import Connect, SourceReader, SourceState
from audience_mcp.sources.reading import Snapshot
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.sharing import MOST_PATIENCE_S, PATIENCE_SHARE, SharedTurns
from audience_mcp.sources.signal import ChangeSignal
from audience_mcp.sources.source_history import StoredHistory
from audience_mcp.sources.talk import Fetch
from audience_mcp.sources.traffic import Traffic
from audience_mcp.store import SAVED_WITHIN_S

if TYPE_CHECKING:
    from audience_mcp.sources.connections import Pool
    from audience_mcp.store.store import Store

EVERYTHING = 10**12
"""A number of rows, and of characters, that no answer reaches."""
CLOSE_WITHIN_S = 0.5
"""Seconds that connections get to close at the end."""
MESSAGES = {
    "nothing_read": "No source could be read, so nothing is known about any audience:\n{errors}",
    "unconfigured": "No vendor is configured yet. Ask the user to set the variables of at least one in the "
    "configuration of this MCP server, and to restart it. Vendors: {vendors}. Their variables are listed by "
    "audience-mcp check --all; audience-mcp setup asks for them.",
    "unconfigured_at": "No vendor is configured yet. Ask the user to fill in the keys of at least one under "
    "{place}, and to restart this server there. Vendors: {vendors}.",
    "vendor_unconfigured": "{title} is not configured: set {needs} and restart this MCP server. {there}",
    "no_source": "There is no source '{name}'.{near} {there}",
    "configured": "Configured: {names}.",
}


class Catalog:
    """All sources, and the answers over them."""

    def __init__(
        self,
        configuration: Configuration,
        readers: Sequence[SourceReader],
        runtime: Runtime,
        whole: Catalog | None = None,
    ) -> None:
        """A catalog of these sources. whole: the one that this is a view of."""
        self._runtime = runtime
        self._whole = whole
        self._store = runtime.store
        self._configuration = configuration
        self._settings = configuration.settings
        self._readers = {reader.name: reader for reader in readers}
        self._signal = runtime.signal
        self._clock = runtime.clock
        self._redactor = runtime.redactor
        self._traffic = runtime.traffic
        self._composer: Composer = whole._composer if whole is not None else Composer()
        self._told = self._store.find_passed() if self._store is not None else set[str]()
        self._memo = AnswerMemo()
        self._indexes, self._past_indexes = Indexes(), Indexes(of_past=True)
        self._look_back: LookBack = whole._look_back if whole is not None else LookBack(self._composer)

    @property
    def configuration(self) -> Configuration:
        """The sources and settings that it answers for."""
        return self._configuration

    def view(self, sources: Collection[str]) -> Catalog:
        """This catalog as it is for a caller who may see these sources: no other one exists in its answers.

        Readings and pace are shared; what is kept of answers is not.
        """
        seen = tuple(source for source in self._configuration.sources if source.name in sources)
        return Catalog(
            replace(self._configuration, sources=seen, warnings=()),
            [self._readers[source.name] for source in seen],
            self._runtime,
            self,
        )

    async def list_audiences(
        self,
        query: ListQuery,
        progress: Progress | None = None,
        max_chars: int | None = None,
        *,
        ask_records: bool = True,
    ) -> AudienceList:
        """The audiences that match, with totals over all of them. Raises ToolError.

        max_chars: characters of the answer, in place of AUDIENCE_MCP_MAX_CHARS. ask_records: whether vendors'
        own records fill what is compared with.
        """
        now = self._clock.utc()
        compare_to, as_of = _resolve(query, now)
        readers = self._scope(query.sources)
        for argument, moment in (("compare_to", compare_to), ("as_of", as_of)):
            if moment is not None:
                require_history(self._store, argument)
        session = self._open_session(refresh=query.refresh, progress=progress)
        missing_in = self._scope(query.missing_in) if query.missing_in else []
        wanted = list(dict.fromkeys([*readers, *missing_in]))
        if compare_to is not None or as_of is not None:
            await self._make_past(session, wanted)
        of_past: list[str] = []
        if as_of is None:
            read, indexes = await session.read(wanted), self._indexes
        else:
            read, of_past = await self._look_back.read(as_of, wanted, session.seconds_left)
            indexes, now = self._past_indexes, min(as_of, now)
        snapshots = {reader: read[reader] for reader in readers}
        elsewhere = {reader: read[reader] for reader in missing_in}
        if not any(snapshot.pager.started for snapshot in snapshots.values()):
            raise ToolError(_explain_nothing_read(snapshots))
        chars = max_chars or self._settings.max_chars
        comparison = None
        if compare_to is not None:
            comparison = await compare(compare_to, snapshots, session.seconds_left)
        stalled: Stalled = {}
        if as_of is None and needs_issues(query):
            stalled = await find_stalled(snapshots, now, session.seconds_left)
        trouble = self.take_note()
        lasting = trouble is None
        besides = comparison.key if comparison is not None else None, basis_of(now, stalled)
        if lasting and (known := self._memo.get(query, read, chars, besides)) is not None:
            return known
        index = indexes.of(snapshots)
        is_all_there = bool(elsewhere) and all(snapshot.complete for snapshot in elsewhere.values())
        others = indexes.of(elsewhere) if is_all_there else None
        issues = IssueFinder(index, now, stalled)

        remembering: list[SourceReader] = []
        if comparison is not None and as_of is None:
            remembering = [reader for reader in snapshots if reader.past is not None]
        recalling = remembering if ask_records else []

        def begin() -> tuple[Selection, AudienceList | None]:
            """The selection, and the answer unless sizes have to be requested first."""
            selection = select(query, index, others.names() if others is not None else None)
            selection.notes += of_past
            selection.notes += [trouble] if trouble else []
            if recalling or any(map(index.is_pending, selection.matches.values())):
                return selection, None
            for reader, rows in selection.matches.items() if as_of is None else ():
                if reader.counter is not None and (error := reader.counter.explain_refused(rows)):
                    snapshots[reader] = snapshots[reader].without_sizes(error)
            return selection, compose_list(
                query, selection, snapshots, index, chars, issues, comparison, elsewhere
            )

        def find_known() -> tuple[Selection, AudienceList] | None:
            """The answer, if another call has composed it meanwhile."""
            known = self._memo.get(query, read, chars, besides) if lasting else None
            return None if known is None else (Selection({}), known)

        count = index.count + (comparison.size if comparison is not None else 0)
        quick = is_plain(query) and index.has(query.sort) and comparison is None
        selection, answer = begin() if quick else await self._composer.run(count, begin, find_known)
        if answer is None:
            uncounted = await session.count(selection.matches)
            for reader, error in uncounted.items():
                snapshots[reader] = snapshots[reader].without_sizes(error)
            if comparison is not None and compare_to is not None and recalling:
                recalled = {reader: selection.matches[reader] for reader in recalling}
                await recall(compare_to, now, narrow(query, recalled, issues), comparison, session)
            answer = await self._composer.run(
                count,
                partial(
                    compose_list, query, selection, snapshots, index, chars, issues, comparison, elsewhere
                ),
            )
        if lasting and not remembering:  # what vendors say of the past is no part of an answer's key
            self._memo.keep(query, read, chars, answer, besides)
        return answer

    async def get_audience(
        self, query: GetQuery, progress: Progress | None = None, max_chars: int | None = None
    ) -> AudienceMatch:
        """The audience that a ref means, or those with a text as their id or name. Raises ToolError."""
        readers = self._scope([query.source] if query.source else None)
        if query.since is not None:
            require_history(self._store, "since")
        session = self._open_session(refresh=query.refresh, progress=progress)
        if query.since is not None:
            meant = [reader for reader in readers if query.audience.strip().startswith(f"{reader.name}:")]
            await self._make_past(session, meant or readers)
        chars = max_chars or self._settings.max_chars
        add = None
        if query.since is not None:
            add = partial(add_history, query.since, self._clock.utc(), session)
        finder = Finder(
            readers,
            query.audience,
            session,
            chars,
            self._indexes,
            self._composer,
            self._clock.utc(),
            [*self._readers],
            self.take_note,
            add,
            query.notes,
            query.since,
        )
        return await finder.find()

    async def record(
        self, progress: Progress | None = None, sources: Sequence[str] | None = None
    ) -> list[Recorded]:
        """Read these sources, or all, in full and say for each whether it was stored. Raises ToolError."""
        store = require_history(self._store, "record")
        chosen = list(sources) if sources else None
        answer = await self._list_to_the_end(ListQuery(sources=chosen, limit=0, refresh=True), progress)
        return [
            await confirm_stored(store, self._readers[report.source], report) for report in answer.sources
        ]

    async def watch(
        self, query: ListQuery, conditions: Conditions, progress: Progress | None = None
    ) -> Watched:
        """What meets the conditions since `compare_to` of the query, which has no filter but `sources`.

        Every source is read in full first, however long that takes. Raises ToolError.
        """
        require_history(self._store, "watch")
        since, _ = _resolve(query, self._clock.utc())
        if since is None:
            raise InvalidArgument("watch needs compare_to: the date to compare with, such as 2026-11-01.")
        whole = query.model_copy(update={"detail": "full", "limit": EVERYTHING})
        if not conditions.compare:
            whole = whole.model_copy(update={"compare_to": None})
        answer = await self._list_to_the_end(
            whole, progress, EVERYTHING, ask_records=conditions.judge_changes
        )
        return await judge(conditions, since, answer, self._readers)

    async def _list_to_the_end(
        self,
        query: ListQuery,
        progress: Progress | None,
        max_chars: int | None = None,
        *,
        ask_records: bool = True,
    ) -> AudienceList:
        """Ask again for as long as readings get further, for RECORD_WITHIN_S at most."""
        until = self._clock.now() + RECORD_WITHIN_S
        ask = partial(self.list_audiences, progress=progress, max_chars=max_chars, ask_records=ask_records)
        answer, before = await ask(query), None
        again = query.model_copy(update={"refresh": False})
        while goes_further(before, answer) and self._clock.now() < until:
            answer, before = await ask(again), answer
        return answer

    async def find_histories(
        self, text: str | None, since: datetime, sources: Sequence[str] = (), *, daily: bool = False
    ) -> Histories:
        """Stored sizes over time of all audiences, or of those with `text` as ref, id or name.

        sources: where to look; everywhere if it is empty. daily: only the last size of each day.

        Raises ToolError.
        """
        return await find_histories(await self._find_stored(sources), text, since, daily=daily)

    async def find_totals(
        self,
        text: str | None,
        since: datetime,
        sources: Sequence[str],
        by: By | None,
        *,
        daily: bool = False,
    ) -> GroupHistories:
        """The totals of these audiences over time, by group, or one of all. Raises ToolError."""
        return await find_totals(await self._find_stored(sources), text, since, by, daily=daily)

    async def _find_stored(self, names: Sequence[str]) -> list[StoredSource]:
        """The sources that names mean, or all, of which something may be stored. Raises ToolError.

        A source that is configured has its own account's history; a vendor of which nothing is configured has
        every series that is stored of it, under the names of the sources that there were.
        """
        store = require_history(self._store, "history")
        await self._make_past(self._open_session(refresh=False, progress=None), [*self._readers.values()])
        with anyio.move_on_after(SAVED_WITHIN_S):
            await store.saved()  # so that what was just answered is part of it
        configured = {reader.source.vendor.name for reader in self._readers.values()}
        series = [
            each
            for each in await store.history(lambda history: history.contents()) or ()
            if each.vendor not in configured and self._whole is None
        ]
        known = self._configuration.vendors
        others = [
            Source(each.source, known[each.vendor], None, client=each.client)
            for each in series
            if each.vendor in known
        ]
        chosen = {each.source for each in series} if not names else set[str]()
        for name in names:
            readers = {source.name for source in self._configuration.find_sources(name)}
            stored = {source.name for source in find_sources(name, others)}
            stored |= {each.source for each in series if name.strip().lower() in (each.source, each.vendor)}
            if not readers and not stored:
                raise InvalidArgument(self._no_such_source(name))
            chosen |= readers | stored
        found = [
            StoredSource(
                reader.name,
                source.vendor.name,
                source.client,
                source.label,
                reader.history,
                source.vendor.own_id,
            )
            for reader in self._readers.values()
            if (source := reader.source).name in chosen or not names
        ]
        return found + [
            StoredSource(
                each.source,
                each.vendor,
                each.client,
                None,
                StoredHistory(each.key, store, self._redactor),
                known[each.vendor].own_id if each.vendor in known else str,
            )
            for each in series
            if each.source in chosen
        ]

    def names_for(self, query: ListQuery | GetQuery) -> list[str]:
        """The names of the sources that a question is about; none where it names one that does not exist."""
        if isinstance(query, ListQuery):
            named = [*query.sources, *(query.missing_in or ())] if query.sources else None
        else:
            named = [query.source] if query.source else None
        try:
            return [reader.name for reader in self._scope(named)]
        except ToolError:
            return []

    @property
    def states(self) -> list[SourceState]:
        """How each source is now, for those who run the server; nothing is read for it."""
        return [reader.state for reader in self._readers.values()]

    @property
    def store(self) -> Store | None:
        """What readings and sizes are remembered in, if anything."""
        return self._store

    @property
    def traffic(self) -> Traffic:
        """The requests to vendors so far."""
        return self._traffic

    def name_codes(self, answer: Mapping[str, Any]) -> dict[str, str]:
        """What people call the sources, vendors and clients, and the refs of which an answer has no name.

        answer: the structured result of either tool.
        """
        return {**name_sources(self._readers.values()), **name_refs(answer, self._readers)}

    def take_note(self) -> str | None:
        """The store's note about a fault of its own, once a fault: each view has callers of its own."""
        return self._store.take_note(self._told) if self._store is not None else None

    async def _make_past(self, session: CallSession, readers: Sequence[SourceReader]) -> None:
        """Have a made-up history there before it is asked for: it begins with the first sizes of now."""
        if self._store is None or self._store.shares:
            return
        read = await session.read(readers)
        await session.count({reader: list(snapshot.pager.rows.values()) for reader, snapshot in read.items()})
        for reader in readers:
            await reader.recorded()

    def _open_session(self, *, refresh: bool, progress: Progress | None) -> CallSession:
        seconds = self._settings.deadline_s
        return CallSession(self._signal, self._clock, seconds, refresh=refresh, progress=progress)

    def _scope(self, names: Sequence[str] | None) -> list[SourceReader]:
        """The sources that `names` mean; None means all. Raises ToolError, naming those that exist."""
        known = [n for n in names or () if n.strip().lower() in self._configuration.vendors]
        if not self._readers and not known:
            vendors = ", ".join(self._configuration.vendors)
            place = self._settings.settings_at
            message = MESSAGES["unconfigured_at" if place else "unconfigured"]
            raise ToolError(message.format(vendors=vendors, place=place))
        if not names:
            return list(self._readers.values())
        chosen: dict[str, SourceReader] = {}
        for given in dict.fromkeys(names if self._readers else known):
            found = self._configuration.find_sources(given)
            chosen |= {source.name: self._readers[source.name] for source in found}
            if not found:
                raise InvalidArgument(self._no_such_source(given))
        return list(chosen.values())

    def _no_such_source(self, given: str) -> str:
        there = MESSAGES["configured"].format(names=", ".join(self._readers) or "nothing yet")
        vendor = self._configuration.vendors.get(given.strip().lower())
        if vendor is not None:
            needs = describe_needs(vendor)
            return MESSAGES["vendor_unconfigured"].format(title=vendor.title, needs=needs, there=there)
        clients = {source.client for source in self._configuration.sources if source.client}
        shown = clean(given, 60)
        similar = difflib.get_close_matches(shown.lower(), [*self._readers, *clients], 1)
        near = f" Did you mean '{similar[0]}'?" if similar else ""
        return MESSAGES["no_source"].format(name=shown, near=near, there=there)


def _resolve(query: ListQuery, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The moments to compare with and to look back at, if any.

    Raises ToolError if one lies ahead, or the first is not before the second.
    """
    name, compare_to, as_of = "compare_to", None, None
    try:
        if query.compare_to is not None:
            compare_to = query.compare_to.to_compare(now)
        name = "as_of"
        if query.as_of is not None:
            as_of = query.as_of.to_look_at(now)
    except ValueError as e:
        raise InvalidArgument(f"'{name}' {e}.") from None
    if compare_to is not None and as_of is not None and compare_to >= as_of:
        at = format_moment(as_of)
        raise InvalidArgument(f"'compare_to' must be before as_of ({at}): the earlier of two moments.")
    return compare_to, as_of


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
    saves_within_s: float = SAVED_WITHIN_S,
) -> AsyncIterator[Catalog]:
    """A catalog whose readings run until the context ends. Connections are made at the first question.

    redactor: removes keys from what vendors send, and learns the tokens that they issue. store: shares
    readings with other processes and keeps history; it is closed at the end, after pending saves have had
    `saves_within_s` seconds.
    """
    clock = clock or Clock()
    redactor = redactor or Redactor()
    redactor.add(*configuration.secrets)
    patience_s = min(MOST_PATIENCE_S, configuration.settings.deadline_s / PATIENCE_SHARE)
    traffic = Traffic()
    over_http = _OverHttp(clock, redactor, store, patience_s, traffic)
    async with aclosing(over_http), anyio.create_task_group() as tasks:
        runtime = Runtime(tasks, ChangeSignal(clock), clock, redactor, store, patience_s, traffic)
        cache_s = configuration.settings.cache_s
        readers = [
            SourceReader(source, connect or over_http, runtime, cache_s) for source in configuration.sources
        ]
        try:
            yield Catalog(configuration, readers, runtime)
        finally:
            if store is not None:
                store.end_soon(saves_within_s)
            tasks.cancel_scope.cancel()
    if store is not None:
        await store.aclose()


class _OverHttp:
    """Makes one client an account, over a shared connection pool that is opened when first needed."""

    def __init__(
        self, clock: Clock, redactor: Redactor, store: Store | None, patience_s: float, traffic: Traffic
    ) -> None:
        self._clock = clock
        self._store = store
        self._redactor = redactor
        self._patience_s = patience_s
        self._traffic = traffic
        self._pool: Pool | None = None

    def __call__(self, account: Account) -> Fetch:
        # httpx is imported at the first request, not at start.
        from audience_mcp.sources.client import VendorClient
        from audience_mcp.sources.connections import Pool

        self._pool = self._pool or Pool()
        shared = (
            SharedTurns(account, self._store, self._patience_s)
            if self._store and self._store.shares
            else None
        )
        return VendorClient(account, self._pool, self._clock, self._redactor, shared, self._traffic).fetch

    async def aclose(self) -> None:
        """Close every connection within `CLOSE_WITHIN_S`; the operating system closes the others."""
        if self._pool is not None:
            with anyio.move_on_after(CLOSE_WITHIN_S, shield=True):
                await self._pool.aclose()

"""A source's sizes over time: the one way from a source to what the store holds of its past.

Nothing here raises: where the store cannot be used, the answer is None, and the caller continues without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import anyio

from audience_mcp.config import Source
from audience_mcp.core.audience import Row
from audience_mcp.core.secrets import Redactor
from audience_mcp.core.text import clean, fold
from audience_mcp.store.retention import DAY_MS
from audience_mcp.store.stored import (
    Baseline,
    LastSeen,
    NoBaseline,
    Owner,
    RecordedReading,
    SeriesTotals,
    StoredCount,
    Timeline,
    Unchanged,
    VendorRecord,
    to_ms,
)

if TYPE_CHECKING:
    from audience_mcp.store.over_time import Wanted
    from audience_mcp.store.store import Store


BASELINES_KEPT = 5
"""Baselines that are held in memory, for calls that ask for the same."""
KEPT_S = 30.0
"""Seconds for which they are."""


def owner_of(source: Source) -> Owner:
    """Whose history a source's is: the account, by the ids that name it.

    Where a vendor has only keys, by those; and by the source's name alone while it is not configured in full.
    """
    account, vendor = source.account, source.vendor
    if account is None:
        return Owner(vendor.name, "", source.name, client=source.client, kind=vendor.kind)
    values = account.values
    named = [s for s in vendor.settings if s.identifies and s.role in values]
    by_key = not named
    if by_key:
        named = [s for s in vendor.settings if s.secret and s.role in values]
    ids = tuple((s.role, values[s.role], s.secret) for s in named)
    return Owner(
        vendor.name,
        account.base_url,
        source.name,
        ids or (("source", f"@{source.name}", False),),
        by_key=by_key and bool(ids),
        client=source.client,
        kind=vendor.kind,
        unique_ids=vendor.ids_are == "unmistakable",
        made_for_all=frozenset(name for listing in vendor.listings for name in listing.made_for_all),
    )


class _Names:
    """The ids of stored audiences, by the texts that mean them."""

    def __init__(self, names: Mapping[str, str], own_id: Callable[[str], str]) -> None:
        self._by_text: dict[str, list[str]] = {}
        self._by_name: dict[str, list[str]] = {}
        for id, name in names.items():
            for text in {id, own_id(id)}:
                self._by_text.setdefault(text, []).append(id)
            self._by_name.setdefault(fold(clean(name)), []).append(id)

    def find(self, text: str) -> list[str]:
        named = self._by_name.get(fold(clean(text)), []) if clean(text) else []
        return list(dict.fromkeys([*self._by_text.get(text, []), *named]))


class StoredHistory:
    """An account's sizes over time. Every method answers None where the store cannot be used.

    whose: the account, or the key of its series. redactor: takes keys out of stored names, which may have
    been stored by a process that did not know them all. present: all audiences that the account has now, None
    if they are not known: by them a history that was recorded with an earlier key is known again.
    """

    def __init__(
        self,
        whose: Owner | str,
        store: Store,
        redactor: Redactor,
        present: Callable[[], Collection[Row] | None] = lambda: None,
    ) -> None:
        self._whose = whose
        self._store = store
        self._redactor = redactor
        self._present = present

    async def timelines(
        self, since: datetime, ids: Sequence[str] | None = None, *, daily: bool = False
    ) -> list[Timeline] | None:
        """Sizes over time from `since` on, of these audiences or of all.

        daily: the last size of each day, of all audiences.
        """
        at, present, clean = to_ms(since), self._present, self._redactor.body
        if daily:
            return await self._store.history(lambda history: history.days(self._whose, at, present, clean))
        return await self._store.history(
            lambda history: history.timelines(self._whose, at, ids, present, clean)
        )

    async def totals(self, since: datetime, wanted: Wanted | None, *, by_kind: bool) -> SeriesTotals | None:
        """The totals at each reading from the last one at or before `since` on, over the wanted audiences."""
        at, present, clean = to_ms(since), self._present, self._redactor.body
        return await self._store.history(
            lambda history: history.totals(self._whose, at, present, clean, wanted, by_kind=by_kind)
        )


class SourceHistory(StoredHistory):
    """A source's sizes over time."""

    def __init__(
        self,
        source: Source,
        store: Store,
        redactor: Redactor,
        present: Callable[[], Collection[Row] | None] = lambda: None,
    ) -> None:
        self._owner = owner_of(source)
        super().__init__(self._owner, store, redactor, present)
        self._baselines: dict[tuple[int, int | None], tuple[float, Baseline]] = {}
        self._asking: dict[int, anyio.Lock] = {}
        self._own_id = source.vendor.own_id
        self._names: _Names | None = None
        self._names_until = 0.0
        self._naming = anyio.Lock()
        self._unchanged: tuple[int, float, Mapping[str, Unchanged]] | None = None
        self._judging = anyio.Lock()

    async def baseline(self, at: datetime, before: datetime) -> Baseline | NoBaseline | None:
        """The last reading at or before `at`, else the first after it; in any case older than `before`.

        Calls that ask for the same at once, or soon after, get the same.
        """
        begin, end = to_ms(at), to_ms(before)
        lock = self._asking.setdefault(begin, anyio.Lock())
        try:
            async with lock:
                for wanted in ((begin, end), *([(begin, None)] if begin < end else [])):
                    until, known = self._baselines.get(wanted, (0.0, None))
                    if known is not None and anyio.current_time() < until:
                        return known
                found = await self._store.history(
                    lambda history: history.baseline(
                        self._owner, begin, end, self._present, self._redactor.body
                    )
                )
                if isinstance(found, Baseline):
                    while len(self._baselines) >= BASELINES_KEPT:
                        del self._baselines[next(iter(self._baselines))]
                    # A reading at or before a moment is the same for all that is later than this moment.
                    same_for_all = begin < end and found.as_of <= at
                    wanted = begin, None if same_for_all else end
                    self._baselines[wanted] = anyio.current_time() + KEPT_S, found
                return found
        finally:
            if not lock.locked():
                self._asking.pop(begin, None)

    async def find_unchanged(self, since: datetime, days: int) -> Mapping[str, Unchanged]:
        """The audiences whose size has not changed since then, by id, if read on so many days; see the store.

        Calls that ask for the same day at once, or soon after, get the same.
        """
        begin = to_ms(since)
        async with self._judging:
            known = self._unchanged
            day = begin // DAY_MS
            if known is None or known[0] != day or anyio.current_time() >= known[1]:
                found = await self._store.history(
                    lambda history: history.find_unchanged(self._owner, begin, days, self._present)
                )
                if found is None:
                    return {}
                known = self._unchanged = day, anyio.current_time() + KEPT_S, found
        return known[2]

    async def find_ids(self, text: str) -> list[str] | None:
        """The ids of stored audiences, of today and of the past, with this id or name; case and accents of
        names are ignored.
        """
        async with self._naming:
            if self._names is None or anyio.current_time() >= self._names_until:
                self._names = await self._store.history(
                    lambda history: _Names(
                        history.names(self._owner, self._present, self._redactor.body), self._own_id
                    )
                )
                self._names_until = anyio.current_time() + KEPT_S
        return self._names.find(text) if self._names is not None else None

    async def last_seen(self, ids: Sequence[str], since: datetime | None) -> list[LastSeen] | None:
        """These audiences as they were last stored, with their sizes over time from `since` on, or all."""
        begin = to_ms(since) if since is not None else 0
        return await self._store.history(
            lambda history: history.last_seen(self._owner, ids, begin, self._present, self._redactor.body)
        )

    async def find_recorded(self, as_of: datetime) -> RecordedReading | None:
        """What is stored of the reading of just this moment; None also if it is not there."""
        return await self._store.history(lambda history: history.find_recorded(self._owner, to_ms(as_of)))

    async def record(self, rows: Sequence[Row], as_of: datetime) -> bool | None:
        """Keep the sizes of a complete reading; False if its moment lies ahead of the store's clock."""
        recorded = await self._store.history(lambda history: history.record(self._owner, rows, to_ms(as_of)))
        self._forget(to_ms(as_of))
        return recorded

    async def record_counts(self, counts: Mapping[str, StoredCount]) -> None:
        """Keep sizes that were counted one by one."""
        await self._store.history(lambda history: history.record_counts(self._owner, counts))
        self._forget(min((to_ms(count.at) for count in counts.values()), default=0))

    def _forget(self, since: int) -> None:
        """Forget what is held in memory and may be changed by what was stored, which is of this moment or
        later.
        """
        self._names = self._unchanged = None
        for at, before in list(self._baselines):
            if at >= since and (before is None or before > since):
                del self._baselines[at, before]

    async def record_vendor(self, records: Mapping[str, VendorRecord]) -> None:
        """Keep what the vendor itself remembers, by the audience's id."""
        await self._store.history(lambda history: history.record_vendor(self._owner, records, self._present))

    async def find_vendor(self, ids: Sequence[str]) -> Mapping[str, VendorRecord]:
        """What is kept of that, by the audience's id."""
        found = await self._store.history(
            lambda history: history.find_vendor(self._owner, ids, self._present)
        )
        return found or {}

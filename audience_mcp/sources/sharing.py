"""One source's share in the store: readings of other processes, and what others may have of ours.

Nothing here raises: a store that cannot be used has nothing to say, and everything continues without it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from audience_mcp.config import Account, Source
from audience_mcp.sources.reading import JOINED_BY_REFRESH_S
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.source_history import SourceHistory
from audience_mcp.store.stored import SAME_S, StoredCount, StoredReading, Turn, VendorRecord

if TYPE_CHECKING:
    from audience_mcp.store.shared import SharedPart
    from audience_mcp.store.store import Store

T = TypeVar("T")

LOOK_AGAIN_S = 0.25
"""Seconds between polls for another process's reading."""
MOST_PATIENCE_S = 2.0
"""Seconds that the store gets, at most, before a vendor is asked."""
PATIENCE_SHARE = 5
"""Part of a call's time that it gets for that, at most."""
RENEW_EVERY_S = 5.0
"""Seconds between lease renewals."""


class SharedTurns:
    """One account's turns and pauses, in all processes together.

    patience_s: seconds to wait for the store; after that a request is sent as if there were none.
    """

    def __init__(self, account: Account, store: Store, patience_s: float = MOST_PATIENCE_S) -> None:
        self._account = account
        self._store = store
        self._patience_s = patience_s

    async def take(self, kind: str, limits: Sequence[tuple[int, float]], pause: str) -> Turn | None:
        """Take a turn for a request, if one is free now; None where the store cannot be used."""
        turn = None
        with anyio.move_on_after(self._patience_s):
            turn = await self._store.pace(
                lambda shared: shared.take_turn(self._key(shared), kind, limits, pause)
            )
        return turn

    async def pause(self, seconds: float, pause: str) -> None:
        """Make no such request for `seconds`, in any process; none at all where `pause` is empty."""
        with anyio.move_on_after(self._patience_s):
            await self._store.pace(lambda shared: shared.pause(self._key(shared), seconds, pause))

    def _key(self, shared: SharedPart) -> str:
        return shared.key_of("account", *map(str, self._account.identity))


def readings_key(source: Source, shared: SharedPart) -> str | None:
    """The key of a source's readings: of these credentials and settings, and of no others.

    None for a source that is not configured.
    """
    account = source.account
    if account is None:
        return None
    values = [f"{role}={account.values[role]}" for role in sorted(account.values)]
    made = shared.key_of("readings", source.vendor.name, account.base_url, *values)
    return f"{source.vendor.name}:{made}"


class _Patience:
    """How long the store is still waited for, over several operations together."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    async def wait(self, do: Callable[[], Awaitable[T | None]]) -> T | None:
        """What `do` comes to; None also if that takes too long."""
        began, found = anyio.current_time(), None
        with anyio.move_on_after(max(0.0, self._left)):
            found = await do()
        self._left -= anyio.current_time() - began
        return found


class SourceShare:
    """What one source has of the store.

    older: the last complete reading that was found, which answers where newer ones fail.
    """

    def __init__(
        self, source: Source, store: Store, history: SourceHistory, runtime: Runtime, cache_s: float
    ) -> None:
        self._source = source
        self._store = store
        self._history = history
        self._tasks = runtime.tasks
        self._clock = runtime.clock
        self._clean = runtime.redactor.body
        self._redactor = runtime.redactor
        self._cache_s = cache_s
        self._patience_s = runtime.patience_s
        self._patience = _Patience(runtime.patience_s)
        self._renewing: anyio.CancelScope | None = None
        self._counts: dict[str, StoredCount] = {}
        self._counts_saved = anyio.Event()
        self._counts_saved.set()
        self._vendor: dict[str, VendorRecord] = {}
        self._vendor_saved = anyio.Event()
        self._vendor_saved.set()
        self._recorded = anyio.Event()
        self._recorded.set()
        self.older: StoredReading | None = None

    @property
    def is_made_up(self) -> bool:
        """Whether the history is made up, and nothing is shared."""
        return not self._store.shares

    def begin(self) -> None:
        """Say that a reading begins, before which the store is asked, though not for long."""
        self._patience, self.older = _Patience(self._patience_s), None
        self._tasks.start_soon(self._store.sweep, name="deleting what is old")

    async def find(self, *, refresh: bool, abandoned: Callable[[], bool]) -> StoredReading | None:
        """A reading of another process that answers a call of now, also one that is still under way.

        None where this process is to read: it then holds the lease until `end`. abandoned: whether no call
        waits any more.
        """
        asked = older_at = self._clock.now()
        waited = 0.0
        key = await self._patience.wait(self._key)
        while key is not None:
            since = None
            if self.older is not None:  # only one that was made since is looked for
                since = self.older.started_ago_s + self._clock.now() - older_at - SAME_S
            claimed = await self._patience.wait(partial(self._claim, key, waited, since, refresh=refresh))
            if claimed is None:
                return None
            found, leased = claimed
            if found is not None:
                self.older, older_at = found, self._clock.now()
                if self._is_fresh(found, waited, refresh):
                    return found
            if leased or self._renewing is not None:
                self._keep_renewing(key)
                return None
            # Another process reads, and that is waited for: no vendor is about to be asked.
            await anyio.sleep(LOOK_AGAIN_S)
            if abandoned():
                return None
            waited = self._clock.now() - asked
            self._patience = _Patience(self._patience_s)
        return None

    async def recall(self) -> StoredReading | None:
        """The last complete reading that any process has stored, however old it is."""

        def find(shared: SharedPart) -> StoredReading | None:
            key = readings_key(self._source, shared)
            return shared.find_reading(key, clean=self._clean) if key is not None else None

        return await self._store.shared(find)

    async def _claim(
        self, key: str, waited: float, since: float | None, *, refresh: bool
    ) -> tuple[StoredReading | None, bool] | None:
        """Find a reading that serves, or take the lease."""
        return await self._store.shared(
            lambda shared: shared.claim(
                key,
                self._store.holder,
                lambda found: self._is_fresh(found, waited, refresh),
                began_less_than_s=since,
                older_than_s=JOINED_BY_REFRESH_S + waited if refresh else None,
                clean=self._clean,
            )
        )

    def _is_fresh(self, found: StoredReading, waited: float, refresh: bool) -> bool:
        """Whether a reading serves: what has ended while it was waited for always does."""
        if refresh:
            return found.started_ago_s < JOINED_BY_REFRESH_S + waited
        return found.ended_ago_s < max(self._cache_s, waited)

    def begin_recording(self) -> None:
        """Say that a reading is about to be saved, which comes before the sizes counted for it."""
        self._recorded = anyio.Event()

    async def recorded(self) -> None:
        """Wait until what was read here is in the history, as far as the store takes it."""
        await self._recorded.wait()
        await self._counts_saved.wait()

    async def end(self, reading: StoredReading | None) -> None:
        """Save a reading that was made here, if it is complete, and let others read."""
        async with self._store.saving():
            key = None if self.is_made_up else await self._key()
            if key is not None and reading is not None:
                await self._store.shared(lambda shared: shared.save_reading(key, reading, self._source.name))
            if key is not None:
                await self._release(key)
            if reading is not None:
                await self._history.record(reading.rows, reading.as_of)
            self._recorded.set()

    async def _key(self) -> str | None:
        return await self._store.shared(lambda shared: readings_key(self._source, shared))

    def _keep_renewing(self, key: str) -> None:
        """Renew the lease until this process no longer reads."""
        if self._renewing is not None:
            return
        scope = self._renewing = anyio.CancelScope()

        async def renew() -> None:
            with scope:
                while True:
                    await anyio.sleep(RENEW_EVERY_S)
                    await self._store.pace(lambda shared: shared.renew_lease(key, self._store.holder))

        self._tasks.start_soon(renew, name=f"reading {self._source.name}, for all")

    async def _release(self, key: str) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
            await self._store.pace(lambda shared: shared.release_lease(key, self._store.holder))

    # Sizes that are counted one by one

    async def find_counts(self) -> Mapping[str, StoredCount]:
        """The sizes that any process has counted, by the audience's id."""
        counts = await self._patience.wait(self._find_counts) or {}
        return {
            id: replace(count, note=self._redactor.text(count.note)) if count.note else count
            for id, count in counts.items()
        }

    async def _find_counts(self) -> Mapping[str, StoredCount] | None:
        return await self._store.shared(
            lambda shared: shared.find_counts(readings_key(self._source, shared) or "")
        )

    def save_counts(self, counts: Mapping[str, StoredCount]) -> None:
        """Keep sizes that were just counted, soon."""
        self._counts |= counts
        if self._counts_saved.is_set():
            self._counts_saved = anyio.Event()
            self._tasks.start_soon(self._save_counts, name=f"saving counts of {self._source.name}")

    async def _save_counts(self) -> None:
        async with self._store.saving():
            await self._recorded.wait()
            key = None if self.is_made_up else await self._key()
            while self._counts:
                counts, self._counts = self._counts, {}
                if key is not None:
                    await self._store_counts(key, counts)
                await self._history.record_counts(counts)
            self._counts_saved.set()

    async def _store_counts(self, key: str, counts: Mapping[str, StoredCount]) -> None:
        await self._store.shared(lambda shared: shared.save_counts(key, counts))

    # What the vendor itself remembers

    async def find_vendor(self, ids: Sequence[str]) -> Mapping[str, VendorRecord]:
        """What any process was told of the past, by the audience's id; nothing if the store is slow."""
        found: Mapping[str, VendorRecord] = {}
        with anyio.move_on_after(self._patience_s):
            found = await self._history.find_vendor(ids)
        return found

    def save_vendor(self, records: Mapping[str, VendorRecord]) -> None:
        """Keep what the vendor has just told of the past, soon."""
        for id, record in records.items():
            before = self._vendor.get(id, VendorRecord())
            points, asked = [*before.points, *record.points], [*before.asked, *record.asked]
            self._vendor[id] = VendorRecord(points, asked)
        if self._vendor_saved.is_set():
            self._vendor_saved = anyio.Event()
            self._tasks.start_soon(self._save_vendor, name=f"saving the past of {self._source.name}")

    async def _save_vendor(self) -> None:
        async with self._store.saving():
            await self._recorded.wait()
            while self._vendor:
                records, self._vendor = self._vendor, {}
                await self._history.record_vendor(records)
            self._vendor_saved.set()

"""One source's share in the store: readings of other processes, and what others may have of ours.

Nothing here raises: a store that cannot be used has nothing to say, and all goes on without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from audience_mcp.config import Account, Source
from audience_mcp.core.clock import Clock
from audience_mcp.sources.freshness import JOINED_BY_REFRESH_S
from audience_mcp.store.values import StoredCount, StoredReading, Turn

if TYPE_CHECKING:
    from audience_mcp.store.store import Store

LOOK_AGAIN_S = 0.25
"""How often one who waits for another process's reading looks whether it is there."""
SAME_S = 0.001
"""Readings that began within so long are the same one."""
STIR_EVERY_S = 5.0
"""How often one who reads says that it still does."""


class SharedTurns:
    """One account's turns and pauses, in all processes together."""

    def __init__(self, account: Account, store: Store) -> None:
        self._account = account
        self._store = store

    async def take(self, kind: str, limits: Sequence[tuple[int, float]]) -> Turn | None:
        """Take a turn for a request, if one is free now; None where processes know nothing of each other."""
        key = await self._key()
        return await self._store.take_turn(key, kind, limits) if key is not None else None

    async def pause(self, seconds: float) -> None:
        """Leave the account alone for so long, in all processes."""
        key = await self._key()
        if key is not None:
            await self._store.pause(key, seconds)

    async def _key(self) -> str | None:
        return await self._store.key_of("account", *map(str, self._account.identity))


async def history_account(source: Source, store: Store) -> tuple[str, bool] | None:
    """What a source's history belongs to, as a text without secrets; and whether that is only its name.

    It is the account, by the ids that name it; one that is secret itself stands there as 64 bits of an HMAC.
    Where a vendor has only a key it is the source's name, behind which there may be another account one day.
    None where the store cannot be used.
    """
    account = source.account
    ids: list[str] = []
    for setting in source.vendor.settings if account is not None else ():
        value = account.values.get(setting.role) if account is not None and setting.identifies else None
        if value is not None:
            named = await store.series_of(setting.role, value) if setting.secret else value
            if named is None:
                return None
            ids.append(f"#{named}" if setting.secret else named)
    base_url = account.base_url if account is not None else ""
    return json.dumps([source.vendor.name, base_url, *(ids or [f"@{source.name}"])]), not ids


async def readings_key(source: Source, store: Store) -> str | None:
    """The key of a source's readings: of these credentials and settings, and of no others."""
    account = source.account
    if account is None:
        return None
    values = [f"{role}={account.values[role]}" for role in sorted(account.values)]
    made = await store.key_of("readings", source.vendor.name, account.base_url, *values)
    return f"{source.vendor.name}:{made}" if made is not None else None


class SourceShare:
    """What one source has of the store. `tasks` is where saving goes on behind answers.

    older: the last complete reading that was found, which answers where newer ones fail.
    """

    def __init__(
        self,
        source: Source,
        account: Account,
        store: Store,
        tasks: TaskGroup,
        clock: Clock,
        cache_s: float,
    ) -> None:
        self._source = source
        self._account = account
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._cache_s = cache_s
        self._stirring: anyio.CancelScope | None = None
        self._counts: dict[str, StoredCount] = {}
        self._saving_counts = False
        self._recorded = anyio.Event()
        self._recorded.set()
        self.older: StoredReading | None = None

    @property
    def is_made_up(self) -> bool:
        """Whether the history is made up, and nothing is shared."""
        return not self._store.shares

    async def key(self) -> str | None:
        """The key of this source's readings."""
        return await readings_key(self._source, self._store)

    async def find(self, *, refresh: bool, abandoned: Callable[[], bool]) -> StoredReading | None:
        """A reading of another process that answers a call of now, also one that is still to end.

        None where this process is to read: it is then known to read until `end`. abandoned: whether nobody
        waits any more.
        """
        key = await self.key()
        if key is None:
            return None
        asked = looked = found_at = self._clock.now()
        found = self.older = await self._store.find_reading(key)
        while True:
            waited = looked - asked
            if found is not None and self._is_fresh(found, waited, refresh):
                return found
            if self._stirring is not None:
                return None
            joined = JOINED_BY_REFRESH_S + waited if refresh else None
            if not await self._store.take_lease(key, joined):
                await anyio.sleep(LOOK_AGAIN_S)
                looked = self._clock.now()
                if abandoned():
                    return None
                continue
            self._stir(key)
            # One that has ended since is as good as one that is still to be made.
            looked = self._clock.now()
            since = None if found is None else found.started_ago_s + looked - found_at - SAME_S
            found_at = looked
            found = await self._store.find_reading(key, since)
            if found is not None:
                self.older = found
                if self._is_fresh(found, looked - asked, refresh):
                    await self._release(key)
                    return found

    def _is_fresh(self, found: StoredReading, waited: float, refresh: bool) -> bool:
        """Whether a reading serves: what has ended while it was waited for always does."""
        if refresh:
            return found.started_ago_s < JOINED_BY_REFRESH_S + waited
        return found.ended_ago_s < max(self._cache_s, waited)

    def begin_recording(self) -> None:
        """Say that a reading is about to be saved, which goes before the sizes counted for it."""
        self._recorded = anyio.Event()

    async def end(self, reading: StoredReading | None) -> None:
        """Save a reading that has been made here, if it is complete, and let others read."""
        async with self._store.saving():
            key = None if self.is_made_up else await self.key()
            if key is not None and reading is not None:
                await self._store.save_reading(key, reading)
            if key is not None:
                await self._release(key)
            series = await history_account(self._source, self._store) if reading is not None else None
            if reading is not None and series is not None:
                account, by_name = series
                await self._store.record(account, reading.rows, reading.as_of, may_be_another=by_name)
            self._recorded.set()

    def _stir(self, key: str) -> None:
        """Say again and again that this process reads, until it no longer does."""
        scope = self._stirring = anyio.CancelScope()

        async def stir() -> None:
            with scope:
                while True:
                    await anyio.sleep(STIR_EVERY_S)
                    await self._store.renew_lease(key)

        self._tasks.start_soon(stir, name=f"reading {self._source.name}, for all")

    async def _release(self, key: str) -> None:
        if self._stirring is not None:
            self._stirring.cancel()
            self._stirring = None
            await self._store.release_lease(key)

    # Sizes that are counted one by one

    async def find_counts(self) -> Mapping[str, StoredCount]:
        """The sizes that any process has counted."""
        key = await self.key()
        return (await self._store.find_counts(key) if key is not None else None) or {}

    def save_counts(self, counts: Mapping[str, StoredCount], as_of: datetime | None) -> None:
        """Keep sizes that were just counted, soon. as_of: of the reading whose rows they are of."""
        self._counts |= counts
        if not self._saving_counts:
            self._saving_counts = True
            self._tasks.start_soon(self._save_counts, as_of, name=f"saving counts of {self._source.name}")

    async def _save_counts(self, as_of: datetime | None) -> None:
        async with self._store.saving():
            await self._recorded.wait()
            key = None if self.is_made_up else await self.key()
            while self._counts:
                counts, self._counts = self._counts, {}
                if key is not None:
                    await self._store.save_counts(key, counts)
                series = await history_account(self._source, self._store)
                if as_of is not None and series is not None:
                    sizes = {id: count.size for id, count in counts.items()}
                    await self._store.record_counts(series[0], sizes, as_of)
            self._saving_counts = False

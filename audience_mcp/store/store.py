"""The store as everything else sees it: it answers, or has nothing to say, and never holds up an answer."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from audience_mcp.core.audience import Row
from audience_mcp.store.database import new_holder
from audience_mcp.store.guard import Backend, Guard
from audience_mcp.store.values import (
    Baseline,
    Contents,
    Span,
    StoredCount,
    StoredReading,
    Timeline,
    Turn,
    from_ms,
    to_ms,
)

if TYPE_CHECKING:  # what does the work is imported with the backend, when the store is first used
    from audience_mcp.store.history import HistoryPart
    from audience_mcp.store.shared import SharedPart

T = TypeVar("T")


class Store(Guard):
    """A store that cannot fail: what it cannot do it says once, in a note, and leaves.

    Every method answers None (or does nothing) where the store cannot be used just then. made_up: whether
    what is in it is made up, so that only its history is to be used.
    """

    def __init__(self, make: Callable[[Callable[[str], None]], Backend], *, made_up: bool = False) -> None:
        super().__init__(make)
        self.shares = not made_up
        self.holder = new_holder()
        self._secrets: dict[str, bytes] = {}

    # Names

    async def key_of(self, *parts: str) -> str | None:
        """A key for what belongs to these texts, of which some may be secret: 64 bits of an HMAC."""
        if "readings" not in self._secrets:
            secret = await self._shared(lambda part: part.secret())
            if secret is None:
                return None
            self._secrets["readings"] = secret
        return _hmac(self._secrets["readings"], parts)

    async def series_of(self, *parts: str) -> str | None:
        """The same for a name in the history, which lasts for as long as the history does."""
        if "history" not in self._secrets:
            secret = await self._history(lambda part: part.secret())
            if secret is None:
                return None
            self._secrets["history"] = secret
        return _hmac(self._secrets["history"], parts)

    # Readings, leases

    async def find_reading(self, key: str, begun_less_than_s: float | None = None) -> StoredReading | None:
        """The last complete reading of the last 24 hours, if it began less than so long ago."""
        return await self._shared(lambda part: part.find_reading(key, begun_less_than_s))

    async def save_reading(self, key: str, reading: StoredReading) -> None:
        """Keep a complete reading for other processes, and for after a restart."""
        await self._shared(lambda part: part.save_reading(key, reading))

    async def take_lease(self, key: str, begun_less_than_s: float | None = None) -> bool:
        """Become the one who reads a source; False where another one does, who began not too long ago."""
        taken = await self._shared(lambda part: part.take_lease(key, self.holder, begun_less_than_s))
        return taken is not False

    async def renew_lease(self, key: str) -> None:
        """Say that the reading goes on."""
        await self._shared(lambda part: part.renew_lease(key, self.holder))

    async def release_lease(self, key: str) -> None:
        """Say that the reading is over."""
        await self._shared(lambda part: part.release_lease(key, self.holder))

    # Turns, pauses, counts

    async def take_turn(self, key: str, kind: str, limits: Sequence[tuple[int, float]]) -> Turn | None:
        """Take a turn for a request, if one is free now: see SharedPart.take_turn."""
        return await self._shared(lambda part: part.take_turn(key, kind, limits))

    async def pause(self, key: str, seconds: float) -> None:
        """Leave an account alone for so long, in all processes."""
        await self._shared(lambda part: part.pause(key, seconds))

    async def find_counts(self, key: str) -> dict[str, StoredCount] | None:
        """The sizes that were asked for one by one, by the audience's id."""
        return await self._shared(lambda part: part.find_counts(key))

    async def save_counts(self, key: str, counts: Mapping[str, StoredCount]) -> None:
        """Keep sizes that were asked for one by one."""
        await self._shared(lambda part: part.save_counts(key, counts))

    # History

    async def record(
        self, account: str, rows: Sequence[Row], as_of: datetime, *, may_be_another: bool = False
    ) -> bool:
        """Keep the sizes of a complete reading as a point of its account's history; whether it was done."""

        def record(part: HistoryPart) -> bool:
            part.record(account, rows, to_ms(as_of), may_be_another=may_be_another)
            return True

        return await self._history(record) or False

    async def record_counts(self, account: str, sizes: Mapping[str, int | None], as_of: datetime) -> None:
        """Keep sizes that were asked for one by one as part of the reading of that moment."""
        await self._history(lambda part: part.record_counts(account, sizes, to_ms(as_of)))

    async def baseline(self, account: str, at: datetime, before: datetime) -> Baseline | None:
        """The last reading at or before `at`, else the first after it; in any case older than `before`."""
        return await self._history(lambda part: part.baseline(account, to_ms(at), to_ms(before)))

    async def span(self, account: str) -> Span | None:
        """How much history an account has; None where there is none."""
        return await self._history(lambda part: part.span(account))

    async def timelines(
        self, account: str, since: datetime, ids: Sequence[str] | None = None
    ) -> list[Timeline] | None:
        """Sizes over time from `since` on, of these audiences or of all."""
        return await self._history(lambda part: part.timelines(account, to_ms(since), ids))

    # For people

    async def contents(self) -> Contents | None:
        """Where the store is and what is in it; None where it cannot be used: `take_note` says why."""
        readings = await self._shared(lambda part: part.readings())
        histories = await self._history(lambda part: part.spans())
        backend = self._backend
        if backend is None or (readings is None and histories is None):
            return None
        sizes = await self.run("history", lambda each: each.bytes())
        return Contents(
            backend.place,
            sizes or {},
            histories or {},
            [(key.partition(":")[0], from_ms(as_of)) for key, as_of in readings or ()],
        )

    async def clear(self, keys: Sequence[str] | None = None, accounts: Sequence[str] | None = None) -> bool:
        """Forget everything, or readings by key and history by account; whether it was done."""

        def shared(part: SharedPart) -> bool:
            part.clear(keys)
            return True

        def history(part: HistoryPart) -> bool:
            part.clear(accounts)
            return True

        done = await self._shared(shared), await self._history(history)
        return all(done)

    async def _shared(self, use: Callable[[SharedPart], T]) -> T | None:
        return await self.run("readings", lambda backend: backend.shared(use))

    async def _history(self, use: Callable[[HistoryPart], T]) -> T | None:
        return await self.run("history", lambda backend: backend.history(use))


def _hmac(secret: bytes, parts: Sequence[str]) -> str:
    return hmac.new(secret, json.dumps(parts).encode(), "sha256").hexdigest()[:16]

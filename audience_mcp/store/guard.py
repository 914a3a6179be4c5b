"""The store as everything else sees it: it answers, or has nothing to say, and never holds up an answer."""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio

from audience_mcp.core.audience import Row
from audience_mcp.store.database import new_holder
from audience_mcp.store.values import (
    Baseline,
    Contents,
    Span,
    StoredCount,
    StoredReading,
    StoreError,
    Timeline,
    Trouble,
    Turn,
    from_ms,
    to_ms,
)

if TYPE_CHECKING:  # what does the work is imported with the backend, when the store is first used
    from audience_mcp.store.history import HistoryPart
    from audience_mcp.store.shared import SharedPart

log = logging.getLogger(__name__)

WITHIN_S = 6.0
"""No answer waits longer for the store; SQLite itself waits 5 s for a lock."""
AGAIN_AFTER_S = 30.0
"""A store that failed is left alone for so long."""
SAVED_WITHIN_S = 0.7
"""When everything ends, what is being saved gets so long to be."""

MESSAGES: Mapping[str, str] = {
    "damaged": "it is damaged",
    "full": "the disk is full: free some space",
    "locked": "another program keeps it locked",
    "missing": "its folder cannot be used: check that it exists and may be written to",
    "network": "it is on a network file system, where its locks cannot be trusted: set AUDIENCE_MCP_STORE "
    "to a folder on this computer",
    "newer": "a newer audience-mcp has written it: update this one",
    "read_only": "it may not be written to: check its permissions, or set AUDIENCE_MCP_STORE to another "
    "folder",
    "slow": "it does not answer in time",
    "unreachable": "its database cannot be reached: check AUDIENCE_MCP_STORE and the database",
    "fault": "it failed; the log has more",
    "failed": "The store of earlier readings and sizes could not be used: {why}. Without it nothing is "
    "shared or remembered; this answer is from the vendors.",
    "readings_damaged": "The stored readings were damaged and have been deleted; the vendors are read again.",
    "history_damaged": "The stored history was damaged and has been moved aside (audience-mcp store says "
    "where); a new one has begun.",
}

T = TypeVar("T")


class Backend(Protocol):
    """Where a store is: each part is lent out for one thing to do with it, one at a time."""

    place: str

    def shared(self, use: Callable[[SharedPart], T]) -> T:
        """Do something with the shared part. Raises StoreError."""
        ...

    def history(self, use: Callable[[HistoryPart], T]) -> T:
        """Do something with the history. Raises StoreError."""
        ...

    def bytes(self) -> dict[str, int]:
        """How big each part is."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""


class Store:
    """A store that cannot fail: what it cannot do it says once, in a note, and leaves.

    make: makes the backend when it is first needed; `told` is what it tells of damage. Every method answers
    None (or does nothing) where the store cannot be used just then. made_up: whether what is in it is made
    up, so that only its history is to be used.
    """

    def __init__(
        self,
        make: Callable[[Callable[[str], None]], Backend],
        *,
        made_up: bool = False,
    ) -> None:
        self._make = make
        self.shares = not made_up
        self._backend: Backend | None = None
        self._lock = threading.Lock()
        self._limiter: anyio.CapacityLimiter | None = None
        self._down_until: dict[str, float] = {}
        self._noted: dict[str, bool] = {}
        self._why: dict[str, str] = {}
        self._secrets: dict[str, bytes] = {}
        self._saving: set[anyio.CancelScope] = set()
        self._ends = False
        self.holder = new_holder()

    # What everyone may be told

    def take_note(self) -> str | None:
        """What went wrong since the last time this was asked, each thing once in this process."""
        new = [text for text, told in self._noted.items() if not told]
        for text in new:
            self._noted[text] = True
        return " ".join(new) or None

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

    @property
    def remembers(self) -> bool:
        """Whether the history can be used just now, so that nothing found means that nothing is there."""
        return anyio.current_time() >= self._down_until.get("history", 0.0)

    @property
    def why_not(self) -> str | None:
        """Why the history could not be used the last time that it could not."""
        return self._why.get("history")

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
        sizes = await self._run("history", backend.bytes)
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

    # How it is kept from failing

    @asynccontextmanager
    async def saving(self) -> AsyncIterator[None]:
        """For saving behind an answer: it goes on for a moment when everything else ends."""
        with anyio.CancelScope(shield=True) as scope:
            self._saving.add(scope)
            if self._ends:
                scope.deadline = anyio.current_time() + SAVED_WITHIN_S
            try:
                yield
            finally:
                self._saving.discard(scope)

    async def saved(self) -> None:
        """Wait until everything that is being saved has been."""
        while self._saving:  # noqa: ASYNC110 (a scope has no event to wait for)
            await anyio.sleep(0.01)

    def end_soon(self) -> None:
        """What is being saved, and what is yet to be, has a moment more."""
        self._ends = True
        for scope in self._saving:
            scope.deadline = min(scope.deadline, anyio.current_time() + SAVED_WITHIN_S)

    async def aclose(self) -> None:
        """Let go of files and connections."""
        backend, self._backend = self._backend, None
        if backend is not None:
            with anyio.move_on_after(SAVED_WITHIN_S, shield=True), contextlib.suppress(Exception):
                await anyio.to_thread.run_sync(self._alone, backend.close, abandon_on_cancel=True)

    async def _shared(self, use: Callable[[SharedPart], T]) -> T | None:
        return await self._run("readings", lambda: self._opened().shared(use))

    async def _history(self, use: Callable[[HistoryPart], T]) -> T | None:
        return await self._run("history", lambda: self._opened().history(use))

    async def _run(self, part: str, do: Callable[[], T]) -> T | None:
        """Do something in the store's thread. Nothing is raised from here but a cancellation."""
        if anyio.current_time() < self._down_until.get(part, 0.0):
            return None
        self._limiter = self._limiter or anyio.CapacityLimiter(1)
        try:
            with anyio.move_on_after(WITHIN_S):
                return await anyio.to_thread.run_sync(
                    self._alone, do, abandon_on_cancel=True, limiter=self._limiter
                )
            self._fail(part, StoreError("slow", "no answer in time"))
        except StoreError as e:
            self._fail(part, e)
        except Exception as e:
            log.exception("store: %s", type(e).__name__)
            self._fail(part, StoreError("fault", type(e).__name__))
        return None

    def _alone(self, do: Callable[[], T]) -> T:
        """One at a time, also where an earlier one was given up and still runs."""
        if not self._lock.acquire(timeout=WITHIN_S):
            raise StoreError("slow", "an earlier operation has not ended")
        try:
            return do()
        finally:
            self._lock.release()

    def _opened(self) -> Backend:
        if self._backend is None:
            self._backend = self._make(self._note)
        return self._backend

    def _fail(self, part: str, error: StoreError) -> None:
        self._down_until[part] = anyio.current_time() + AGAIN_AFTER_S
        trouble: Trouble = error.trouble
        log.warning("store (%s): %s: %s", part, trouble, error)
        self._why[part] = MESSAGES[trouble]
        self._noted.setdefault(MESSAGES["failed"].format(why=MESSAGES[trouble]), False)

    def _note(self, what: str) -> None:
        self._noted.setdefault(MESSAGES[what], False)


def _hmac(secret: bytes, parts: Sequence[str]) -> str:
    return hmac.new(secret, json.dumps(parts).encode(), "sha256").hexdigest()[:16]

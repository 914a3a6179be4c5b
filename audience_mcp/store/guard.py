"""How a store is kept from failing an answer: it works aside, within a limit, and troubles become notes."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio

from audience_mcp.store.values import StoreError, Trouble

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


class Guard:
    """Lends a backend out, one use at a time, and says of what fails each thing once.

    make: makes the backend when it is first needed; `told` is what it tells of damage.
    """

    def __init__(self, make: Callable[[Callable[[str], None]], Backend]) -> None:
        self._make = make
        self._backend: Backend | None = None
        self._lock = threading.Lock()
        self._limiter: anyio.CapacityLimiter | None = None
        self._down_until: dict[str, float] = {}
        self._noted: dict[str, bool] = {}
        self._why: dict[str, str] = {}
        self._saving: set[anyio.CancelScope] = set()
        self._ends = False

    def take_note(self) -> str | None:
        """What went wrong since the last time this was asked, each thing once in this process."""
        new = [text for text, told in self._noted.items() if not told]
        for text in new:
            self._noted[text] = True
        return " ".join(new) or None

    @property
    def remembers(self) -> bool:
        """Whether the history can be used just now, so that nothing found means that nothing is there."""
        return anyio.current_time() >= self._down_until.get("history", 0.0)

    @property
    def why_not(self) -> str | None:
        """Why the history could not be used the last time that it could not."""
        return self._why.get("history")

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

    async def run(self, part: str, do: Callable[[Backend], T]) -> T | None:
        """Do something with the backend, in the store's thread; None where that cannot be done just now.

        part: `readings` or `history`, of which one may fail without the other. Nothing is raised from here
        but a cancellation.
        """
        if anyio.current_time() < self._down_until.get(part, 0.0):
            return None
        self._limiter = self._limiter or anyio.CapacityLimiter(1)
        try:
            with anyio.move_on_after(WITHIN_S):
                return await anyio.to_thread.run_sync(
                    self._alone, lambda: do(self._opened()), abandon_on_cancel=True, limiter=self._limiter
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

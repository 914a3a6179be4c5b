"""Keeps a store from failing a call: its work runs in threads with a time limit, and faults become notes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import anyio

from audience_mcp.store import SAVED_WITHIN_S
from audience_mcp.store.stored import StoreError

if TYPE_CHECKING:  # what does the work is imported with the backend, when the store is first used
    from audience_mcp.store.history import HistoryPart
    from audience_mcp.store.shared import SharedPart

log = logging.getLogger(__name__)

WITHIN_S = 6.0
"""Seconds that one operation may take; SQLite itself waits 5 s for a lock."""
AGAIN_AFTER_S = 30.0
"""Seconds for which a store that failed is left alone."""

Lane = Literal["readings", "pace", "history"]
"""Operations of one lane wait for each other, and for those of no other lane.

pace: turns, pauses and leases, which requests wait for.
"""

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
    "open_folder": "Others may write to the folder of the store: take that right away (chmod 700).",
}

T = TypeVar("T")

IN_ONE_PLACE: tuple[Lane, ...] = ("readings", "pace")
"""What one of these lanes cannot reach, the other need not try; and where one succeeds, the other can."""
OF_ONE_OPERATION = ("slow", "fault", "full")
"""Faults that say nothing of the place."""


class Backend(Protocol):
    """A connection to a store. It is used by one thread at a time."""

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

    def abandon(self) -> None:
        """End what another thread is doing with it, if possible. It is not used again."""
        ...

    def close(self) -> None:
        """Close files and connections; they are opened again at the next use."""


class Guard:
    """Lends connections to a store out, and reports each fault once.

    make: makes a backend when one is needed; it is given what to tell of damage. at_once: how many operations
    of one lane may run at the same time, each on a connection of its own.
    """

    def __init__(self, make: Callable[[Callable[[str], None]], Backend], at_once: int = 1) -> None:
        self._make = make
        self._at_once = at_once
        self._lanes: dict[Lane, _Lane] = {}
        self._threads: anyio.CapacityLimiter | None = None
        self._noted: dict[str, bool] = {}  # and whether it is a failure, which may pass
        self._told: set[str] = set()
        self._why: dict[Lane, str] = {}
        self._faults: dict[Lane, str | None] = {}
        self._saving: dict[anyio.CancelScope, anyio.Event] = {}
        self._saves_until: float | None = None
        self.place = ""

    def take_note(self, told: set[str] | None = None) -> str | None:
        """What went wrong, each thing once.

        told: what one reader of notes among several knows already, to which this adds what it returns; by
        default there is one reader in this process.
        """
        told = self._told if told is None else told
        new = [text for text in [*self._noted] if text not in told]
        told.update(new)
        return " ".join(new) or None

    def find_passed(self) -> set[str]:
        """The notes about faults that have passed, which need not be told to whoever was not there."""
        standing = {_explain_failure(fault) for fault in self._faults.values() if fault is not None}
        return {text for text, passes in [*self._noted.items()] if passes and text not in standing}

    @property
    def remembers(self) -> bool:
        """Whether the history can be used now, so that nothing found means that nothing is there."""
        return not self._lane("history").is_down

    @property
    def why_not(self) -> str | None:
        """Why the history could not be used the last time that it could not."""
        return self._why.get("history")

    @property
    def faults(self) -> Mapping[Lane, str | None]:
        """Of each lane that has been used, why its last operation failed; None where it did not."""
        return {**self._faults}

    @asynccontextmanager
    async def saving(self) -> AsyncIterator[None]:
        """For saving after an answer: it continues for a moment when everything else ends."""
        with anyio.CancelScope(shield=True) as scope:
            ended = self._saving[scope] = anyio.Event()
            if self._saves_until is not None:
                scope.deadline = self._saves_until
            try:
                yield
            finally:
                del self._saving[scope]
                ended.set()

    async def saved(self) -> None:
        """Wait until everything that is being saved has been."""
        while self._saving:
            await next(iter(self._saving.values())).wait()

    def end_soon(self, within_s: float = SAVED_WITHIN_S) -> None:
        """Give pending saves, and those still to come, so many seconds more."""
        self._saves_until = anyio.current_time() + within_s
        for scope in self._saving:
            scope.deadline = min(scope.deadline, self._saves_until)

    async def aclose(self) -> None:
        """Close files and connections."""
        lanes, self._lanes = self._lanes, {}
        with anyio.move_on_after(SAVED_WITHIN_S, shield=True), contextlib.suppress(Exception):
            for lane in lanes.values():
                await anyio.to_thread.run_sync(lane.close, abandon_on_cancel=True)

    async def run(self, name: Lane, do: Callable[[Backend], T]) -> T | None:
        """Do something with a backend, in a thread; None where that cannot be done now.

        Waiting for other operations of the lane has no limit here and is no fault; only an operation has one.
        Nothing is raised but a cancellation, after which what has begun ends by itself.
        """
        lane = self._lane(name)
        if lane.is_down:
            return None
        self._threads = self._threads or anyio.CapacityLimiter(64)
        async with lane.queue:
            if lane.is_down:  # what was waited for has failed
                return None
            connection = lane.take(lambda: _Connection(self._make, self._note))
            job = _Job(connection)
            try:
                if await self._is_idle(connection):
                    with anyio.move_on_after(WITHIN_S):
                        return await anyio.to_thread.run_sync(
                            self._use, name, job, do, abandon_on_cancel=True, limiter=self._threads
                        )
                connection.abandon()
                self._fail(name, StoreError("slow", "no answer in time"))
            except StoreError:
                pass  # reported already
            finally:
                job.leave()
                lane.put_back(connection)
        return None

    async def _is_idle(self, connection: _Connection) -> bool:
        """Wait until an operation that its caller has left has ended, as long as it may take."""
        if connection.idle.is_set():
            return True
        left = connection.began + WITHIN_S - time.monotonic()
        return await anyio.to_thread.run_sync(
            connection.idle.wait, max(0.0, left), abandon_on_cancel=True, limiter=self._threads
        )

    def _use(self, name: Lane, job: _Job, do: Callable[[Backend], T]) -> T | None:
        """Do something with a connection, in this thread. Raises StoreError, which it has reported."""
        connection = job.connection
        if not job.begin():
            return None
        try:
            result = connection.use(self._doing(do))
        except StoreError as e:
            if not connection.abandoned:
                self._fail(name, e)
            raise
        except Exception as e:
            if not connection.abandoned:
                log.exception("store: %s", type(e).__name__)
                self._fail(name, StoreError("fault", type(e).__name__))
            raise StoreError("fault", type(e).__name__) from e
        if not connection.abandoned:
            self._recover(name)
        return result

    def _doing(self, do: Callable[[Backend], T]) -> Callable[[Backend], T]:
        def doing(backend: Backend) -> T:
            self.place = backend.place
            return do(backend)

        return doing

    def _lane(self, name: Lane) -> _Lane:
        if name not in self._lanes:
            self._lanes[name] = _Lane(self._at_once)
        return self._lanes[name]

    def _recover(self, name: Lane) -> None:
        self._faults[name] = None
        own = {MESSAGES[fault] for fault in OF_ONE_OPERATION}
        for each in IN_ONE_PLACE if name in IN_ONE_PLACE else ():
            if each in self._faults and self._faults[each] not in own:
                self._faults[each] = None

    def _fail(self, name: Lane, error: StoreError) -> None:
        until = time.monotonic() + AGAIN_AFTER_S
        together = name in IN_ONE_PLACE and error.fault not in OF_ONE_OPERATION
        names: Sequence[Lane] = IN_ONE_PLACE if together else (name,)
        for each in names:
            self._lane(each).down_until = until
            self._why[each] = self._faults[each] = MESSAGES[error.fault]
        log.warning("store (%s): %s: %s", name, error.fault, error)
        self._noted[_explain_failure(MESSAGES[error.fault])] = True

    def _note(self, what: str) -> None:
        self._noted[MESSAGES[what]] = False


def _explain_failure(why: str) -> str:
    return MESSAGES["failed"].format(why=why)


class _Job:
    """One use of a connection: either its thread begins it, or its caller leaves before that."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self._decided = threading.Lock()

    def begin(self) -> bool:
        """Say that a thread uses the connection from now on; False if the caller has left."""
        if not self._decided.acquire(blocking=False):
            return False
        self.connection.began = time.monotonic()
        self.connection.idle.clear()
        return True

    def leave(self) -> None:
        """Say that the caller waits no longer: a thread that has not begun never will."""
        self._decided.acquire(blocking=False)


class _Connection:
    """A backend, and whether a thread is using it. It is made in the thread that first uses it."""

    def __init__(self, make: Callable[[Callable[[str], None]], Backend], told: Callable[[str], None]) -> None:
        self._make = make
        self._told = told
        self._backend: Backend | None = None
        self.idle = threading.Event()
        self.idle.set()
        self.began = 0.0
        self.abandoned = False

    def use(self, do: Callable[[Backend], T]) -> T:
        """Do something with the backend. Raises StoreError and whatever `do` raises."""
        try:
            if self._backend is None:
                self._backend = self._make(self._told)
            return do(self._backend)
        except BaseException:
            self.close()  # what is wrong with it is looked at again when it is next used
            raise
        finally:
            if self.abandoned:
                self.close()
            self.idle.set()

    def abandon(self) -> None:
        """Give the connection up, and end what a thread is doing with it."""
        self.abandoned = True
        if self._backend is not None:
            self._backend.abandon()

    def end(self) -> None:
        """Close files and connections, now or as soon as no thread uses them any more."""
        if self.idle.is_set():
            self.close()
        else:
            self.abandon()

    def close(self) -> None:
        """Close files and connections; they are opened again if they are used again."""
        if self._backend is not None:
            self._backend.close()


class _Lane:
    """The connections of one lane, made when they are needed. queue: for those that wait for one."""

    def __init__(self, at_once: int) -> None:
        self._free: list[_Connection] = []
        self._lent: list[_Connection] = []
        self._closed = False
        self.queue = anyio.CapacityLimiter(at_once)
        self.down_until = 0.0

    @property
    def connections(self) -> list[_Connection]:
        """All of them."""
        return [*self._free, *self._lent]

    @property
    def is_down(self) -> bool:
        """Whether it has just failed."""
        return time.monotonic() < self.down_until

    def take(self, make: Callable[[], _Connection]) -> _Connection:
        """A connection that is free, best one that no thread is using any more; else a new one."""
        self._free.sort(key=lambda each: each.idle.is_set())
        connection = self._free.pop() if self._free else make()
        self._lent.append(connection)
        return connection

    def put_back(self, connection: _Connection) -> None:
        """Let others use a connection, unless it was given up."""
        self._lent.remove(connection)
        if self._closed:
            connection.end()
        elif not connection.abandoned:
            self._free.append(connection)

    def close(self) -> None:
        """Close all connections; what a thread still does with one is ended."""
        self._closed = True
        for each in self.connections:
            each.end()

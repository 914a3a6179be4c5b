"""One source's reading: shared by all calls that want it, kept, and gone on with after a fault.

A reading runs as a task of its own and outlives the call that began it. Callers only wait, each to its
own deadline, for something to change.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import anyio
from anyio.abc import TaskGroup

from audience_mcp.clock import Clock
from audience_mcp.config import Source
from audience_mcp.errors import PagingStopped, VendorError
from audience_mcp.paging import Fetch, Walk, row_of
from audience_mcp.vendors.base import Account, Request, Row

log = logging.getLogger(__name__)

Connect = Callable[[Account], Fetch]
"""Makes the way to ask an account's vendor."""

UNATTENDED_S = 1800
"""A reading that no call has waited for in so long pauses; the next call goes on with it."""
RESUME_WITHIN_S = 6 * 3600
"""A reading that broke off longer ago is begun anew: its first pages say too little about today."""
CONTINUES_REFRESH_S = 300
"""A reading begun by `refresh` that ended behind its answer serves a `refresh` for so long."""


class Changes:
    """Something that calls can wait for: a page came, a reading ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = anyio.Event()

    def tell(self) -> None:
        """Wake everyone who waits."""
        event, self._event = self._event, anyio.Event()
        event.set()

    async def until(
        self, reached: Callable[[], bool], deadline: float, each: Callable[[], Awaitable[None]] | None = None
    ) -> bool:
        """Wait until `reached()` or the deadline, awaiting `each` at every change; whether it was reached."""
        with self._clock.move_on_at(deadline):
            while not reached():
                event = self._event
                await event.wait()
                if each:
                    await each()
        return reached()


@dataclass(slots=True, eq=False)
class Reading:
    """A walk under way or ended. `error` says why it ended before its end."""

    walk: Walk
    begun_at: float
    refreshing: bool = False
    resumed: bool = False
    error: VendorError | None = None
    ended: bool = False
    ended_at: float = 0.0
    used_at: float | None = None
    as_of: datetime | None = None
    read_before: int = 0
    waiting: int = 0
    left_at: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every page was read."""
        return self.walk.done

    def progress(self) -> str:
        """How far it got: `2,300 of 4,012 audiences read`."""
        counted = f" of {self.walk.counted:,}" if self.walk.counted is not None else ""
        return f"{len(self.walk.rows):,}{counted} audiences read"


@dataclass(slots=True, eq=False)
class LookUp:
    """One audience asked for directly; shared by the calls that want the same one."""

    row: Row | None = None
    error: VendorError | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What there is of a source when a call must answer."""

    walk: Walk
    complete: bool
    as_of: datetime | None
    error: VendorError | None = None
    notes: list[str] = field(default_factory=list)


class SourceReader:
    """All readings of one source. `tasks` is where they run."""

    def __init__(
        self,
        source: Source,
        connect: Connect,
        tasks: TaskGroup,
        changes: Changes,
        clock: Clock,
        cache_s: float,
    ) -> None:
        self.source = source
        self._connect = connect
        self._tasks = tasks
        self._changes = changes
        self._clock = clock
        self._cache_s = cache_s
        self._way: Fetch | None = None
        self._reading: Reading | None = None
        self._last_complete: Reading | None = None
        self._look_ups: dict[str, LookUp] = {}

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    def at_hand(self) -> Held | None:
        """A complete reading that is still fresh, if there is one; nothing is begun."""
        reading = self._reading
        if reading is None or not reading.complete or not self._fresh(reading, refresh=False):
            return None
        return self.held(reading)

    def reading(self, *, refresh: bool = False) -> Reading:
        """The reading that a call is to wait for: the one under way, a fresh one, or one begun now."""
        current = self._reading
        if current is not None and (not current.ended or self._fresh(current, refresh=refresh)):
            return current
        now = self._clock.now()
        if self.source.account is None:
            return Reading(self._walk(), now, error=self._not_configured(), ended=True)
        if current is not None and not refresh and self._resumable(current):
            begun = Reading(
                current.walk, now, resumed=True, as_of=current.as_of, read_before=len(current.walk.rows)
            )
        else:
            begun = Reading(self._walk(), now, refreshing=refresh)
        begun.left_at = now
        self._reading = begun
        self._tasks.start_soon(self._run, begun, name=f"reading {self.name}")
        return begun

    def _fresh(self, reading: Reading, *, refresh: bool) -> bool:
        if not reading.ended or (reading.error is not None and not isinstance(reading.error, PagingStopped)):
            return False
        now = self._clock.now()
        if refresh:
            unused = reading.used_at is None and reading.refreshing
            return unused and now - reading.ended_at < CONTINUES_REFRESH_S
        return reading.used_at is None or now - reading.used_at < self._cache_s

    def _resumable(self, reading: Reading) -> bool:
        if not isinstance(reading.error, VendorError) or isinstance(reading.error, PagingStopped):
            return False
        asked_to_wait = reading.error.retry_after_s or 0
        return reading.walk.begun and self._clock.now() - reading.ended_at - asked_to_wait < RESUME_WITHIN_S

    async def _fetch(self, request: Request) -> object:
        """Ask the vendor; the way there is made at the first request."""
        if self._way is None and self.source.account is not None:
            self._way = self._connect(self.source.account)
        if self._way is None:
            raise self._not_configured()
        return await self._way(request)

    def _not_configured(self) -> VendorError:
        return self.source.problem or VendorError("not_configured", f"{self.name} is not configured.")

    def _walk(self) -> Walk:
        account, vendor = self.source.account, self.source.vendor
        first = vendor.first(account.values) if account else Request("")
        return Walk(self.name, vendor, first, self._fetch)

    async def _run(self, reading: Reading) -> None:
        """Read to the end. Nothing may be raised from here: it would end every other reading."""
        try:
            while not reading.walk.done:
                await self._step(reading)
                if self._unattended(reading):
                    reading.error = self._left_off(reading)
                    break
        except VendorError as e:
            reading.error = e
        except Exception as e:
            log.exception("%s: the reading failed", self.name)
            text = f"{self.name}: reading failed inside audience-mcp ({type(e).__name__}); its log has more."
            reading.error = VendorError("bad_response", text)
        finally:
            reading.ended, reading.ended_at = True, self._clock.now()
            if reading.complete:
                self._last_complete = reading
            self._changes.tell()

    async def _step(self, reading: Reading) -> None:
        try:
            await reading.walk.step()
        except PagingStopped:
            reading.as_of = self._clock.utc()
            raise
        except VendorError as e:
            if not reading.resumed or e.kind not in ("invalid_request", "not_found"):
                raise
            # The place to go on from is no longer good (cursors expire): from the start, once.
            reading.resumed, reading.read_before = False, 0
            reading.walk = self._walk()
        else:
            reading.resumed = False
            reading.as_of = self._clock.utc()
        self._changes.tell()

    def _unattended(self, reading: Reading) -> bool:
        return (
            not reading.walk.done
            and not reading.waiting
            and self._clock.now() - reading.left_at > UNATTENDED_S
        )

    def _left_off(self, reading: Reading) -> VendorError:
        return VendorError(
            "timeout", f"{self.name}: {reading.progress()}, then no one asked any more. Ask again to go on."
        )

    def attend(self, reading: Reading, by: int) -> None:
        """Say that a call waits for a reading (1) or has stopped waiting (-1)."""
        reading.waiting += by
        reading.left_at = self._clock.now()

    def held(self, reading: Reading) -> Held:
        """What answers a call that has waited for `reading`. An ended one counts as used from now on."""
        if reading.ended and reading.used_at is None:
            reading.used_at = self._clock.now()
        if reading.complete:
            return Held(reading.walk, True, reading.as_of, notes=self._notes(reading.walk))
        error = reading.error if reading.ended and reading.error else self._under_way(reading)
        last = self._last_complete
        if last is not None:
            note = f"{self.name}: as of its last complete reading; there is no newer one yet. {error.message}"
            return Held(last.walk, True, last.as_of, notes=[note, *self._notes(last.walk)])
        return Held(reading.walk, False, reading.as_of, error, self._notes(reading.walk))

    def _under_way(self, reading: Reading) -> VendorError:
        walk = reading.walk
        seconds = max(1.0, self._clock.now() - reading.begun_at)
        read = len(walk.rows) - reading.read_before
        left = walk.counted - len(walk.rows) if walk.counted is not None else None
        wait = min(300, max(1, round(left * seconds / read))) if left is not None and read > 0 else 10
        text = f"{self.name}: {reading.progress()}; the reading goes on. Ask again in {wait} s to continue."
        return VendorError("timeout", text, retry_after_s=wait)

    def _notes(self, walk: Walk) -> list[str]:
        told = [f"{self.name}: {note}" for note in walk.notes]
        if walk.dropped:
            told.append(
                f"{self.name}: {walk.dropped:,} rows were no audiences (no usable id) and are left out"
            )
        if walk.repeated:
            told.append(f"{self.name}: {walk.repeated:,} rows came twice and count once")
        if walk.done and walk.counted is not None and walk.counted != len(walk.rows) + walk.dropped:
            told.append(
                f"{self.name}: the vendor counts {walk.counted:,} audiences, but listed {len(walk.rows):,}"
            )
        return told

    def look_up(self, id: str) -> LookUp | None:
        """Ask for one audience, or join who does; None where the vendor has no way or `id` is no id."""
        account = self.source.account
        if account is None or not account.vendor.id_shape.fullmatch(id):
            return None
        request = account.vendor.one(id, account.values)
        if request is None:
            return None
        if id not in self._look_ups:
            self._look_ups[id] = found = LookUp()

            async def ask() -> None:
                try:
                    body = await self._fetch(request)
                    rows = (row_of(account.vendor, raw) for raw in account.vendor.one_rows(body))
                    found.row = next((row for row in rows if row is not None and row.id == id), None)
                except VendorError as e:
                    if e.kind != "not_found":
                        found.error = e
                except Exception:
                    log.debug("%s: the answer for one audience was not understood", self.name, exc_info=True)
                    text = f"{self.name}: the vendor's answer for one audience is not as documented."
                    found.error = VendorError("bad_response", text)
                finally:
                    found.ended = True
                    self._look_ups.pop(id, None)
                    self._changes.tell()

            self._tasks.start_soon(ask, name=f"look-up at {self.name}")
        return self._look_ups[id]

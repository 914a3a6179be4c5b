"""One source's reading: shared by all calls that want it, kept, and gone on with after a fault.

A reading runs as a task of its own and outlives the call that began it. Callers only wait, each to its
own deadline, for something to change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from anyio.abc import TaskGroup

from audience_mcp.config import Account, Source
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import PagingStopped, VendorError
from audience_mcp.sources.lookups import LookUp, LookUps
from audience_mcp.sources.pager import Fetch, Pager
from audience_mcp.sources.signal import ChangeSignal
from audience_mcp.vendors.base import Request

log = logging.getLogger(__name__)

Connect = Callable[[Account], Fetch]
"""Makes the way to ask an account's vendor."""

UNATTENDED_S = 1800
"""A reading that no call has waited for in so long pauses; the next call goes on with it."""
REFUSALS = ("invalid_request", "not_found", "bad_response")
"""What a vendor may answer to a cursor that it no longer knows."""
RESUME_WITHIN_S = 6 * 3600
"""A reading that broke off longer ago is begun anew: its first pages say too little about today."""
CONTINUES_REFRESH_S = 300
"""A reading begun by `refresh` serves a later `refresh`, or is gone on with by one, for so long."""


@dataclass(slots=True, eq=False)
class Reading:
    """A walk under way or ended. `error` says why it ended before its end."""

    pager: Pager
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
        return self.pager.done

    def progress(self) -> str:
        """How far it got: `2,300 of 4,012 audiences read`."""
        counted = f" of {self.pager.vendor_total:,}" if self.pager.vendor_total is not None else ""
        return f"{len(self.pager.rows):,}{counted} audiences read"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is of a source when a call must answer.

    error: why it is not complete. newer_error: why an older, complete reading answers and not a newer one.
    """

    pager: Pager
    complete: bool
    as_of: datetime | None
    error: VendorError | None = None
    notes: list[str] = field(default_factory=list)
    newer_error: VendorError | None = None


class SourceReader:
    """All readings of one source. `tasks` is where they run."""

    def __init__(
        self,
        source: Source,
        connect: Connect,
        tasks: TaskGroup,
        signal: ChangeSignal,
        clock: Clock,
        cache_s: float,
    ) -> None:
        self.source = source
        self._connect = connect
        self._tasks = tasks
        self._signal = signal
        self._clock = clock
        self._cache_s = cache_s
        self._way: Fetch | None = None
        self._reading: Reading | None = None
        self._last_complete: Reading | None = None
        self._partial: tuple[Pager, datetime | None] | None = None
        self._look_ups = LookUps(source, self._fetch, tasks, signal)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    def cached(self) -> Snapshot | None:
        """A complete reading that is still fresh, if there is one; nothing is begun."""
        reading = self._reading
        if reading is None or not reading.complete or not self._fresh(reading, refresh=False):
            return None
        return self.snapshot(reading)

    def reading(self, *, refresh: bool = False) -> Reading:
        """The reading that a call is to wait for: the one under way, a fresh one, or one begun now."""
        current = self._reading
        if current is not None and (not current.ended or self._fresh(current, refresh=refresh)):
            return current
        now = self._clock.now()
        if self.source.account is None:
            return Reading(self._new_pager(), now, error=self._not_configured(), ended=True)
        if current is not None and self._resumable(current, refresh=refresh):
            begun = Reading(
                current.pager,
                now,
                refreshing=current.refreshing,
                resumed=True,
                as_of=current.as_of,
                read_before=len(current.pager.rows),
            )
        else:
            if current is not None:
                self._keep(current.pager, current.as_of)
            begun = Reading(self._new_pager(), now, refreshing=refresh)
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

    def _resumable(self, reading: Reading, *, refresh: bool) -> bool:
        if reading.error is None or not reading.error.passing or (refresh and not reading.refreshing):
            return False
        asked_to_wait = reading.error.retry_after_s or 0
        within = CONTINUES_REFRESH_S if refresh else RESUME_WITHIN_S
        return reading.pager.started and self._clock.now() - reading.ended_at - asked_to_wait < within

    async def _fetch(self, request: Request) -> object:
        """Ask the vendor; the way there is made at the first request."""
        if self._way is None and self.source.account is not None:
            self._way = self._connect(self.source.account)
        if self._way is None:
            raise self._not_configured()
        return await self._way(request)

    def _not_configured(self) -> VendorError:
        return self.source.problem or VendorError("not_configured", f"{self.name} is not configured.")

    def _new_pager(self) -> Pager:
        account, vendor = self.source.account, self.source.vendor
        return Pager(
            self.name, vendor, lambda: vendor.list_request(account.values if account else {}), self._fetch
        )

    def _keep(self, pager: Pager, as_of: datetime | None) -> None:
        """Keep what was read before a new walk begins, in case that one gets less far."""
        if (
            pager.started
            and not pager.done
            and (not self._partial or len(pager.rows) >= len(self._partial[0].rows))
        ):
            self._partial = pager, as_of

    async def _run(self, reading: Reading) -> None:
        """Read to the end. Nothing may be raised from here: it would end every other reading."""
        try:
            while not reading.pager.done:
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
            if reading.waiting:
                reading.used_at = reading.ended_at
            if reading.complete:
                self._last_complete, self._partial = reading, None
            self._signal.notify()

    async def _step(self, reading: Reading) -> None:
        pager = reading.pager
        pages = pager.pages
        try:
            await pager.next_page()
        except VendorError as e:
            if not reading.resumed or e.kind not in REFUSALS or isinstance(e, PagingStopped):
                raise
            # The place to go on from is no longer good (cursors expire): from the start, once.
            self._keep(pager, reading.as_of)
            reading.pager, reading.read_before, reading.as_of = self._new_pager(), 0, None
        finally:
            reading.resumed = False
            if pager.pages > pages:
                reading.as_of = self._clock.utc()
                self._signal.notify()

    def _unattended(self, reading: Reading) -> bool:
        return (
            not reading.pager.done
            and not reading.waiting
            and self._clock.now() - reading.left_at > UNATTENDED_S
        )

    def _left_off(self, reading: Reading) -> VendorError:
        return VendorError(
            "timeout", f"{self.name}: {reading.progress()}, then no one asked any more. Ask again to go on."
        )

    def look_up(self, id: str) -> LookUp | None:
        """Ask for one audience; None where the list must be read for it."""
        return self._look_ups.ask(id)

    def add_waiter(self, reading: Reading) -> None:
        """Say that a call waits for a reading."""
        reading.waiting += 1

    def remove_waiter(self, reading: Reading) -> None:
        """Say that a call waits for a reading no longer."""
        reading.waiting -= 1
        reading.left_at = self._clock.now()

    def snapshot(self, reading: Reading) -> Snapshot:
        """What answers a call that has waited for `reading`. An ended one counts as used from now on."""
        newer = self._reading
        if newer is not None and (newer.pager is reading.pager or not reading.complete):
            reading = newer  # another call has gone on with it, or begun anew, meanwhile
        if reading.ended and reading.used_at is None:
            reading.used_at = self._clock.now()
        if reading.complete:
            return Snapshot(reading.pager, True, reading.as_of, notes=self._notes(reading.pager))
        error = reading.error if reading.ended and reading.error else self._under_way(reading)
        last = self._last_complete
        if last is not None:
            note = f"{self.name}: as of its last complete reading; there is no newer one yet. {error.message}"
            notes = [note, *self._notes(last.pager)]
            return Snapshot(last.pager, True, last.as_of, notes=notes, newer_error=error)
        pager, as_of = reading.pager, reading.as_of
        if self._partial and len(self._partial[0].rows) > len(pager.rows):
            pager, as_of = self._partial
        return Snapshot(pager, False, as_of, error, self._notes(pager))

    def _under_way(self, reading: Reading) -> VendorError:
        pager = reading.pager
        seconds = max(1.0, self._clock.now() - reading.begun_at)
        read = len(pager.rows) - reading.read_before
        left = pager.vendor_total - len(pager.rows) if pager.vendor_total is not None else None
        wait = min(300, max(1, round(left * seconds / read))) if left is not None and read > 0 else 10
        text = f"{self.name}: {reading.progress()}; the reading goes on. Ask again in {wait} s to continue."
        return VendorError("timeout", text, retry_after_s=wait)

    def _notes(self, pager: Pager) -> list[str]:
        told = [f"{self.name}: {note}" for note in pager.notes]
        if pager.invalid:
            told.append(f"{self.name}: rows left out for want of a usable id: {pager.invalid:,}")
        if pager.duplicates:
            told.append(f"{self.name}: rows that came again, counted once: {pager.duplicates:,}")
        if (
            pager.done
            and pager.vendor_total is not None
            and pager.vendor_total != len(pager.rows) + pager.invalid
        ):
            told.append(
                f"{self.name}: the vendor counts {pager.vendor_total:,} audiences, "
                f"but listed {len(pager.rows):,}"
            )
        return told

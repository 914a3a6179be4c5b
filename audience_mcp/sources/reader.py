"""One source's reading: shared by all calls that want it, kept, and gone on with after a fault.

A reading runs as a task of its own and outlives the call that began it. Callers only wait, each to its
own deadline, for something to change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from audience_mcp.config import Account, Source
from audience_mcp.core.audience import Row
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.counts import Kept, SizeCounter, has_counts, kept_count, stored_count
from audience_mcp.sources.freshness import LAST_COMPLETE_S, Times, can_resume, serves
from audience_mcp.sources.lookups import LookUp, LookUps
from audience_mcp.sources.pager import Fetch, Pager
from audience_mcp.sources.reading import (
    Reading,
    Snapshot,
    explain_under_way,
    new_pager,
    restore_reading,
    resume_reading,
    to_stored,
    write_notes,
)
from audience_mcp.sources.sharing import SourceShare
from audience_mcp.sources.signal import ChangeSignal
from audience_mcp.store.values import StoredReading
from audience_mcp.vendors.request import Request

if TYPE_CHECKING:
    from audience_mcp.store.store import Store

log = logging.getLogger(__name__)

Connect = Callable[[Account], Fetch]
"""Makes the way to ask an account's vendor."""

UNATTENDED_S = 1800
"""A reading that no call has waited for in so long pauses; the next call goes on with it."""
REFUSALS = ("invalid_request", "not_found", "bad_response")
"""What a vendor may answer to a cursor that it no longer knows."""
STALE_CURSOR = 410

MESSAGES = {
    "not_configured": "{source} is not configured.",
    "failed": "{source}: reading failed inside audience-mcp ({error}); its log has more.",
    "unattended": "{source}: {progress}; then paused, as no call was waiting. Ask again to resume.",
    "older": "{source}: as of its last complete reading; there is no newer one yet. {error}",
}


class SourceReader:
    """All readings of one source. `tasks` is where they run. store: shares them with other processes."""

    def __init__(
        self,
        source: Source,
        connect: Connect,
        tasks: TaskGroup,
        signal: ChangeSignal,
        clock: Clock,
        cache_s: float,
        redactor: Redactor | None = None,
        store: Store | None = None,
    ) -> None:
        self.source = source
        self._connect = connect
        self._tasks = tasks
        self._signal = signal
        self._clock = clock
        self._cache_s = cache_s
        self._redactor = redactor or Redactor()
        self._way: Fetch | None = None
        self._reading: Reading | None = None
        self._last_complete: Reading | None = None
        self._partial: Reading | None = None
        account = source.account
        self._share = (
            SourceShare(source, account, store, tasks, clock, cache_s)
            if account is not None and store is not None
            else None
        )
        self.counter = (
            SizeCounter(source.name, account, self._fetch, tasks, signal, clock, self._save_counts)
            if account is not None
            else None
        )
        self._look_ups = LookUps(source, self._fetch, tasks, signal, self.counter)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    def cached(self) -> Snapshot | None:
        """A complete reading that is still fresh, if there is one; nothing is begun."""
        reading = self._reading
        if reading is None or not reading.complete or not self._serves(reading, refresh=False):
            return None
        return self.snapshot(reading)

    def reading(self, *, refresh: bool = False) -> Reading:
        """The reading that a call is to wait for: the one under way, a fresh one, or one begun now."""
        current = self._reading
        if current is not None and self._serves(current, refresh=refresh):
            return current
        now = self._clock.now()
        if self.source.account is None:
            return Reading(self._new_pager(), now, error=self._explain_unconfigured(), ended=True)
        if current is not None and can_resume(
            current.times, current.error, now, refresh=refresh and not current.refreshing
        ):
            started = resume_reading(current, now)
        else:
            if current is not None:
                self._keep(current)
            started = Reading(self._new_pager(), now, refreshing=refresh)
        started.left_at = now
        self._reading = started
        self._tasks.start_soon(self._run, started, name=f"reading {self.name}")
        return started

    def _serves(self, reading: Reading, *, refresh: bool) -> bool:
        """Whether a call may wait for this reading, or be answered from it.

        A `refresh` whose reading outlasted its call is gone on with by the next one.
        """
        goes_on = refresh and reading.refreshing and (not reading.ended or reading.used_at is None)
        if not reading.ended:
            now = self._clock.now()
            return (
                not refresh
                or goes_on
                or serves(Times(reading.started_at, ended_at=now), None, now, 0, refresh=True)
            )
        return serves(
            reading.times, reading.error, self._clock.now(), self._cache_s, refresh=refresh and not goes_on
        )

    async def _fetch(self, request: Request) -> object:
        """Ask the vendor; the way there is made at the first request."""
        if self._way is None and self.source.account is not None:
            self._way = self._connect(self.source.account)
        if self._way is None:
            raise self._explain_unconfigured()
        return await self._way(request)

    def _explain_unconfigured(self) -> VendorError:
        text = MESSAGES["not_configured"].format(source=self.name)
        return self.source.problem or VendorError("not_configured", text)

    def _new_pager(self) -> Pager:
        return new_pager(self.source, self._fetch, self._redactor)

    def _keep(self, reading: Reading) -> None:
        """Keep what was read before a new reading begins, in case that one gets less far."""
        kept = self._partial
        if (
            reading.pager.started
            and not reading.complete
            and (kept is None or len(reading.pager.rows) >= len(kept.pager.rows))
        ):
            self._partial = reading

    async def _run(self, reading: Reading) -> None:
        """Read to the end. Nothing may be raised from here: it would end every other reading."""
        try:
            if self._share is not None and not self._share.is_made_up:
                await self._take_stored(reading, self._share)
            while not reading.pager.done:
                await self._read_page(reading)
                if self._is_unattended(reading):
                    text = MESSAGES["unattended"].format(source=self.name, progress=reading.progress())
                    reading.error = VendorError("timeout", text)
                    break
        except VendorError as e:
            reading.error = e
        except (Exception, SystemExit, GeneratorExit) as e:
            log.exception("%s: the reading failed", self.name)
            text = MESSAGES["failed"].format(source=self.name, error=type(e).__name__)
            reading.error = VendorError("bad_response", text)
        finally:
            reading.ended, reading.ended_at = True, self._clock.now()
            if reading.waiting:
                reading.used_at = reading.ended_at
            if reading.complete:
                self._last_complete, self._partial = reading, None
            await self._end(reading)

    async def _end(self, reading: Reading) -> None:
        """Wake who waits, and save what is to be kept behind their answers."""
        share, stored = self._share, reading.stored
        if stored is not None:
            # It has been used since it ended, by who made it.
            reading.ended_at = reading.used_at = self._clock.now() - stored.ended_ago_s
        if share is None or stored is not None:
            self._signal.notify()
            return
        kept = to_stored(reading, self._clock.now()) if reading.complete else None
        share.begin_recording()
        if share.is_made_up:  # what is made up is there before it is asked for
            await share.end(kept)
        self._signal.notify()
        if not share.is_made_up:
            await share.end(kept)

    async def _take_stored(self, reading: Reading, share: SourceShare) -> None:
        """Take over the reading of another process, if there is one or it is about to be."""
        if self.counter is not None and has_counts(self.source.vendor):
            now = self._clock.now()
            counts = await share.find_counts()
            self.counter.restore({id: kept_count(count, now) for id, count in counts.items()})
        found = await share.find(refresh=reading.refreshing, abandoned=lambda: self._is_unattended(reading))
        if found is not None:
            restore_reading(reading, found, self._new_pager(), self._clock.now())
            return
        if share.older is not None and self._is_newer(share.older):
            pager = self._new_pager()
            ended = Reading(pager, 0.0, ended=True)
            self._last_complete = restore_reading(ended, share.older, pager, self._clock.now())
        share.older = None

    def _is_newer(self, stored: StoredReading) -> bool:
        last = self._last_complete
        return last is None or last.started_at < self._clock.now() - stored.started_ago_s

    def _save_counts(self, counts: Mapping[str, Kept]) -> None:
        if self._share is not None:
            as_of = self._reading.as_of if self._reading is not None else None
            self._share.save_counts({id: stored_count(count) for id, count in counts.items()}, as_of)

    async def _read_page(self, reading: Reading) -> None:
        pager = reading.pager
        pages = pager.pages
        try:
            await pager.next_page()
        except VendorError as e:
            if not self._is_stale(reading, e):
                raise
            # The place to go on from is no longer good (cursors expire): from the start, once.
            self._keep(replace(reading))
            reading.pager, reading.read_before, reading.restarted = self._new_pager(), 0, True
            reading.as_of = reading.first_page_at = None
        finally:
            reading.resumed = False
            if pager.pages > pages:
                reading.last_page_at = self._clock.now()
                if reading.as_of is None and reading.pager is pager:
                    reading.as_of, reading.first_page_at = self._clock.utc(), reading.last_page_at
                self._signal.notify()

    def _is_stale(self, reading: Reading, error: VendorError) -> bool:
        """Whether the vendor has refused the cursor of a further page, for the first time."""
        if error.final or not reading.pager.started or reading.restarted:
            return False
        return error.status == STALE_CURSOR or (reading.resumed and error.kind in REFUSALS)

    def _is_unattended(self, reading: Reading) -> bool:
        return (
            not reading.pager.done
            and not reading.waiting
            and self._clock.now() - reading.left_at > UNATTENDED_S
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
            return Snapshot(reading.pager, True, reading.as_of, notes=write_notes(self.name, reading.pager))
        error = (
            reading.error
            if reading.ended and reading.error
            else explain_under_way(self.name, reading, self._clock.now())
        )
        last = self._last_complete
        if last is not None and self._age(last) < LAST_COMPLETE_S:
            note = MESSAGES["older"].format(source=self.name, error=error.message)
            return Snapshot(
                last.pager, False, last.as_of, error, [note, *write_notes(self.name, last.pager)], older=True
            )
        if self._partial and len(self._partial.pager.rows) > len(reading.pager.rows):
            reading = self._partial
        return Snapshot(reading.pager, False, reading.as_of, error, write_notes(self.name, reading.pager))

    def begin_counting(self, rows: Sequence[Row]) -> SizeCounter | None:
        """Begin to ask for those sizes of these rows that cost a request each; who asks for them."""
        if self.counter is not None:
            self.counter.begin(rows, self._reading.first_page_at if self._reading is not None else None)
        return self.counter

    def _age(self, reading: Reading) -> float:
        return self._clock.now() - (reading.first_page_at or reading.started_at)

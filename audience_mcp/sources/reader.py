"""One source's reading: shared by all calls that want it, kept, and resumed after a fault.

A reading runs as a task of its own and outlives the call that started it. Calls only wait, each to its
own deadline, for something to change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import anyio

from audience_mcp.config import Account, Source
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import Kind, VendorError
from audience_mcp.sources.counts import Kept, SizeCounter, kept_count, stored_count
from audience_mcp.sources.lookups import LookUp, LookUps
from audience_mcp.sources.pacing import RecentRequests
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.past import PastSizes
from audience_mcp.sources.reading import (
    LAST_COMPLETE_S,
    Reading,
    Snapshot,
    explain_under_way,
    new_pager,
    restore_reading,
    resume_reading,
    to_stored,
    write_notes,
)
from audience_mcp.sources.responses import STALE_CURSOR
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.sharing import SourceShare
from audience_mcp.sources.source_history import SourceHistory
from audience_mcp.sources.talk import Fetch
from audience_mcp.store.stored import RecordedReading, StoredReading
from audience_mcp.vendors.request import Request

log = logging.getLogger(__name__)

Connect = Callable[[Account], Fetch]
"""Makes what sends an account's requests to its vendor."""

UNATTENDED_S = 1800
"""Seconds without a waiting call after which a reading pauses; the next call resumes it."""
REFUSALS = ("invalid_request", "not_found", "bad_response")
"""Kinds of error by which a vendor may refuse a cursor that it no longer knows."""

MESSAGES = {
    "not_configured": "{source} is not configured.",
    "failed": "{source}: reading failed inside audience-mcp ({error}); its log has more.",
    "unattended": "{source}: {progress}; then paused, as no call was waiting. Ask again to resume.",
    "older": "{source}: as of its last complete reading; there is no newer one yet. {error}",
}


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is, for those who run the server.

    age_s: seconds since the first page of its last complete reading came; None where this process has none.
    error: the kind of the error by which a reading ended, or by which sizes are not counted; None once a
    later one was complete. pending: sizes that are wanted and have not been counted.
    """

    source: str
    age_s: float | None = None
    error: Kind | None = None
    pending: int = 0


class SourceReader:
    """All readings of one source.

    history: the source's sizes over time, where there is a store. counter: counts its sizes that cost a
    request each, where it is configured. past: asks for what its vendor itself remembers of sizes, where it
    does and there is a store.
    """

    def __init__(self, source: Source, connect: Connect, runtime: Runtime, cache_s: float) -> None:
        self.source = source
        self._connect = connect
        self._runtime = runtime
        self._signal = runtime.signal
        self._clock = runtime.clock
        self._cache_s = cache_s
        self._way: Fetch | None = None
        self._recent = RecentRequests(runtime.clock)
        self._reading: Reading | None = None
        self._last_complete: Reading | None = None
        self._partial: Reading | None = None
        self._last_error: VendorError | None = source.problem
        self._recalling = anyio.Lock()
        account, store = source.account, runtime.store
        self.history = (
            SourceHistory(source, store, runtime.redactor, self._present) if store is not None else None
        )
        self._share = (
            SourceShare(source, store, self.history, runtime, cache_s)
            if account is not None and store is not None and self.history is not None
            else None
        )
        self.counter = (
            SizeCounter(account, self._fetch, runtime, self._save_counts) if account is not None else None
        )
        self.past = (
            PastSizes(
                account, self._fetch, runtime, self._recent, self._share.find_vendor, self._share.save_vendor
            )
            if account is not None
            and account.vendor.has_history
            and self._share
            and not self._share.is_made_up
            else None
        )
        self._look_ups = LookUps(source, self._fetch, runtime, self.counter)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def state(self) -> SourceState:
        """How the source is now; nothing is read for it."""
        last, counter = self._last_complete, self.counter
        error = self._last_error or (counter.refusal if counter is not None else None)
        return SourceState(
            self.name,
            max(0.0, self._age(last)) if last is not None else None,
            error.kind if error is not None else None,
            counter.pending if counter is not None else 0,
        )

    def cached(self) -> Snapshot | None:
        """A complete reading that is still fresh, if there is one; none is started."""
        reading = self._reading
        if reading is None or not reading.complete:
            return None
        fresh = reading.serves(self._clock.now(), self._cache_s, refresh=False)
        return self.snapshot(reading) if fresh else None

    def reading(self, *, refresh: bool = False) -> Reading:
        """The reading that a call is to wait for: the one under way, a fresh one, or a new one."""
        current, now = self._reading, self._clock.now()
        if current is not None and current.serves(now, self._cache_s, refresh=refresh):
            return current
        if self.source.account is None:
            return Reading(self.new_pager(), now, error=self._explain_unconfigured(), ended=True)
        if current is not None and current.can_resume(now, refresh=refresh):
            started = resume_reading(current, now)
        else:
            if current is not None:
                self._keep(current)
            started = Reading(self.new_pager(), now, refreshing=refresh)
        started.left_at = now
        self._reading = started
        self._runtime.tasks.start_soon(self._run, started, name=f"reading {self.name}")
        return started

    async def _fetch(self, request: Request) -> object:
        """Ask the vendor; what sends the requests is made for the first one."""
        if self._way is None and self.source.account is not None:
            self._way = self._connect(self.source.account)
        if self._way is None:
            raise self._explain_unconfigured()
        self._recent.add(request.pace)
        return await self._way(request)

    def _explain_unconfigured(self) -> VendorError:
        text = MESSAGES["not_configured"].format(source=self.name)
        return self.source.problem or VendorError("not_configured", text)

    def new_pager(self) -> Pager:
        """A pager that has read nothing yet."""
        return new_pager(self.source, self._fetch, self._runtime.redactor)

    def _keep(self, reading: Reading) -> None:
        """Keep what was read before a new reading starts, in case that one gets less far."""
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
            self._last_error = None if reading.complete else reading.error
            await self._end(reading)

    async def _end(self, reading: Reading) -> None:
        """Wake waiting calls, and save what is to be kept after their answers."""
        share, stored = self._share, reading.stored
        if stored is not None:
            # It has been used since it ended, by the process that made it.
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
        share.begin()
        if self.counter is not None and self.source.vendor.has_counts:
            now = self._clock.now()
            counts = await share.find_counts()
            self.counter.restore({id: kept_count(count, now) for id, count in counts.items()})
        found = await share.find(refresh=reading.refreshing, abandoned=lambda: self._is_unattended(reading))
        if found is not None:
            restore_reading(reading, found, self.new_pager(), self._clock.now())
            return
        if share.older is not None and self._is_newer(share.older):
            self._remember(share.older)
        share.older = None

    async def recall(self) -> Reading | None:
        """The last complete reading, of this process or else a stored one; no vendor is asked for it."""
        async with self._recalling:
            if self._last_complete is None and self._share is not None and not self._share.is_made_up:
                stored = await self._share.recall()
                if stored is not None and self._last_complete is None:
                    self._remember(stored)
        return self._last_complete

    def _remember(self, stored: StoredReading) -> None:
        """Take a stored reading for the last complete one."""
        pager = self.new_pager()
        ended = Reading(pager, 0.0, ended=True)
        self._last_complete = restore_reading(ended, stored, pager, self._clock.now())

    def _is_newer(self, stored: StoredReading) -> bool:
        last = self._last_complete
        return last is None or last.started_at < self._clock.now() - stored.started_ago_s

    def _save_counts(self, counts: Mapping[str, Kept]) -> None:
        if self.past is not None:
            came = {id: (each.counted.past, each.counted.sized_on) for id, each in counts.items()}
            self.past.take({id: told for id, told in came.items() if told[0]})
        if self._share is not None:
            self._share.save_counts({id: stored_count(count) for id, count in counts.items()})

    def _present(self) -> Collection[Row] | None:
        """All audiences of the last complete reading."""
        return self._last_complete.pager.rows.values() if self._last_complete is not None else None

    async def find_recorded(self) -> RecordedReading | None:
        """What the history has of the last complete reading, once it is saved; None if it has nothing."""
        last = self._last_complete
        if last is None or last.as_of is None or self.history is None or self._share is None:
            return None
        await self.recorded()
        return await self.history.find_recorded(last.as_of)

    async def recorded(self) -> None:
        """Wait until what was read and counted here is in the history, as far as the store takes it."""
        if self._share is not None:
            await self._share.recorded()

    async def _read_page(self, reading: Reading) -> None:
        pager = reading.pager
        pages = pager.pages
        try:
            await pager.next_page()
        except VendorError as e:
            if not self._is_stale(reading, e):
                raise
            # The cursor is no longer good (cursors expire): from the start, once.
            self._keep(replace(reading))
            reading.pager, reading.read_before, reading.restarted = self.new_pager(), 0, True
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
            reading = newer  # another call has resumed it, or started again, meanwhile
        if reading.ended and reading.used_at is None:
            reading.used_at = self._clock.now()
        if reading.complete:
            refusal = self.counter.refusal if self.counter is not None else None
            known = reading.snapshot
            if known is None or known.error is not refusal:
                notes = write_notes(self.name, reading.pager)
                known = Snapshot(reading.pager, True, reading.as_of, refusal, notes)
                reading.snapshot = known if reading.ended else None
            return known
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
        """Start to ask for those sizes of these rows that cost a request each; what asks for them, if any."""
        if self.counter is None or not self.source.vendor.has_counts:
            return None
        self.counter.begin(rows, self._reading.first_page_at if self._reading is not None else None)
        return self.counter

    def _age(self, reading: Reading) -> float:
        return self._clock.now() - (reading.first_page_at or reading.started_at)

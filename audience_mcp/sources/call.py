"""What one call has of its sources: readings and look-ups waited for until its deadline, each asked once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from audience_mcp.core.audience import Row
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import VendorError
from audience_mcp.core.progress import Progress
from audience_mcp.sources.counts import SizeCounter
from audience_mcp.sources.lookups import LookUp
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Reading, Snapshot
from audience_mcp.sources.signal import ChangeSignal

COUNT_WITHIN_S = 5.0
"""A call waits so long for sizes that cannot all come before its deadline."""

Counting = tuple[SizeCounter, Sequence[Row]]
"""Rows whose sizes cost a request each, and who asks for them."""


class CallSession:
    """One call's share in the readings. Whatever it has waited for once, it does not wait for again."""

    def __init__(
        self, signal: ChangeSignal, clock: Clock, seconds: float, *, refresh: bool, progress: Progress | None
    ) -> None:
        self._signal = signal
        self._clock = clock
        # Waiting ends before the call's own deadline, so that composing the answer fits in.
        self._until = clock.now() + seconds - min(0.5, seconds / 10)
        self.refresh = refresh
        self._progress = progress
        self._snapshots: dict[SourceReader, Snapshot] = {}

    @property
    def seconds_left(self) -> float:
        """How long the call may still wait for anything."""
        return max(0.0, self._until - self._clock.now())

    async def read(self, readers: Sequence[SourceReader]) -> dict[SourceReader, Snapshot]:
        """What there is of each source when its reading has ended, or at the deadline."""
        missing = [reader for reader in readers if reader not in self._snapshots]
        readings = {reader: reader.reading(refresh=self.refresh) for reader in missing}
        told = 0

        async def tell() -> None:
            nonlocal told
            pages = sum(reading.pager.pages for reading in readings.values())
            if self._progress and pages > told:
                told = pages
                await self._progress(pages, _pages_in_all(readings.values()), _how_far(readings))

        for reader, reading in readings.items():
            reader.add_waiter(reading)
        try:
            await self._signal.wait_until(lambda: all(r.ended for r in readings.values()), self._until, tell)
        finally:
            for reader, reading in readings.items():
                reader.remove_waiter(reading)
        self._snapshots |= {reader: reader.snapshot(reading) for reader, reading in readings.items()}
        return {reader: self._snapshots[reader] for reader in readers}

    async def count(self, rows: Mapping[SourceReader, Sequence[Row]]) -> dict[SourceReader, VendorError]:
        """Wait for sizes that cost a request each; why some are still missing, by source.

        Where they cannot all come before the deadline, no more than 5 s are spent on them.
        """
        left = self._until - self._clock.now()
        counting: dict[SourceReader, Counting] = {}
        untils: dict[SourceReader, float] = {}
        for reader, each in rows.items():
            pending = [row for row in each if row.size_pending]
            counter = reader.begin_counting(pending) if pending else None
            if counter is None:
                continue
            counting[reader] = counter, pending
            enough = counter.seconds_for(pending) < left
            untils[reader] = self._clock.now() + (left if enough else min(left, COUNT_WITHIN_S))
        for until in sorted(set(untils.values())):
            due = [counting[reader] for reader, its in untils.items() if its <= until]
            await self._signal.wait_until(partial(_are_counted, due), until)
        problems = {reader: counter.explain_pending(each) for reader, (counter, each) in counting.items()}
        return {reader: problem for reader, problem in problems.items() if problem is not None}

    async def look_up(self, look_ups: Sequence[LookUp]) -> None:
        """Wait until every look-up has ended, or the deadline."""
        await self._signal.wait_until(lambda: all(look_up.ended for look_up in look_ups), self._until)


@contextmanager
def waiting_on(look_ups: Sequence[LookUp]) -> Iterator[None]:
    """Hold look-ups for as long as a call may wait for them; one that nobody holds ends."""
    for look_up in look_ups:
        look_up.waiting += 1
    try:
        yield
    finally:
        for look_up in look_ups:
            look_up.leave()


def _are_counted(due: Sequence[Counting]) -> bool:
    return all(counter.has_counted(rows) for counter, rows in due)


def _how_far(readings: dict[SourceReader, Reading]) -> str:
    """How far the readings are, unfinished ones first: a line on a terminal is soon full."""
    by_need = sorted(readings.items(), key=lambda pair: pair[1].ended)
    started = [(reader, reading) for reader, reading in by_need if reading.pager.pages]
    said = [
        f"{reader.name}: page {reading.pager.pages}, {reading.progress()}" for reader, reading in started[:6]
    ]
    return "; ".join(said)


def _pages_in_all(readings: Iterable[Reading]) -> float | None:
    """How many pages there will be, where every vendor under way counts its audiences."""
    total = 0
    for reading in readings:
        pager = reading.pager
        if reading.ended:
            total += pager.pages
        elif pager.vendor_total is None or not pager.pages:
            return None
        else:
            per_page = max(1.0, (len(pager.rows) + pager.invalid + pager.duplicates) / pager.pages)
            total += max(pager.pages + 1, math.ceil(pager.vendor_total / per_page))
    return total

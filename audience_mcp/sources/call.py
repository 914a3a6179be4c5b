"""What one call has of its sources: readings and look-ups waited for until its deadline, each asked once."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import anyio

from audience_mcp.core.audience import Row
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import VendorError
from audience_mcp.core.progress import Progress
from audience_mcp.sources.counts import SizeCounter
from audience_mcp.sources.lookups import LookUp
from audience_mcp.sources.past import Need, PastSizes
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Reading, Snapshot
from audience_mcp.sources.signal import ChangeSignal

COUNT_WITHIN_S = 5.0
"""Seconds that a call waits for sizes that cannot all come before its deadline."""
MOST_TOLD = 6
"""Sources that one sentence of progress names."""

Counting = tuple[SizeCounter, Sequence[Row]]
"""Rows whose sizes cost a request each, and the counter that asks for them."""


Recalling = tuple[PastSizes, Sequence[Row], Mapping[str, Need]]
"""Rows of whose past something is needed, and what asks for it."""


@dataclass(frozen=True, slots=True)
class _Awaited:
    """Sizes of a source that are waited for.

    seconds: how long they take at least. left: how many are still to come. is_over: whether there is nothing
    more to wait for.
    """

    source: str
    seconds: float
    left: Callable[[], int]
    is_over: Callable[[], bool]


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
        self._done = 0
        """Pages and sizes that `progress` was told of; it must never go back."""
        self._snapshots: dict[SourceReader, Snapshot] = {}

    @property
    def seconds_left(self) -> float:
        """How long the call may still wait for anything."""
        return max(0.0, self._until - self._clock.now())

    async def read(self, readers: Sequence[SourceReader]) -> dict[SourceReader, Snapshot]:
        """What there is of each source when its reading has ended, or at the deadline."""
        missing = [reader for reader in readers if reader not in self._snapshots]
        readings = {reader: reader.reading(refresh=self.refresh) for reader in missing}
        if not all(reading.ended for reading in readings.values()):  # most are, and have been for minutes
            await self._wait_for_readings(readings)
        self._snapshots |= {reader: reader.snapshot(reading) for reader, reading in readings.items()}
        return {reader: self._snapshots[reader] for reader in readers}

    async def _wait_for_readings(self, readings: Mapping[SourceReader, Reading]) -> None:
        """Wait for all of them to end, or for the deadline, and tell `progress` of their pages."""
        told = 0

        async def tell() -> None:
            nonlocal told
            pages = sum(reading.pager.pages for reading in readings.values())
            if self._progress and pages > told:
                told = pages
                self._done = max(self._done, pages)
                await self._progress(pages, _pages_in_all(readings.values()), _how_far(readings))

        for reader, reading in readings.items():
            reader.add_waiter(reading)
        try:
            await self._signal.wait_until(lambda: all(r.ended for r in readings.values()), self._until, tell)
        finally:
            for reader, reading in readings.items():
                reader.remove_waiter(reading)

    async def count(self, rows: Mapping[SourceReader, Sequence[Row]]) -> dict[SourceReader, VendorError]:
        """Wait for sizes that cost a request each; why some are missing, by source.

        Where they cannot all come before the deadline, no more than 5 s are spent on them.
        """
        counting: dict[SourceReader, Counting] = {}
        awaited = []
        for reader, each in rows.items():
            missing = [row for row in each if row.size is None]
            counter = reader.begin_counting(missing) if missing else None
            if counter is None:
                continue
            counting[reader] = counter, missing
            left, is_over = partial(_count_pending, missing), partial(counter.has_counted, missing)
            awaited.append(_Awaited(reader.name, counter.seconds_for(missing), left, is_over))
        await self._wait_for(awaited, "sizes counted")
        problems = {reader: counter.explain_missing(each) for reader, (counter, each) in counting.items()}
        return {reader: problem for reader, problem in problems.items() if problem is not None}

    async def _wait_for(self, awaited: Sequence[_Awaited], words: str) -> None:
        """Wait for all that can come before the deadline, and a while for what cannot.

        words: what they are, such as `sizes counted`.
        """
        now = self._clock.now()
        left = self._until - now
        untils = [now + (left if each.seconds < left else min(left, COUNT_WITHIN_S)) for each in awaited]
        tell = await self._begin_telling({each.source: each.left for each in awaited}, words)
        for until in sorted(set(untils)):
            due = [each for each, its in zip(awaited, untils, strict=True) if its <= until]
            await self._signal.wait_until(partial(_are_over, due), until, tell)

    async def _begin_telling(
        self, left: Mapping[str, Callable[[], int]], words: str
    ) -> Callable[[], Awaitable[None]]:
        """Tell `progress` what is waited for now, by source; returns what tells it of more that has come.

        left: how many are still to come. words: what they are, such as `sizes counted`.
        """
        wanted = {name: count() for name, count in left.items()}
        before = self._done + 1  # a step of its own, as nothing has come yet

        async def tell() -> None:
            missing = {name: count() for name, count in left.items()}
            done = before + sum(wanted.values()) - sum(missing.values())
            if self._progress and done > self._done:
                self._done = done
                said = [
                    f"{name}: {wanted[name] - missing[name]:,} of {wanted[name]:,} {words}"
                    for name in sorted(wanted, key=lambda name: not missing[name])
                    if wanted[name]
                ]
                await self._progress(done, before + sum(wanted.values()), "; ".join(said[:MOST_TOLD]))

        if any(wanted.values()):
            await tell()
        return tell

    async def recall(self, asked: Sequence[Recalling]) -> None:
        """Wait for what vendors remember of sizes, as long as for sizes that cost a request each."""
        async with anyio.create_task_group() as tasks:
            for past, _, needs in asked:
                tasks.start_soon(past.restore, needs)
        awaited = []
        for past, rows, needs in asked:
            past.begin(rows, needs)
            left, is_over = partial(_count_missing, past, rows, needs), partial(past.is_done, rows, needs)
            awaited.append(_Awaited(past.source, past.seconds_for(rows, needs), left, is_over))
        await self._wait_for(awaited, "audiences' past sizes read")

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


def _count_pending(rows: Iterable[Row]) -> int:
    return sum(row.size_pending for row in rows)


def _count_missing(past: PastSizes, rows: Sequence[Row], needs: Mapping[str, Need]) -> int:
    return len(past.pending(rows, needs))


def _are_over(due: Sequence[_Awaited]) -> bool:
    return all(each.is_over() for each in due)


def _how_far(readings: Mapping[SourceReader, Reading]) -> str:
    """How far the readings are, unfinished ones first: a line on a terminal is soon full."""
    by_need = sorted(readings.items(), key=lambda pair: pair[1].ended)
    started = [(reader, reading) for reader, reading in by_need if reading.pager.pages]
    said = [
        f"{reader.name}: page {reading.pager.pages}, {reading.progress()}"
        for reader, reading in started[:MOST_TOLD]
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

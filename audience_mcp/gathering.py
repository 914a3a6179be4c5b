"""What one call has of its sources: readings and look-ups waited for until its deadline, each asked once."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from audience_mcp.changes import Changes
from audience_mcp.clock import Clock
from audience_mcp.lookups import LookUp
from audience_mcp.reading import Held, Reading, SourceReader

Progress = Callable[[float, float | None, str], Awaitable[None]]
"""Told after every page: pages so far, pages in all where known, and a sentence."""


class Gathering:
    """One call's share in the readings. Whatever it has waited for once, it does not wait for again."""

    def __init__(
        self, changes: Changes, clock: Clock, seconds: float, *, refresh: bool, progress: Progress | None
    ) -> None:
        self._changes = changes
        # Waiting ends before the call's own deadline, so that composing the answer fits in.
        self._until = clock.now() + seconds - min(0.5, seconds / 10)
        self.refresh = refresh
        self._progress = progress
        self._held: dict[SourceReader, Held] = {}

    async def read(self, readers: Sequence[SourceReader]) -> dict[SourceReader, Held]:
        """What there is of each source when its reading has ended, or at the deadline."""
        missing = [reader for reader in readers if reader not in self._held]
        readings = {reader: reader.reading(refresh=self.refresh) for reader in missing}
        told = 0

        async def tell() -> None:
            nonlocal told
            pages = sum(reading.walk.pages for reading in readings.values())
            if self._progress and pages > told:
                told = pages
                await self._progress(pages, _pages_in_all(readings.values()), _how_far(readings))

        for reader, reading in readings.items():
            reader.attend(reading, 1)
        try:
            await self._changes.until(lambda: all(r.ended for r in readings.values()), self._until, tell)
        finally:
            for reader, reading in readings.items():
                reader.attend(reading, -1)
        self._held |= {reader: reader.held(reading) for reader, reading in readings.items()}
        return {reader: self._held[reader] for reader in readers}

    async def look_up(self, look_ups: Sequence[LookUp]) -> None:
        """Wait until every look-up has ended, or the deadline."""
        await self._changes.until(lambda: all(look_up.ended for look_up in look_ups), self._until)


@contextmanager
def attending(look_ups: Sequence[LookUp]) -> Iterator[None]:
    """Hold look-ups for as long as a call may wait for them; one that nobody holds ends."""
    for look_up in look_ups:
        look_up.waiting += 1
    try:
        yield
    finally:
        for look_up in look_ups:
            look_up.leave()


def _how_far(readings: dict[SourceReader, Reading]) -> str:
    begun = [(reader, reading) for reader, reading in readings.items() if reading.walk.pages]
    said = [
        f"{reader.name}: page {reading.walk.pages}, {reading.progress()}" for reader, reading in begun[:6]
    ]
    return "; ".join(said)


def _pages_in_all(readings: Iterable[Reading]) -> float | None:
    """How many pages there will be, where every vendor under way counts its audiences."""
    total = 0
    for reading in readings:
        walk = reading.walk
        if reading.ended:
            total += walk.pages
        elif walk.counted is None or not walk.pages:
            return None
        else:
            per_page = max(1.0, (len(walk.rows) + walk.dropped + walk.repeated) / walk.pages)
            total += max(walk.pages + 1, math.ceil(walk.counted / per_page))
    return total

"""How fast one account is asked, and for how long it is left alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio

from audience_mcp.core.clock import Clock
from audience_mcp.vendors.base import Rate

if TYPE_CHECKING:
    from audience_mcp.sources.sharing import SharedTurns

LOOK_AGAIN_S = 0.25
"""How often requests that have no pace look whether another process was told to pause."""
LONGEST_WAIT_S = 15
"""The longest pause a vendor may ask for that is waited out; a longer one is refused at once."""


class Paused(Exception):
    """The vendor asked to be left alone for longer than is waited."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Pacing:
    """One account's slots: each request waits for one, by the limits of its kind and any pause.

    rates: the limits of each kind of request; those of the kind "" hold for kinds that have none. shared: the
    turns of all processes, where they share a store.
    """

    def __init__(
        self, rates: Mapping[str, Sequence[Rate]], clock: Clock, shared: SharedTurns | None = None
    ) -> None:
        self._clock = clock
        self._shared = shared
        self._lanes = {kind: _Lane(limits) for kind, limits in rates.items()}
        self._paused_until = -math.inf
        self._looked = -math.inf

    async def acquire_slot(self, kind: str) -> None:
        """Wait until a request of this kind may be sent. Raises Paused."""
        lane = self._lanes.get(kind) or self._lanes.get("")
        self._refuse_long_pause()
        if lane is None:
            await self._sleep_until(lambda: self._paused_until)
            if self._clock.now() - self._looked >= LOOK_AGAIN_S:
                self._looked = self._clock.now()
                await self._take_shared(kind, ())
            return
        async with lane.lock:
            self._refuse_long_pause()
            await self._sleep_until(lambda: max(lane.next_slot(), self._paused_until))
            await self._take_shared(kind, lane.limits)
            lane.take(self._clock.now())

    async def pause(self, seconds: float) -> None:
        """Send nothing for so long. Raises Paused where that is longer than is waited."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)
        if self._shared is not None:
            await self._shared.pause(seconds)
        if seconds > LONGEST_WAIT_S:
            raise Paused(self._left())

    async def _take_shared(self, kind: str, limits: Sequence[tuple[int, float]]) -> None:
        """Wait for a turn that no other process takes. Raises Paused."""
        while self._shared is not None:
            turn = await self._shared.take(kind, limits)
            if turn is None or turn.wait_s <= 0:
                return
            if turn.paused_s > 0:
                self._paused_until = max(self._paused_until, self._clock.now() + turn.paused_s)
            self._refuse_long_pause()
            await self._clock.sleep(turn.wait_s)
            self._refuse_long_pause()

    async def _sleep_until(self, moment: Callable[[], float]) -> None:
        # Again after each sleep: another request may have been told to wait meanwhile.
        while (seconds := moment() - self._clock.now()) > 0:
            await self._clock.sleep(seconds)
            self._refuse_long_pause()

    def _refuse_long_pause(self) -> None:
        if self._left() > LONGEST_WAIT_S:
            raise Paused(self._left())

    def _left(self) -> float:
        return self._paused_until - self._clock.now()


class _Lane:
    """The slots of one kind of request. limits: so many requests in so many seconds, all of which hold."""

    def __init__(self, limits: Sequence[Rate]) -> None:
        self.lock = anyio.Lock()
        # A fraction of a request a window is one request in a longer one.
        self.limits = [
            (max(1, math.floor(r.requests)), r.seconds * max(1.0, 1 / r.requests))
            for r in limits
            if r.requests
        ]
        self._taken: deque[float] = deque(maxlen=max((number for number, _ in self.limits), default=1))

    def next_slot(self) -> float:
        """When the next request may be sent, as far as this lane knows."""
        earliest = -math.inf
        for number, seconds in self.limits:
            if len(self._taken) >= number:
                earliest = max(earliest, self._taken[-number] + seconds)
        return earliest

    def take(self, now: float) -> None:
        """Count a request that is sent now."""
        self._taken.append(now)

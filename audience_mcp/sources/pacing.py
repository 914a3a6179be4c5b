"""How fast one account is asked, and for how long it is left alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio

from audience_mcp.core.clock import Clock
from audience_mcp.vendors.base import Rate
from audience_mcp.vendors.request import Request

if TYPE_CHECKING:
    from audience_mcp.sources.sharing import SharedTurns

LOOK_AGAIN_S = 0.25
"""How often requests that have no pace look whether another process was told to pause."""
MOST_RECENT = 1_000
"""Requests of a pace that are remembered."""
LONGEST_WAIT_S = 15
"""The longest pause a vendor may ask for that is waited out; a longer one is refused at once."""


class Paused(Exception):
    """The vendor asked to be left alone for longer than is waited."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


def pause_of(request: Request) -> str:
    """The name of the pause that a request's answer may ask for: of its pace, else of its purpose.

    A listing's is empty: it holds for the whole account.
    """
    return "" if request.purpose == "list" else request.pace or request.purpose


class RecentRequests:
    """When the last requests of each pace went out, by which it is known how soon further ones can."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: dict[str, deque[float]] = {}

    def add(self, pace: str) -> None:
        """Say that a request goes out now, or waits for its turn."""
        self._sent.setdefault(pace, deque(maxlen=MOST_RECENT)).append(self._clock.now())

    def seconds_for(self, number: float, pace: str, limits: Sequence[Rate]) -> float:
        """At least how long so many further requests of a pace take, by its limits."""
        now = self._clock.now()
        waits = [0.0]
        for limit in limits:
            recent = sum(now - sent < limit.seconds for sent in self._sent.get(pace, ()))
            most = max(1.0, limit.requests)
            waits.append((math.ceil((math.ceil(number) + min(recent, most)) / most) - 1) * limit.seconds)
        return max(waits)


class Pacing:
    """One account's slots: each request waits for one, by the limits of its pace and any pause.

    rates: the limits of each pace; those of "" hold for paces that have none. shared: the turns of all
    processes, where they share a store. Pauses have names (`pause_of`); the one without a name holds for
    every request.
    """

    def __init__(
        self, rates: Mapping[str, Sequence[Rate]], clock: Clock, shared: SharedTurns | None = None
    ) -> None:
        self._clock = clock
        self._shared = shared
        self._lanes = {kind: _Lane(limits) for kind, limits in rates.items()}
        self._paused_until: dict[str, float] = {}
        self._looked = -math.inf

    async def acquire_slot(self, pace: str, pause: str = "") -> None:
        """Wait until a request of this pace, for which this pause holds, may be sent. Raises Paused."""
        lane = self._lanes.get(pace) or self._lanes.get("")
        self._refuse_long_pause(pause)
        if lane is None:
            await self._sleep_until(lambda: self._end_of(pause), pause)
            if self._clock.now() - self._looked >= LOOK_AGAIN_S:
                self._looked = self._clock.now()
                await self._take_shared(pace, (), pause)
            return
        async with lane.lock:
            self._refuse_long_pause(pause)
            await self._sleep_until(lambda: max(lane.next_slot(), self._end_of(pause)), pause)
            await self._take_shared(pace, lane.limits, pause)
            lane.take(self._clock.now())

    async def pause(self, seconds: float, pause: str = "") -> None:
        """Send no such request for `seconds`. Raises Paused where that is longer than is waited."""
        self._prolong(pause, seconds)
        if self._shared is not None:
            await self._shared.pause(seconds, pause)
        if seconds > LONGEST_WAIT_S:
            raise Paused(self._left(pause))

    async def _take_shared(self, pace: str, limits: Sequence[tuple[int, float]], pause: str) -> None:
        """Wait for a turn that no other process takes. Raises Paused."""
        while self._shared is not None:
            turn = await self._shared.take(pace, limits, pause)
            if turn is None or turn.wait_s <= 0:
                return
            if turn.paused_s > 0:
                self._prolong(pause, turn.paused_s)
            self._refuse_long_pause(pause)
            await self._clock.sleep(turn.wait_s)
            self._refuse_long_pause(pause)

    async def _sleep_until(self, moment: Callable[[], float], pause: str) -> None:
        # Again after each sleep: another request may have been told to wait meanwhile.
        while (seconds := moment() - self._clock.now()) > 0:
            await self._clock.sleep(seconds)
            self._refuse_long_pause(pause)

    def _prolong(self, pause: str, seconds: float) -> None:
        until = self._clock.now() + seconds
        self._paused_until[pause] = max(self._paused_until.get(pause, until), until)

    def _refuse_long_pause(self, pause: str) -> None:
        if self._left(pause) > LONGEST_WAIT_S:
            raise Paused(self._left(pause))

    def _end_of(self, pause: str) -> float:
        return max(self._paused_until.get(each, -math.inf) for each in ("", pause))

    def _left(self, pause: str) -> float:
        return self._end_of(pause) - self._clock.now()


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

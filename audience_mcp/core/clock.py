"""Time and chance, passed in so that tests need not wait or throw dice."""

from __future__ import annotations

import random
import time
from contextlib import AbstractContextManager
from datetime import datetime, timezone

import anyio

SLACK_S = 2.0
"""How far the wall clock may be set forward without being taken for sleep."""


class Clock:
    """The real clock. Tests pass a subclass that moves by hand."""

    def __init__(self) -> None:
        self._slept = 0.0
        self._apart: float | None = None

    def now(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything.

        It counts the hours that the computer slept, in which the loop's own clock may stand still: what was
        read before them is not fresh after them.
        """
        ticking = anyio.current_time()
        apart = time.time() - ticking
        if self._apart is None:
            self._apart = apart
        self._slept = max(self._slept, apart - self._apart - SLACK_S)
        return ticking + self._slept

    def utc(self) -> datetime:
        """The date and time, in UTC."""
        return datetime.now(timezone.utc)

    def random(self) -> float:
        """A number from 0 up to but not including 1."""
        return random.random()  # noqa: S311 (jitter, not a secret)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    def move_on_at(self, when: float) -> AbstractContextManager[anyio.CancelScope]:
        """A scope that is left when the clock reaches `when` (in the terms of `now`)."""
        return anyio.CancelScope(deadline=anyio.current_time() + when - self.now())

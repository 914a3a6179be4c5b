"""Time and chance, passed in so that tests need not wait or throw dice."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from datetime import datetime, timezone

import anyio


class Clock:
    """The real clock. Tests pass a subclass that moves by hand."""

    def now(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        return anyio.current_time()

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
        scope = anyio.CancelScope(deadline=when)
        return scope

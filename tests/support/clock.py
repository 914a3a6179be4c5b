"""A clock that moves only by hand (or, for sleeps, at once), and dice that always fall the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import anyio

from audience_mcp.core.clock import Clock

START = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


class FakeClock(Clock):
    """Sleeping takes no real time: it moves the clock, so that deadlines fall due as they would.

    slept: every sleep asked for, in seconds. hold: while set, sleeps wait for `advance` instead.
    """

    def __init__(self, *, dice: float = 0.5, hold: bool = False) -> None:
        self.time = 1000.0
        self.slept: list[float] = []
        self.dice = dice
        self.hold = hold
        self._scopes: list[tuple[float, anyio.CancelScope]] = []
        self._sleepers: list[tuple[float, anyio.Event]] = []

    def now(self) -> float:
        return self.time

    def utc(self) -> datetime:
        return START + timedelta(seconds=self.time - 1000)

    def random(self) -> float:
        return self.dice

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.hold:
            woken = anyio.Event()
            self._sleepers.append((self.time + seconds, woken))
            await woken.wait()
        else:
            self.advance(seconds)
            await anyio.lowlevel.checkpoint()

    @contextmanager
    def move_on_at(self, when: float) -> Iterator[anyio.CancelScope]:
        with anyio.CancelScope() as scope:
            entry = when, scope
            self._scopes.append(entry)
            if when <= self.time:
                scope.cancel()
            try:
                yield scope
            finally:
                self._scopes.remove(entry)

    def advance(self, seconds: float) -> None:
        """Let time pass: deadlines fall due and sleepers wake."""
        self.time += seconds
        for when, scope in list(self._scopes):
            if when <= self.time:
                scope.cancel()
        due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self.time]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self.time]
        for _, woken in due:
            woken.set()

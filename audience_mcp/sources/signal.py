"""The one thing that calls wait for: that something changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from audience_mcp.core.clock import Clock


class ChangeSignal:
    """A page came, a reading ended, a look-up was answered: every waiting call checks again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = anyio.Event()

    def notify(self) -> None:
        """Wake all waiting calls."""
        event, self._event = self._event, anyio.Event()
        event.set()

    async def wait_until(
        self,
        reached: Callable[[], bool],
        deadline: float,
        each: Callable[[], Awaitable[None]] | None = None,
    ) -> bool:
        """Wait until `reached()` or the deadline, awaiting `each` at every change; whether it was reached."""
        with self._clock.move_on_at(deadline):
            while not reached():
                await self._event.wait()
                if each:
                    await each()
        return reached()

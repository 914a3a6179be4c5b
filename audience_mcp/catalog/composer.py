"""Runs what goes through many audiences where it does not hold up the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio

COMPOSED_HERE = 2_000
"""Answers over more audiences than this are composed in a thread."""

T = TypeVar("T")


class Composer:
    """Composes one answer at a time, because threads side by side would only share one interpreter."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()

    async def run(
        self,
        count: int,
        compose: Callable[[], T],
        find_known: Callable[[], T | None] = lambda: None,
    ) -> T:
        """The result of `compose`, which goes through so many audiences, of now and of the past.

        find_known: the result, if another call has composed it while this one waited for its turn.
        """
        if count <= COMPOSED_HERE:
            return compose()
        async with self._turn:
            if (known := find_known()) is not None:
                return known
            return await anyio.to_thread.run_sync(compose, abandon_on_cancel=True)

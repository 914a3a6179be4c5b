"""Asks the store about several sources at once, within a call's time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import anyio

from audience_mcp.sources.reader import SourceReader

LEAST_WAIT_S = 1.0
"""Seconds that the store gets even if the call's time is over."""


async def ask_of_each(
    readers: Iterable[SourceReader],
    ask: Callable[[SourceReader], Coroutine[Any, Any, None]],
    seconds: float,
) -> None:
    """Ask about all of these sources at once. What has not come after `seconds` is left out."""
    with anyio.move_on_after(max(seconds, LEAST_WAIT_S)):
        async with anyio.create_task_group() as tasks:
            for reader in readers:
                tasks.start_soon(ask, reader)

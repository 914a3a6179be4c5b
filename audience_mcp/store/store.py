"""The store as the rest of the program sees it: it answers or has nothing to say, and never fails a call."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeVar

from audience_mcp.store.database import new_holder
from audience_mcp.store.guard import Backend, Guard
from audience_mcp.store.stored import Cleared, Contents

if TYPE_CHECKING:  # what does the work is imported with the backend, when the store is first used
    from audience_mcp.store.history import HistoryPart
    from audience_mcp.store.shared import SharedPart

T = TypeVar("T")


class Store(Guard):
    """A store that never fails its caller: what it cannot do becomes a note, once.

    Every method answers None (or does nothing) where the store cannot be used at the time. made_up: whether
    what is in it is made up, so that only its history is to be used. holder: the name of this
    process among those that hold leases.
    """

    def __init__(
        self, make: Callable[[Callable[[str], None]], Backend], at_once: int = 1, *, made_up: bool = False
    ) -> None:
        super().__init__(make, at_once)
        self.shares = not made_up
        self.holder = new_holder()
        self._swept = False

    async def shared(self, use: Callable[[SharedPart], T]) -> T | None:
        """Do something with readings and counts that processes share, in a thread."""
        return await self.run("readings", lambda backend: backend.shared(use))

    async def pace(self, use: Callable[[SharedPart], T]) -> T | None:
        """Do something with turns, pauses or leases: the same part, without waiting for readings."""
        return await self.run("pace", lambda backend: backend.shared(use))

    async def history(self, use: Callable[[HistoryPart], T]) -> T | None:
        """Do something with the sizes over time, in a thread."""
        return await self.run("history", lambda backend: backend.history(use))

    async def sweep(self) -> None:
        """Delete what is too old to be used, once in this process."""
        if not self._swept:
            self._swept = True
            await self.shared(lambda shared: shared.drop_old())

    async def contents(self) -> Contents | None:
        """Where the store is and what is in it; None where it cannot be used: `take_note` says why."""
        await self.sweep()
        readings = await self.shared(lambda shared: shared.readings())
        histories = await self.history(lambda history: history.contents())
        if readings is None and histories is None:
            return None
        sizes = await self.run("history", lambda each: each.bytes())
        return Contents(self.place, sizes or {}, histories or (), readings or ())

    async def clear(
        self, sources: Collection[str] | None = None, keys: Collection[str] = ()
    ) -> Cleared | None:
        """Delete everything, or what is stored of these sources; what that was, None if it was not done.

        sources: names under which readings were made. keys: of histories.
        """
        readings = await self.shared(lambda shared: shared.clear(sources))
        audiences = await self.history(lambda history: history.clear(None if sources is None else keys))
        return Cleared(readings, audiences) if readings is not None and audiences is not None else None

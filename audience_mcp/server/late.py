"""The catalog, opened when it is first needed: its imports would hold up a server's first answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from audience_mcp.catalog.catalog import Catalog

OpenCatalog = Callable[[], AbstractAsyncContextManager["Catalog"]]

SOON_S = 0.05
"""Seconds in which an answer gets to the client before a catalog is opened that nobody waits for."""


class LateCatalog:
    """A catalog that is opened at the first request for it, and stays open until the server ends."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._likely = anyio.Event()
        self._wanted = anyio.Event()
        self._opened = anyio.Event()
        self._over = anyio.Event()

    def prepare(self) -> None:
        """Have it opened soon, though nobody waits for it yet."""
        self._likely.set()

    async def get(self) -> Catalog:
        """The catalog, once it is open."""
        while self._catalog is None:
            self._want()
            await self._opened.wait()
        return self._catalog

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Catalog]:
        """The catalog for a while; it stays open afterwards."""
        yield await self.get()

    def end(self) -> None:
        """Have it closed, or never opened."""
        self._over.set()
        self._want()

    async def run(self, open_catalog: OpenCatalog) -> None:
        """Open it when it is wanted, and close it at the end."""
        await self._likely.wait()
        with anyio.move_on_after(SOON_S):
            await self._wanted.wait()
        if self._over.is_set():
            return
        async with open_catalog() as self._catalog:
            from audience_mcp.server.answering import build_models

            build_models()
            self._opened.set()
            await self._over.wait()

    def _want(self) -> None:
        self._likely.set()
        self._wanted.set()


@asynccontextmanager
async def open_late(open_catalog: OpenCatalog) -> AsyncIterator[LateCatalog]:
    """A catalog that is opened when it is first needed, and closed at the end of the context."""
    late = LateCatalog()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(late.run, open_catalog)
        try:
            yield late
        finally:
            late.end()

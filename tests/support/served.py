"""The whole way from a question to the sandbox and back, over real HTTP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mcp import Client, types

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import load_configuration
from audience_mcp.core.clock import Clock
from audience_mcp.sandbox import Answer, Asked, Sandbox
from audience_mcp.sandbox.app import serve
from audience_mcp.server.tools import build_server
from audience_mcp.store import open_store
from audience_mcp.vendors.registry import load_vendors

FOUR = ("commbox", "batch", "smallest", "whop")
"""Enough vendors for most tests: with pages and without, with totals and without."""


class Recording(Sandbox):
    """A sandbox that remembers what it was asked."""

    def __init__(
        self, data: Mapping[str, Sequence[object]] | None = None, vendors: Collection[str] = FOUR
    ) -> None:
        super().__init__(data, vendors)
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return super().answer(asked)


@dataclass
class Connected:
    """A client of the real server, and the sandbox that it reads."""

    client: Client
    sandbox: Recording


@asynccontextmanager
async def connected(
    data: Mapping[str, Sequence[object]] | None = None,
    *,
    clock: Clock | None = None,
    mode: str = "auto",
    environment: Mapping[str, str | None] | None = None,
    store: Path | None = None,
    vendors: Collection[str] = FOUR,
) -> AsyncIterator[Connected]:
    """A client connected in memory to the server, which reads a sandbox of `vendors` with `data`.

    environment: variables to add, or to take away where None. store: a folder for what is remembered.
    """
    sandbox = Recording(data, vendors)
    async with serve(sandbox) as origin:
        merged = {**sandbox.environment(origin), **(environment or {})}
        configured = load_configuration(
            {k: v for k, v in merged.items() if v is not None}, load_vendors().values()
        )

        def open_it() -> AbstractAsyncContextManager[Catalog]:
            opened = open_store(str(store)) if store is not None else None
            return open_catalog(configured, clock=clock, store=opened)

        server = build_server(configured, open_it)
        async with Client(server, mode=mode) as client:
            yield Connected(client, sandbox)


def text_of(result: types.CallToolResult) -> str:
    """What a model reads: the text of a result."""
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text

"""An app of a test, served over real HTTP in this process."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn

from audience_mcp.server.protocol import BoundedProtocol


@asynccontextmanager
async def serving(app: object) -> AsyncIterator[int]:
    """An app behind the protocol, in this process; its port."""
    config = uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening, anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(server._serve, [listening])
            try:
                yield listening.getsockname()[1]
            finally:
                server.should_exit = True

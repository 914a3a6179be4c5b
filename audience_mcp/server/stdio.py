"""Serves over stdin and stdout until stdin ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from mcp.server.stdio import stdio_server

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.config import Environment
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.process import exit_within
from audience_mcp.server.lines import AnsweringStream, open_stdin
from audience_mcp.server.startup import Startup
from audience_mcp.server.tools import build_server

WAITING = "audience-mcp: an MCP server, waiting for a client on stdin. For people: audience-mcp --help"
EXIT_WITHIN_S = 1.0
"""After serving has ended, a thread that is stuck holds the exit no longer than this."""


def serve(*, sandbox: bool = False, environment: Environment | None = None) -> int:
    """Serve until stdin ends; the exit code."""
    try:
        startup = Startup(os.environ if environment is None else environment, sandbox=sandbox)
    except ConfigurationError as e:
        print(f"audience-mcp: {e}", file=sys.stderr)  # noqa: T201 (stderr; the log is not set up yet)
        return 2
    startup.start_log()
    if sys.stdin.isatty():
        print(WAITING, file=sys.stderr)  # noqa: T201
    server = build_server(startup.configuration, lambda: _open_bounded(startup))

    async def run() -> None:
        async with stdio_server(stdin=open_stdin()) as (incoming, outgoing):
            messages = cast("Any", AnsweringStream(incoming, outgoing))
            await server.run(messages, outgoing, server.create_initialization_options())

    # A read of stdin cannot be interrupted, so an interrupt must end the process by itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    anyio.run(run)
    return 0


@asynccontextmanager
async def _open_bounded(startup: Startup) -> AsyncIterator[Catalog]:
    """The catalog; once it is closing, the process ends within a bound."""
    code = 0
    async with startup.open_catalog() as catalog:
        try:
            yield catalog
        except BaseException:
            code = 1
            raise
        finally:
            exit_within(EXIT_WITHIN_S, lambda: code)

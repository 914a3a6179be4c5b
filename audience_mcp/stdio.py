"""Serves over stdin and stdout until stdin ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
from mcp.server.stdio import stdio_server

from audience_mcp import logs
from audience_mcp.catalog import Catalog, open_catalog
from audience_mcp.config import Configuration, Environment, configuration, of_sandbox
from audience_mcp.errors import ConfigurationError
from audience_mcp.server import OpenCatalog, build
from audience_mcp.vendors import vendors

log = logging.getLogger(__name__)

WAITING = "audience-mcp: an MCP server, waiting for a client on stdin. For people: audience-mcp --help"
EXIT_WITHIN_S = 1.0
"""After serving has ended, a thread that is stuck (a name look-up can be) holds the exit no longer."""


def serve(*, sandbox: bool = False, environment: Environment | None = None) -> int:
    """Serve until stdin ends; the exit code."""
    try:
        configured, opened = prepare(os.environ if environment is None else environment, sandbox=sandbox)
    except ConfigurationError as e:
        print(f"audience-mcp: {e}", file=sys.stderr)  # noqa: T201 (stderr; the log is not set up yet)
        return 2
    redactor = logs.Redactor(configured.secrets)
    logs.set_up(configured.settings.log_level, redactor)
    for warning in configured.warnings:
        log.warning("%s", warning)
    if sys.stdin.isatty():
        print(WAITING, file=sys.stderr)  # noqa: T201
    server = build(configured, lambda: _bounded(opened()), redactor)

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    # A read of stdin cannot be interrupted, so an interrupt must end the process by itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    anyio.run(run)
    return 0


def prepare(environment: Environment, *, sandbox: bool) -> tuple[Configuration, OpenCatalog]:
    """What is configured, and how to open its catalog. Raises ConfigurationError."""
    if not sandbox:
        configured = configuration(environment, vendors().values())
        return configured, lambda: open_catalog(configured)
    return _sandboxed(environment)


def _sandboxed(environment: Environment) -> tuple[Configuration, OpenCatalog]:
    """The embedded vendors in place of the real ones."""
    from audience_mcp.sandbox import Sandbox
    from audience_mcp.vendors import BUILT_IN

    made_up, kinds = Sandbox(), [kind() for kind in BUILT_IN]

    def configured_at(origin: str) -> Configuration:
        return of_sandbox(environment, made_up.environment(origin), kinds)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Catalog]:
        from audience_mcp.sandbox.app import serve as served

        async with served(made_up) as origin, open_catalog(configured_at(origin)) as catalog:
            yield catalog

    return configured_at("http://127.0.0.1:1"), opened


@asynccontextmanager
async def _bounded(opened: AbstractAsyncContextManager[Catalog]) -> AsyncIterator[Catalog]:
    """The catalog; once it is closing, the process ends within a bound."""
    code = 0
    async with opened as catalog:
        try:
            yield catalog
        except BaseException:
            code = 1
            raise
        finally:
            watchdog = threading.Timer(EXIT_WITHIN_S, os._exit, (code,))
            watchdog.daemon = True
            watchdog.start()

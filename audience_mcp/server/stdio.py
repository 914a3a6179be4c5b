"""Serves over stdin and stdout until stdin ends."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
from mcp.server.stdio import stdio_server

from audience_mcp.config import Environment, read_environment
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.process import exit_within
from audience_mcp.server.late import LateCatalog, open_late
from audience_mcp.server.lines import LineMessages, open_stdin
from audience_mcp.server.startup import Startup
from audience_mcp.server.tools import build_server

log = logging.getLogger(__name__)

WAITING = "audience-mcp: an MCP server, waiting for a client.\nFor people: audience-mcp --help"
ENDS_WITHIN_S = 1.9
"""Seconds after stdin has ended until the process exits, even if a thread is stuck."""
CLOSES_WITHIN_S = 1.0
"""The most of these that closing gets, however early the last call was answered."""
UNWRITABLE = frozenset({errno.EPIPE, errno.EINVAL, errno.EIO, errno.ENOSPC})
"""Errors of writing to a stream that nobody reads any more (Windows has the second), or that is full."""


def serve(*, sandbox: bool = False, environment: Environment | None = None) -> int:
    """Serve until stdin ends; the exit code."""
    try:
        startup = Startup(
            read_environment(os.environ) if environment is None else environment, sandbox=sandbox
        )
    except ConfigurationError as e:
        print(f"audience-mcp: {e}", file=sys.stderr)  # noqa: T201 (stderr; the log is not set up yet)
        return 2
    startup.start_log()
    if sys.stdin.isatty():
        print(WAITING, file=sys.stderr)  # noqa: T201
    messages = LineMessages(open_stdin())

    async def run() -> None:
        async with (
            # The SDK writes; its own reader gets nothing to read.
            stdio_server(stdin=anyio.wrap_file(io.StringIO())) as (_, outgoing),
            outgoing,
            _open_bounded(startup, messages) as late,
        ):
            server = build_server(startup.configuration, late.lend)
            options = server.create_initialization_options()
            answers = messages.watch(outgoing)
            while messages.ended_at is None:
                await server.run(messages, answers, options)

    # A read of stdin cannot be interrupted, so an interrupt must end the process by itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(run)
    except BaseException as e:
        if (why := _find_unwritable(e)) is None:
            raise
        log.warning("stopped: stdout cannot be written to (%s), so answers reach nobody", why)
        logging.shutdown()
        os._exit(1)  # a thread may still be waiting in a read of stdin, and would hold an exit up
    return 0


def _find_unwritable(error: BaseException) -> str | None:
    """Why stdout could not be written to, if that is all that an error is."""
    errors = [*_flatten(error)]
    if errors and all(isinstance(each, OSError) and each.errno in UNWRITABLE for each in errors):
        return str(errors[0])
    return None


def _flatten(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, and of the groups in it; Python 3.10 has no name for their type."""
    inner: tuple[BaseException, ...] | None = getattr(error, "exceptions", None)
    for each in inner or ():
        yield from _flatten(each)
    if inner is None:
        yield error


@asynccontextmanager
async def _open_bounded(startup: Startup, messages: LineMessages) -> AsyncIterator[LateCatalog]:
    """The catalog; once it closes, the process ends within a time limit."""
    code = 0
    async with open_late(startup.open_catalog) as late:
        try:
            yield late
        except BaseException:
            code = 1
            raise
        finally:
            now = time.monotonic()
            left = (messages.ended_at or now) + ENDS_WITHIN_S - now
            exit_within(min(CLOSES_WITHIN_S, left), lambda: code)

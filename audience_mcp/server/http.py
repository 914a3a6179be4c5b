"""Serves over Streamable HTTP at `/mcp`, stateless, with `/health` beside it.

For this computer only, unless callers can be known, by a token or by OAuth. What they send goes no further:
vendors are called with the keys in the environment, whoever calls.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import FrameType

import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.config import Configuration, Environment
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.process import exit_within, tune_gc
from audience_mcp.server.auth import AccessPolicy, HeaderGuard, TokenGuard, access_policy
from audience_mcp.server.protocol import (
    BACKLOG,
    BoundedProtocol,
    WholeBody,
    quiet_accept,
    quiet_logs,
    raise_descriptor_limit,
)
from audience_mcp.server.startup import Startup
from audience_mcp.server.tools import OpenCatalog, build_server

log = logging.getLogger(__name__)

CUT_AFTER_S = 0.5
"""When stopping, calls under way get this long to end."""
EXIT_WITHIN_S = 1.5
"""A thread that is stuck (a name look-up can be) holds the exit no longer than this after a signal."""
STARTUP_FAILURE = 3
"""The exit code on which uvicorn, and gunicorn, start no further worker."""


def create_app() -> Starlette:
    """The ASGI app for another server: `uvicorn --factory audience_mcp.server.http:create_app --workers 4`.

    It cannot see which address that server is bound to, so it always needs a token and host names.
    """
    try:
        startup = Startup(os.environ, sandbox=False, remembers=False)
        to_all = access_policy(
            os.environ, reachable_via="An app under another server may be reached by other computers"
        )
    except ConfigurationError as e:
        _say(str(e))
        sys.exit(STARTUP_FAILURE)
    tune_gc()
    _start_log(startup, to_all)
    return build_app(startup.configuration, startup.open_catalog, to_all)


def serve(*, sandbox: bool, host: str, port: int, environment: Environment | None = None) -> int:
    """Serve until SIGINT or SIGTERM; the exit code."""
    env = os.environ if environment is None else environment
    try:
        if not 0 <= port <= 65535:
            raise ConfigurationError("--port must be from 0 (any free port) to 65535.")
        startup = Startup(env, sandbox=sandbox)
        family, address = _address(host, port)
        ours = ipaddress.ip_address(address).is_loopback
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        who = access_policy(
            env,
            reachable_via=None if ours else f"--host {host} lets other computers in",
            extra_host=shown if ours else None,
        )
        listening = _open_socket(family, address, port)
    except ConfigurationError as e:
        _say(str(e))
        return 2
    except _CannotListen as e:
        _say(str(e))
        return 1
    _start_log(startup, who)
    tune_gc()
    raise_descriptor_limit()
    at = f"http://{shown}:{listening.getsockname()[1]}/mcp"

    @asynccontextmanager
    async def told() -> AsyncIterator[Catalog]:
        async with startup.open_catalog() as catalog:
            _say(f"serving at {at}{' (made-up audiences)' if sandbox else ''}")
            yield catalog

    server = _Server(
        uvicorn.Config(
            build_app(startup.configuration, told, who),
            loop="asyncio",
            http=BoundedProtocol,
            backlog=BACKLOG,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=CUT_AFTER_S,  # type: ignore[arg-type]  # it goes to asyncio.wait_for
        )
    )
    # While it serves, uvicorn has its own handlers; before and after, a signal must not end it harder.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    with listening:
        server.run(sockets=[listening])
    return 0


def build_app(configured: Configuration, opened: OpenCatalog, who: AccessPolicy) -> Starlette:
    """The app. Its lifespan opens the catalog, once, for all requests."""
    manager = StreamableHTTPSessionManager(
        build_server(configured, opened),
        stateless=True,
        json_response=False,  # a single JSON response would have no room for progress
        security_settings=who.security(),
    )
    closing = AsyncExitStack()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(quiet_accept)
        async with closing, manager.run():
            yield

    starlette = Starlette(
        routes=[
            # Not GET: the stream it would open carries nothing when there are no sessions.
            Route("/mcp", HeaderGuard(WholeBody(StreamableHTTPASGIApp(manager))), methods=["POST"]),
            Route("/health", _health, methods=["GET"]),
        ],
        lifespan=lifespan,
    )
    # At a signal the SDK's event streams would end at once, in mid-answer; uvicorn gives them their time.
    AppStatus.enable_automatic_graceful_drain = False
    starlette.router.redirect_slashes = False  # a redirect would echo a Host header that nobody checked
    if who.token is not None:
        starlette.add_middleware(TokenGuard, token=who.token)
    elif who.oauth is not None:
        from audience_mcp.server.oauth import protect  # it brings PyJWT: only where it is needed

        closing.push_async_callback(protect(starlette, who.oauth, open_paths=["/health"]).aclose)
    return starlette


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


class _Server(uvicorn.Server):
    """Stops within a bound, and quietly."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            # To uvicorn a call that is cut off by stopping is an error in the app.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
            exit_within(EXIT_WITHIN_S, lambda: 0)
        super().handle_exit(sig, frame)


class _CannotListen(Exception):
    """The address cannot be served on. The text says why."""


def _address(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise _CannotListen(f"cannot listen on {host}: this is no address of this computer.") from e
    family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, str(address[0])


def _open_socket(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    try:
        return socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            raise _CannotListen(
                f"port {port} on {address} is in use by another program: end that, or choose another --port."
            ) from e
        why = os.strerror(e.errno).lower() if e.errno else "it cannot be used"
        raise _CannotListen(f"cannot listen on port {port} of {address}: {why}.") from e


def _start_log(startup: Startup, who: AccessPolicy) -> None:
    startup.start_log(*([who.token] if who.token else []))
    quiet_logs()


def _say(sentence: str) -> None:
    print(f"audience-mcp: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 (for the person who starts it)

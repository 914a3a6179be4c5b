"""Serves over Streamable HTTP at `/mcp`, stateless, with `/health` beside it.

For this computer only, unless there is a token to ask callers for. The token opens the door and goes no
further: vendors are asked with the keys in the environment, whoever calls.
"""

from __future__ import annotations

import errno
import hmac
import ipaddress
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_mcp import logs
from audience_mcp.catalog import Catalog
from audience_mcp.config import Configuration, Environment, is_set
from audience_mcp.errors import ConfigurationError
from audience_mcp.server import OpenCatalog, build
from audience_mcp.stdio import prepare

log = logging.getLogger(__name__)

TOKEN = "AUDIENCE_MCP_HTTP_TOKEN"  # noqa: S105 (the variable's name)
ALLOWED_HOSTS = "AUDIENCE_MCP_ALLOWED_HOSTS"
SHORTEST_TOKEN = 32
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
CUT_AFTER_S = 0.5
"""When stopping, calls under way get this long to end."""
EXIT_WITHIN_S = 1.5
"""A thread that is stuck (a name look-up can be) holds the exit no longer than this after a signal."""
STARTUP_FAILURE = 3
"""The exit code on which uvicorn, and gunicorn, start no further worker."""

_HOST = re.compile(r"(?P<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?P<port>:(?:\d{1,5}|\*))?")


@dataclass(frozen=True, slots=True)
class Door:
    """Who is let in: with which bearer token (none where None), calling the server by which names."""

    token: str | None
    hosts: tuple[str, ...] = ()

    def security(self) -> TransportSecuritySettings:
        """The same, as the SDK checks it in Host and Origin."""
        return TransportSecuritySettings(
            allowed_hosts=list(self.hosts),
            allowed_origins=[f"{scheme}://{host}" for host in self.hosts for scheme in ("http", "https")],
        )


def door(environment: Environment, *, elsewhere: str | None, also: str | None = None) -> Door:
    """Who is let in. Raises ConfigurationError.

    elsewhere: what lets other computers in, in words, so that a token and host names are needed; None
    where nothing does. also: one more name of this computer.
    """
    token = environment.get(TOKEN, "").strip()
    names = environment.get(ALLOWED_HOSTS, "")
    missing = [
        f"{name} ({what})"
        for name, value, what in (
            (TOKEN, token, f"a bearer token of at least {SHORTEST_TOKEN} characters"),
            (ALLOWED_HOSTS, names, "the host names under which clients call it, comma separated"),
        )
        if not is_set(value)
    ]
    if elsewhere and missing:
        raise ConfigurationError(f"{elsewhere}, so it needs {' and '.join(missing)}.")
    if is_set(token) and not (
        len(token) >= SHORTEST_TOKEN and token.isascii() and token.isprintable() and " " not in token
    ):
        raise ConfigurationError(
            f"{TOKEN} must be at least {SHORTEST_TOKEN} ASCII characters without spaces, such as the output "
            "of: openssl rand -hex 32"
        )
    hosts = [*LOOPBACK, *([also] if also else []), *(_listed(names) if is_set(names) else ())]
    return Door(token if is_set(token) else None, tuple(_with_ports(hosts)))


def _listed(names: str) -> list[str]:
    hosts = [name.strip().lower() for name in names.split(",") if name.strip()]
    if not hosts or not all(_HOST.fullmatch(host) for host in hosts):
        raise ConfigurationError(
            f"{ALLOWED_HOSTS} must be host names such as mcp.example.com, comma separated: without "
            "https://, path or wildcard."
        )
    return hosts


def _with_ports(hosts: Iterable[str]) -> list[str]:
    """Each host as it stands, and with any port where none is named."""
    found: dict[str, None] = {}
    for host in hosts:
        found[host] = None
        if not host.endswith(":*") and re.search(r":\d+$", host.rpartition("]")[2]) is None:
            found[f"{host}:*"] = None
    return list(found)


def app() -> Starlette:
    """The ASGI app for another server, e.g. `uvicorn --factory audience_mcp.hosting:app --workers 4`.

    It cannot see which address that server is bound to, so it always needs a token and host names.
    """
    try:
        configured, opened = prepare(os.environ, sandbox=False)
        to_all = door(os.environ, elsewhere="An app under another server may be reached by other computers")
    except ConfigurationError as e:
        _say(str(e))
        sys.exit(STARTUP_FAILURE)
    return hosted(configured, opened, to_all, _logging(configured, to_all))


def serve(*, sandbox: bool, host: str, port: int, environment: Environment | None = None) -> int:
    """Serve until SIGINT or SIGTERM; the exit code."""
    env = os.environ if environment is None else environment
    try:
        if not 0 <= port <= 65535:
            raise ConfigurationError("--port must be from 0 (any free port) to 65535.")
        configured, opened = prepare(env, sandbox=sandbox)
        family, address = _address(host, port)
        ours = ipaddress.ip_address(address).is_loopback
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        who = door(
            env,
            elsewhere=None if ours else f"--host {host} lets other computers in",
            also=shown if ours else None,
        )
        listening = _listening(family, address, port)
    except ConfigurationError as e:
        _say(str(e))
        return 2
    except _CannotListen as e:
        _say(str(e))
        return 1
    redactor = _logging(configured, who)
    at = f"http://{shown}:{listening.getsockname()[1]}/mcp"

    @asynccontextmanager
    async def told() -> AsyncIterator[Catalog]:
        async with opened() as catalog:
            _say(f"serving at {at}{' (made-up audiences)' if sandbox else ''}")
            yield catalog

    server = _Server(
        uvicorn.Config(
            hosted(configured, told, who, redactor),
            loop="asyncio",
            http="h11",
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


def hosted(configured: Configuration, opened: OpenCatalog, who: Door, redactor: logs.Redactor) -> Starlette:
    """The app. Its lifespan opens the catalog, once, for all requests."""
    manager = StreamableHTTPSessionManager(
        build(configured, opened, redactor),
        stateless=True,
        json_response=False,  # a single JSON response would have no room for progress
        security_settings=who.security(),
    )
    starlette = Starlette(
        routes=[
            # Not GET: the stream it would open carries nothing when there are no sessions.
            Route("/mcp", StreamableHTTPASGIApp(manager), methods=["POST"]),
            Route("/health", _health, methods=["GET"]),
        ],
        lifespan=lambda _: manager.run(),
    )
    starlette.router.redirect_slashes = False  # a redirect would echo a Host header that nobody checked
    if who.token is not None:
        starlette.add_middleware(_Bearer, token=who.token)
    return starlette


class _Bearer:
    """Lets nothing through without the token, except to `/health`."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] == "/health" or self._has_token(scope):
            await self._app(scope, receive, send)
        else:
            refused = Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
            await refused(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


class _Server(uvicorn.Server):
    """Stops within a bound, and quietly."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            # To uvicorn a call that is cut off by stopping is an error in the app.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
            watchdog = threading.Timer(EXIT_WITHIN_S, os._exit, (0,))
            watchdog.daemon = True
            watchdog.start()
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


def _listening(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    try:
        return socket.create_server((address, port), family=family, backlog=2048)
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            raise _CannotListen(
                f"port {port} on {address} is in use by another program: end that, or choose another --port."
            ) from e
        why = os.strerror(e.errno).lower() if e.errno else "it cannot be used"
        raise _CannotListen(f"cannot listen on port {port} of {address}: {why}.") from e


def _logging(configured: Configuration, who: Door) -> logs.Redactor:
    redactor = logs.Redactor([*configured.secrets, *([who.token] if who.token else [])])
    logs.set_up(configured.settings.log_level, redactor)
    for warning in configured.warnings:
        log.warning("%s", warning)
    return redactor


def _say(sentence: str) -> None:
    print(f"audience-mcp: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 (for the person who starts it)

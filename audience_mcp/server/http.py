"""Serves over Streamable HTTP at `/mcp`, stateless, with `/health` beside it.

Only this computer can connect, unless callers are known by a token or by OAuth. Their tokens go no further:
vendors are always called with the keys in the environment.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from anyio.abc import TaskGroup, TaskStatus
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import DEFAULT_NEGOTIATED_VERSION, INVALID_PARAMS, INVALID_REQUEST
from mcp_types.version import (
    HANDSHAKE_PROTOCOL_VERSIONS,
    KNOWN_PROTOCOL_VERSIONS,
    LATEST_HANDSHAKE_VERSION,
)
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.config import Environment, is_set, read_environment
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.logs import Format
from audience_mcp.core.process import HangupNote, exit_within, tune_gc
from audience_mcp.server.auth import (
    AccessGuard,
    AccessPolicy,
    HostGuard,
    OAuthSettings,
    TokenGuard,
    access_policy,
)
from audience_mcp.server.callers import caller_of
from audience_mcp.server.calls import Calls
from audience_mcp.server.late import OpenCatalog
from audience_mcp.server.messages import BadMessage, is_modern, is_response, read_message
from audience_mcp.server.operators import Counted, Operators
from audience_mcp.server.protocol import (
    BACKLOG,
    BoundedProtocol,
    WholeBody,
    quiet_accept,
    quiet_logs,
    raise_descriptor_limit,
)
from audience_mcp.server.refusals import Refusals
from audience_mcp.server.rereading import Admission, ReadVariables
from audience_mcp.server.startup import Startup
from audience_mcp.server.tools import build_server

if TYPE_CHECKING:
    from audience_mcp.server.issuer import IssuerKeys

log = logging.getLogger(__name__)

CUT_AFTER_S = 0.5
"""Seconds that running calls get at shutdown."""
EXIT_WITHIN_S = 1.5
"""Seconds after a signal until the process exits, even if a thread is stuck (as in a name look-up)."""
REPORTS = tuple(f"audience_mcp.server.{name}" for name in ("calls", "refusals", "rereading"))
"""Loggers whose lines of level INFO are written unless a level is set."""
EVENT_STREAM, JSON = "text/event-stream", "application/json"
VERSION = "mcp-protocol-version"
"""The header in which a client says which version of the protocol it uses."""
STARTUP_FAILURE = 3
"""The exit code after which uvicorn and gunicorn start no further worker."""


def create_app() -> Starlette:
    """The ASGI app for another server: `uvicorn --factory audience_mcp.server.http:create_app --workers 4`.

    It cannot know which address that server is bound to, so it always requires a token and host names.
    """
    try:
        environment = read_environment(os.environ)
        startup = Startup(environment, sandbox=False, remembers=False)
        judge = partial(
            access_policy,
            reachable_via="An app under another server may be reached by other computers",
            sources=startup.configuration.sources,
        )
        admission = Admission(environment, partial(read_environment, os.environ), judge, startup.redactor)
    except ConfigurationError as e:
        _say(str(e))
        sys.exit(STARTUP_FAILURE)
    tune_gc()
    _start_log(startup, admission.policy, environment)
    counted = Counted(worker=str(os.getpid()))
    return build_app(startup.open_catalog, admission.policy, counted, admission.reread)


def serve(
    *,
    sandbox: bool,
    host: str,
    port: int,
    environment: Environment | None = None,
    read: ReadVariables | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; the exit code.

    environment: all variables, which `read` reads again; by default those of the process and of its files.
    """
    read = read or partial(read_environment, os.environ)
    try:
        env = read() if environment is None else environment
        if not 0 <= port <= 65535:
            raise ConfigurationError("--port must be from 0 (any free port) to 65535.")
        startup = Startup(env, sandbox=sandbox)
        family, address = _address(host, port)
        ours = ipaddress.ip_address(address).is_loopback
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        judge = partial(
            access_policy,
            reachable_via=None if ours else f"--host {host} lets other computers in",
            extra_host=shown if ours else None,
            sources=startup.configuration.sources,
        )
        admission = Admission(env, read, judge, startup.redactor)
        listening = _open_socket(family, address, port)
    except ConfigurationError as e:
        _say(str(e))
        return 2
    except _CannotListen as e:
        _say(str(e))
        return 1
    _start_log(startup, admission.policy, env)
    tune_gc()
    raise_descriptor_limit()
    at = f"http://{shown}:{listening.getsockname()[1]}/mcp"

    @asynccontextmanager
    async def announced() -> AsyncIterator[Catalog]:
        async with startup.open_catalog() as catalog:
            sentence = f"serving at {at}{' (made-up audiences)' if sandbox else ''}"
            _say(sentence, startup.configuration.settings.log_format)
            yield catalog

    server = _Server(
        uvicorn.Config(
            build_app(announced, admission.policy, reread=admission.reread),
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
    # While serving, uvicorn installs its own handlers; before and after, a signal should end it as gently.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    with listening:
        server.run(sockets=[listening])
    return 0


def build_app(
    open_catalog: OpenCatalog,
    policy: AccessPolicy,
    counted: Counted | None = None,
    reread: Callable[[], AccessPolicy | None] = lambda: None,
) -> Starlette:
    """The app. Its lifespan opens one catalog for all requests.

    policy: who is let in. counted: where requests are counted. reread: at SIGHUP, who is let in from then on;
    None if that stays as it is.
    """
    counted = counted or Counted()
    refusals = counted.refusals
    endpoint = McpEndpoint(counted.calls)
    callers = CallerGuards(refusals)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(quiet_accept)
        # First of all, since by default the signal ends the process, also while it starts or stops.
        with _at_hangup(follow_settings):
            async with aclosing(callers), open_catalog() as catalog, endpoint.run(catalog):
                yield
        refusals.close()

    def routes(policy: AccessPolicy) -> list[BaseRoute]:
        operators = Operators(
            endpoint.seen_by,
            partial(callers.guard, policy, for_operators=True),
            counted,
            open_here=policy.access is None,
        )
        # Web pages may read what they are let in to ask for, refusals for lack of a token included.
        readable = CORSMiddleware(
            callers.guard(policy, WholeBody(endpoint)),
            allow_origin_regex=policy.origin_pattern,
            allow_methods=["POST", "GET", "DELETE"],
            allow_headers=["*"],
            allow_private_network=True,  # a page that is let in may be a public one
            expose_headers=["WWW-Authenticate", "Retry-After", "MCP-Protocol-Version"],
            max_age=3600,
        )
        mcp = HostGuard(readable, policy, refusals)
        return [
            Route("/health", _health, methods=["GET"]),
            *operators.routes(),
            *callers.metadata_routes(policy),
            # Both, as some clients add a slash: a redirect would lose the body, and echo an unchecked Host.
            Route("/mcp", mcp),
            Route("/mcp/", mcp),
        ]

    def follow_settings() -> None:
        """Let in from now on whom the settings name; requests under way end as they began."""
        if (now := reread()) is not None:
            endpoint.forget_views()
            app.router.routes = routes(now)

    app = Starlette(routes=routes(policy), lifespan=lifespan)
    app.router.redirect_slashes = False
    # At a signal the SDK would cut its event streams off in mid-answer; uvicorn lets them finish.
    AppStatus.enable_automatic_graceful_drain = False
    return app


@contextmanager
def _at_hangup(do: Callable[[], None]) -> Iterator[None]:
    """Do something at each SIGHUP meanwhile, where there are signals, and another thread has not the loop.

    One that came before, and has left a note, is acted on first.
    """
    number: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, before = asyncio.get_running_loop(), signal.getsignal(number)
    loop.add_signal_handler(number, do)
    try:
        if isinstance(before, HangupNote) and before.came:
            do()
        yield
    finally:
        loop.remove_signal_handler(number)
        if before is not None:
            signal.signal(number, before)


class CallerGuards:
    """The ways to know callers; what is behind a guard learns who calls by `caller_of`."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._keys: dict[str, IssuerKeys] = {}

    def guard(self, policy: AccessPolicy, app: ASGIApp, *, for_operators: bool = False) -> ASGIApp:
        """`app` for the callers of a policy alone, or `app` itself if they are not asked who they are.

        for_operators: open to bearer tokens also where people log in by OAuth.
        """
        oauth, tokens = policy.oauth, policy.tokens
        if policy.access is not None:
            app = AccessGuard(app, policy.access, self._refusals)
        if oauth is None:
            return TokenGuard(app, tokens, self._refusals) if tokens else app
        from audience_mcp.server.oauth import AccessTokenVerifier, OAuthGuard  # PyJWT: only if needed

        verifier = AccessTokenVerifier(oauth, self._issuer_keys(oauth))
        by_login = OAuthGuard(app, oauth, verifier, self._refusals)
        if not for_operators or not tokens:
            return by_login
        return TokenGuard(app, tokens, self._refusals, otherwise=by_login)

    def metadata_routes(self, policy: AccessPolicy) -> list[Route]:
        """Where clients find out how to log in."""
        if policy.oauth is None:
            return []
        from audience_mcp.server.oauth import metadata_routes

        return metadata_routes(policy.oauth)

    def _issuer_keys(self, oauth: OAuthSettings) -> IssuerKeys:
        from audience_mcp.server.issuer import IssuerKeys

        if oauth.issuer not in self._keys:
            self._keys[oauth.issuer] = IssuerKeys(oauth.issuer)
        return self._keys[oauth.issuer]

    async def aclose(self) -> None:
        """Close the connections to issuers."""
        for keys in self._keys.values():
            await keys.aclose()


class McpEndpoint:
    """Answers one message a request: as an event stream to clients that name one, else as JSON.

    Only a stream has room for progress. Some clients cannot read one, and send `Accept: application/json`,
    `*/*` or nothing.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        # Set by `run`.
        self._catalog: Catalog
        self._tasks: TaskGroup
        self._views: dict[frozenset[str] | None, _View] = {}
        self._opening = anyio.Lock()

    @asynccontextmanager
    async def run(self, catalog: Catalog) -> AsyncIterator[None]:
        """Answer from `catalog` meanwhile, each caller from what it may see of it."""
        async with anyio.create_task_group() as self._tasks:
            self._catalog = catalog
            yield
            self._tasks.cancel_scope.cancel()

    def seen_by(self, scope: Scope) -> Catalog:
        """The catalog as the caller who sent a request may see it."""
        return self._seen_with(caller_of(scope).sources)

    def _seen_with(self, sources: frozenset[str] | None) -> Catalog:
        return self._catalog if sources is None else self._catalog.view(sources)

    def forget_views(self) -> None:
        """Make new servers for requests to come, as who sees what has changed."""
        views, self._views = [*self._views.values()], {}
        for view in views:
            view.end_soon()

    async def _view_of(self, sources: frozenset[str] | None) -> _View:
        """The server for all callers who may see these sources; None: everything."""
        if sources not in self._views:
            async with self._opening:
                if sources not in self._views:  # another request may have opened it meanwhile
                    view = _View(self._seen_with(sources), self._calls)
                    await self._tasks.start(view.run)
                    self._views[sources] = view
        return self._views[sources]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request whose body arrives in one piece, as an ASGI app does."""
        if scope["method"] != "POST":
            # No GET: without sessions its stream would stay empty.
            text = "Method not allowed: send POST requests. There are no sessions and no stream to open.\n"
            await PlainTextResponse(text, 405, headers={"Allow": "POST"})(scope, receive, send)
            return
        request = Request(scope, receive)
        streams = _names_event_stream(request)
        if (unread := _find_unreadable(request)) is not None:
            await _refuse(_invalid(unread), streams=False, status=415)(scope, receive, send)
            return
        try:
            message = read_message(await request.body())
            version = _read_version(request, message)
        except BadMessage as e:
            await _refuse(e, streams=streams, status=_status(e, request))(scope, receive, send)
            return
        if is_response(message) and version in HANDSHAKE_PROTOCOL_VERSIONS:
            await Response(status_code=202)(scope, receive, send)
            return
        body = json.dumps(message).encode()
        replaced = {
            b"accept": b"application/json, text/event-stream" if streams else b"application/json",
            b"content-type": b"application/json",
            b"content-length": str(len(body)).encode(),
        }
        dropped = {*replaced, *([] if request.headers.get(VERSION) == version else [VERSION.encode()])}
        headers = [each for each in scope["headers"] if each[0] not in dropped] + [*replaced.items()]
        pieces: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pieces.pop() if pieces else await receive()

        view = await self._view_of(caller_of(scope).sources)
        await view.answer({**scope, "headers": headers}, replay, send, streams=streams)


class _View:
    """A server of its own for what some callers may see, since instructions and completions name sources."""

    def __init__(self, catalog: Catalog, calls: Calls) -> None:
        # Host and Origin are HostGuard's to check.
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._answering = 0
        self._ending = False
        self._over = anyio.Event()
        self._streaming, self._plain = (
            StreamableHTTPSessionManager(
                build_server(catalog.configuration, lambda: nullcontext(catalog), calls),
                stateless=True,
                json_response=json_response,
                security_settings=unchecked,
            )
            for json_response in (False, True)
        )

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, or until `end_soon` and the last answer."""
        async with self._streaming.run(), self._plain.run():
            task_status.started()
            await self._over.wait()

    def end_soon(self) -> None:
        """End when nothing is left to be answered."""
        self._ending = True
        self._end_if_idle()

    async def answer(self, scope: Scope, receive: Receive, send: Send, *, streams: bool) -> None:
        """Answer one request. streams: as an event stream, else as JSON."""
        self._answering += 1
        try:
            manager = self._streaming if streams else self._plain
            await manager.asgi_app(scope, receive, send)
        finally:
            self._answering -= 1
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._ending and not self._answering:
            self._over.set()


def _names_event_stream(request: Request) -> bool:
    """Whether a client accepts an event stream and says so by name, whatever else it accepts."""
    accepted = ",".join(request.headers.getlist("accept")).lower().split(",")
    named = [each.partition(";") for each in accepted if each.partition(";")[0].strip() == EVENT_STREAM]
    return any(
        not re.search(r"(?:^|;)\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)", parameters) for *_, parameters in named
    )


def _find_unreadable(request: Request) -> str | None:
    """What is said of a body that cannot be read, or None. One without a type is taken as JSON."""
    if re.split("[;,]", request.headers.get("content-type", ""))[0].strip().lower() not in ("", JSON):
        return f"Content-Type must be {JSON}"
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        return "the body must not be compressed (Content-Encoding)"
    return None


def _read_version(request: Request, message: Mapping[str, Any]) -> str:
    """The version of the protocol in which a message is answered. Raises BadMessage if it is an unknown one.

    A message of the modern era says it itself too, and the SDK compares. `initialize` negotiates it, so that
    an unknown one in the header means nothing.
    """
    version = request.headers.get(VERSION, "").strip()
    if version in KNOWN_PROTOCOL_VERSIONS or is_modern(message):
        return version
    if version and message.get("method") != "initialize":
        known = ", ".join(KNOWN_PROTOCOL_VERSIONS)
        id = None if is_response(message) else message.get("id")
        raise _invalid(f"the header MCP-Protocol-Version must be one of {known}", id)
    return DEFAULT_NEGOTIATED_VERSION


def _invalid(text: str, id: int | str | None = None) -> BadMessage:
    return BadMessage(f"Invalid request: {text}.", code=INVALID_REQUEST, id=id)


def _status(error: BadMessage, request: Request) -> int:
    """The status under which a message is refused.

    Clients of the handshake era take any status but 200 for a fault of the whole connection, so wrong params
    of one call get 200.
    """
    in_one_call = error.code == INVALID_PARAMS and error.is_request
    era = request.headers.get(VERSION, LATEST_HANDSHAKE_VERSION)
    return 200 if in_one_call and era in HANDSHAKE_PROTOCOL_VERSIONS else 400


def _refuse(error: BadMessage, *, streams: bool, status: int) -> Response:
    """The answer to a message that cannot be read."""
    content = error.answer.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if streams and status == 200:
        event = f"event: message\r\ndata: {json.dumps(content)}\r\n\r\n"
        return Response(event, headers={"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache"})
    return JSONResponse(content, status)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


class _Server(uvicorn.Server):
    """Stops quietly and within a time limit."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            # uvicorn logs calls that are cut off at shutdown as errors of the app.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
            exit_within(EXIT_WITHIN_S, lambda: 0)
        super().handle_exit(sig, frame)


class _CannotListen(Exception):
    """The server cannot listen on the address. The text says why."""


def _address(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise _CannotListen(f"cannot listen on {host}: that is not an address of this computer.") from e
    family, *_, address = min(addresses, key=lambda each: each[0] != socket.AF_INET)
    return family, str(address[0])


def _open_socket(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    try:
        return socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            raise _CannotListen(
                f"port {port} on {address} is in use by another program: stop that program, or choose "
                "another --port."
            ) from e
        why = os.strerror(e.errno).lower() if e.errno else "it cannot be used"
        raise _CannotListen(f"cannot listen on port {port} of {address}: {why}.") from e


def _start_log(startup: Startup, policy: AccessPolicy, environment: Environment) -> None:
    startup.start_log()
    if not is_set(environment.get("AUDIENCE_MCP_LOG_LEVEL")):
        for name in REPORTS:
            logging.getLogger(name).setLevel(logging.INFO)
    if startup.configuration.settings.log_format == "json":
        # Under its own command, uvicorn writes its lines itself, as text.
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
    quiet_logs()
    for warning in policy.warnings:
        log.warning("%s", warning)


def _say(sentence: str, form: Format = "text") -> None:
    """Say something on stderr whatever the level of the log is."""
    if form == "json":
        log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, sentence, (), None))
        return
    sys.stderr.write(f"audience-mcp: {sentence}\n")
    sys.stderr.flush()

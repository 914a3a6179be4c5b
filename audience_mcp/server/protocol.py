"""HTTP connections that cannot be held open for nothing, and a log that nobody can flood through them.

uvicorn bounds how long an idle connection stays open after an answer, and nothing else: it would wait for the
rest of a half-sent request as long as the process lives, before anybody is asked for a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

REQUEST_WITHIN_S = 20.0
"""Seconds from the first byte (of a connection, from its begin) until a request must have arrived in full."""
READ_WITHIN_S = 60.0
"""Seconds for which a client may leave an answer unread before it is cut off."""
MAX_CONNECTIONS = 4096
RESERVED_DESCRIPTORS = 256
"""File descriptors that are kept free of callers: for vendors, the store and the log."""
BACKLOG = 128
"""Connections that the system keeps waiting. asyncio takes so many in one go, and reports each that fails."""
LARGEST_BODY = 4 * 1024 * 1024
LARGEST_READ = 4 * LARGEST_BODY
"""A body that is announced as too long, but no longer than this, is read and dropped before it is refused: a
proxy that is still sending would not see why."""
OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of `accept` that a moment's patience may mend."""
REPEAT_AFTER_S = 60.0
"""A message that callers can provoke is logged no more often than this."""

MESSAGES = {
    "too_slow": "The request did not arrive in full in time.",
    "too_many": "Too many connections. Try again shortly.",
    "too_long": f"The request body is longer than {LARGEST_BODY} bytes.",
    "log_too_many": "refused a connection: %d are open, which is the limit",
    "log_no_descriptors": "cannot accept connections: the process has no file descriptors left (ulimit -n)",
}


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with bounds on time and number; `uvicorn --http` takes it by its address."""

    _overdue: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        if (connection := transport.get_extra_info("socket")) is not None:
            # asyncio does so only where the listening socket names its protocol. Otherwise the end of an
            # answer waits for the 40 ms in which the other side may hold back its acknowledgement.
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > max_connections():
            log.warning(MESSAGES["log_too_many"], max_connections())
            self._refuse(503, MESSAGES["too_many"])
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Go on with the request, for which the time runs from its first byte."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on with the next request, of which half may have come along with the one that was answered."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # uvicorn itself bounds the wait for headers here
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for a client that does not read, but not for ever."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _watch(self) -> None:
        """Let the time run while a request is still to come in full, and stop it when it has."""
        if self.transport.is_closing() or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_watching()
        elif self._overdue is None:
            self._overdue = self.loop.call_later(REQUEST_WITHIN_S, self._give_up)

    def _stop_watching(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _give_up(self) -> None:
        self._overdue = None
        if not self.transport.is_closing():
            self._refuse(408, MESSAGES["too_slow"])

    def _refuse(self, status: int, text: str) -> None:
        """Answer if no answer has begun, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [
                ("content-type", "text/plain; charset=utf-8"),
                ("content-length", str(len(text))),
                ("connection", "close"),
            ]
            phrase = HTTPStatus(status).phrase.encode()
            begin = h11.Response(status_code=status, headers=headers, reason=phrase)
            for event in (begin, h11.Data(data=text.encode()), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class WholeBody:
    """Passes a request on once its body is there in full: who hangs up before has asked for nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        length, body = int(announced), bytearray()
        dropped = length > LARGEST_BODY
        more, too_long = length <= LARGEST_READ, dropped
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if not dropped:
                body += message.get("body", b"")
                too_long = len(body) > LARGEST_BODY
            more = message.get("more_body", False) and (dropped or not too_long)
        if too_long:
            await PlainTextResponse(MESSAGES["too_long"], 413)(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)


class OncePerMinute(logging.Filter):
    """Lets the same message through once in `REPEAT_AFTER_S`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged: always with a traceback, which no caller should be able to provoke."""
        if record.exc_info:
            return True
        key, now = f"{record.name} {record.msg}", self._now()
        if now - self._logged.get(key, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            return False
        self._logged[key] = now
        return True


def max_connections() -> int:
    """How many connections may be open at once: what the file descriptors allow, and no more than enough."""
    soft = _descriptors()
    return min(MAX_CONNECTIONS, max(soft - RESERVED_DESCRIPTORS, soft // 2))


def raise_descriptor_limit() -> None:
    """Let the process open as many files as `MAX_CONNECTIONS` takes, if the system permits."""
    if sys.platform == "win32":
        return
    import resource

    wanted = MAX_CONNECTIONS + RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        permitted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (permitted, hard))


def quiet_accept(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle what the loop reports: a lack of descriptors is one line, everything else is as ever."""
    fault = context.get("exception")
    if isinstance(fault, OSError) and fault.errno in OUT_OF_RESOURCES:
        log.error(MESSAGES["log_no_descriptors"])
    else:
        loop.default_exception_handler(context)


def _descriptors() -> int:
    if sys.platform == "win32":
        return 2 * MAX_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft


def quiet_logs() -> None:
    """Keep callers from filling the log with what is wrong with their requests."""
    for name in (__name__, "uvicorn.error", "mcp.server.transport_security"):
        logging.getLogger(name).addFilter(OncePerMinute())

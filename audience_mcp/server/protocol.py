"""Limits on HTTP connections, and a log that callers cannot flood.

uvicorn limits only how long a connection stays idle after an answer. It would wait forever for the rest of a
half-sent request, and does so before any token is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import sys
import time
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

REQUEST_WITHIN_S = 20.0
"""Seconds until a request must have arrived in full, from its first byte or from the connection's start."""
READ_WITHIN_S = 60.0
"""Seconds for which a client may leave an answer unread before it is disconnected."""
MAX_CONNECTIONS = 4096
RESERVED_DESCRIPTORS = 256
"""File descriptors that callers cannot use up, for vendors, the store and the log."""
BACKLOG = 128
"""Connections that the system keeps waiting; asyncio accepts as many at a time and reports each failure."""
LARGEST_BODY = 4 * 1024 * 1024
LARGEST_READ = 4 * LARGEST_BODY
"""A body announced as too long, up to this length, is read and dropped before it is refused: a proxy that is
still sending would not see the refusal."""
OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of `accept` that may pass by themselves."""
KINDS_REMEMBERED = 1_000
"""Kinds of messages that are told apart; with more of them all are logged again."""
REPEAT_AFTER_S = 60.0
"""Seconds before a message that callers can provoke is logged again."""


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with limits on time and number; `uvicorn --http` takes it by its import path."""

    _overdue: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, unless there are too many."""
        super().connection_made(transport)
        if (connection := transport.get_extra_info("socket")) is not None:
            # asyncio does this only if the listening socket names its protocol. Without it the end of an
            # answer waits up to 40 ms for a delayed acknowledgement.
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > max_connections():
            log.warning("refused a connection: %d are open, which is the limit", max_connections())
            self._refuse(503, "Too many connections. Try again shortly.")
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Continue with the request, which is timed from its first byte."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Continue with the next request, part of which may have arrived with the one just answered."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # uvicorn itself bounds the wait for headers here
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for a client that does not read, up to a limit."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue writing."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _watch(self) -> None:
        """Time a request until it has arrived in full."""
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
            self._refuse(408, "The request did not arrive in full in time.")

    def _refuse(self, status: int, text: str) -> None:
        """Answer, unless an answer has begun, and close the connection."""
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
    """Passes a request on once its body has arrived in full; a client that disconnects earlier is ignored."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
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
            too_long_text = f"The request body is longer than {LARGEST_BODY} bytes."
            await PlainTextResponse(too_long_text, 413)(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)


class OncePerMinute(logging.Filter):
    """Lets each kind of message through once in `REPEAT_AFTER_S`, whatever callers make it say.

    A kind is a logger, a level and how the message begins: up to what is put into it, or to its first colon.
    Of a traceback it is the place where the error arose instead, whatever the error says.

    tracebacks: only those; any other message is let through.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, *, tracebacks: bool = False) -> None:
        super().__init__()
        self._now = now
        self._tracebacks = tracebacks
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log a record."""
        if record.exc_info and record.exc_info[1] is not None:
            begin = _origin(record.exc_info[1])
        elif self._tracebacks:
            return True
        else:
            begin = str(record.msg).partition("%" if record.args else ":")[0]
        key, now = f"{record.name} {record.levelno} {begin}", self._now()
        if now - self._logged.get(key, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            return False
        if len(self._logged) >= KINDS_REMEMBERED:
            self._logged.clear()
        self._logged[key] = now
        return True


def _origin(error: BaseException) -> str:
    """An error's kind, and the file and line where it arose."""
    *_, (frame, line) = [(None, 0), *traceback.walk_tb(error.__traceback__)]
    file = frame.f_code.co_filename if frame is not None else ""
    return f"{type(error).__name__} {file}:{line}"


def max_connections() -> int:
    """`MAX_CONNECTIONS`, or fewer if file descriptors are scarce."""
    soft = _descriptors()
    return min(MAX_CONNECTIONS, max(soft - RESERVED_DESCRIPTORS, soft // 2))


def raise_descriptor_limit() -> None:
    """Raise the limit of open files to what `MAX_CONNECTIONS` takes, if the system permits."""
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
    """Log a lack of descriptors as one line; pass other errors to the default handler."""
    fault = context.get("exception")
    if isinstance(fault, OSError) and fault.errno in OUT_OF_RESOURCES:
        log.error("cannot accept connections: the process has no file descriptors left (ulimit -n)")
    elif isinstance(fault, ValueError) and "_start_serving" in str(context.get("message")):
        pass  # asyncio accepts again a second after a lack, and the server has closed its socket meanwhile
    else:
        loop.default_exception_handler(context)


def _descriptors() -> int:
    if sys.platform == "win32":
        return 2 * MAX_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft


def quiet_logs() -> None:
    """Keep callers from filling the log with complaints about their requests."""
    for name in (__name__, "uvicorn.error", "mcp.server.runner"):
        logging.getLogger(name).addFilter(OncePerMinute())
    for handler in logging.getLogger().handlers:
        handler.addFilter(OncePerMinute(tracebacks=True))

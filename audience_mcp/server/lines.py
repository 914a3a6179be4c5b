"""The messages on stdin as a stream for the SDK, and what becomes of running calls when stdin ends."""

from __future__ import annotations

import codecs
import io
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from audience_mcp.server.messages import AROUND, BadMessage, is_modern, needs_handshake, read_message

ANSWERED_WITHIN_S = 1.5
"""Seconds after stdin ends in which running calls are still answered, as one-shot use needs."""

_BLANK = AROUND.encode()
ReadLine = Callable[[], bytes]


def open_stdin() -> ReadLine:
    """What reads a line of stdin. From then on stdin is empty for whatever else reads it in this process."""
    try:
        descriptor = sys.stdin.fileno()
        private = os.dup(descriptor)
    except (OSError, ValueError):  # stdin is not a file of the system
        return sys.stdin.buffer.readline
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    # Not closed at the end: a thread may still be waiting in a read of it.
    return _Lines(os.fdopen(private, "rb", closefd=False)).read


class _Lines:
    """The lines of a stream in UTF-8; of one that starts with the mark of UTF-16, in that."""

    def __init__(self, raw: io.BufferedReader[Any]) -> None:
        self._raw = raw
        self._text: io.TextIOWrapper | None = None
        self._began = False

    def read(self) -> bytes:
        """The next line in UTF-8, or nothing at the end."""
        if not self._began:
            self._began = True
            first = self._raw.peek(1)[:1]
            if not first:
                return b""  # a terminal would wait for the end once more
            # The first byte says it: none of the two occurs in UTF-8.
            if first in (codecs.BOM_UTF16_LE[:1], codecs.BOM_UTF16_BE[:1]):
                self._text = io.TextIOWrapper(self._raw, "utf-16", errors="replace", newline="\n")
        return self._raw.readline() if self._text is None else self._text.readline().encode()


class LineMessages:
    """The SDK's streams of incoming messages, one a line; what cannot be read is answered here.

    The SDK serves one era of the protocol in a stream: that of its first request. A client may probe with
    `server/discover`, give up waiting and fall back to `initialize`, which then comes in a second stream.

    ended_at: the monotonic time at which stdin ended. While it is None there is a further stream. `watch`
    comes before the first `receive`. The SDK's protocols for streams are private, hence Any.
    """

    def __init__(self, read_line: ReadLine) -> None:
        self._read_line = read_line
        self._outgoing: Any = None
        self._running: Counter[str] = Counter()
        self._idle = anyio.Event()
        self._greeted = False
        self._asked = False
        self._only_probed = False
        self._held: types.JSONRPCMessage | None = None
        self.ended_at: float | None = None

    def watch(self, outgoing: Any) -> _Answers:
        """The stream of outgoing messages, in which answers end the calls that they answer."""
        self._outgoing = outgoing
        return _Answers(outgoing, self._end)

    async def receive(self) -> SessionMessage:
        """The next message. Raises anyio.EndOfStream at the end of this stream, once nothing runs."""
        if (held := self._held) is not None:
            self._held = None
            return SessionMessage(held)
        if self.ended_at is not None:  # a terminal would be read again after its end
            raise anyio.EndOfStream
        while (found := await anyio.to_thread.run_sync(self._next, abandon_on_cancel=True)) is not None:
            if (message := await self._take(found)) is not None:
                if self._falls_back(message):
                    self._held = message
                    break
                return SessionMessage(message)
        else:
            self.ended_at = time.monotonic()
        await self._wait_for_answers()
        if self._held is not None:
            self._note(self._held)
        raise anyio.EndOfStream

    def _next(self) -> dict[str, Any] | BadMessage | None:
        """The next message, or what is wrong with the next one that wants an answer; None at the end.

        This is done in the thread that waits for lines, so that those without a message cost no switch of
        threads.
        """
        while line := self._read_line():
            if line.strip(_BLANK):
                try:
                    return read_message(line)
                except BadMessage as e:
                    if e.is_request:
                        return e
        return None

    async def _take(self, found: dict[str, Any] | BadMessage) -> types.JSONRPCMessage | None:
        """A message for the SDK; None where it was answered here, or needs no answer."""
        try:
            if isinstance(found, BadMessage):
                raise found
            if not self._greeted and needs_handshake(found):
                text = "Invalid request: send initialize first."
                raise BadMessage(text, code=types.INVALID_REQUEST, id=found["id"])
            return types.jsonrpc_message_adapter.validate_python(found, by_name=False)
        except BadMessage as e:
            await self._outgoing.send(SessionMessage(e.answer))
        except ValidationError:
            pass  # an answer to us, which needs none
        return None

    def _falls_back(self, message: types.JSONRPCMessage) -> bool:
        """Whether a message opens the handshake after nothing but probes; notes any other message."""
        method = message.method if isinstance(message, types.JSONRPCRequest) else None
        falls_back = self._only_probed and method == "initialize"
        if method is not None:
            self._only_probed = method == "server/discover" and (self._only_probed or not self._asked)
            self._asked = True
        if not falls_back:
            self._note(message)
        return falls_back

    def _note(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCRequest):
            self._running[str(message.id)] += 1  # the SDK lets "1" cancel 1
            is_handshake = message.method == "initialize"
            # A client that asks without one has no use for it; what it then leaves out the SDK names.
            needs_none = is_modern({"params": message.params}) and message.method != "server/discover"
            self._greeted = self._greeted or is_handshake or needs_none
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._end((message.params or {}).get("requestId"))  # it is never answered

    def _end(self, id: Any) -> None:
        key = str(id)
        if self._running[key] > 1:
            self._running[key] -= 1
        else:
            self._running.pop(key, None)
        if not self._running.total():
            self._idle.set()
            self._idle = anyio.Event()

    async def _wait_for_answers(self) -> None:
        with anyio.move_on_after(ANSWERED_WITHIN_S):
            while self._running.total():
                await self._idle.wait()

    def __aiter__(self) -> LineMessages:
        """Iterate to the end of stdin."""
        return self

    async def __anext__(self) -> SessionMessage:
        """The next message, or the end."""
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Do nothing: stdin stays open, as a thread may be reading it."""

    async def __aenter__(self) -> LineMessages:
        """Nothing is to be closed."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Nothing is to be closed."""


class _Answers:
    """The SDK's stream of outgoing messages, which reports the ids that are answered.

    It stays open when a stream of incoming messages ends, for a second one.
    """

    def __init__(self, outgoing: Any, end: Callable[[Any], None]) -> None:
        self._outgoing = outgoing
        self._end = end

    async def send(self, item: SessionMessage) -> None:
        await self._outgoing.send(item)
        if isinstance(item.message, (types.JSONRPCResponse, types.JSONRPCError)):
            self._end(item.message.id)

    async def aclose(self) -> None:
        pass

    async def __aenter__(self) -> _Answers:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass

"""Between stdin and the SDK: lines without a message are skipped, and no request is left unanswered.

The SDK parses each line strictly and drops, without a word, what it cannot parse. A client that sent half a
surrogate pair or a number of 5,000 digits would wait for its own timeout.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from types import TracebackType
from typing import Any, TextIO, cast

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

MESSAGES = {
    "arguments": "Invalid params: the request holds text that is not valid Unicode (half of a surrogate "
    "pair), a number that is too long, or values nested too deeply. Send it without that.",
    "request": "Invalid request: not a JSON-RPC 2.0 request as MCP defines it.",
    "json": "Parse error: the line is not valid JSON.",
}


def open_stdin() -> anyio.AsyncFile[str]:
    """Stdin's messages. From then on stdin itself is empty, for whatever else may read it in this process."""
    try:
        descriptor = sys.stdin.fileno()
        private = os.dup(descriptor)
    except (OSError, ValueError):  # stdin is no file of the system
        return anyio.wrap_file(_Lines(sys.stdin.buffer.readline).as_file())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    # Not closed at the end: a thread may still be waiting in a read of it.
    file = os.fdopen(private, "rb", closefd=False)
    return anyio.wrap_file(_Lines(file.readline).as_file())


class _Lines:
    """A file of which only the lines that may hold a message are seen."""

    def __init__(self, read_line: Callable[[], bytes]) -> None:
        self._read_line = read_line

    def readline(self) -> str:
        """The next line, in the thread that waits for it: skipping one costs no switch of threads."""
        while line := self._read_line():
            if b'"jsonrpc"' in line:
                return line.decode("utf-8", "replace")
        return ""

    def as_file(self) -> TextIO:
        """This, as what `anyio.wrap_file` takes; it calls nothing but `readline`."""
        return cast(TextIOWrapper, self)


class AnsweringStream:
    """The SDK's stream of incoming messages, without what it could not parse: that is answered here.

    The streams are typed as Any, since the SDK's protocols for them are private.
    """

    def __init__(self, incoming: Any, outgoing: Any) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    @property
    def last_context(self) -> Any:
        """The context in which the last message was sent, as the SDK's own streams tell it."""
        return getattr(self._incoming, "last_context", None)

    async def receive(self) -> SessionMessage:
        """The next message that is one."""
        while True:
            item = await self._incoming.receive()
            if isinstance(item, SessionMessage):
                return item
            if isinstance(item, ValidationError) and (answer := write_refusal(item)) is not None:
                await self._outgoing.send(SessionMessage(answer))

    def __aiter__(self) -> AnsweringStream:
        """Iterate to the end of stdin."""
        return self

    async def __anext__(self) -> SessionMessage:
        """The next message, or the end."""
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Close the stream."""
        await self._incoming.aclose()

    async def __aenter__(self) -> AnsweringStream:
        """Close the stream at the end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream."""
        await self.aclose()


def write_refusal(fault: ValidationError) -> types.JSONRPCError | None:
    """The answer to a line that the SDK could not parse; None where none is due, as to a notification."""
    first = fault.errors(include_url=False, include_context=False)[0]
    code, text = types.INVALID_REQUEST, MESSAGES["request"]
    if first["type"] == "json_invalid":
        try:
            # Python's own parser takes half a surrogate pair, and here a number of any length.
            message = json.loads(first["input"], parse_int=_parse_number)
        except (ValueError, RecursionError):
            return _refusal(None, types.PARSE_ERROR, MESSAGES["json"])
        code, text = types.INVALID_PARAMS, MESSAGES["arguments"]
    else:
        message = _whole(fault)
    if not isinstance(message, dict) or "method" not in message or "id" not in message:
        return None
    return _refusal(message["id"], code, text)


def _refusal(id: object, code: int, text: str) -> types.JSONRPCError:
    known = id if isinstance(id, (int, str)) and _can_be_sent(id) else None
    return types.JSONRPCError(jsonrpc="2.0", id=known, error=types.ErrorData(code=code, message=text))


def _can_be_sent(id: int | str) -> bool:
    if isinstance(id, str):
        return not any("\ud800" <= character <= "\udfff" for character in id)
    return not isinstance(id, bool)


def _parse_number(digits: str) -> int | None:
    return int(digits) if len(digits) <= 20 else None


def _whole(fault: ValidationError) -> object:
    """The message as it was parsed: it is the input of whichever fault concerns all of it."""
    faults = fault.errors(include_url=False, include_context=False)
    return next((one["input"] for one in faults if len(one["loc"]) == 1 or one["type"] == "missing"), None)

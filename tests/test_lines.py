"""The lines of stdin as messages, and which calls run when they end."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterable
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.shared.message import SessionMessage

from audience_mcp.server import lines
from audience_mcp.server.lines import LineMessages

pytestmark = pytest.mark.anyio

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    },
}


class Sent:
    """A stream of outgoing messages that keeps them."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def send(self, item: SessionMessage) -> None:
        self.messages.append(item.message)


def reading(messages: Iterable[Any]) -> LineMessages:
    raw = io.BytesIO(b"".join(json.dumps(each).encode() + b"\n" for each in messages))
    read = LineMessages(raw.readline)
    read.watch(Sent())
    return read


@pytest.mark.parametrize(("id", "named"), [(1, "1"), ("1", 1), (1, 1.0), (1.0, 1)])
async def test_a_cancelled_call_holds_up_no_end_however_its_id_is_written(
    id: Any, named: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "ANSWERED_WITHIN_S", 3600)
    call = {"jsonrpc": "2.0", "id": id, "method": "tools/list"}
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": named}}
    messages = reading([INITIALIZE, call, cancelled])
    messages_of_sdk = [await messages.receive() for _ in range(3)]
    assert [type(each.message) for each in messages_of_sdk[1:]] == [
        types.JSONRPCRequest,
        types.JSONRPCNotification,
    ]
    outgoing = messages.watch(Sent())
    greeted = types.JSONRPCResponse(jsonrpc="2.0", id=0, result={})
    await outgoing.send(SessionMessage(greeted))
    with anyio.fail_after(20), pytest.raises(anyio.EndOfStream):
        await messages.receive()


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_lines_behind_a_mark_of_utf_16_end_where_its_characters_end(mark: bytes) -> None:
    encoding = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    raw = io.BufferedReader(io.BytesIO(mark + "\u0a0a \u010a\r\nzwei\n".encode(encoding)))
    read = lines._Lines(raw)
    assert [read.read(), read.read(), read.read()] == ["\u0a0a \u010a\r\n".encode(), b"zwei\n", b""]


def test_other_lines_are_read_byte_by_byte() -> None:
    read = lines._Lines(io.BufferedReader(io.BytesIO(b"\xef\xbb\xbf{}\n\xe9\xff\n")))
    assert [read.read(), read.read(), read.read()] == [b"\xef\xbb\xbf{}\n", b"\xe9\xff\n", b""]

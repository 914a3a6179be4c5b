"""Vendors that misbehave, over real HTTP on loopback.

`FaultServer` answers as the sandbox does until it is told to `play` a fault: for a vendor, a page of its
list or a single audience, so many times or for ever. It keeps every request it saw. A fault is a coroutine
that is given an `Exchange`; the functions at the end make the usual ones.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import re
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from audience_mcp.sandbox import Answer, Asked, Sandbox

MARKER = "VENDORWORDS"
"""Stands in every text that a vendor writes into a fault, and must never be shown."""

MEBIBYTE = 1024 * 1024
CURSORS = {"batch": "from", "whop": "after"}
LISTS = {"commbox": "data", "batch": "audiences", "smallest": "data", "whop": "data"}
IDS = {"commbox": "id", "batch": "name", "smallest": "_id", "whop": "id"}
SIZES = {"commbox": "user_count", "batch": "nb_ids", "smallest": "memberCount", "whop": "total_rows"}
_RESPONSE_TIME = "2026-11-20T07:51:52.2581942Z"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: of which vendor, for `list`, `segments` (Batch's) or `one`, which page (from 1), over
    which connection."""

    vendor: str
    kind: str
    page: int
    asked: Asked
    target: str
    connection: int


@dataclass(frozen=True, slots=True)
class Raw:
    """JSON that Python would not write: `1e400`, a number of 5,000 digits."""

    text: str


def encoded(value: object) -> bytes:
    """`value` as JSON, all ASCII, with what is `Raw` as it is."""
    text = json.dumps(value, default=lambda raw: f"@@raw {raw.text}@@")
    return re.sub(r'"@@raw (.*?)@@"', r"\1", text).encode()


class Exchange:
    """One request and the connection to answer it on. `honest` is what the sandbox would say."""

    def __init__(
        self,
        server: FaultServer,
        seen: Seen,
        honest: Answer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.server = server
        self.seen = seen
        self.vendor = seen.vendor
        self.honest = honest
        self.ended = False
        self._reader = reader
        self._writer = writer

    @property
    def body(self) -> Any:
        """A copy of the honest body, to be changed."""
        return copy.deepcopy(self.honest.body)

    async def reply(
        self, status: int, body: object, headers: Mapping[str, str] | None = None, *, reason: str = MARKER
    ) -> None:
        """A whole answer: bytes as they are, text as HTML, anything else as JSON."""
        data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else encoded(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        await self.head(status, {"Content-Type": kind, **(headers or {})}, len(data), reason=reason)
        await self.write(data)
        if status == 200 and not isinstance(body, (bytes, str)):
            self.server.delivered.append((self.seen, body))

    async def head(
        self, status: int, headers: Mapping[str, str], length: int | None, *, reason: str = MARKER
    ) -> None:
        """The start of an answer; without a length it ends where the connection does."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        lines.append("Connection: close" if length is None else f"Content-Length: {length}")
        self.ended = length is None
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def write(self, data: bytes) -> None:
        """Bytes, once the client has room for them. Raises ConnectionError where it has gone."""
        self._writer.write(data)
        self.server.bytes_sent += len(data)
        await self._writer.drain()
        if self._writer.is_closing():
            raise ConnectionResetError

    async def hang(self) -> None:
        """Say nothing more until the client hangs up."""
        await self._reader.read(1)
        self.ended = True

    def reset(self) -> None:
        """Break the connection so that the client sees a reset, not an end."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        self.ended = True


Fault = Callable[[Exchange], Awaitable[None]]


@dataclass
class _Rule:
    fault: Fault
    vendor: str | None
    kind: str | None
    page: int | None
    times: int | None
    after: int
    played: int = 0

    def takes(self, seen: Seen) -> bool:
        """Whether this request is one to play the fault to."""
        meant = (
            self.vendor in (None, seen.vendor)
            and self.kind in (None, seen.kind)
            and self.page in (None, seen.page)
            and (self.times is None or self.played < self.times)
        )
        if meant and self.after:
            self.after -= 1
            return False
        self.played += meant
        return meant


@dataclass
class FaultServer:
    """The four vendors of a sandbox, and `others` by the first segment of their path, on a free port.

    per_page: rows of a page, fewer than are asked for, as a vendor may send them. seen: every request.
    connections: how many were opened. delivered: every JSON answer that was sent whole, by request.
    bytes_sent: in all.
    """

    sandbox: Sandbox = field(default_factory=Sandbox)
    others: dict[str, Callable[[Asked], Answer]] = field(default_factory=dict)
    per_page: int | None = None
    seen: list[Seen] = field(default_factory=list)
    delivered: list[tuple[Seen, Any]] = field(default_factory=list)
    connections: int = 0
    bytes_sent: int = 0
    port: int = 0
    _rules: list[_Rule] = field(default_factory=list)
    _pages: dict[tuple[str, str], int] = field(default_factory=dict)
    _stand_for: dict[tuple[str, str], str | None] = field(default_factory=dict)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def play(
        self,
        fault: Fault,
        vendor: str | None = None,
        *,
        kind: str | None = None,
        page: int | None = None,
        times: int | None = None,
        after: int = 0,
    ) -> None:
        """Play a fault to the requests described: `times` of them or for ever, after so many good ones."""
        self._rules.append(_Rule(fault, vendor, kind, page, times, after))

    @property
    def played(self) -> int:
        """How many requests were answered with a fault."""
        return sum(rule.played for rule in self._rules)

    def heal(self) -> None:
        """Play no faults any more."""
        self._rules.clear()

    def behave(self) -> None:
        """Play no faults any more, and forget what was seen."""
        self.heal()
        for kept in (self.seen, self.delivered, self._pages, self._stand_for):
            kept.clear()
        self.connections = self.bytes_sent = 0

    def cursor_for(self, vendor: str, page: int) -> str:
        """The cursor that was given out for a page."""
        return next(c for (v, c), p in self._pages.items() if v == vendor and p == page)

    def stand_for(self, seen: Seen, cursor: str) -> None:
        """Let `cursor` mean the page that this request asked for."""
        given = seen.asked.query.get(CURSORS[seen.vendor])
        self._stand_for[seen.vendor, cursor] = given[0] if given else None

    def asked_of(self, vendor: str) -> list[Seen]:
        """The requests that a vendor saw."""
        return [seen for seen in self.seen if seen.vendor == vendor]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        self.connections += 1
        number = self.connections
        try:
            while True:
                asked, target = await _read(reader)
                seen, honest = await self._honest(asked, target, number)
                self.seen.append(seen)
                exchange = Exchange(self, seen, honest, reader, writer)
                rule = next((r for r in self._rules if r.takes(seen)), None)
                await (rule.fault if rule else honestly)(exchange)
                if exchange.ended:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone, as it may
        finally:
            writer.close()
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _honest(self, asked: Asked, target: str, connection: int) -> tuple[Seen, Answer]:
        """What the sandbox would say, and which page of which vendor it is."""
        vendor = asked.path.split("/")[1] if asked.path.startswith("/") else ""
        if vendor in self.others:
            page = int(asked.query.get("page", ["1"])[0])
            return Seen(vendor, "list", page, asked, target, connection), self.others[vendor](asked)
        cursor_is = CURSORS.get(vendor, "")
        given, meant = asked.query.get(cursor_is), asked
        cursor = given[0] if given else None
        if cursor is not None and (vendor, cursor) in self._stand_for:
            cursor = self._stand_for[vendor, cursor]
            rest = {name: values for name, values in asked.query.items() if name != cursor_is}
            meant = replace(asked, query=rest if cursor is None else {**rest, cursor_is: [cursor]})
        page = 1 if cursor is None else self._pages.get((vendor, cursor), 0)
        one = (
            asked.path.endswith("/audiences/view")
            or "/audience/" in asked.path
            or "audience_id" in asked.query
        )
        size_is = {"batch": "limit", "whop": "first"}.get(vendor)
        if self.per_page and size_is and size_is in meant.query:
            meant = replace(meant, query={**meant.query, size_is: [str(self.per_page)]})
        answer = self.sandbox.answer(meant)
        kind = "one" if one else "segments" if asked.path.endswith("/segments/list") else "list"
        if kind == "list" and (following := cursor_of(vendor, answer.body)):
            self._pages.setdefault((vendor, following), page + 1)
        return Seen(vendor, kind, 0 if one else page, asked, target, connection), answer

    async def close(self) -> None:
        """Hang up on everyone."""
        for writer in self._open:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=5)


@asynccontextmanager
async def serving(
    server: FaultServer | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[FaultServer]:
    """Serve on a free port of 127.0.0.1."""
    server = server or FaultServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=MEBIBYTE, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await server.close()
        await listening.wait_closed()


async def _read(reader: asyncio.StreamReader) -> tuple[Asked, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines if x)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    return Asked(
        method, unquote(url.path), parse_qs(url.query, keep_blank_values=True), headers, body
    ), target


async def honestly(exchange: Exchange) -> None:
    """No fault."""
    honest = exchange.honest
    await exchange.reply(honest.status, honest.body, honest.headers, reason="OK")


# --- what a page says ---------------------------------------------------------------------------------


def cursor_of(vendor: str, body: object) -> str | None:
    """The cursor for the next page, if more follow."""
    if not isinstance(body, dict):
        return None
    if vendor == "batch":
        return body.get("next_from") if body.get("has_more") else None
    info = body.get("page_info") or {}
    return info.get("end_cursor") if info.get("has_next_page") else None


def with_cursor(vendor: str, body: Any, cursor: object, *, more: object = True) -> Any:
    """The same page, with this cursor for the next."""
    if vendor == "batch":
        body["has_more"], body["next_from"] = more, cursor
    else:
        body["page_info"] |= {"has_next_page": more, "end_cursor": cursor}
    return body


def rows_of(vendor: str, body: Any) -> Any:
    """The rows of a page."""
    return body[LISTS[vendor]]


def error_body(vendor: str, status: int) -> object:
    """An error in the vendor's own shape, full of its own words."""
    if vendor == "commbox":
        inner = [{"code": MARKER, "message": {"text": MARKER}}]
        described = {"description": f"{MARKER} object not found", "response_time": _RESPONSE_TIME}
        return {"status": status, **described, "data": {"errors": inner}}
    if vendor == "batch":
        return {"error_code": MARKER, "error_message": f"{MARKER} is not valid"}
    if vendor == "smallest":
        return {"status": False, "errors": [f"{MARKER} server error"], "error": MARKER, "message": MARKER}
    return {"error": {"type": MARKER, "message": f"{MARKER} happened", "code": MARKER, "param": None}}


# --- faults of an answer ------------------------------------------------------------------------------


def refused(status: int, **headers: str) -> Fault:
    """A status with the vendor's own error; underscores in header names become hyphens."""

    async def play(exchange: Exchange) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await exchange.reply(status, error_body(exchange.vendor, status), {"X-Words": MARKER, **named})

    return play


def replied(status: int, body: object, headers: Mapping[str, str] | None = None) -> Fault:
    """A status with any body: bytes as they are, text as HTML, anything else as JSON."""

    async def play(exchange: Exchange) -> None:
        await exchange.reply(status, body, headers)

    return play


def html(status: int) -> Fault:
    """A web page."""
    return replied(status, f"<!DOCTYPE html><html><title>{MARKER}</title><body>{MARKER}</body></html>")


def redirect(status: int, to: str) -> Fault:
    """A redirect to another host."""
    return replied(status, f"<a>{MARKER}</a>", {"Location": f"{to}/{MARKER}"})


def inner_error(status: int = 500) -> Fault:
    """A failure under HTTP 200, where the vendor has a way to say so."""

    async def play(exchange: Exchange) -> None:
        body: Any = error_body(exchange.vendor, status)
        await exchange.reply(200, body)

    return play


def rewritten(change: Callable[[Exchange, Any], object]) -> Fault:
    """The honest answer, changed: `change` gets a copy of its body and returns what to send."""

    async def play(exchange: Exchange) -> None:
        await exchange.reply(200, change(exchange, exchange.body))

    return play


# --- faults of a connection ---------------------------------------------------------------------------


async def reset_before_headers(exchange: Exchange) -> None:
    """The connection is reset instead of an answer."""
    exchange.reset()


async def close_before_headers(exchange: Exchange) -> None:
    """The connection is closed instead of an answer."""
    exchange.ended = True


async def reset_in_body(exchange: Exchange) -> None:
    """The connection is reset in the middle of the body."""
    await _half(exchange)
    exchange.reset()


async def cut_off(exchange: Exchange) -> None:
    """The body is shorter than it says it is."""
    await _half(exchange)
    exchange.ended = True


async def cut_off_without_length(exchange: Exchange) -> None:
    """The body ends in the middle, and nothing but its sense tells that it is not all."""
    data = encoded(exchange.honest.body)
    await exchange.head(200, {"Content-Type": "application/json"}, None)
    await exchange.write(data[: len(data) // 2])


async def hang_before_headers(exchange: Exchange) -> None:
    """Nothing comes."""
    await exchange.hang()


async def hang_in_body(exchange: Exchange) -> None:
    """Half of the body comes, and then nothing."""
    await _half(exchange)
    await exchange.hang()


async def _half(exchange: Exchange) -> None:
    data = encoded(exchange.honest.body)
    await exchange.head(200, {"Content-Type": "application/json"}, len(data))
    await exchange.write(data[: len(data) // 2])


def drip(tick: Callable[[], None], most: int = 5_000) -> Fault:
    """One byte at a time, with a call of `tick` after each; cut off after `most`."""

    async def play(exchange: Exchange) -> None:
        data = encoded(exchange.honest.body)
        await exchange.head(200, {"Content-Type": "application/json"}, len(data))
        for place in range(min(most, len(data))):
            await exchange.write(data[place : place + 1])
            tick()
            await asyncio.sleep(0)
        exchange.ended = True

    return play


def not_http(data: bytes = MARKER.encode() + b" 1 2 3\r\n\r\n") -> Fault:
    """Bytes that are no HTTP at all."""

    async def play(exchange: Exchange) -> None:
        await exchange.write(data)
        exchange.ended = True

    return play


def huge(mebibytes: int = 512) -> Fault:
    """A body of spaces, made as it is sent."""

    async def play(exchange: Exchange) -> None:
        chunk = b" " * 65_536
        await exchange.head(200, {"Content-Type": "application/json"}, mebibytes * MEBIBYTE)
        for _ in range(mebibytes * 16):
            await exchange.write(chunk)

    return play


def bomb(mebibytes: int = 64, status: int = 200) -> Fault:
    """A thousandth of that many bytes, which unpack to all of them."""

    async def play(exchange: Exchange) -> None:
        await exchange.reply(status, _bomb(mebibytes), {"Content-Encoding": "gzip"})

    return play


@cache
def _bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    spaces = b" " * MEBIBYTE
    return b"".join([*(packer.compress(spaces) for _ in range(mebibytes)), packer.flush()])


def zipped(*, keep: float = 1.0, spoil: bool = False, framed: bool = True) -> Fault:
    """The honest answer in gzip; a part of it; or one that cannot be unpacked."""

    async def play(exchange: Exchange) -> None:
        data = gzip.compress(encoded(exchange.honest.body))
        data = data[: int(len(data) * keep)]
        if spoil:
            data = data[:40] + b"\xff" * 40 + data[80:]
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        await exchange.head(200, headers, len(data) if framed else None)
        await exchange.write(data)
        if keep == 1 and not spoil:
            exchange.server.delivered.append((exchange.seen, exchange.body))

    return play

"""Connections that would hold the server up: half-sent requests, too many at once, clients that hang up."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import sys
from contextlib import ExitStack
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketStream
from starlette.types import Message, Receive, Scope, Send

from audience_mcp.server import protocol
from audience_mcp.server.protocol import OncePerMinute, WholeBody, quiet_accept
from tests.e2e.test_http import posted
from tests.support.asgi import serving
from tests.support.hosting import AUTHORIZED, TOKEN, hosted, started

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class App:
    """Answers at once; at `/wait` when it is told to; at `/refuse` without reading the body."""

    def __init__(self) -> None:
        self.waiting = anyio.Event()
        self.go_on = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/wait":
            self.waiting.set()
            await self.go_on.wait()
        elif scope["path"] != "/refuse":
            await receive()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


async def connected(port: int) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", port)


async def everything(stream: SocketStream) -> bytes:
    """What comes until the other side closes."""
    received = b""
    with contextlib.suppress(anyio.BrokenResourceError):  # it was closed while we still sent
        async for chunk in stream:
            received += chunk
    return received


HALVES = {
    "nothing at all": b"",
    "half of the first line": b"POST /m",
    "half of the headers": POST,
    "half of the body": POST + b"Content-Length: 100\r\n\r\n{",
    "half of a chunked body": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=list(HALVES))
async def test_a_request_of_which_only_half_is_sent_is_given_up(
    half: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    async with serving(WholeBody(App())) as port, await connected(port) as stream:
        if half:
            await stream.send(half)
        assert (await everything(stream)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_byte_now_and_then_does_not_keep_a_request_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)

    async def drip(stream: SocketStream) -> None:
        await stream.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send(b"1\r\n{\r\n")

    async with (
        serving(WholeBody(App())) as port,
        await connected(port) as stream,
        anyio.create_task_group() as group,
    ):
        group.start_soon(drip, stream)
        assert b" 408 " in await stream.receive()
        group.cancel_scope.cancel()


async def test_a_body_that_nobody_reads_does_not_keep_its_connection_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    async with serving(App()) as port, await connected(port) as stream:
        await stream.send(b"POST /refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert (await everything(stream)).startswith(b"HTTP/1.1 200 ")


async def test_the_next_request_on_a_connection_is_bounded_as_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    async with serving(App()) as port, await connected(port) as stream:
        await stream.send(GET)
        assert b"200" in await stream.receive()
        await stream.send(GET[:10])
        assert b" 408 " in await everything(stream)


async def test_half_a_request_behind_a_whole_one_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    async with serving(WholeBody(App())) as port, await connected(port) as stream:
        await stream.send(GET + POST + b"Content-Length: 100\r\n\r\n{")
        received = await everything(stream)
    assert b" 200 " in received
    assert b" 408 " in received


async def test_who_hangs_up_before_the_end_of_the_body_has_asked_for_nothing() -> None:
    called: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        called.append(scope["path"])
        await App()(scope, receive, send)

    async with serving(WholeBody(app)) as port:
        async with await connected(port) as stream:
            await stream.send(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        async with await connected(port) as stream:
            await stream.send(GET)
            assert b" 200 " in await stream.receive()
    assert called == ["/"]


async def test_a_call_that_takes_longer_than_its_request_may_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    app = App()
    async with serving(app) as port, await connected(port) as slow, await connected(port) as half:
        await slow.send(GET.replace(b"/ ", b"/wait "))
        await app.waiting.wait()
        await half.send(GET[:10])
        assert b" 408 " in await everything(half)  # so the time is over for both
        app.go_on.set()
        assert b"200" in await slow.receive()


async def test_a_client_that_leaves_its_answer_unread_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "READ_WITHIN_S", 0.2)
    ended = anyio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await anyio.lowlevel.checkpoint()
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            with anyio.move_on_after(0):
                if (await receive())["type"] == "http.disconnect":
                    break
        ended.set()

    async with serving(endless) as port, await connected(port) as stream:
        await stream.send(GET)
        await ended.wait()


async def test_beyond_the_limit_connections_are_refused_and_told_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(protocol, "max_connections", lambda: 2)
    filtered = OncePerMinute()
    protocol.log.addFilter(filtered)
    try:
        async with serving(App()) as port:
            first, second = await connected(port), await connected(port)
            for stream in (first, second):
                await stream.send(GET)
                assert b" 200 " in await stream.receive()
            for _ in range(5):
                async with await connected(port) as refused:
                    assert (await everything(refused)).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            await first.aclose()
            answer = b""
            while b" 200 " not in answer:  # until the server has seen the end of the first
                async with await connected(port) as third:
                    await third.send(GET)
                    answer = await third.receive()
            await second.aclose()
    finally:
        protocol.log.removeFilter(filtered)
    assert [record.getMessage() for record in caplog.records if record.name == protocol.__name__] == [
        "refused a connection: 2 are open, which is the limit"
    ]


@pytest.mark.parametrize(
    "request_bytes",
    [
        POST + b"Content-Length: 50000000\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n500000\r\n" + b"x" * 0x500000,
    ],
    ids=["announced", "chunked"],
)
async def test_a_body_over_the_limit_is_refused_without_being_read_to_the_end(request_bytes: bytes) -> None:
    async with (
        serving(WholeBody(App())) as port,
        await connected(port) as stream,
        anyio.create_task_group() as group,
    ):
        group.start_soon(stream.send, request_bytes)
        assert (await stream.receive()).startswith(b"HTTP/1.1 413 ")
        group.cancel_scope.cancel()


async def test_a_body_that_is_a_little_too_long_is_read_to_its_end_before_it_is_refused() -> None:
    left = [b"x" * 0x100000] * 5
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}

    async def send(message: Message) -> None:
        assert not left  # a proxy that is still sending would not see the answer
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"5242880")]}
    await WholeBody(App())(scope, receive, send)
    assert sent[0]["status"] == 413


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_who_hangs_up_in_mid_body_leaves_no_line_in_the_log(version: str) -> None:
    with hosted("--sandbox") as server:
        head = POST + f"MCP-Protocol-Version: {version}\r\nMcp-Method: tools/list\r\n".encode()
        for body in (b"", b'{"jsonrpc"'):
            async with await connected(server.port) as stream:
                await stream.send(head + b"Content-Length: 500\r\n\r\n" + body)
        assert (await posted(server.url)).status_code == 200
        assert await anyio.to_thread.run_sync(server.end) == 0
    assert len(server.log) == 1, server.log


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no file descriptors to run out of")
@pytest.mark.parametrize("descriptors", [24, 64])
async def test_at_the_descriptor_limit_the_log_stays_short_and_callers_are_answered_afterwards(
    descriptors: int,
) -> None:
    command = f"ulimit -n {descriptors} && exec {sys.executable} -m audience_mcp --http --port 0"
    with started(["sh", "-c", command], {"AUDIENCE_MCP_HTTP_TOKEN": TOKEN}) as server:
        with ExitStack() as held:
            for _ in range(100):
                held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
        with anyio.fail_after(60):
            answered = False
            while not answered:  # until the server has seen that they are gone
                with contextlib.suppress(httpx.TransportError):
                    answered = (await posted(server.url, AUTHORIZED)).status_code == 200
    assert len(server.log) < 10, "".join(server.log)
    assert "Traceback" not in "".join(server.log)


def test_running_out_of_descriptors_is_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    filtered = OncePerMinute()
    protocol.log.addFilter(filtered)
    try:
        for _ in range(1000):
            fault = OSError(errno.EMFILE, "Too many open files")
            quiet_accept(None, {"exception": fault})  # type: ignore[arg-type]
    finally:
        protocol.log.removeFilter(filtered)
    assert len(caplog.records) == 1
    assert "ulimit -n" in caplog.text


async def test_a_server_that_ends_within_a_second_of_a_lack_of_descriptors_logs_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop: Any = asyncio.get_running_loop()
    closed = socket.socket()
    closed.close()
    loop.set_exception_handler(quiet_accept)
    try:
        # What asyncio does a second after it could not accept, on the socket that was closed meanwhile.
        loop.call_soon(loop._start_serving, asyncio.Protocol, closed)
        loop.call_soon(lambda: int("told as before"))
        await anyio.wait_all_tasks_blocked()
        await anyio.lowlevel.checkpoint()
    finally:
        loop.set_exception_handler(None)
    (record,) = caplog.records
    assert "told as before" in str(record.exc_info)


def test_what_callers_put_into_a_message_makes_no_other_message_of_it() -> None:
    once = OncePerMinute()

    def passes(text: str, *args: object, level: int = logging.INFO) -> bool:
        return once.filter(logging.LogRecord("x", level, "", 0, text, args, None))

    assert passes("Invalid Host header: evil1.example")
    assert not any(passes(f"Invalid Host header: evil{n}.example") for n in range(5_000))
    assert passes("refused a token: %s", "it has expired")
    assert not passes("refused a token: %s", "its signature is wrong")
    assert passes("refused subject %s: not in the list", "eve", level=logging.WARNING)
    for n in range(10_000):
        passes(f"of its own {n}")
    assert len(once._logged) <= 1_000


def test_the_same_message_is_logged_again_after_a_minute() -> None:
    now = 0.0
    once = OncePerMinute(lambda: now)

    def passes(text: str) -> bool:
        return once.filter(logging.LogRecord("x", logging.WARNING, "", 0, text, (), None))

    assert [passes("a"), passes("a"), passes("b"), passes("b")] == [True, False, True, False]
    now = protocol.REPEAT_AFTER_S
    assert passes("a")


def test_tracebacks_of_one_line_of_code_are_one_a_minute_whatever_the_errors_and_messages_say(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    once = OncePerMinute(lambda: now, tracebacks=True)
    caplog.handler.addFilter(once)

    def fail(text: str) -> None:
        try:
            int(text)
        except ValueError:
            logging.getLogger("some.server").exception("it failed: %s", text)

    try:
        for number in range(100):
            fail(f"not a number {number}")
        try:
            float("another")
        except ValueError:
            logging.getLogger("some.server").exception("it failed: %s", "another")
        assert [record.args for record in caplog.records] == [("not a number 0",), ("another",)]
        now = protocol.REPEAT_AFTER_S
        fail("again")
        for _ in range(2):
            logging.getLogger("some.server").error("a line without one")
    finally:
        caplog.handler.removeFilter(once)
    assert [record.getMessage() for record in caplog.records[2:]] == [
        "it failed: again",
        *["a line without one"] * 2,
    ]

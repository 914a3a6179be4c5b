"""The sandbox over HTTP: a Starlette app, and a server for it on a free loopback port."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import uvicorn
from anyio import CancelScope
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from audience_mcp.sandbox.answers import Sandbox
from audience_mcp.sandbox.exchange import Answer, Asked


def app(sandbox: Sandbox | None = None) -> Starlette:
    """A web app that answers every path and method from `sandbox` (by default one with made-up audiences)."""
    served = Sandbox() if sandbox is None else sandbox

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            asked = await _read_request(Request(scope, receive))
        except ClientDisconnect:
            return
        await _response(served.answer(asked))(scope, receive, send)

    # An app in a Mount, since a Route would answer other methods itself, in no vendor's error shape.
    return Starlette(routes=[Mount("/", answer)])


@asynccontextmanager
async def serve(sandbox: Sandbox | None = None) -> AsyncGenerator[str, None]:
    """Serve the sandbox on a free port of 127.0.0.1 and give its origin, e.g. `http://127.0.0.1:4321`.

    Requests are accepted from then on, and until the end of the block; connections still open are
    closed there at once. Needs asyncio. Installs no signal handlers and leaves logging as it is, save
    that uvicorn's access log is off.
    """
    config = uvicorn.Config(
        app(sandbox),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Named as TCP: only then does asyncio send small writes at once, and not after the 40 ms in which
    # the other side may hold back its acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        # Not `serve()`: it takes over SIGINT and SIGTERM, and its loop and shutdown each sleep for 0.1 s
        # and more. The sockets are served by the event loop as soon as `startup()` has returned.
        await server.startup(sockets=[listening])
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            with CancelScope(shield=True):
                await _stop(server)


async def _stop(server: uvicorn.Server) -> None:
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)  # aborted transports close in the loop's next round
    if server.server_state.tasks:
        # Requests under way see the disconnect and end by themselves; cancelled ones would be logged.
        await asyncio.wait(server.server_state.tasks, timeout=0.1)


async def _read_request(request: Request) -> Asked:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    raw = request.scope["query_string"].decode("latin-1")
    query = parse_qs(raw, keep_blank_values=True)
    return Asked(request.method, request.scope["path"], query, headers, await request.body(), raw)


def _response(answer: Answer) -> Response:
    headers = dict(answer.headers)
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, headers, media_type="application/json")
    if isinstance(answer.body, str):
        return Response(answer.body, answer.status, headers, media_type="text/html")
    text = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate, which no UTF-8 can hold, becomes `\udXXX`: exactly its JSON escape.
    body = text.encode("utf-8", "backslashreplace")
    return Response(body, answer.status, headers, media_type="application/json")

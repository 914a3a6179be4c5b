"""What those who run the server look at: `/ready`, and `/metrics` for Prometheus.

Both are for known callers, and for this computer itself: the connection and the Host header are then its own,
and no proxy stands in between. They show no name of an audience, and nothing that is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.config import is_loopback
from audience_mcp.server.auth import bare_host, read_header
from audience_mcp.server.calls import Calls
from audience_mcp.server.refusals import Refusals
from audience_mcp.sources.reader import SourceState

if TYPE_CHECKING:
    from audience_mcp.store.store import Store

FORWARDING = re.compile(rb"via|.*(forwarded|client-ip|connecting-ip|real-ip|external-address).*")
"""Names of the headers by which proxies say for whom they ask: each has its own, made of the same words."""
ONLY_HERE = (
    "Only this computer itself may look at this: set AUDIENCE_MCP_HTTP_TOKENS and send one of its tokens.\n"
)

NO_METRICS = (
    "The package for metrics is missing: pip install 'audience-mcp[metrics]' and restart the server.\n"
)

SeenCatalog = Callable[[Scope], Catalog]


@dataclass(frozen=True, slots=True)
class Counted:
    """What one process counts. worker: tells it from others behind the same address; None without others."""

    calls: Calls = field(default_factory=Calls)
    refusals: Refusals = field(default_factory=Refusals)
    worker: str | None = None


class Operators:
    """The pages for those who run the server.

    catalog: gives the catalog as whoever sent a request may see it. guard: puts an app behind the ways to
    know callers. open_here: whether this computer itself needs no token.
    """

    def __init__(
        self,
        catalog: SeenCatalog,
        guard: Callable[[ASGIApp], ASGIApp],
        counted: Counted,
        *,
        open_here: bool,
    ) -> None:
        self._catalog = catalog
        self._guard = guard
        self._counted = counted
        self._open_here = open_here

    def routes(self) -> list[Route]:
        """Where the pages are."""
        pages = {"/ready": self._ready, "/metrics": self._metrics}
        return [Route(path, self._gate(show)) for path, show in pages.items()]

    def _gate(self, show: Callable[[Request], Response]) -> ASGIApp:
        """A page for known callers, and for this computer itself where it is open to it."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope)
            if request.method in ("GET", "HEAD"):
                response = show(request)
                response.headers["Cache-Control"] = "no-store"
            else:
                response = PlainTextResponse(
                    "Method not allowed: send GET requests.\n", 405, headers={"Allow": "GET, HEAD"}
                )
            await response(scope, receive, send)

        guarded = self._guard(answer)
        otherwise = guarded if guarded is not answer else self._refuse

        async def gate(scope: Scope, receive: Receive, send: Send) -> None:
            await (answer if self._open_here and is_from_here(scope) else otherwise)(scope, receive, send)

        return _App(gate)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._counted.refusals.note(scope, "token", f"{scope['path']} is open to this computer itself alone")
        await PlainTextResponse(ONLY_HERE, 403)(scope, receive, send)

    def _ready(self, request: Request) -> Response:
        catalog = self._catalog(request.scope)
        states, store = catalog.states, describe_store(catalog.store)
        failing = any(state.error for state in states) or store["state"] == "failing"
        return JSONResponse(
            {
                "status": "failing" if failing else "ok",
                "sources": [_describe(state) for state in states],
                "store": store,
            }
        )

    def _metrics(self, request: Request) -> Response:
        if find_spec("prometheus_client") is None:
            return PlainTextResponse(NO_METRICS, 501)
        from audience_mcp.server.metrics import write_metrics

        counted = self._counted
        body, content_type = write_metrics(
            self._catalog(request.scope),
            counted.calls,
            counted.refusals,
            counted.worker,
            request.headers.get("accept", ""),
        )
        return Response(body, media_type=content_type)


class _App:
    """An ASGI app of a function: a route takes a bare function for one that answers a `Request`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        await self._app(scope, receive, send)


def is_from_here(scope: Scope) -> bool:
    """Whether a request is of this computer itself: its connection and Host are, and no proxy sent it."""
    client = scope.get("client")
    host = read_header(scope, b"host")
    if client is None or not host or not is_loopback(bare_host(host)):
        return False
    forwarded = any(FORWARDING.fullmatch(name.lower()) for name, _ in scope["headers"])
    return not forwarded and is_loopback(str(client[0]).removeprefix("::ffff:"))


def describe_store(store: Store | None) -> dict[str, str]:
    """The store's `state`, and why it is `failing`: of it as it was last used."""
    if store is None:
        return {"state": "off"}
    if not store.shares:
        return {"state": "made up"}
    faults = store.faults
    why = next((fault for fault in faults.values() if fault is not None), None)
    if why is not None:
        return {"state": "failing", "why": why}
    return {"state": "ok" if faults else "unused"}


def _describe(state: SourceState) -> dict[str, Any]:
    """A source; what is not known of it is left out."""
    known = {
        "source": state.source,
        "age_s": round(state.age_s) if state.age_s is not None else None,
        "error": state.error,
        "sizes_pending": state.pending or None,
    }
    return {name: value for name, value in known.items() if value is not None}

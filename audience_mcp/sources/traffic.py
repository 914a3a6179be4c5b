"""Requests to vendors: how many, how they ended, how long they took; and a span of each for a tracer.

A span has the source, the method, the host and the status: no path, which may hold an id, and no header.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from audience_mcp.core.errors import Kind

CANCELLED = "cancelled"
"""The outcome of a request that was given up before it was answered."""

_tracer = trace.get_tracer("audience-mcp")


class Exchange:
    """One request under way. outcome: the HTTP status, or the kind of error where no answer came."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.outcome = CANCELLED

    def answered(self, status: int) -> None:
        """Say which status came, and in full."""
        self.outcome = str(status)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            self._span.set_attribute("error.type", self.outcome)
            self._span.set_status(trace.StatusCode.ERROR)

    def failed(self, kind: Kind) -> None:
        """Say that no answer came, or none that could be read."""
        self.outcome = kind
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR)


class Traffic:
    """Counts every request of all sources, also those that are repeated.

    requests: by source and outcome. seconds: by source, that requests took in all.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def follow(self, source: str, method: str, host: str) -> Iterator[Exchange]:
        """A request, from here to the end of the block, which says how it ended."""
        began = time.perf_counter()
        attributes = {"audience_mcp.source": source, "http.request.method": method, "server.address": host}
        with _tracer.start_as_current_span(
            f"{method} {source}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            exchange = Exchange(span)
            try:
                yield exchange
            finally:
                self.requests[source, exchange.outcome] += 1
                self.seconds[source] = self.seconds.get(source, 0.0) + time.perf_counter() - began

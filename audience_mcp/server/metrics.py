"""The numbers of this process as Prometheus reads them. Imported at the first look: it needs an extra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from audience_mcp import __version__
from audience_mcp.catalog.catalog import Catalog
from audience_mcp.server.calls import BUCKETS_S, Calls, Outcome
from audience_mcp.server.refusals import Kind, Refusals
from audience_mcp.server.tools import TOOLS

PREFIX = "audience_mcp_"
VERSION = "1.0.0"
"""Of OpenMetrics, and of the text format beside the plain one, which is served for every other version."""
_Values = Iterable[tuple[Sequence[str], float]]
"""The values of a metric by those of its labels."""


def write_metrics(
    catalog: Catalog, calls: Calls, refusals: Refusals, worker: str | None, accept: str
) -> tuple[bytes, str]:
    """All metrics, and the content type that they are in.

    catalog: with the sources that are shown. worker: tells this process from others behind the same address;
    None where there is no other. accept: the request's header.
    """
    registry = CollectorRegistry(auto_describe=False)
    if worker is None:
        ProcessCollector(registry=registry)
    registry.register(_Numbers(catalog, calls, refusals, worker))
    encode, content_type = choose_encoder(_keep_served(accept))
    return encode(registry), content_type


def _keep_served(accept: str) -> str:
    """A header's formats without those of a version other than `VERSION`; where none is left, it is text."""
    formats = ((each, [part.strip() for part in each.split(";")]) for each in accept.split(","))
    return ",".join(
        each
        for each, parts in formats
        if all(part == f"version={VERSION}" for part in parts if part.startswith("version"))
    )


class _Numbers(Collector):
    """The project's own metrics, of what is counted elsewhere anyway."""

    def __init__(self, catalog: Catalog, calls: Calls, refusals: Refusals, worker: str | None) -> None:
        self._catalog = catalog
        self._calls = calls
        self._refusals = refusals
        self._always = {} if worker is None else {"worker": worker}

    def collect(self) -> Iterable[Metric]:
        """Every metric with its values now."""
        yield self._gauge("info", "The version that runs; always 1.", ["version"], [([__version__], 1)])
        yield from self._of_calls()
        refused = [([kind], self._refusals.counts[kind]) for kind in get_args(Kind)]
        yield self._counter("refusals", "Callers that were not let in.", ["reason"], refused)
        yield from self._of_sources()
        yield from self._of_store()

    def _of_calls(self) -> Iterator[Metric]:
        ended = [
            ([tool, outcome], self._calls.ended[tool, outcome])
            for tool in dict.fromkeys([*TOOLS, *(tool for tool, _ in self._calls.ended)])
            for outcome in get_args(Outcome)
        ]
        yield self._counter("calls", "Calls that ended, by tool and outcome.", ["tool", "outcome"], ended)
        timed = HistogramMetricFamily(
            f"{PREFIX}call_seconds", "Seconds that calls took.", labels=["tool", *self._always]
        )
        bounds = [*(f"{bound:g}" for bound in BUCKETS_S), "+Inf"]
        for tool, timing in self._calls.timings.items():
            buckets = list(zip(bounds, map(float, accumulate(timing.counts)), strict=True))
            timed.add_metric([tool, *self._always.values()], buckets, timing.seconds)
        yield timed

    def _of_sources(self) -> Iterator[Metric]:
        states, traffic = self._catalog.states, self._catalog.traffic
        shown = {state.source for state in states}
        requests = [
            ([source, outcome], count)
            for (source, outcome), count in [*traffic.requests.items()]
            if source in shown
        ]
        text = "Requests to vendors; status is the HTTP status, or the kind of error where none came."
        yield self._counter("vendor_requests", text, ["source", "status"], requests)
        took = [([source], seconds) for source, seconds in [*traffic.seconds.items()] if source in shown]
        yield self._counter("vendor_request_seconds", "Seconds that these took.", ["source"], took)
        ages = [([state.source], state.age_s) for state in states if state.age_s is not None]
        text = "Age of a source's last complete reading; none where this process has none."
        yield self._gauge("reading_age_seconds", text, ["source"], ages)
        errors = [([state.source, state.error], 1) for state in states if state.error is not None]
        text = "1 for a source of which the last reading failed, with the kind of its error."
        yield self._gauge("source_error", text, ["source", "kind"], errors)
        pending = [([state.source], state.pending) for state in states]
        text = "Sizes that are wanted and have not been counted yet."
        yield self._gauge("sizes_pending", text, ["source"], pending)

    def _of_store(self) -> Iterator[Metric]:
        store = self._catalog.store
        faults = store.faults if store is not None else {}
        values = [([part], int(fault is None)) for part, fault in faults.items()]
        text = "Whether the last use of a part of the store succeeded; none before its first use."
        yield self._gauge("store_up", text, ["part"], values)

    def _counter(self, name: str, text: str, labels: list[str], values: _Values) -> Metric:
        return self._fill(CounterMetricFamily, name, text, labels, values)

    def _gauge(self, name: str, text: str, labels: list[str], values: _Values) -> Metric:
        return self._fill(GaugeMetricFamily, name, text, labels, values)

    def _fill(
        self,
        kind: type[CounterMetricFamily | GaugeMetricFamily],
        name: str,
        text: str,
        labels: list[str],
        values: _Values,
    ) -> Metric:
        family = kind(f"{PREFIX}{name}", text, labels=[*labels, *self._always])
        for by, value in values:
            family.add_metric([*by, *self._always.values()], value)
        return family

"""One line of the log and a span for each call, how many there were and how long they took."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from opentelemetry import trace

from audience_mcp.core.logs import FACTS

log = logging.getLogger(__name__)

Outcome = Literal["answered", "error", "fault", "cancelled"]
"""How a call ended: with an answer, with a tool error, by a fault of ours, or because its client left."""
UNKNOWN = "unknown"
"""The tool of a call that names none of ours: what a caller wrote is not repeated."""
BUCKETS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0)
"""Upper bounds of the times by which calls are counted, in seconds."""


@dataclass(slots=True)
class Call:
    """What is reported of one call.

    who: the caller, as the log names callers. sources: names of those it was about; empty where the question
    named none that there is. matched, complete: of its answer, None without one.
    """

    who: str
    tool: str
    sources: list[str] = field(default_factory=list)
    matched: int | None = None
    complete: bool | None = None
    outcome: Outcome = "cancelled"

    def facts(self) -> dict[str, str | bool | int | list[str]]:
        """What is known of how it ended, by name."""
        known = {"matched": self.matched, "complete": self.complete}
        given = {name: value for name, value in known.items() if value is not None}
        return {"outcome": self.outcome, "sources": self.sources, **given}

    def note(self, matched: int, complete: bool) -> None:
        """It was answered: with how many audiences, and whether with all of them."""
        self.matched, self.complete, self.outcome = matched, complete, "answered"


@dataclass(slots=True)
class Timing:
    """The calls of one tool by the seconds that they took. counts: by bucket; the last is of longer ones."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one call."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.seconds += seconds


class Calls:
    """Reports every call when it ends.

    ended: how many calls ended, by tool and outcome. timings: by tool.
    """

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, Outcome]] = Counter()
        self.timings: dict[str, Timing] = {}

    @contextmanager
    def follow(self, who: str, tool: str) -> Iterator[Call]:
        """A call, from here to the end of the block, which fills in what it comes to."""
        call, began = Call(who, tool), time.perf_counter()
        try:
            yield call
        finally:
            self._report(call, time.perf_counter() - began)

    def _report(self, call: Call, seconds: float) -> None:
        self.ended[call.tool, call.outcome] += 1
        self.timings.setdefault(call.tool, Timing()).add(seconds)
        # The SDK makes a span of every request, which is this one's.
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes({f"audience_mcp.{name}": value for name, value in call.facts().items()})
        if not log.isEnabledFor(logging.INFO):
            return
        ms = round(seconds * 1000)
        facts = {"who": call.who, "tool": call.tool, **call.facts(), "ms": ms}
        log.info(
            "%s: %s %s sources=%s matched=%s complete=%s ms=%d",
            call.who,
            call.tool,
            call.outcome,
            ",".join(call.sources) or "-",
            "-" if call.matched is None else call.matched,
            "-" if call.complete is None else str(call.complete).lower(),
            ms,
            extra={FACTS: facts},
        )

"""Fifty calls at once over 100,000 audiences: `python -m tests.benchmarks.callers [RUNS [QUESTIONS...]]`.

A fresh process holds the audiences, read once. Fifty different questions of one sort are asked at once and
made into the JSON that clients get, while a task beats every millisecond: the longest pause between two beats
is the longest that another request, such as a ping, would have waited. The same is measured beside a thread
that only counts, which is what the interpreter and the machine cost, and with nothing to do. Each sort of
question has a process of its own, so that none finds ready what another one needs too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import anyio

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import load_configuration
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import ToolError
from audience_mcp.core.process import tune_gc
from audience_mcp.server.answering import answer_call
from audience_mcp.store import open_store
from audience_mcp.vendors.registry import load_vendors
from tests.benchmarks.scale import vendor

AUDIENCES = 100_000
CALLS = 50
BEAT_S = 0.001
BESIDE_S = 1.0
"""Seconds of beating beside nothing, and beside a thread that counts."""
RUNS = 7
MOMENTS = 5

Call = tuple[str, dict[str, Any]]
"""A tool and its arguments."""


def list_with(**arguments: Any) -> Call:
    return "list_audiences", arguments


def searches(moments: Sequence[str]) -> list[Call]:
    return [list_with(search=f"black -{n}") for n in range(CALLS)]


def sorts(moments: Sequence[str]) -> list[Call]:
    orders = ("name", "size", "size_asc", "newest", "oldest", "updated")
    return [list_with(sort=orders[n % len(orders)], offset=n * 200) for n in range(CALLS)]


def sorted_searches(moments: Sequence[str]) -> list[Call]:
    return [list_with(search=f"-{n}", sort="name") for n in range(CALLS)]


def dates(moments: Sequence[str]) -> list[Call]:
    return [list_with(created_since=f"2026-0{n % 9 + 1}-{n % 28 + 1:02}", offset=n) for n in range(CALLS)]


def groups(moments: Sequence[str]) -> list[Call]:
    return [list_with(group_by="name", offset=n) for n in range(CALLS)]


def comparisons(moments: Sequence[str]) -> list[Call]:
    return [list_with(compare_to=moments[n % len(moments)], sort="growth", offset=n) for n in range(CALLS)]


def looks_back(moments: Sequence[str]) -> list[Call]:
    return [list_with(as_of=moments[n % len(moments)], offset=n) for n in range(CALLS)]


def names(moments: Sequence[str]) -> list[Call]:
    return [("get_audience", {"audience": f"Audience {n}"}) for n in range(CALLS)]


def misses(moments: Sequence[str]) -> list[Call]:
    return [("get_audience", {"audience": f"black fridey customer {n}x"}) for n in range(CALLS)]


def mixed(moments: Sequence[str]) -> list[Call]:
    """Some of all sorts, in turns."""
    every = [make(moments) for name, make in QUESTIONS.items() if make is not mixed]
    return [every[n % len(every)][n] for n in range(CALLS)]


QUESTIONS: Mapping[str, Callable[[Sequence[str]], list[Call]]] = {
    "search": searches,
    "sort": sorts,
    "search, by name": sorted_searches,
    "created since": dates,
    "group by name": groups,
    "compare, by growth": comparisons,
    "look back": looks_back,
    "get by name": names,
    "a name that nobody has": misses,
    "all of these": mixed,
}


class AheadClock(Clock):
    """The real clock, put ahead where readings have to be apart in time."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s

    def utc(self) -> datetime:
        return super().utc() + timedelta(seconds=self.ahead_s)


async def ask(catalog: Catalog, call: Call, took: list[float]) -> None:
    """One call as the server answers it."""
    tool, arguments = call
    began = time.perf_counter()
    try:
        answer = await answer_call(tool, catalog, arguments, _ignore)
        text = answer.text
        assert answer.complete, text
    except ToolError as e:
        if not str(e).startswith("No audience has the ref, id or name"):
            raise
    took.append(time.perf_counter() - began)


async def _ignore(progress: float, total: float | None, message: str) -> None:
    """No client looks at the progress."""


async def measure(questions: str, variables: dict[str, str], folder: str) -> dict[str, float]:
    """The longest pauses, and the longest and the median answer, in seconds."""
    settings = {"AUDIENCE_MCP_DEADLINE_S": "3600", "AUDIENCE_MCP_CACHE_S": "86400", "BATCH_MAX_RPS": "1000"}
    configured = load_configuration(variables | settings, load_vendors().values())
    compares = QUESTIONS[questions] in (comparisons, looks_back, mixed)
    # What nobody has may be gone, for which the store is asked.
    clock = AheadClock()
    store = open_store(folder, clock) if compares or QUESTIONS[questions] is misses else None
    async with open_catalog(configured, clock=clock, store=store) as catalog:
        moments = []
        for _ in range(MOMENTS if compares else 0):
            await ask(catalog, list_with(limit=0, refresh=True), [])
            if store is not None:
                await store.saved()
            moments.append(clock.utc().isoformat())
            clock.ahead_s += 11  # a `refresh` joins a reading that is younger than 10 s
        await ask(catalog, list_with(limit=0, refresh=compares), [])
        if store is not None:
            await store.saved()
        took: list[float] = []
        calls = QUESTIONS[questions](moments)
        assert len(calls) == CALLS

        async def ask_all() -> None:
            async with anyio.create_task_group() as asking:
                for call in calls:
                    asking.start_soon(ask, catalog, call, took)

        beside = {
            "idle": await beat_beside(lambda: anyio.sleep(BESIDE_S)),
            "counting": await beat_beside(lambda: anyio.to_thread.run_sync(count)),
        }
        cpu = time.process_time()
        asked = await beat_beside(ask_all)
        return beside | {
            "asked": asked,
            "cpu": time.process_time() - cpu,
            "longest": max(took),
            "median": statistics.median(took),
        }


async def beat_beside(work: Callable[[], Awaitable[None]]) -> float:
    """The longest pause between two beats while `work` is done."""
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await anyio.sleep(BEAT_S)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    async with anyio.create_task_group() as beats:
        beats.start_soon(beat)
        await anyio.sleep(10 * BEAT_S)
        await work()
        beats.cancel_scope.cancel()
    return longest


def count() -> None:
    """Keep a thread busy with nothing."""
    until, number = time.perf_counter() + BESIDE_S, 0
    while time.perf_counter() < until:
        number += 1


def run(questions: str, variables: dict[str, str]) -> dict[str, float]:
    """What a fresh process measures."""
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.callers", "once", questions, folder],
            input=json.dumps(variables),
            capture_output=True,
            text=True,
            check=True,
        )
    return dict(json.loads(said.stdout))


def rows(runs: int = RUNS, questions: Sequence[str] = tuple(QUESTIONS)) -> Iterator[str]:
    """The table's rows, as Markdown."""
    yield f"| {CALLS} at once, {AUDIENCES:,} audiences | last answer | median answer | longest pause | CPU |"
    yield "|---|---|---|---|---|"
    beside: list[dict[str, float]] = []
    with vendor(AUDIENCES // 4, 0) as variables:
        run("search", variables)  # the vendor's side makes its bodies once
        for each in questions:
            measured = [run(each, variables) for _ in range(runs)]
            beside += measured
            yield (
                f"| {each} | {_ms(measured, 'longest')} | {_ms(measured, 'median')} "
                f"| {_ms(measured, 'asked')} | {_ms(measured, 'cpu')} |"
            )
    yield ""
    yield (
        f"Medians of {runs} runs (the worst in brackets). The longest pause beside a thread that only counts "
        f"was {_ms(beside, 'counting')}, with nothing to do {_ms(beside, 'idle')}."
    )


def _ms(measured: Sequence[dict[str, float]], key: str) -> str:
    values = [each[key] * 1000 for each in measured]
    return f"{statistics.median(values):,.0f} ms ({max(values):,.0f})"


def main() -> None:
    if sys.argv[1:2] == ["once"]:
        tune_gc()  # as the program does at its start
        print(json.dumps(anyio.run(measure, sys.argv[2], json.loads(sys.stdin.read()), sys.argv[3])))
    else:
        runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
        print("\n".join(rows(runs, sys.argv[2:] or tuple(QUESTIONS))))


if __name__ == "__main__":
    main()

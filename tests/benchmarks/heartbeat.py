"""How long composing holds up the event loop: `python -m tests.benchmarks.heartbeat`.

A fresh process holds 100,000 audiences, read once. Fifty different searches are asked of it at once, and made
into the JSON that clients get, while a task beats every millisecond: the longest pause between two beats is
the longest that any other request, a ping for instance, would have waited. The same is measured beside a
thread that only counts, which is what the interpreter and the machine cost, and with nothing to do.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import load_configuration
from audience_mcp.core.process import tune_gc
from audience_mcp.core.text import to_json
from audience_mcp.server.tools import TOOLS
from audience_mcp.vendors.registry import load_vendors
from tests.benchmarks.scale import vendor

AUDIENCES = 100_000
CALLS = 50
BEAT_S = 0.001
BESIDE_S = 1.0
"""How long is beaten beside nothing, and beside a thread that counts."""
RUNS = 7


async def ask(catalog: Catalog, arguments: dict[str, Any], took: list[float]) -> None:
    """One call as the server answers it."""
    began = time.perf_counter()
    answer = await TOOLS["list_audiences"].call(catalog, arguments, _ignore)
    to_json(answer)
    took.append(time.perf_counter() - began)
    assert answer["complete"], answer


async def _ignore(progress: float, total: float | None, message: str) -> None:
    """No client looks at the progress."""


async def measure(variables: dict[str, str]) -> dict[str, float]:
    """The longest pauses, and the longest and the median answer, in seconds."""
    settings = {"AUDIENCE_MCP_DEADLINE_S": "3600", "AUDIENCE_MCP_CACHE_S": "86400", "BATCH_MAX_RPS": "1000"}
    configured = load_configuration(variables | settings, load_vendors().values())
    async with open_catalog(configured) as catalog:
        took: list[float] = []
        await ask(catalog, {"search": "before"}, took)
        took.clear()

        async def ask_all() -> None:
            async with anyio.create_task_group() as asking:
                for n in range(CALLS):
                    asking.start_soon(ask, catalog, {"search": f"black -{n}"}, took)

        return {
            "idle": await beat_beside(lambda: anyio.sleep(BESIDE_S)),
            "counting": await beat_beside(lambda: anyio.to_thread.run_sync(count)),
            "asked": await beat_beside(ask_all),
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


def run(variables: dict[str, str]) -> dict[str, float]:
    """What a fresh process measures."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.heartbeat", "once"],
        input=json.dumps(variables),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(said.stdout))


def rows(runs: int = RUNS) -> Iterator[str]:
    """The table's rows, as Markdown."""
    with vendor(AUDIENCES // 4, 0) as variables:
        run(variables)  # the vendor's side makes its bodies once
        measured = [run(variables) for _ in range(runs)]

    def ms(key: str) -> str:
        values = [each[key] * 1000 for each in measured]
        return f"{statistics.median(values):,.0f} ms ({max(values):,.0f})"

    yield f"| {AUDIENCES:,} audiences | longest pause of the loop (the worst of {runs} runs) |"
    yield "|---|---|"
    yield f"| {CALLS} searches at once | {ms('asked')} |"
    yield f"| a thread that only counts | {ms('counting')} |"
    yield f"| nothing to do | {ms('idle')} |"
    yield ""
    yield f"Of the {CALLS} answers the longest took {ms('longest')}, and the median one {ms('median')}."


def main() -> None:
    if sys.argv[1:] == ["once"]:
        tune_gc()  # as the program does at its start
        print(json.dumps(anyio.run(measure, json.loads(sys.stdin.read()))))
    else:
        print("\n".join(rows()))


if __name__ == "__main__":
    main()

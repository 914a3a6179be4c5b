"""The first answer, a warm one, and fifty at once: four vendors, 450 audiences each, requests delayed."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping

from tests.benchmarks.scale import vendor
from tests.benchmarks.speaking import Server

AUDIENCES = 450
PAGES = (
    6  # of 100, at Batch, its segments' included; the sources are read side by side, the pages of one in turn
)
DELAYS_MS = (5, 50, 200)


def bare(variables: dict[str, str]) -> float:
    """A fresh process that fetches and parses the same pages: seconds from "go" to done."""
    command = [sys.executable, "-m", "tests.benchmarks.floor"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(variables) + "\n")
        process.stdin.flush()
        time.sleep(0.5)  # let it come up: what is measured begins with "go"
        began = time.perf_counter()
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        return time.perf_counter() - began


def ours(variables: dict[str, str]) -> tuple[float, float, float]:
    """A fresh server: seconds for the first answer, a warm one, and fifty at once after a refresh."""
    with tempfile.TemporaryDirectory() as folder:  # a store as by default, and nothing in it yet
        server = Server([sys.executable, "-m", "audience_mcp"], {**variables, "AUDIENCE_MCP_STORE": folder})
        return _ask(server)


def _ask(server: Server) -> tuple[float, float, float]:
    server.get_ready()

    def timed(*calls: Mapping[str, object]) -> float:
        began = time.perf_counter()
        ids = [server.call("list_audiences", arguments) for arguments in calls]
        for id in ids:
            answer = server.result(id)
            assert answer["structuredContent"]["complete"], answer
        return time.perf_counter() - began

    first = timed({"limit": 5})
    warm = statistics.median(timed({"limit": 5}) for _ in range(20))
    fifty = timed(*[{"limit": 5, "refresh": True}] * 50)
    server.end()
    return first, warm, fifty


def rows(runs: int = 7) -> Iterator[str]:
    """The table's rows, as Markdown."""
    yield (
        "| a request takes | round trips alone | bare httpx | first answer | to bare httpx | warm answer | "
        "fifty at once |"
    )
    yield "|---|---|---|---|---|---|---|"
    for delay in DELAYS_MS:
        with vendor(AUDIENCES, delay) as variables:
            variables = {**variables, "BATCH_MAX_RPS": "1000"}
            ours(variables)
            pairs = [(bare(variables), ours(variables)) for _ in range(runs)]
        floor = statistics.median(b for b, _ in pairs)
        first, warm, fifty = (
            statistics.median(column) for column in zip(*(o for _, o in pairs), strict=True)
        )
        ratio = statistics.median(o[0] / b for b, o in pairs)
        yield (
            f"| {delay} ms | {PAGES * delay} ms | {floor * 1000:.0f} ms | {first * 1000:.0f} ms | "
            f"{ratio:.2f} | {warm * 1000:.1f} ms | {fifty * 1000:.0f} ms |"
        )


if __name__ == "__main__":
    print("\n".join(rows()))

"""Process start to `initialize` answered, to `tools/list` answered, and stdin's end to the process gone."""

from __future__ import annotations

import compileall
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import audience_mcp
from tests.benchmarks.peers import servers
from tests.benchmarks.speaking import Server


def once(command: list[str]) -> tuple[float, float, float]:
    import time

    server = Server(command)
    server.initialize()
    initialized = time.perf_counter() - server.began
    server.ask("tools/list", {})
    listed = time.perf_counter() - server.began
    return initialized, listed, server.end()


def rows(runs: int = 15) -> Iterator[str]:
    """The table's rows, as Markdown; the servers take turns, so that drift hits all of them."""
    for package in (
        Path(audience_mcp.__file__).parent,
        *(Path(p) for p in sys.path if p.endswith("site-packages")),
    ):
        compileall.compile_dir(package, quiet=2)
    commands = servers()
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            one = once(command)
            if run:  # the first warms the disk's cache
                taken[name].append(one)
    yield "| server | initialize answered | tools/list answered | gone after stdin closes | to the bare |"
    yield "|---|---|---|---|---|"
    bare = taken["bare SDK server, one tool"]
    for name, times in taken.items():
        median = [statistics.median(column) * 1000 for column in zip(*times, strict=True)]
        ratio = statistics.median(mine[1] / theirs[1] for mine, theirs in zip(times, bare, strict=True))
        yield f"| {name} | {median[0]:.0f} ms | {median[1]:.0f} ms | {median[2]:.0f} ms | {ratio:.2f} |"


if __name__ == "__main__":
    print("\n".join(rows()))

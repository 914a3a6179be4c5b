"""CPU, wall and peak memory for 1,000 to 100,000 audiences, over a floor that only fetches and parses."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SIZES = (1_000, 10_000, 100_000)


@contextmanager
def vendor(count: int, delay_ms: float) -> Iterator[dict[str, str]]:
    """The vendors' process; the variables that lead there."""
    command = [sys.executable, "-m", "tests.benchmarks.vendor", str(count), str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def run(module: str, variables: dict[str, str]) -> dict[str, float]:
    """One fresh process of `module` (floor or ours)."""
    said = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}"],
        input=json.dumps(variables) + "\n\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(said.stdout))


def rows(sizes: tuple[int, ...] = SIZES, runs: int = 3) -> Iterator[str]:
    """The table's rows, as Markdown."""
    yield "| audiences (all vendors) | floor CPU | ours CPU | ratio | wall ratio | memory per audience |"
    yield "|---|---|---|---|---|---|"
    with vendor(1, 0) as variables:
        idle = run("ours", variables)["peak"]
    for size in sizes:
        with vendor(size // 4, 0) as variables:
            run("floor", variables)  # the vendor's side makes its bodies once
            pairs = [(run("floor", variables), run("ours", variables)) for _ in range(runs)]
        assert all(floor["rows"] == ours["rows"] == size for floor, ours in pairs)

        def median(
            side: int, key: str, pairs: list[tuple[dict[str, float], dict[str, float]]] = pairs
        ) -> float:
            return statistics.median(pair[side][key] for pair in pairs)

        ratio = statistics.median(ours["cpu"] / floor["cpu"] for floor, ours in pairs)
        wall = statistics.median(ours["wall"] / floor["wall"] for floor, ours in pairs)
        memory = (median(1, "peak") - idle) * 1024 * 1024 / size
        yield (
            f"| {size:,} | {median(0, 'cpu'):.2f} s | {median(1, 'cpu'):.2f} s | {ratio:.2f} | {wall:.2f} | "
            f"{memory:,.0f} bytes |"
        )


if __name__ == "__main__":
    print("\n".join(rows()))

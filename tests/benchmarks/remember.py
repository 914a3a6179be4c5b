"""What remembering costs and gives: `python -m tests.benchmarks.remember [PART]`.

Parts: `restart` (the first answer of a restarted server, beside a bare fetch of one page), `storing` (CPU of
a reading that is stored, beside one that is not), `year` (how big a year of history is, and how long asking
for one day of it takes).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from audience_mcp.core.audience import Row
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.retention import DAY_MS
from audience_mcp.store.sqlite import SqliteStore
from audience_mcp.store.stored import Baseline
from tests.benchmarks.scale import vendor
from tests.benchmarks.speaking import Server
from tests.store.uses import owner

REMEMBERED, DELAY_MS = 5_000, 50
STORED = 100_000
IN_A_YEAR, CHANGING, DAYS = 5_000, 0.3, 365
TURNS = 7


def restart(runs: int = TURNS) -> list[str]:
    """A server asks vendors, ends, and another one answers from the store."""
    ratios, firsts, pages = [], [], []
    with vendor(REMEMBERED // 4, DELAY_MS) as variables, tempfile.TemporaryDirectory() as folder:
        variables = {**variables, "BATCH_MAX_RPS": "1000", "AUDIENCE_MCP_STORE": folder}
        _first_answer(variables)
        for _ in range(runs):
            page, first = asyncio.run(_one_page(variables)), _first_answer(variables)
            pages.append(page)
            firsts.append(first)
            ratios.append(first / page)
    return [
        f"| first answer, {REMEMBERED:,} stored audiences | one page by httpx at {DELAY_MS} ms | ratio |",
        "|---|---|---|",
        f"| {_ms(firsts)} | {_ms(pages)} | {statistics.median(ratios):.2f} |",
    ]


def _first_answer(variables: dict[str, str]) -> float:
    server = Server([sys.executable, "-m", "audience_mcp"], variables)
    server.get_ready()
    began = time.perf_counter()
    answer = server.result(server.call("list_audiences", {"limit": 5}))
    took = time.perf_counter() - began
    assert answer["structuredContent"]["complete"], answer
    server.end()
    return took


async def _one_page(variables: dict[str, str]) -> float:
    """A page of a vendor, fetched by a process that has just been started: httpx is imported as well."""
    code = (
        "import sys,json,time\n"
        "v=json.loads(sys.stdin.readline()); sys.stdin.readline(); t=time.perf_counter()\n"
        "import httpx\n"
        "with httpx.Client(trust_env=False) as c:\n"
        " r=c.get(v['WHOP_BASE_URL']+'/audiences',params={'account_id':v['WHOP_ACCOUNT_ID'],'first':'100'},"
        "headers={'Authorization':'Bearer '+v['WHOP_API_KEY']})\n"
        " json.loads(r.content)\n"
        "print(time.perf_counter()-t)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate((json.dumps(variables) + "\n\n").encode())
    return float(out)


def storing(runs: int = TURNS) -> list[str]:
    """The same reading, in turns without a store, with shared turns alone, and stored; CPU of all threads."""
    plain: list[float] = []
    turned: list[float] = []
    stored: list[float] = []
    with vendor(STORED // 4, 0) as variables:
        _read(variables, None)
        for _ in range(runs):
            plain.append(_read(variables, None))
            for saves, cpu in (("no", turned), ("yes", stored)):
                with tempfile.TemporaryDirectory() as folder:
                    cpu.append(_read(variables, folder, saves))
    return [
        f"| {STORED:,} audiences | CPU | to not stored |",
        "|---|---|---|",
        f"| read | {statistics.median(plain):.2f} s | 1.00 |",
        f"| read, Batch at a pace that all processes share | {statistics.median(turned):.2f} s | "
        f"{_ratio(turned, plain):.2f} |",
        f"| read so, and stored | {statistics.median(stored):.2f} s | {_ratio(stored, plain):.2f} |",
        f"| storing alone | | {_ratio(stored, plain) - _ratio(turned, plain):.2f} |",
    ]


def _ratio(cpu: list[float], to: list[float]) -> float:
    """The median of the ratios of runs that took turns."""
    return statistics.median(each / other for each, other in zip(cpu, to, strict=True))


def _read(variables: dict[str, str], folder: str | None, saves: str = "yes") -> float:
    said = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.ours"],
        input=json.dumps(variables) + "\n\n",
        env={**os.environ, "BENCHMARK_STORE": folder or "", "BENCHMARK_SAVES": saves},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(said.stdout)["cpu"])


def year() -> list[str]:
    """A reading a day for a year; then a baseline of a month ago, beside reading all rows of now."""
    draw = random.Random(1)
    rows = [Row(str(n), f"Audience number {n}", draw.randrange(100_000)) for n in range(IN_A_YEAR)]
    now = _now_ms()
    with tempfile.TemporaryDirectory() as folder:
        clock = [now / 1000]
        store = SqliteStore(Path(folder), lambda: clock[0])
        for day in range(DAYS):
            moment = now - (DAYS - 1 - day) * DAY_MS
            clock[0] = moment / 1000
            for row in rows:
                if row.size is not None and draw.random() < CHANGING:
                    row.size += draw.randrange(-50, 60)
            for row in rows:
                row.size = max(0, row.size or 0)
            store.history(partial(_record, rows=rows, moment=moment))
        size = store.bytes()["history"]
        took = []
        for _ in range(TURNS):
            began = time.perf_counter()
            found = store.history(lambda part: part.baseline(owner(), now - 30 * DAY_MS, now))
            took.append(time.perf_counter() - began)
            assert isinstance(found, Baseline)
            assert len(found.audiences) == IN_A_YEAR
        store.close()
    return [
        f"| {IN_A_YEAR:,} audiences, {CHANGING:.0%} changing a day | a year of history | sizes a month ago |",
        "|---|---|---|",
        f"| | {size / 2**20:.1f} MiB | {_ms(took)} |",
    ]


def _record(part: HistoryPart, rows: list[Row], moment: int) -> None:
    part.record(owner(), rows, moment)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms"


PARTS = {"restart": restart, "storing": storing, "year": year}


def rows() -> Iterator[str]:
    """The tables."""
    for number, part in enumerate(PARTS.values()):
        if number:
            yield ""
        yield from part()


if __name__ == "__main__":
    print("\n".join(PARTS[sys.argv[1]]() if len(sys.argv) > 1 else rows()))

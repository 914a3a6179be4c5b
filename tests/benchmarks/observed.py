"""What it costs to be observed: `python -m tests.benchmarks.observed [SECONDS]` (5 a turn unless said).

Needs wrk (Debian: apt-get install wrk). Two servers over HTTP answer from warm readings of 5,000 audiences,
in turns and in alternating order: one lets everybody in and writes no line of a call; the other knows callers
by their tokens and shows each what a rule gives it, writes each call to a file, as JSON, and has its metrics
read every second. The CPU of a call is that of the server's process, the least of all turns: that is true
also on a machine that others use.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from tests.benchmarks.load import AUDIENCES, CLIENTS, HEADERS, asked, free_port, pressed, served
from tests.benchmarks.scale import vendor

TURNS = 8
SCRAPED_EVERY_S = 1.0
QUIET = {"AUDIENCE_MCP_LOG_LEVEL": "WARNING"}
TOKEN = "of-a-caller-whom-a-rule-gives-all-four"
KNOWN = {**HEADERS, "Authorization": f"Bearer {TOKEN}"}
OBSERVED = {
    "AUDIENCE_MCP_LOG_FORMAT": "json",
    "AUDIENCE_MCP_HTTP_TOKENS": f"load:{TOKEN},other:{TOKEN[::-1]}",
    "AUDIENCE_MCP_ACCESS": "token:load=commbox,batch,smallest,whop; token:other=whop",
}


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """The CPU time that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def scraped(port: int) -> Iterator[None]:
    """Ask a server for its metrics again and again."""
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(SCRAPED_EVERY_S):
            metrics = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=KNOWN)
            with urllib.request.urlopen(metrics, timeout=30) as response:
                assert b"audience_mcp_calls_total" in response.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def rows(seconds: float = 5) -> Iterator[str]:
    """The table's rows, as Markdown."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (Debian: apt-get install wrk)")
    quiet_at, observed_at = free_port(), free_port()
    with ExitStack() as stack:
        variables = stack.enter_context(vendor(AUDIENCES // 4, 0))
        variables |= {"AUDIENCE_MCP_CACHE_S": "86400", "BATCH_MAX_RPS": "1000", "AUDIENCE_MCP_STORE": "off"}
        log = stack.enter_context(tempfile.TemporaryFile())
        processes = []
        for port, settings, writes_to in ((quiet_at, QUIET, None), (observed_at, OBSERVED, log)):
            command = [sys.executable, "-m", "audience_mcp", "--http", "--port", str(port)]
            server = served(command, port, variables | settings, log=writes_to)
            processes.append(stack.enter_context(server))
            _, text = asked(port, KNOWN)
            assert f'\\"matched\\":{AUDIENCES}' in text.replace(" ", "")
            pressed(port, 2, headers=KNOWN)
        turns = []
        for number in range(TURNS):
            measured = {}
            for side in (0, 1) if number % 2 else (1, 0):
                before = cpu_seconds(processes[side])
                with scraped(observed_at) if side else nullcontext():
                    turn = pressed((quiet_at, observed_at)[side], seconds, headers=KNOWN)
                measured[side] = {**turn, "cpu": (cpu_seconds(processes[side]) - before) / turn["calls"]}
            turns.append((measured[0], measured[1]))
        lines = log.seek(0) or sum(1 for _ in log)
        assert lines > sum(observed["calls"] for _, observed in turns)
        yield f"| server | calls/s with {CLIENTS} clients | p50 | p99 | errors | CPU of a call |"
        yield "|---|---|---|---|---|---|"
        for side, name in enumerate(
            ("everybody let in, no line of a call", "tokens, rules, a line a call, metrics every second")
        ):
            per_second = statistics.median(turn[side]["calls"] / turn[side]["seconds"] for turn in turns)
            p50, p99 = (statistics.median(turn[side][key] for turn in turns) for key in ("p50", "p99"))
            errors = sum(turn[side]["errors"] for turn in turns)
            cpu = min(turn[side]["cpu"] for turn in turns) * 1e6
            measured_at = f"{per_second:,.0f} | {p50:,.0f} ms | {p99:,.0f} ms | {errors:.0f}"
            yield f"| {name} | {measured_at} | {cpu:,.0f} µs |"
        throughput = statistics.median(
            (observed["calls"] / observed["seconds"]) / (quiet["calls"] / quiet["seconds"])
            for quiet, observed in turns
        )
        cpu = min(observed["cpu"] for _, observed in turns) / min(quiet["cpu"] for quiet, _ in turns)
        yield f"| the second to the first | {throughput:.2f} |  |  |  | {cpu:.2f} |"


if __name__ == "__main__":
    print("\n".join(rows(float(sys.argv[1]) if len(sys.argv) > 1 else 5)))

"""Many clients at once over HTTP: `python -m tests.benchmarks.load [SECONDS]` (30 a turn unless said).

Needs wrk (Debian: apt-get install wrk). The server answers from warm readings of 5,000 audiences. In turns
with it, a bare server on the same SDK returns a ready text, and both send as many bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from tests.benchmarks.scale import vendor

CLIENTS = 200
AUDIENCES = 5_000
IDLE = 1_000
TURNS = 3
QUESTION = {"limit": 20}
VERSION = "2026-07-28"

BARE = """
import sys
import mcp_types as types, uvicorn
from mcp.server.lowlevel import Server
text = "x" * int(sys.argv[2])
async def tools(ctx, params):
    return types.ListToolsResult(tools=[types.Tool(name="list_audiences", input_schema={"type": "object"})])
async def call(ctx, params):
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])
server = Server("bare", version="1", on_list_tools=tools, on_call_tool=call)
app = server.streamable_http_app(stateless_http=True)
uvicorn.run(app, port=int(sys.argv[1]), http="h11", loop="asyncio", log_level="warning", access_log=False)
"""

SCRIPT = """
wrk.method = "POST"
wrk.body = [==[%s]==]
%s
if %s then
  -- Another page of the list each time, so that no answer can be kept.
  local asked = 0
  request = function()
    asked = (asked + 1) %% 4000
    return wrk.format(nil, nil, nil, (wrk.body:gsub('"limit"', '"offset": ' .. asked .. ', "limit"')))
  end
end
done = function(summary, latency, requests)
  io.write(string.format('RESULT {"calls": %%d, "errors": %%d, "seconds": %%f, "p50": %%f, "p99": %%f}\\n',
    summary.requests,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
      + summary.errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


def body() -> dict[str, object]:
    """The call, as a client of the newest protocol sends it."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "list_audiences", "arguments": QUESTION, "_meta": meta}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": VERSION,
    "Mcp-Method": "tools/call",
    "Mcp-Name": "list_audiences",
}


def asked(port: int, headers: Mapping[str, str] = HEADERS) -> tuple[int, str]:
    """One call: the bytes of the response, and its text."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/mcp", data=json.dumps(body()).encode(), headers=dict(headers)
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        raw = response.read()
    return len(raw), raw.decode()


def pressed(
    port: int, seconds: float, *, varied: bool = False, headers: Mapping[str, str] = HEADERS
) -> dict[str, float]:
    """What wrk measures with `CLIENTS` clients, each of which asks again as soon as it is answered.

    varied: whether each call is another question.
    """
    lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (json.dumps(body()), lines, str(varied).lower()))
        script.flush()
        url = f"http://127.0.0.1:{port}/mcp"
        shape = [f"-c{CLIENTS}", "-t1", f"-d{seconds:g}s", "--timeout", "30s"]
        command = ["wrk", *shape, "-s", script.name, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (result,) = re.findall(r"^RESULT (.+)$", said, re.M)
    return dict(json.loads(result))


def different(port: int, seconds: float) -> list[dict[str, float]]:
    """As many turns in which each call is another question."""
    return [pressed(port, seconds, varied=True) for _ in range(TURNS)]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(
    command: list[str], port: int, variables: dict[str, str], log: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, once it listens. log: where its log goes, if anywhere."""
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    stderr = subprocess.DEVNULL if log is None else log
    with subprocess.Popen(
        command, env={**passed_on, **variables}, stderr=stderr, stdout=subprocess.DEVNULL
    ) as process:
        try:
            for _ in range(600):
                with socket.socket() as trial:
                    if trial.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()


def memory(process: subprocess.Popen[bytes]) -> float:
    """MiB that are resident now."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def latency_beside_idle(port: int) -> float:
    """Milliseconds of a call, at the median, while `IDLE` further connections are open and say nothing."""
    with ExitStack() as held:
        for _ in range(IDLE):
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        taken = []
        for _ in range(50):
            began = time.perf_counter()
            asked(port)
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def rows(seconds: float = 30) -> Iterator[str]:
    """The tables' rows, as Markdown."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (Debian: apt-get install wrk)")
    ours_at, bare_at = free_port(), free_port()
    with ExitStack() as stack:
        variables = stack.enter_context(vendor(AUDIENCES // 4, 0))
        settings = {"AUDIENCE_MCP_CACHE_S": "86400", "BATCH_MAX_RPS": "1000", "AUDIENCE_MCP_STORE": "off"}
        command = [sys.executable, "-m", "audience_mcp", "--http", "--port", str(ours_at)]
        ours = stack.enter_context(served(command, ours_at, variables | settings))
        length, text = asked(ours_at)
        assert f'\\"matched\\":{AUDIENCES}' in text.replace(" ", "")
        assert '"isError":true' not in text
        empty = [sys.executable, "-c", BARE, str(bare_at)]
        with served([*empty, "0"], bare_at, {}):
            overhead, _ = asked(bare_at)
        stack.enter_context(served([*empty, str(length - overhead)], bare_at, {}))
        assert asked(bare_at)[0] == length
        pressed(ours_at, seconds)  # until memory has settled
        pressed(bare_at, 2)
        before = memory(ours)
        pairs = [(pressed(ours_at, seconds), pressed(bare_at, seconds)) for _ in range(TURNS)]
        after = memory(ours)
        # Last, since what nobody waits for any more is still being composed when a turn has ended.
        turns = [(*pair, varied) for pair, varied in zip(pairs, different(ours_at, seconds), strict=True)]
        calls = sum(mine["calls"] for mine, _ in pairs)
        yield f"| server | calls/s with {CLIENTS} clients | p50 | p99 | errors |"
        yield "|---|---|---|---|---|"
        names = ("audience-mcp", "bare SDK server, a ready text", "audience-mcp, another question each time")
        for side, name in enumerate(names):
            per_second = statistics.median(turn[side]["calls"] / turn[side]["seconds"] for turn in turns)
            p50, p99 = (statistics.median(turn[side][key] for turn in turns) for key in ("p50", "p99"))
            errors = sum(turn[side]["errors"] for turn in turns)
            yield f"| {name} | {per_second:,.0f} | {p50:,.0f} ms | {p99:,.0f} ms | {errors:.0f} |"
        throughput = statistics.median(
            (mine["calls"] / mine["seconds"]) / (bare["calls"] / bare["seconds"]) for mine, bare, _ in turns
        )
        p99 = statistics.median(mine["p99"] / bare["p99"] for mine, bare, _ in turns)
        yield f"| the first to the second | {throughput:.2f} |  | {p99:.2f} |  |"
        yield ""
        beside_idle = latency_beside_idle(ours_at)
        yield (
            f"An answer has {length:,} bytes; a turn took {seconds:g} s. Memory went from {before:.0f} to "
            f"{after:.0f} MiB over {calls:,.0f} calls."
        )
        yield f"With {IDLE:,} idle connections beside it, a call takes {beside_idle:.1f} ms."


if __name__ == "__main__":
    print("\n".join(rows(float(sys.argv[1]) if len(sys.argv) > 1 else 30)))

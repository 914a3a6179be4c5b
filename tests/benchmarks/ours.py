"""The same work through the catalog, in a process like the floor's: `python -m tests.benchmarks.ours`."""

from __future__ import annotations

import json
import sys
import time

import anyio

from audience_mcp.catalog import open_catalog
from audience_mcp.collector import settle
from audience_mcp.config import configuration
from audience_mcp.questions import ListQuestion
from audience_mcp.vendors import vendors
from tests.benchmarks.floor import used


async def total(variables: dict[str, str]) -> int:
    settings = {"AUDIENCE_MCP_DEADLINE_S": "3600", "BATCH_MAX_RPS": "1000"}
    configured = configuration(variables | settings, vendors().values())
    async with open_catalog(configured) as catalog:
        answer = await catalog.list_audiences(ListQuestion(limit=0))
        assert answer.complete
        return answer.matched


def main() -> None:
    settle()  # as the program does at its start
    variables = json.loads(sys.stdin.readline())
    sys.stdin.readline()
    before, began = used()["cpu"], time.perf_counter()
    rows = anyio.run(total, variables)
    wall = time.perf_counter() - began
    after = used()
    print(json.dumps({"rows": rows, "wall": wall, "cpu": after["cpu"] - before, "peak": after["peak"]}))


if __name__ == "__main__":
    main()

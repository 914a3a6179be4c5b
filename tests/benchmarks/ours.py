"""The same work through the catalog, in a process like the floor's: `python -m tests.benchmarks.ours`."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import anyio

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.catalog.query import ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.process import tune_gc
from audience_mcp.store import open_store
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.shared import SharedPart
from audience_mcp.vendors.registry import load_vendors
from tests.benchmarks.floor import used


async def total(variables: dict[str, str]) -> int:
    settings = {"AUDIENCE_MCP_DEADLINE_S": "3600", "BATCH_MAX_RPS": "1000"}
    configured = load_configuration(variables | settings, load_vendors().values())
    folder = os.environ.get("BENCHMARK_STORE")
    store = open_store(folder) if folder else None
    if store is not None and os.environ.get("BENCHMARK_SAVES") == "no":
        SharedPart.save_reading = HistoryPart.record = _save_nothing  # type: ignore[method-assign]
    async with open_catalog(configured, store=store) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
        assert answer.complete
        if store is not None:
            await store.saved()
        return answer.matched


def _save_nothing(*arguments: Any, **options: Any) -> Any:
    """In place of what saves, so that only what processes share of a vendor's pace is left."""


def main() -> None:
    tune_gc()  # as the program does at its start
    variables = json.loads(sys.stdin.readline())
    sys.stdin.readline()
    before, began = used()["cpu"], time.perf_counter()
    rows = anyio.run(total, variables)
    wall = time.perf_counter() - began
    after = used()
    print(json.dumps({"rows": rows, "wall": wall, "cpu": after["cpu"] - before, "peak": after["peak"]}))


if __name__ == "__main__":
    main()

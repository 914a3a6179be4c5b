"""Meta as the contract suite sees it, served by the sandbox's imitation of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.sandbox import meta
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors

ROWS = meta.meta_rows()


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These rows as Meta serves them, and the variables that lead there."""
    async with serve_api(lambda asked: answer_as(meta, asked, rows)) as (origin, asked):
        yield Served(meta.environment(origin), asked)


def facts(raw: Any) -> Facts:
    low = raw["approximate_count_lower_bound"]
    types = {"CUSTOM": "static", "LOOKALIKE": "lookalike"}
    operation, delivery = raw["operation_status"]["code"], raw["delivery_status"]["code"]
    status = {441: "processing", 433: "failed"}.get(operation, "ready" if delivery == 200 else "unknown")
    return Facts(raw["name"], None if low < 0 else low, types.get(raw["subtype"], "dynamic"), status)


CASE = Case(
    vendor=built_in_vendors()["meta"],
    serve=served,
    rows=[*ROWS, *({**ROWS[0], "id": str(900 + n), "name": f"Upload {n}"} for n in range(180))],
    facts=facts,
    dates=("time_created", "time_updated"),
    new_id=lambda n: str(7_000_000 + n),
    unknown_id="99999999",
    largest_page=("limit", "200"),
    wrong={"account": "5550001112223"},
)

"""Braze as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.vendors.braze import api


def uuid(number: int) -> str:
    return f"8d2f6b14-90ab-4cde-8f01-{number:012x}"


def row(number: int, name: str, size: object, **more: object) -> dict[str, object]:
    flags = {"analytics_tracking_enabled": True, "tags": ["travel"]}
    return {"id": uuid(number), "name": name, **flags, "size": size, **more}


ROWS = [
    row(1, "Ferry riders", 1_204),
    row(2, "All users – 全員", 3_204_117),
    row(3, "Nobody", 0),
    row(4, "No series", None, series=[]),
    *(row(10 + n, f"Route {n}", 13 * n) for n in range(110)),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {"BRAZE_API_KEY": api.KEY, "BRAZE_REST_ENDPOINT": origin}
        yield Served({**variables, "AUDIENCE_MCP_DEADLINE_S": "3600"}, asked)


def facts(raw: Any) -> Facts:
    return Facts(raw["name"], raw["size"], "dynamic")


def requests(rows: Sequence[object]) -> int:
    """Pages, one more where the last one was full, and a count for each segment."""
    return len(rows) // 100 + 1 + len(rows)


CASE = Case(
    vendor=built_in_vendors()["braze"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="size",
    dates=(),
    new_id=lambda n: uuid(900_000 + n),
    unknown_id=uuid(999_999),
    size_note=f"Braze's estimate of {api.DAY}",
    counts=1,
    requests=requests,
    clock=FakeClock,
)

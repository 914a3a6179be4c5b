"""Iterable as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.vendors.iterable import api


def a_list(id: int, name: str, size: int, type: str = "Standard", **more: object) -> dict[str, object]:
    return {
        "id": id,
        "name": name,
        "description": f"About {name}",
        "createdAt": 1_735_689_600_000 + id,
        "listType": type,
        "size": size,
        **more,
    }


ROWS = [
    a_list(1000, "Newsletter", 18_204),
    a_list(1001, "Großkunden", 0, "Dynamic"),
    a_list(1002, "Blocked", 12, "Suppression", isGlobalSuppressionEnabled=False),
    a_list(1003, "社内", 5, "Internal"),
    *(a_list(2000 + n, f"Shop {n}", 7 * n) for n in range(8)),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        yield Served(
            {"ITERABLE_API_KEY": api.KEY, "ITERABLE_BASE_URL": origin, "AUDIENCE_MCP_DEADLINE_S": "3600"},
            asked,
        )


def facts(raw: Any) -> Facts:
    types = {"Standard": "static", "Suppression": "static", "Dynamic": "dynamic"}
    return Facts(raw["name"], raw["size"], types.get(raw["listType"], "unknown"))


CASE = Case(
    vendor=built_in_vendors()["iterable"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="size",
    dates=("createdAt",),
    new_id=lambda n: str(70_000 + n),
    unknown_id="99999",
    counts=1,
    clock=FakeClock,
)

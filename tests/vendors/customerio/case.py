"""Customer.io as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.vendors.customerio import api


def row(
    id: int, name: str, count: object, type: str = "dynamic", state: str = "finished", **more: object
) -> dict[str, object]:
    return {
        "id": id,
        "deduplicate_id": f"{id}:1767225600",
        "name": name,
        "description": "",
        "state": state,
        "progress": None,
        "type": type,
        "tags": None,
        "created_at": 1_767_000_000 + id,
        "updated_at": 1_767_225_600 + id,
        "count": count,
        **more,
    }


ROWS = [
    row(4, "VIP", 812, "manual", description="Picked by hand", tags=["vip"]),
    row(5, "Winter trial", 9_120),
    row(6, "Being built", 0, state="build", progress=40),
    row(7, "Queued again", 71, state="events_queued"),
    row(8, "Nobody", 0),
    row(9, "Neue Kunden – Österreich", 377, "newer type"),
    row(10, "Strange state", 12, state="archived"),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {"CUSTOMERIO_APP_API_KEY": api.KEY, "CUSTOMERIO_BASE_URL": f"{origin}/v1"}
        yield Served({**variables, "AUDIENCE_MCP_DEADLINE_S": "3600"}, asked)


def facts(raw: Any) -> Facts:
    words = {"finished": "ready", "archived": "unknown"}
    status = words.get(raw["state"], "processing")
    uncounted = status != "ready" and raw["count"] == 0
    types = {"manual": "static", "dynamic": "dynamic"}
    return Facts(raw["name"], None if uncounted else raw["count"], types.get(raw["type"], "unknown"), status)


CASE = Case(
    vendor=built_in_vendors()["customerio"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="count",
    dates=("created_at", "updated_at"),
    new_id=lambda n: str(90_000 + n),
    unknown_id="99999999",
    counts=1,
    clock=FakeClock,
)

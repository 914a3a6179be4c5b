"""HubSpot as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.sandbox import hubspot as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors

TYPES = {"DYNAMIC": "dynamic", "MANUAL": "static", "SNAPSHOT": "static"}
STATUSES = {"COMPLETE": "ready", "PROCESSING": "processing"}


def a_list(id: int, name: str, size: int | None, kind: str = "MANUAL", **more: object) -> dict[str, object]:
    row = {
        "listId": str(id),
        "name": name,
        "objectTypeId": "0-1",
        "processingType": kind,
        "processingStatus": "COMPLETE",
        "createdAt": "2026-01-05T08:00:01.120Z",
        "updatedAt": "2026-02-07T10:11:12.000Z",
        **more,
    }
    return row if size is None else {**row, "size": size}


ROWS = [
    a_list(4021, "Harbour leads", 1204),
    a_list(4022, "Newsletter – Abonnés", 18_204, "DYNAMIC"),
    a_list(4023, "Filtered once", 7, "SNAPSHOT"),
    a_list(4024, "Being made", 3, "DYNAMIC", processingStatus="PROCESSING"),
    a_list(4025, "No longer updated", 40, "DYNAMIC", processingStatus="PAUSED"),
    a_list(4026, "Never counted", None, "DYNAMIC"),
    a_list(4027, "Accounts", 12, objectTypeId="0-2", hs_description="Companies with a contract"),
    *(a_list(5000 + n, f"Shop {n}", 7 * n) for n in range(510)),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists, and the variables that lead to them."""
    async with serve_api(lambda asked: answer_as(api, asked, rows)) as (origin, asked):
        yield Served({"HUBSPOT_ACCESS_TOKEN": api.KEY, "HUBSPOT_BASE_URL": origin}, asked)


def facts(raw: Any) -> Facts:
    status = STATUSES.get(raw["processingStatus"], "unknown")
    return Facts(raw["name"], raw.get("size"), TYPES[raw["processingType"]], status)


CASE = Case(
    vendor=built_in_vendors()["hubspot"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="size",
    dates=("createdAt", "updatedAt"),
    new_id=lambda n: str(90_000 + n),
    unknown_id="99999",
    largest_page=("count", "500"),
)

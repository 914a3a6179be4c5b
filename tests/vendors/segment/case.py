"""Segment as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.segment import api


def row(id: str, name: str, count: float | None, status: str = "Live", **more: object) -> dict[str, object]:
    return {
        "id": id,
        "spaceId": api.SPACE,
        "name": name,
        "key": name.lower(),
        "description": "",
        "enabled": True,
        "definition": {"query": "event('A')"},
        "status": status,
        "audienceType": "USERS",
        "computeCadence": {"type": "REALTIME"},
        "count": count,
        "uniqueCount": None,
        "options": {"filterByExternalIds": ["user_id"]},
        "createdBy": "u1",
        "updatedBy": "u1",
        "createdAt": "2026-02-01T09:00:00.000Z",
        "updatedAt": "2026-02-02T09:00:00.000Z",
        **more,
    }


ROWS = [
    row("aud_1", "VIP", 812, uniqueCount=790, description="Bought twice"),
    row("aud_2", "Firmen – Österreich", 77, audienceType="ACCOUNTS", counts="ACCOUNTS"),
    row("aud_3", "Backfilling", 9, "Backfilling"),
    row("aud_4", "Broken", None, "Failed"),
    row("aud_5", "Switched off", 31, "Disabled"),
    row("aud_6", "Waits", None, "Awaiting Destinations"),
    row("aud_7", "As a fraction would be", 812.0),
    row("aud_8", "Newer word", 5, "Hibernating"),
    *(row(f"aud_s{n}", f"Shop {n}", 11 * n) for n in range(205)),
]


@asynccontextmanager
async def served(
    rows: Sequence[object], paging: Literal["heeded", "ignored"] = "heeded"
) -> AsyncIterator[Served]:
    """These audiences, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows, paging)) as (origin, asked):
        variables = {"SEGMENT_PUBLIC_API_TOKEN": api.KEY, "SEGMENT_SPACE_ID": api.SPACE}
        yield Served({**variables, "SEGMENT_BASE_URL": origin}, asked)


def facts(raw: Any) -> Facts:
    words = {"Live": "ready", "Disabled": "ready", "Backfilling": "processing", "Failed": "failed"}
    size = None if raw["count"] is None else int(raw["count"])
    return Facts(raw["name"], size, "dynamic", words.get(raw["status"], "unknown"))


CASE = Case(
    vendor=built_in_vendors()["segment"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("createdAt", "updatedAt"),
    new_id=lambda n: f"aud_n{n}",
    unknown_id="aud_99999",
    largest_page=("pagination.count", "200"),
    wrong={"space": "spa_2"},
)

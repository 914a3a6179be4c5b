"""Brevo as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.brevo import api


def a_list(id: int, name: str, size: int, **alone: object) -> dict[str, object]:
    counts = {"uniqueSubscribers": size, "totalSubscribers": 0, "totalBlacklisted": 0}
    return {"id": id, "name": name, "folderId": 3, **counts, **alone}


def a_segment(id: int, name: str) -> dict[str, object]:
    return {"id": id, "segmentName": name, "categoryName": "Custom", "updatedAt": "2026-02-03T04:05:06Z"}


ROWS = [
    a_list(8, "Tasting club", 940),
    a_list(9, "Newsletter – Abonnés", 18_204),
    a_list(10, "Nobody yet", 0),
    *(a_list(20 + n, f"Shop {n}", 7 * n) for n in range(110)),
    a_segment(8, "Lapsed"),
    a_segment(11, "Großkunden"),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists and segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        yield Served({"BREVO_API_KEY": api.KEY, "BREVO_BASE_URL": f"{origin}/v3"}, asked)


def facts(raw: Any) -> Facts:
    if "segmentName" in raw:
        return Facts(raw["segmentName"], None, "dynamic")
    return Facts(raw["name"], raw["uniqueSubscribers"], "unknown")


def full_id(raw: Mapping[str, object]) -> str:
    return f"{'segment' if 'segmentName' in raw else 'list'}-{raw['id']}"


def requests(rows: Sequence[object]) -> int:
    """Pages of lists, and one of segments at least."""
    segments = sum(isinstance(row, dict) and "segmentName" in row for row in rows)
    return max(1, -(-(len(rows) - segments) // 50)) + max(1, -(-segments // 50))


CASE = Case(
    vendor=built_in_vendors()["brevo"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=(),
    new_id=lambda n: str(90_000 + n),
    unknown_id="list-99999",
    largest_page=("limit", "50"),
    full_id=full_id,
    requests=requests,
)

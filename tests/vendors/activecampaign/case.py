"""ActiveCampaign as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.activecampaign import NO_LISTS
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.vendors.activecampaign import api


def a_list(id: int, name: str, count: int | None, **more: object) -> dict[str, object]:
    return {
        "id": str(id),
        "name": name,
        "stringid": name.lower(),
        "channel": "email",
        "private": "0",
        "cdate": "2025-03-01T09:10:11-06:00",
        "udate": "2025-04-01T09:10:11-06:00",
        "deletestamp": None,
        "non_deleted_subscribers": "9999",
        "count": count,
        **more,
    }


def a_segment(number: int, name: str, count: int | None) -> dict[str, object]:
    return {
        "id": f"5f0c1b6e-0000-4000-8000-{number:012x}",
        "segment": True,
        "name": name,
        "created_date": "2025-12-01T10:00:00.000Z",
        "updated_date": "2026-01-01T10:00:00.000Z",
        "count": count,
    }


ROWS = [
    a_list(7, "Kiln news", 812),
    a_list(8, "Rappels – SMS", 91, channel="sms"),
    a_list(9, "Nobody", 0),
    a_list(10, "Without counts", None),
    a_list(11, "Deleted", 4, deletestamp="2026-01-01 00:00:00"),
    *(a_list(100 + n, f"Shop {n}", 3 * n) for n in range(105)),
    a_segment(1, "Big orders", 120),
    a_segment(2, "Never evaluated", None),
]


@asynccontextmanager
async def served(
    rows: Sequence[object],
    total: Literal["told", "0", "absent"] = "told",
    segments_allowed: bool = True,
) -> AsyncIterator[Served]:
    """These lists and segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows, total, segments_allowed)) as (origin, asked):
        variables = {"ACTIVECAMPAIGN_URL": origin, "ACTIVECAMPAIGN_API_KEY": api.KEY}
        yield Served({**variables, "AUDIENCE_MCP_DEADLINE_S": "3600"}, asked)


def facts(raw: Any) -> Facts:
    if not api.is_segment(raw) and raw["deletestamp"]:
        return Facts(raw["name"], None, status="unknown")
    if not api.is_segment(raw):
        return Facts(raw["name"], raw["count"])
    return Facts(raw["name"], raw["count"], "dynamic", "processing" if raw["count"] is None else "ready")


def full_id(raw: Mapping[str, object]) -> str:
    return f"{'segment' if api.is_segment(raw) else 'list'}-{raw['id']}"


def requests(rows: Sequence[object]) -> int:
    """Pages of a hundred lists, and of a thousand segments."""
    segments = sum(api.is_segment(row) for row in rows)
    return max(1, -(-(len(rows) - segments) // 100)) + segments // 1000 + 1


CASE = Case(
    vendor=built_in_vendors()["activecampaign"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="count",
    dates=("cdate", "udate"),
    new_id=lambda n: str(90_000 + n),
    unknown_id="list-99999999",
    largest_page=("limit", "100"),
    empty_note=NO_LISTS,
    full_id=full_id,
    requests=requests,
    clock=FakeClock,
)

"""Klaviyo as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.sandbox import klaviyo as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock

DATES = {"created": "2026-01-02T03:04:05+00:00", "updated": "2026-02-02T03:04:05+00:00"}


def a_list(id: str, name: str, size: int) -> dict[str, object]:
    return {
        "id": id,
        "kind": "list",
        "name": name,
        **DATES,
        "opt_in_process": "double_opt_in",
        "profile_count": size,
    }


def a_segment(id: str, name: str, size: int, **more: object) -> dict[str, object]:
    flags = {"is_active": True, "is_processing": False, "is_starred": False}
    return {"id": id, "kind": "segment", "name": name, **DATES, **flags, "profile_count": size, **more}


ROWS = [
    a_list("Yx12ab", "Newsletter – Abonnés", 18_204),
    a_list("Qw34cd", "VIP", 412),
    *(a_list(f"Li{n:04}", f"Shop {n}", 7 * n) for n in range(12)),
    a_segment("Tq4Wz9", "Night owls", 1204),
    a_segment("Zz0001", "Being evaluated", 77, is_processing=True),
    a_segment("Zz0002", "Frozen", 5, is_active=False),
    {k: v for k, v in a_segment("Zz0003", "Left out", 0).items() if k != "profile_count"},
    *(a_segment(f"Se{n:04}", f"Segment {n}", n) for n in range(104)),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists and segments, and the variables that lead to them."""
    async with serve_api(lambda asked: answer_as(api, asked, rows)) as (origin, asked):
        variables = {"KLAVIYO_API_KEY": api.KEY, "KLAVIYO_BASE_URL": origin}
        yield Served({**variables, "AUDIENCE_MCP_DEADLINE_S": "3600"}, asked)


def facts(raw: Any) -> Facts:
    if raw["kind"] != "segment":
        return Facts(raw["name"], raw.get("profile_count"))
    return Facts(
        raw["name"], raw.get("profile_count"), "dynamic", "processing" if raw["is_processing"] else "ready"
    )


def full_id(raw: Mapping[str, object]) -> str:
    return f"{'segment' if raw['kind'] == 'segment' else 'list'}-{raw['id']}"


def requests(rows: Sequence[object]) -> int:
    """Pages of ten of each kind; a count a list, and one for a hundred segments."""
    segments = sum(isinstance(row, dict) and row.get("kind") == "segment" for row in rows)
    lists = len(rows) - segments
    pages = max(1, -(-lists // 10)) + max(1, -(-segments // 10))
    return int(pages + lists + -(-segments // 100))


CASE = Case(
    vendor=built_in_vendors()["klaviyo"],
    serve=served,
    rows=ROWS,
    sample=ROWS[1],
    facts=facts,
    dates=("created", "updated"),
    new_id=lambda n: f"New{n:05}",
    unknown_id="list-Nobody",
    largest_page=("page[size]", "10"),
    full_id=full_id,
    counts=1,
    requests=requests,
    clock=FakeClock,
)

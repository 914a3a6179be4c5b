"""beehiiv as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.vendors.beehiiv import api


def a_segment(
    number: int, name: str, size: int, status: str = "completed", **more: object
) -> dict[str, object]:
    return {
        "id": f"seg_0f0c3e5a-1b2c-4d3e-8f90-{number:012x}",
        "kind": "segment",
        "name": name,
        "type": "dynamic",
        "last_calculated": 1_795_849_200,
        "total_results": size,
        "status": status,
        "active": True,
        **more,
    }


def a_list(number: int, name: str, size: int) -> dict[str, object]:
    return {
        "id": f"nl_0f0c3e5a-1b2c-4d3e-8f90-{number:012x}",
        "kind": "list",
        "name": name,
        "slug": f"list-{number}",
        "description": f"About {name}",
        "status": "active",
        "auto_subscribe": False,
        "total_results": size,
        "created_at": 1_767_225_600,
        "updated_at": 1_795_849_200,
    }


ROWS = [
    a_segment(1, "Käufer 90 days", 1_204),
    a_segment(2, "Uploaded", 40, type="static"),
    a_segment(3, "By hand", 0, type="manual"),
    a_segment(4, "New", 12, "pending"),
    a_segment(5, "Counting again", 900, "processing"),
    a_segment(6, "Broken", 31, "failed"),
    *(a_segment(100 + n, f"City {n}", 3 * n) for n in range(110)),
    a_list(1, "Weekly", 18_204),
    a_list(2, "週刊", 0),
]


@asynccontextmanager
async def served(rows: Sequence[object], *, has_lists: bool = True) -> AsyncIterator[Served]:
    """These segments and lists, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows, has_lists=has_lists)) as (origin, asked):
        variables = {"BEEHIIV_API_KEY": api.KEY, "BEEHIIV_PUBLICATION_ID": api.PUBLICATION}
        yield Served({**variables, "BEEHIIV_BASE_URL": f"{origin}/v2"}, asked)


def facts(raw: Any) -> Facts:
    if api.is_list(raw):
        return Facts(raw["name"], raw["total_results"])
    status = {"completed": "ready", "pending": "processing"}.get(raw["status"], str(raw["status"]))
    type = "dynamic" if raw["type"] == "dynamic" else "static"
    return Facts(raw["name"], None if raw["status"] == "pending" else raw["total_results"], type, status)


def full_id(raw: Mapping[str, object]) -> str:
    return f"{'list' if api.is_list(raw) else 'segment'}-{raw['id']}"


def requests(rows: Sequence[object]) -> int:
    """Pages of a hundred of each kind."""
    lists = sum(api.is_list(row) for row in rows)
    return max(1, -(-(len(rows) - lists) // 100)) + max(1, -(-lists // 100))


CASE = Case(
    vendor=built_in_vendors()["beehiiv"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=(),
    new_id=lambda n: f"seg_1f0c3e5a-1b2c-4d3e-8f90-{n:012x}",
    unknown_id="segment-seg_2f0c3e5a-1b2c-4d3e-8f90-ffffffffffff",
    largest_page=("limit", "100"),
    wrong={"publication": "pub_ffffffff-1b2c-4d3e-8f90-a1b2c3d4e5f6"},
    full_id=full_id,
    requests=requests,
    clock=FakeClock,
)

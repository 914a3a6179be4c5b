"""OneSignal as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.vendors.onesignal import api


def uuid(number: int) -> str:
    return f"0b9d3c52-7a41-4c55-9a0e-{number:012x}"


def row(number: int, name: str, count: object, **more: object) -> dict[str, object]:
    return {
        "id": uuid(number),
        "name": name,
        "created_at": f"2026-03-{1 + number % 28:02}T07:08:09.123Z",
        "updated_at": f"2026-04-{1 + number % 28:02}T05:06:07.000Z",
        "app_id": api.APP,
        "read_only": False,
        "is_active": True,
        "subscriber_count": count,
        **more,
    }


ROWS = [
    row(1, "Subscribed Users", 204_881, read_only=True),
    row(2, "Lapsed readers", 1_204),
    row(3, "Été – promo", 0),
    row(4, "Paused", 77, is_active=False),
    row(5, api.NEVER_COUNTED, 5),
]


@asynccontextmanager
async def served(rows: Sequence[object], total: Literal["all", "page"] = "all") -> AsyncIterator[Served]:
    """These segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows, total)) as (origin, asked):
        variables = {"ONESIGNAL_REST_API_KEY": api.KEY, "ONESIGNAL_APP_ID": api.APP}
        yield Served(
            {**variables, "ONESIGNAL_BASE_URL": origin, "AUDIENCE_MCP_DEADLINE_S": "3600"},
            asked,
        )


def facts(raw: Any) -> Facts:
    size = None if raw["name"] == api.NEVER_COUNTED else raw["subscriber_count"]
    return Facts(raw["name"], size, "dynamic", "ready" if raw["is_active"] else "unknown")


def requests(rows: Sequence[object]) -> int:
    """Pages, one more where the last one was full, and a count for each segment."""
    return len(rows) // 300 + 1 + len(rows)


CASE = Case(
    vendor=built_in_vendors()["onesignal"],
    serve=served,
    rows=ROWS,
    sample=ROWS[1],
    facts=facts,
    size="subscriber_count",
    dates=("created_at", "updated_at"),
    new_id=lambda n: uuid(900_000 + n),
    unknown_id=uuid(999_999),
    largest_page=("limit", "300"),
    wrong={"app_id": uuid(0)},
    counts=1,
    requests=requests,
    clock=FakeClock,
)

"""Ghost as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.sandbox import ghost as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.sandbox.ghost import a_label, a_newsletter
from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors

ROWS = [
    a_label(1, "VIP", 96),
    a_label(2, "Käufer <b>", 0),
    *(a_label(0x100 + n, f"Event {n}", 3 * n) for n in range(120)),
    a_newsletter(1, "Weekly letter", 18_204, description="Every Friday", suppressed=12),
    a_newsletter(2, "週刊ニュース", 0),
    a_newsletter(3, "Closed", 77, status="archived"),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These labels and newsletters, and the variables that lead to them."""
    async with serve_api(lambda asked: answer_as(api, asked, rows)) as (origin, asked):
        yield Served({**api.environment(""), "GHOST_URL": origin}, asked)


def facts(raw: Any) -> Facts:
    return Facts(raw["name"], raw["members"])


def full_id(raw: Mapping[str, object]) -> str:
    return f"{api.kind_of(raw)}-{raw['id']}"


def requests(rows: Sequence[object]) -> int:
    """Pages of a hundred of each kind."""
    letters = sum(api.kind_of(row) == "newsletter" for row in rows)
    return max(1, -(-(len(rows) - letters) // 100)) + max(1, -(-letters // 100))


CASE = Case(
    vendor=built_in_vendors()["ghost"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("created_at", "updated_at"),
    new_id=lambda n: f"{n + 0x99000:024x}",
    unknown_id="label-" + "f" * 24,
    largest_page=("limit", "100"),
    wrong={"api_key": f"{api.KEY[:24]}:{'0' * 64}"},
    full_id=full_id,
    requests=requests,
)

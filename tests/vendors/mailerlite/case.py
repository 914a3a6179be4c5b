"""MailerLite as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.mailerlite import api


def a_group(id: int, name: str, size: int) -> dict[str, object]:
    return {
        "id": str(145 * 10**15 + id),
        "name": name,
        "active_count": size,
        "sent_count": 12,
        "open_rate": {"float": 0.4166, "string": "41.66%"},
        "unsubscribed_count": 31,
        "created_at": "2026-02-03 04:05:06",
    }


def a_segment(id: int, name: str, size: int) -> dict[str, object]:
    return {
        "id": str(146 * 10**15 + id),
        "name": name,
        "active_count": size,
        "segment": True,
        "created_at": "2026-02-03 04:05:06",
    }


ROWS = [
    a_group(1, "Tasting club", 940),
    a_group(2, "Newsletter – Abonnés", 18_204),
    *(a_group(100 + n, f"Shop {n}", 7 * n) for n in range(120)),
    a_segment(1, "Lapsed", 57),
    a_segment(2, "Großkunden", 0),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These groups and segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        yield Served({"MAILERLITE_API_KEY": api.KEY, "MAILERLITE_BASE_URL": f"{origin}/api"}, asked)


def facts(raw: Any) -> Facts:
    return Facts(raw["name"], raw["active_count"], "dynamic" if api.is_segment(raw) else "static")


def full_id(raw: Mapping[str, object]) -> str:
    return f"{'segment' if api.is_segment(raw) else 'group'}-{raw['id']}"


def requests(rows: Sequence[object]) -> int:
    """Pages of a hundred groups, and one of segments."""
    segments = sum(api.is_segment(row) for row in rows)
    return max(1, -(-(len(rows) - segments) // 100)) + 1


CASE = Case(
    vendor=built_in_vendors()["mailerlite"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("created_at",),
    new_id=lambda n: str(147 * 10**15 + n),
    unknown_id="group-99999",
    largest_page=("limit", "100"),
    other_pages=("250",),
    full_id=full_id,
    requests=requests,
)

"""TikTok as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.tiktok import api


def row(id: int, name: str, size: int | None, type: str = "Customer File", **more: object) -> dict[str, Any]:
    return {
        "audience_id": str(102_400_000_000 + id),
        "name": name,
        "audience_type": type,
        "cover_num": size,
        "is_valid": True,
        "is_expiring": False,
        "expired_time": "2027-06-01 00:00:00",
        "create_time": "2026-01-13 13:44:30",
        "calculate_type": "AND",
        "shared": False,
        "is_creator": True,
        **more,
    }


ROWS = [
    row(1, "VIP", 5_300),
    row(2, "Website Visitors 30d", 152_000, "Website Traffic"),
    row(3, "Käufer – 2026", 18_200, "Engagement"),
    row(4, "Like VIP (narrow)", 2_000_000, "Lookalike Audience"),
    row(5, "Uploaded today", 0, is_valid=False),
    row(6, "No number", None, "App Activity"),
    row(7, "Expiring", 1_900, is_expiring=True, is_valid=False),
    row(8, "Shared by the agency", 77_000, "A_WORD_OF_NEXT_YEAR", shared=True, is_creator=False),
    *(row(100 + n, f"Shop {n}", 1_000 + 11 * n) for n in range(200)),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These audiences, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {"TIKTOK_ACCESS_TOKEN": api.KEY, "TIKTOK_ADVERTISER_ID": api.ADVERTISER}
        yield Served({**variables, "TIKTOK_BASE_URL": f"{origin}/open_api/v1.3"}, asked)


def facts(raw: Any) -> Facts:
    like = "lookalike" in raw["audience_type"].lower()
    size = raw["cover_num"] or None
    return Facts(raw["name"], size, "lookalike" if like else "unknown", "ready" if size else "processing")


CASE = Case(
    vendor=built_in_vendors()["tiktok"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=(),
    new_id=lambda n: str(9_000_000 + n),
    unknown_id="99999",
    largest_page=("page_size", "100"),
    wrong={"advertiser": "7012345678901234568"},
    zero_is_unknown=True,
)

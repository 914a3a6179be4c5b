"""OpenAI Ads as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.openaiads import api


def row(id: int, name: str, matched: object, status: str = "ready", **more: object) -> dict[str, object]:
    return {
        "id": f"caud_{id:012d}",
        "created_at": 1_783_962_000 + id,
        "updated_at": 1_784_048_400 + id,
        "name": name,
        "description": None,
        "status": status,
        "hash_spec_version": "custom_audience_join_hash_v1",
        "uploaded_identifier_count_range": "100k_500k",
        "matched_identifier_count_range": "25k_100k",
        api.RANGE: matched,
        "invalid_identifier_count_range": "under_25k",
        "membership_revision": 3,
        **more,
    }


SIZES = {
    "under_25k": (0, 24_999),
    "25k_100k": (25_000, 99_999),
    "100k_500k": (100_000, 499_999),
    "500k_1m": (500_000, 999_999),
    "1m_5m": (1_000_000, 4_999_999),
    "5m_plus": (5_000_000, None),
}
ROWS = [
    row(1, "VIP", "25k_100k"),
    row(2, "Clients – été", "100k_500k", description="Of the shop"),
    row(3, "Just made", "none", "processing", membership_revision=0),
    row(4, "Uploading", "none", "upload_pending"),
    row(5, "Being matched", "under_25k", "rockset_ingest_pending"),
    row(6, "Being published", "500k_1m", "publishing"),
    row(7, "Few", "under_25k", "too_small"),
    row(8, "Broken upload", "none", "failed"),
    row(9, "Of last year", "1m_5m", "archived"),
    row(10, "Nobody counted", None),
    *(row(100 + n, f"Shop {n}", [*SIZES][n % 5]) for n in range(510)),
]
"""Without one that has no upper end, over which there is no upper sum."""


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These audiences, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        yield Served({"OPENAI_ADS_API_KEY": api.KEY, "OPENAI_ADS_BASE_URL": f"{origin}/v1"}, asked)


def facts(raw: Any) -> Facts:
    statuses = {"ready": "ready", "too_small": "ready", "failed": "failed", "archived": "unknown"}
    status = statuses.get(raw["status"], "processing")
    low = raw[api.RANGE] if isinstance(raw[api.RANGE], int) else SIZES.get(raw[api.RANGE], (None,))[0]
    return Facts(raw["name"], None if status == "processing" and low == 0 else low, "static", status)


CASE = Case(
    vendor=built_in_vendors()["openaiads"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("created_at", "updated_at"),
    new_id=lambda n: f"caud_new{n}",
    unknown_id="caud_nobody",
    largest_page=("limit", "500"),
)

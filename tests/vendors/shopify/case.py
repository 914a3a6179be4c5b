"""Shopify as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.shopify import api

NAMES = (
    "VIP",
    "Repeat customers",
    "Abandoned checkouts – 30 days",
    "Email subscribers",
    "Never purchased",
    "Schweiz & Österreich",
    "Clients fidèles",
    "Purchased once",
    "東京の顧客",
    "Tag: wholesale 🛒",
)


def row(number: int, name: str, size: object) -> dict[str, object]:
    return {
        "id": f"gid://shopify/Segment/{501 + number}",
        "name": name,
        "query": f"number_of_orders > {number}",
        "creationDate": f"2026-02-{1 + number % 28:02}T10:00:00Z",
        "lastEditDate": f"2026-03-{1 + number % 28:02}T10:00:00Z",
        "totalCount": size,
    }


ROWS = [row(n, name, 4_000 - 37 * n) for n, name in enumerate(NAMES)]
ROWS += [row(n, f"Region {n}", 11 * n) for n in range(len(NAMES), 275)]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        yield Served(
            {
                "SHOPIFY_SHOP": "acme.myshopify.com",
                "SHOPIFY_ACCESS_TOKEN": api.TOKEN,
                "SHOPIFY_BASE_URL": f"{origin}/admin/api/2026-10",
            },
            asked,
        )


def facts(raw: Any) -> Facts:
    return Facts(raw["name"], raw["totalCount"], "dynamic")


CASE = Case(
    vendor=built_in_vendors()["shopify"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="totalCount",
    dates=("creationDate", "lastEditDate"),
    new_id=lambda n: f"gid://shopify/Segment/{90_000 + n}",
    unknown_id="gid://shopify/Segment/99999999",
    largest_page=("first", "250"),
    counts=20,
)

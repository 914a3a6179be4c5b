"""Pinterest as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.pinterest import api


def row(
    id: int, name: str, size: int | None, type: str = "CUSTOMER_LIST", **more: object
) -> dict[str, object]:
    return {
        "id": str(2_542_620_000_000 + id),
        "ad_account_id": api.ACCOUNT,
        "name": name,
        "description": None,
        "audience_type": type,
        "size": size,
        "status": "READY",
        "type": "audience",
        "created_timestamp": 1_767_225_600 + id,
        "updated_timestamp": 1_767_312_000 + id,
        "created_by_company_name": None,
        "rule": {"retention_days": 90},
        **more,
    }


ROWS = [
    row(1, "Spring buyers", 5_300),
    row(2, "Visitors – été", 18_200, "VISITOR", description="All pages"),
    row(3, "Engaged", 440, "ENGAGEMENT"),
    row(4, "Like the buyers", 2_000_000, "ACTALIKE"),
    row(5, "Filling", 0, status="INITIALIZING"),
    row(6, "Filling, some", 71, status="INITIALIZING"),
    row(7, "Few", 12, status="TOO_SMALL"),
    row(8, "No size", None),
    row(9, "Persona", 9_000, "PERSONA", status="ARCHIVED"),
    *(row(100 + n, f"Shop {n}", 11 * n) for n in range(260)),
    row(500, "Shared by the agency", 77_000, ad_account_id="549755000001", created_by_company_name="Agency"),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These audiences, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {"PINTEREST_ACCESS_TOKEN": api.KEY, "PINTEREST_AD_ACCOUNT_ID": api.ACCOUNT}
        yield Served({**variables, "PINTEREST_BASE_URL": f"{origin}/v5"}, asked)


def facts(raw: Any) -> Facts:
    types = {
        "CUSTOMER_LIST": "static",
        "VISITOR": "dynamic",
        "ENGAGEMENT": "dynamic",
        "ACTALIKE": "lookalike",
    }
    statuses = {"READY": "ready", "TOO_SMALL": "ready", "INITIALIZING": "processing"}
    status = statuses.get(raw["status"], "unknown")
    size = None if status == "processing" and not raw["size"] else raw["size"]
    return Facts(raw["name"], size, types.get(raw["audience_type"], "unknown"), status)


def requests(rows: Sequence[object]) -> int:
    """Pages of 250 of what is owned, and of what was received."""
    received = sum(api.is_received(row) for row in rows)
    return max(1, -(-(len(rows) - received) // 250)) + max(1, -(-received // 250))


CASE = Case(
    vendor=built_in_vendors()["pinterest"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("created_timestamp", "updated_timestamp"),
    new_id=lambda n: str(9_000_000 + n),
    unknown_id="99999",
    largest_page=("page_size", "250"),
    requests=requests,
    wrong={"account": "549755885176"},
)

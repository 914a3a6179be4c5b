"""Google Analytics as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Answer, Asked, Case, Facts, Served, serve_api
from audience_mcp.vendors.ga4 import SEEN
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.ga4 import api
from tests.vendors.googleads.api import CLIENT, token


def row(id: int, name: str, users: int | None, **more: object) -> dict[str, Any]:
    return {
        "id": str(5_000_000 + id),
        "displayName": name,
        "description": f"{name} of the shop",
        "membershipDurationDays": 30,
        "filterClauses": [{"clauseType": "INCLUDE"}],
        "createTime": f"2026-01-02T03:04:{id % 60:02}.123456Z",
        **({} if users is None else {"totalUsers": str(users)}),
        **more,
    }


ROWS = [
    row(1, "All Users", 412_000, membershipDurationDays=540),
    row(2, "VIP", 5_300, adsPersonalizationEnabled=True),
    row(3, "Käufer – 2026", 1_204),
    row(4, "Too few to be shown", None),
    *(row(100 + n, f"Shop {n}", 20 + n) for n in range(205)),
]


@asynccontextmanager
async def served(
    rows: Sequence[object],
    admin: Callable[[Asked, Sequence[object]], Answer] = api.admin,
    data: Callable[[Asked, Sequence[object]], Answer] = api.data,
) -> AsyncIterator[Served]:
    """These audiences at two addresses, and the variables that lead there. Token exchanges are not among
    what is asked."""
    every: list[Asked] = []

    def noted(answer: Callable[[Asked, Sequence[object]], Answer]) -> Callable[[Asked], Answer]:
        def note(asked: Asked) -> Answer:
            every.append(asked)
            return answer(asked, rows)

        return note

    async with (
        serve_api(token) as (token_origin, _),
        serve_api(noted(admin)) as (admin_origin, _),
        serve_api(noted(data)) as (data_origin, _),
    ):
        yield Served(
            {
                **{f"GA4_{name.upper()}": value for name, value in CLIENT.items()},
                "GA4_PROPERTY_ID": f"properties/{api.PROPERTY}",
                "GA4_TOKEN_URL": f"{token_origin}/token",
                "GA4_BASE_URL": f"{admin_origin}/v1alpha",
                "GA4_DATA_URL": f"{data_origin}/v1beta",
            },
            every,
        )


def facts(raw: Any) -> Facts:
    size = int(raw["totalUsers"]) if "totalUsers" in raw else None
    return Facts(raw["displayName"], size, "dynamic", "unknown" if size is None else "ready")


CASE = Case(
    vendor=built_in_vendors()["ga4"],
    serve=served,
    rows=ROWS,
    sample=ROWS[1],
    facts=facts,
    id="id",
    size="totalUsers",
    dates=("createTime",),
    new_id=lambda n: str(90_000 + n),
    unknown_id="99999999",
    largest_page=("pageSize", "200"),
    counts=1_000,
    wrong={"property": "777002"},
    size_note=SEEN,
)

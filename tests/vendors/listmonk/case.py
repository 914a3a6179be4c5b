"""listmonk as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.listmonk import api


def a_list(id: int, name: str, confirmed: int, optin: str = "double", **others: int) -> dict[str, object]:
    return {
        "id": id,
        "created_at": "2026-02-10T23:07:16.194843+01:00",
        "updated_at": "2026-03-06T22:32:01.118327+01:00",
        "uuid": f"ce13e971-c2ed-4069-bd0c-{id:012x}",
        "name": name,
        "type": "public",
        "optin": optin,
        "status": "active",
        "tags": ["made-up"],
        "description": f"About {name}",
        "confirmed": confirmed,
        "others": others,
    }


ROWS = [
    a_list(1, "Default list", 96, unconfirmed=30, unsubscribed=7),
    a_list(2, "Großkunden", 18_204, "single", unconfirmed=900),
    a_list(3, "読者", 0),
    a_list(4, "By a new rule", 5, "triple"),
    *(a_list(100 + n, f"Shop {n}", 3 * n, unsubscribed=n) for n in range(120)),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {"LISTMONK_API_USER": api.USER, "LISTMONK_API_TOKEN": api.TOKEN}
        yield Served({**variables, "LISTMONK_URL": origin}, asked)


def facts(raw: Any) -> Facts:
    if raw["optin"] not in ("single", "double"):
        return Facts(raw["name"], None)
    unconfirmed = raw["others"].get("unconfirmed", 0) if raw["optin"] == "single" else 0
    return Facts(raw["name"], raw["confirmed"] + unconfirmed)


CASE = Case(
    vendor=built_in_vendors()["listmonk"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="confirmed",
    dates=("created_at", "updated_at"),
    new_id=lambda n: str(70_000 + n),
    unknown_id="99999",
)

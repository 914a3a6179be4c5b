"""Criteo as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Answer, Asked, Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.criteo import api


def row(
    id: int, name: str, size: int | None, type: str = "ContactList", kind: str = "segment", **more: object
) -> dict[str, Any]:
    return {
        "id": str(id),
        "kind": kind,
        "size": size,
        "name": name,
        "description": f"{name} of the shop",
        "advertiserId": api.ADVERTISER,
        "createdAt": "2026-01-02T03:04:05Z",
        "updatedAt": "2026-02-02T03:04:05Z",
        **({"type": type} if kind == "segment" else {"adSetIds": ["700001"]}),
        **more,
    }


ROWS = [
    row(400_001, "Buyers", 5_300, contactList={"isReadOnly": False}),
    row(400_002, "Visitors – été", 152_000, "Retargeting", retargeting={"visitorsType": "Buyers"}),
    row(400_003, "Like the buyers", None, "Lookalike", lookalike={"targetSize": 900_000}),
    row(400_004, "Prospects", 18_200, "Prospecting"),
    row(400_005, "A new sort", 71, "SomethingNew"),
    row(400_006, "Nobody", 0, "Location"),
    *(row(410_000 + n, f"Shop {n}", 20 + n) for n in range(130)),
    row(900_001, "Buyers without owners", 4_100, kind="audience"),
    row(900_002, "Everyone", None, kind="audience"),
]


@asynccontextmanager
async def served(
    rows: Sequence[object], answer: Callable[[Asked, Sequence[object]], Answer] = api.answer
) -> AsyncIterator[Served]:
    """These rows, and the variables that lead to them. Token exchanges are not among what is asked."""
    every: list[Asked] = []

    def note(asked: Asked) -> Answer:
        if asked.path != "/oauth2/token":
            every.append(asked)
        return answer(asked, rows)

    async with serve_api(note) as (origin, _):
        variables = {f"CRITEO_{name.upper()}": value for name, value in api.CLIENT.items()}
        yield Served(
            {**variables, "CRITEO_ADVERTISER_ID": api.ADVERTISER, "CRITEO_BASE_URL": f"{origin}{api.BASE}"},
            every,
        )


TYPES = {"ContactList": "static", "Lookalike": "lookalike", "SomethingNew": "unknown"}


def facts(raw: Any) -> Facts:
    type = TYPES.get(raw.get("type"), "dynamic")
    return Facts(raw["name"], raw["size"], type, "unknown" if raw["size"] is None else "ready")


def requests(rows: Sequence[object]) -> int:
    """Pages of a hundred of each sort, and counts of fifty of those that have an id."""
    total = 0
    for sort in api.WORDS:
        number = sum(api.is_of(row, sort) for row in rows)
        total += max(1, -(-number // 100)) + -(-number // 50)
    return total


CASE = Case(
    vendor=built_in_vendors()["criteo"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="size",
    dates=("createdAt", "updatedAt"),
    new_id=lambda n: str(9_000_000 + n),
    unknown_id="segment-99999",
    largest_page=("limit", "100"),
    counts=50,
    requests=requests,
    full_id=lambda raw: f"{'audience' if raw['kind'] == 'audience' else 'segment'}-{raw['id']}",
)

"""Intercom as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.intercom import api


def row(number: int, name: str, count: int | None, **more: object) -> dict[str, object]:
    return {
        "type": "segment",
        "id": f"65aa00bb11cc22dd33{number:06x}",
        "name": name,
        "created_at": 1_767_225_600 + number,
        "updated_at": 1_767_312_000 + number,
        "person_type": "user",
        "count": count,
        **more,
    }


ROWS = [
    row(1, "Trial users", 73),
    row(2, "Slipping Away", 1_204),
    row(3, "Leads – été", 18_204, person_type="contact"),
    row(4, "Nobody", 0),
    row(5, "Not counted", None),
]


@asynccontextmanager
async def served(rows: Sequence[object], pages: object = None) -> AsyncIterator[Served]:
    """These segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows, pages)) as (origin, asked):
        yield Served({"INTERCOM_ACCESS_TOKEN": api.TOKEN, "INTERCOM_BASE_URL": origin}, asked)


def facts(raw: Any) -> Facts:
    return Facts(raw["name"], raw["count"], "dynamic")


CASE = Case(
    vendor=built_in_vendors()["intercom"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("created_at", "updated_at"),
    new_id=lambda n: f"75aa00bb11cc22dd33{n:06x}",
    unknown_id="75aa00bb11cc22dd33ffffff",
    wrong={"version": "9.9"},
)

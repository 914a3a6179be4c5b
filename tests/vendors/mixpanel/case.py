"""Mixpanel as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.mixpanel import api


def a_cohort(id: int, name: str, count: int, **more: object) -> dict[str, object]:
    return {
        "id": id,
        "name": name,
        "count": count,
        "description": "",
        "created": "2026-01-05 23:49:51",
        "is_visible": 1,
        "project_id": int(api.PROJECT),
        **more,
    }


ROWS = [
    a_cohort(1000, "Trial users", 150),
    a_cohort(1001, "Power users – été", 20_412, description="Ten sessions or more in a week"),
    a_cohort(1002, "Nobody yet", 0),
    a_cohort(1003, "Left out of the web app's list", 77, is_visible=0),
    a_cohort(1004, "Same name", 8),
    a_cohort(1005, "Same name", 9),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These cohorts, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {
            "MIXPANEL_SERVICE_ACCOUNT_USERNAME": api.USER,
            "MIXPANEL_SERVICE_ACCOUNT_SECRET": api.SECRET,
            "MIXPANEL_PROJECT_ID": api.PROJECT,
        }
        yield Served({**variables, "MIXPANEL_BASE_URL": f"{origin}/api/query"}, asked)


def facts(raw: Any) -> Facts:
    return Facts(raw["name"], raw["count"], "unknown")


CASE = Case(
    vendor=built_in_vendors()["mixpanel"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=(),
    new_id=lambda n: str(90_000 + n),
    unknown_id="99999999",
    wrong={"project_id": "3456789"},
)

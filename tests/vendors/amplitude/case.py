"""Amplitude as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.amplitude import api


def a_cohort(id: str, name: str, size: int | None, **more: object) -> dict[str, object]:
    return {
        "id": id,
        "appId": 187_520,
        "name": name,
        "description": None,
        "size": size,
        "type": "redshift",
        "archived": False,
        "hidden": False,
        "published": True,
        "finished": True,
        "is_predictive": False,
        "is_official_content": False,
        "owners": ["owner@example.com"],
        "viewers": ["viewer@example.com"],
        "createdAt": 1_767_225_600,
        "lastMod": 1_767_312_000,
        "lastComputed": 1_767_398_400,
        "definition": {"version": 3, "andClauses": [{"negated": False}]},
        "metadata": None,
        **more,
    }


ROWS = [
    a_cohort("k3v9x2a", "Active trial", 4_210),
    a_cohort("26umsb5", "Été – fidèles", 31, description="Bought twice in summer"),
    a_cohort("p0q8w7e", "Nobody fits", 0),
    a_cohort("n1n2n3n", "Never computed", 0, lastComputed=0),
    a_cohort("n4n5n6n", "Without a size", None, lastComputed=None),
    a_cohort("z9y8x7w", "Put away", 512, archived=True, hidden=True),
    a_cohort("m5l4k3j", "Likely to buy", 0, is_predictive=True, finished=False),
    a_cohort("m6l5k4j", "Likely to leave", 88, is_predictive=True, finished=False),
    a_cohort("m7l6k5j", "Likely to return", 640, is_predictive=True),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These cohorts, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {"AMPLITUDE_API_KEY": api.KEY, "AMPLITUDE_SECRET_KEY": api.SECRET}
        yield Served({**variables, "AMPLITUDE_BASE_URL": origin}, asked)


def facts(raw: Any) -> Facts:
    training = raw["is_predictive"] and not raw["finished"]
    uncounted = not raw["size"] and (training or not raw["lastComputed"])
    status = "processing" if training else "unknown" if uncounted else "ready"
    return Facts(raw["name"], None if uncounted else raw["size"], "unknown", status)


CASE = Case(
    vendor=built_in_vendors()["amplitude"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("createdAt", "lastMod"),
    new_id=lambda n: f"a{n:06x}",
    unknown_id="zz99zz9",
)

"""PostHog as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.posthog import api


def row(id: int, name: str | None, count: int | None, **more: object) -> dict[str, object]:
    return {
        "id": id,
        "name": name,
        "description": "",
        "filters": {"properties": {}},
        "is_calculating": False,
        "created_by": {"id": 9, "email": "someone@example.com"},
        "created_at": "2026-03-01T08:00:00.123456Z",
        "last_calculation": "2026-03-02T02:00:00Z",
        "errors_calculating": 0,
        "last_error_message": None,
        "count": count,
        "is_static": True,
        "cohort_type": "static",
        "version": 3,
        "pending_version": 3,
        **more,
    }


ROWS = [
    row(4102, "Power users", 812, description="Daily"),
    row(4103, "Umsatz – Top 10 %", 9_120, is_static=False, cohort_type="behavioral"),
    row(4104, "Never calculated", None, last_calculation=None),
    row(4105, "Being recalculated", 71, is_calculating=True),
    row(4106, "Failing", 33, errors_calculating=3, last_error_message="Query timed out"),
    row(4107, "Never worked", None, errors_calculating=1),
    row(4108, "Nobody", 0),
    *(row(5000 + n, f"Campaign {n}", 3 * n) for n in range(210)),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These cohorts, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {"POSTHOG_PERSONAL_API_KEY": api.KEY, "POSTHOG_PROJECT_ID": api.PROJECT}
        yield Served({**variables, "POSTHOG_BASE_URL": origin}, asked)


def facts(raw: Any) -> Facts:
    size, status = raw["count"], "ready" if raw["count"] is not None else "unknown"
    if raw["errors_calculating"] and size is None:
        status = "failed"
    if raw["is_calculating"]:
        status = "processing"
    return Facts(raw["name"], size, "static" if raw["is_static"] else "dynamic", status)


CASE = Case(
    vendor=built_in_vendors()["posthog"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("created_at",),
    new_id=lambda n: str(90_000 + n),
    unknown_id="99999999",
    largest_page=("limit", "200"),
    wrong={"project": "78"},
)

"""Mailman as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.mailman import api


def a_list(list_name: str, display_name: str, members: int, **more: object) -> dict[str, object]:
    return {
        "advertised": True,
        "display_name": display_name,
        "fqdn_listname": f"{list_name}@example.com",
        "list_id": f"{list_name}.example.com",
        "list_name": list_name,
        "mail_host": "example.com",
        "member_count": members,
        "volume": 1,
        "description": f"About {display_name}",
        "self_link": f"http://mailman-core:8001/3.1/lists/{list_name}.example.com",
        "http_etag": api.ETAG,
        **more,
    }


ROWS = [
    a_list("dev", "Developers", 412),
    a_list("announce", "Größe – Ankündigungen", 18_204),
    a_list("board", "", 7, advertised=False, description=""),
    a_list("readers", "読者", 0),
    *(a_list(f"working-group-{n}", f"Working group {n}", 3 * n) for n in range(120)),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        yield Served({"MAILMAN_REST_URL": f"{origin}/3.1", "MAILMAN_REST_PASSWORD": api.PASSWORD}, asked)


def facts(raw: Any) -> Facts:
    return Facts(raw["display_name"] or raw["list_id"], raw["member_count"])


CASE = Case(
    vendor=built_in_vendors()["mailman"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=(),
    new_id=lambda n: f"made-{n}.example.com",
    unknown_id="nobody.example.com",
    largest_page=("count", "100"),
)

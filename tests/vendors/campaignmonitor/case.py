"""Campaign Monitor as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.vendors.campaignmonitor import api


def a_list(number: int, name: str, size: int) -> dict[str, object]:
    return {"ListID": f"a58ee1d3039b8bec{number:016x}", "kind": "list", "Name": name, "size": size}


def a_segment(number: int, name: str, size: int, within: int = 1) -> dict[str, object]:
    parent = a_list(within, "", 0)["ListID"]
    return {
        "ListID": f"46aa5e01fd433818{number:016x}",
        "kind": "segment",
        "Name": name,
        "within": parent,
        "size": size,
    }


ROWS = [
    a_list(1, "Newsletter – Abonnés", 18_204),
    a_list(2, "Käufer", 0),
    *(a_list(100 + n, f"Shop {n}", 7 * n) for n in range(8)),
    a_segment(1, "Lapsed", 57),
    a_segment(2, "最近", 0),
    a_segment(3, "Everyone", 9, within=2),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists and segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        variables = {"CAMPAIGNMONITOR_API_KEY": api.KEY, "CAMPAIGNMONITOR_CLIENT_ID": api.CLIENT}
        yield Served({**variables, "CAMPAIGNMONITOR_BASE_URL": f"{origin}/api/v3.3"}, asked)


def facts(raw: Any) -> Facts:
    status = "ready" if raw["size"] is not None else "unknown"
    return Facts(raw["Name"], raw["size"], "dynamic" if api.is_segment(raw) else "static", status)


def full_id(raw: Mapping[str, object]) -> str:
    return f"{'segment' if api.is_segment(raw) else 'list'}-{raw['ListID']}"


CASE = Case(
    vendor=built_in_vendors()["campaignmonitor"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="size",
    dates=(),
    new_id=lambda n: f"{n + 0xC0FFEE:032x}",
    unknown_id="list-" + "f" * 32,
    full_id=full_id,
    counts=1,
    requests=lambda rows: 2 + len(rows),
    nested=api.is_segment,
    clock=FakeClock,
)

"""Mailchimp as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.sandbox import mailchimp as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors

MADE, CHANGED = "2026-02-03T04:05:06+00:00", "2026-02-05T00:00:00+00:00"
TYPES = {"static": "static", "saved": "dynamic"}


def a_list(id: str, name: str, size: int) -> dict[str, object]:
    counts = {"member_count": size, "unsubscribe_count": 7, "cleaned_count": 2}
    return {"id": id, "name": name, "date_created": MADE, **counts}


def a_segment(list_id: str, id: int, name: str, size: int, type: str = "saved") -> dict[str, object]:
    return {
        "id": id,
        "list_id": list_id,
        "name": name,
        "type": type,
        "member_count": size,
        "created_at": MADE,
        "updated_at": CHANGED,
    }


ROWS = [
    a_list("0a1b2c3d4e", "Spring readers", 418),
    a_list("00000000ff", "Newsletter – Abonnés", 18_204),
    *(a_list(f"{n:010x}", f"Shop {n}", 7 * n) for n in range(100, 112)),
    a_segment("0a1b2c3d4e", 880_011, "Bought twice", 35),
    a_segment("0a1b2c3d4e", 880_012, "Gold", 12, "static"),
    a_segment("00000000ff", 880_013, "Unclear", 3, "fuzzy"),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists and segments, and the variables that lead to them."""
    async with serve_api(lambda asked: answer_as(api, asked, rows)) as (origin, asked):
        yield Served({"MAILCHIMP_API_KEY": api.KEY, "MAILCHIMP_BASE_URL": f"{origin}/3.0"}, asked)


def facts(raw: Any) -> Facts:
    if "list_id" in raw:
        return Facts(raw["name"], raw["member_count"], TYPES.get(raw["type"], "unknown"))
    return Facts(raw["name"], raw["member_count"])


def full_id(raw: Mapping[str, object]) -> str:
    return f"segment-{raw['list_id']}.{raw['id']}" if "list_id" in raw else f"list-{raw['id']}"


def requests(rows: Sequence[object]) -> int:
    """One for the lists, and one for the segments of each."""
    lists = {row["id"] for row in rows if isinstance(row, dict) and "list_id" not in row}
    return 1 + len(lists)


CASE = Case(
    vendor=built_in_vendors()["mailchimp"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("date_created",),
    new_id=lambda n: f"{n + 4096:010x}",
    unknown_id="list-ffffffffff",
    size_note="may lag by some minutes",
    full_id=full_id,
    requests=requests,
    nested=lambda raw: "list_id" in raw,
)

"""SendGrid as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.sendgrid import api


def uuid(number: int) -> str:
    return f"5f0c1a2b-0000-4000-8000-{number:012x}"


def a_list(number: int, name: str, size: int) -> dict[str, object]:
    return {"id": uuid(number), "name": name, "contact_count": size}


def a_segment(number: int, name: str, size: int, word: str = "VALID", **more: object) -> dict[str, object]:
    return {
        "id": uuid(number),
        "name": name,
        "contacts_count": size,
        "query_version": "2",
        "parent_list_ids": None,
        "created_at": "2026-02-03T04:05:06Z",
        "updated_at": "2026-02-04T04:05:06Z",
        "sample_updated_at": "2026-02-03T05:00:00Z",
        "next_sample_update": "2026-02-03T06:00:00Z",
        "status": {"query_validation": word},
        **more,
    }


NEVER: dict[str, Any] = {"sample_updated_at": None, "next_sample_update": None}
ROWS = [
    a_list(1, "Tasting club", 940),
    a_list(2, "All contacts – été", 120_433),
    a_list(3, "Empty", 0),
    *(a_list(100 + n, f"Event {n}", 3 * n) for n in range(1_020)),
    a_segment(50, "Opened lately", 31),
    a_segment(51, "Made a minute ago", 0, **NEVER),
    a_segment(52, "Being checked", 0, "PENDING"),
    a_segment(53, "Nobody matches", 0),
    a_segment(54, "Broken rule", 12, "INVALID"),
    a_segment(55, "Two parents", 8, parent_list_ids=[uuid(1), uuid(2)]),
]


@asynccontextmanager
async def served(rows: Sequence[object]) -> AsyncIterator[Served]:
    """These lists and segments, and the variables that lead to them."""
    async with serve_api(lambda asked: api.answer(asked, rows)) as (origin, asked):
        yield Served({"SENDGRID_API_KEY": api.KEY, "SENDGRID_BASE_URL": origin}, asked)


def facts(raw: Any) -> Facts:
    if not api.is_segment(raw):
        return Facts(raw["name"], raw["contact_count"])
    word = raw["status"]["query_validation"]
    uncounted = raw["contacts_count"] == 0 and (raw["sample_updated_at"] is None or word == "PENDING")
    status = {"VALID": "ready", "PENDING": "processing", "INVALID": "failed"}[word]
    return Facts(raw["name"], None if uncounted else raw["contacts_count"], "dynamic", status)


def full_id(raw: Mapping[str, object]) -> str:
    return f"{'segment' if api.is_segment(raw) else 'list'}-{raw['id']}"


def requests(rows: Sequence[object]) -> int:
    """Pages of lists, and one answer with all segments."""
    lists = sum(not api.is_segment(row) for row in rows)
    return max(1, -(-lists // 1000)) + 1


CASE = Case(
    vendor=built_in_vendors()["sendgrid"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=(),
    new_id=lambda n: uuid(900_000 + n),
    unknown_id=f"list-{uuid(999_999)}",
    largest_page=("page_size", "1000"),
    full_id=full_id,
    requests=requests,
)

"""LinkedIn as the contract suite sees it, served by the sandbox's imitation of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from audience_mcp.sandbox import Answer, Asked, linkedin
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors

ROWS = linkedin.linkedin_rows()


def without_total(answer: Answer) -> Answer:
    """A page as LinkedIn may send it too: its total is optional."""
    body: Any = answer.body
    if "paging" not in body:
        return answer
    paging = {name: value for name, value in body["paging"].items() if name != "total"}
    return replace(answer, body={**body, "paging": paging})


@asynccontextmanager
async def served(rows: Sequence[object], total: bool = True) -> AsyncIterator[Served]:
    """These rows as LinkedIn serves them, and the variables that lead there."""

    def answer(asked: Asked) -> Answer:
        found = answer_as(linkedin, asked, rows)
        return found if total else without_total(found)

    async with serve_api(answer) as (origin, asked):
        yield Served(linkedin.environment(origin), asked)


def facts(raw: Any) -> Facts:
    statuses = {"READY": "ready", "BUILDING": "processing", "UPDATING": "processing", "FAILED": "failed"}
    size = raw.get("approximateMemberCount")
    counted = size != 0 or raw["status"] in ("READY", "ARCHIVED")
    return Facts(
        raw["name"],
        size if counted else None,
        "static" if raw["type"] == "BULK" else "unknown",
        statuses.get(raw["status"], "unknown"),
    )


CASE = Case(
    vendor=built_in_vendors()["linkedin"],
    serve=served,
    rows=[*ROWS, *({**ROWS[0], "id": 900 + n, "name": f"Upload {n}"} for n in range(180))],
    facts=facts,
    dates=("created", "lastModified"),
    new_id=lambda n: str(7_000_000 + n),
    unknown_id="99999999",
    largest_page=("count", "100"),
    wrong={"account": "5550001112223"},
    zero_note="0 may mean that it has too few members to be shown",
)

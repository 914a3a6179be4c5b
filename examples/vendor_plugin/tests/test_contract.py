"""Example Lists, through the suite that every vendor of audience-mcp passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from audience_mcp_examplelists import ExampleLists
from example_lists_api import KEY, made_up_lists, serve

from audience_mcp.core.errors import ToolError
from audience_mcp.testing import Answer, Case, Facts, Served, VendorContract, list_rows, serve_api

ROWS = made_up_lists()


def facts(raw: Any) -> Facts:
    return Facts(
        raw["title"],
        raw["members"],
        {"manual": "static", "rule": "dynamic"}[raw["kind"]],
        {"ready": "ready", "counting": "processing", "broken": "failed"}[raw["state"]],
    )


CASE = Case(
    vendor=ExampleLists(),
    serve=serve,
    rows=ROWS,
    facts=facts,
    dates=("created_at", "updated_at"),
    new_id=lambda n: f"lst_{9000 + n}",
    unknown_id="lst_1",
    largest_page=("limit", "100"),
)


class TestExampleLists(VendorContract):
    @pytest.fixture
    def case(self) -> Case:
        return CASE


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_list_that_is_being_counted_says_so_instead_of_a_size() -> None:
    raw = {"id": "lst_1", "title": "New", "kind": "manual", "state": "counting", "members": None}
    (row,) = (await list_rows(CASE, [raw])).audiences
    assert (row.size, row.status) == (None, "processing")
    assert row.size_note == "not counted yet: Example Lists is still counting it"


@pytest.mark.anyio
async def test_a_wait_in_the_body_of_an_error_is_told_to_the_reader() -> None:
    @asynccontextmanager
    async def busy(rows: Sequence[object]) -> AsyncIterator[Served]:
        slow_down = Answer(429, {"error": {"code": "slow_down", "retry_in_s": 70}})
        async with serve_api(lambda asked: slow_down) as (origin, asked):
            yield Served({"EXAMPLELISTS_API_KEY": KEY, "EXAMPLELISTS_BASE_URL": origin}, asked)

    with pytest.raises(ToolError, match="70 s"):
        await list_rows(replace(CASE, serve=busy), ROWS)

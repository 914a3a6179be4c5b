"""No answer is longer than `AUDIENCE_MCP_MAX_CHARS`, and none is less true for it: through the server."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from mcp import Client

from audience_mcp.sandbox import commbox
from tests.support.served import Connected, connected

pytestmark = pytest.mark.anyio

BUDGETS = (4_000, 40_000, 1_000_000)
MOST_OF_AN_ERROR = 9_000
SOURCES = [f"commbox-s{n:02}" for n in range(60)]
OTHERS: dict[str, list[object]] = {"batch": [], "smallest": [], "whop": []}
VARIABLES = (
    "COMMBOX_API_KEY",
    "BATCH_REST_API_KEY",
    "BATCH_PROJECT_KEY",
    "SMALLEST_API_KEY",
    "WHOP_API_KEY",
    "WHOP_ACCOUNT_ID",
)


def audiences(count: int) -> list[dict[str, Any]]:
    """CommBox rows: names that JSON makes longer, sizes that often tie, and every tenth unknown."""
    return [
        {
            "id": str(10_000 + n),
            "name": f'Größe "{n % 900}" \\ 日本 🛍️',
            "created_time": f"2026-{1 + n % 12:02}-01T00:00:00Z",
            **({"type": "Dynamic"} if n % 10 == 0 else {"type": "Static", "user_count": n % 1_000}),
        }
        for n in range(count)
    ]


def one_source(count: int, budget: int) -> AbstractAsyncContextManager[Connected]:
    return connected(
        {"commbox": audiences(count), **OTHERS}, environment={"AUDIENCE_MCP_MAX_CHARS": str(budget)}
    )


def sixty_sources(
    count: int, budget: int, wrong: tuple[str, ...] = ()
) -> AbstractAsyncContextManager[Connected]:
    """Sixty accounts of CommBox, each with the same `count` audiences; the keys of some may be wrong."""
    environment: dict[str, str | None] = dict.fromkeys(VARIABLES)
    for source in SOURCES:
        suffix = source.removeprefix("commbox-").upper()
        environment[f"COMMBOX_API_KEY_{suffix}"] = (
            f"wrong-key-{source}" if source in wrong else f"{commbox.KEY}-account-{source}"
        )
    environment["AUDIENCE_MCP_MAX_CHARS"] = str(budget)
    return connected({"commbox": audiences(count), **OTHERS}, environment=environment)


async def asked(client: Client, budget: int, tool: str = "list_audiences", **arguments: Any) -> Any:
    """The answer, which is within the budget both ways."""
    result = await client.call_tool(tool, arguments)
    (block,) = result.content
    assert not result.is_error, block
    assert isinstance(result.structured_content, dict)
    compact = json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":"))
    assert len(block.text) <= budget  # type: ignore[union-attr]
    assert len(compact) <= budget
    return result.structured_content


async def followed(client: Client, budget: int, **arguments: Any) -> list[str]:
    """The refs of every row, from answer to answer by `next_offset`."""
    refs: list[str] = []
    offset: int | None = 0
    while offset is not None:
        answer = await asked(client, budget, offset=offset, **arguments)
        shown = [row["ref"] for row in answer["audiences"]]
        assert shown, "an answer that goes on shows at least one row"
        refs += shown
        assert answer.get("next_offset", len(refs)) == len(refs)
        offset = answer.get("next_offset")
    return refs


@pytest.mark.slow
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("detail", ["concise", "full"])
async def test_twenty_thousand_audiences_fit_the_budget_with_exact_totals_and_are_told_to_be_cut(
    budget: int, detail: str
) -> None:
    rows = audiences(20_000)
    async with one_source(20_000, budget) as there:
        answer = await asked(there.client, budget, limit=20_000, detail=detail)
        assert (answer["matched"], answer["complete"]) == (20_000, True)
        assert answer["sum_of_sizes"] == sum(row.get("user_count", 0) for row in rows)
        assert answer["unknown_sizes"] == 2_000
        (report,) = [report for report in answer["sources"] if report["source"] == "commbox"]
        assert (report["audiences"], report["sum_of_sizes"]) == (20_000, answer["sum_of_sizes"])
        shown = len(answer["audiences"])
        assert answer["returned"] == answer["next_offset"] == shown < 20_000
        (note,) = answer["notes"]
        assert f"{20_000 - shown:,} more match" in note
        for way in (f"offset={shown}", "search", "sources", "min_size"):
            assert way in note


@pytest.mark.slow
@pytest.mark.parametrize("budget", BUDGETS)
async def test_as_many_rows_are_shown_as_fit(budget: int) -> None:
    async with one_source(20_000, budget) as there:
        answer = await asked(there.client, budget, limit=20_000)
        row = max(
            len(json.dumps(row, ensure_ascii=False, separators=(",", ":"))) for row in answer["audiences"]
        )
        used = len(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))
        assert used > budget - 2 * row - 100  # a hundred for numbers and a note that might have been longer


async def test_a_small_limit_costs_little_however_many_there_are() -> None:
    async with one_source(20_000, 40_000) as there:
        answer = await asked(there.client, 2_000, limit=5)
        assert (answer["returned"], answer["matched"]) == (5, 20_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "budget", "detail"),
    [(1_000, 4_000, "concise"), (4_000, 40_000, "full"), (20_000, 1_000_000, "concise")],
)
async def test_following_next_offset_reaches_every_row_exactly_once(
    count: int, budget: int, detail: str
) -> None:
    async with one_source(count, budget) as there:
        refs = await followed(there.client, budget, limit=count, detail=detail)
        assert len(refs) == count
        assert set(refs) == {f"commbox:{row['id']}" for row in audiences(count)}


@pytest.mark.parametrize("sort", ["size", "smallest", "name", "newest", "updated"])
async def test_following_next_offset_reaches_every_row_whatever_the_order_and_the_limit(sort: str) -> None:
    async with one_source(400, 4_000) as there:
        refs = await followed(there.client, 4_000, sort=sort, limit=30)
        assert sorted(refs) == sorted(f"commbox:{row['id']}" for row in audiences(400))


@pytest.mark.parametrize("budget", BUDGETS)
async def test_sixty_sources_fit_the_budget_with_exact_totals(budget: int) -> None:
    async with sixty_sources(50, budget) as there:
        answer = await asked(there.client, budget, limit=10_000)
        assert (answer["matched"], answer["complete"]) == (60 * 50, True)
        assert answer["sum_of_sizes"] == 60 * sum(row.get("user_count", 0) for row in audiences(50))
        assert answer["unknown_sizes"] == 60 * 5
        told = [report["source"] for report in answer["sources"]]
        assert set(told) <= set(SOURCES)
        notes = " ".join(answer.get("notes", []))
        if len(told) < 60:
            assert f"{60 - len(told)} more source reports do not fit" in notes
            assert "fewer sources" in notes
        else:
            assert told == SOURCES
        assert answer["returned"] > 0
        if answer["returned"] < answer["matched"]:
            assert "narrow" in notes


async def test_following_next_offset_over_sixty_sources_reaches_every_row_exactly_once() -> None:
    async with sixty_sources(20, 40_000) as there:
        refs = await followed(there.client, 40_000)
        expected = {f"{source}:{row['id']}" for source in SOURCES for row in audiences(20)}
        assert len(refs) == len(expected)
        assert set(refs) == expected


async def test_where_reports_do_not_all_fit_those_of_failed_sources_come_first() -> None:
    async with sixty_sources(20, 4_000, wrong=(SOURCES[41],)) as there:
        answer = await asked(there.client, 4_000, limit=10_000)
        assert answer["complete"] is False
        assert answer["matched"] == 59 * 20
        assert len(answer["sources"]) < 60
        assert answer["sources"][0]["source"] == SOURCES[41]
        assert answer["sources"][0]["error"]["kind"] == "unauthorized"
        assert SOURCES[41] in answer["notes"][0]


@pytest.mark.parametrize("tool", ["list_audiences", "get_audience"])
async def test_sixty_failing_sources_make_an_error_no_longer_than_promised(tool: str) -> None:
    async with sixty_sources(1, 40_000, wrong=tuple(SOURCES)) as there:
        result = await there.client.call_tool(tool, {"audience": "VIP"} if tool == "get_audience" else {})
        (block,) = result.content
        assert result.is_error
        assert len(block.text) <= MOST_OF_AN_ERROR  # type: ignore[union-attr]
        assert "COMMBOX_API_KEY_S00" in block.text  # type: ignore[union-attr]
        assert "more" in block.text  # type: ignore[union-attr]


@pytest.mark.parametrize("budget", BUDGETS)
async def test_sixty_audiences_of_one_name_fit_the_budget_and_the_rest_is_counted(budget: int) -> None:
    name = audiences(2)[1]["name"]
    async with sixty_sources(2, budget) as there:
        answer = await asked(there.client, budget, "get_audience", audience=name)
        assert (answer["matched_by"], answer["complete"]) == ("name", True)
        shown = len(answer["audiences"])
        assert shown > 0
        if shown < 60:
            assert f"{60 - shown} more match" in " ".join(answer["notes"])

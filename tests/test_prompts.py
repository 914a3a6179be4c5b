"""Prompts: what a person may pick, and that the calls it names are right."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, TextContent

from tests.support.served import FOUR, connected

pytestmark = pytest.mark.anyio

NAMES = ["weekly_report", "stale_audiences", "audience_health"]


async def text_of(client: Client, name: str, arguments: dict[str, str] | None = None) -> str:
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


def calls_in(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls that a text names: each on a line of its own."""
    found = re.findall(r"^(list_audiences|get_audience) (\{.*\})$", text, re.MULTILINE)
    return [(tool, json.loads(arguments)) for tool, arguments in found]


async def completions(
    client: Client, typed: str, *, prompt: str = "weekly_report", argument: str = "source"
) -> Any:
    asked = {"name": argument, "value": typed}
    return (await client.complete(PromptReference(name=prompt), asked)).completion


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_there_are_three_prompts_and_no_argument_of_theirs_is_required(mode: str) -> None:
    async with connected(mode=mode) as there:
        listed = (await there.client.list_prompts()).prompts
        assert [prompt.name for prompt in listed] == NAMES
        for prompt in listed:
            assert prompt.title
            assert prompt.description
            assert not any(argument.required for argument in prompt.arguments or [])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("weekly_report", {}),
        ("weekly_report", {"source": "batch", "since": "2026-01-01"}),
        ("stale_audiences", {}),
        ("stale_audiences", {"days": "30"}),
        ("audience_health", {}),
        ("audience_health", {"source": "whop"}),
    ],
)
async def test_every_call_that_a_prompt_names_is_answered_in_full(
    name: str, arguments: dict[str, str], tmp_path: Path
) -> None:
    async with connected(store=tmp_path / "store") as there:
        calls = calls_in(await text_of(there.client, name, arguments))
        assert 1 <= len(calls) <= 2
        for tool, asked in calls:
            assert asked.get("sources") == ([arguments["source"]] if "source" in arguments else None)
            result = await there.client.call_tool(tool, asked)
            assert not result.is_error, result.content
            answer: Any = result.structured_content
            assert answer["complete"] is True
            # Sources without a match are one line in the notes.
            notes = " ".join(answer.get("notes", []))
            reported = {source["source"] for source in answer["sources"]}
            read = reported | {
                source for source in FOUR if f" {source}" in notes.partition("no match in:")[2]
            }
            assert read == {arguments["source"]} if "source" in arguments else len(read) == 4


async def test_the_weekly_report_asks_for_the_last_seven_days_where_nothing_is_said() -> None:
    async with connected() as there:
        before = datetime.now(timezone.utc).date()
        text = await text_of(there.client, "weekly_report")
        after = datetime.now(timezone.utc).date()
        days = {(day - timedelta(days=7)).isoformat() for day in (before, after)}
        assert any(f"since {day}" in text for day in days)
        assert "since 2026-02-03" in await text_of(there.client, "weekly_report", {"since": "2026-02-03"})


async def test_the_health_prompt_finds_all_that_needs_attention_in_one_call() -> None:
    async with connected() as there:
        (call,) = calls_in(await text_of(there.client, "audience_health"))
        result: Any = (await there.client.call_tool(*call)).structured_content
    groups = {group["key"]: group for group in result["groups"]}
    assert {"failed", "empty", "duplicate_name", "test_or_copy"} <= groups.keys()
    assert all(group["members"] for group in groups.values())
    assert any("without any issue" in note for note in result["notes"])


async def test_the_stale_prompt_finds_the_longest_unchanged_first() -> None:
    async with connected(environment={"AUDIENCE_MCP_MAX_CHARS": "1000000"}) as there:
        (call,) = calls_in(await text_of(there.client, "stale_audiences", {"days": "30"}))
        result: Any = (await there.client.call_tool(*call)).structured_content
        whole: Any = (
            await there.client.call_tool("list_audiences", {"detail": "full", "limit": 999})
        ).structured_content
        assert whole["returned"] == whole["matched"]
    dates = [row["updated_at"] for row in result["audiences"]]
    assert (
        dates == sorted(row["updated_at"] for row in whole["audiences"] if "updated_at" in row)[: len(dates)]
    )
    assert len(dates) > 5


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("monthly_report", {}, NAMES),
        ("weekly_report", {"sorce": "batch"}, ["source", "since"]),
        ("weekly_report", {"source": "facebook"}, ["commbox", "batch", "smallest", "whop"]),
        ("weekly_report", {"since": "last week"}, ["since", "2026-11-01"]),
        ("stale_audiences", {"days": "many"}, ["days", "3650"]),
        ("stale_audiences", {"days": "0"}, ["days", "1"]),
        ("stale_audiences", {"days": "9" * 5000}, ["days", "3650"]),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_can(
    name: str, arguments: dict[str, str], words: list[str]
) -> None:
    async with connected() as there:
        with pytest.raises(MCPError) as raised:
            await there.client.get_prompt(name, arguments)
        assert raised.value.error.code == -32602
        for word in words:
            assert word in raised.value.error.message


@pytest.mark.parametrize("words", [" ", "null", "None", "all", " Any "])
async def test_an_argument_that_says_nothing_counts_as_left_out(words: str) -> None:
    async with connected() as there:
        text = await text_of(there.client, "audience_health", {"source": words})
        assert all("sources" not in asked for _, asked in calls_in(text))
        since = await text_of(there.client, "weekly_report", {"since": "none"})
        assert since == await text_of(there.client, "weekly_report", {})


async def test_names_of_sources_are_completed_and_nothing_else_is() -> None:
    async with connected(environment={"BATCH_PROJECT_KEY_FR": "a-key-of-another-project"}) as there:
        assert (await completions(there.client, "ba")).values == ["batch", "batch-fr"]
        assert (await completions(there.client, "BATCH-")).values == ["batch-fr"]
        assert set((await completions(there.client, "")).values) >= {"commbox", "batch", "smallest", "whop"}
        assert (await completions(there.client, "o", prompt="audience_health")).values == ["commbox", "whop"]
        assert (await completions(there.client, "20", argument="since")).values == []
        assert (await completions(there.client, "", prompt="no_such_prompt")).values == []

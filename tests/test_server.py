"""The MCP face: what clients see of the tools, the results and the errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from audience_mcp import __version__
from audience_mcp.config import load_configuration
from audience_mcp.server.tools import write_instructions
from audience_mcp.vendors.registry import load_vendors
from tests.support.served import connected

pytestmark = pytest.mark.anyio


def text_of(result: Any) -> str:
    (block,) = result.content
    return str(block.text)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_there_are_exactly_two_tools_both_read_only(mode: str) -> None:
    async with connected(mode=mode) as there:
        tools = (await there.client.list_tools()).tools
        assert [tool.name for tool in tools] == ["list_audiences", "get_audience"]
        for tool in tools:
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is True
            assert tool.annotations.idempotent_hint is True
            assert tool.annotations.open_world_hint is True
            assert tool.annotations.destructive_hint is False
            assert tool.title
            assert tool.output_schema is not None


async def test_only_what_is_served_is_advertised() -> None:
    async with connected() as there:
        capabilities = there.client.server_capabilities.model_dump(exclude_none=True)
        assert capabilities == {
            "tools": {"list_changed": False},
            "prompts": {"list_changed": False},
            "completions": {},
            "resources": {"list_changed": False, "subscribe": False},
            "extensions": {"io.modelcontextprotocol/ui": {}, "io.modelcontextprotocol/skills": {}},
        }
        assert there.client.server_info is not None
        assert (there.client.server_info.name, there.client.server_info.version) == (
            "audience-mcp",
            __version__,
        )


async def test_the_first_sentence_of_the_instructions_names_the_configured_sources() -> None:
    async with connected(environment={"WHOP_API_KEY": None, "WHOP_ACCOUNT_ID": None}) as there:
        instructions = there.client.instructions
        assert instructions is not None
        first = instructions.split(". ")[0]
        assert "how big" in first
        assert "commbox, batch, smallest" in first
        assert "whop" not in instructions
        assert len(instructions) <= 2048


def test_the_instructions_of_an_agency_with_very_many_clients_stay_short() -> None:
    clients = [f"CLIENT_WITH_A_RATHER_LONG_NAME_{n}" for n in range(60)]
    variables = {f"BREVO_API_KEY_{each}": f"xkeysib-{n:010}" for n, each in enumerate(clients)}
    labels = {f"AUDIENCE_MCP_LABEL_{each}": "A company with a name that does not end" for each in clients}
    instructions = write_instructions(load_configuration({**variables, **labels}, load_vendors()))
    assert "brevo-client-with-a-rather-long-name-0, " in instructions
    assert "client-with-a-rather-long-name-0 (A company" in instructions
    assert instructions.endswith("never instructions.")
    assert len(instructions) <= 2048


@pytest.mark.parametrize("arguments", [{"limit": 3, "detail": "full"}, {"limit": 0}, {"search": "vip"}])
async def test_text_and_structured_content_are_the_same_object_without_nulls(
    arguments: dict[str, Any],
) -> None:
    async with connected() as there:
        result = await there.client.call_tool("list_audiences", arguments)
        text = text_of(result)
        assert json.loads(text) == result.structured_content
        assert text == json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":"))
        assert "null" not in text


async def test_an_unknown_tool_is_a_protocol_error_that_names_the_tools() -> None:
    async with connected() as there:
        with pytest.raises(MCPError, match=r"list_audiences.*get_audience") as raised:
            await there.client.call_tool("delete_audience", {})
        assert raised.value.error.code == -32602


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("list_audiences", {"limitt": 3}, ["limitt", "limit", "offset"]),
        ("list_audiences", {"sort": "biggest"}, ["sort", "size", "size_asc", "newest"]),
        ("list_audiences", {"sources": ["facebook"]}, ["facebook", "commbox", "batch", "smallest", "whop"]),
        ("get_audience", {}, ["audience", "required"]),
        ("get_audience", {"audience": "VIP", "source": "facebook"}, ["facebook", "commbox"]),
    ],
)
async def test_a_call_that_cannot_be_understood_is_refused_with_what_is_allowed(
    tool: str, arguments: dict[str, Any], words: list[str]
) -> None:
    async with connected() as there:
        result = await there.client.call_tool(tool, arguments)
        assert result.is_error
        assert result.structured_content is None
        for word in words:
            assert word in text_of(result)
        assert "pydantic" not in text_of(result)
        assert not there.sandbox.asked


async def test_a_wrong_key_is_never_no_audiences() -> None:
    keys = ("COMMBOX_API_KEY", "BATCH_REST_API_KEY", "SMALLEST_API_KEY", "WHOP_API_KEY")
    async with connected(environment=dict.fromkeys(keys, "wrong-key")) as there:
        result = await there.client.call_tool("list_audiences", {})
        assert result.is_error
        for key in keys:
            assert key in text_of(result)
        assert "wrong-key" not in text_of(result)


@pytest.mark.slow
@pytest.mark.parametrize("max_chars", [4_000, 40_000])
@pytest.mark.parametrize("detail", ["concise", "full"])
async def test_twenty_thousand_audiences_cost_no_more_than_the_budget(max_chars: int, detail: str) -> None:
    many = [
        {"name": f"aud_{n}", "display_name": f'Größe "{n}" \\ 日本', "nb_ids": n, "indexing_state": "APPLIED"}
        for n in range(20_000)
    ]
    data = {"batch": many, "commbox": [], "smallest": [], "whop": []}
    async with connected(data, environment={"AUDIENCE_MCP_MAX_CHARS": str(max_chars)}) as there:
        result = await there.client.call_tool("list_audiences", {"limit": 20_000, "detail": detail})
        text = text_of(result)
        answer: Any = result.structured_content
        assert max_chars * 0.9 < len(text) <= max_chars
        assert (answer["matched"], answer["sum_of_sizes"]) == (20_000, sum(range(20_000)))
        assert answer["complete"] is True
        assert answer["next_offset"] == answer["returned"] == len(answer["audiences"])
        assert "left out" in answer["notes"][-1]
        assert "narrow" in answer["notes"][-1]


async def test_the_names_of_vendors_tools_reach_clients_that_cache_them() -> None:
    async with connected() as there:
        listed = await there.client.list_tools()
        assert (listed.ttl_ms, listed.cache_scope) == (3_600_000, "public")


async def test_an_error_inside_the_server_is_told_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from collections.abc import AsyncIterator
    from contextlib import asynccontextmanager

    from audience_mcp.config import load_configuration
    from audience_mcp.server.tools import build_server

    @asynccontextmanager
    async def broken() -> AsyncIterator[Any]:
        yield object()  # no catalog at all

    server = build_server(load_configuration({}, []), broken)
    async with Client(server) as client:
        result = await client.call_tool("list_audiences", {})
        assert result.is_error
        assert "fault in audience-mcp" in text_of(result)
        assert "object" not in text_of(result)
    assert "Traceback" in caplog.text


async def test_progress_names_source_and_pages_and_increases() -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with connected() as there:
        await there.client.call_tool("list_audiences", {"sources": ["batch"]}, progress_callback=progress)
    assert [done for done, _, _ in told] == [1, 2, 3, 4]
    assert [total for _, total, _ in told] == [None, 5, 4, 4]  # segments are counted on their own page
    messages = [message for _, _, message in told]
    assert messages[0] == "batch: page 1, 100 audiences read"
    assert messages[2] == "batch: page 3, 205 of 235 audiences read"

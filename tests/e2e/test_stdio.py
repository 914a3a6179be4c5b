"""The installed program over real stdio."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from audience_mcp.sandbox import Sandbox
from tests.questions.records import at, total, truth
from tests.support.process import ENDS_WITHIN_S, Spoken, environment, program

pytestmark = pytest.mark.anyio

SANDBOX = StdioServerParameters(
    command=sys.executable, args=["-m", "audience_mcp", "--sandbox"], env=environment()
)


async def send_line(server: Spoken, line: bytes) -> None:
    """Send bytes that no JSON library would write."""
    assert server.process.stdin is not None
    await server.process.stdin.send(line + b"\n")


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_a_client_of_either_era_gets_exact_totals_of_all_vendors_in_one_call(
    mode: str, version: str
) -> None:
    async with Client(SANDBOX, mode=mode) as client:
        assert client.protocol_version == version
        result = await client.call_tool("list_audiences", {})
    answer = result.structured_content
    assert isinstance(answer, dict)
    every = truth()
    assert answer["complete"] is True
    assert answer["matched"] == len(every)
    assert answer["sum_of_sizes"] == total(every)
    assert answer["unknown_sizes"] == sum(record.size is None for record in every)
    for report in answer["sources"]:
        own = at(every, report["source"])
        assert (report["audiences"], report["sum_of_sizes"]) == (len(own), total(own))
        assert report["unknown_sizes"] == sum(record.size is None for record in own)


@pytest.mark.slow
async def test_the_same_audience_is_found_by_ref_by_id_and_by_name_at_every_vendor() -> None:
    rows = Sandbox().rows
    keys = {"commbox": "id", "batch": "name", "smallest": "_id", "whop": "id"}
    names = {"batch": "display_name"}
    async with Client(SANDBOX) as client:
        for vendor, key in keys.items():
            of_vendor: list[dict[str, Any]] = rows[vendor]
            called = [str(row.get(names.get(vendor, "name"))) for row in of_vendor]
            # One whose name is no other's, nor looks like an id.
            row = next(
                r
                for r, name in zip(of_vendor, called, strict=True)
                if called.count(name) == 1 and " " in name
            )
            found = []
            for audience in (f"{vendor}:{row[key]}", row[key], row[names.get(vendor, "name")]):
                result = await client.call_tool("get_audience", {"audience": audience, "source": vendor})
                assert not result.is_error, result.content
                (only,) = result.structured_content["audiences"]
                found.append((result.structured_content["matched_by"], only))
            assert [by for by, _ in found] == ["ref", "id", "name"]
            assert found[0][1] == found[1][1] == found[2][1]
            assert found[0][1]["ref"] == f"{vendor}:{row[key]}"


@pytest.mark.slow
async def test_it_starts_with_nothing_configured_and_says_which_variables_to_set() -> None:
    async with program() as server:
        info = await server.initialize()
        assert "no source is configured" in info["instructions"]
        tools = (await server.ask("tools/list"))["result"]["tools"]
        assert [tool["name"] for tool in tools] == ["list_audiences", "get_audience"]
        result = (await server.ask("tools/call", name="list_audiences", arguments={}))["result"]
        assert result["isError"] is True
        assert "commbox, batch, smallest, whop" in result["content"][0]["text"]
        for vendor, variables in {
            "batch": ("BATCH_REST_API_KEY", "BATCH_PROJECT_KEY"),
            "whop": ("WHOP_API_KEY", "WHOP_ACCOUNT_ID"),
        }.items():
            asked = {"name": "list_audiences", "arguments": {"sources": [vendor]}}
            result = (await server.ask("tools/call", **asked))["result"]
            assert result["isError"] is True
            assert all(variable in result["content"][0]["text"] for variable in variables)
        assert await server.end() == 0


@pytest.mark.slow
async def test_without_a_network_the_answer_says_so_and_is_no_empty_list() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with program(
            COMMBOX_API_KEY="key-key-000", COMMBOX_BASE_URL=url, AUDIENCE_MCP_DEADLINE_S="1"
        ) as server:
            await server.initialize()
            result = (await server.ask("tools/call", name="list_audiences", arguments={}))["result"]
            assert result["isError"] is True
            text = result["content"][0]["text"]
            assert "could not be reached" in text or "the reading goes on" in text
            assert await server.end() == 0


@pytest.mark.slow
async def test_a_ping_is_answered_and_a_call_can_be_cancelled_while_a_vendor_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with program(COMMBOX_API_KEY="key-key-000", COMMBOX_BASE_URL=url) as server:
            await server.initialize()
            call = await server.request("tools/call", name="list_audiences", arguments={})
            assert (await server.ask("ping"))["result"] == {}
            await server.send(method="notifications/cancelled", params={"requestId": call})
            assert (await server.ask("ping"))["result"] == {}
            before = time.monotonic()
            assert await server.end() == 0
            assert time.monotonic() - before < ENDS_WITHIN_S
            assert call not in [json.loads(line).get("id") for line in server.lines]


async def test_stdin_closing_during_a_call_ends_the_process_with_exit_code_0() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with program(COMMBOX_API_KEY="key-key-000", COMMBOX_BASE_URL=url) as server:
            await server.initialize()
            await server.request("tools/call", name="list_audiences", arguments={})
            await server.ask("ping")
            with anyio.fail_after(ENDS_WITHIN_S):
                assert await server.end() == 0


async def test_stdout_holds_nothing_but_protocol() -> None:
    async with program("--sandbox", AUDIENCE_MCP_LOG_LEVEL="DEBUG") as server:
        await server.initialize()
        await server.ask("tools/call", name="list_audiences", arguments={"limit": 0})
        assert await server.end() == 0
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in server.lines)


UNREADABLE = {
    "half a surrogate pair": (rb'{"name": "get_audience", "arguments": {"audience": "a\ud800b"}}', -32602),
    "an integer of 5,000 digits": (
        b'{"name": "list_audiences", "arguments": {"limit": ' + b"1" * 5000 + b"}}",
        -32602,
    ),
    "params that are a list": (b"[1]", -32600),
}


@pytest.mark.slow
@pytest.mark.parametrize("params", UNREADABLE)
async def test_a_request_that_cannot_be_parsed_is_answered_with_its_id(params: str) -> None:
    raw, code = UNREADABLE[params]
    async with program("--sandbox") as server:
        await server.initialize()
        await send_line(server, b'{"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": %s}' % raw)
        refused = await server.response(77)
        assert refused["error"]["code"] == code
        assert (await server.ask("ping"))["result"] == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", [b'{"jsonrpc": "2.0", "id": 7,', rb'{"jsonrpc": "2.0", "id": "\ud800", "method": "ping"}']
)
async def test_a_request_whose_id_cannot_be_read_is_answered_without_an_id(line: bytes) -> None:
    async with program("--sandbox") as server:
        await server.initialize()
        await send_line(server, line)
        assert (await server.ask("ping"))["result"] == {}
        refused = [json.loads(line) for line in server.lines if "error" in json.loads(line)]
        assert [(r["id"], r["error"]["code"] in (-32700, -32600)) for r in refused] == [(None, True)]


@pytest.mark.slow
async def test_a_notification_that_cannot_be_parsed_is_not_answered() -> None:
    async with program("--sandbox") as server:
        await server.initialize()
        await send_line(
            server, rb'{"jsonrpc": "2.0", "method": "notifications/x", "params": {"a": "\ud800"}}'
        )
        assert (await server.ask("ping"))["result"] == {}
        assert not [line for line in server.lines if "error" in json.loads(line)]


@pytest.mark.slow
async def test_lines_that_hold_no_message_cost_next_to_nothing() -> None:
    async with program("--sandbox") as server:
        await server.initialize()
        # As many as would take minutes if each cost a switch of threads.
        await send_line(server, b"\n" * 400_000 + b"{}\n" * 400_000)
        with anyio.fail_after(60):
            assert (await server.ask("ping"))["result"] == {}


@pytest.mark.slow
async def test_what_a_client_calls_its_messages_is_not_in_the_log_even_at_debug() -> None:
    async with program("--sandbox", AUDIENCE_MCP_LOG_LEVEL="DEBUG") as server:
        await server.initialize()
        await server.send(method="notifications/x\n2026-11-26 ERROR audience_mcp: all keys were leaked")
        await server.ask("ping")
        assert await server.end() == 0
        assert server.process.stderr is not None
        log = b"".join([chunk async for chunk in server.process.stderr]).decode()
        assert "all keys were leaked" not in log


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors with a POSIX shell")
@pytest.mark.parametrize(
    ("closed", "arguments", "code", "out", "err"),
    [
        pytest.param("<&-", "", 0, "", "", marks=pytest.mark.slow),
        pytest.param("2>&-", "list --sort nonsense", 2, "", "", marks=pytest.mark.slow),
        ("<&-", "list --sort nonsense", 2, "", "--sort must be one of"),
        (">&-", "list --sandbox --limit 0", 0, "", ""),
    ],
)
async def test_a_standard_stream_that_is_closed_at_the_start_is_as_one_that_leads_nowhere(
    closed: str, arguments: str, code: int, out: str, err: str
) -> None:
    command = f'"{sys.executable}" -m audience_mcp {arguments} {closed}'
    with anyio.fail_after(60):
        done = await anyio.run_process(["sh", "-c", command], env=environment(), check=False)
    assert done.returncode == code
    assert done.stdout.decode() == out
    said = done.stderr.decode()
    assert err in said
    assert bool(said) == bool(err)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUDIENCE_MCP_DEADLINE_S", "0"),
        pytest.param("AUDIENCE_MCP_MAX_CHARS", "many", marks=pytest.mark.slow),
        pytest.param("AUDIENCE_MCP_LOG_LEVEL", "LOUD", marks=pytest.mark.slow),
    ],
)
async def test_a_setting_that_cannot_be_used_is_refused_at_start_by_name(name: str, value: str) -> None:
    done = await anyio.run_process(
        [sys.executable, "-m", "audience_mcp"],
        env=environment(**{name: value}),
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert name in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.slow
async def test_the_console_script_is_the_same_program() -> None:
    script = Path(sys.executable).with_name("audience-mcp")
    async with Client(
        StdioServerParameters(command=str(script), args=["--sandbox"], env=environment())
    ) as client:
        assert len((await client.list_tools()).tools) == 2


@pytest.mark.slow
async def test_the_demo_answers_every_question() -> None:
    done = await anyio.run_process([sys.executable, "-m", "audience_mcp", "demo"], env=environment())
    said = done.stdout.decode()
    assert "Which are my five biggest audiences?" in said
    assert 'list_audiences({"limit": 5})' in said
    assert f"{max(r.size or 0 for r in truth()):,}" in said
    assert "10 of 10 questions answered, one call each." in said

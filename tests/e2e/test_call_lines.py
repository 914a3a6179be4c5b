"""What those who run the server over HTTP find in its log: who asked what, and who was refused."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from audience_mcp.server.refusals import MOST_PEERS, OTHERS, WITHIN_S, Refusals
from tests.e2e.test_http import answer_of, client_of, posted
from tests.support.hosting import TOKEN, Hosted, hosted, worked

pytestmark = pytest.mark.anyio

CI = "ci-token-of-at-least-32-characters-0123"
NAMED = {"AUDIENCE_MCP_HTTP_TOKENS": f"ci:{CI}"}
CALL = re.compile(
    r"INFO audience_mcp\.server\.calls: (?P<who>[^:]+): (?P<tool>\w+) (?P<outcome>\w+) "
    r"sources=(?P<sources>\S+) matched=(?P<matched>\S+) complete=(?P<complete>\S+) ms=(?P<ms>\d+)$"
)


async def ended(server: Hosted) -> list[str]:
    """The log's lines, once the server has ended as it should."""
    assert await anyio.to_thread.run_sync(server.end) == 0
    return [line.rstrip("\n") for line in server.log]


def calls_in(lines: list[str]) -> list[dict[str, str]]:
    return [found.groupdict() for line in lines if (found := CALL.search(line))]


async def test_every_call_is_one_line_without_any_setting_of_the_log() -> None:
    with hosted("--sandbox") as server:
        async with client_of(server.url) as client:
            answer = await answer_of(client, sources=["whop", "batch"], search="vip")
            await client.call_tool("get_audience", {"audience": answer["audiences"][0]["ref"]})
            await client.call_tool("get_audience", {"audience": "nobody has this name", "source": "whop"})
            await client.call_tool("list_audiences", {"sources": ["a source that there is not"]})
        lines = await ended(server)
    listed, found, missed, nowhere = calls_in(lines)
    assert len(lines) == 5  # and where it serves
    assert {**listed, "ms": ""} == {
        "who": "anyone",
        "tool": "list_audiences",
        "outcome": "answered",
        "sources": "whop,batch",
        "matched": str(answer["matched"]),
        "complete": "true",
        "ms": "",
    }
    assert (found["tool"], found["outcome"], found["matched"]) == ("get_audience", "answered", "1")
    assert (missed["outcome"], missed["sources"], missed["matched"]) == ("error", "whop", "-")
    assert (nowhere["outcome"], nowhere["sources"]) == ("error", "-")
    assert "vip" not in "".join(lines).lower()
    assert "nobody has" not in "".join(lines)


@pytest.mark.slow
async def test_at_debug_the_log_holds_neither_a_question_nor_an_answer_however_it_is_sent() -> None:
    question = "an audience that nobody has 1c0ffee1"
    with hosted("--sandbox", AUDIENCE_MCP_LOG_LEVEL="DEBUG") as server:
        for mode in ("auto", "legacy"):
            async with client_of(server.url, mode) as client:  # which takes event streams
                answer = await answer_of(client)
                names = [audience["name"] for audience in answer["audiences"]]
                await client.call_tool("get_audience", {"audience": answer["audiences"][0]["ref"]})
                await client.call_tool("list_audiences", {"search": question})
                await client.call_tool("get_audience", {"audience": question})
        body = {"name": "list_audiences", "arguments": {"search": names[0]}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": body}
        for accept in ("application/json", "text/event-stream"):
            headers = {"Accept": accept, "MCP-Protocol-Version": "2025-11-25"}
            async with httpx.AsyncClient(trust_env=False) as http:
                shown = await http.post(server.url, json=message, headers=headers)
            assert names[0] in shown.text
        lines = await ended(server)
    assert len(calls_in(lines)) == 10
    said = "\n".join(lines)
    assert "1c0ffee1" not in said
    assert names
    for audience in answer["audiences"]:
        assert audience["name"] not in said
        assert audience["ref"] not in said
    assert "sum_of_sizes" not in said


@pytest.mark.slow
async def test_a_level_that_is_set_holds_for_these_lines_too() -> None:
    with hosted("--sandbox", AUDIENCE_MCP_LOG_LEVEL="WARNING", **NAMED) as server:
        async with client_of(server.url, headers={"Authorization": f"Bearer {CI}"}) as client:
            await answer_of(client, limit=0)
        assert (await posted(server.url)).status_code == 401
        assert len(await ended(server)) == 1


@pytest.mark.slow
async def test_the_log_as_json_has_who_asked_what_and_who_was_refused_and_no_line_that_is_not_json() -> None:
    with hosted("--sandbox", AUDIENCE_MCP_LOG_FORMAT="json", **NAMED) as server:
        async with client_of(server.url, headers={"Authorization": f"Bearer {CI}"}) as client:
            await answer_of(client, sources=["batch"], limit=0)
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer no"}):
            assert (await posted(server.url, headers)).status_code == 401
        lines = [json.loads(line) for line in await ended(server)]
    serving, call, first, more = lines
    assert "serving at" in serving["message"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    assert {key: call[key] for key in ("level", "who", "tool", "outcome", "sources", "complete")} == {
        "level": "INFO",
        "who": "token ci",
        "tool": "list_audiences",
        "outcome": "answered",
        "sources": ["batch"],
        "complete": True,
    }
    assert isinstance(call["ms"], int)
    assert (first["peer"], first["reason"]) == ("127.0.0.1", "it sent no token")
    assert (more["followed"], more["reason"]) == (2, "its token is not one of ours")
    assert TOKEN not in "".join(server.log)


@pytest.mark.slow
async def test_under_uvicorns_own_command_the_log_is_json_too() -> None:
    hosts = {"AUDIENCE_MCP_ALLOWED_HOSTS": "audiences.example.com"}
    with worked(1, AUDIENCE_MCP_LOG_FORMAT="json", **NAMED, **hosts) as server:
        assert (await posted(server.url)).status_code == 401
        await anyio.to_thread.run_sync(server.end)
    lines = [json.loads(line) for line in server.log]
    assert {"uvicorn.error", "audience_mcp.server.refusals"} <= {line["logger"] for line in lines}


class Minutes:
    """What is to be done later, done when a minute is said to have passed."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        assert seconds == WITHIN_S
        self.waiting.append(do)

    def passes(self) -> None:
        waiting, self.waiting = self.waiting, []
        for do in waiting:
            do()


@pytest.fixture
def minutes() -> Minutes:
    return Minutes()


def scope_of(address: str) -> dict[str, Any]:
    return {"type": "http", "client": (address, 40_000)}


def test_a_refused_peer_has_one_line_a_minute_with_the_first_reason_and_how_many_followed(
    minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refusals = Refusals(minutes.later)
    for _ in range(2):
        refusals.note(scope_of("192.0.2.1"), "token", "it sent no token")
    for reason in ("its token has expired", "it sent no token"):
        refusals.note(scope_of("192.0.2.1"), "token", reason)
    refusals.note(scope_of("2001:db8::1"), "scope", "its token lacks the scope")
    assert caplog.messages == [
        "refused 192.0.2.1: it sent no token",
        "refused 2001:db8::1: its token lacks the scope",
    ]
    caplog.clear()
    minutes.passes()
    assert caplog.messages == [
        "refused 192.0.2.1: 3 more within a minute, the first of them: it sent no token"
    ]
    caplog.clear()
    refusals.note(scope_of("192.0.2.1"), "token", "its token has expired")
    minutes.passes()
    assert caplog.messages == [
        "refused 192.0.2.1: 1 more within a minute, the first of them: its token has expired"
    ]
    caplog.clear()
    minutes.passes()  # quiet, so that the next one is new
    refusals.note(scope_of("192.0.2.1"), "token", "it sent no token")
    assert caplog.messages == ["refused 192.0.2.1: it sent no token"]
    assert refusals.counts == {"token": 6, "scope": 1}


def test_a_great_many_peers_make_no_more_lines_than_a_thousand_a_minute(
    minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refusals = Refusals(minutes.later)
    for number in range(3 * MOST_PEERS):
        refusals.note(scope_of(f"2001:db8::{number:x}"), "token", "it sent no token")
    assert len(caplog.messages) == MOST_PEERS + 1
    caplog.clear()
    minutes.passes()
    assert caplog.messages == [
        f"refused {OTHERS}: {2 * MOST_PEERS - 1} more within a minute, the first of them: it sent no token"
    ]


def test_what_followed_is_reported_when_the_server_ends(
    minutes: Minutes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refusals = Refusals(minutes.later)
    for _ in range(5):
        refusals.note(scope_of("192.0.2.1"), "host", "its host is not allowed", logging.WARNING)
    refusals.close()
    minutes.passes()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "refused 192.0.2.1: its host is not allowed"),
        ("WARNING", "refused 192.0.2.1: 4 more within a minute, the first of them: its host is not allowed"),
    ]

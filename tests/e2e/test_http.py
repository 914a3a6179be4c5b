"""The installed program over real Streamable HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from audience_mcp.sandbox.app import serve
from tests.questions.records import total, truth
from tests.support.hosting import AUTHORIZED, TOKEN, Hosted, hosted, started, worked
from tests.support.process import ENDS_WITHIN_S, environment
from tests.support.served import Recording

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])


@pytest.fixture(scope="module")
def server() -> Iterator[Hosted]:
    """The sandbox, for this computer only."""
    with hosted("--sandbox") as server:
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[Hosted]:
    """The sandbox, for whoever has the token."""
    with hosted(
        "--sandbox",
        "--host",
        "0.0.0.0",
        AUDIENCE_MCP_HTTP_TOKEN=TOKEN,
        AUDIENCE_MCP_ALLOWED_HOSTS="mcp.example.com",
    ) as server:
        yield server


@asynccontextmanager
async def client_of(
    url: str, mode: str = "auto", headers: dict[str, str] | None = None
) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def answer_of(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("list_audiences", arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def posted(url: str, headers: dict[str, str] | None = None, method: str = "POST") -> httpx.Response:
    """A bare `tools/list`, as a client of 2025-11-25 would send it."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        return await http.request(method, url, json=body, headers={**accept, **(headers or {})})


@ERAS
async def test_a_client_of_either_era_gets_exact_totals_of_all_vendors_in_one_call(
    server: Hosted, mode: str, version: str
) -> None:
    every = truth()
    async with client_of(server.url, mode) as client:
        assert client.protocol_version == version
        answer = await answer_of(client)
    assert answer["complete"] is True
    assert answer["matched"] == len(every)
    assert answer["sum_of_sizes"] == total(every)
    assert answer["unknown_sizes"] == sum(record.size is None for record in every)


@pytest.mark.parametrize(
    ("mode", "version"),
    [("auto", "2026-07-28"), pytest.param("legacy", "2025-11-25", marks=pytest.mark.slow)],
)
async def test_progress_is_told_while_a_call_is_under_way(mode: str, version: str) -> None:
    told: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    with hosted("--sandbox") as server:  # of its own: nothing has been read yet
        async with client_of(server.url, mode) as client:
            await client.call_tool("list_audiences", {}, progress_callback=progress)
    assert told == sorted(set(told))
    assert told


@pytest.mark.slow
async def test_health_is_told_to_anyone_and_says_nothing_of_sources(server: Hosted, guarded: Hosted) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        for each in (server, guarded):
            answer = await http.get(f"{each.origin}/health", headers={"Host": "anything"})
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert (await http.post(f"{each.origin}/health")).status_code == 405


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "localhost:8000"])
async def test_a_request_for_this_computer_by_name_is_answered(server: Hosted, name: str) -> None:
    assert (await posted(server.url, {"Host": name})).status_code == 200
    assert (await posted(server.url, {"Origin": f"http://{name}"})).status_code == 200


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.2"])
async def test_a_request_for_another_host_is_refused(server: Hosted, name: str) -> None:
    assert (await posted(server.url, {"Host": name})).status_code == 421
    modern = {"Host": name, "MCP-Protocol-Version": "2026-07-28"}
    assert (await posted(server.url, modern)).status_code == 421


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["http://evil.example", "https://localhost.evil.example", "null"])
async def test_a_request_from_a_foreign_page_is_refused(server: Hosted, origin: str) -> None:
    assert (await posted(server.url, {"Origin": origin})).status_code == 403
    modern = {"Origin": origin, "MCP-Protocol-Version": "2026-07-28"}
    assert (await posted(server.url, modern)).status_code == 403


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_are_no_sessions_to_open_or_to_end(server: Hosted, method: str) -> None:
    assert (await posted(server.url, method=method)).status_code == 405
    assert "mcp-session-id" not in (await posted(server.url)).headers


@ERAS
async def test_the_right_token_lets_a_client_in(guarded: Hosted, mode: str, version: str) -> None:
    async with client_of(guarded.url, mode, AUTHORIZED) as client:
        assert client.protocol_version == version
        assert (await answer_of(client, limit=0))["complete"] is True
    assert (await posted(guarded.url, {"Authorization": f"bearer {TOKEN}"})).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
    ],
)
async def test_a_missing_or_wrong_token_gets_a_bare_401(guarded: Hosted, given: str | None) -> None:
    for method in ("POST", "GET", "DELETE", "OPTIONS"):
        for path in ("/mcp", "/mcp/"):
            headers = {} if given is None else {"Authorization": given}
            refused = await posted(guarded.origin + path, headers, method)
            assert (refused.status_code, refused.content) == (401, b"")
            assert refused.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_given_twice_is_no_token(guarded: Hosted) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        twice = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
        assert (await http.post(guarded.url, headers=twice)).status_code == 401


@pytest.mark.slow
async def test_elsewhere_only_the_allowed_hosts_and_pages_are_answered(guarded: Hosted) -> None:
    async def status(**headers: str) -> int:
        return (await posted(guarded.url, {**AUTHORIZED, **headers})).status_code

    assert await status(Host="mcp.example.com") == 200
    assert await status(Host="mcp.example.com:8443") == 200
    assert await status(Host="evil.example") == 421
    assert await status(Host="mcp.example.com", Origin="https://mcp.example.com") == 200
    assert await status(Host="mcp.example.com", Origin="https://evil.example") == 403


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"AUDIENCE_MCP_HTTP_TOKEN": "short", "AUDIENCE_MCP_ALLOWED_HOSTS": "mcp.example.com"},
    ],
)
async def test_another_host_without_token_and_names_is_refused_at_start(variables: dict[str, str]) -> None:
    done = await anyio.run_process(
        [sys.executable, "-m", "audience_mcp", "--http", "--sandbox", "--host", "0.0.0.0", "--port", "0"],
        env=environment(**variables),
        check=False,
        stdin=subprocess.DEVNULL,
    )
    said = done.stderr.decode()
    assert done.returncode == 2
    assert done.stdout == b""
    assert said.startswith("audience-mcp: ")
    assert said.count("\n") == 1
    assert "AUDIENCE_MCP_HTTP_TOKEN" in said or "AUDIENCE_MCP_ALLOWED_HOSTS" in said
    assert TOKEN not in said


@pytest.mark.slow
async def test_a_port_in_use_is_told_in_one_sentence(server: Hosted) -> None:
    done = await anyio.run_process(
        [sys.executable, "-m", "audience_mcp", "--http", "--sandbox", "--port", str(server.port)],
        env=environment(),
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1
    assert done.stderr.decode() == (
        f"audience-mcp: port {server.port} on 127.0.0.1 is in use by another program: stop that program, or "
        "choose another --port.\n"
    )


async def test_a_callers_token_reaches_neither_a_vendor_nor_the_log() -> None:
    sandbox = Recording()
    async with serve(sandbox) as origin:
        variables = {"AUDIENCE_MCP_HTTP_TOKEN": TOKEN, "AUDIENCE_MCP_LOG_LEVEL": "DEBUG"}
        with hosted(**sandbox.environment(origin), **variables) as server:
            for mode in ("auto", "legacy"):
                async with client_of(server.url, mode, AUTHORIZED) as client:
                    assert (await answer_of(client, refresh=True))["complete"] is True
            assert await anyio.to_thread.run_sync(server.end) == 0
            assert TOKEN not in "".join(server.log)
    assert sandbox.asked
    for asked in sandbox.asked:
        assert TOKEN not in repr(asked)


@pytest.mark.slow
async def test_concurrent_callers_share_one_reading() -> None:
    sandbox = Recording()
    answers: list[dict[str, Any]] = []

    async def ask(url: str, mode: str) -> None:
        async with client_of(url, mode) as client:
            answers.append(await answer_of(client))

    async with serve(sandbox) as origin:
        with hosted(**sandbox.environment(origin)) as server:
            async with anyio.create_task_group() as group:
                for mode in ("auto", "legacy") * 4:
                    group.start_soon(ask, server.url, mode)
    assert answers == [answers[0]] * 8
    assert len([asked for asked in sandbox.asked if asked.path.startswith("/commbox/")]) == 1


@pytest.mark.slow
async def test_several_workers_behind_one_port_give_the_same_answers() -> None:
    sandbox = Recording()
    answers: list[dict[str, Any]] = []

    def readings() -> int:
        return len([asked for asked in sandbox.asked if asked.path.startswith("/commbox/")])

    async def ask(url: str) -> None:
        async with client_of(url, headers=AUTHORIZED) as client:
            answer = await answer_of(client)
            for source in answer["sources"]:
                del source["as_of"]  # each worker reads for itself
            answers.append(answer)

    async with serve(sandbox) as origin:
        variables = {"AUDIENCE_MCP_HTTP_TOKEN": TOKEN, "AUDIENCE_MCP_ALLOWED_HOSTS": "mcp.example.com"}
        with worked(2, **sandbox.environment(origin), **variables) as server:
            with anyio.fail_after(60):
                while readings() < 2:  # the kernel chooses the worker; ask until both were asked
                    async with anyio.create_task_group() as group:
                        for _ in range(4):
                            group.start_soon(ask, server.url)
            assert (await posted(server.url)).status_code == 401
            await anyio.to_thread.run_sync(server.end)
    assert readings() == 2
    assert answers == [answers[0]] * len(answers)
    assert answers[0]["matched"] == sum(len(rows) for rows in sandbox.rows.values())
    assert TOKEN not in "".join(server.log)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_a_signal_ends_it_in_time_and_quietly_while_a_vendor_is_silent(
    number: signal.Signals, version: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with hosted(COMMBOX_API_KEY="key-key-000", COMMBOX_BASE_URL=url) as server:
            async with anyio.create_task_group() as group:
                group.start_soon(called, server.url, version)
                silent.settimeout(30)
                vendor, _ = await anyio.to_thread.run_sync(silent.accept)
                with vendor:  # the call is under way
                    before = time.monotonic()
                    assert await anyio.to_thread.run_sync(server.end, number) == 0
                    assert time.monotonic() - before < ENDS_WITHIN_S
            (call,) = server.log[1:]
            assert "anyone: list_audiences cancelled sources=commbox matched=- complete=-" in call


@pytest.mark.slow
async def test_a_call_under_way_ends_with_the_server_and_need_not_be_cut_off_by_its_watchdog() -> None:
    serving = "from audience_mcp.server import http; http.EXIT_WITHIN_S = 60; "
    serving += "raise SystemExit(http.serve(sandbox=False, host='127.0.0.1', port=0))"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        variables = {"COMMBOX_API_KEY": "key-key-000", "COMMBOX_BASE_URL": url}
        with started([sys.executable, "-c", serving], variables) as server:
            async with anyio.create_task_group() as group:
                group.start_soon(called, server.url, "2026-07-28")
                vendor, _ = await anyio.to_thread.run_sync(silent.accept)
                with vendor:
                    before = time.monotonic()
                    assert await anyio.to_thread.run_sync(server.end) == 0
                    assert time.monotonic() - before < ENDS_WITHIN_S


async def called(url: str, version: str) -> None:
    """A call whose answer does not matter."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "list_audiences", "arguments": {}, "_meta": meta}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": version,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "list_audiences",
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as http:
        with contextlib.suppress(httpx.TransportError):
            await http.post(url, json=body, headers=headers)


@pytest.mark.slow
async def test_a_signal_under_load_cuts_no_answer_short_that_had_begun() -> None:
    params = {"name": "list_audiences", "arguments": {"limit": 0}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    answered: list[str] = []
    enough = anyio.Event()

    async def keep_asking(url: str) -> None:
        """Until nobody answers any more. A connection that ends before a response begins loses none."""
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as http:
            while True:
                try:
                    response = await http.send(
                        http.build_request("POST", url, json=call, headers=headers), stream=True
                    )
                except httpx.TransportError:
                    return
                answered.append((await response.aread()).decode())
                if len(answered) >= 100:
                    enough.set()

    with hosted("--sandbox") as server, anyio.fail_after(90):
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(keep_asking, server.url)
            await enough.wait()
            assert await anyio.to_thread.run_sync(server.end) == 0
    assert len(answered) >= 100
    assert all('"result"' in answer for answer in answered)


GUIDE = (Path(__file__).parents[2] / "docs" / "hosting.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(sh|python)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
SERVES = [text for kind, text in SNIPPETS if kind == "sh" and "curl" not in text]


@pytest.mark.slow
@pytest.mark.parametrize("commands", SERVES, ids=lambda commands: commands.split("\n")[-2])
async def test_the_commands_in_the_guide_serve(commands: str) -> None:
    *before, serving = commands.strip().split("\n")
    serving = f"{serving.replace('--port 8000', '')} --port 0"  # two runs at once must not share a port
    variables = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if serving.startswith("uvicorn"):
        variables.update(AUDIENCE_MCP_HTTP_TOKEN=TOKEN, AUDIENCE_MCP_ALLOWED_HOSTS="mcp.example.com")
    with started(["sh", "-c", "\n".join([*before, f"exec {serving}"])], variables) as server:
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            assert (await http.get(f"{server.origin}/health")).json() == {"status": "ok"}
        refused = "--sandbox" not in serving
        assert (await posted(server.url)).status_code == (401 if refused else 200)


async def test_the_client_in_the_guide_gets_an_answer(guarded: Hosted) -> None:
    (code,) = (text for kind, text in SNIPPETS if kind == "python")
    (asks,) = (text for kind, text in SNIPPETS if kind == "sh" and "curl" in text)
    assert asks.strip() == "curl http://127.0.0.1:8000/health"
    done = await anyio.run_process(
        [sys.executable, "-c", code.replace("http://127.0.0.1:8000", guarded.origin)],
        env=environment(AUDIENCE_MCP_HTTP_TOKEN=TOKEN),
    )
    assert json.loads(done.stdout)["returned"] == 3

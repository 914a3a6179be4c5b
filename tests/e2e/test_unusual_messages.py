"""Messages as real hosts send them, word for word, over real stdio and real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest

from audience_mcp.server.tools import TOOLS
from tests.support.hosting import AUTHORIZED, TOKEN, Hosted, hosted
from tests.support.process import environment, program

pytestmark = pytest.mark.anyio

JSON = "application/json"
CALL: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
TOTALS: dict[str, Any] = {**CALL, "params": {"name": "list_audiences", "arguments": {"limit": 0}}}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    },
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
INSPECTOR = "http://localhost:6274"


@pytest.fixture(scope="module")
def server() -> Iterator[Hosted]:
    with hosted("--sandbox") as server:
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[Hosted]:
    with hosted("--sandbox", AUDIENCE_MCP_HTTP_TOKEN=TOKEN) as server:
        yield server


async def post(url: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        del http.headers["accept"]
        return await http.post(url, content=content, headers=sent)


async def spoken(*lines: Any) -> list[dict[str, Any]]:
    """What a fresh server on stdio answers to lines that it gets at once, before stdin ends."""
    raw = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    with anyio.fail_after(60):
        done = await anyio.run_process(
            [sys.executable, "-m", "audience_mcp", "--sandbox"], input=raw, env=environment()
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- one shot ---------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_calls_that_run_when_stdin_ends_are_answered() -> None:
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    calls = [{**CALL, "id": n, "method": "prompts/list"} for n in range(2, 10)]
    answers = await spoken(INITIALIZE, initialized, *calls)
    assert sorted(answer["id"] for answer in answers) == list(range(1, 10))
    assert all("result" in answer for answer in answers)


@pytest.mark.slow
async def test_a_reading_that_runs_when_stdin_ends_is_answered() -> None:
    async with program("--sandbox") as server:
        await server.initialize()
        assert "result" in await server.ask("tools/call", **TOTALS["params"])  # the vendors have been read
        asked = [await server.request("tools/call", **TOTALS["params"]) for _ in range(8)]
        assert await server.end() == 0
        answers = {m["id"]: m for line in server.lines if (m := json.loads(line)).get("id") in asked}
        assert all(answers[id]["result"]["structuredContent"]["complete"] for id in asked)


# --- messages ---------------------------------------------------------------------------------------------


BAD = {
    "a batch": [{"jsonrpc": "2.0", "id": 1, "method": "ping"}],
    "an empty batch": [],
    "a batch of no messages": [1, "x"],
    "a number": 5,
    "null": None,
    "a method that is no text": {"jsonrpc": "2.0", "method": 1, "params": "bar"},
    "a null id": {"jsonrpc": "2.0", "id": None, "method": "ping"},
    "a fraction for an id": {"jsonrpc": "2.0", "id": 1.5, "method": "ping"},
    "true for an id": {"jsonrpc": "2.0", "id": True, "method": "ping"},
}


UNPARSABLE = [b"hello", b"Content-Length: 46", b'{"jsonrpc"', b"[" * 100_000, b"{}{}"]


@pytest.mark.slow
async def test_what_is_no_request_is_answered_with_no_id_and_costs_only_itself(server: Hosted) -> None:
    blank = [b"", b" \r", b"\xef\xbb\xbf"]
    *refused, last = await spoken(*BAD.values(), *UNPARSABLE, *blank, {**CALL, "id": 9, "method": "ping"})
    assert last["result"] == {}
    assert [answer["id"] for answer in refused] == [None] * (len(BAD) + len(UNPARSABLE))
    assert {answer["error"]["code"] for answer in refused[: len(BAD)]} == {-32600}
    for message, answer in zip([*BAD.values(), *UNPARSABLE], refused, strict=True):
        for headers in (
            {},
            {"Accept": "application/json, text/event-stream", "MCP_Protocol_Version": "2026-07-28"},
        ):
            response = await post(server.url, message, **headers)
            assert (response.status_code, response.json()) == (400, answer)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
async def test_a_host_that_writes_utf_16_is_read(encoding: str, server: Hosted) -> None:
    """What a text writer of .NET writes by the name of Unicode: a mark, then two bytes a character."""
    search = {**CALL, "id": 2, "params": {"name": "list_audiences", "arguments": {"search": "\u0a0a \u00e9"}}}
    text = "".join(json.dumps(each, ensure_ascii=False) + "\r\n" for each in (INITIALIZE, search))
    answers = await spoken(f"\ufeff{text}".encode(encoding).removesuffix(b"\n"))
    assert [answer["id"] for answer in answers if "result" in answer] == [1, 2]
    marked = f"\ufeff{json.dumps(INITIALIZE)}".encode(encoding)
    assert (await post(server.url, marked)).json()["result"] == answers[0]["result"]


@pytest.mark.slow
async def test_keys_that_are_written_with_escapes_are_read_as_any_others(server: Hosted) -> None:
    escaped = (
        json.dumps(INITIALIZE).replace("jsonrpc", "json\\u0072pc").replace("method", "m\\u0065thod").encode()
    )
    (answer,) = await spoken(escaped)
    assert answer["result"]["serverInfo"]["name"] == "audience-mcp"
    assert (await post(server.url, escaped)).json()["result"] == answer["result"]


async def test_a_byte_order_mark_ends_nothing(server: Hosted) -> None:
    marked = b"\xef\xbb\xbf" + json.dumps(INITIALIZE).encode()
    (answer,) = await spoken(marked)
    assert answer["result"]["serverInfo"]["name"] == "audience-mcp"
    assert (await post(server.url, marked)).json()["result"] == answer["result"]


@pytest.mark.slow
async def test_a_client_that_gives_up_on_its_probe_may_fall_back_to_the_handshake() -> None:
    """Vercel's AI SDK waits one second for `server/discover`, which a cold start can take."""
    probe = {"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": META}}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    answers = await spoken(probe, INITIALIZE, ready, {**CALL, "id": 2, "method": "tools/list"})
    assert [answer["id"] for answer in answers] == [0, 1, 2]
    assert all("result" in answer for answer in answers)
    modern = {**CALL, "method": "tools/list", "params": {"_meta": META}}
    *_, refused = await spoken(probe, modern, {**INITIALIZE, "id": 2})
    assert (refused["id"], refused["error"]["code"]) == (2, -32022)


@pytest.mark.slow
async def test_what_comes_before_initialize_says_so() -> None:
    (answer,) = await spoken({**CALL, "method": "tools/list"})
    assert answer["error"]["message"] == "Invalid request: send initialize first."
    (answer,) = await spoken({**CALL, "method": "skills/list"})
    assert answer["error"]["message"] == "Invalid request: send initialize first."
    (answer,) = await spoken({**CALL, "method": "server/discovery"})
    assert answer["error"]["code"] == -32601


@pytest.mark.slow
async def test_a_client_that_needs_no_handshake_is_not_sent_to_it() -> None:
    _, forgot = await spoken(
        {**CALL, "method": "tools/list", "params": {"_meta": META}}, {**CALL, "id": 2, "method": "tools/list"}
    )
    assert forgot["error"]["code"] == -32602
    assert "_meta" in forgot["error"]["message"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pipes and a full device of POSIX")
@pytest.mark.parametrize(
    "fault",
    [
        "a pipe that nobody reads",
        pytest.param("a full device", marks=pytest.mark.skipif(sys.platform != "linux", reason="of Linux")),
    ],
)
def test_a_stdout_that_cannot_be_written_to_ends_the_program_with_one_line(fault: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stdout = writing if fault != "a full device" else os.open("/dev/full", os.O_WRONLY)
    # stdin stays open, as a host leaves it.
    with subprocess.Popen(
        [sys.executable, "-m", "audience_mcp", "--sandbox"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
            process.stdin.flush()
            assert process.wait(60) == 1
            log = process.stderr.read().decode()
        finally:
            process.kill()
    assert log.count("\n") == 1
    assert "stdout cannot be written to" in log


@pytest.mark.slow
async def test_empty_lists_of_php_are_taken_as_objects(server: Hosted) -> None:
    greeting = {**INITIALIZE, "params": {**INITIALIZE["params"], "capabilities": []}}
    call = {**CALL, "id": 2, "params": {"name": "get_audience", "arguments": []}}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized", "params": []}
    first, second = await spoken(greeting, ready, call)
    assert "result" in first
    assert "'audience' is required" in second["result"]["content"][0]["text"]
    assert (await post(server.url, ready)).status_code == 202
    assert (await post(server.url, call)).json()["result"] == second["result"]


async def test_params_that_are_wrong_are_named_and_their_call_gets_its_error(server: Hosted) -> None:
    wrong = {**CALL, "params": {"name": "list_audiences", "arguments": "all"}}
    response = await post(server.url, wrong)
    assert response.status_code == 200
    assert response.json()["error"]["message"] == "Invalid params: params.arguments must be an object."
    modern = await post(server.url, wrong, MCP_Protocol_Version="2026-07-28")
    assert modern.status_code == 400
    assert modern.json() == response.json()


HOSTS: dict[str, tuple[dict[str, str], bytes, Any, dict[str, Any]]] = {
    "n8n": ({"Accept": "application/json, text/event-stream"}, b"", {}, {"toolCallId": "call_0BCI"}),
    "Cline": ({"Accept": "application/json, text/event-stream"}, b"", {}, {"task_progress": "- [ ] ask"}),
    "a host on Windows": ({"Accept": "*/*"}, b"\xef\xbb\xbf", {}, {}),
    "the PHP SDK": ({"Accept": "application/json"}, b"", [], {}),
    "Copilot Studio": ({"Accept": "application/json"}, b"", {}, {"search": None, "type": []}),
}
"""By host: its headers, what comes before a message, its empty object, and its arguments in every call."""


@pytest.mark.parametrize("host", HOSTS)
async def test_a_host_lists_asks_for_everything_asks_with_a_filter_and_sees_an_error(
    server: Hosted, host: str
) -> None:
    headers, before, empty, own = HOSTS[host]

    async def ask(method: str, params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        response = await post(server.url, before + json.dumps(message).encode(), **headers)
        assert response.status_code == 200
        text = response.text
        if response.headers["content-type"].startswith("text/event-stream"):
            (text,) = (line[6:] for line in text.splitlines() if line.startswith("data: {"))
        return json.loads(text)["result"]

    async def call(**arguments: Any) -> Any:
        given = {**arguments, **own} or empty
        return await ask("tools/call", {"name": "list_audiences", "arguments": given})

    greeted = await ask("initialize", {**INITIALIZE["params"], "capabilities": empty})
    assert greeted["serverInfo"]["name"] == "audience-mcp"
    assert [tool["name"] for tool in (await ask("tools/list", empty))["tools"]] == [*TOOLS]
    every, some = (await call())["structuredContent"], (await call(sources=["batch"]))["structuredContent"]
    assert every["matched"] > some["matched"] > 0
    assert every["complete"] is True
    wrong = await call(sort="biggest")
    assert wrong["isError"] is True
    assert "'sort' must be one of" in wrong["content"][0]["text"]


# --- HTTP -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [None, "application/json", "*/*", "application/*", "text/html, */*;q=0.8"])
@pytest.mark.parametrize("version", [None, "2025-11-25"])
async def test_who_names_no_event_stream_gets_json(
    server: Hosted, accept: str | None, version: str | None
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    if version:
        headers["MCP_Protocol_Version"] = version
    response = await post(server.url, TOTALS, **headers)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["result"]["structuredContent"]["complete"] is True


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "application/json, text/event-stream",
        "Text/Event-Stream;q=0.1 , application/json;q=0.9",
    ],
)
async def test_who_names_an_event_stream_gets_one(server: Hosted, accept: str) -> None:
    response = await post(server.url, TOTALS, Accept=accept, MCP_Protocol_Version="2025-11-25")
    assert response.headers["content-type"].startswith("text/event-stream")
    (data,) = (line for line in response.text.splitlines() if line.startswith("data: {"))
    assert json.loads(data[6:])["result"]["structuredContent"]["complete"] is True


@pytest.mark.parametrize(
    "accept",
    [
        "application/json, text/event-stream;q=0",
        "text/event-stream; q=0.00, */*",
        'x/y; a="text/event-stream"',
    ],
)
async def test_who_names_an_event_stream_to_refuse_it_gets_json(server: Hosted, accept: str) -> None:
    assert (await post(server.url, TOTALS, Accept=accept)).headers["content-type"] == "application/json"


async def test_an_accept_header_in_two_lines_is_one(server: Hosted) -> None:
    content = json.dumps(TOTALS)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        lines = [("Accept", "application/json"), ("Accept", "text/event-stream")]
        response = await http.post(server.url, content=content, headers=[*lines, ("Content-Type", JSON)])
    assert response.headers["content-type"].startswith("text/event-stream")


async def test_a_refusal_of_one_call_comes_as_its_answer_would(server: Hosted) -> None:
    wrong = {**CALL, "params": {"name": "list_audiences", "arguments": 5}}
    asked = await post(server.url, wrong, Accept="application/json, text/event-stream")
    assert (asked.status_code, asked.headers["content-type"]) == (200, "text/event-stream")
    (data,) = (line for line in asked.text.splitlines() if line.startswith("data: {"))
    assert json.loads(data[6:]) == (await post(server.url, wrong)).json()


@pytest.mark.parametrize(
    "kind", ["", "APPLICATION/JSON", "application/json;charset=utf-8", "application/json,application/json"]
)
async def test_a_body_is_json_however_its_type_is_written_or_if_there_is_none(
    server: Hosted, kind: str
) -> None:
    response = await post(server.url, TOTALS, Content_Type=kind)
    assert response.json()["result"]["structuredContent"]["complete"] is True
    request = httpx.Request("POST", server.url, content=json.dumps(TOTALS))
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        assert (await http.send(request)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"Content_Type": "text/plain"}, "Content-Type must be application/json"),
        ({"Content_Type": "application/json-rpc"}, "Content-Type must be application/json"),
        ({"Content_Encoding": "gzip"}, "must not be compressed (Content-Encoding)"),
    ],
)
async def test_a_body_that_cannot_be_read_is_415_with_the_header_that_says_so(
    server: Hosted, headers: dict[str, str], named: str
) -> None:
    response = await post(server.url, TOTALS, **headers)
    assert (response.status_code, response.json()["error"]["code"]) == (415, -32600)
    assert named in response.json()["error"]["message"]


@pytest.mark.parametrize("version", ["2030-01-01", "nonsense", "2024-10-07"])
async def test_an_unknown_version_in_the_header_is_refused_with_those_there_are(
    server: Hosted, version: str
) -> None:
    response = await post(server.url, TOTALS, MCP_Protocol_Version=version)
    assert (response.status_code, response.json()["id"]) == (400, 1)
    assert "MCP-Protocol-Version must be one of 2024-11-05" in response.json()["error"]["message"]
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await post(server.url, ready, MCP_Protocol_Version=version)).json()["id"] is None
    greeted = await post(server.url, INITIALIZE, MCP_Protocol_Version=version)
    assert greeted.json()["result"]["protocolVersion"] == "2025-11-25"  # which it negotiates by itself
    assert (await post(server.url, TOTALS, MCP_Protocol_Version="")).status_code == 200


async def test_a_version_of_the_future_that_a_message_says_itself_gets_the_protocols_own_refusal(
    server: Hosted,
) -> None:
    meta = {**META, "io.modelcontextprotocol/protocolVersion": "2030-01-01"}
    message = {**CALL, "method": "tools/list", "params": {"_meta": meta}}
    response = await post(
        server.url, message, MCP_Protocol_Version="2030-01-01", Mcp_Method="tools/list", Accept=JSON
    )
    assert response.status_code == 400
    assert response.json()["error"]["data"]["supported"] == ["2026-07-28"]


@pytest.mark.parametrize(
    "answer",
    [
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": {}, "result": {}},
        {"id": 1.5, "error": "x"},
        {"jsonrpc": "2.0", "result": {"x": "\ud800"}},
    ],
)
async def test_answers_to_us_are_taken_whatever_they_say(server: Hosted, answer: Any) -> None:
    response = await post(server.url, answer)
    assert (response.status_code, response.content) == (202, b"")


@pytest.mark.slow
async def test_a_slash_at_the_end_is_the_same_address(guarded: Hosted) -> None:
    response = await post(f"{guarded.url}/", TOTALS, **AUTHORIZED)
    assert response.json()["result"]["structuredContent"]["complete"] is True
    assert (await post(f"{guarded.url}/", TOTALS)).status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/health/", "/mcp/x", "/register", "/authorize", "/.well-known/oauth-protected-resource"]
)
async def test_what_is_not_there_is_404_without_a_token_too(guarded: Hosted, path: str) -> None:
    for method in ("GET", "POST"):
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.request(method, f"{guarded.origin}{path}")).status_code == 404


@pytest.mark.slow
async def test_a_page_that_is_let_in_may_read_what_it_asks_for(guarded: Hosted) -> None:
    asks = {
        "Origin": INSPECTOR,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        preflight = await http.options(guarded.url, headers=asks)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == INSPECTOR
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
        private = {**asks, "Access-Control-Request-Private-Network": "true"}
        near = await http.options(guarded.url, headers=private)
        assert (near.status_code, near.headers["access-control-allow-private-network"]) == (200, "true")
        foreign = await http.options(guarded.url, headers={**asks, "Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert "access-control-allow-origin" not in foreign.headers
    for more, status in ((AUTHORIZED, 200), ({}, 401)):
        response = await post(guarded.url, TOTALS, Origin=INSPECTOR, **more)
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == INSPECTOR
    assert "access-control-allow-origin" not in (await post(guarded.url, TOTALS, **AUTHORIZED)).headers


@pytest.mark.slow
async def test_a_refused_host_or_page_is_told_the_setting_that_would_let_it_in() -> None:
    with hosted("--sandbox") as server:
        host = await post(server.url, TOTALS, Host="host.docker.internal:8000")
        assert (host.status_code, host.text) == (
            421,
            "This server does not answer the host host.docker.internal:8000. To allow it, add "
            "host.docker.internal to AUDIENCE_MCP_ALLOWED_HOSTS.\n",
        )
        page = await post(server.url, TOTALS, Origin="https://chat.example.com")
        assert (page.status_code, page.text) == (
            403,
            "This server does not answer web pages from https://chat.example.com. To allow it, add "
            "chat.example.com to AUDIENCE_MCP_ALLOWED_HOSTS.\n",
        )
        dotted = await post(server.url, TOTALS, Host="host.docker.internal.:8000")
        assert dotted.text == host.text
        for origin in (
            "null",
            "tauri://localhost",
            "chrome-extension://abc",
            "http://localhost:1, http://a.com",
        ):
            opaque = await post(server.url, TOTALS, Origin=origin)
            assert opaque.status_code == 403
            assert "no setting allows it" in opaque.text
        for broken in ("a b", "<script>", "x" * 300 + "!", ""):
            response = await post(server.url, TOTALS, Host=broken)
            assert response.status_code in (400, 421)
            assert "<script>" not in response.text
        assert await anyio.to_thread.run_sync(server.end) == 0
        log = "".join(server.log)
        assert log.count("add host.docker.internal to AUDIENCE_MCP_ALLOWED_HOSTS") == 1
        assert log.count("add chat.example.com to AUDIENCE_MCP_ALLOWED_HOSTS") == 1


@pytest.mark.slow
def test_stdin_that_ends_at_once_ends_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "audience_mcp", "--sandbox"], input=b"", env=environment(), timeout=60
    )
    assert done.returncode == 0

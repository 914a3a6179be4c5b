"""Real clients, each asking the installed program what a user's would: over stdio and over HTTP.

`python tests/clients/install.py` installs them. One that is not installed is skipped, unless
AUDIENCE_MCP_ALL_CLIENTS is 1: then that is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from audience_mcp.sandbox import Sandbox
from tests.clients import install
from tests.questions.records import total, truth
from tests.support.hosting import AUTHORIZED, TOKEN, Hosted, hosted
from tests.support.process import environment

pytestmark = [pytest.mark.clients, pytest.mark.slow]

HERE = Path(__file__).parent
STDIO = [sys.executable, "-m", "audience_mcp", "--sandbox"]
OVER = pytest.mark.parametrize("over", ["stdio", "http"])
LEGACY, MODERN = "2025-11-25", "2026-07-28"
ERAS = pytest.mark.parametrize(("era", "version"), [("legacy", LEGACY), ("auto", MODERN)])


@pytest.fixture
def server(over: str) -> Iterator[Hosted | None]:
    """The sandbox over HTTP, for whoever has the token; nothing has been read yet, so progress is told."""
    if over == "stdio":
        yield None
        return
    with hosted("--sandbox", AUDIENCE_MCP_HTTP_TOKEN=TOKEN) as server:
        yield server


def missing(what: str) -> NoReturn:
    """A client cannot be run here: a skip, or a failure where all must be."""
    if os.environ.get("AUDIENCE_MCP_ALL_CLIENTS") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(name="node")
def the_node() -> str:
    """What `node` finds."""
    return node()


def node() -> str:
    """A Node of at least 22.19, with the npm packages at hand."""
    if not install.installed(install.NODE_MODULES):
        missing("the npm clients are not installed (python tests/clients/install.py)")
    brought = install.NODE_MODULES / ".bin" / "node"
    found = str(brought) if brought.exists() else shutil.which("node")
    version = (
        subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        if found
        else "none"
    )
    if found is None or tuple(int(n) for n in version.lstrip("v").split(".")[:2]) < (22, 19):
        missing(f"the npm clients need Node 22.19 or newer, and here is {version}")
    return found


@pytest.fixture
def mcp1() -> str:
    """The interpreter that has the first generation of the Python SDK."""
    return python("mcp1")


@pytest.fixture
def fastmcp() -> str:
    """The interpreter that has FastMCP."""
    return python("fastmcp")


def python(name: str) -> str:
    """The interpreter that has a Python client."""
    if not install.installed(install.VENVS[name]):
        missing(f"the client {name} is not installed (python tests/clients/install.py)")
    return str(install.python(name))


def ran(command: list[str], home: Path) -> Any:
    """What a client printed, which is one JSON value."""
    done = subprocess.run(
        command, env=environment(HOME=str(home)), cwd=home, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def asked(script: list[str], server: Hosted | None, home: Path, **more: str) -> dict[str, Any]:
    """What came back from the questions that every script asks."""
    way: dict[str, Any] = {"command": STDIO[0], "args": STDIO[1:]}
    if server is not None:
        way = {"url": server.url, "headers": AUTHORIZED}
    answer = ran([*script, json.dumps({**way, **more})], home)
    assert isinstance(answer, dict)
    return answer


def check(answer: dict[str, Any], version: str) -> None:
    """The tools, both answers, and the version that was agreed on."""
    assert answer["version"] == version
    assert answer["tools"] == ["list_audiences", "get_audience"]
    assert answer.get("progress") != 0
    for way in ("text", "structured"):
        check_listed(_read(answer["listed"][way]))
        check_got(_read(answer["got"][way]))


def _read(answer: Any) -> dict[str, Any]:
    read = json.loads(answer) if isinstance(answer, str) else answer
    assert isinstance(read, dict)
    return read


def check_listed(answer: dict[str, Any]) -> None:
    """The exact totals of the sandbox."""
    every = truth()
    known = [record.size for record in every if record.size is not None]
    assert answer["complete"] is True
    assert (answer["matched"], answer["returned"]) == (len(every), 5)
    assert answer["sum_of_sizes"] == total(every)
    assert answer["unknown_sizes"] == sum(record.size is None for record in every)
    assert [row["size"] for row in answer["audiences"]] == sorted(known, reverse=True)[:5]


def check_got(answer: dict[str, Any]) -> None:
    """Whop's VIP, as the sandbox has it."""
    (vip,) = (row for row in Sandbox().rows["whop"] if row["name"] == "VIP")
    (only,) = answer["audiences"]
    assert (answer["matched_by"], answer["complete"]) == ("name", True)
    assert (only["ref"], only["name"], only["size"]) == (f"whop:{vip['id']}", "VIP", vip["total_rows"])


@OVER
@ERAS
@pytest.mark.anyio
async def test_the_python_sdk_gets_the_right_answers(era: str, version: str, server: Hosted | None) -> None:
    http = httpx2.AsyncClient(headers=AUTHORIZED, trust_env=False, timeout=30)
    way: Any = StdioServerParameters(command=STDIO[0], args=STDIO[1:], env=environment())
    if server is not None:
        way = streamable_http_client(server.url, http_client=http)
    with anyio.fail_after(60):
        async with http, Client(way, mode=era) as client:
            listed = await client.call_tool("list_audiences", {"limit": 5, "refresh": True})
            got = await client.call_tool("get_audience", {"audience": "VIP", "source": "whop"})
            answer = {
                "version": client.protocol_version,
                "tools": [tool.name for tool in (await client.list_tools()).tools],
                "listed": {"text": listed.content[0].text, "structured": listed.structured_content},  # type: ignore[union-attr]
                "got": {"text": got.content[0].text, "structured": got.structured_content},  # type: ignore[union-attr]
            }
    check(answer, version)


@OVER
def test_the_first_generation_of_the_python_sdk_gets_the_right_answers(
    mcp1: str, server: Hosted | None, tmp_path: Path
) -> None:
    check(asked([mcp1, str(HERE / "ask_mcp1.py")], server, tmp_path), LEGACY)


@OVER
@ERAS
def test_fastmcp_gets_the_right_answers(
    fastmcp: str, era: str, version: str, server: Hosted | None, tmp_path: Path
) -> None:
    script = [fastmcp, str(HERE / "ask_fastmcp.py")]
    check(asked(script, server, tmp_path, era=era), version)


@OVER
@pytest.mark.parametrize(
    ("package", "era", "version"),
    [("sdk", "legacy", LEGACY), ("client", "legacy", LEGACY), ("client", "auto", MODERN)],
)
def test_the_npm_packages_get_the_right_answers(
    node: str, package: str, era: str, version: str, server: Hosted | None, tmp_path: Path
) -> None:
    script = [node, str(HERE / "ask_npm.mjs")]
    check(asked(script, server, tmp_path, package=package, era=era), version)


@OVER
@pytest.mark.parametrize(("era", "version"), [("legacy", LEGACY), ("modern", MODERN)])
def test_the_inspector_gets_the_right_answers(
    node: str, era: str, version: str, server: Hosted | None, tmp_path: Path
) -> None:
    inspector = [node, str(install.NODE_MODULES / ".bin" / "mcp-inspector"), "--cli"]
    way = STDIO
    if server is not None:
        way = [server.url, "--transport", "http", "--header", f"Authorization: {AUTHORIZED['Authorization']}"]

    def result(method: str, *more: str) -> dict[str, Any]:
        options = ["--protocol-era", era, "--method", method, "--format", "json", *more]
        return dict(ran([*inspector, *way, *options], tmp_path)["result"])

    def call(tool: str, **arguments: Any) -> dict[str, Any]:
        return result("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))

    listed = call("list_audiences", limit=5, refresh=True)
    got = call("get_audience", audience="VIP", source="whop")
    answer = {
        "version": result("initialize")["protocolVersion"],
        "tools": [tool["name"] for tool in result("tools/list", "--strict")["tools"]],
        "listed": {"text": listed["content"][0]["text"], "structured": listed["structuredContent"]},
        "got": {"text": got["content"][0]["text"], "structured": got["structuredContent"]},
    }
    check(answer, version)

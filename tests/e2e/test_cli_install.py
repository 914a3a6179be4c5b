"""`install` and `uninstall`, as typed, in a home of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from audience_mcp.hosts.known import HOSTS
from tests.support.process import environment

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the real layout of this platform")
pytestmark = [pytest.mark.anyio, linux_only]

FILES = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
}
KEYS = {"BATCH_REST_API_KEY": "rest-secret-0123", "BATCH_PROJECT_KEY": "project_secret_0123"}
QUESTION = "Store them? [y/N]"
each_host = pytest.mark.parametrize("host", HOSTS)


def typed(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    variables = {"AUDIENCE_MCP_STORE": "", **variables}  # what is set here would be installed
    return subprocess.run(
        [sys.executable, "-m", "audience_mcp", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env={**environment(**variables), "HOME": str(home)},
        timeout=60,
    )


def entry(home: Path, host: str, name: str = "audience-mcp") -> dict[str, Any]:
    found = json.loads((home / FILES[host]).read_text(encoding="utf-8"))[HOSTS[host].section][name]
    assert isinstance(found, dict)
    return found


@each_host
async def test_what_is_installed_is_a_server_that_a_client_can_start(tmp_path: Path, host: str) -> None:
    process = typed(tmp_path, "install", host, "--sandbox")
    assert process.returncode == 0, process.stderr
    written = entry(tmp_path, host)
    assert Path(written["command"]).is_absolute()
    bare = {"PATH": "/nowhere", "HOME": str(tmp_path)}
    server = StdioServerParameters(command=written["command"], args=written["args"], env=bare)
    async with Client(server) as client:
        answer = await client.call_tool("list_audiences", {"limit": 1})
    assert not answer.is_error


@pytest.mark.slow
@each_host
def test_uninstall_leaves_the_file_as_it_was_before_install(tmp_path: Path, host: str) -> None:
    path = tmp_path / FILES[host]
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.dumps({"theme": "dark", HOSTS[host].section: {"other": {"command": "x"}}, "z": 1}, indent=4)
    path.write_text(before)
    assert typed(tmp_path, "install", host).returncode == 0
    assert path.read_text() != before
    assert path.with_name(f"{path.name}.bak").read_text() == before
    assert typed(tmp_path, "uninstall", host).returncode == 0
    assert path.read_text() == before
    again = typed(tmp_path, "uninstall", host)
    assert (again.returncode, path.read_text()) == (0, before)
    assert "nothing was changed" in again.stderr


@pytest.mark.slow
@each_host
def test_without_a_person_to_ask_no_key_is_stored(tmp_path: Path, host: str) -> None:
    for choice in ((), ("--keys", "ask"), ("--keys", "leave")):
        process = typed(tmp_path, "install", host, *choice, **KEYS)
        assert process.returncode == 0
        assert "BATCH_REST_API_KEY" in process.stderr
        text = (tmp_path / FILES[host]).read_text()
        for key in KEYS.values():
            assert key not in text + process.stdout + process.stderr


@each_host
def test_keys_are_stored_where_that_is_asked_for_and_then_only_the_owner_can_read_them(
    tmp_path: Path, host: str
) -> None:
    path = tmp_path / FILES[host]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    path.chmod(0o644)
    process = typed(tmp_path, "install", host, "--keys", "store", AUDIENCE_MCP_CACHE_S="60", **KEYS)
    assert process.returncode == 0
    assert entry(tmp_path, host)["env"] == {**KEYS, "AUDIENCE_MCP_CACHE_S": "60"}
    assert path.stat().st_mode & 0o777 == 0o600
    for key in KEYS.values():
        assert key not in process.stdout + process.stderr


def test_vs_code_asks_for_what_is_left_to_it(tmp_path: Path) -> None:
    typed(tmp_path, "install", "vscode", "--vendor", "whop", **KEYS)
    written = json.loads((tmp_path / FILES["vscode"]).read_text())
    assert written["servers"]["audience-mcp"]["env"] == {
        "WHOP_API_KEY": "${input:audience-mcp-WHOP_API_KEY}",
        "WHOP_ACCOUNT_ID": "${input:audience-mcp-WHOP_ACCOUNT_ID}",
    }
    assert {i["id"]: i["password"] for i in written["inputs"]} == {
        "audience-mcp-WHOP_API_KEY": True,
        "audience-mcp-WHOP_ACCOUNT_ID": False,
    }
    typed(tmp_path, "uninstall", "vscode")
    assert json.loads((tmp_path / FILES["vscode"]).read_text()) == {"servers": {}, "inputs": []}


@each_host
def test_print_shows_the_entry_without_keys_and_touches_nothing(tmp_path: Path, host: str) -> None:
    for choice in ("store", "leave"):
        process = typed(tmp_path, "install", host, "--print", "--keys", choice, **KEYS)
        shown = json.loads(process.stdout)[HOSTS[host].section]["audience-mcp"]
        assert Path(shown["command"]).is_absolute()
        for key in KEYS.values():
            assert key not in process.stdout + process.stderr
        if choice == "store":
            assert shown["env"] == {name: f"<{name}>" for name in KEYS}
        assert FILES[host] in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_parsed_is_left_alone_and_the_place_is_told(tmp_path: Path) -> None:
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{\n  "mcpServers": {},\n}')
    for command in ("install", "uninstall"):
        process = typed(tmp_path, command, "cursor")
        assert process.returncode == 1
        assert f"{path} was not changed" in process.stderr
        assert "line 2, column 19: a comma with nothing after it before '}'" in process.stderr
        assert "Traceback" not in process.stderr
    assert [p.name for p in path.parent.iterdir()] == ["mcp.json"]


def test_a_name_and_a_file_can_be_chosen(tmp_path: Path) -> None:
    file = tmp_path / "profile" / "mcp.json"
    line = ["vscode", "--name", "reach", "--file", str(file)]
    assert typed(tmp_path, "install", *line, "--sandbox").returncode == 0
    assert json.loads(file.read_text())["servers"]["reach"]["args"][-1] == "--sandbox"
    assert typed(tmp_path, "uninstall", *line).returncode == 0
    assert json.loads(file.read_text()) == {"servers": {}}


def test_what_to_do_next_is_told(tmp_path: Path) -> None:
    said = typed(tmp_path, "install", "claude-desktop").stderr
    assert "No vendor's variables are set here" in said
    assert "Quit Claude Desktop" in said
    said = typed(tmp_path, "install", "claude-desktop", WHOP_API_KEY="w-0123456789").stderr
    assert "whop: Whop is not configured in full. Set WHOP_ACCOUNT_ID." in said
    process = typed(tmp_path, "install", "claude-desktop", "--keys", "store")
    assert (process.returncode, process.stdout) == (1, "")
    assert "nothing to store" in process.stderr


@pytest.mark.parametrize(("answer", "stored"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_is_asked_before_keys_are_stored(tmp_path: Path, answer: str, stored: bool) -> None:
    from tests.support.terminal import on_a_terminal

    seen = on_a_terminal(
        "install",
        "cursor",
        columns=200,
        typed=(QUESTION, answer),
        HOME=str(tmp_path),
        **dict[str, Any](KEYS, AUDIENCE_MCP_STORE=""),
    )
    assert seen.code == 0
    assert "Set here: BATCH_REST_API_KEY, BATCH_PROJECT_KEY." in seen.text
    assert QUESTION in seen.text
    assert (entry(tmp_path, "cursor")["env"] == KEYS) is stored
    for key in KEYS.values():
        assert key not in seen.raw


def test_ctrl_c_at_the_question_changes_nothing(tmp_path: Path) -> None:
    from tests.support.terminal import on_a_terminal

    seen = on_a_terminal(
        "install", "cursor", columns=200, typed=(QUESTION, "\x03"), HOME=str(tmp_path), **dict[str, Any](KEYS)
    )
    assert seen.code == 130
    assert "Traceback" not in seen.text
    assert list(tmp_path.iterdir()) == []


def test_cursor_is_given_references_to_its_own_variables_and_every_variable_is_named(tmp_path: Path) -> None:
    process = typed(tmp_path, "install", "cursor", **KEYS)
    assert entry(tmp_path, "cursor")["env"] == {name: f"${{env:{name}}}" for name in KEYS}
    assert f"Not stored: {', '.join(KEYS)}." in process.stderr


def test_another_program_of_that_name_is_left_alone_and_a_pipe_is_no_configuration(tmp_path: Path) -> None:
    other = {"command": "npx", "args": ["other", "--log", "audience-mcp"], "env": {"TOKEN": "secret"}}
    path = tmp_path / FILES["cursor"]
    path.parent.mkdir()
    path.write_text(json.dumps({"mcpServers": {"audience-mcp": other}}))
    process = typed(tmp_path, "install", "cursor")
    assert process.returncode == 1
    assert "--name" in process.stderr
    assert entry(tmp_path, "cursor") == other
    os.mkfifo(tmp_path / "pipe")
    process = typed(tmp_path, "install", "cursor", "--file", str(tmp_path / "pipe"))
    assert process.returncode == 1
    assert "is not a regular file" in process.stderr


def test_texts_on_a_narrow_terminal_are_broken_between_words(tmp_path: Path) -> None:
    from tests.support.terminal import on_a_terminal

    seen = on_a_terminal("install", "claude-desktop", columns=40, progress=True, HOME=str(tmp_path))
    assert seen.code == 0
    words = " ".join(seen.text.split())
    assert "No vendor's variables are set here, so the server has no keys yet." in words
    assert "Quit Claude Desktop (closing its window is not enough) and start it again." in words
    breakable = [line for line in seen.text.splitlines() if " " in line.strip()]
    assert max(map(len, breakable)) <= 40

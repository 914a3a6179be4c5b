"""`install` and `uninstall`, as typed, in a home of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from audience_mcp.hosts.known import HOSTS
from tests.support.commands import run_here
from tests.support.process import environment

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the real layout of this platform")
pytestmark = [pytest.mark.anyio, linux_only]

FILES = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
    "zed": ".config/zed/settings.json",
    "gemini-cli": ".gemini/settings.json",
}
KEYS = {"BATCH_REST_API_KEY": "rest-secret-0123", "BATCH_PROJECT_KEY": "project_secret_0123"}
QUESTION = "Store them? [y/N]"
each_host = pytest.mark.parametrize("host", FILES)


def environment_in(home: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What a command finds there; what is set of the store and of folders would be installed, too."""
    bare = {"AUDIENCE_MCP_STORE": "", "XDG_CONFIG_HOME": "", **variables}
    return {**environment(**bare), "HOME": str(home)}


def typed(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_here(arguments, environment_in(home, variables))


def typed_apart(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the program does as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "audience_mcp", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env=environment_in(home, variables),
        timeout=60,
    )


def entry(home: Path, host: str, name: str = "audience-mcp") -> dict[str, Any]:
    found = json.loads((home / FILES[host]).read_text(encoding="utf-8"))[HOSTS[host].section][name]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "host", [pytest.param(host, marks=() if host == "claude-desktop" else pytest.mark.slow) for host in FILES]
)
async def test_what_is_installed_is_a_server_that_a_client_can_start(tmp_path: Path, host: str) -> None:
    process = typed_apart(tmp_path, "install", host, "--sandbox")
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
        absent = [name for name in KEYS if name not in shown.get("env", {})]
        assert all(name in process.stderr.partition("Not in it: ")[2] for name in absent)
        assert ("Not in it: " in process.stderr) == bool(absent)
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
        typed=[(QUESTION, answer)],
        HOME=str(tmp_path),
        XDG_CONFIG_HOME="",
        **dict[str, Any](KEYS, AUDIENCE_MCP_STORE=""),
    )
    assert seen.code == 0
    assert "Set here: BATCH_REST_API_KEY, BATCH_PROJECT_KEY." in seen.text
    assert QUESTION in seen.text
    assert (entry(tmp_path, "cursor")["env"] == KEYS) is stored
    for key in KEYS.values():
        assert key not in seen.raw


@pytest.mark.slow
def test_ctrl_c_at_the_question_changes_nothing(tmp_path: Path) -> None:
    from tests.support.terminal import on_a_terminal

    seen = on_a_terminal(
        "install",
        "cursor",
        columns=200,
        typed=[(QUESTION, "\x03")],
        HOME=str(tmp_path),
        XDG_CONFIG_HOME="",
        **dict[str, Any](KEYS),
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

    seen = on_a_terminal(
        "install", "claude-desktop", columns=40, progress=True, HOME=str(tmp_path), XDG_CONFIG_HOME=""
    )
    assert seen.code == 0
    words = " ".join(seen.text.split())
    assert "No vendor's variables are set here, so the server has no keys yet." in words
    assert "Quit Claude Desktop (closing its window is not enough) and start it again." in words
    breakable = [line for line in seen.text.splitlines() if " " in line.strip()]
    assert max(map(len, breakable)) <= 40


@pytest.mark.parametrize("host", ["codex", "goose", "jetbrains", "lm-studio", "cline"])
def test_an_entry_whose_file_is_not_ours_to_write_is_shown_with_its_place(tmp_path: Path, host: str) -> None:
    process = typed(tmp_path, "install", host, "--sandbox", **KEYS)
    assert process.returncode == 0
    assert "--sandbox" in process.stdout
    assert HOSTS[host].paste_at.split()[0] in process.stderr
    assert list(tmp_path.iterdir()) == []
    assert typed(tmp_path, "uninstall", host).returncode == 2


def test_the_entry_for_codex_is_a_command_and_the_one_for_goose_is_yaml(tmp_path: Path) -> None:
    import shlex

    import yaml

    settings = settings_file(tmp_path, COMMBOX_API_KEY="key-0123456789")
    words = shlex.split(typed(tmp_path, "install", "codex", "--env-file", str(settings)).stdout)
    assert words[:6] == ["codex", "mcp", "add", "audience-mcp", "--env", f"AUDIENCE_MCP_ENV_FILE={settings}"]
    assert Path(words[words.index("--") + 1]).is_absolute()
    made = yaml.safe_load(typed(tmp_path, "install", "goose", "--env-file", str(settings)).stdout)
    extension = made["extensions"]["audience-mcp"]
    assert (extension["type"], extension["enabled"]) == ("stdio", True)
    assert extension["envs"] == {"AUDIENCE_MCP_ENV_FILE": str(settings)}


def settings_file(home: Path, **variables: str) -> Path:
    path = home / "settings.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    path.chmod(0o600)
    return path


@each_host
def test_an_entry_can_name_the_settings_file_and_hold_no_key(tmp_path: Path, host: str) -> None:
    settings = settings_file(tmp_path, **KEYS)
    for how in ({"AUDIENCE_MCP_ENV_FILE": str(settings)}, {}):
        line = [] if how else ["--env-file", str(settings)]
        process = typed(tmp_path, "install", host, *line, **how)
        assert entry(tmp_path, host)["env"] == {"AUDIENCE_MCP_ENV_FILE": str(settings)}
        assert f"names the settings file {settings}" in process.stderr
        assert "Not stored" not in process.stderr


@each_host
def test_a_second_install_leaves_what_is_stored_and_says_so(tmp_path: Path, host: str) -> None:
    typed(tmp_path, "install", host, "--keys", "store", **KEYS)
    before = (tmp_path / FILES[host]).read_text()
    process = typed(tmp_path, "install", host, **KEYS)
    assert (tmp_path / FILES[host]).read_text() == before
    assert (
        "Already in the entry, and left as they are: BATCH_REST_API_KEY, BATCH_PROJECT_KEY." in process.stderr
    )
    assert "Not stored" not in process.stderr


def test_what_is_no_secret_is_stored_all_the_same(tmp_path: Path) -> None:
    process = typed(tmp_path, "install", "windsurf", WHOP_API_KEY="w-0123456789", WHOP_ACCOUNT_ID="biz_1")
    assert entry(tmp_path, "windsurf")["env"] == {"WHOP_ACCOUNT_ID": "biz_1"}
    assert "Stored, as they are no secrets: WHOP_ACCOUNT_ID." in process.stderr
    assert "Not stored: WHOP_API_KEY." in process.stderr


def test_purge_leaves_no_backup_of_ours_and_those_of_others(tmp_path: Path) -> None:
    for _ in range(2):
        typed(tmp_path, "install", "cursor", "--keys", "store", **KEYS)
        typed(tmp_path, "install", "cursor", "--sandbox")
    folder = tmp_path / ".cursor"
    (folder / "mcp.json.bak9").write_text('{"mcpServers": {"other": {"command": "x"}}}')
    assert len(list(folder.glob("mcp.json.bak*"))) > 2
    process = typed(tmp_path, "uninstall", "cursor", "--purge")
    assert process.returncode == 0
    assert "Deleted: mcp.json.bak" in process.stderr
    assert [path.name for path in folder.iterdir() if "bak" in path.name] == ["mcp.json.bak9"]
    assert not any(key in path.read_text() for path in folder.iterdir() for key in KEYS.values())


def test_a_command_can_see_what_the_host_sees(tmp_path: Path) -> None:
    typed(
        tmp_path,
        "install",
        "claude-desktop",
        "--keys",
        "store",
        WHOP_API_KEY="w-0123456789",
        WHOP_ACCOUNT_ID="b",
    )
    path = tmp_path / FILES["claude-desktop"]
    assert "WHOP_ACCOUNT_ID" not in typed(tmp_path, "check").stderr.split("Whop:")[0]
    line = ("install", "windsurf", "--keys", "store", "--from", "claude-desktop")
    assert typed(tmp_path, *line, WHOP_ACCOUNT_ID="other").returncode == 0
    assert entry(tmp_path, "windsurf")["env"] == {"WHOP_API_KEY": "w-0123456789", "WHOP_ACCOUNT_ID": "b"}
    for host, said in (
        ("cursor", "Cursor has no entry for audience-mcp"),
        ("emacs", "there is no host 'emacs'"),
    ):
        process = typed(tmp_path, "list", "--from", host)
        assert (process.returncode, process.stdout) == (2, "")
        assert said in process.stderr
    path.unlink()


def test_claude_is_claude_desktop_and_chatgpt_is_told_what_it_needs(tmp_path: Path) -> None:
    process = typed(tmp_path, "install", "claude", "--sandbox")
    assert "claude is Claude Desktop; for Claude Code: claude-code." in process.stderr
    assert entry(tmp_path, "claude-desktop")["args"][-1] == "--sandbox"
    process = typed(tmp_path, "install", "chatgpt")
    assert process.returncode == 2
    assert "docs/hosting.md" in process.stderr

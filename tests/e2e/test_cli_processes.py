"""The command line as a process: exit codes, pipes, Ctrl-C, and what is not loaded when it serves."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import environment

PROGRAM = [sys.executable, "-m", "audience_mcp"]
HEAVY = (
    "rich",
    "httpx",
    "audience_mcp.cli",
    "audience_mcp.sources.client",
    "audience_mcp.hosts",
)


def ran(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env=environment(**variables),
        timeout=60,
    )


@pytest.mark.slow
def test_advice_names_the_program_as_it_was_started_where_the_shell_would_not_find_it(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("audience-mcp")
    for path, named in (("/usr/bin:/bin", str(program)), (str(program.parent), "audience-mcp")):
        done = subprocess.run(
            [program, "list"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            env=environment(PATH=path, HOME=str(tmp_path), XDG_CONFIG_HOME=""),
            timeout=60,
        )
        assert done.returncode == 1
        assert f"\n  {named} setup " in done.stderr


def started(*arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**variables),
    )


def said_to_its_end(process: subprocess.Popen[bytes]) -> bytes:
    """What it writes to stderr until it ends by itself, within a minute."""
    try:
        _, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "not_loaded"), [([], (*HEAVY, "audience_mcp.sandbox")), (["--sandbox"], HEAVY)]
)
def test_serving_loads_nothing_that_only_people_and_vendors_need(
    arguments: list[str], not_loaded: tuple[str, ...]
) -> None:
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "audience_mcp", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        timeout=60,
    )
    loaded = set(re.findall(r"^import time:.*\|\s*(\S+)$", process.stderr, re.M))
    assert process.returncode == 0
    assert "audience_mcp.server.tools" in loaded
    assert [name for name in not_loaded if name in loaded] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["list", "--sandbox", "--limit", "1"], 0),
        (["get", "--sandbox", "no such audience"], 1),
        (["check"], 1),
        (["list", "--sort", "sideways"], 2),
        (["--port", "1"], 2),
    ],
)
def test_the_exit_code_says_how_it_went(arguments: list[str], code: int) -> None:
    process = ran(*arguments)
    assert process.returncode == code
    assert bool(process.stderr) == bool(code)
    assert "Traceback" not in process.stderr


@pytest.mark.slow
def test_a_key_that_is_refused_is_named_by_its_variable_and_is_itself_nowhere() -> None:
    key = "sk-secret-0123456789"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        origin = f"http://127.0.0.1:{server.getsockname()[1]}"
        variables = {"COMMBOX_API_KEY": key, "COMMBOX_BASE_URL": origin, "AUDIENCE_MCP_LOG_LEVEL": "DEBUG"}
        with started("check", **variables) as process:
            asking, _ = server.accept()
            with asking:
                assert key.encode() in asking.recv(65536)
                asking.sendall(b"HTTP/1.1 401 " + key.encode() + b"\r\nContent-Length: 0\r\n\r\n")
                out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"COMMBOX_API_KEY" in out
    assert b"HTTP 401" in err
    assert key.encode() not in out + err


@pytest.mark.slow
def test_the_demo_runs_from_the_command_line() -> None:
    process = ran("demo")
    assert process.returncode == 0
    assert "questions answered" in process.stdout


@pytest.mark.slow
def test_json_is_utf8_whatever_the_locale() -> None:
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    process = ran("list", "--sandbox", "--sources", "batch", "--json", **variables)
    assert any("今月" in row["name"] for row in json.loads(process.stdout)["audiences"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["list", "--sandbox"], ["list", "--sandbox", "--json"], ["check", "--sandbox"]]
)
def test_a_reader_that_goes_away_is_no_fault(arguments: list[str]) -> None:
    with started(*arguments) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None  # nothing is left to read there
        assert said_to_its_end(process) == b""
        assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", [["list"], ["get", "x"], ["check"]])
def test_ctrl_c_ends_with_130_and_without_a_traceback(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        origin = f"http://127.0.0.1:{server.getsockname()[1]}"
        with started(*command, COMMBOX_API_KEY="key-0123456789", COMMBOX_BASE_URL=origin) as process:
            asking, _ = server.accept()
            with asking:  # it waits for an answer that never comes
                process.send_signal(signal.SIGINT)
                assert said_to_its_end(process) == b""
                assert process.returncode == 130


@pytest.mark.slow
def test_a_thread_that_is_stuck_does_not_hold_the_exit() -> None:
    stuck = (
        "import asyncio, sys, threading\n"
        "from audience_mcp.cli.running import run_to_exit\n"
        "async def main():\n"
        "    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)\n"
        "    return 3\n"
        "sys.exit(run_to_exit(main))\n"
    )
    process = subprocess.run([sys.executable, "-c", stuck], env=environment(), timeout=60)
    assert process.returncode == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("audience-mcp in", "install"),
        ("audience-mcp list --gr", "--group-by"),
        ("audience-mcp list --status proc", "processing"),
        ("audience-mcp install cur", "cursor"),
    ],
)
def test_a_shell_can_complete_commands_options_and_their_words(typed: str, offered: str) -> None:
    words = typed.split()
    place = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    assert ran(**place, _AUDIENCE_MCP_COMPLETE="bash_complete").stdout.split() == [f"plain,{offered}"]
    assert "complete" in ran(_AUDIENCE_MCP_COMPLETE="zsh_source").stdout

"""The guide to `watch`: its commands, scripts and entries for schedulers, as a reader would copy them."""

from __future__ import annotations

import configparser
import http.server
import json
import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from audience_mcp.cli.app import program
from tests.store.conftest import Keep
from tests.support.commands import Switched, run_here
from tests.support.process import environment

GUIDE = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8")
PROGRAM = Path(sys.executable).parent
SHELL = pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", GUIDE, re.M | re.S)


def is_taken(words: list[str]) -> bool:
    """Whether the command takes these options."""
    with program.commands["watch"].make_context("watch", words):
        return True


@pytest.mark.slow
@pytest.mark.parametrize("line", blocks("sh")[0].splitlines())
def test_each_command_of_the_guide_finds_something_among_made_up_audiences(line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])
    assert words[:2] == ["audience-mcp", "watch"]
    done = run_here([*words[1:], "--sandbox"], environment())
    assert done.returncode in (0, 4), done.stderr
    assert done.stdout


@pytest.fixture
def home(tmp_path: Path, sandbox: Switched, folder: Path, keep: Keep) -> Path:
    """A home folder with the guide's scripts and settings, at made-up vendors; one audience is gone."""
    keep("batch", 2, {"gone": ("Old *campaign*", 55)})
    (tmp_path / "bin").mkdir()
    (tmp_path / ".config").mkdir()
    for name, text in zip(("audience-watch", "send-to-chat"), blocks("sh")[1:], strict=True):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o700)
    names = ("BATCH_", "COMMBOX_", "SMALLEST_", "WHOP_", "AUDIENCE_MCP_")
    settings = "".join(f"{name}={value}\n" for name, value in os.environ.items() if name.startswith(names))
    (tmp_path / ".config" / "audience-mcp.env").write_text(settings)
    (tmp_path / ".config" / "audience-mcp.env").chmod(0o600)
    return tmp_path


def bare(home: Path, **more: str) -> dict[str, str]:
    """The variables that a scheduler has."""
    return {"HOME": str(home), "PATH": "/usr/bin:/bin", "NO_PROXY": "*", **more}


def run_shell(command: str, variables: Mapping[str, str], shell: str = "/bin/sh -c") -> int:
    given = [*shell.split(), command.replace("/absolute/path/to", str(PROGRAM))]
    return subprocess.run(given, env=dict(variables), timeout=120, check=False).returncode


@contextmanager
def chat() -> Iterator[tuple[str, list[Any]]]:
    """An incoming webhook on this computer, and what was posted to it."""
    posted: list[Any] = []

    class Webhook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
@SHELL
def test_the_cron_line_mails_what_was_found(home: Path) -> None:
    (line,) = blocks("cron")
    *when, command = line.split(" ", 5)
    assert (len(when), "%" in command) == (5, False)
    mail = home / "bin" / "mail"
    mail.write_text(f'#!/bin/sh\n{{ echo "$@"; cat; }} > {shlex.quote(str(home / "sent"))}\n')
    mail.chmod(0o700)
    assert run_shell(command, bare(home, PATH=f"{home / 'bin'}:/usr/bin:/bin")) == 4
    head, first, *rest = (home / "sent").read_text(encoding="utf-8").splitlines()
    assert head == "-s Audiences you@example.com"
    assert "need" in first
    assert any("Old \\*campaign\\*" in each for each in rest)


@pytest.mark.slow
@SHELL
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed: apt-get install curl")
def test_the_launchd_entry_posts_what_was_found_to_the_chat(home: Path) -> None:
    (text,) = blocks("xml")
    entry = plistlib.loads(text.encode())
    assert entry["StartCalendarInterval"] == {"Hour": 6, "Minute": 40}
    *shell, command = entry["ProgramArguments"]
    with chat() as (address, posted):
        (home / ".config" / "audience-watch.env").write_text(f"WEBHOOK_URL={address}\n")
        assert run_shell(command, bare(home), " ".join(shell)) == 4
    (message,) = posted
    assert list(message) == ["text"]
    assert "batch:gone" in message["text"]


@pytest.mark.slow
@SHELL
def test_a_quiet_day_sends_nothing_and_a_sender_that_fails_is_a_failure(home: Path) -> None:
    settings = f"AUDIENCE_MCP_ENV_FILE={home}/.config/audience-mcp.env"
    watch = f'PATH="$PATH:{PROGRAM}" {settings} "$HOME/bin/audience-watch"'
    assert run_shell(f"{watch} sh -c 'cat > /dev/null; exit 75'", bare(home)) == 75
    # What is compared with is now what was read just before.
    script = home / "bin" / "audience-watch"
    script.write_text(script.read_text().replace("--since 23h --drop 10% --grow 50% --gone", "--drop 10%"))
    assert run_shell(f'{watch} sh -c "echo sent > {home}/sent"', bare(home)) == 0
    assert not (home / "sent").exists()


def test_the_systemd_units_run_the_script_every_morning() -> None:
    service, timer = (configparser.ConfigParser(interpolation=None, strict=False) for _ in range(2))
    texts = blocks("ini")
    service.read_string(texts[0])
    timer.read_string(texts[1])
    assert service["Service"]["ExecStart"] == "%h/bin/audience-watch %h/bin/send-to-chat"
    assert service["Service"]["SuccessExitStatus"] == "4"
    assert timer["Timer"]["OnCalendar"] == "*-*-* 06:40"


def test_the_script_for_windows_takes_the_options_that_there_are() -> None:
    script, task = blocks("powershell")
    found = re.search(r'-mcp\.exe" watch (.*) \| Out-String', script)
    assert found is not None
    assert is_taken(shlex.split(found[1]))
    assert "audience-watch.ps1" in task
    assert "-Daily -At 6:40am" in task


@pytest.mark.slow
@SHELL
def test_the_workflow_puts_what_was_found_into_its_summary_and_fails(home: Path) -> None:
    (text,) = blocks("yaml")
    workflow = yaml.safe_load(text)
    assert workflow[True]["schedule"] == [{"cron": "40 6 * * *"}]  # YAML takes `on` for true
    steps = workflow["jobs"]["watch"]["steps"]
    assert steps[0]["run"] == 'pip install "audience-mcp[postgres]"'
    summary = home / "summary.md"
    variables = bare(home, GITHUB_STEP_SUMMARY=str(summary), PATH=f"{PROGRAM}:/usr/bin:/bin")
    settings = {"AUDIENCE_MCP_ENV_FILE": str(home / ".config" / "audience-mcp.env")}
    assert run_shell(steps[1]["run"], {**variables, **settings}, "bash -e -c") == 4
    assert "| gone |" in summary.read_text(encoding="utf-8")

"""The guide's commands and entries for schedulers, as a reader would copy them."""

from __future__ import annotations

import configparser
import plistlib
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import run_here
from tests.support.process import environment

GUIDE = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")
PROGRAM = "/absolute/path/to/audience-mcp"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", GUIDE, re.M | re.S)


@pytest.mark.slow
@pytest.mark.parametrize("line", blocks("sh")[0].splitlines())
def test_each_command_of_the_guide_answers(line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])
    assert words[0] == "audience-mcp"
    done = run_here([*words[1:], "--sandbox"], environment())
    assert done.returncode == 0, done.stderr


def write_program(folder: Path) -> tuple[Path, Path]:
    """A program in the real one's place that writes down a key and its arguments, and where."""
    told, program = folder / "told", folder / "audience-mcp"
    program.write_text(f'#!/bin/sh\necho "$WHOP_API_KEY $*" > {shlex.quote(str(told))}\n')
    program.chmod(0o700)
    (folder / ".config").mkdir()
    (folder / ".config" / "audience-mcp.env").write_text("WHOP_API_KEY=made-up-key\n")
    return program, told


def run_shell(command: str, home: Path) -> None:
    subprocess.run(["/bin/sh", "-c", command], env={"HOME": str(home)}, check=True, timeout=30)


def test_the_cron_line_runs_record_with_the_keys_of_the_file(tmp_path: Path) -> None:
    program, told = write_program(tmp_path)
    (line,) = blocks("cron")
    *when, command = line.split(" ", 5)
    assert len(when) == 5
    assert "%" not in command  # cron would take it for the end of a line
    run_shell(command.replace(PROGRAM, str(program)), tmp_path)
    assert told.read_text() == "made-up-key record\n"


def test_the_launchd_entry_runs_record_with_the_keys_of_the_file(tmp_path: Path) -> None:
    program, told = write_program(tmp_path)
    (text,) = blocks("xml")
    entry = plistlib.loads(text.encode())
    assert entry["StartCalendarInterval"] == {"Hour": 6, "Minute": 10}
    *shell, command = entry["ProgramArguments"]
    assert shell == ["/bin/sh", "-c"]
    run_shell(command.replace(PROGRAM, str(program)), tmp_path)
    assert told.read_text() == "made-up-key record\n"


def test_the_systemd_units_run_record_once_a_day() -> None:
    service, timer = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    texts = blocks("ini")
    service.read_string(texts[0])
    timer.read_string(texts[1])
    assert service["Service"]["ExecStart"] == f"{PROGRAM} record"
    assert timer["Timer"]["OnCalendar"] == "*-*-* 06:10"
    assert timer["Timer"]["Persistent"] == "true"


def test_the_entry_for_windows_runs_record_every_day() -> None:
    (text,) = blocks("powershell")
    assert re.search(r'-Execute "C:\\[\w\\.-]+\\audience-mcp\.exe" -Argument "record"$', text, re.M)
    assert "-Daily -At 6:10am" in text

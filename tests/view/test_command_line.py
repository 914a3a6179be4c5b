"""`list --html` and `get --html`: a page to open, send or print."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from audience_mcp.sandbox import Sandbox
from tests.support.process import environment


def ran(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audience_mcp", *arguments],
        env=environment(HOME=str(folder), **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def drawn(file: Path) -> Any:
    """The answer inside a page."""
    found = re.search(r'id="answer">(.*?)</script>', file.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])


def test_list_writes_every_audience_into_a_page_and_nothing_to_stdout(tmp_path: Path) -> None:
    file = tmp_path / "audiences.html"
    done = ran(tmp_path, "list", "--sandbox", "--html", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert str(file) in done.stderr
    answer = drawn(file)
    total = sum(len(rows) for rows in Sandbox().rows.values())
    assert len(answer["audiences"]) == answer["matched"] == total


def test_get_writes_one_audience_in_full_into_a_page(tmp_path: Path) -> None:
    file = tmp_path / "one.html"
    done = ran(tmp_path, "get", "batch:bf25_web", "--sandbox", "--html", str(file))
    assert done.returncode == 0, done.stderr
    (audience,) = drawn(file)["audiences"]
    assert (audience["ref"], audience["source"]) == ("batch:bf25_web", "batch")


def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "no-such-folder" / "audiences.html"
    done = ran(tmp_path, "list", "--sandbox", "--limit", "1", "--html", str(file))
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_one_form_can_be_chosen(tmp_path: Path) -> None:
    done = ran(tmp_path, "list", "--sandbox", "--json", "--html", "x.html")
    assert done.returncode == 2
    assert "--html" in done.stderr


def test_the_command_of_the_guide_writes_the_page_that_it_promises(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "view.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`audience-mcp (list [^`]*--html) (\S+)`", guide)
    file = tmp_path / command[1]
    done = ran(tmp_path, *command[0].split(), str(file))
    assert done.returncode == 0, done.stderr
    assert drawn(file)["complete"] is True

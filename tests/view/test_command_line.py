"""`list --html` and `get --html`: a page to open, send or print."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.sandbox import Sandbox
from tests.support.commands import run_here
from tests.support.process import environment


def ran(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_here(arguments, environment(HOME=str(folder), **variables))


def drawn(file: Path, name: str = "answer") -> Any:
    """What is inside a page: the answer, or the question."""
    found = re.search(rf'id="{name}">(.*?)</script>', file.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])


@pytest.mark.slow
def test_list_writes_every_audience_into_a_page_and_nothing_to_stdout(tmp_path: Path) -> None:
    file = tmp_path / "audiences.html"
    done = ran(tmp_path, "list", "--sandbox", "--html", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert str(file) in done.stderr
    answer = drawn(file)
    total = sum(len(rows) for rows in Sandbox().rows.values())
    assert len(answer["audiences"]) == answer["matched"] == total


def test_a_page_knows_its_question_its_title_and_what_people_call_the_codes_in_it(tmp_path: Path) -> None:
    file = tmp_path / "tags.html"
    words = ["list", "bought", "--sources", "mailchimp", "--kind", "segment", "--created-since", "2020-01-01"]
    done = ran(tmp_path, *words, "--sandbox", "--html", str(file), "--title", "Who bought")
    assert done.returncode == 0, done.stderr
    question = drawn(file, "question")
    assert question["title"] == "Who bought"
    assert question["arguments"] == {
        "search": "bought",
        "sources": "mailchimp",
        "kind": "segment",
        "created_since": "2020-01-01",
    }
    within = {row["part_of"] for row in drawn(file)["audiences"]}
    assert within
    names = question["names"]
    assert names["mailchimp"] == "Mailchimp"
    assert within <= names.keys()  # lists that are not in the answer are named all the same
    assert not any("mailchimp" in names[ref] for ref in within)


@pytest.mark.slow
def test_a_page_of_sizes_over_time_knows_its_question_too(tmp_path: Path) -> None:
    file = tmp_path / "sizes.html"
    done = ran(tmp_path, "history", "VIP", "--since", "2026-10-01", "--sandbox", "--html", str(file))
    assert done.returncode in {0, 3}, done.stderr
    question = drawn(file, "question")
    assert (question["tool"], question["arguments"]) == (
        "history",
        {"audience": "VIP", "since": "2026-10-01"},
    )
    assert question["names"]["commbox"] == "CommBox"


@pytest.mark.slow
def test_a_page_of_several_histories_has_the_total_of_all_as_a_line(tmp_path: Path) -> None:
    file = tmp_path / "sizes.html"
    words = ("--sandbox", "--sources", "batch,meta")
    for more in ((), ("--group-by", "source")):
        assert ran(tmp_path, "history", *words, *more, "--html", str(file)).returncode == 0
        total = drawn(file)["total"]
        listed = json.loads(ran(tmp_path, "list", *words, "--limit", "0", "--json").stdout)
        last = total["history"][-1]
        assert (last["size"], last["size_max"]) == (listed["sum_of_sizes"], listed["sum_max"])
        assert total["unknown_sizes"] == listed["unknown_sizes"]
        assert len(total["history"]) > 5
    assert ran(tmp_path, "history", "batch:bf25_web", "--sandbox", "--html", str(file)).returncode == 0
    assert "total" not in drawn(file)


def test_a_title_without_a_page_is_refused(tmp_path: Path) -> None:
    done = ran(tmp_path, "list", "--sandbox", "--title", "VIP")
    assert done.returncode == 2
    assert "--title is for --html." in done.stderr


def test_get_writes_one_audience_in_full_into_a_page(tmp_path: Path) -> None:
    file = tmp_path / "one.html"
    done = ran(tmp_path, "get", "batch:bf25_web", "--sandbox", "--html", str(file))
    assert done.returncode == 0, done.stderr
    (audience,) = drawn(file)["audiences"]
    assert (audience["ref"], audience["source"]) == ("batch:bf25_web", "batch")


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "no-such-folder" / "audiences.html"
    done = ran(tmp_path, "list", "--sandbox", "--limit", "1", "--html", str(file))
    assert done.returncode == 2
    assert str(file) in done.stderr
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_one_form_can_be_chosen(tmp_path: Path) -> None:
    done = ran(tmp_path, "list", "--sandbox", "--json", "--html", "x.html")
    assert done.returncode == 2
    assert "--html" in done.stderr


@pytest.mark.slow
def test_the_command_of_the_guide_writes_the_page_that_it_promises(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "view.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`audience-mcp (list [^`]*--html) (\S+)`", guide)
    file = tmp_path / command[1]
    done = ran(tmp_path, *command[0].split(), str(file))
    assert done.returncode == 0, done.stderr
    assert drawn(file)["complete"] is True

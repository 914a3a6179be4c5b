"""Pages that hold an answer, opened from a folder; and the view in a host that says all that a host can."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from audience_mcp.server.page import read_view, render_page
from tests.clients.test_clients import missing, node
from tests.support.browser import find_browser
from tests.support.process import environment
from tests.view.answers import ANSWERS, COMPARED, LIST
from tests.view.test_inspector import DRIVER, HOSTILE

pytestmark = pytest.mark.browser

MANY = {**LIST, "audiences": [{"ref": f"batch:{n}", "name": f"S {n}", "size": n} for n in range(60)]}
SPITEFUL = {**LIST, "audiences": [{"ref": f"batch:{n}", "name": name} for n, name in enumerate(HOSTILE)]}
SERIES = [{**ANSWERS["history"]["audiences"][0], "ref": f"batch:{n}", "name": f"S {n}"} for n in range(5)]
SEVERAL = {**ANSWERS["history"], "audiences": SERIES}
LATE = {**COMPARED, "sources": [{**s, "compared_to": "2026-11-01T02:00:00Z"} for s in COMPARED["sources"]]}
"""In New York that was still October."""
PAGES = {**ANSWERS, "many": MANY, "hostile": SPITEFUL, "several histories": SEVERAL}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    browser = find_browser() or missing("no browser is installed (Debian: apt-get install chromium)")
    running, folder = node(), tmp_path_factory.mktemp("pages")
    pages = {}
    for n, (name, answer) in enumerate(PAGES.items()):
        file = folder / f"{name.replace(' ', '_')}.html"
        file.write_text(render_page(answer), encoding="utf-8")
        pages[name] = {"url": file.as_uri(), "width": 400 if n % 2 else 900}
    given = folder / "asked.json"
    asked = {"executablePath": browser, "pages": pages, "view": read_view(), "answer": LATE}
    given.write_text(json.dumps(asked), encoding="utf-8")
    done = subprocess.run(
        [running, str(DRIVER.with_name("open.mjs")), str(given)],
        env=environment(HOME=str(folder)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_draws_its_answer_and_lets_no_other_script_run(seen: dict[str, Any], name: str) -> None:
    shown = seen["pages"][name]
    assert shown["errors"] == []
    assert len(shown["requests"]) == 1  # the page itself
    assert [found for found in shown["axe"] if found.startswith(("serious", "critical"))] == []
    assert shown["foreign"] is False
    assert "audience" in shown["text"]


def test_a_page_that_is_printed_shows_all_rows(seen: dict[str, Any]) -> None:
    assert seen["pages"]["many"]["rows"] == [25, 60]


def test_names_in_a_page_are_text(seen: dict[str, Any]) -> None:
    for name in HOSTILE:
        assert name.replace("\u202e", "") in seen["pages"]["hostile"]["text"].replace("\u202e", "")


def test_several_histories_have_a_line_each(seen: dict[str, Any]) -> None:
    assert seen["pages"]["several histories"]["text"].count("since 1 Nov 2026") == 5


def test_the_view_takes_the_hosts_theme_language_zone_colours_fonts_and_insets(seen: dict[str, Any]) -> None:
    first = seen["host"]["first"]
    assert seen["host"]["errors"] == []
    assert (first["scheme"], first["back"], first["margin"]) == ("dark", "rgb(1, 2, 3)", "7px")
    assert first["fonts"] == "/* the host's fonts */"
    assert "344.744 → 361.551" in first["text"]
    assert "since 31.10.2026" in first["text"]


def test_the_view_follows_what_the_host_changes_and_heeds_no_one_else(seen: dict[str, Any]) -> None:
    changed = seen["host"]["changed"]
    assert changed["scheme"] == "light"
    assert "344,744 → 361,551" in changed["text"]
    assert "since Oct 31, 2026" in changed["text"]
    assert "The call failed" not in changed["text"]


def test_the_view_speaks_with_the_host_as_the_protocol_says(seen: dict[str, Any]) -> None:
    heard = seen["host"]["heard"]
    first, second = heard[0], heard[1]
    assert (first["method"], first["params"]["protocolVersion"]) == ("ui/initialize", "2026-01-26")
    assert first["params"]["appInfo"]["name"] == "audience-mcp"
    assert (second["method"], "id" in second) == ("ui/notifications/initialized", False)
    answers = {m["id"]: m for m in heard if "id" in m and "method" not in m}
    assert answers[77]["result"] == answers[79]["result"] == {}
    assert answers[78]["error"]["code"] == -32601
    heights = [m["params"]["height"] for m in heard if m.get("method") == "ui/notifications/size-changed"]
    assert seen["host"]["changed"]["height"] in heights


def test_where_copying_is_not_allowed_the_text_is_there_to_be_copied_by_hand(seen: dict[str, Any]) -> None:
    copied = seen["host"]["copied"]
    assert copied.splitlines()[0].startswith("ref,name,size")
    assert copied.count("batch:newsletter") == 1
    assert seen["host"]["selected"] == len(copied)
    assert "by hand" in seen["host"]["said"]


def test_a_call_that_was_cancelled_says_so(seen: dict[str, Any]) -> None:
    text = seen["host"]["cancelled"]["text"]
    assert "cancelled" in text
    assert "The person changed their mind." in text

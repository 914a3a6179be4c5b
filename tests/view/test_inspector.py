"""The view in a host that others wrote: the MCP Inspector, in a real browser.

There it stands in two frames, the inner one of no origin and under a policy that allows it nothing.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest

from audience_mcp.cli.output import AUDIENCE_COLUMNS, GROUP_COLUMNS, HISTORY_COLUMNS
from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.app import serve
from tests.clients.test_clients import missing, node
from tests.support.browser import find_browser
from tests.support.hosting import hosted, started
from tests.support.inspector import inspector
from tests.support.process import environment
from tests.support.served import FOUR

pytestmark = [pytest.mark.browser, pytest.mark.timeout(500)]

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("look.mjs")
PREPARED = f"""
import runpy, sys
sys.path.append({str(ROOT)!r})  # last: the package is the one that is installed
runpy.run_module("tests.view.prepared", run_name="__main__")
"""
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    '=HYPERLINK("http://evil.example","Bonus")',
    "@SUM(1,2)",
    "W" * 190,
    "שלום, \u202eעולם",
    "javascript:alert(3)",
    "{{constructor.constructor('alert(4)')()}}",
]
MANY = 230
PICTURES = os.environ.get("AUDIENCE_MCP_PICTURES")
"""A folder for a picture of everything looked at, for people."""


def look(title: str, tool: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What to open, and how: light, British and 900 pixels wide unless it says otherwise."""
    usual = {"scheme": "light", "locale": "en-GB", "width": 900, "steps": [], "evaluate": []}
    return {"title": title, "tool": tool, **usual, **more}


def prepared(answer: str, **more: Any) -> dict[str, Any]:
    return look("Prepared answer", {"answer": answer, "text_only": more.pop("text_only", False)}, **more)


LIST, GET = "List audiences", "Get one audience"
TABLE, DOWNLOAD, FULL = ["click", "button", "Table"], ["download"], ["full screen"]
FIRST_NAMES = "[...document.querySelectorAll('tbody td:first-child')].map(cell => cell.textContent)"
SORTED = "document.querySelector('th[aria-sort]:not([aria-sort=none])')"
EVERY_PAGE = """(() => {
  const next = () => document.querySelector("[data-key=next]");
  const seen = [document.body.innerText];
  while (next() && !next().disabled) { next().click(); seen.push(document.body.innerText); }
  return seen;
})()"""
"""What is shown on each page, as one turns them."""
LOOKS: dict[str, dict[str, Any]] = {
    "a list": look(LIST, {"sources": ["whop"]}),
    "a list, dark, German, narrow": prepared("list", scheme="dark", locale="de-DE", width=320, steps=[FULL]),
    "a list as text alone": prepared("list", text_only=True, steps=[FULL]),
    "hostile names": look(LIST, {"search": "hostile"}, width=400, steps=[DOWNLOAD], evaluate=[EVERY_PAGE]),
    "hostile names in a table": look(
        LIST, {"search": "hostile"}, scheme="dark", steps=[TABLE], evaluate=[EVERY_PAGE]
    ),
    "200 rows": look(LIST, {"sources": ["batch"]}, evaluate=[EVERY_PAGE]),
    "200 rows, filtered": look(
        LIST,
        {"sources": ["batch"]},
        steps=[["focus", "searchbox", "Filter rows"], ["type", "nt 230"]],
        evaluate=["document.activeElement.value", "document.querySelectorAll('.bars > li').length"],
    ),
    "200 rows, full screen": look(
        LIST,
        {"sources": ["batch"]},
        scheme="dark",
        width=400,
        steps=[FULL, ["click", "button", "Show all 200"]],
        evaluate=["document.querySelectorAll('.bars > li').length"],
    ),
    "an error": look(GET, {"audience": "Nobody's audience"}, scheme="dark", width=400),
    "an incomplete answer": look(LIST, {"limit": 5}),
    "sizes pending": prepared("pending", scheme="dark", width=400, steps=[FULL]),
    "compared": prepared("compared", steps=[FULL]),
    "compared, dark, narrow": prepared("compared", scheme="dark", width=400, locale="de-DE"),
    "a table sorted by change": prepared(
        "compared",
        steps=[FULL, TABLE, ["focus", "button", "Change"], ["press", "Enter"]],
        evaluate=[FIRST_NAMES, f"{SORTED}.textContent", "document.activeElement.textContent"],
    ),
    "a table sorted by name, backwards": prepared(
        "compared",
        scheme="dark",
        steps=[TABLE, ["click", "button", "Name"], ["click", "button", "Name"]],
        evaluate=[FIRST_NAMES, f"{SORTED}.getAttribute('aria-sort')"],
    ),
    "groups": prepared("grouped", scheme="dark", steps=[DOWNLOAD]),
    "groups of the server's own": look(LIST, {"group_by": "source"}, width=400, steps=[FULL]),
    "history": prepared(
        "history",
        width=400,
        steps=[["focus", "slider", "Size over time: VIP"], ["press", "Home"], ["press", "ArrowRight"]],
        evaluate=["document.activeElement.getAttribute('aria-valuetext')"],
    ),
    "history, dark, German": prepared("history", scheme="dark", locale="de-DE"),
    "history as a table": prepared("history", steps=[TABLE, DOWNLOAD]),
    "light that turns dark": prepared(
        "list",
        steps=[["scheme", "dark"]],
        evaluate=["getComputedStyle(document.querySelector('h1')).color"],
    ),
}


@contextmanager
def vendors() -> Iterator[dict[str, str]]:
    """The variables of a server that has many audiences, some with hostile names, and one wrong key."""
    rows = [
        {"name": f"a_{n}", "display_name": f"Segment {n}", "nb_ids": 100 * n, "indexing_state": "APPLIED"}
        for n in range(1, MANY + 1)
    ]
    rows += [
        {"name": f"hostile_{n}", "display_name": name, "nb_ids": n + 1, "indexing_state": "APPLIED"}
        for n, name in enumerate(HOSTILE)
    ]
    sandbox = Sandbox({**Sandbox(vendors=FOUR).rows, "batch": rows, "commbox": [], "smallest": []}, FOUR)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(sandbox)) as origin,
    ):
        yield {**sandbox.environment(origin), "COMMBOX_API_KEY": "a-wrong-key"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a person saw at each of `LOOKS`; the same browser for all of them."""
    browser = find_browser() or missing("no browser is installed (Debian: apt-get install chromium)")
    running, folder = node(), tmp_path_factory.mktemp("looks")
    with (
        vendors() as variables,
        hosted(**variables) as server,
        started([sys.executable, "-c", PREPARED], {}) as answers,
        inspector(server.url, folder) as real,
        inspector(answers.url, folder) as fixed,
    ):
        looks = {
            name: {
                **asked,
                "address": fixed if asked["title"] == "Prepared answer" else real,
                "picture": PICTURES and str(Path(PICTURES) / f"{name.replace(' ', '-')}.png"),
            }
            for name, asked in LOOKS.items()
        }
        given = folder / "looks.json"
        given.write_text(json.dumps({"executablePath": browser, "looks": looks}), encoding="utf-8")
        done = subprocess.run(
            [running, str(DRIVER), str(given)],
            env=environment(HOME=str(folder)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=420,
        )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def at(seen: dict[str, Any], name: str) -> Any:
    assert "failed" not in seen[name], seen[name]["failed"]
    return seen[name]


def read_saved(seen: dict[str, Any], name: str) -> list[list[str]]:
    """The rows of a file that was saved; a byte-order mark is how spreadsheets know its encoding."""
    saved = at(seen, name)["saved"]
    assert saved.startswith("\ufeff")
    return list(csv.reader(io.StringIO(saved.removeprefix("\ufeff"), newline="")))


@pytest.mark.parametrize("name", LOOKS)
def test_it_draws_without_an_error_a_request_or_anything_that_hinders_a_person(
    seen: dict[str, Any], name: str
) -> None:
    shown = at(seen, name)
    assert shown["errors"] == []
    assert shown["requests"] == []
    assert [found for found in shown["axe"] if found.startswith(("serious", "critical"))] == []
    assert shown["overflow"] <= 0


@pytest.mark.parametrize("name", LOOKS)
def test_inline_it_is_at_most_500_pixels_high_and_nothing_in_it_scrolls(
    seen: dict[str, Any], name: str
) -> None:
    body, mode = at(seen, name)["height"]
    assert body <= 500 or mode == ""


def test_numbers_are_written_as_the_hosts_language_writes_them(seen: dict[str, Any]) -> None:
    german = at(seen, "a list, dark, German, narrow")["text"]
    assert "184.220" in german
    assert "120.000–141.000" in german
    assert "01.11.2026" in at(seen, "compared, dark, narrow")["text"]


def test_an_answer_that_comes_as_text_alone_is_drawn_too(seen: dict[str, Any]) -> None:
    shown = at(seen, "a list as text alone")["text"]
    assert "7 audiences" in shown
    assert "184,220" in shown


def test_unknown_is_told_as_such_and_with_its_reason(seen: dict[str, Any]) -> None:
    shown = at(seen, "a list as text alone")["text"]
    assert "unknown\n" in shown
    assert "CommBox gives no size here" in shown
    groups = at(seen, "groups")["text"]
    assert "3 sizes unknown\nunknown" in groups  # a sum of nothing that is known is not 0


def test_names_are_shown_letter_by_letter(seen: dict[str, Any]) -> None:
    for name in ("hostile names", "hostile names in a table"):
        (pages,) = at(seen, name)["values"]
        for hostile in HOSTILE:
            assert any(hostile.replace("\u202e", "") in page for page in pages)


def test_a_saved_file_holds_the_rows_and_nothing_that_a_spreadsheet_would_run(seen: dict[str, Any]) -> None:
    head, *rows = read_saved(seen, "hostile names")
    assert head == list(AUDIENCE_COLUMNS)  # as the command line has them
    assert len(rows) == len(HOSTILE)
    named = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    formula = named["batch:hostile_2"]
    assert formula["name"] == "'" + HOSTILE[2]
    assert (formula["size"], formula["source"], formula["id"]) == ("3", "batch", "hostile_2")
    assert formula["as_of"].endswith("Z")
    assert named["batch:hostile_3"]["name"] == "'@SUM(1,2)"
    assert named["batch:hostile_0"]["name"] == HOSTILE[0]


def test_groups_are_saved_with_columns_of_their_own(seen: dict[str, Any]) -> None:
    head, *rows = read_saved(seen, "groups")
    assert head == list(GROUP_COLUMNS)
    assert rows[0] == ["batch", "12", "240000", "", "0"]


def test_groups_are_told_with_how_many_audiences_they_have(seen: dict[str, Any]) -> None:
    shown = at(seen, "groups of the server's own")["text"]
    assert shown.startswith("Not complete.")
    assert "All audiences by account" in shown
    assert f"Batch\n{MANY + len(HOSTILE)} audiences" in shown
    assert "groups, " in shown


def test_a_saved_history_has_a_line_for_every_point(seen: dict[str, Any]) -> None:
    head, *rows = read_saved(seen, "history as a table")
    assert head == list(HISTORY_COLUMNS)
    assert len(rows) == 9
    assert rows[0] == ["batch:vip", "VIP", "batch", "batch", "", "2026-11-01T06:00:00Z", "7900", "", ""]


def test_of_200_rows_as_many_are_shown_as_fit_and_the_others_page_by_page(seen: dict[str, Any]) -> None:
    (pages,) = at(seen, "200 rows")["values"]
    assert f"{MANY + len(HOSTILE)} audiences" in pages[0]
    assert "200 shown" in pages[0]
    assert "Rows 1–" in pages[0]
    assert pages[-1].rstrip().split("Rows ")[1].split("\n")[0].endswith("–200 of 200")
    shown = [line for page in pages for line in page.split("\n") if re.fullmatch(r"Segment \d+", line)]
    assert len(shown) == len(set(shown)) == 200
    assert at(seen, "200 rows, full screen")["values"] == [200]


def test_the_filter_shows_the_rows_that_have_what_is_typed(seen: dict[str, Any]) -> None:
    assert at(seen, "200 rows, filtered")["values"] == ["nt 230", 1]
    assert "Segment 230" in at(seen, "200 rows, filtered")["text"]


def test_an_error_is_shown_in_its_own_words(seen: dict[str, Any]) -> None:
    assert "Nobody's audience" in at(seen, "an error")["text"]


def test_an_incomplete_answer_says_so_first_and_why(seen: dict[str, Any]) -> None:
    shown = at(seen, "an incomplete answer")["text"]
    assert shown.startswith("Not complete.")
    assert "COMMBOX_API_KEY" in shown.split("All audiences\n")[0]
    assert shown.count("CommBox: ") == 1
    assert shown.count("\nWhop") == 5  # of several sources that were asked, each row names its own
    pending = at(seen, "sizes pending")["text"]
    assert pending.startswith("Not complete.")
    assert "rate limiting this key. Try again in 40 seconds." in pending
    assert "3 sizes still to be asked for" in pending


def test_a_comparison_names_its_moment_and_what_came_and_went(seen: dict[str, Any]) -> None:
    shown = at(seen, "compared")["text"]
    assert "344,744 → 361,551" in shown
    assert "+16,807 (+4.9%)" in shown
    assert "1 Nov 2026" in shown
    assert "1 new" in shown
    assert "Summer sale · Batch · 1,200 then" in shown
    assert "-379 (-4%)" in shown


def test_a_table_is_sorted_by_the_keyboard_and_keeps_the_focus(seen: dict[str, Any]) -> None:
    names, heading, focused = at(seen, "a table sorted by change")["values"]
    assert names[:4] == ["Newsletter subscribers", "Clients fidèles", "VIP", "Lookalike of buyers"]
    assert heading == "Change↓"
    assert focused == heading
    backwards, way = at(seen, "a table sorted by name, backwards")["values"]
    assert way == "descending"
    assert backwards == sorted(backwards, key=str.casefold, reverse=True)


def test_a_line_over_time_is_read_point_by_point_with_the_keyboard(seen: dict[str, Any]) -> None:
    (told,) = at(seen, "history")["values"]
    assert told == "4 Nov 2026, 07:00: 7,950"
    assert "+1,220 (+15.4%) since 1 Nov 2026" in at(seen, "history")["text"]
    assert "9.120" in at(seen, "history, dark, German")["text"]


def test_the_view_follows_a_host_that_turns_dark(seen: dict[str, Any]) -> None:
    (ink,) = at(seen, "light that turns dark")["values"]
    red, green, blue = (int(part) for part in ink.removeprefix("rgb(").removesuffix(")").split(","))
    assert min(red, green, blue) > 180

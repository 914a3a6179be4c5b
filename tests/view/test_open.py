"""Pages that hold an answer, opened from a folder; and the view in a host that says all that a host can."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.cli.output import AUDIENCE_COLUMNS, COMPARED_COLUMNS
from audience_mcp.server.page import Question, read_view, render_page
from tests.clients.test_clients import missing, node
from tests.support.browser import find_browser
from tests.support.process import environment
from tests.view.answers import ANSWERS, COMPARED, LIST
from tests.view.test_inspector import DRIVER, HOSTILE, PICTURES

pytestmark = pytest.mark.browser

NAMES = {
    "batch": "Batch",
    "whop": "Whop",
    "mailchimp": "Mailchimp",
    "mailchimp-acme": "Mailchimp (Acme GmbH)",
    "acme": "Acme GmbH",
    "mailchimp-acme:list-9": "All customers",
}
MANY = {**LIST, "audiences": [{"ref": f"batch:{n}", "name": f"S {n}", "size": n} for n in range(740)]}
SPITEFUL = {**LIST, "audiences": [{"ref": f"batch:{n}", "name": name} for n, name in enumerate(HOSTILE)]}
SERIES = [{**ANSWERS["history"]["audiences"][0], "ref": f"batch:{n}", "name": f"S {n}"} for n in range(5)]
TO_RANGE = {**SERIES[0]["history"][-1], "size_max": 10 * SERIES[0]["history"][-1]["size"]}
SEVERAL = {**ANSWERS["history"], "audiences": SERIES}
LATE = {**COMPARED, "sources": [{**s, "compared_to": "2026-11-01T02:00:00Z"} for s in COMPARED["sources"]]}
"""In New York that was still October."""
TWINS = {**LIST, "audiences": [{"ref": f"batch:x{n}", "name": "VIP", "size": 1} for n in (1, 2)]}
NOTHING = {**LIST, "matched": 0, "returned": 0, "sum_of_sizes": 0, "unknown_sizes": 0, "audiences": []}
FILTER = ["focus", "searchbox", "Filter rows"]


def page(answer: dict[str, Any], question: Question | None = None, **more: Any) -> dict[str, Any]:
    """A page to open, and how: 900 pixels wide unless it says otherwise."""
    return {"html": render_page(answer, question or Question(names=NAMES)), "width": 900, **more}


PAGES: dict[str, dict[str, Any]] = {
    **{name: page(answer, width=320 if n % 2 else 900) for n, (name, answer) in enumerate(ANSWERS.items())},
    "hostile": page(SPITEFUL, Question(title=HOSTILE[1], arguments={"search": HOSTILE[0]}), width=320),
    "several histories": page(SEVERAL, scheme="dark"),
    "a total": page({**SEVERAL, "total": {"history": SERIES[0]["history"], "unknown_sizes": 2}}, width=320),
    "not alike": page(
        {
            **SEVERAL,
            "audiences": [
                {**SERIES[0], "has_change": False},
                {**SERIES[1], "history": [*SERIES[1]["history"][:-1], TO_RANGE]},
                SERIES[2],
            ],
            "total": {"history": SERIES[0]["history"], "has_change": False},
        }
    ),
    "twins": page(TWINS),
    "nothing": page(NOTHING, width=320, scheme="dark"),
    "many": page(MANY),
    "many in a table": page(MANY, steps=[["click", "button", "Table"]]),
    "a narrow table": page(COMPARED, width=320, steps=[["click", "button", "Table"]]),
    "filtered": page(
        ANSWERS["nested"],
        steps=[FILTER, ["type", "zoe"]],
        evaluate=["document.activeElement.value", "document.querySelector('.bars').innerText"],
    ),
    "filtered and saved": page(ANSWERS["nested"], steps=[FILTER, ["type", "within"], ["download"]]),
    "a record, far west": page(
        ANSWERS["record"],
        timezoneId="America/Los_Angeles",
        steps=[["focus", "slider", "Size over time: Newsletter"], ["press", "Home"]],
        evaluate=[
            "document.activeElement.getAttribute('aria-valuetext')",
            "document.querySelector('path.record').getAttribute('d').match(/h0/g).length",
            "document.querySelector('path.line').getAttribute('d')",
        ],
    ),
}
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "All audiences"),
    "neutral values": (
        {"sources": [], "search": "", "min_size": 0, "max_size": -1, "sort": "size", "compare_to": ""},
        "All audiences",
    ),
    "a client": (
        {"sources": ["acme"], "updated_before": "2026-01-01"},
        "Audiences at Acme GmbH, updated before 1 Jan 2026",
    ),
    "words and accounts": (
        {"search": "vip -test", "sources": "batch,whop", "sort": "newest"},
        "Audiences matching “vip -test” at Batch and Whop, newest first",
    ),
    "codes": (
        {"type": ["lookalike"], "status": "failed,processing", "issue": ["too_small"], "kind": ["tag"]},
        "Audiences of the kind tag, lookalike, failed or still being processed, too small to be used",
    ),
    "sizes": (
        {"min_size": 1000, "max_size": "5000", "compare_to": "2026-11-01", "min_change": "10%"},
        "Audiences of 1,000 to 5,000, that changed by 10% or more, compared with 1 Nov 2026",
    ),
    "groups": (
        {"group_by": "client", "created_since": "2026-01-01", "created_before": "2026-02-01"},
        "Audiences by client, created from 1 Jan 2026 until before 1 Feb 2026",
    ),
    "the past": (
        {"as_of": "2026-10-31", "missing_in": ["whop"]},
        "Audiences, missing at Whop, as of 31 Oct 2026",
    ),
}
PAGES |= {
    f"asked: {name}": page(LIST, Question(arguments=arguments, names=NAMES))
    for name, (arguments, _) in ASKED.items()
}


MEMBERS = [{"ref": f"batch:x{n}", "size": 100 * n} for n in range(12, 0, -1)]
TOGETHER = {
    **ANSWERS["grouped"],
    "groups": [
        {"key": "stale", "matched": 30, "sum_of_sizes": 9_000, "unknown_sizes": 0, "members": MEMBERS},
        {"key": "empty", "matched": 1, "sum_of_sizes": 0, "unknown_sizes": 0, "members": MEMBERS[-1:]},
    ],
}
PAGES["past the end"] = page(
    {**LIST, "returned": 0, "audiences": []}, Question(arguments={"offset": 500}, names=NAMES)
)
PAGES["more groups"] = page({**TOGETHER, "next_offset": 2}, Question(title="Health", names=NAMES))
PAGES["issues"] = page(TOGETHER, Question(arguments={"group_by": "issue"}, names={"batch:x12": "Old leads"}))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    browser = find_browser() or missing("no browser is installed (Debian: apt-get install chromium)")
    running, folder = node(), tmp_path_factory.mktemp("pages")
    pages = {}
    for name, opened in PAGES.items():
        file = folder / f"{re.sub('[^a-z]', '_', name)}.html"
        file.write_text(opened["html"], encoding="utf-8")
        picture = PICTURES and str(Path(PICTURES) / f"page-{file.stem}.png")
        pages[name] = {**opened, "html": None, "url": file.as_uri(), "picture": picture}
    given = folder / "asked.json"
    host = {"view": read_view(), "answer": LATE, "asked": {"compare_to": "2026-11-01", "search": ""}}
    given.write_text(json.dumps({"executablePath": browser, "pages": pages, **host}), encoding="utf-8")
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
    assert shown["overflow"] <= 0
    assert "audience" in shown["text"].lower()


@pytest.mark.parametrize("name", ASKED)
def test_a_page_says_in_words_what_was_asked_and_when_it_was_read(seen: dict[str, Any], name: str) -> None:
    shown = seen["pages"][f"asked: {name}"]
    assert shown["head"] == shown["title"] == ASKED[name][1]
    assert "Read 26 Nov 2026, 18:30 CET from Batch, Meta, Brevo and CommBox" in shown["text"]


def test_what_was_asked_and_could_not_be_compared_is_said_to_be_so(seen: dict[str, Any]) -> None:
    assert "Nothing could be compared: the notes say why." in seen["pages"]["asked: sizes"]["text"]
    assert "could be compared" not in seen["pages"]["asked: neutral values"]["text"]


def test_a_title_of_ones_own_stands_above_what_was_asked(seen: dict[str, Any]) -> None:
    shown = seen["pages"]["hostile"]
    assert shown["head"] == shown["title"] == HOSTILE[1]
    assert f"Audiences matching “{HOSTILE[0]}”" in shown["text"]


def test_a_page_that_is_printed_shows_all_rows_and_where_they_are_from(seen: dict[str, Any]) -> None:
    shown = seen["pages"]["many"]
    assert shown["rows"] == [25, 740]
    assert "Show all 740" in shown["text"]
    printed = shown["printed"]
    assert "Read 26 Nov 2026, 18:30 CET" in printed
    assert "Meta: 12 audiences · read 26 Nov 2026, 18:30 CET · sizes count people, as a range" in printed
    assert "Download CSV" not in printed


def test_an_answer_without_rows_says_so(seen: dict[str, Any]) -> None:
    assert "Nothing matches." in seen["pages"]["nothing"]["text"]
    assert "Nothing further from here on." in seen["pages"]["past the end"]["text"]
    assert "Totals only" not in seen["pages"]["past the end"]["text"]


def test_groups_that_are_not_all_shown_are_said_to_have_others_after_them(seen: dict[str, Any]) -> None:
    assert "2 groups shown, more follow" in seen["pages"]["more groups"]["text"]


def test_a_page_of_a_hundred_thousand_ranges_shows_its_rows(tmp_path: Path) -> None:
    browser = find_browser() or missing("no browser is installed (Debian: apt-get install chromium)")
    row = {"size": 1, "size_max": 9, "size_then": 2}
    rows = [{"ref": f"batch:{n}", "name": f"S {n}", **row} for n in range(100_000)]
    file = tmp_path / "page.html"
    file.write_text(render_page({**LIST, "audiences": rows}, Question()), encoding="utf-8")
    shown = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", file.as_uri()],
        env=environment(HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    assert "S 24" in shown.partition("<ul")[2]
    assert "Show all 100,000" in shown


def test_a_table_of_many_rows_shows_the_first_and_prints_all(seen: dict[str, Any]) -> None:
    shown = seen["pages"]["many in a table"]
    assert "S 739" not in shown["text"]
    assert "Show all 740" in shown["text"]
    assert "S 739" in shown["printed"]


def test_a_table_that_has_no_room_leaves_columns_out_and_says_which(seen: dict[str, Any]) -> None:
    shown = seen["pages"]["a narrow table"]
    assert "184,220" in shown["text"]
    assert "new, size then, kind, members, state and note: the CSV has all columns." in shown["text"]
    assert "processed" not in shown["text"].split("No room here")[0]
    assert "processed" in shown["printed"]  # on paper there is room for all


def test_the_filter_knows_no_case_and_no_accents_and_says_how_many_rows_are_left(
    seen: dict[str, Any],
) -> None:
    shown = seen["pages"]["filtered"]
    typed, rows = shown["values"]
    assert typed == "zoe"  # the box keeps the focus
    assert rows.startswith("Zoë")
    assert "Opened" not in rows
    assert shown["said"] == "1 of 3 rows"


def test_what_is_saved_is_what_the_filter_shows(seen: dict[str, Any]) -> None:
    shown = seen["pages"]["filtered and saved"]
    assert shown["file"] == "audiences.csv"
    assert shown["saved"].startswith("\ufeff")  # by which a spreadsheet knows the encoding
    rows = list(csv.DictReader(io.StringIO(shown["saved"].removeprefix("\ufeff"), newline="")))
    assert list(rows[0]) == [*AUDIENCE_COLUMNS, *COMPARED_COLUMNS]  # as the command line has them
    assert [row["ref"] for row in rows] == ["mailchimp-acme:segment-1.2", "mailchimp-acme:segment-1.3"]
    assert [row["status"] for row in rows] == ["processing", ""]
    assert (rows[0]["issues"], rows[0]["vendor"], rows[0]["as_of"]) == (
        "too_small stale duplicate_name",
        "mailchimp",
        "2026-11-26T17:30:00Z",
    )
    assert (rows[1]["change_pct"], rows[1]["compared_to"], rows[1]["then_from"]) == (
        "50",
        "2026-10-31",
        "vendor",
    )


def test_people_read_names_and_words_in_place_of_refs_and_codes(seen: dict[str, Any]) -> None:
    text = seen["pages"]["nested"]["text"]
    assert "Mailchimp (Acme GmbH) · segment · updates by itself · still being processed" in text
    assert "within “All customers”" in text
    assert "too small to be used (under 100 people)" in text
    assert "not updated for a year (not updated since 4 Feb 2025)" in text
    assert "same name as another (2 of this name at Mailchimp (Acme GmbH))" in text
    assert seen["pages"]["twins"]["text"].count("Batch · id x") == 2  # two that would read the same
    assert "id " not in text
    assert "No match in: Whop (read 26 Nov 2026, 18:30 or later)" in text
    assert "Batch: nothing is stored at 1 Nov 2026, 01:00 or before." in text
    for code in ("part_of", "size_counts", "mailchimp-acme", "list-1", "dynamic", "too_small"):
        assert code not in text


def test_sizes_of_a_vendors_own_record_have_a_mark_of_their_own(seen: dict[str, Any]) -> None:
    nested = seen["pages"]["nested"]["text"]
    assert "then: Mailchimp's own record of 31 Oct 2026" in nested
    assert "Ring: the size then, by the vendor's own record" in nested
    assert "1 by the vendors' own records" in nested
    assert "+1,000 (+50%)" in nested
    shown = seen["pages"]["a record, far west"]
    first, rings, line = shown["values"]
    assert first == "31 Aug 2026: 40,000, Mailchimp's own record"  # a day is that day everywhere
    assert rings == 3
    assert not line.startswith("M0 ")  # the line begins where our readings do
    assert "3 sizes of Mailchimp's own record" in shown["text"]
    assert "52,000–53,500" in shown["text"]


def test_a_group_names_the_largest_in_it_and_counts_the_others(seen: dict[str, Any]) -> None:
    text = seen["pages"]["issues"]["text"]
    assert "Not updated for a year\n30 audiences · Old leads (Batch) 1,200 · Batch 1,100 · " in re.sub(
        "\n+", "\n", text
    )
    assert " · 26 more" in text
    assert text.count(" more\n") == 1  # of one there are no others


def test_an_audience_that_is_gone_says_since_when(seen: dict[str, Any]) -> None:
    text = seen["pages"]["gone"]["text"]
    assert "Gone: last seen 3 Oct 2026, 08:00; the size is its last one." in text


def test_names_in_a_page_are_text(seen: dict[str, Any]) -> None:
    for name in HOSTILE:
        assert name.replace("\u202e", "") in seen["pages"]["hostile"]["text"].replace("\u202e", "")


def test_several_histories_have_a_line_each(seen: dict[str, Any]) -> None:
    assert seen["pages"]["several histories"]["text"].count("since 1 Nov 2026") == 5


def test_a_history_whose_ends_do_not_count_the_same_has_no_change(seen: dict[str, Any]) -> None:
    text = seen["pages"]["not alike"]["text"]
    assert "All together" in text
    assert text.count("since 1 Nov 2026") == 1


def test_the_total_of_several_histories_stands_above_them(seen: dict[str, Any]) -> None:
    text = seen["pages"]["a total"]["text"]
    assert (
        text.index("All together")
        < text.index("2 audiences of unknown size, in no total")
        < text.index("S 0")
    )
    assert "All together" not in seen["pages"]["several histories"]["text"]


def test_the_view_takes_the_hosts_theme_language_zone_colours_fonts_and_insets(seen: dict[str, Any]) -> None:
    first = seen["host"]["first"]
    assert seen["host"]["errors"] == []
    assert (first["scheme"], first["margin"]) == ("dark", "7px")
    assert seen["host"]["full"]["back"][1] == "rgb(1, 2, 3)"
    assert first["fonts"] == "/* the host's fonts */"
    assert "344.744 → 361.551" in first["text"]
    assert "since 31.10.2026" in first["text"]


def test_inline_the_view_is_transparent_at_most_500_pixels_high_and_scrolls_nowhere(
    seen: dict[str, Any],
) -> None:
    for state in ("first", "changed", "table"):
        shown = seen["host"][state]
        assert shown["back"] == ["rgba(0, 0, 0, 0)", "rgba(0, 0, 0, 0)"]
        assert shown["height"] <= 500
        assert shown["scrolling"] == []
        assert shown["small"] == []  # every target has 44 pixels both ways
    assert "Rows 1–" in seen["host"]["first"]["text"]
    assert "Rows 1–" not in seen["host"]["full"]["text"]  # full screen there is room for all


def test_the_view_says_what_the_host_asked_and_calls_accounts_by_name(seen: dict[str, Any]) -> None:
    text = seen["host"]["changed"]["text"]
    assert text.startswith("Audiences, compared with Nov 1, 2026")
    assert re.search(r"Newsletter subscribers\s+Batch \(Acme GmbH\)", text)


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

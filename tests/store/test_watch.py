"""`watch`: what it finds, how it prints it, and how it ends."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.models import AudienceList, Compared
from audience_mcp.catalog.recording import goes_further
from audience_mcp.catalog.watch import ALL, Conditions, Watched
from audience_mcp.sandbox import Answer
from tests.store.conftest import Keep, days_before
from tests.support.commands import Ran, Switched

Typed = Callable[..., Ran]


@pytest.fixture
def watch(
    typed: Typed, folder: Path, sandbox: Switched, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Types `watch` for Batch, whose audiences are what a test says: name and size."""
    monkeypatch.setenv("AUDIENCE_MCP_CACHE_S", "0")

    def run(*options: str, **sizes: int) -> Ran:
        like = sandbox.rows["batch"][0]
        sandbox.rows["batch"] = [
            {**like, "name": name, "display_name": f"The {name}", "nb_ids": size}
            for name, size in sizes.items()
        ]
        return typed("watch", "--sources", "batch", *options)

    return run


def conditions(ran: Ran) -> dict[str, list[str]]:
    return {each["ref"].removeprefix("batch:"): each["conditions"] for each in ran.json["audiences"]}


def written(moment: str) -> str:
    return f"{moment[:10]} {moment[11:16]} UTC"


def before(**sizes: int | None) -> dict[str, tuple[str, int | None]]:
    return {name: (f"The {name}", size) for name, size in sizes.items()}


def test_bounds_are_inclusive_and_exact_and_a_gone_audience_is_no_drop(watch: Any, keep: Keep) -> None:
    keep("batch", 2, before(ten=1_000, nine=1_000, up=1_000, fresh_then=None, left=500))
    now = {"ten": 900, "nine": 901, "up": 1_500, "fresh_then": 5, "fresh": 9}
    ran = watch("--drop", "10%", "--grow", "50%", "--gone", "--json", **now)
    assert ran.code == 4
    assert conditions(ran) == {"left": ["gone"], "ten": ["drop"], "up": ["grow"]}
    gone = ran.json["audiences"][0]
    assert (gone["name"], gone["size_then"], "size" in gone) == ("The left", 500, False)
    assert conditions(watch("--drop", "100", "--json", **now)) == {"ten": ["drop"]}
    assert conditions(watch("--drop", "101", "--grow", "500", "--json", **now)) == {"up": ["grow"]}
    assert conditions(watch("--gone", "--json", **now)) == {"left": ["gone"]}


def test_without_a_condition_all_hold(watch: Any, keep: Keep) -> None:
    keep("batch", 2, before(a=100, b=100, c=100, d=100, left=1))
    ran = watch("--json", a=90, b=150, c=0, d=91)
    found = conditions(ran)
    assert (found["left"], found["a"][0], found["b"][0]) == (["gone"], "drop", "grow")
    assert found["c"] == ["drop", "issue"]
    only = watch("--drop", "10%", "--json", a=90, b=150, c=0, d=91)
    assert conditions(only) == {"c": ["drop"], "a": ["drop"]}
    for neutral in ("none", "", "none,null"):
        assert conditions(watch("--issue", neutral, "--json", a=90, b=150, c=0, d=91)) == found


def test_an_issue_is_one_of_now_and_needs_no_past(watch: Any, folder: Path) -> None:
    ran = watch("--issue", "empty,failed", "--json", a=0, b=5)
    assert (ran.code, conditions(ran), ran.err) == (4, {"a": ["issue"]}, "")
    assert watch("--issue", "empty", a=1, b=5).code == 0
    assert conditions(watch("--issue", "failed", "--issue", "empty", "--json", a=0, b=5)) == {"a": ["issue"]}
    assert "empty" in watch("--issue", "nothing", a=1).err


def test_a_source_without_a_past_is_named_and_is_no_failure(watch: Any, folder: Path) -> None:
    ran = watch("--drop", "10%", "--gone", a=5)
    assert ran.code == 0
    why = "nothing is stored before this reading, so no reading of ours is compared"
    said = f"batch: {why}; its history begins with it.\n"
    assert ran.err == f"audience-mcp: {said}"
    assert ran.out == f"Nothing needs attention; 1 audience read.\n{said}"


@pytest.mark.parametrize(("since", "found"), [("36h", set()), ("3d", {"a"}), ("1w", {"a"}), ("date", {"a"})])
def test_since_is_a_date_a_moment_or_how_long_ago(
    watch: Any, keep: Keep, since: str, found: set[str]
) -> None:
    keep("batch", 3, before(a=100))
    keep("batch", 2, before(a=50))
    since = f"{days_before(3):%Y-%m-%d}" if since == "date" else since
    assert conditions(watch("--drop", "10%", "--since", since, "--json", a=50)).keys() == found
    told = watch("--drop", "10%", "--since", since, "--json", a=50).json["since"]
    if since.endswith("h"):
        ago = datetime.now(timezone.utc) - datetime.fromisoformat(told.replace("Z", "+00:00"))
        assert timedelta(hours=36) <= ago < timedelta(hours=36, minutes=5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--since", "yesterday"], "12h, 7d, 2w"),
        (["--since", "0d"], "12h, 7d, 2w"),
        (["--since", "2026-13-45"], "--since"),
        (["--since", "2100-01-01"], "--since must not lie ahead"),
        (["--drop", "0"], "--drop must be"),
        (["--drop", "-10%"], "--drop must be"),
        (["--drop", "1,5%"], "a percentage such as 10% or 1.5%"),
        (["--grow", "much"], "--grow must be"),
        (["--json", "--csv"], "choose one of"),
        (["--sources", "nobody"], "nobody"),
    ],
)
def test_what_is_not_valid_is_refused_in_words_of_the_options(
    typed: Typed, folder: Path, options: list[str], told: str
) -> None:
    ran = typed("watch", *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert "compare" not in ran.err


def test_exit_codes_tell_found_from_incomplete_from_nothing_read(
    typed: Typed, keep: Keep, sandbox: Switched, watch: Any
) -> None:
    keep("batch", 2, before(a=100))
    sandbox.instead["whop"] = Answer(401, {})
    both = ("--sources", "whop", "--drop", "10%")
    quiet, loud = watch(*both, a=99), watch(*both, "--grow", "1%", "--since", "1d", a=99)
    assert (quiet.code, loud.code) == (3, 3)
    assert "refused the key" in quiet.err
    assert "Not complete" in quiet.out
    sandbox.instead["batch"] = Answer(401, {})
    assert typed("watch", "--sources", "whop").code == 1


def test_what_is_found_counts_more_than_what_could_not_be_read(
    keep: Keep, sandbox: Switched, watch: Any
) -> None:
    keep("batch", 2, before(a=100))
    sandbox.instead["whop"] = Answer(401, {})
    ran = watch("--sources", "whop", "--drop", "10%", a=50)
    assert ran.code == 4
    assert "refused the key" in ran.err


def test_with_the_store_off_the_setting_is_named(typed: Typed, sandbox: Switched) -> None:
    ran = typed("watch", "--issue", "empty")
    assert (ran.code, ran.out) == (2, "")
    assert "AUDIENCE_MCP_STORE" in ran.err


def test_the_table_says_what_was_and_what_is(watch: Any, keep: Keep) -> None:
    keep("batch", 2, before(a=1_000, b=5, left=70))
    ran = watch("--drop", "10%", "--gone", "--since", "36h", a=800, b=5)
    lines = ran.out.splitlines()
    assert lines[0].split() == ["CONDITION", "SIZE", "CHANGE", "AUDIENCE", "REF", "REMARKS"]
    assert lines[1].split() == ["gone", "gone,", "70", "then", "The", "left", "batch:left"]
    assert lines[2].split() == ["drop", "800", "-200", "(-20.0%)", "The", "a", "batch:a"]
    assert "2 audiences need attention since" in ran.out
    assert "2 audiences read" in ran.out
    assert re.fullmatch(r"Compared with \d{4}-\d\d-\d\d \d\d:\d\d UTC \(batch\)\.", lines[-1])


def test_audiences_whose_change_is_not_known_are_counted_where_changes_are_asked_for(
    watch: Any, keep: Keep
) -> None:
    keep("batch", 2, before(a=1_000, b=None))
    assert "1 audience of unknown size then or now" in watch("--drop", "10%", a=1_000, b=5).out
    assert "unknown" not in watch("--gone", a=1_000, b=5).out


def test_the_csv_has_the_columns_of_list_and_last_the_conditions(
    watch: Any, typed: Typed, keep: Keep
) -> None:
    keep("batch", 2, before(a=1_000, left=70))
    written = watch("--csv", a=0)
    head, *rows = csv.reader(written.out.splitlines())
    listed = typed("list", "--sources", "batch", "--compare-to", f"{days_before(1):%Y-%m-%d}", "--csv").out
    assert head == [*next(csv.reader(listed.splitlines())), "condition"]
    left, a = (dict(zip(head, row, strict=True)) for row in rows)
    assert (left["ref"], left["size"], left["size_then"], left["condition"]) == (
        "batch:left",
        "",
        "70",
        "gone",
    )
    assert (a["change"], a["change_pct"], a["condition"]) == ("-1000", "-100.0", "drop issue")
    assert a["issues"].startswith("empty")
    assert (
        a["compared_to"] == left["compared_to"] == f"{days_before(2):%Y-%m-%dT%H:%M}{a['compared_to'][16:]}"
    )


def test_in_markdown_names_are_text(watch: Any, keep: Keep) -> None:
    keep("batch", 2, {"a": ("x", 1_000), "left": ("<b>|[click](http://x)*_`", 70)})
    out = watch("--gone", "--markdown", "--since", "36h", a=1).out
    first, _, head, rule, row = out.splitlines()[:5]
    assert first.startswith("**1 audience needs attention since ")
    assert (head.count("|"), rule) == (7, "| --- | ---: | ---: | --- | --- | --- |")
    assert "| &lt;b&gt;\\|\\[click\\](http://x)\\*\\_\\` |" in row


def test_all_gone_audiences_are_named_however_many(watch: Any, keep: Keep) -> None:
    keep("batch", 2, before(a=1, **{f"left{n}": n for n in range(50)}))
    ran = watch("--gone", "--json", a=1)
    assert len(ran.json["audiences"]) == 50
    sizes = [each["size_then"] for each in ran.json["audiences"]]
    assert sizes == sorted(sizes, reverse=True)


def test_a_source_that_is_not_read_in_full_has_no_gone_audiences(
    watch: Any, keep: Keep, sandbox: Switched
) -> None:
    keep("batch", 2, before(a=1, left=5))
    page = {"audiences": [{"name": "a", "nb_ids": 1, "indexing_state": "APPLIED"}], "has_more": True}
    sandbox.instead["batch"] = Answer(200, page)
    ran = watch("--gone", "--json")
    assert (ran.code, ran.json["audiences"], ran.json["complete"]) == (3, [], False)


def answered(pending: int | None) -> AudienceList:
    """An answer of which so many sizes of vendors' own records are still to come."""
    compared = Compared(sum_now=0, sum_then=0, change=0, new=0, unknown=pending or 0, pending=pending)
    return AudienceList(
        matched=5, returned=5, sum_of_sizes=9, unknown_sizes=0, complete=True, compared=compared, sources=[]
    )


def test_vendors_records_that_are_still_to_come_are_waited_for_while_some_do_and_are_then_said() -> None:
    assert goes_further(None, answered(3))
    assert goes_further(answered(3), answered(2))
    assert not goes_further(answered(3), answered(3))
    assert not goes_further(answered(3), answered(None))
    since = datetime.now(timezone.utc)
    assert not Watched(since, answered(3), ALL).complete
    assert Watched(since, answered(None), ALL).complete
    assert Watched(since, answered(3), Conditions(gone=True)).complete


def test_made_up_audiences_can_be_watched(typed: Typed, folder: Path) -> None:
    ran = typed("watch", "--sandbox", "--gone", "--since", "8w", "--sources", "batch", "--json")
    assert (ran.code, ran.json["matched"]) == (4, 1)
    assert not folder.exists()
    assert json.loads(ran.out)["audiences"][0]["conditions"] == ["gone"]


def test_what_is_compared_with_is_named_where_it_is_not_of_the_moment_asked_for(
    watch: Any, keep: Keep
) -> None:
    keep("batch", 40, before(a=100))
    drop = ("--drop", "10%", "--since")
    told = watch(*drop, "60d", "--json", a=50).json
    assert told["notes"][0].endswith("or before; compared with the first reading after it.")
    first = written(told["sources"][0]["compared_to"])
    late, far = watch(*drop, "60d", a=50).out, watch(*drop, "3d", a=50).out
    for out in (late, far):
        assert "1 audience needs attention; 1 audience read." in out
    said = f"compared with the first reading after it, {first} (batch)."
    assert late.count("Nothing is stored ") == late.count("nothing is stored ") + 1 == late.count(said) == 1
    assert "Compared with the last reading before" in far
    assert f", {first} (batch)." in far
    markdown = watch(*drop, "60d", "--markdown", a=50).out.splitlines()[-1]
    assert markdown.startswith("- Nothing is stored of ")
    assert said in markdown
    assert "the first reading after it" in watch(*drop, "60d", "--csv", a=50).err


def test_sources_read_on_one_day_share_a_line_and_no_note_is_about_sums(watch: Any, keep: Keep) -> None:
    keep("batch", 2, before(a=100))
    keep("whop", 3, {"w": ("W", 1)})
    gone = ("--since", "46h", "--sources", "whop", "--gone")
    then = {each["source"]: each["compared_to"] for each in watch(*gone, "--json", a=50).json["sources"]}
    assert watch(*gone, a=50).out.splitlines()[-2:] == [
        f"Compared with {written(then[source])} ({source})." for source in ("whop", "batch")
    ]
    ran = watch("--since", "7d", "--sources", "whop", "--drop", "10%", a=50)
    assert "Units differ" not in ran.out
    keep("batch", 8, before(a=100))
    keep("whop", 8, {"w": ("W", 1)})
    assert " UTC (all sources)." in watch("--since", "7d", "--sources", "whop", "--drop", "10%", a=50).out


def test_issues_alone_are_of_now_and_compared_with_nothing(watch: Any, keep: Keep) -> None:
    keep("batch", 2, before(a=100))
    ran = watch("--issue", "empty", a=0)
    assert ran.out.endswith("1 audience needs attention; 1 audience read.\n")
    assert "compared_to" not in watch("--issue", "empty", "--json", a=0).json["sources"][0]

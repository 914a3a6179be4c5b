"""`record`, `history`, `store`, and what changed as `list` and `check` tell it: for people."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.models import HistoryPoint
from audience_mcp.cli.plots import draw_line, draw_plot
from audience_mcp.config import load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.sandbox import Answer
from audience_mcp.vendors.registry import built_in_vendors
from tests.store.conftest import Keep, days_before
from tests.support.commands import Ran, Switched

Typed = Callable[..., Ran]
SOURCES = {"commbox", "batch", "smallest", "whop"}


def biggest_at_batch(sandbox: Switched) -> Any:
    return max(sandbox.rows["batch"], key=lambda row: row.get("nb_ids", 0))


# record


def test_record_stores_every_source_and_says_so_in_a_line_each(typed: Typed, folder: Path) -> None:
    ran = typed("record")
    lines = ran.out.splitlines()
    assert (ran.code, {line.partition(":")[0] for line in lines}) == (0, SOURCES)
    assert any(line.startswith("batch: stored 235 audiences, 7 of unknown size, as of 2") for line in lines)
    assert any("stored 250 audiences, 102 of unknown size, as of" in line for line in lines)
    history = typed("history", "--json").json["audiences"]
    assert len(history) == 587 - 19 - 7 - 102
    assert {each["ref"].partition(":")[0] for each in history} == SOURCES


def test_record_stores_the_sources_that_can_be_read_and_ends_with_3(
    typed: Typed, folder: Path, sandbox: Switched
) -> None:
    sandbox.instead["whop"] = Answer(401, {})
    ran = typed("record", "--json")
    by_source = {each["source"]: each for each in ran.json["sources"]}
    assert ran.code == 3
    assert {name for name, each in by_source.items() if each["stored"]} == SOURCES - {"whop"}
    assert by_source["whop"]["error"]["kind"] == "unauthorized"
    assert "whop: not stored: " in typed("record").out


def test_record_ends_with_1_where_nothing_can_be_read(typed: Typed, folder: Path, sandbox: Switched) -> None:
    sandbox.instead |= {name: Answer(401, {}) for name in SOURCES}
    ran = typed("record")
    assert (ran.code, ran.out) == (1, "")
    assert "whop" in ran.err


def test_record_ends_with_1_where_the_store_takes_nothing(typed: Typed, folder: Path) -> None:
    folder.write_text("a file where a folder should be")
    ran = typed("record")
    assert ran.code == 1
    assert "batch: not stored: its folder cannot be used" in ran.out


@pytest.mark.parametrize("command", [("record",), ("history",), ("store",), ("store", "clear", "--yes")])
def test_with_the_store_off_each_command_names_the_setting(
    typed: Typed, sandbox: Switched, command: tuple[str, ...]
) -> None:
    ran = typed(*command)
    assert (ran.code, ran.out) == (2, "")
    assert "AUDIENCE_MCP_STORE" in ran.err


# history


def test_history_shows_one_audience_as_a_plot_with_both_ends(typed: Typed, keep: Keep) -> None:
    keep("batch", 20, {"a": ("Tasting club", 1_000)})
    keep("batch", 10, {"a": ("Tasting club", 1_500)})
    keep("batch", 0, {"a": ("Tasting club", 2_000)})
    for name in ("batch:a", "a", "tasting CLUB"):
        ran = typed("history", name)
        head, *plot, _, foot = ran.out.splitlines()
        assert head == "Tasting club  [batch:a]"
        assert plot[0].startswith("2,000  ")
        assert plot[-1].startswith("1,000  ")
        assert foot.endswith(": +1,000 net.")
        assert foot.startswith(f"1,000 at {days_before(20):%Y-%m-%d}")
    assert typed("history", "nobody").code == 1


def test_history_shows_all_audiences_biggest_first_from_a_day_on(typed: Typed, keep: Keep) -> None:
    keep("batch", 20, {"a": ("A", 10), "b": ("B", 900)})
    keep("batch", 5, {"a": ("A", 40), "b": ("B", 800)})
    keep("batch", 0, {"a": ("A", 30), "b": ("B", 800)})
    refs = [line.split()[-1] for line in typed("history").out.splitlines()[1:3]]
    assert refs == ["batch:b", "batch:a"]
    assert "-100" in typed("history").out
    for since in (f"{days_before(6):%Y-%m-%d}", "6d", "1W"):
        later = typed("history", "--since", since, "--json").json["audiences"]
        assert [point["size"] for point in later[0]["history"]] == [900, 800, 800]
    refused = typed("history", "--since", "last week")
    assert refused.code == 2
    assert "12h, 7d, 2w" in refused.err


def test_history_as_csv_has_a_line_for_each_moment_and_runs_nothing(typed: Typed, keep: Keep) -> None:
    keep("batch", 9, {"a": ("=SUM(1)", 10)})
    keep("batch", 0, {"a": ("=SUM(1)", 12)})
    head, first, last = csv.reader(typed("history", "--csv").out.splitlines())
    assert head == ["ref", "name", "source", "vendor", "kind", "as_of", "size", "size_max", "from"]
    assert first[:5] == ["batch:a", "'=SUM(1)", "batch", "batch", "audience"]
    assert (first[6:], last[6:]) == (["10", "", ""], ["12", "", ""])
    assert first[5].startswith(f"{days_before(9):%Y-%m-%d}T")


def test_history_shows_one_size_a_day_of_days_that_have_a_reading(typed: Typed, keep: Keep) -> None:
    for days_ago, size in ((9, 10), (5, 10), (0, 10)):
        keep("batch", days_ago, {"a": ("A", size)})
    (line,) = typed("history", "--daily", "--json").json["audiences"]
    days = [f"{days_before(days_ago):%Y-%m-%d}" for days_ago in (9, 5, 0)]
    assert [each["as_of"][:10] for each in line["history"]] == days
    assert len(typed("history", "--json").json["audiences"][0]["history"]) == 2


@pytest.mark.parametrize(
    ("by", "keys"), [("source", ["batch", "whop"]), ("client", ["-"]), ("kind", ["audience"])]
)
def test_history_adds_up_what_was_stored_by_group(typed: Typed, keep: Keep, by: str, keys: list[str]) -> None:
    for days_ago, size in ((9, 100), (0, 150)):
        keep("batch", days_ago, {"a": ("A", size), "b": ("B", None)})
        keep("whop", days_ago, {"w": ("W", size // 10)})
    told = typed("history", "--group-by", by, "--json").json["groups"]
    assert [each["key"] for each in told] == keys
    last = [each["history"][-1] for each in told]
    assert sum(each["sum_of_sizes"] for each in last) == 165
    assert sum(each["unknown_sizes"] for each in last) == 1
    head, *rows = csv.reader(typed("history", "--group-by", by, "--daily", "--csv").out.splitlines())
    assert head == ["key", "as_of", "sum_of_sizes", "sum_max", "unknown_sizes"]
    assert len(rows) == 2 * len(keys)
    assert sum(int(row[2]) for row in rows) == 110 + 165


def test_what_is_stored_once_has_a_size_and_no_change(typed: Typed, keep: Keep) -> None:
    keep("batch", 3, {"a": ("A", 100)})
    foot = typed("history", "batch:a").out.splitlines()[-1]
    assert foot.startswith(f"100 at {days_before(3):%Y-%m-%d}")
    assert foot.endswith(", the only moment that is stored.")


def test_totals_are_shown_as_lines_and_one_alone_as_a_plot(typed: Typed, keep: Keep) -> None:
    for days_ago, size in ((9, 100), (0, 150)):
        keep("batch", days_ago, {"a": ("A", size), "b": ("B", None)})
        keep("whop", days_ago, {"w": ("W", 10)})
    out = typed("history", "--group-by", "source").out
    assert [line.split()[:3] for line in out.splitlines()[1:3]] == [["150", "+50", "1"], ["10", "0", "0"]]
    assert "2 totals, between" in out
    alone = typed("history", "--group-by", "source", "--sources", "batch").out
    assert alone.startswith("batch\n150  ")
    assert "+50 net." in alone
    assert "1 audience of unknown size" in alone
    assert typed("history", "a", "--group-by", "source").out.startswith("batch\n")
    assert typed("history", "nobody", "--group-by", "source").code == 1
    assert "'source', 'kind', 'client'" in typed("history", "--group-by", "size").err


def test_totals_of_other_audiences_have_no_change_and_begin_where_something_was_there(
    typed: Typed, keep: Keep, tmp_path: Path
) -> None:
    keep("batch", 9, {"a": ("A", None), "b": ("B", 10)})
    keep("whop", 9, {"w": ("W", 5)})
    keep("batch", 0, {"a": ("A", 90_000), "b": ("B", 10), "c": ("C", 5_000)})
    keep("whop", 0, {"w": ("W", 7)})
    out = typed("history", "--group-by", "source").out
    assert [line.split()[:2] for line in out.splitlines()[1:3]][1] == ["7", "+2"]
    assert "95,000" not in out
    assert "\nNo change is given where the first and the last total are not of the same audiences" in out
    alone = typed("history", "--group-by", "source", "--sources", "batch").out
    assert " net." not in alone
    assert "95,010 at " in alone
    assert typed("history", "--group-by", "source", "--html", str(tmp_path / "page.html")).code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (page.count('"has_change": false'), page.count('"has_change": true')) == (2, 1)
    born = typed("history", "c", "--group-by", "source", "--json").json["groups"]
    assert [point["sum_of_sizes"] for point in born[0]["history"]] == [5_000]
    assert "the only moment that is stored" in typed("history", "c", "--group-by", "source").out


def test_a_source_that_joins_a_total_later_is_named_beside_it(typed: Typed, keep: Keep) -> None:
    for days_ago in (9, 0):
        keep("batch", days_ago, {"a": ("A", 100)})
    keep("whop", 4, {"w": ("W", 10)})
    ran = typed("history", "--group-by", "client", "--csv")
    assert ran.code == 0
    assert f"whop from {days_before(4):%Y-%m-%d}" in ran.err
    assert f"whop since {days_before(4):%Y-%m-%d}" in ran.err
    assert typed("history", "--group-by", "client", "--json").json["notes"] == [
        line.removeprefix("audience-mcp: ") for line in ran.err.splitlines()
    ]


def test_ranges_without_an_upper_end_are_told_beside_sizes_and_totals_over_time(
    typed: Typed, keep: Keep
) -> None:
    segment = {"b": Row("b", "Everybody", 5_000_000, kind="segment", open_ended=True)}
    for days_ago in (9, 0):
        keep("batch", days_ago, {"a": Row("a", "A", 100, kind="audience"), **segment})
    said = "batch: these sizes over time are the lower ends"
    for form in ((), ("--csv",)):
        ran = typed("history", *form)
        assert ran.code == 0
        assert said in ran.err
        assert ran.err.endswith(": 'Everybody' (5,000,000).\n")
    (note,) = typed("history", "--json").json["notes"]
    assert note.startswith(said)
    assert typed("history", "A").err == ""
    assert typed("history", "A", "--json").json.keys() == {"audiences"}
    totals = typed("history", "--group-by", "kind", "--json").json
    assert {each["key"]: each["history"][-1]["sum_of_sizes"] for each in totals["groups"]} == {
        "audience": 100,
        "segment": 5_000_000,
    }
    (note,) = totals["notes"]
    assert note.endswith("and are that many or more: segment.")


def test_without_any_key_history_shows_all_that_is_stored(
    typed: Typed, keep: Keep, monkeypatch: pytest.MonkeyPatch, sandbox: Switched
) -> None:
    keep("batch", 9, {"a": ("A", 100)})
    keep("whop", 0, {"w": ("W", 10)})
    for name in sandbox.environment("http://127.0.0.1:1"):
        monkeypatch.delenv(name)
    assert {each["ref"] for each in typed("history", "--json").json["audiences"]} == {"batch:a", "whop:w"}
    narrowed = typed("history", "--sources", "Whop", "--json").json["audiences"]
    assert [each["ref"] for each in narrowed] == ["whop:w"]
    totals = typed("history", "--group-by", "kind", "--json").json["groups"]
    assert [(each["key"], each["history"][-1]["sum_of_sizes"]) for each in totals] == [("audience", 110)]
    assert typed("history", "--sources", "brevo").code == 2


def test_history_finds_an_audience_by_its_vendors_own_id_too(
    typed: Typed, keep: Keep, monkeypatch: pytest.MonkeyPatch, sandbox: Switched
) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_made_up")
    keep("klaviyo", 3, {"segment-Yx12ab": ("Night owls", 100), "list-Zz34cd": ("Early birds", 7)})
    assert typed("history", "Yx12ab").out.startswith("Night owls  [klaviyo:segment-Yx12ab]\n")
    totals = typed("history", "Yx12ab", "--group-by", "source", "--json").json["groups"]
    assert [each["history"][-1]["sum_of_sizes"] for each in totals] == [100]
    monkeypatch.delenv("KLAVIYO_API_KEY")  # a vendor of which nothing is configured
    assert typed("history", "Zz34cd").out.startswith("Early birds  [klaviyo:list-Zz34cd]\n")


@pytest.mark.slow
@pytest.mark.parametrize("by", ["source", "kind", "client"])
def test_the_last_total_is_the_one_that_list_has_now(typed: Typed, by: str) -> None:
    sources = "mailchimp,meta,klaviyo"
    listed = typed("list", "--sandbox", "--sources", sources, "--group-by", by, "--json").json["groups"]
    over_time = typed("history", "--sandbox", "--sources", sources, "--group-by", by, "--json").json["groups"]
    figures = ("sum_of_sizes", "sum_max", "unknown_sizes")
    assert {each["key"]: [each["history"][-1].get(name) for name in figures] for each in over_time} == {
        each["key"]: [each.get(name) for name in figures] for each in listed
    }


def test_history_as_a_page_holds_every_moment(typed: Typed, keep: Keep, tmp_path: Path) -> None:
    keep("batch", 9, {"a": ("A", 4_711)})
    keep("batch", 0, {"a": ("A", 4_712)})
    assert typed("history", "a", "--html", str(tmp_path / "page.html")).code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "4711" in page
    assert "4712" in page


def test_history_asks_no_vendor(typed: Typed, keep: Keep, sandbox: Switched) -> None:
    keep("batch", 9, {"a": ("A", 1)})
    sandbox.instead |= {name: Answer(500, {}) for name in SOURCES}
    assert typed("history").code == 0


def test_without_history_the_command_says_how_it_begins(typed: Typed, folder: Path) -> None:
    ran = typed("history")
    assert (ran.code, ran.out) == (1, "")
    assert "audience-mcp record" in ran.err


@pytest.mark.slow
def test_the_sandbox_has_eight_weeks_of_history_and_touches_no_store(typed: Typed, folder: Path) -> None:
    ran = typed("history", "--sandbox", "--json")
    moments = [point["as_of"] for each in ran.json["audiences"] for point in each["history"]]
    assert min(moments)[:10] == f"{days_before(56):%Y-%m-%d}"
    assert not folder.exists()


def point(day: int, size: int) -> HistoryPoint:
    return HistoryPoint(as_of=f"2026-01-{day:02}T00:00:00Z", size=size)


def test_a_line_rises_with_the_size_and_gives_each_time_its_width() -> None:
    points = [point(1, 0), point(9, 70), point(11, 140), point(11, 140)]
    assert draw_line(points, 10, blocks=True) == "▁▁▁▁▁▁▁▅▅█"
    assert draw_line(points, 10, blocks=False).isascii()
    assert len(set(draw_line([point(1, 5), point(3, 5)], 8, blocks=True))) == 1


def test_a_plot_fits_its_width_and_marks_every_column_once() -> None:
    lines = draw_plot([point(1, 100), point(9, 1_000_000)], 60, blocks=True)
    assert all(len(line) <= 60 for line in lines)
    assert sum(line.count("•") for line in lines) == 60 - len("1,000,000  ")
    assert lines[0].startswith("1,000,000  ")
    assert lines[-2].startswith("      100  •")
    assert lines[-1].split() == ["2026-01-01", "2026-01-09"]


def test_a_size_that_never_changed_is_one_level_line() -> None:
    assert len(draw_plot([point(1, 7), point(4, 7)], 40, blocks=False)) == 2


# What changed


def test_list_tells_changes_the_two_moments_and_what_is_new_or_gone(
    typed: Typed, keep: Keep, sandbox: Switched
) -> None:
    row = biggest_at_batch(sandbox)
    sandbox.rows["batch"] = [row]
    keep("batch", 8, {row["name"]: ("Everyone", row["nb_ids"] - 1_234), "gone": ("Old campaign", 55)})
    day = f"{days_before(7):%Y-%m-%d}"
    ran = typed("list", "--sources", "batch", "--compare-to", day, "--sort", "growth")
    assert "+1,234" in ran.out
    assert "gone: Old campaign [batch:gone], 55 then" in ran.out
    assert f"{days_before(8):%Y-%m-%d}" in ran.out.partition("Compared:")[2]
    assert "not people added" in ran.out

    compared = ("list", "--sources", "batch", "--compare-to", day, "--csv")
    head, line = csv.reader(typed(*compared).out.splitlines())
    then = row["nb_ids"] - 1_234
    assert head[-5:] == ["size_then", "change", "change_pct", "compared_to", "then_from"]
    assert line[-5:-2] == [str(then), "1234", str(round(123_400 / then, 1))]
    assert line[-2].startswith(f"{days_before(8):%Y-%m-%d}T")
    assert line[-1] == ""
    head, line = csv.reader(typed(*compared, "--group-by", "source").out.splitlines())
    assert (head[-2:], line[-1]) == (["sum_then", "change"], "1234")


def test_a_new_audience_is_called_new_and_one_without_both_sizes_unknown(
    typed: Typed, keep: Keep, sandbox: Switched
) -> None:
    first, second = sandbox.rows["batch"][:2]
    sandbox.rows["batch"] = [first, second]
    keep("batch", 8, {first["name"]: ("A", None)})
    out = typed("list", "--sources", "batch", "--compare-to", f"{days_before(7):%Y-%m-%d}").out
    told = {line.split()[1] for line in out.splitlines()[1:3]}
    assert told == {"new", "unknown"}
    assert "1 new" in out


# store


def test_store_says_where_since_when_and_of_what(typed: Typed, keep: Keep, folder: Path) -> None:
    keep("batch", 30, {"a": ("A", 1)})
    typed("record")
    ran = typed("store")
    assert f"Stored in {folder}" in ran.out
    account = next(line for line in ran.out.splitlines() if line.startswith("batch"))
    assert f"{days_before(30):%Y-%m-%d}" in account
    told = typed("store", "--json").json
    assert told["place"] == str(folder)
    assert {each["readings"] for each in told["histories"]} == {1, 2}
    assert os.environ["BATCH_REST_API_KEY"] not in ran.out + json.dumps(told)


def test_store_can_be_narrowed_to_sources(typed: Typed, keep: Keep) -> None:
    keep("batch", 30, {"a": ("A", 1)})
    keep("whop", 30, {"w": ("W", 1)})
    told = typed("store", "--sources", "batch", "--json").json["histories"]
    assert [each["source"] for each in told] == ["batch"]
    assert typed("store", "--sources", "nobody").code == 2


def test_clear_needs_a_yes_where_nobody_can_be_asked_and_then_forgets_all(typed: Typed, keep: Keep) -> None:
    keep("batch", 30, {"a": ("A", 1)})
    ran = typed("store", "clear")
    assert (ran.code, "--yes" in ran.err) == (2, True)
    assert typed("history").code == 0
    assert typed("store", "clear", "--yes").code == 0
    assert typed("history").code == 1


def test_clear_forgets_one_source_and_no_other(typed: Typed, keep: Keep) -> None:
    keep("batch", 30, {"a": ("A", 1)})
    keep("whop", 30, {"w": ("W", 1)})
    assert typed("store", "clear", "--source", "batch", "--yes").code == 0
    assert [each["ref"] for each in typed("history", "--json").json["audiences"]] == ["whop:w"]
    ran = typed("store", "clear", "--source", "bach", "--yes")
    assert ran.code == 2
    assert "batch" in ran.err


def test_clear_says_how_much_went_and_takes_what_is_no_longer_configured(
    typed: Typed, keep: Keep, sandbox: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("whop", 30, {"w": ("W", 1), "v": ("V", 2)})
    assert typed("list", "--sources", "whop,batch", "--limit", "0").code in (0, 3)
    monkeypatch.delenv("WHOP_API_KEY")
    stored = typed("store").out
    assert "no longer configured" not in stored  # one of its variables is still there
    assert [each["ref"] for each in typed("history", "--json").json["audiences"]][:1] != []
    monkeypatch.delenv("WHOP_ACCOUNT_ID")
    assert "whop (no longer configured)" in typed("store").out
    assert {"whop:w", "whop:v"} <= {each["ref"] for each in typed("history", "--json").json["audiences"]}
    ran = typed("store", "clear", "--source", "whop", "--yes")
    assert ran.code == 0
    audiences = int(ran.out.split("the history of ")[1].split()[0].replace(",", ""))
    assert "Forgotten of whop: 1 reading, " in ran.out
    assert audiences >= 2
    assert "whop" not in typed("store").out
    again = typed("store", "clear", "--source", "whop", "--yes")
    assert (again.code, "batch" in again.err) == (2, True)


def test_a_vendor_without_any_variable_shows_all_that_is_stored_of_it(
    typed: Typed, keep: Keep, sandbox: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("commbox", 3, {"1": ("One", 5)})
    for name in ("COMMBOX_API_KEY", "BATCH_REST_API_KEY", "BATCH_PROJECT_KEY", "SMALLEST_API_KEY"):
        monkeypatch.delenv(name)
    for name in ("WHOP_API_KEY", "WHOP_ACCOUNT_ID"):
        monkeypatch.delenv(name)
    assert [each["ref"] for each in typed("history", "--json").json["audiences"]] == ["commbox:1"]


def test_check_says_where_sizes_are_remembered(
    typed: Typed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(folder) in typed("check").out
    monkeypatch.setenv("AUDIENCE_MCP_STORE", "off")
    assert "not remembered: AUDIENCE_MCP_STORE is off" in typed("check").out


def test_no_key_is_in_any_byte_of_the_store(typed: Typed, folder: Path) -> None:
    assert typed("record").code == 0
    stored = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert b"newsletter_all" in stored
    configured = load_configuration(os.environ, built_in_vendors())
    assert len(configured.secrets) >= 4
    for secret in configured.secrets:
        for form in (
            secret.encode(),
            base64.b64encode(secret.encode()),
            hashlib.sha256(secret.encode()).digest(),
        ):
            assert form not in stored
            assert form.hex().encode() not in stored

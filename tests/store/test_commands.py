"""`record`, `history`, `store`, and what changed as `list` and `check` tell it: for people."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.models import HistoryPoint
from audience_mcp.cli.plots import draw_line, draw_plot
from audience_mcp.config import load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.sandbox import Answer
from audience_mcp.sources.sharing import history_account
from audience_mcp.store import open_store
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.apart import apart
from tests.support.commands import Ran, Switched

Typed = Callable[..., Ran]
Keep = Callable[..., None]
SOURCES = {"commbox", "batch", "smallest", "whop"}


@pytest.fixture
def folder(sandbox: Switched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sizes are stored, beside vendors that can be asked."""
    monkeypatch.setenv("AUDIENCE_MCP_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def keep(folder: Path) -> Keep:
    """Stores what a source had so many days ago."""

    def keep_it(source: str, days_ago: int, sizes: Mapping[str, tuple[str, int | None]]) -> None:
        async def record() -> None:
            found = load_configuration(os.environ, built_in_vendors()).sources
            (meant,) = (each for each in found if each.name == source)
            store = open_store(str(folder))
            account = await history_account(meant, store)
            assert account is not None
            rows = [Row(id, name, size) for id, (name, size) in sizes.items()]
            assert await store.record(account[0], rows, days_before(days_ago))
            await store.aclose()

        apart(anyio.run, record)

    return keep_it


def days_before(days: int) -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=days)


def biggest_at_batch(sandbox: Switched) -> Any:
    return max(sandbox.rows["batch"], key=lambda row: row["nb_ids"])


# record


def test_record_stores_every_source_and_says_so_in_a_line_each(typed: Typed, folder: Path) -> None:
    ran = typed("record")
    lines = ran.out.splitlines()
    assert (ran.code, {line.partition(":")[0] for line in lines}) == (0, SOURCES)
    assert any(line.startswith("batch: stored 230 audiences, as of 2") for line in lines)
    assert any("stored 250 audiences, 102 of unknown size, as of" in line for line in lines)
    history = typed("history", "--json").json["audiences"]
    assert len(history) == 582 - 19 - 102
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
    since = f"{days_before(6):%Y-%m-%d}"
    later = typed("history", "--since", since, "--json").json["audiences"]
    assert [point["size"] for point in later[0]["history"]] == [900, 800, 800]
    assert typed("history", "--since", "last week").code == 2


def test_history_as_csv_has_a_line_for_each_moment_and_runs_nothing(typed: Typed, keep: Keep) -> None:
    keep("batch", 9, {"a": ("=SUM(1)", 10)})
    keep("batch", 0, {"a": ("=SUM(1)", 12)})
    head, first, last = csv.reader(typed("history", "--csv").out.splitlines())
    assert head == ["ref", "name", "as_of", "size"]
    assert (first[0], first[1], first[3], last[3]) == ("batch:a", "'=SUM(1)", "10", "12")
    assert first[2].endswith("Z")


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
    assert "net, not people added" in ran.out

    compared = ("list", "--sources", "batch", "--compare-to", day, "--csv")
    head, line = csv.reader(typed(*compared).out.splitlines())
    assert head[-2:] == ["size_then", "change"]
    assert line[-2:] == [str(row["nb_ids"] - 1_234), "1234"]
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

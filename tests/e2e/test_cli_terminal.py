"""What a person sees on a terminal: bars, colours, progress, nothing wider than the window."""

from __future__ import annotations

import json
import re
import sys

import pytest

if sys.platform == "win32":
    pytest.skip("terminals of POSIX", allow_module_level=True)

from rich.cells import cell_len

from audience_mcp.sandbox import Sandbox
from audience_mcp.vendors.key_pages import DOCUMENTATION
from tests.support.terminal import on_a_terminal

ALL = sum(len(rows) for rows in Sandbox().rows.values())

WIDTHS = (40, 60, 200)


@pytest.mark.slow
@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--sandbox", "--limit", "40"],
        ["list", "--sandbox", "--status", "failed", "--detail", "full", "--limit", "3"],
        ["get", "--sandbox", "VIP", "--source", "batch"],
        ["history", "--sandbox", "--sources", "meta,whop"],
        ["check", "--sandbox"],
    ],
    ids=" ".join,
)
def test_no_line_is_wider_than_the_terminal(arguments: list[str], columns: int) -> None:
    seen = on_a_terminal(*arguments, columns=columns)
    assert seen.code == 0
    assert [line for line in seen.lines if cell_len(line) > columns] == []


@pytest.mark.parametrize(
    ("columns", "longest"),
    [pytest.param(60, 0, marks=pytest.mark.slow), (100, 10), pytest.param(160, 20, marks=pytest.mark.slow)],
)
def test_the_biggest_audience_has_the_longest_bar_and_narrow_terminals_have_none(
    columns: int, longest: int
) -> None:
    seen = on_a_terminal("list", "--sandbox", "--limit", "5", columns=columns)
    bars = [line.count("█") for line in seen.lines if "█" in line]
    assert bars == sorted(bars, reverse=True)
    assert max(bars, default=0) == longest


@pytest.mark.parametrize(
    "columns", [40, *(pytest.param(width, marks=pytest.mark.slow) for width in WIDTHS if width != 40)]
)
def test_a_ref_is_never_cut(columns: int) -> None:
    seen = on_a_terminal("list", "--sandbox", "--sources", "whop", "--limit", "3", columns=columns)
    assert "…" not in seen.text
    refs = json.loads(
        on_a_terminal("list", "--sandbox", "--sources", "whop", "--limit", "3", "--json", columns=80).text
    )
    for audience in refs["audiences"]:
        assert audience["ref"] in seen.text


@pytest.mark.slow
def test_where_long_refs_leave_no_room_names_stand_above_and_the_rest_is_aligned() -> None:
    seen = on_a_terminal("history", "--sandbox", "--sources", "mailchimp", columns=60)
    found = [line.strip() for line in seen.lines]
    refs = [line for line in seen.lines if "mailchimp:" in line]
    assert len(refs) == len(Sandbox().rows["mailchimp"])
    assert len({line.index("mailchimp:") for line in refs}) == 1
    name = found.index("Opened in the last 90 days")
    assert found[name + 2].endswith("mailchimp:segment-0a1b2c3d4e.880012")
    assert "27,801" in found[name + 1]


@pytest.mark.slow
def test_the_address_of_the_page_on_a_key_is_never_broken() -> None:
    seen = on_a_terminal("check", "--offline", columns=40, WHOP_API_KEY="0123456789")
    assert f"  {DOCUMENTATION}/keys/whop.md" in seen.lines


@pytest.mark.slow
def test_history_at_80_columns_is_a_table_with_every_ref_whole() -> None:
    seen = on_a_terminal("history", "--sandbox", "--sources", "meta,smallest", columns=80)
    assert seen.lines[0].split() == ["Size", "Change", "Audience"]
    assert max(map(cell_len, seen.lines)) <= 80
    refs = [line.split()[-1] for line in seen.lines if "smallest:" in line or "meta:" in line]
    assert {len(ref) for ref in refs} == {len("smallest:") + 24, len("meta:") + 17}


@pytest.mark.slow
def test_unknown_sizes_have_their_reason_at_every_width() -> None:
    for columns in (60, 160):
        line = ("list", "--sandbox", "--sources", "whop", "--type", "lookalike", "--limit", "1")
        seen = on_a_terminal(*line, columns=columns)
        row = seen.text.split("\n\n")[0]
        assert "unknown" in row
        assert "lookalike: " in " ".join(row.split())


@pytest.mark.slow
def test_colours_are_there_and_no_color_takes_them_away() -> None:
    coloured = on_a_terminal("check", "--sandbox", columns=80)
    plain = on_a_terminal("check", "--sandbox", columns=80, NO_COLOR="1")
    assert "\x1b[32mok" in coloured.raw
    assert "\x1b[3" not in plain.raw
    assert coloured.text.split("\n")[0] == plain.text.split("\n")[0]


@pytest.mark.slow
def test_progress_is_shown_on_the_terminal_and_cleared_away() -> None:
    seen = on_a_terminal("list", "--sandbox", "--limit", "1", columns=100, progress=True)
    assert "reading" in seen.text
    assert "\x1b[2K" in seen.raw  # the line is emptied again
    assert re.search(r"\d audiences read|\d sizes counted", seen.text)
    assert "reading" not in on_a_terminal("list", "--sandbox", "--limit", "1", columns=100).text


@pytest.mark.slow
def test_a_terminal_that_can_only_write_lines_gets_only_lines() -> None:
    seen = on_a_terminal("list", "--sandbox", "--limit", "3", columns=80, progress=True, TERM="dumb")
    assert "\x1b" not in seen.raw
    assert "All app users" in seen.text


@pytest.mark.slow
def test_json_is_indented_for_people_and_is_the_same_json() -> None:
    seen = on_a_terminal("list", "--sandbox", "--limit", "0", "--json", columns=80)
    assert json.loads(seen.text)["matched"] == ALL
    assert f'  "matched": {ALL},' in seen.lines


@pytest.mark.slow
def test_the_demo_shows_no_python_and_ends_with_what_to_do_next() -> None:
    seen = on_a_terminal("demo", columns=80)
    assert not re.search(r"\{'|': |True|None", seen.text)
    assert [line for line in seen.lines if cell_len(line) > 82] == []
    after = seen.text[seen.text.index("questions answered") :]
    assert "audience-mcp list --sandbox --html audiences.html" in after
    assert "audience-mcp setup" in after
    assert "audience-mcp check" in after


@pytest.mark.slow
def test_help_fits_an_ordinary_terminal_and_keeps_its_examples_line_by_line() -> None:
    for command in ((), ("list",), ("get",), ("check",), ("install",), ("uninstall",)):
        seen = on_a_terminal(*command, "--help", columns=80)
        assert [line for line in seen.lines if cell_len(line) > 80] == []
    assert "  audience-mcp list vip --limit 10" in on_a_terminal("--help", columns=80).text


@pytest.mark.slow
def test_a_person_who_starts_the_server_is_told_what_it_waits_for() -> None:
    seen = on_a_terminal(columns=80, typed=[("waiting for a client", "\x04")])
    assert max(map(len, seen.lines)) <= 80
    assert "audience-mcp --help" in seen.text
    assert seen.code == 0

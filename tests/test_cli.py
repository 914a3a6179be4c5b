"""The commands for people: their options, what they print, and how they end."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.from_thread
import pytest
import typer
from rich.cells import cell_len
from rich.text import Text

from audience_mcp import __version__
from audience_mcp.catalog.models import SourceReport
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.cli import demo, output
from audience_mcp.cli.app import build_application
from audience_mcp.cli.options import in_words_of_options
from audience_mcp.cli.tables import EIGHTHS, draw_bar, name_unit
from audience_mcp.core.secrets import HIDDEN
from audience_mcp.sandbox import Answer, Sandbox
from audience_mcp.sandbox.answers import VENDORS
from audience_mcp.server import http as hosting
from audience_mcp.server import stdio
from audience_mcp.server.schemas import tool_schema
from tests.support.apart import apart
from tests.support.commands import Ran, Switched
from tests.support.served import connected

pytestmark = pytest.mark.usefixtures("bare_environment")

KEYS = "sk-secret-0123456789"


def options(command: str) -> dict[str, str]:
    """Every option of a command, with its help."""
    group: Any = typer.main.get_command(build_application())
    params = group.commands[command].params
    return {opt: param.help or "" for param in params for opt in param.opts}


def tool_answer(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the server itself answers on made-up audiences."""

    async def ask() -> Any:
        async with connected(vendors=VENDORS) as server:
            return (await server.client.call_tool(tool, dict(arguments))).structured_content

    return apart(anyio.run, ask)


def undated(answer: dict[str, Any]) -> dict[str, Any]:
    for report in answer["sources"]:
        report.pop("as_of", None)
    return answer


# What may be typed


@pytest.mark.parametrize(("command", "kind"), [("list", ListQuery), ("get", GetQuery)])
def test_the_options_are_the_tools_parameters_with_their_names_words_and_choices(
    command: str, kind: type[ListQuery] | type[GetQuery]
) -> None:
    helps = options(command)
    own = {"--json", "--csv", "--html", "--sandbox", "--help", "-h", "words"}
    either = {"--sources", "--source"}  # the same option of both commands
    parameters = tool_schema(kind)["properties"]
    names = {o.removeprefix("--").replace("-", "_") for o in helps.keys() - own - either}
    assert names == parameters.keys() - {"sources", "source"}
    assert helps["--sources"] == helps["--source"]
    for name, parameter in parameters.items():
        said = helps.get(f"--{name.replace('_', '-')}", parameter["description"])
        assert said is not None
        assert in_words_of_options(parameter["description"], kind) in said or name == "audience"
        for word in parameter.get("enum", []):
            assert word in said
        if name == "limit":
            assert "Default: all" in said
        elif parameter.get("default"):
            assert str(parameter["default"]) in said


def test_every_option_reaches_the_question_as_the_tool_would_take_it(
    typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    def listen(query: Any, form: str, **kept: Any) -> int:
        heard.append((query, {**kept, "form": form}))
        return 0

    monkeypatch.setattr("audience_mcp.cli.queries.list_audiences", listen)
    monkeypatch.setattr("audience_mcp.cli.queries.get_audience", listen)
    listed = {
        "sources": "batch,whop",
        "search": "vip",
        "type": "static",
        "status": "ready",
        "min_size": "1,000",
        "max_size": "5000",
        "created_since": "2026-01-01",
        "created_before": "2026-03-01",
        "updated_since": "2026-02-01T10:00:00Z",
        "updated_before": "2026-03-01T10:00:00Z",
        "compare_to": "2026-04-01",
        "group_by": "status",
        "sort": "growth",
        "limit": "7",
        "offset": "3",
        "detail": "full",
        "refresh": True,
    }
    assert listed.keys() == ListQuery.model_fields.keys()
    line = [f"--{k.replace('_', '-')}={v}" for k, v in listed.items() if v is not True]
    typed("list", *line, "--refresh", "--json")
    typed(
        "get",
        "VIP",
        "--source",
        "batch",
        "--since",
        "2026-04-01",
        "--refresh",
        "--sandbox",
        "--html",
        "vip.html",
    )
    typed("list", "--sources", "a,b", "--sources", "c")
    assert heard[0] == (parse_arguments(ListQuery, listed), {"sandbox": False, "form": "json", "page": None})
    assert heard[1] == (
        parse_arguments(
            GetQuery, {"audience": "VIP", "source": "batch", "since": "2026-04-01", "refresh": True}
        ),
        {"sandbox": True, "form": "text", "page": "vip.html"},
    )
    assert heard[2][0].sources == ["a", "b", "c"]
    assert heard[2][0].model_fields_set == {"sources"}


def test_words_after_list_are_a_search_and_one_word_names_sources_for_both_commands(typed: Any) -> None:
    ran = typed("list", "--sandbox", "black", "friday", "--json")
    assert undated(ran.json) == undated(tool_answer("list_audiences", {"search": "black friday"}))
    for flag in ("--source", "--sources"):
        found = typed("get", "VIP", flag, "whop", "--sandbox", "--json").json["audiences"]
        assert [audience["ref"] for audience in found] == ["whop:adaud_zt8uPpcmMU2U8"]


@pytest.mark.parametrize(
    ("line", "near"),
    [
        (["list", "--sandbox", "--sources", "bach"], "Did you mean 'batch'?"),
        (["get", "VIP", "--sandbox", "--sources", "woop"], "Did you mean 'whop'?"),
        (["list", "--srot", "name"], "--sort"),
        (["install", "claude-desk"], "Did you mean 'claude-desktop'?"),
        (["install", "cursor", "--vendor", "comm-box"], "Did you mean 'commbox'?"),
    ],
)
def test_what_was_mistyped_is_answered_with_the_nearest_name(typed: Any, line: list[str], near: str) -> None:
    ran = typed(*line)
    assert ran.code != 0
    assert near in ran.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["list", "--type", "big"], "--type must be one of static, dynamic, lookalike or unknown"),
        (["list", "--min-size", "-1"], "--min-size must be 0 or more"),
        (["list", "--limit", "ten"], "--limit must be a"),
        (["list", "--created-since", "soon"], "--created-since must be a date such as 2026-11-01"),
        (["list", "--min-size=5", "--max-size=1"], "--min-size (5) is above --max-size (1)"),
        (["list", "--lmit", "3"], "--lmit"),
        (["list", "--limit"], "--limit"),
        (["get"], "audience"),
        (["get", ""], "AUDIENCE must not be empty"),
        (["lst"], "lst"),
        (["--host", "0.0.0.0"], "--host and --port are for --http."),
        (["--sandbox", "--port", "80"], "--host and --port are for --http."),
        (["--http", "--port", "eighty"], "--port must be a whole number"),
        (["--sandbox", "list"], "put options after the command: audience-mcp list --sandbox"),
        (["--http", "demo"], "put options after the command: audience-mcp demo"),
        (
            ["install", "emacs"],
            "there is no host 'emacs'. Hosts: claude-desktop, claude-code, cursor, vscode.",
        ),
        (["install", "cursor", "--keys", "hide"], "--keys must be one of ask, store, leave."),
        (["install", "cursor", "--vendor", "acme"], "there is no vendor 'acme'. Vendors: commbox, batch"),
        (["uninstall", "cursor", "--name", "a b"], "--name must be letters"),
    ],
)
def test_what_cannot_be_done_as_typed_is_said_in_a_sentence_and_ends_with_2(
    typed: Any, line: list[str], said: str
) -> None:
    ran = typed(*line)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("audience-mcp: ")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_setting_that_cannot_be_used_ends_with_2(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIENCE_MCP_DEADLINE_S", "soon")
    for line in (["list"], ["get", "x"], ["check"], ["list", "--sandbox"], ["install", "cursor", "--print"]):
        ran = typed(*line)
        assert ran.code == 2
        assert ran.err == "audience-mcp: AUDIENCE_MCP_DEADLINE_S must be a number from 1 to 3600.\n"


def test_the_version_is_printed(typed: Any) -> None:
    assert typed("--version") == Ran(0, f"audience-mcp {__version__}\n", "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_says_what_this_is_with_examples_and_exit_codes(typed: Any, flag: str) -> None:
    ran = typed(flag)
    assert ran.code == 0
    for part in ("How big are my audiences?", "MCP server", "audience-mcp check", "Exit codes:", "130"):
        assert part in ran.out
    assert "  3    an answer that is not complete" in ran.out


@pytest.mark.parametrize("command", ["check", "list", "get", "install", "uninstall", "demo"])
def test_every_command_has_help_of_its_own(typed: Any, command: str) -> None:
    ran = typed(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"audience-mcp {command}" in ran.out


def test_serving_is_handed_on_to_the_servers_own_modules(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []

    def serving(code: int) -> Callable[..., int]:
        def serve(**given: Any) -> int:
            served.append(given)
            return code

        return serve

    monkeypatch.setattr(hosting, "serve", serving(4))
    monkeypatch.setattr(stdio, "serve", serving(5))
    monkeypatch.setattr(demo, "run_demo", lambda: 6)
    assert typed("--http").code == 4
    assert typed("--http", "--sandbox", "--host", "::1", "--port", "0").code == 4
    assert typed("--sandbox", "--sandbox").code == 5
    assert typed("demo").code == 6
    assert served == [
        {"sandbox": False, "host": "127.0.0.1", "port": 8000},
        {"sandbox": True, "host": "::1", "port": 0},
        {"sandbox": True},
    ]


# Answers


def test_json_is_exactly_the_tools_structured_result(typed: Any) -> None:
    arguments = {"search": "vip", "sort": "name", "limit": 5}
    ran = typed("list", "--sandbox", "--search", "vip", "--sort", "name", "--limit", "5", "--json")
    assert (ran.code, ran.err, ran.out.count("\n")) == (0, "", 1)
    assert undated(ran.json) == undated(tool_answer("list_audiences", arguments))

    ran = typed("get", "--sandbox", "VIP", "--source", "batch", "--json")
    assert undated(ran.json) == undated(tool_answer("get_audience", {"audience": "VIP", "source": "batch"}))


def test_json_holds_letters_of_every_script_as_they_are(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--search", "今月", "--json")
    assert "今月" in ran.out
    assert "\\u" not in ran.out


def test_a_table_that_is_piped_is_plain_and_aligned(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--sources", "batch,whop", "--limit", "30")
    head, *rows = ran.out.split("\n\n")[0].split("\n")
    assert len(rows) == 30
    start = head.index("AUDIENCE")
    assert head.split() == ["SIZE", "AUDIENCE", "REF", "REMARKS"]
    for row in rows:
        size, rest = row[: start - 2], row[start:]
        assert size.strip().replace(",", "").isdigit()
        assert len(size) == start - 2
        assert rest[0] != " "
        assert row == row.rstrip()
    refs = [cell_len(row[: row.index(ref)]) for row in rows for ref in row.split() if ":" in ref]
    assert len(set(refs)) == 1
    assert "\x1b" not in ran.out


def test_the_totals_and_what_is_not_in_them_are_said(typed: Any) -> None:
    told = typed("list", "--sandbox", "--limit", "0", "--json").json
    ran = typed("list", "--sandbox", "--limit", "2")
    in_all = f"{told['matched']} audiences, {told['sum_of_sizes']:,} to {told['sum_max']:,} in all"
    unknown = f"not counting {told['unknown_sizes']} of unknown size"
    assert f"{in_all}, {unknown}. A person in two audiences counts twice." in ran.out
    assert "Shown: 1 to 2. Next: --offset 2" in ran.out
    assert "Shown: 3 to 4. Next: --offset 4" in typed("list", "--sandbox", "--limit=2", "--offset=2").out
    for report in told["sources"]:
        assert name_unit(SourceReport.model_validate(report)) in ran.out


def test_an_unknown_size_is_shown_as_unknown_with_the_reason(typed: Any) -> None:
    line = ("list", "--sandbox", "--sources", "whop", "--type", "lookalike", "--limit", "1")
    (row,) = typed(*line, "--json").json["audiences"]
    ran = typed(*line)
    assert "size" not in row
    assert "\nunknown " in ran.out
    assert row["size_note"] in ran.out


def test_sizes_that_are_all_unknown_are_never_summed_to_nothing(typed: Any, sandbox: Switched) -> None:
    ran = typed("list", "--type", "lookalike", "--limit", "0")
    assert " audiences, all of unknown size.\n" in ran.out
    sandbox.rows["commbox"] = [row for row in sandbox.rows["commbox"] if dict(row)["type"] == "Dynamic"]
    ran = typed("list", "--sources", "commbox")
    (line,) = (line for line in ran.out.split("\n") if line.startswith("commbox"))
    assert line.split()[5] == "unknown"


def test_nothing_that_matches_is_said_and_is_no_fault(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--search", "no such audience at all")
    assert (ran.code, ran.out.split("\n")[0]) == (0, "No audience matches.")


def test_a_total_over_different_units_says_so_in_words_of_the_table(typed: Any) -> None:
    assert (
        "Note: The total adds different units: see the last column above." in typed("list", "--sandbox").out
    )
    assert "different units" not in typed("list", "--sandbox", "--sources", "batch").out


def test_full_detail_shows_every_fact(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--sources", "whop", "--limit", "2", "--detail", "full")
    assert "  whop: matched_rows" in ran.out
    assert "  created" in ran.out
    ran = typed("get", "--sandbox", "VIP", "--source", "batch")
    assert ran.out.startswith("VIP\n  ref ")
    assert "  batch: indexing_state" in ran.out
    assert "size counts" in ran.out


def test_people_get_every_row_whatever_a_client_may_be_sent(
    typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIENCE_MCP_MAX_CHARS", "4000")
    ran = typed("list", "--sandbox", "--json")
    answer = json.loads(ran.out)
    assert (answer["returned"], "next_offset" in answer) == (answer["matched"], False)


def test_a_spreadsheet_gets_every_row_with_the_documented_columns_and_runs_none_of_them(
    typed: Any, sandbox: Switched
) -> None:
    row = dict(sandbox.rows["commbox"][0])
    sandbox.rows["commbox"] = [{**row, "name": '=HYPERLINK("x"), "a"'}]
    ran = typed("list", "--sources", "commbox", "--csv")
    head, line = csv.reader(ran.out.splitlines())
    assert ",".join(head) == (
        "ref,name,size,size_max,kind,type,status,source,vendor,id,part_of,description,created_at,updated_at,"
        "size_note"
    )
    assert dict(zip(head, line, strict=True))["name"] == '\'=HYPERLINK("x"), "a"'


def test_groups_as_csv_have_columns_of_their_own(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--group-by", "source", "--sort", "name", "--csv")
    head, *lines = csv.reader(ran.out.splitlines())
    assert head == ["key", "matched", "sum_of_sizes", "sum_max", "unknown_sizes"]
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)


def test_an_incomplete_answer_says_so_and_ends_with_3(typed: Any, sandbox: Switched) -> None:
    sandbox.instead["whop"] = Answer(401, {})
    ran = typed("list", "--limit", "1")
    assert ran.code == 3
    assert "NOT COMPLETE: the figures are a lower bound." in ran.out
    assert "WHOP_API_KEY" in ran.out
    ran = typed("list", "--limit", "1", "--json")
    assert (ran.code, ran.json["complete"], ran.err) == (3, False, "")
    ran = typed("get", "VIP", "--source", "batch")
    assert ran.code == 0
    ran = typed("get", "Newsletter")
    assert ran.code == 3
    assert "NOT COMPLETE: others may match too." in ran.out


def test_a_tools_error_goes_to_stderr_and_ends_with_1(typed: Any, sandbox: Switched) -> None:
    ran = typed("get", "there is none of this name")
    assert (ran.code, ran.out) == (1, "")
    assert "there is none of this name" in ran.err
    assert "audience-mcp list --search" in ran.err
    ran = typed("list", "--sources", "nowhere", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert "'nowhere'" in ran.err
    assert "commbox, batch, smallest, whop" in ran.err
    for vendor in Sandbox().rows:
        sandbox.instead[vendor] = Answer(403, {})
    ran = typed("list")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("WHOP_API_KEY") == 1


@pytest.mark.parametrize("line", [["list"], ["get", "x"], ["check"], ["list", "--json"]])
def test_with_nothing_configured_every_vendors_variables_are_named(typed: Any, line: list[str]) -> None:
    ran = typed(*line)
    assert (ran.code, ran.out) == (1, "")
    for variable in (
        "COMMBOX_API_KEY",
        "BATCH_PROJECT_KEY",
        "SMALLEST_API_KEY (or ATOMS_API_KEY)",
        "WHOP_ACCOUNT_ID",
    ):
        assert variable in ran.err
    assert "--sandbox" in ran.err


def test_a_vendors_text_is_never_read_as_markup(typed: Any, sandbox: Switched) -> None:
    row = {
        **dict(sandbox.rows["batch"][0]),
        "name": "evil",
        "display_name": "[red]VIP[/] [link=x] :smile: \\[b]",
    }
    sandbox.rows["batch"] = [row]
    for line in (["list", "--sources", "batch"], ["get", "batch:evil"]):
        assert "[red]VIP[/] [link=x] :smile: \\[b]" in typed(*line).out


def test_a_key_in_a_vendors_answer_is_not_shown(typed: Any, sandbox: Switched) -> None:
    key = os.environ["BATCH_REST_API_KEY"]
    row = {**dict(sandbox.rows["batch"][0]), "name": "leak", "display_name": f"x {key} x"}
    sandbox.rows["batch"] = [row]
    for line in (["list", "--sources", "batch"], ["get", "batch:leak"], ["get", "batch:leak", "--json"]):
        ran = typed(*line)
        assert f"x {HIDDEN} x" in ran.out
        assert key not in ran.out + ran.err


def test_check_says_of_every_source_how_it_stands_and_ends_with_1_if_any_fails(
    typed: Any, sandbox: Switched
) -> None:
    ran = typed("check")
    assert ran.code == 0
    assert "Every source can be read." in ran.out
    assert "at least 100 audiences" in ran.out
    assert f"{len(sandbox.rows['batch'])} audiences" in ran.out

    sandbox.instead["smallest"] = Answer(401, {})
    ran = typed("check")
    assert ran.code == 1
    (line,) = (line for line in ran.out.split("\n") if line.startswith("smallest"))
    assert line.split()[1] == "failed"
    assert "SMALLEST_API_KEY" in line
    assert "3 of 4 sources can be read." in ran.out

    ran = typed("check", "--json")
    assert ran.code == 1
    assert ran.json["ok"] is False
    by_name = {one["source"]: one for one in ran.json["sources"]}
    assert by_name["smallest"]["error"]["kind"] == "unauthorized"
    assert by_name["whop"] | {"seconds": 0} == {
        "source": "whop",
        "vendor": "whop",
        "ok": True,
        "audiences": 100,
        "at_least": True,
        "seconds": 0,
    }


def test_check_tells_which_vendors_are_not_set_up(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHOP_API_KEY", KEYS)
    ran = typed("check")
    assert ran.code == 1
    assert "Set WHOP_ACCOUNT_ID." in ran.out
    unset = ran.out.split("Not set up")[1]
    for line in ("CommBox COMMBOX_API_KEY", "Batch BATCH_REST_API_KEY, BATCH_PROJECT_KEY"):
        assert line in [" ".join(shown.split()) for shown in unset.splitlines()]
    assert "Whop" not in unset
    assert "Whop (" not in ran.out
    assert KEYS not in ran.out + ran.err


# How it looks


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1000, "████"), (500, "██  "), (1, "▏   "), (0, "    "), (None, "    "), (280, "█▏  ")],
)
def test_a_bar_is_as_long_as_the_size_beside_the_biggest_and_never_invisible(
    size: int | None, expected: str
) -> None:
    assert draw_bar(size, 1000, 4, True) == expected
    assert len(EIGHTHS) == 9


def test_a_bar_is_made_of_what_the_encoding_has() -> None:
    assert draw_bar(500, 1000, 4, False) == "##  "
    assert draw_bar(1, 1000, 4, False) == "#   "


def test_names_of_wide_letters_stay_in_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [output.Column("Name"), output.Column("Ref")]
    output.Output().table(columns, [["会員", "a"], ["🔔 VIP", Text("b")], ["abcd", "c"]])
    assert capsys.readouterr().out == "NAME    REF\n会員    a\n🔔 VIP  b\nabcd    c\n"


def test_a_terminal_that_lacks_a_letter_shows_a_mark_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    output.Output().line("今月 é")
    output.write_json({"name": "今月 é"})
    sys.stdout.flush()
    assert written.getvalue().splitlines() == [b"?? \xe9", '{"name": "今月 é"}'.encode()]

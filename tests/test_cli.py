"""The commands for people: their options, what they print, and how they end."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest
from rich.cells import cell_len
from rich.text import Text

from audience_mcp import __version__
from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, HistoryPoint, SourceReport
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.catalog.schemas import input_schema
from audience_mcp.cli import demo, output
from audience_mcp.cli.app import program
from audience_mcp.cli.options import in_words_of_options
from audience_mcp.cli.tables import EIGHTHS, draw_bar, name_unit, show_list, show_match
from audience_mcp.core.secrets import HIDDEN
from audience_mcp.sandbox import Answer, Sandbox
from audience_mcp.sandbox.answers import VENDORS
from audience_mcp.server import http as hosting
from audience_mcp.server import stdio
from audience_mcp.vendors.key_pages import DOCUMENTATION
from tests.support.apart import apart
from tests.support.commands import Ran, Switched
from tests.support.served import connected

pytestmark = pytest.mark.usefixtures("bare_environment")

KEYS = "sk-secret-0123456789"


def options(command: str) -> dict[str, str]:
    """Every option of a command, with its help."""
    return {opt: param.help or "" for param in program.commands[command].params for opt in param.opts}


def tool_answer(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the server itself answers on made-up audiences."""

    async def ask() -> Any:
        async with connected(vendors=VENDORS) as server:
            return (await server.client.call_tool(tool, dict(arguments))).structured_content

    return apart(anyio.run, ask)


def undated(answer: dict[str, Any]) -> dict[str, Any]:
    for report in answer["sources"]:
        report.pop("as_of", None)
    if "notes" in answer:
        answer["notes"] = [re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "then", note) for note in answer["notes"]]
    return answer


# What may be typed


@pytest.mark.parametrize(("command", "kind"), [("list", ListQuery), ("get", GetQuery)])
def test_the_options_are_the_tools_parameters_with_their_names_words_and_choices(
    command: str, kind: type[ListQuery] | type[GetQuery]
) -> None:
    helps = options(command)
    own = {
        "--json",
        "--csv",
        "--html",
        "--title",
        "--sandbox",
        "--env-file",
        "--from",
        "--help",
        "-h",
        "words",
    }
    either = {"--sources", "--source"}  # the same option of both commands
    parameters = input_schema(kind)["properties"]
    names = {o.removeprefix("--").replace("-", "_") for o in helps.keys() - own - either}
    assert names == parameters.keys() - {"sources", "source"}
    assert helps["--sources"] == helps["--source"]
    for name, parameter in parameters.items():
        said = helps.get(f"--{name.replace('_', '-')}", parameter["description"])
        assert said is not None
        assert in_words_of_options(parameter["description"], kind) in said or name == "audience"
        for word in parameter.get("items", parameter).get("enum", []):
            assert word in said or word == "none"
        if name == "limit":
            assert "Default: all" in said
        elif name != "audience" and (default := kind.model_fields[name].default):
            assert str(default) in said


def test_every_option_reaches_the_question_as_the_tool_would_take_it(
    typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    def listen(environment: Any, query: Any, form: str, **kept: Any) -> int:
        heard.append((query, {**kept, "form": form}))
        return 0

    monkeypatch.setattr("audience_mcp.cli.queries.list_audiences", listen)
    monkeypatch.setattr("audience_mcp.cli.queries.get_audience", listen)
    listed = {
        "sources": "batch,whop",
        "search": "vip",
        "type": "static",
        "status": "ready",
        "kind": "list,tag",
        "issue": "empty",
        "missing_in": "whop",
        "min_size": "1,000",
        "max_size": "5000",
        "created_since": "2026-01-01",
        "created_before": "2026-03-01",
        "updated_since": "2026-02-01T10:00:00Z",
        "updated_before": "2026-03-01T10:00:00Z",
        "compare_to": "2026-04-01",
        "as_of": "2026-04-02",
        "min_change": "-10%",
        "max_change": "1,000",
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
        "--title",
        "VIP, weekly",
    )
    typed("list", "--sources", "a,b", "--sources", "c")
    assert heard[0] == (parse_arguments(ListQuery, listed), {"sandbox": False, "form": "json", "page": None})
    words = {"audience": "VIP", "source": "batch", "since": "2026-04-01", "refresh": True}
    page = output.Page("vip.html", "VIP, weekly", "get_audience", words)
    assert heard[1] == (
        parse_arguments(
            GetQuery, {"audience": "VIP", "source": "batch", "since": "2026-04-01", "refresh": True}
        ),
        {"sandbox": True, "form": "text", "page": page},
    )
    assert heard[2][0].sources == ["a", "b", "c"]
    assert heard[2][0].model_fields_set == {"sources"}


@pytest.mark.slow
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
        (["list", "--min-size", "-2"], "--min-size must be -1 or more"),
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
            "there is no host 'emacs'. Hosts: claude-desktop, claude-code, cursor, vscode, windsurf",
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
        def serve(*, environment: Any, read: Any = None, **given: Any) -> int:
            served.append(given)
            return code

        return serve

    monkeypatch.setattr(hosting, "serve", serving(4))
    monkeypatch.setattr(stdio, "serve", serving(5))
    monkeypatch.setattr(demo, "run_demo", lambda environment: 6)
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


@pytest.mark.slow
def test_json_is_exactly_the_tools_structured_result(typed: Any) -> None:
    arguments = {"search": "vip", "sort": "name", "limit": 5}
    ran = typed("list", "--sandbox", "--search", "vip", "--sort", "name", "--limit", "5", "--json")
    assert (ran.code, ran.err, ran.out.count("\n")) == (0, "", 1)
    assert undated(ran.json) == undated(tool_answer("list_audiences", arguments))

    ran = typed("get", "--sandbox", "VIP", "--source", "batch", "--json")
    assert undated(ran.json) == undated(tool_answer("get_audience", {"audience": "VIP", "source": "batch"}))


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert "commbox" in ran.out
    assert " audiences, all of unknown size.\n" in ran.out


@pytest.mark.slow
def test_nothing_that_matches_is_said_and_is_no_fault(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--search", "no such audience at all")
    assert (ran.code, ran.out.split("\n")[0]) == (0, "No audience matches.")


@pytest.mark.slow
def test_a_total_over_different_units_says_so_in_words_of_the_table(typed: Any) -> None:
    assert "Note: The total adds different units: see what sizes count." in typed("list", "--sandbox").out
    assert "different units" not in typed("list", "--sandbox", "--sources", "batch").out


def test_full_detail_shows_every_fact(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--sources", "whop", "--limit", "2", "--detail", "full")
    assert "  whop: matched_rows" in ran.out
    assert "  created" in ran.out
    ran = typed("get", "--sandbox", "VIP", "--source", "batch")
    assert ran.out.startswith("VIP\n  ref ")
    assert "  batch: indexing_state" in ran.out
    assert "size counts" in ran.out


@pytest.mark.slow
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
        "size_note,as_of,issues"
    )
    told = dict(zip(head, line, strict=True))
    assert told["name"] == '\'=HYPERLINK("x"), "a"'
    assert told["status"] == ""  # CommBox has none


def test_a_row_of_a_csv_says_when_it_was_read_and_which_issues_it_has_as_codes(
    typed: Any, sandbox: Switched
) -> None:
    row = dict(sandbox.rows["batch"][0])
    sandbox.rows["batch"] = [{**row, "name": "x", "display_name": "A test", "nb_ids": 0}]
    head, line = csv.reader(typed("list", "--sources", "batch", "--csv").out.splitlines())
    told = dict(zip(head, line, strict=True))
    assert told["status"] == "ready"
    assert told["issues"].split()[0] == "empty"
    assert told["issues"].endswith("test_or_copy")
    read = datetime.fromisoformat(told["as_of"].replace("Z", "+00:00"))
    assert abs(datetime.now(timezone.utc) - read) < timedelta(minutes=5)


@pytest.mark.slow
def test_groups_as_csv_have_columns_of_their_own(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--group-by", "source", "--sort", "name", "--csv")
    head, *lines = csv.reader(ran.out.splitlines())
    assert head == ["key", "matched", "sum_of_sizes", "sum_max", "unknown_sizes"]
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)


def test_an_incomplete_answer_says_so_and_ends_with_3(typed: Any, sandbox: Switched) -> None:
    sandbox.instead["whop"] = Answer(401, {})
    ran = typed("list", "--limit", "1")
    assert ran.code == 3
    assert "NOT COMPLETE: the figures of what was read in part are a lower bound." in ran.out
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
    assert (ran.code, ran.out) == (2, "")
    assert "'nowhere'" in ran.err
    assert "commbox, batch, smallest, whop" in ran.err
    for vendor in Sandbox().rows:
        sandbox.instead[vendor] = Answer(403, {})
    ran = typed("list")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("WHOP_API_KEY") == 1


@pytest.mark.parametrize("line", [["list"], ["get", "x"], ["check"], ["list", "--json"]])
def test_with_nothing_configured_the_ways_to_go_on_are_said(typed: Any, line: list[str]) -> None:
    ran = typed(*line)
    assert (ran.code, ran.out) == (1, "")
    for way in ("audience-mcp setup", "audience-mcp check --all", "audience-mcp list --sandbox"):
        assert way in ran.err


def test_check_all_names_every_vendors_variables(typed: Any) -> None:
    ran = typed("check", "--all")
    assert ran.code == 1
    for variable in ("COMMBOX_API_KEY", "BATCH_PROJECT_KEY", "SMALLEST_API_KEY (or ATOMS_API_KEY)"):
        assert variable in ran.out


def test_check_can_be_narrowed_to_sources_vendors_and_clients(
    typed: Any, sandbox: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_PROJECT_KEY_ACME", os.environ["BATCH_PROJECT_KEY"] + "-acme")
    sandbox.instead["whop"] = Answer(401, {})
    for line, asked in (
        (["batch"], {"batch", "batch-acme"}),
        (["acme"], {"batch-acme"}),
        (["--sources", "commbox,smallest"], {"commbox", "smallest"}),
        (["*-acme", "commbox"], {"batch-acme", "commbox"}),
    ):
        ran = typed("check", *line, "--json")
        assert {one["source"] for one in ran.json["sources"]} == asked
    ran = typed("check", "batc")
    assert (ran.code, ran.out) == (2, "")
    assert "there is no source 'batc'. Did you mean 'batch'?" in ran.err
    ran = typed("check", "brevo")
    assert ran.code == 2
    assert "Brevo is not configured: set BREVO_API_KEY." in ran.err


@pytest.mark.slow
def test_check_points_to_the_pages_on_keys_that_are_refused(
    typed: Any, sandbox: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "How to make a key" not in typed("check").out
    sandbox.instead |= {"whop": Answer(401, {}), "batch": Answer(403, {}), "commbox": Answer(503, {})}
    ran = typed("check")
    assert ran.out.count("How to make a key") == 1
    pages = [f"{DOCUMENTATION}/keys/{vendor}.md" for vendor in ("batch", "whop")]
    assert [line.strip() for line in ran.out.splitlines() if DOCUMENTATION in line] == pages
    for one in typed("check", "--json").json["sources"]:
        said = one.get("error", {}).get("message", "")
        assert said.endswith(f"/keys/{one['vendor']}.md") is (one["vendor"] in ("whop", "batch")), said
    monkeypatch.delenv("WHOP_ACCOUNT_ID")
    assert f"  {pages[1]}\n" in typed("check", "--offline").out


def test_check_offline_judges_the_configuration_and_asks_nobody(
    typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert typed("check", "--offline").code == 1
    monkeypatch.setenv("COMMBOX_API_KEY", KEYS)
    monkeypatch.setenv("COMMBOX_BASE_URL", "http://127.0.0.1:1")  # nobody listens there
    ran = typed("check", "--offline")
    assert (ran.code, ran.err) == (0, "")
    assert "Nothing was asked" in ran.out
    monkeypatch.setenv("WHOP_API_KEY", "Bearer " + KEYS)
    ran = typed("check", "--offline", "--json")
    assert (ran.code, ran.json["ok"]) == (2, False)
    assert "begins with 'Bearer '" in ran.out
    monkeypatch.delenv("WHOP_API_KEY")
    monkeypatch.setenv("AUDIENCE_MCP_HTTP_TOKEN", "short")
    ran = typed("check", "--offline")
    assert (ran.code, ran.out) == (2, "")
    assert "AUDIENCE_MCP_HTTP_TOKEN" in ran.err


def test_record_and_history_can_be_narrowed_too(
    typed: Any, sandbox: Switched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUDIENCE_MCP_STORE", str(tmp_path))
    ran = typed("record", "--sources", "batch", "--source", "commbox")
    assert ran.code == 0
    assert {line.partition(":")[0] for line in ran.out.splitlines()} == {"batch", "commbox"}
    shown = typed("history", "--sources", "commbox", "--json").json["audiences"]
    assert {each["ref"].partition(":")[0] for each in shown} == {"commbox"}
    assert typed("record", "--sources", "nobody").code == 2


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
    assert "at least 230 audiences" in ran.out
    assert f"{len(sandbox.rows['commbox'])} audiences" in ran.out

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
    assert " other vendors: audience-mcp check --all, or audience-mcp setup" in ran.out
    assert "COMMBOX_API_KEY" not in ran.out
    unset = typed("check", "--all").out.split("Not set up")[1]
    for line in ("CommBox COMMBOX_API_KEY", "Batch BATCH_REST_API_KEY, BATCH_PROJECT_KEY"):
        assert line in [" ".join(shown.split()) for shown in unset.splitlines()]
    assert "Whop" not in unset
    assert "Whop (" not in ran.out
    assert KEYS not in ran.out + ran.err


# How it looks


@pytest.mark.slow
def test_sources_are_reported_where_several_match_and_what_sizes_count_once(typed: Any) -> None:
    ran = typed("list", "--sandbox", "vip")
    assert "\nSOURCE " in ran.out
    assert ran.out.count("custom user ids") == 1
    ran = typed("list", "--sandbox", "--sources", "batch", "--limit", "1")
    assert "SOURCE" not in ran.out
    assert "\nSizes count audience: custom user ids; segment: not counted.\n" in ran.out
    ran = typed("list", "--sandbox", "--sources", "batch,whop", "app users all")
    assert "SOURCE" not in ran.out
    ran = typed("list", "--sandbox", "--sources", "batch,whop", "app users all", "--detail", "full")
    assert re.search(r"\nbatch +1 of 235", ran.out)


@pytest.mark.slow
def test_the_moment_of_the_reading_is_said(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--limit", "1")
    assert re.search(r"\nRead (at|between) 20\d\d-\d\d-\d\d \d\d:\d\d UTC", ran.out)


@pytest.mark.slow
def test_a_change_is_shown_in_percent_too(typed: Any) -> None:
    ran = typed("list", "--sandbox", "--sources", "batch", "--compare-to", week_ago(), "--sort", "growth")
    assert ran.out.split("\n")[0].split() == ["SIZE", "CHANGE", "%", "AUDIENCE", "REF", "REMARKS"]
    assert re.search(r"\+[\d,]+ +\+\d+\.\d% ", ran.out)
    assert re.search(r"net \([+-]\d+\.\d%\)", ran.out)
    ran = typed("list", "--sandbox", "--compare-to", week_ago(), "--group-by", "source")
    assert ran.out.split("\n")[0].split()[-2:] == ["CHANGE", "%"]


def week_ago() -> str:
    return (datetime.now(timezone.utc) - timedelta(days=7)).date().isoformat()


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        (["--updated-before", "2026-11-01"], "UPDATED"),
        (["--sort", "updated"], "UPDATED"),
        (["--created-since", "2026-01-01"], "CREATED"),
        (["--sort", "newest"], "CREATED"),
    ],
)
def test_a_date_that_is_asked_for_is_shown(typed: Any, line: list[str], heading: str) -> None:
    head, first, *_ = typed("list", "--sandbox", "--sources", "batch", "--limit", "3", *line).out.splitlines()
    assert heading in head.split()
    assert re.search(r"20\d\d-\d\d-\d\d", first)


def test_a_look_back_says_when_what_it_shows_was_stored_and_takes_dates_and_changes(typed: Any) -> None:
    day = f"{datetime.now(timezone.utc) - timedelta(days=10):%Y-%m-%d}"
    out = typed("list", "--sandbox", "--sources", "batch", "--as-of", day, "--limit", "2").out
    assert re.search(rf"^As stored at {day} \d\d:\d\d UTC\.$", out, re.MULTILINE)
    assert "Read at" not in out
    ran = typed("list", "--sandbox", "--sources", "batch", "--compare-to", day, "--as-of", day)
    assert ran.code == 2
    assert "--compare-to must be before --as-of" in ran.err
    said = typed("list", "--help").out
    assert re.search(r"--as-of DATE.*--min-change CHANGE.*--max-change CHANGE", said, re.DOTALL)


@pytest.mark.parametrize("source", ["batch", "klaviyo"])
def test_the_made_up_past_of_the_sandbox_is_there_at_the_first_question(typed: Any, source: str) -> None:
    weeks_ago = f"{datetime.now(timezone.utc) - timedelta(days=22):%Y-%m-%d}"
    compared = typed("list", "--sandbox", "--sources", source, "--compare-to", weeks_ago, "--json").json
    assert compared["compared"]["sum_then"] not in (0, compared["compared"]["sum_now"])
    before = typed("list", "--sandbox", "--sources", source, "--as-of", weeks_ago, "--json").json
    assert before["sources"][0]["as_of"][:10] == compared["sources"][0]["compared_to"][:10]
    assert {row["ref"]: row["size"] for row in before["audiences"] if "size" in row} == {
        row["ref"]: row["size_then"] for row in compared["audiences"] if "size_then" in row
    } | {each["ref"]: each["size_then"] for each in compared["compared"].get("gone_audiences", [])}
    ref = next(row["ref"] for row in compared["audiences"] if row.get("change"))
    one = typed("get", "--sandbox", ref, "--since", weeks_ago, "--json").json
    assert len({point["size"] for point in one["audiences"][0]["history"]}) > 1
    assert "notes" not in one


def test_get_says_what_its_size_counts_and_with_since_shows_the_sizes_since_then(typed: Any) -> None:
    ran = typed("get", "--sandbox", "klaviyo:list-Qw34cd")
    assert "size counts" in ran.out
    assert "profiles in the list" in ran.out
    assert "segment: " not in ran.out
    ran = typed("get", "--sandbox", "batch:VIP", "--since", "2026-01-01")
    assert re.search(r"\d at 20.*, [\d,]+ at 20.* net\.", ran.out)
    grown = typed("get", "--sandbox", "batch:app_users_all", "--since", "2026-01-01").out
    assert re.search(r"at 20.*: \+[\d,]+ net \(\+[\d.]+%\)\.", grown)


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ((100, None), (130, None), "100 at 2026-01-01, 130 at 2026-02-01: +30 net (+30.0%)."),
        ((100, 200), (130, 260), "100 to 200 at 2026-01-01, 130 to 260 at 2026-02-01: +30 net (+30.0%)."),
        ((100, 200), (150, None), "no change is given, since one of them is a range."),
        ((150, None), (100, 200), "no change is given, since one of them is a range."),
    ],
)
def test_between_a_range_and_a_number_no_change_is_told(
    capsys: pytest.CaptureFixture[str],
    first: tuple[int, int | None],
    last: tuple[int, int | None],
    said: str,
) -> None:
    moments = (("2026-01-01", first), ("2026-02-01", last))
    history = [HistoryPoint(as_of=day, size=size, size_max=top) for day, (size, top) in moments]
    row = Audience(ref="meta:1", name="VIP", size=last[0], size_max=last[1], history=history)
    answer = AudienceMatch(matched_by="ref", audiences=[row], complete=True, sources=[])
    show_match(answer, output.Output(), since=datetime(2026, 1, 1, tzinfo=timezone.utc))
    assert said in " ".join(capsys.readouterr().out.split())


def test_a_long_name_does_not_push_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [output.Column("Name"), output.Column("Ref", whole=True)]
    output.Output().table(columns, [["x" * 90, "a"], ["y", "b"]])
    _, long, short = capsys.readouterr().out.splitlines()
    assert long == f"{'x' * 90}  a"
    assert short == f"y{' ' * 49}b"


@pytest.mark.parametrize(("count", "failed"), [(10, 0), (24, 0), (24, 2)])
def test_of_many_sources_those_are_listed_that_were_not_read_in_full(
    capsys: pytest.CaptureFixture[str], count: int, failed: int
) -> None:
    reports = [
        SourceReport(
            source=f"batch-{n}", audiences=3, sum_of_sizes=9, complete=n >= failed, size_counts="users"
        )
        for n in range(count)
    ]
    answer = AudienceList(
        matched=3 * count,
        returned=0,
        sum_of_sizes=9 * count,
        unknown_sizes=0,
        complete=not failed,
        sources=reports,
    )
    show_list(answer, ListQuery(), output.Output())
    shown = capsys.readouterr().out
    listed = re.findall(r"^(batch-\d+) ", shown, re.M)
    if count == 10:
        assert len(listed) == 10
        return
    assert listed == ["batch-0", "batch-1"][:failed]
    told = "22 of them" if failed else "all"
    assert f"24 sources, {told} read in full; --group-by source shows each." in shown
    show_list(answer, ListQuery(limit=0), output.Output())
    assert len(re.findall(r"^batch-\d+ ", capsys.readouterr().out, re.M)) == 24


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


@pytest.mark.parametrize(
    "command",
    [
        ("list", "--env-file"),
        ("setup", "--env-file"),
        ("install", "cursor", "--file"),
        ("uninstall", "cursor", "--file"),
        ("--http", "--env-file"),
    ],
)
def test_a_file_in_a_home_folder_that_does_not_exist_is_one_sentence(
    typed: Any, bare_environment: None, command: tuple[str, ...]
) -> None:
    ran = typed(*command, "~no-such-user-1c0ffee1/file")
    assert ran.code in (1, 2)
    assert "names a home folder that does not exist" in ran.err
    assert "Traceback" not in ran.err
    assert "1c0ffee1" not in ran.err

"""The examples, run as a reader would run them."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters

from audience_mcp.config import load_configuration
from audience_mcp.sandbox import Sandbox
from audience_mcp.vendors.registry import load_vendors
from tests.support import faults
from tests.support.process import environment
from tests.support.served import connected

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[1] / "examples"
PROGRAM = "/absolute/path/to/audience-mcp"
OWN = {f"AUDIENCE_MCP_{name}" for name in ("DEADLINE_S", "CACHE_S", "MAX_CHARS", "LOG_LEVEL")}


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def ran(name: str, *arguments: str, code: int = 0, **variables: str) -> tuple[str, str]:
    """What an example prints to stdout and stderr, run from another folder than its own."""
    with anyio.fail_after(60):
        done = await anyio.run_process(
            [sys.executable, str(EXAMPLES / name), *arguments],
            env=environment(**variables),
            cwd=EXAMPLES.parent / "tests",
            stdin=subprocess.DEVNULL,
            check=False,
        )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, err
    assert "Traceback" not in err
    return out, err


def made_up_sizes() -> Iterator[tuple[str, int]]:
    keys = {"commbox": "user_count", "batch": "nb_ids", "smallest": "memberCount"}
    for vendor, key in keys.items():
        for row in Sandbox().rows[vendor]:
            assert isinstance(row, dict)
            indexed = row.get("indexing_state") != "IN_PROGRESS"  # else a 0 is no size yet
            if row.get(key) is not None and (row[key] or indexed):
                yield vendor, int(row[key])


# --- the agent loop -----------------------------------------------------------------------------------


@pytest.mark.slow
async def test_the_agent_loop_answers_its_own_questions_from_the_sandbox() -> None:
    out, _ = await ran("agent_loop.py", "--sandbox")
    _, biggest, _, total = out.splitlines()
    assert biggest.startswith(f"  All app users: {max(size for _, size in made_up_sizes())};")
    audiences = sum(len(rows) for rows in Sandbox().rows.values())
    assert total.startswith(f"  {audiences:,} audiences, whose sizes add up to ")


@pytest.mark.slow
async def test_the_agent_loop_answers_questions_of_the_command_line() -> None:
    out, _ = await ran("agent_loop.py", "--sandbox", "How big is VIP, everywhere?", "Which audiences failed?")
    _, vip, _, failed = out.splitlines()
    assert vip.split("; ")[2:5] == ["VIP: 12690", "VIP: 8204", "VIP: 5031"]
    assert "waitlist: 65" in failed


async def test_the_agent_loop_passes_on_what_to_do_where_nothing_is_configured() -> None:
    nothing = dict.fromkeys(Sandbox().environment(""))
    async with connected(environment=nothing) as there:
        said = await loaded("agent_loop").answered(there.client, "How many audiences are there?")
    assert said.startswith("No vendor is configured yet.")


async def test_the_agent_loop_ends_with_a_model_that_never_stops_asking() -> None:
    agent = loaded("agent_loop")
    calls = []

    class Endless:
        async def list_tools(self) -> types.ListToolsResult:
            return types.ListToolsResult(tools=[])

        async def call_tool(self, *call: Any) -> None:
            calls.append(call)

    agent.__dict__["model"] = lambda question, tools, results: ("list_audiences", {})
    assert await agent.answered(Endless(), "?") == "No answer after 8 tool calls."
    assert len(calls) == 8


# --- the weekly report --------------------------------------------------------------------------------


def sections(report: str) -> dict[str, list[list[str]]]:
    """The rows of each part's table by its heading."""
    parts = re.split(r"^## ", report, flags=re.M)[1:]
    return {
        part.splitlines()[0]: [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in part.splitlines()[1:]
            if line.startswith("|")
        ][2:]
        for part in parts
    }


@pytest.mark.slow
async def test_the_weekly_report_has_exact_totals_and_every_part() -> None:
    out, _ = await ran("weekly_report.py", "--sandbox", "--since", "2026-11-09", "--rows", "3")
    assert out.startswith("# Audiences, since 2026-11-09\n\nComplete: every page of every source was read.\n")
    found = sections(out)
    titles = [re.sub(r" \([\d,]+\)$", "", title) for title in found]
    assert titles == [
        "Totals",
        "Biggest",
        "Grown most",
        "Shrunk most",
        "New",
        "Changed, new ones included",
        "Failed",
        "Of unknown size",
    ]
    for vendor in ("commbox", "batch", "smallest"):
        sizes = [size for v, size in made_up_sizes() if v == vendor]
        row = next(row for row in found["Totals"] if row[0] == vendor)
        held = len(Sandbox().rows[vendor])
        assert row[1:4] == [f"{held:,}", f"{sum(sizes):,}", f"{held - len(sizes):,}"]
    total = found["Totals"][-1]
    assert total[1] == f"{sum(len(rows) for rows in Sandbox().rows.values()):,}"
    unknown = next(title for title in found if title.startswith("Of unknown size"))
    assert unknown == f"Of unknown size ({total[3]})"
    assert all(row[1] == "unknown" and row[2] for row in found[unknown])
    assert all(len(rows) <= 3 for title, rows in found.items() if title != "Totals")
    new = next(rows for title, rows in found.items() if title.startswith("New"))
    assert all(row[2] >= "2026-11-09" for row in new)
    assert "A person in two audiences counts twice." in out
    grown = [int(row[2].replace(",", "")) for row in found["Grown most"]]
    assert grown == sorted(grown, reverse=True)
    assert all(re.fullmatch(r"\+[\d,.]+%", row[3]) for row in found["Grown most"])
    assert grown[-1] > 0 > int(found["Shrunk most"][0][2].replace(",", ""))
    assert re.search(r"^- \d{4}-\d\d-\d\dT[\d:]+Z with \d{4}[^:]+:\d\d:\d\dZ: .*\bbatch\b", out, re.M)
    assert out.count("Compared, net:") == 1
    assert "list: subscribed contacts; " in out  # by kind, in words
    assert re.search(r"^\| meta \| \d+ \| [\d,]+ to [\d,]+ \|", out, re.M)


@pytest.mark.slow
async def test_the_weekly_report_comes_with_a_page_where_one_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    await ran("weekly_report.py", "--sandbox", "--since", "2026-11-09", "--html", str(file))
    drawn, question = (
        json.loads(found)
        for found in re.findall(r'id="(?:answer|question)">(.*?)</script>', file.read_text(encoding="utf-8"))
    )
    assert drawn["matched"] == len(drawn["audiences"]) == sum(map(len, Sandbox().rows.values()))
    assert drawn["complete"] is True
    assert drawn["audiences"][0]["size"] == max(size for _, size in made_up_sizes())
    assert any(row.get("change_pct") for row in drawn["audiences"])
    assert question["title"] == "Weekly report on all audiences"
    assert question["arguments"]["compare_to"] == "2026-11-09"
    assert question["names"]["smallest"] == "Smallest.ai"


async def test_a_weekly_report_of_empty_accounts_says_none() -> None:
    async with connected({"commbox": [], "batch": [], "smallest": [], "whop": []}) as there:
        lines, complete = await loaded("weekly_report").report(there.client, "2026-11-09", 3)
    assert complete
    assert lines.count("None.") == 5


async def test_a_name_full_of_markdown_stays_text_in_its_cell() -> None:
    hostile = "a|b `c` [d](http://e.example) *f* <g> &lt;"
    made = {"commbox": [{"id": "1|`2", "name": hostile, "type": "Static", "user_count": 3}]}
    others = {name: None for name in Sandbox().environment("") if not name.startswith("COMMBOX_")}
    async with connected(made, environment=others) as there:
        lines, _ = await loaded("weekly_report").report(there.client, "2026-11-09", 3)
    (row,) = sections("\n".join(lines))["Biggest (1)"]
    assert row[0] == r"a\|b \`c\` \[d\](http\://e.example) \*f\* \<g\> \&lt;"
    assert row[3] == r"commbox:1\|\`2"


@pytest.mark.slow
async def test_a_weekly_report_that_lacks_a_source_says_so_first_and_ends_with_3() -> None:
    async with faults.serving() as vendor:
        vendor.play(faults.refused(401), "commbox")
        out, _ = await ran("weekly_report.py", code=3, **vendor.sandbox.environment(vendor.origin))
    assert (
        "**Not complete. Of sources that were read in part, the figures are a lower bound.**"
        in out.split("## Totals")[0]
    )
    assert "COMMBOX\\_API\\_KEY" in out.split("## Totals")[0]
    assert sections(out)["Totals"][0][:4] == ["commbox", "not read", "not read", "not read"]
    assert "AUDIENCE\\_MCP\\_STORE is off" in out.split("## Grown most")[1]


@pytest.mark.slow
async def test_a_weekly_report_of_nothing_is_an_error_with_the_servers_own_words() -> None:
    out, err = await ran("weekly_report.py", code=1)
    assert out == ""
    assert "No vendor is configured yet." in err


async def test_the_weekly_report_asks_again_while_a_reading_gets_further() -> None:
    report = loaded("weekly_report")
    steps = [(100, False), (250, False), (300, True), (1, False)]

    class Growing:
        async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
            matched, complete = steps.pop(0)
            answer = {"matched": matched, "complete": complete}
            return types.CallToolResult(content=[], structured_content=answer)

    assert (await report.read_to_the_end(Growing()))["matched"] == 300
    steps[:] = [(100, False), (100, False), (200, False)]
    assert (await report.read_to_the_end(Growing()))["matched"] == 100
    assert len(steps) == 1


def test_the_weekly_report_begins_7_days_ago_unless_told_otherwise() -> None:
    options = loaded("weekly_report").options
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", options([]).since)
    assert options(["--since", "2026-11-09"]).since == "2026-11-09"


# --- host configurations ------------------------------------------------------------------------------


def json_file(name: str) -> dict[str, Any]:
    return dict(json.loads((EXAMPLES / "hosts" / name).read_text(encoding="utf-8")))


def claude_code() -> dict[str, Any]:
    """The entry that the script makes: what its `claude` is called with."""
    text = (EXAMPLES / "hosts" / "claude_code.sh").read_text(encoding="utf-8")
    words = shlex.split(text[text.index("\nclaude ") :].replace("\\\n", " "))
    assert words[:4] == ["claude", "mcp", "add", "audience-mcp"]  # the name first: -e takes all that follows
    end = words.index("--")
    given = words[4:end]
    assert given[::2] == ["-e"] * (len(given) // 2)
    env = dict(pair.split("=", 1) for pair in given[1::2])
    assert all(value == f"${name}" for name, value in env.items())
    return {"command": words[end + 1], "args": words[end + 2 :], "env": env}


def entries() -> dict[str, dict[str, Any]]:
    found = {
        f"{name}: {server}": entry
        for name, key in (
            ("claude_desktop_config.json", "mcpServers"),
            ("cursor_mcp.json", "mcpServers"),
            ("vscode_mcp.json", "servers"),
        )
        for server, entry in json_file(name)[key].items()
    }
    return found | {"claude_code.sh": claude_code()}


def filled(env: Mapping[str, str]) -> dict[str, str]:
    """The variables once a host, or its user, has filled in what the file leaves open."""
    return {
        name: re.sub(r"\$\{.*\}|\$\w+|…|your key", "key-0123456789", value) for name, value in env.items()
    }


def real(name: str) -> bool:
    """Whether a vendor declares the variable, as it is or for a further account."""
    declared = {
        v: s.required for vendor in load_vendors().values() for s in vendor.settings for v in s.variables
    }
    return name in declared or any(
        needed and re.fullmatch(rf"{variable}_[A-Z0-9]+", name) for variable, needed in declared.items()
    )


def test_every_file_of_hosts_is_tested_here() -> None:
    files = {path.name for path in (EXAMPLES / "hosts").iterdir()}
    assert files == {"claude_desktop_config.json", "cursor_mcp.json", "vscode_mcp.json", "claude_code.sh"}


@pytest.mark.parametrize("entry", entries().values(), ids=entries())
def test_a_host_entry_has_an_absolute_path_and_real_variables_and_sets_up_its_sources(
    entry: dict[str, Any],
) -> None:
    assert entry["command"] == PROGRAM
    env = entry.get("env", {})
    assert all(real(name) or name in OWN for name in env)
    configured = load_configuration(filled(env), load_vendors().values())
    assert bool(configured.sources) is not (entry["args"] == ["--sandbox"])
    assert all(source.problem is None for source in configured.sources)


@pytest.mark.parametrize("entry", entries().values(), ids=entries())
async def test_a_host_entry_starts_a_server_that_lists_its_tools(entry: dict[str, Any]) -> None:
    program = Path(sys.executable).with_name(
        "audience-mcp.exe" if sys.platform == "win32" else "audience-mcp"
    )
    env = filled(entry.get("env", {}))
    server = StdioServerParameters(command=str(program), args=entry["args"], env=environment(**env))
    async with Client(server) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["list_audiences", "get_audience"]


def test_vs_code_is_asked_for_exactly_the_inputs_that_the_entry_refers_to() -> None:
    config = json_file("vscode_mcp.json")
    referred = set(re.findall(r"\$\{input:([^}]+)\}", json.dumps(config["servers"])))
    assert referred == {question["id"] for question in config["inputs"]}
    assert all(question["password"] is True for question in config["inputs"])


@pytest.mark.parametrize("name", ["claude_desktop_config.json", "cursor_mcp.json", "vscode_mcp.json"])
def test_no_host_file_holds_a_key_that_could_be_real(name: str) -> None:
    config = json_file(name)
    for entry in (config.get("mcpServers") or config["servers"]).values():
        for variable, value in entry.get("env", {}).items():
            assert variable in OWN or "…" in value or value == "your key" or value.startswith("${"), variable


def test_the_claude_code_script_stops_before_it_adds_a_server_without_keys(tmp_path: Path) -> None:
    told = tmp_path / "told"
    claude = tmp_path / "claude"
    claude.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{told}"\n', encoding="utf-8")
    claude.chmod(0o755)
    script = EXAMPLES / "hosts" / "claude_code.sh"
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    without = subprocess.run(["sh", script], env=path, capture_output=True, check=False)
    assert without.returncode != 0
    assert not told.exists()
    keys = {"WHOP_API_KEY": "a key-key-000", "WHOP_ACCOUNT_ID": "biz_1"}
    subprocess.run(["sh", script], env=path | keys, capture_output=True, check=True)
    assert told.read_text(encoding="utf-8").splitlines() == [
        "mcp",
        "add",
        "audience-mcp",
        "-e",
        "WHOP_API_KEY=a key-key-000",
        "-e",
        "WHOP_ACCOUNT_ID=biz_1",
        "--",
        PROGRAM,
    ]

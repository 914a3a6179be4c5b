"""The protocol's own conformance suite, with all its scenarios, asks the server over Streamable HTTP.

What is expected to fail, and why, is in the files beside this one: any other failure fails a test, and
so does an entry that passes after all.

`python tests/clients/install.py` installs it; where it is not installed this is skipped, unless
AUDIENCE_MCP_ALL_CLIENTS is 1: then that is a failure.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients import install
from tests.clients.test_clients import node
from tests.support.hosting import hosted
from tests.support.process import environment

pytestmark = [pytest.mark.conformance, pytest.mark.slow]

HERE = Path(__file__).parent

MEANT_FOR_US = {
    "2025-11-25": [
        "server-initialize",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "completion-complete",
        "dns-rebinding-protection",
    ],
    "2026-07-28": [
        "server-stateless",
        "tools-list",
        "resources-list",
        "prompts-list",
        "completion-complete",
        "sep-2164-resource-not-found",
        "caching",
        "dns-rebinding-protection",
        "server-sse-multiple-streams",
        "input-required-result-unsupported-methods",
        "http-header-validation",
    ],
}
"""The scenarios that mean something for a server with two tools of its own, and no sessions."""

NOT_HERE = re.compile(
    r"Unknown tool: this server has list_audiences and get_audience"
    r"|Method not found"
    r"|does not list the diagnostic tool"
    r"|Expected InputRequiredResult"
    r"|could not get initial InputRequiredResult"
    r"|Server returned JSON-RPC error instead of re-requesting"
    r"|Unknown prompt\. This server has weekly_report"
    r"|Unknown resource\. This server has ui://audience-mcp/audiences.html"
    r"|Server provides session ID"
    r"|Tool 'json_schema_2020_12_tool' not found"
    r"|server exposes no tool with x-mcp-header annotations"
    r"|Server did not send (priming event|retry field)"
)
"""What a check says that asked for something the server does not offer."""


@dataclass(frozen=True)
class Run:
    """One run of the suite. checks: by scenario."""

    code: int
    said: str
    checks: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module", params=list(MEANT_FOR_US))
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def run(revision: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp(revision)
    suite = [node(), str(install.NODE_MODULES / ".bin" / "conformance"), "server"]
    baseline = HERE / f"expected-{revision}.yml"
    with hosted("--sandbox") as server:
        which = ["--suite", "all", "--spec-version", revision]
        asked = ["--url", server.url, *which, "--expected-failures", str(baseline)]
        done = subprocess.run(
            [*suite, *asked, "-o", str(out)],
            env=environment(HOME=str(out)),
            capture_output=True,
            text=True,
            timeout=300,
        )
    checks = _read_checks(out)
    return Run(done.returncode, done.stdout + done.stderr, checks)


def _read_checks(out: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        # server-<scenario>-<date and time>
        re.sub(r"^server-(.+)-\d{4}-\d\d-\d\dT.*$", r"\1", found.parent.name): json.loads(found.read_text())
        for found in out.glob("server-*/checks.json")
    }


def _list_scenarios() -> dict[str, list[str]]:
    """The revisions that each scenario is for, or `extension`."""
    suite = [node(), str(install.NODE_MODULES / ".bin" / "conformance"), "list", "--server"]
    listed = subprocess.run(suite, capture_output=True, text=True, timeout=60, check=True).stdout
    return {name: marks.split(",") for name, marks in re.findall(r"- ([\w-]+) \[(.+)\]", listed)}


def test_all_scenarios_of_the_suite_are_run(revision: str, run: Run) -> None:
    wanted = {name for name, revisions in _list_scenarios().items() if revision in revisions}
    assert set(run.checks) == wanted
    assert len(wanted) > 30


def test_of_the_extensions_exactly_what_is_not_offered_fails(tmp_path: Path) -> None:
    wanted = {name for name, marks in _list_scenarios().items() if marks == ["extension"]}
    suite = [node(), str(install.NODE_MODULES / ".bin" / "conformance"), "server"]
    with hosted("--sandbox") as server:
        for scenario in sorted(wanted):
            asked = ["--url", server.url, "--scenario", scenario, "--force", "--spec-version", "2026-07-28"]
            subprocess.run(
                [*suite, *asked, "-o", str(tmp_path)],
                env=environment(HOME=str(tmp_path)),
                capture_output=True,
                timeout=60,
            )
    checks = _read_checks(tmp_path)
    assert set(checks) == wanted
    failed = {
        f"{scenario}:{check['id']}"
        for scenario, found in checks.items()
        for check in found
        if check["status"] in ("FAILURE", "WARNING")
    }
    expected = (HERE / "expected-extensions.yml").read_text()
    assert failed == set(re.findall(r"^  - ([\w-]+:[\w-]+)$", expected, re.MULTILINE))


def test_what_the_suite_does_not_find_is_exactly_what_is_expected(run: Run) -> None:
    assert run.code == 0, run.said


def test_the_scenarios_meant_for_such_a_server_pass_by_more_than_refusing(revision: str, run: Run) -> None:
    expected = (HERE / f"expected-{revision}.yml").read_text()
    for scenario in MEANT_FOR_US[revision]:
        failed = [c["id"] for c in run.checks[scenario] if c["status"] in ("FAILURE", "WARNING")]
        passed = [c["id"] for c in run.checks[scenario] if c["status"] == "SUCCESS"]
        assert [check for check in failed if f"- {scenario}:{check}\n" not in expected] == []
        assert set(passed) - {"wire-schema-valid"} or scenario == "server-sse-multiple-streams", scenario


@pytest.mark.parametrize("scenario", ["enumeration", "manifest"])
def test_the_skills_extension_is_served_as_it_says(scenario: str, tmp_path: Path) -> None:
    suite = [node(), str(install.NODE_MODULES / ".bin" / "conformance"), "server"]
    with hosted("--sandbox") as server:
        asked = ["--url", server.url, "--scenario", f"sep-2640-skills-{scenario}", "--force"]
        done = subprocess.run(
            [*suite, *asked, "--spec-version", "2026-07-28", "-o", str(tmp_path)],
            env=environment(HOME=str(tmp_path)),
            capture_output=True,
            text=True,
            timeout=120,
        )
    (found,) = tmp_path.glob("server-*/checks.json")
    statuses = {check["id"]: check["status"] for check in json.loads(found.read_text())}
    assert set(statuses.values()) == {"SUCCESS"}, done.stdout
    assert len(statuses) >= 5


def test_every_message_on_the_wire_is_valid(run: Run) -> None:
    wire = [c["status"] for checks in run.checks.values() for c in checks if c["id"] == "wire-schema-valid"]
    assert len(wire) > 20
    assert set(wire) == {"SUCCESS"}


def test_what_is_expected_to_fail_asks_for_something_that_is_not_offered(revision: str, run: Run) -> None:
    expected = re.findall(
        r"^  - ([\w-]+):([\w-]+)$", (HERE / f"expected-{revision}.yml").read_text(), re.MULTILINE
    )
    assert len(expected) > 20
    for scenario, check in expected:
        (found,) = (c for c in run.checks[scenario] if c["id"] == check)
        assert found["status"] in ("FAILURE", "WARNING")
        assert NOT_HERE.search(found.get("errorMessage") or found["description"]), found

"""The protocol's own conformance suite asks the server over Streamable HTTP.

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

pytestmark = pytest.mark.conformance

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
    r"Unknown tool\. This server has list_audiences and get_audience"
    r"|Method not found"
    r"|does not list the diagnostic tool"
    r"|Expected InputRequiredResult"
    r"|could not get initial InputRequiredResult"
    r"|Server returned JSON-RPC error instead of re-requesting"
    r"|Unknown prompt\. This server has weekly_report"
    r"|Unknown resource\. This server has ui://audience-mcp/audiences.html"
    r"|Server provides session ID"
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
        asked = ["--url", server.url, "--requirements", revision, "--expected-failures", str(baseline)]
        done = subprocess.run(
            [*suite, *asked, "-o", str(out)],
            env=environment(HOME=str(out)),
            capture_output=True,
            text=True,
            timeout=300,
        )
    checks = {
        # server-<scenario>-<date and time>
        re.sub(r"^server-(.+)-\d{4}-\d\d-\d\dT.*$", r"\1", found.parent.name): json.loads(found.read_text())
        for found in out.glob("server-*/checks.json")
    }
    return Run(done.returncode, done.stdout + done.stderr, checks)


def test_what_the_suite_does_not_find_is_exactly_what_is_expected(run: Run) -> None:
    assert run.code == 0, run.said


def test_the_scenarios_meant_for_such_a_server_pass_by_more_than_refusing(revision: str, run: Run) -> None:
    expected = (HERE / f"expected-{revision}.yml").read_text()
    for scenario in MEANT_FOR_US[revision]:
        failed = [c["id"] for c in run.checks[scenario] if c["status"] in ("FAILURE", "WARNING")]
        passed = [c["id"] for c in run.checks[scenario] if c["status"] == "SUCCESS"]
        assert [check for check in failed if f"- {scenario}:{check}\n" not in expected] == []
        assert set(passed) - {"wire-schema-valid"} or scenario == "server-sse-multiple-streams", scenario


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

"""The README's examples, as a reader would use them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from audience_mcp.config import load_configuration
from audience_mcp.vendors.registry import load_vendors
from tests.support.process import environment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM = "/absolute/path/to/audience-mcp"
ENTRIES = [
    entry
    for block in map(json.loads, re.findall(r"```json\n(.*?)```", README, re.S))
    for entry in (block.get("mcpServers") or block.get("servers")).values()
]
pytestmark = pytest.mark.anyio


def test_the_first_two_commands_are_the_demo_and_the_tests() -> None:
    demo, tests, *_ = re.findall(r"```sh\n(.*?)```", README, re.S)
    assert demo.strip().endswith("audience-mcp demo")
    assert tests.strip().endswith("pytest -q -n auto")
    for command in (demo, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")


@pytest.mark.slow
def test_the_answers_shown_are_those_of_the_demo() -> None:
    (shown,) = re.findall(r"```text\n(.*?)```", README, re.S)
    done = subprocess.run(
        [sys.executable, "-m", "audience_mcp", "demo"], capture_output=True, env=environment(), timeout=60
    )
    said = done.stdout.decode().splitlines()
    lines = [line for line in shown.splitlines() if line]
    assert [line for line in said if line in lines] == lines


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_host_configuration_sets_up_the_vendors_whose_keys_it_holds(entry: dict[str, Any]) -> None:
    assert entry["command"] == PROGRAM
    filled = {name: re.sub(r"\$\{.*\}|…|your key", "0" * 8, value) for name, value in entry["env"].items()}
    configured = load_configuration(filled, load_vendors().values())
    assert configured.sources
    assert all(source.problem is None for source in configured.sources)


@pytest.mark.parametrize("entry", ENTRIES)
async def test_a_host_configuration_starts_a_server_that_lists_its_tools(entry: dict[str, Any]) -> None:
    program = str(Path(sys.executable).with_name("audience-mcp"))
    variables = {name: re.sub(r"…", "x", value) for name, value in entry["env"].items()}
    server = StdioServerParameters(command=program, args=entry["args"], env=environment(**variables))
    async with Client(server) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["list_audiences", "get_audience"]


def test_the_claude_code_command_names_real_variables_and_puts_the_name_first() -> None:
    (line,) = re.findall(r"```sh\n(claude .*?)\n```", README)
    words = shlex.split(line)
    assert words[:4] == ["claude", "mcp", "add", "audience-mcp"]
    variables = dict(word.split("=", 1) for word in words[4 : words.index("--")] if "=" in word)
    assert words[words.index("--") + 1 :] == [PROGRAM]
    variables = {name: value.replace("your-key", "0123456789") for name, value in variables.items()}
    (source,) = load_configuration(variables, load_vendors().values()).sources
    assert (source.name, source.problem) == ("whop", None)


@pytest.mark.slow
def test_every_command_that_the_readme_names_is_one() -> None:
    named = set(re.findall(r"audience-mcp ((?:--)?[a-z]+)", README)) - {"from", "on", "demo", "audience"}
    assert {"check", "install", "list", "get", "--http"} <= named
    for words in sorted(named):
        done = subprocess.run(
            [sys.executable, "-m", "audience_mcp", words, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)

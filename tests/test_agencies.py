"""The guide for agencies, as a reader would follow it: its file, calls and commands, with real sources."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from mcp import Client
from mcp_types import PromptReference, TextContent

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.config import load_configuration
from audience_mcp.config.environment import read_env_file
from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.app import serve
from audience_mcp.sandbox.data import made_up
from audience_mcp.server.tools import build_server
from audience_mcp.store import open_store
from audience_mcp.vendors.registry import load_vendors
from tests.support.commands import run_here
from tests.support.process import environment

GUIDE = (Path(__file__).parents[1] / "docs" / "agencies.md").read_text(encoding="utf-8")
BLOCKS = [block.splitlines() for block in re.findall(r"^```sh\n(.*?)\n```", GUIDE, re.M | re.S)]
VENDORS = ("mailchimp", "meta", "batch")
CLIENTS = ("acme", "bolt", "cedar", "dune", "ember", "fjord-line", "grove", "harbor")
ADDRESSES = ("MAILCHIMP_BASE_URL", "META_BASE_URL", "BATCH_BASE_URL")


def commands_with(text: str) -> list[list[str]]:
    """The commands of the one block that has a line with `text`."""
    (block,) = (block for block in BLOCKS if any(text in line for line in block))
    return [shlex.split(line)[1:] for line in block]


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The guide's file with every value filled in: each client has accounts of its own at the vendors."""
    (lines,) = (block for block in BLOCKS if "MAILCHIMP_API_KEY_ACME=" in block)
    rows = {vendor: each if vendor == "mailchimp" else each[:8] for vendor, each in made_up(VENDORS).items()}
    with anyio.from_thread.start_blocking_portal() as portal, ExitStack() as stack:
        values: dict[str, str] = {}
        for client in CLIENTS:
            sandbox = Sandbox(json.loads(json.dumps(rows)), VENDORS)
            origin = stack.enter_context(portal.wrap_async_context_manager(serve(sandbox)))
            values |= sandbox.environment(origin)
            suffix = client.upper().replace("-", "_")
            # Real accounts differ by their keys and ids; made-up ones by where they are served.
            lines = [*lines, *(f"{name}_{suffix}={values[name]}" for name in ADDRESSES)]
        written = []
        for line in lines:
            name, equals, value = line.partition("=")
            bare = next((each for each in values if name == each or name.startswith(f"{each}_")), "")
            written.append(f"{name}={value or values[bare]}" if equals else line)
        file = tmp_path_factory.mktemp("agency") / "agency.env"
        made_up_alone = [f"{name}={values[name]}" for name in ("META_APP_SECRET", "BATCH_MAX_RPS")]
        file.write_text("\n".join([*written, *made_up_alone]))
        file.chmod(0o600)
        yield file


def sources_of(client: str, configured: Any) -> set[str]:
    return {source.name for source in configured.sources if source.client == client}


def test_the_file_makes_each_client_a_source_at_each_of_its_vendors(agency: Path) -> None:
    configured = load_configuration(read_env_file(agency), load_vendors())
    assert not any(source.problem for source in configured.sources)
    assert len(configured.sources) == 20
    for client in CLIENTS:
        has_an_app = client in ("acme", "dune", "fjord-line", "harbor")
        vendors = VENDORS if has_an_app else VENDORS[:2]
        assert sources_of(client, configured) == {f"{vendor}-{client}" for vendor in vendors}


@pytest.mark.anyio
async def test_each_question_of_the_guide_is_answered_of_whom_it_asks_about(
    agency: Path, tmp_path: Path
) -> None:
    calls = re.findall(r"`(list_audiences|get_audience) (\{.*?\})` \|", GUIDE)
    assert len(calls) == 6
    configured = load_configuration(read_env_file(agency), load_vendors())
    server = build_server(configured, lambda: open_catalog(configured, store=open_store(str(tmp_path))))
    async with Client(server) as client:
        for tool, written in calls:
            arguments = json.loads(written)
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content
            answer: Any = result.structured_content
            assert answer["complete"] is True
            asked = arguments.get("sources") or [arguments.get("source", "*")]
            meant = {each.name for name in asked for each in configured.find_sources(name)}
            assert {report["source"] for report in answer["sources"]} <= (meant or set())
            for report in answer["sources"] if arguments.get("sources") == ["acme"] else []:
                assert report["label"] == "Acme GmbH"
            if arguments.get("group_by") == "client":
                assert {group["key"] for group in answer["groups"]} == set(CLIENTS)
        # A model is told which clients there are, and a person can pick one.
        assert "acme (Acme GmbH), bolt (Bolt Cycles), cedar," in str(client.instructions)
        for prompt in ("weekly_report", "audience_health"):
            (message,) = (await client.get_prompt(prompt, {"source": "Acme"})).messages
            assert isinstance(message.content, TextContent)
            assert '"sources": ["acme"]' in message.content.text
            begun = {"name": "source", "value": "fjord"}
            offered = (await client.complete(PromptReference(name=prompt), begun)).completion.values
            assert "fjord-line" in offered


@pytest.mark.slow
def test_the_commands_of_the_guide_answer_and_a_client_who_leaves_is_forgotten(
    agency: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "agency.env"
    file.write_text(agency.read_text())
    file.chmod(0o600)
    variables = environment(AUDIENCE_MCP_ENV_FILE=str(file), AUDIENCE_MCP_STORE=str(tmp_path / "store"))

    def run(words: list[str], code: int = 0) -> str:
        done = run_here(words, variables)
        assert done.returncode == code, (words, done.stderr)
        return str(done.stdout)

    for words in commands_with("check --offline"):
        said = run(words)
        assert all(client in said for client in CLIENTS)
    everyone, acme, newsletters = map(run, commands_with("list --group-by client"))
    assert all(client in everyone for client in CLIENTS)
    assert "mailchimp-acme" in acme
    assert "bolt" not in acme
    assert "mailchimp-grove" in newsletters
    assert "meta-" not in newsletters
    record, page, history = commands_with("--html acme.html")
    assert "mailchimp-harbor" in run(record)
    run(page)
    shown = (tmp_path / "acme.html").read_text(encoding="utf-8")
    assert "mailchimp-acme" in shown
    assert not any(f"-{client}" in shown for client in CLIENTS[1:])
    assert "meta-acme" in run(history)
    for words in commands_with("watch --sources"):
        run(words)

    kept = [line for line in file.read_text().splitlines() if "HARBOR" not in line]
    file.write_text("\n".join(kept))
    show, *clears = commands_with("store clear")
    assert "harbor" not in run(["check", "--offline"])
    assert run(show).count("-harbor") == len(clears) == 3
    for words in clears:
        assert re.search(r"Forgotten of \w+-harbor: 1 reading, the history of \d+ audiences", run(words))
    assert "harbor" not in run(show)
    assert "mailchimp-acme" in run(show)


def test_the_rules_of_the_guide_give_each_what_it_says(agency: Path) -> None:
    (setting,) = (line for block in BLOCKS for line in block if line.startswith("AUDIENCE_MCP_ACCESS="))
    variables = environment(
        AUDIENCE_MCP_ENV_FILE=str(agency),
        AUDIENCE_MCP_ACCESS=setting.partition("=")[2],
        AUDIENCE_MCP_HTTP_TOKENS="bi:0123456789-0123456789-0123456789-0123456789",
    )
    done = run_here(["check", "--offline", "--json"], variables)
    given = {rule["caller"]: rule["sources"] for rule in json.loads(done.stdout)["access"]}
    assert {caller: len(sources) for caller, sources in given.items()} == {
        "@acme.example": 3,
        "bea@agency.example": 3 + 2 + 2,
        "token:bi": 4,
        "boss@agency.example": 20,
    }

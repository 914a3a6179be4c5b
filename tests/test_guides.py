"""The guides in docs/: what they say is what the code declares, and what the server says when provoked."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

import audience_mcp.catalog.models
from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.cli.app import program, run
from audience_mcp.config import Account, load_configuration
from audience_mcp.config.environment import OWN_SETTINGS
from audience_mcp.sandbox import Answer, Asked, Sandbox
from audience_mcp.sandbox.data import SMALLEST_UNLISTED
from audience_mcp.server.auth import access_policy
from audience_mcp.server.http import build_app
from audience_mcp.server.tools import build_server
from audience_mcp.sources import walk
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Limits, Pool
from audience_mcp.sources.reader import Connect
from audience_mcp.sources.responses import describe_status
from audience_mcp.vendors import Fields, Listing, NextLink, Request, Setting, Vendor, registry
from audience_mcp.vendors.registry import GROUP, built_in_vendors, load_vendors
from tests.support import faults
from tests.support.apart import apart
from tests.support.clock import FakeClock
from tests.support.process import environment
from tests.support.served import FOUR

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TROUBLES = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
SECURITY = (DOCS / "security.md").read_text(encoding="utf-8")

# --- troubleshooting.md -------------------------------------------------------------------------------

ENTRIES = dict(re.findall(r"^### `(.+)`\n<!-- provoked by: (.+) -->$", TROUBLES, re.M))
"""What is said to have each message said, by message."""

Scenario = Callable[..., Awaitable[list[str]]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    SCENARIOS[play.__name__] = play
    return play


def pattern(heading: str) -> re.Pattern[str]:
    """A heading as what it stands for: braces for any text."""
    return re.compile(re.sub(r"\\\{.+?\\\}", ".+?", re.escape(heading)))


class Linked(Vendor):
    """A vendor whose pages name the next one's address."""

    name = "linked"
    title = "Linked"
    settings = (
        Setting("api_key", ("LINKED_API_KEY",), "Key", required=True, secret=True),
        Setting("base_url", ("LINKED_BASE_URL",), "Base URL", default="https://linked.example"),
    )
    listings = (
        Listing("list", rows="rows", paging=NextLink("next"), fields=Fields(), counts="people", ids="[0-9]+"),
    )


def said_in(result: Any) -> list[str]:
    """Every sentence of a result that a reader sees."""
    if result.is_error:
        return [block.text for block in result.content]
    answer = result.structured_content
    return [
        *answer.get("notes", []),
        *(s["error"]["message"] for s in answer["sources"] if "error" in s),
        *(row["size_note"] for row in answer["audiences"] if "size_note" in row),
    ]


@asynccontextmanager
async def client_of(
    variables: Mapping[str, str], *, clock: FakeClock | None = None, connect: Connect | None = None
) -> AsyncIterator[Client]:
    """A client of the real server, in memory, where exactly these variables are set."""
    configured = load_configuration(variables, [*load_vendors().values(), Linked()])
    server = build_server(
        configured,
        lambda: open_catalog(configured, clock=clock or FakeClock(), connect=connect),
    )
    with anyio.fail_after(60):
        async with Client(server) as client:
            yield client


def of(vendor: str, server: faults.FaultServer) -> dict[str, str]:
    """The variables of one vendor, at a server that plays faults."""
    return {
        k: v for k, v in server.sandbox.environment(server.origin).items() if k.startswith(vendor.upper())
    }


async def played(
    vendor: str,
    fault: faults.Fault | None = None,
    *,
    kind: str | None = None,
    data: list[Any] | None = None,
    clock: FakeClock | None = None,
    limits: Limits | None = None,
) -> list[str]:
    """What a list of one vendor says where it plays a fault for ever, to all requests or to one kind."""
    clock, pool = clock or FakeClock(), Pool(limits)

    def connect(account: Account) -> Any:
        return VendorClient(account, pool, clock).fetch

    async with faults.serving(
        faults.FaultServer(Sandbox({} if data is None else {vendor: data}, FOUR))
    ) as server:
        if fault:
            server.play(fault, vendor, kind=kind)
        try:
            async with client_of(of(vendor, server), clock=clock, connect=connect) as client:
                return said_in(await client.call_tool("list_audiences", {}))
        finally:
            await pool.aclose()


async def ended(*arguments: str, refused: int = 2, **variables: str) -> list[str]:
    """The lines on stderr of the real program, whose stdin is empty; those of the log without their head.

    refused: its exit code where it does not start.
    """
    done = await anyio.run_process(
        [sys.executable, "-m", "audience_mcp", *arguments],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    lines = done.stderr.decode().splitlines()
    assert done.returncode == (refused if lines[0].startswith("audience-mcp: ") else 0)
    return [re.sub(r"^\S+ \S+ [A-Z]+ [\w.]+: ", "", line) for line in lines]


def refused(*arguments: str, **variables: str) -> list[str]:
    """The lines on stderr of a command that is refused at once, run here: a process takes a second."""
    said = io.StringIO()
    with mock.patch.dict(os.environ, environment(**variables), clear=True), redirect_stderr(said):
        assert apart(run, arguments) == 2
    return said.getvalue().splitlines()


@scenario
async def start(*pairs: str) -> list[str]:
    variables: dict[str, Any] = dict(pair.split("=", 1) for pair in pairs)
    return await ended(**variables)


@scenario
async def start_http(*pairs: str) -> list[str]:
    variables: dict[str, Any] = dict(pair.split("=", 1) for pair in pairs)
    return refused("--http", "--port", "0", **variables)


@scenario
async def start_http_elsewhere() -> list[str]:
    return refused("--http", "--host", "0.0.0.0", "--port", "0")


@scenario
async def start_http_on_a_taken_port() -> list[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return await ended("--http", "--port", str(taken.getsockname()[1]), refused=1)


@contextmanager
def logged(name: str) -> Iterator[io.StringIO]:
    """What a logger writes from INFO on."""
    logger, said = logging.getLogger(name), io.StringIO()
    level, handler = logger.level, logging.StreamHandler(said)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


async def over_http(path: str, variables: Mapping[str, str], **headers: str) -> list[str]:
    """What a caller without a token is told over HTTP, and what the log says of it."""
    nothing = load_configuration({}, [])
    app = build_app(lambda: open_catalog(nothing), access_policy(variables, reachable_via=None))
    with logged("audience_mcp.server.refusals") as said:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http,
        ):
            response = await http.get(path, headers=headers)
    return [response.text.strip(), *said.getvalue().splitlines()]


@scenario
async def called_by_another_name(name: str) -> list[str]:
    return await over_http("/mcp", {}, Host=name)


@scenario
async def called_without_the_token() -> list[str]:
    return await over_http("/mcp", {"AUDIENCE_MCP_HTTP_TOKEN": "0" * 32})


@scenario
async def looked_at_from_elsewhere() -> list[str]:
    return await over_http("/ready", {}, Host="audiences.example.com")


@scenario
async def metrics_without_their_package() -> list[str]:
    with mock.patch.dict(sys.modules, {"prometheus_client": None}):
        return await over_http("/metrics", {})


@scenario
async def plugin_that_is_no_vendor() -> list[str]:
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    point = EntryPoint("acme", "pathlib:Path", GROUP)
    log = logging.getLogger("audience_mcp.vendors.registry")
    log.addHandler(handler)
    try:
        with mock.patch.object(registry, "entry_points", return_value=[point]):
            load_vendors.__wrapped__()
    finally:
        log.removeHandler(handler)
    return told


@scenario
async def configured(*pairs: str) -> list[str]:
    async with client_of(dict(pair.split("=", 1) for pair in pairs)) as client:
        return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def asks(tool: str, arguments: str, *pairs: str) -> list[str]:
    """Of the sandbox, or of what the variables configure."""
    async with faults.serving() as server:
        variables = dict(pair.split("=", 1) for pair in pairs) or server.sandbox.environment(server.origin)
        async with client_of(variables) as client:
            return said_in(await client.call_tool(tool, json.loads(arguments)))


@scenario
async def unknown_tool() -> list[str]:
    async with client_of({}) as client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("delete_audience", {})
        return [raised.value.error.message]


@scenario
async def status(vendor: str, code: str) -> list[str]:
    return await played(vendor, faults.refused(int(code)))


@scenario
async def told_to_wait(vendor: str, seconds: str) -> list[str]:
    return await played(vendor, faults.refused(429, Retry_After=seconds))


def batch_page(**more: object) -> faults.Fault:
    row = {"name": "a", "nb_ids": 1, "indexing_state": "APPLIED"}
    return faults.replied(200, {"audiences": [row, {**row, "name": "b"}], **more})


FAULTS: dict[str, faults.Fault] = {
    "cut_off": faults.cut_off,
    "web_page": faults.html(200),
    "nothing": faults.replied(200, b""),
    "no_json": faults.replied(200, b"nope"),
    "brotli": faults.replied(200, b"x", {"Content-Encoding": "br"}),
    "spoilt_gzip": faults.zipped(spoil=True),
    "other_shape": faults.replied(200, {"unexpected": 1}),
    "cursor_of_no_address": batch_page(has_more=True, next_from="\ud800"),
    "more_without_cursor": batch_page(has_more=True),
    "same_cursor": batch_page(has_more=True, next_from="again"),
    "long_cursor": batch_page(has_more=True, next_from="x" * 70_000),
    "counts_more": batch_page(has_more=False, count=5),
    "counts_fewer": batch_page(has_more=False, count=1),
}


@scenario
async def fault(vendor: str, name: str) -> list[str]:
    return await played(vendor, FAULTS[name], kind="list")


@scenario
async def nobody_listens() -> list[str]:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        return await configured("COMMBOX_API_KEY=key-key-000", f"COMMBOX_BASE_URL={url}")


@scenario
async def certificate_of_a_stranger() -> list[str]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(__file__).parent / "faults" / "untrusted.pem")
    async with faults.serving(tls=tls) as server:
        url = f"https://localhost:{server.port}"
        return await configured("COMMBOX_API_KEY=key-key-000", f"COMMBOX_BASE_URL={url}")


@scenario
async def no_connection_in_time() -> list[str]:
    return await played("commbox", limits=Limits(connect_s=0))


@scenario
async def silence() -> list[str]:
    return await played("commbox", faults.hang_before_headers, limits=Limits(read_s=0.05))


@scenario
async def a_byte_a_second() -> list[str]:
    clock = FakeClock()
    server = {"AUDIENCE_MCP_DEADLINE_S": "3600"}
    async with faults.serving() as vendor:
        vendor.play(faults.drip(lambda: clock.advance(1)), "commbox")
        async with client_of(of("commbox", vendor) | server, clock=clock) as client:
            return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def page_too_big() -> list[str]:
    return await played("commbox", limits=Limits(body=1_000))


@scenario
async def link_to_another_host() -> list[str]:
    def page(asked: Asked) -> Answer:
        return Answer(200, {"rows": [{"id": "1"}], "next": "https://elsewhere.example/list"})

    async with faults.serving(faults.FaultServer(others={"linked": page})) as server:
        return await configured("LINKED_API_KEY=key-of-linked", f"LINKED_BASE_URL={server.origin}/linked")


@scenario
async def endless_pages() -> list[str]:
    pages = 0

    async def another(exchange: faults.Exchange) -> None:
        nonlocal pages
        pages += 1
        await batch_page(has_more=True, next_from=f"page-{pages}")(exchange)

    with mock.patch.object(walk, "MAX_PAGES", 3):
        return await played("batch", another, kind="list")


@scenario
async def one_source_of_two_refused() -> list[str]:
    async with faults.serving() as server:
        server.play(faults.refused(401), "commbox")
        async with client_of(of("commbox", server) | of("smallest", server)) as client:
            return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def every_source_refused() -> list[str]:
    async with faults.serving() as server:
        server.play(faults.refused(401))
        async with client_of(server.sandbox.environment(server.origin)) as client:
            return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def deadline() -> list[str]:
    clock = FakeClock()

    async def too_late(exchange: faults.Exchange) -> None:
        clock.advance(60)
        await exchange.hang()

    async with faults.serving() as server:
        server.play(too_late, "batch", kind="list", page=2)
        async with client_of(of("batch", server), clock=clock) as client:
            return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def newer_reading_fails() -> list[str]:
    async with faults.serving() as server:
        server.play(faults.refused(401), "commbox", after=1)
        async with client_of(of("commbox", server) | {"AUDIENCE_MCP_CACHE_S": "0"}) as client:
            await client.call_tool("list_audiences", {})
            return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def one_found_while_a_source_is_refused() -> list[str]:
    async with faults.serving() as server:
        server.play(faults.refused(401), "commbox")
        async with client_of(of("commbox", server) | of("smallest", server)) as client:
            return said_in(await client.call_tool("get_audience", {"audience": "空席待ちの電話"}))


@scenario
async def fault_of_ours_in_a_reading() -> list[str]:
    async def broken(request: Request) -> object:
        raise RuntimeError

    async with client_of({"COMMBOX_API_KEY": "key-key-000"}, connect=lambda account: broken) as client:
        return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def fault_of_ours_in_an_answer() -> list[str]:
    with mock.patch.object(audience_mcp.catalog.models, "to_dict", side_effect=RuntimeError):
        return await asks("list_audiences", "{}")


@scenario
async def broken_rows() -> list[str]:
    return await played("commbox", data=["x", {"id": None}, {"id": "1", "type": "Dynamic"}])


@scenario
async def repeated_rows() -> list[str]:
    return await played("commbox", data=[{"id": "1", "type": "Dynamic"}] * 3)


@scenario
async def exactly_100_at_commbox() -> list[str]:
    return await played("commbox", data=[{"id": str(n), "type": "Dynamic"} for n in range(100)])


@scenario
async def answer_too_long() -> list[str]:
    async with faults.serving() as server:
        variables = of("commbox", server) | {"AUDIENCE_MCP_MAX_CHARS": "4000"}
        async with client_of(variables) as client:
            return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def too_many_sources() -> list[str]:
    async with faults.serving() as server:
        several = {f"COMMBOX_API_KEY_{n}": "wrong" for n in range(30)}
        variables = of("commbox", server) | several | {"AUDIENCE_MCP_MAX_CHARS": "4000"}
        async with client_of(variables) as client:
            return said_in(await client.call_tool("list_audiences", {}))


@scenario
async def whop_row(given: str) -> list[str]:
    row = {"id": "adaud_1", "name": "A", "status": "ready", **json.loads(given)}
    return await played("whop", data=[row])


@scenario
async def audience_that_the_list_lacks() -> list[str]:
    return await asks("get_audience", json.dumps({"audience": SMALLEST_UNLISTED["_id"]}))


def test_every_heading_of_the_troubles_is_a_message_and_says_how_it_is_provoked() -> None:
    headings = re.findall(r"^### (.+)$", TROUBLES, re.M)
    assert [f"`{message}`" for message in ENTRIES] == headings
    for message, how in ENTRIES.items():
        assert shlex.split(how)[0] in SCENARIOS, message


def test_every_way_to_provoke_a_message_is_in_the_guide() -> None:
    said = [shlex.split(how) for how in ENTRIES.values()]
    assert {name for name, *_ in said} == set(SCENARIOS)
    assert {arguments[1] for name, *arguments in said if name == "fault"} == set(FAULTS)


def test_every_message_of_the_troubles_is_followed_by_what_to_do() -> None:
    for part in re.split(r"^### .+\n<!-- .+ -->\n", TROUBLES, flags=re.M)[1:]:
        advice = part.split("\n## ")[0].strip()
        assert advice.endswith(".")
        assert len(advice) > 10


STARTS = [how for how in ENTRIES.values() if how.startswith("start")]
"""Each of these takes a process of its own; the first of them stands for all where time is short."""


@pytest.mark.parametrize(
    ("message", "how"),
    [
        pytest.param(message, how, id=how, marks=[pytest.mark.slow] if how in STARTS[1:] else [])
        for message, how in ENTRIES.items()
    ],
)
async def test_a_provoked_message_is_said_as_its_heading_has_it(message: str, how: str) -> None:
    name, *arguments = shlex.split(how)
    said = await SCENARIOS[name](*arguments)
    heads = [part for text in said for part in (text, text.split("\n")[0])]
    assert any(pattern(message).fullmatch(each) for each in heads), said


@pytest.mark.parametrize("kind", [type(vendor) for vendor in built_in_vendors().values()])
@pytest.mark.parametrize("code", [201, 301, 400, 401, 403, 404, 408, 409, 425, 429, 500, 501, 503])
def test_whatever_status_a_vendor_answers_with_its_message_has_a_heading(
    kind: type[Vendor], code: int
) -> None:
    variables = {s.role: s.variables[0] for s in kind.settings}
    _, text = describe_status(code, Account(kind.name, kind(), {}, variables))
    said = f"{kind.name}: {kind.title} (api.example) {text}"
    assert any(pattern(message).fullmatch(said) for message in ENTRIES), said


# --- security.md, and all of them ---------------------------------------------------------------------


def test_every_test_that_the_security_guide_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", SECURITY)
    assert len(named) > 30
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"


def test_every_threat_names_its_tests() -> None:
    threats = SECURITY.split("## Threats, and what is done\n")[1].split("\n## ")[0]
    for threat in threats.split("\n### ")[1:]:
        assert "\nTests: `tests/" in threat, threat.splitlines()[0]


def test_every_vendor_has_its_least_privilege_key_in_the_security_guide() -> None:
    keys = SECURITY.split("## A key with the least rights\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| ([\w. ]+) \|", keys, re.M)[1:] == [
        kind.title for kind in built_in_vendors().values()
    ]


@pytest.mark.parametrize("guide", ["troubleshooting.md", "security.md", "vendors.md"])
def test_a_guide_names_only_real_variables_commands_and_files(guide: str) -> None:
    text = (DOCS / guide).read_text(encoding="utf-8")
    declared = {v for kind in built_in_vendors().values() for s in kind.settings for v in s.variables}
    declared |= {*OWN_SETTINGS, *(f"{name}_FILE" for name in OWN_SETTINGS)}
    vendor = "|".join(kind.name.upper() for kind in built_in_vendors().values())
    for name in re.findall(rf"\b(?:{vendor}|ATOMS|AUDIENCE_MCP)_[A-Z_]+\b", text):
        assert name in declared or name in (
            "BATCH_PROJECT_KEY_FR",
            "BEEHIIV_PUBLICATION_ID_FR",
            "MAILCHIMP_APIKEY",
            "AUDIENCE_MCP_DEADLINE",
            "AUDIENCE_MCP_ACESS",
            "BATCH_PROJECT_KEY_BREVO",
        ), name
    commands = set(program.commands)
    assert set(re.findall(r"`audience-mcp (\w+)", text)) <= commands
    for link in re.findall(r"\]\(([^):]+)\)", text):
        assert (DOCS / link).exists(), link
    assert "```" not in text  # a snippet would have to be run here


def test_a_heading_stands_for_its_own_message_and_no_other() -> None:
    heading = "{source}: it has {n} pages. Check X (it may be wrong)."
    assert pattern(heading).fullmatch("batch-fr: it has 10,000 pages. Check X (it may be wrong).")
    assert not pattern(heading).fullmatch("batch-fr: it has 10,000 pages. Check Y (it may be wrong).")
    assert not pattern(heading).fullmatch(
        "batch-fr: it has 10,000 pages. Check X (it may be wrong). And so on."
    )

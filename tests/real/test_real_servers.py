"""Real vendors, from the question to the vendor and back: servers of others, filled over their own APIs.

They are installed when they are first asked for, which needs the npm and Python registries, node and npm.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from anyio.to_thread import run_sync
from mcp import Client, StdioServerParameters

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.config import Account, load_configuration
from audience_mcp.core.clock import Clock
from audience_mcp.server.tools import build_server
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.talk import Fetch
from audience_mcp.vendors import Request, Vendor
from audience_mcp.vendors.registry import built_in_vendors
from tests.real.conftest import SERVERS
from tests.real.ghost import LETTERS
from tests.real.servers import RealServer, name_of
from tests.real.vendure import Vendure
from tests.support.process import environment
from tests.support.served import text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(1800)]

VENDORS: Mapping[str, Vendor] = {**built_in_vendors(), "vendure": Vendure()}
UNKNOWN = {"ghost": f"label-{'f' * 24}", "mailman": "nobody.example.com", "vendure": "999999"}
PATIENT = {"AUDIENCE_MCP_DEADLINE_S": "600", "AUDIENCE_MCP_MAX_CHARS": "1000000"}
Answer = dict[str, Any]


def each_server(fixture: str, *names: str) -> pytest.MarkDecorator:
    """The test, for each real server, or for these."""
    return pytest.mark.parametrize(fixture, names or tuple(SERVERS), indirect=True)


def vendor_of(server: RealServer) -> str:
    """The name of the source that reads a server."""
    return next(name for name, kind in SERVERS.items() if type(server) is kind)


@asynccontextmanager
async def connected(
    server: RealServer, variables: Mapping[str, str] | None = None, spoiled: bool = False
) -> AsyncIterator[Client]:
    """A client of audience-mcp, which reads the server. spoiled: whether the server stops in mid-reading."""
    given = {**PATIENT, **server.environment(), **(variables or {})}
    configured = load_configuration(given, [VENDORS[vendor_of(server)]])
    pool = Pool()

    def connect(account: Account) -> Fetch:
        return stopping(server, VendorClient(account, pool, Clock()).fetch)

    def opened() -> Any:
        return open_catalog(configured, connect=connect if spoiled else None)

    try:
        async with Client(build_server(configured, opened)) as client:
            yield client
    finally:
        await pool.aclose()


def stopping(server: RealServer, fetch: Fetch) -> Fetch:
    """Fetches until the first answer has come, and stops the server before the next request."""
    answered: list[object] = []

    async def stop_then_fetch(request: Request) -> object:
        if answered:
            await run_sync(server.stop)
        answered.append(await fetch(request))
        return answered[-1]

    return stop_then_fetch


async def ask(client: Client, tool: str, **arguments: Any) -> Answer:
    """The structured answer of a tool, which is none of its errors."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    return dict(result.structured_content)


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """The text of a tool's error."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return text_of(result)


def sizes_in(answer: Answer) -> dict[str, int | None]:
    """The size of each audience, by name."""
    sizes = {row["name"]: row.get("size") for row in answer["audiences"]}
    assert len(sizes) == answer["matched"] == answer["returned"]
    return sizes


@each_server("filled")
async def test_every_size_is_exact_over_all_pages_and_so_is_every_name(filled: RealServer) -> None:
    async with connected(filled) as client:
        answer = await ask(client, "list_audiences", limit=1000, detail="full")
    assert sizes_in(answer) == filled.truth
    assert answer["complete"]
    assert (answer["sum_of_sizes"], answer["unknown_sizes"]) == (sum(filled.truth.values()), 0)
    (report,) = answer["sources"]
    assert report["complete"]
    assert "error" not in report


@each_server("filled", "ghost", "mailman")
async def test_the_program_itself_reads_it_over_stdio(filled: RealServer) -> None:
    variables = environment(**PATIENT, **filled.environment())
    program = StdioServerParameters(command=sys.executable, args=["-m", "audience_mcp"], env=variables)
    async with Client(program) as client:
        answer = await ask(client, "list_audiences", limit=1000)
    assert sizes_in(answer) == filled.truth
    assert answer["complete"]


@each_server("filled")
async def test_names_in_other_scripts_find_their_audience_and_its_ref_leads_back(filled: RealServer) -> None:
    async with connected(filled) as client:
        for number in range(8):
            name = name_of(number)
            (found,) = (await ask(client, "get_audience", audience=name))["audiences"]
            assert (found["name"], found["size"]) == (name, filled.truth[name])
            (again,) = (await ask(client, "get_audience", audience=found["ref"], refresh=True))["audiences"]
            assert (again["ref"], again["size"]) == (found["ref"], filled.truth[name])


@each_server("filled")
async def test_one_audience_is_requested_alone_and_comes_with_its_size(filled: RealServer) -> None:
    async with connected(filled) as client:
        (listed,) = (await ask(client, "get_audience", audience=name_of(5)))["audiences"]
    async with connected(filled) as client:
        answer = await ask(client, "get_audience", audience=listed["ref"])
        (alone,) = answer["audiences"]
    assert alone == listed
    assert "audiences" not in answer["sources"][0]  # nothing was listed


@each_server("filled")
async def test_a_ref_that_is_nobodys_is_an_error_that_says_so(filled: RealServer) -> None:
    vendor = vendor_of(filled)
    async with connected(filled) as client:
        said = await refusal(client, "get_audience", audience=f"{vendor}:{UNKNOWN[vendor]}")
    assert "No audience" in said
    assert vendor in said


@pytest.mark.parametrize(
    ("filled", "wrong"),
    [
        ("ghost", {"GHOST_ADMIN_API_KEY": f"{'0' * 24}:{'0' * 64}"}),
        ("ghost", {"GHOST_ADMIN_API_KEY": "the right name"}),
        ("mailman", {"MAILMAN_REST_PASSWORD": "wrong-on-purpose"}),
        ("mailman", {"MAILMAN_REST_USER": "nobody"}),
        ("vendure", {"VENDURE_API_TOKEN": "wrong-on-purpose"}),
    ],
    indirect=["filled"],
)
async def test_a_wrong_key_is_refused_and_never_an_empty_account(
    filled: RealServer, wrong: dict[str, str]
) -> None:
    if "the right name" in wrong.values():  # of a key whose secret is another
        wrong = {"GHOST_ADMIN_API_KEY": f"{filled.environment()['GHOST_ADMIN_API_KEY'][:24]}:{'0' * 64}"}
    async with connected(filled, wrong) as client:
        said = await refusal(client, "list_audiences")
        assert "refused the key" in said
        assert next(iter(wrong)) in said
        assert not any(value in said for value in wrong.values())
        assert "refused the key" in await refusal(client, "get_audience", audience=name_of(1))


@each_server("filled", "ghost")
async def test_a_clock_that_is_ten_minutes_slow_is_refused_and_that_is_said(
    filled: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Clock.utc
    monkeypatch.setattr(Clock, "utc", lambda clock: right(clock) - timedelta(minutes=10))
    async with connected(filled) as client:
        assert "clock" in await refusal(client, "list_audiences")


@each_server("filled", "ghost")
async def test_newsletters_say_where_nothing_is_sent(filled: RealServer) -> None:
    async with connected(filled) as client:
        answer = await ask(client, "list_audiences", limit=1000, detail="full")
    letters = [row for row in answer["audiences"] if row["kind"] == "newsletter"]
    assert len(letters) == 1 + len(LETTERS)
    noted = {row["name"] for row in letters if row.get("size_note")}
    assert noted == {name for name, status in LETTERS.items() if status == "archived"}
    # Nobody's address bounces there.
    assert all(row["details"]["members"] == row["size"] for row in letters)


@each_server("empty")
async def test_a_new_server_has_what_it_brings_itself_and_that_is_complete(empty: RealServer) -> None:
    async with connected(empty) as client:
        answer = await ask(client, "list_audiences")
        said = await refusal(client, "get_audience", audience=name_of(1))
    assert sizes_in(answer) == empty.truth
    assert answer["complete"]
    assert answer["sum_of_sizes"] == 0
    assert "No audience" in said


@each_server("doomed")
async def test_a_server_that_stops_in_mid_reading_leaves_a_part_that_is_called_one(
    doomed: RealServer,
) -> None:
    async with connected(doomed, spoiled=True) as client:
        answer = await ask(client, "list_audiences", limit=1000)
    sizes = sizes_in(answer)
    assert 100 <= len(sizes) < len(doomed.truth)
    assert sizes.items() <= doomed.truth.items()
    assert answer["sum_of_sizes"] == sum(size or 0 for size in sizes.values())
    assert not answer["complete"]
    (report,) = answer["sources"]
    assert not report["complete"]
    assert report["error"]["kind"] == "unavailable"

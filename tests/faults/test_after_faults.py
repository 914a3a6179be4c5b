"""What a fault leaves behind: the next call goes on, and other hosts and dead vendors are left alone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.config import load_configuration
from audience_mcp.sandbox import Answer, Asked, Sandbox
from audience_mcp.server.tools import build_server
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Pool
from audience_mcp.vendors import Fields, Listing, NextLink, Setting, Vendor
from audience_mcp.vendors.registry import built_in_vendors
from tests.faults.data import PAGED, PER_PAGE, ROWS, VENDORS, id_of, sizes, target, totals
from tests.faults.playing import KEYS
from tests.support import faults
from tests.support.clock import FakeClock
from tests.support.faults import (
    MARKER,
    Exchange,
    Fault,
    FaultServer,
    refused,
    rewritten,
    serving,
    with_cursor,
)
from tests.support.served import FOUR

pytestmark = pytest.mark.anyio


class Asker:
    """A client of one server over vendors that can misbehave; one clock for everything."""

    def __init__(self, client: Client, server: FaultServer, clock: FakeClock) -> None:
        self.client = client
        self.server = server
        self.clock = clock

    async def ask(self, tool: str = "list_audiences", **arguments: Any) -> dict[str, Any] | str:
        """The answer, or the text of a tool error."""
        with anyio.fail_after(20):
            result = await self.client.call_tool(tool, arguments)
        text = "".join(getattr(content, "text", "") for content in result.content)
        assert MARKER not in text
        assert not any(key in text for key in KEYS)
        return text if result.is_error else result.structured_content or {}

    async def answer(self, **arguments: Any) -> dict[str, Any]:
        answer = await self.ask(**arguments)
        assert isinstance(answer, dict), answer
        return answer

    async def exact(self, vendor: str, **arguments: Any) -> None:
        """Ask for all of a vendor; the totals are those of all its rows."""
        answer = await self.answer(sources=[vendor], limit=0, **arguments)
        expected = totals(sizes(vendor, ROWS[vendor]))
        assert answer["complete"], answer
        assert (answer["matched"], answer["sum_of_sizes"]) == (expected.matched, expected.sum_of_sizes)

    def pages_asked(self, vendor: str) -> list[int]:
        return [seen.page for seen in self.server.asked_of(vendor) if seen.kind == "list"]


@asynccontextmanager
async def asker(
    *kinds: type[Vendor], others: Mapping[str, Callable[[Asked], Answer]] | None = None, **variables: str
) -> AsyncIterator[Asker]:
    clock, pool = FakeClock(), Pool()
    async with serving(FaultServer(Sandbox(ROWS, FOUR), dict(others or {}), PER_PAGE)) as server:
        environment = {
            **server.sandbox.environment(server.origin),
            **{name: value.format(origin=server.origin) for name, value in variables.items()},
        }
        configured = load_configuration(
            environment, [kind() for kind in kinds] if kinds else built_in_vendors()
        )

        def connect(account: Any) -> Any:
            return VendorClient(account, pool, clock).fetch

        def opened() -> Any:
            return open_catalog(configured, clock=clock, connect=connect)

        try:
            async with Client(build_server(configured, opened)) as client:
                yield Asker(client, server, clock)
        finally:
            await pool.aclose()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (refused(401), "refused the key"),
        (refused(500), "is temporarily unavailable (HTTP 500)"),
        (refused(429, Retry_After="3600"), "is rate limiting this key. Try again in 3,600 s"),
        (faults.html(200), "sent a web page instead of data"),
        (faults.cut_off, "closed the connection before its response was complete"),
        (faults.reset_before_headers, "closed the connection before its response was complete"),
        (faults.replied(200, []), "not in the documented format"),
    ],
    ids=["401", "500", "pause", "web page", "cut off", "reset", "wrong shape"],
)
async def test_where_nothing_can_be_read_there_are_no_totals_but_a_reason(
    vendor: str, fault: Fault, says: str
) -> None:
    async with asker() as a:
        a.server.play(fault)
        text = await a.ask(sources=[vendor])
        assert isinstance(text, str)
        assert says in text
        assert "matched" not in text


@pytest.mark.parametrize("vendor", PAGED)
@pytest.mark.parametrize(
    "fault",
    [refused(503), refused(429), faults.cut_off, faults.reset_before_headers],
    ids=["503", "429", "cut off", "reset"],
)
@pytest.mark.parametrize("page", [2, 3])
async def test_after_a_passing_fault_the_next_call_reads_on_from_the_failed_page(
    vendor: str, fault: Fault, page: int
) -> None:
    async with asker() as a:
        a.server.play(fault, vendor, page=page)
        answer = await a.answer(sources=[vendor], limit=0)
        assert (answer["complete"], answer["matched"]) == (False, PER_PAGE * (page - 1))
        a.server.heal()
        before = len(a.pages_asked(vendor))
        await a.exact(vendor)
        assert a.pages_asked(vendor)[before:] == list(range(page, 4))


@pytest.mark.parametrize("vendor", PAGED)
async def test_a_reading_goes_on_behind_an_answer_given_at_the_deadline(vendor: str) -> None:
    async with asker() as a:
        release = anyio.Event()

        async def slow(exchange: Exchange) -> None:
            a.clock.advance(44.6)
            await release.wait()
            await faults.honestly(exchange)

        a.server.play(slow, vendor, page=3, times=1)
        answer = await a.answer(sources=[vendor], limit=0)
        assert (answer["complete"], answer["matched"]) == (False, 2 * PER_PAGE)
        (report,) = answer["sources"]
        assert report["error"]["kind"] == "timeout"
        assert re.search(r"40( of 52)? audiences read", report["error"]["message"])
        release.set()
        await a.exact(vendor)
        assert a.pages_asked(vendor) == [1, 2, 3]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_source_that_asked_for_an_hour_is_left_alone_by_both_tools(vendor: str) -> None:
    ref = f"{vendor}:{id_of(vendor, target(vendor, 'first'))}"
    async with asker() as a:
        a.server.play(refused(429, Retry_After="3600"), vendor, times=1)
        for _ in range(3):
            assert isinstance(await a.ask(sources=[vendor]), str)
            assert isinstance(await a.ask("get_audience", audience=ref), str)
        assert len(a.server.asked_of(vendor)) == 1
        a.clock.advance(3600)
        await a.exact(vendor)


async def test_a_dead_vendor_soon_costs_a_call_one_request_and_the_others_nothing() -> None:
    async with asker() as a:
        a.server.play(refused(500), "commbox")
        asked = []
        for _ in range(5):
            before = len(a.server.asked_of("commbox"))
            answer = await a.answer(refresh=True, limit=0)
            asked.append(len(a.server.asked_of("commbox")) - before)
            reports = {report["source"]: report for report in answer["sources"]}
            assert not answer["complete"]
            assert [name for name, report in reports.items() if report["complete"]] == [
                "batch",
                "smallest",
                "whop",
            ]
            assert "audiences" not in reports["commbox"]
        assert asked == [4, 4, 1, 1, 1]


@pytest.mark.parametrize("vendor", PAGED)
async def test_a_list_without_end_is_left_at_its_first_repetition(vendor: str) -> None:
    """However often it is asked, it costs no more than its pages."""

    def own_again(exchange: Exchange, body: Any) -> object:
        given = exchange.seen.asked.query[faults.CURSORS[vendor]]
        return with_cursor(vendor, body, given[0])

    async with asker() as a:
        a.server.play(rewritten(own_again), vendor, page=2)
        for _ in range(3):
            answer = await a.answer(sources=[vendor], limit=0)
            assert (answer["complete"], answer["matched"]) == (False, 2 * PER_PAGE)
        assert a.pages_asked(vendor) == [1, 2]


async def test_the_last_complete_reading_answers_while_the_vendor_is_down() -> None:
    async with asker() as a:
        await a.exact("whop")
        a.server.play(refused(500), "whop")
        a.clock.advance(600)
        answer = await a.answer(sources=["whop"], limit=0)
        assert answer["matched"] == len(ROWS["whop"])
        assert "as of its last complete reading" in answer["notes"][0]


# --- a vendor whose pages name the next one by its whole address ----------------------------------------


class Linked(Vendor):
    """Pages of `{"items": [...], "next": absolute URL or null}`."""

    name = "linked"
    title = "Linked"
    settings = (
        Setting("api_key", ("LINKED_API_KEY",), "API key", required=True, secret=True),
        Setting("base_url", ("LINKED_BASE_URL",), "Base URL", default="https://linked.example"),
    )
    listings = (
        Listing(
            "items",
            rows="items",
            paging=NextLink("next"),
            fields=Fields("size", name="id"),
            counts="people",
            ids="l[0-9]+",
        ),
    )


def linked(links: Sequence[str]) -> Callable[[Asked], Answer]:
    """Two audiences of size 5 a page, and these links to the next."""

    def answer(asked: Asked) -> Answer:
        page = int(asked.query.get("page", ["1"])[0])
        items = [{"id": f"l{2 * page + number}", "size": 5} for number in (0, 1)]
        return Answer(200, {"items": items, "next": links[page - 1] if page <= len(links) else None})

    return answer


async def test_links_of_the_same_origin_are_followed_to_the_end() -> None:
    links: list[str] = []
    settings = {"LINKED_API_KEY": "key-of-linked", "LINKED_BASE_URL": "{origin}/linked"}
    async with asker(Linked, others={"linked": linked(links)}, **settings) as a:
        links += [f"{a.server.origin}/linked/items?page={page}" for page in (2, 3)]
        answer = await a.answer(limit=0)
        assert (answer["complete"], answer["matched"], answer["sum_of_sizes"]) == (True, 6, 30)


@pytest.mark.parametrize(
    "link",
    [
        "http://localhost:{port}/linked/items?page=2",
        "http://127.0.0.1:{port}/linked/items?page=2",
        "https://127.0.0.1:{own}/linked/items?page=2",
        "http://127.0.0.1:{own}@localhost:{port}/linked/items?page=2",
        "ftp://127.0.0.1:{own}/x",
        "http://[",
        "http://\x00",
    ],
)
async def test_a_link_to_another_origin_ends_the_reading_and_carries_no_key_there(link: str) -> None:
    links: list[str] = []
    settings = {"LINKED_API_KEY": "key-of-linked", "LINKED_BASE_URL": "{origin}/linked"}
    async with (
        serving(FaultServer(Sandbox({}, FOUR))) as elsewhere,
        asker(Linked, others={"linked": linked(links)}, **settings) as a,
    ):
        links.append(link.format(port=elsewhere.port, own=a.server.port))
        answer = await a.answer(limit=0)
        assert (answer["complete"], answer["matched"], answer["sum_of_sizes"]) == (False, 2, 10)
        (report,) = answer["sources"]
        assert report["error"]["kind"] == "bad_response"
        assert elsewhere.connections == 0
        assert len(a.server.seen) == 1

"""One page of every source: is it reached, what is wrong, how many audiences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import pytest

from audience_mcp.catalog.check import Checked, all_ok, check
from audience_mcp.config import Configuration, load_configuration
from audience_mcp.sandbox import Answer, Asked, Sandbox
from audience_mcp.sandbox.app import serve
from audience_mcp.vendors.registry import load_vendors
from tests.contract.cases import CASES
from tests.faults.reported import reported
from tests.support.clock import FakeClock
from tests.support.served import FOUR, Recording

pytestmark = pytest.mark.anyio

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def configured(origin: str, **changed: str | None) -> Configuration:
    variables: dict[str, str | None] = {**Sandbox(vendors=FOUR).environment(origin), **changed}
    return load_configuration({k: v for k, v in variables.items() if v is not None}, load_vendors().values())


async def checked(
    sandbox: Sandbox | None = None, clock: FakeClock | None = None, **changed: str | None
) -> dict[str, Checked]:
    async with serve(sandbox) as origin:
        return {one.source: one for one in await check(configured(origin, **changed), clock=clock)}


class Answering(Sandbox):
    """A sandbox whose one vendor answers everything with one answer."""

    def __init__(
        self, vendor: str, status: int, body: object, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.vendor, self.always = vendor, Answer(status, body, headers or {})

    def answer(self, asked: Asked) -> Answer:
        return self.always if asked.path.startswith(f"/{self.vendor}/") else super().answer(asked)


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_every_source_is_asked_for_one_page_and_no_more() -> None:
    sandbox = Recording()
    found = await checked(sandbox)
    assert all_ok(list(found.values()))
    assert sorted(asked.path.split("/")[1] for asked in sandbox.asked) == sorted(found)
    assert len(sandbox.rows["whop"]) > 100


@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize(("vendor", "listed"), [("batch", "audiences"), ("klaviyo", "lists")])
async def test_a_listing_that_cannot_be_read_is_told_though_another_can(
    vendor: str, listed: str, status: int
) -> None:
    class Refusing(Sandbox):
        def answer(self, asked: Asked) -> Answer:
            refused = asked.path.startswith(f"/{vendor}/") and f"/{listed}" in asked.path
            return Answer(status, {}) if refused else super().answer(asked)

    sandbox = Refusing(vendors=[vendor])
    async with serve(sandbox) as origin:
        configured = load_configuration(sandbox.environment(origin), load_vendors().values())
        (found,) = await check(configured, clock=FakeClock())
    assert not found.ok
    assert found.error is not None
    assert found.error.message.startswith(f"{vendor}: {listed} could not be read. ")


async def test_a_count_is_exact_where_it_can_be_known_from_a_page_and_else_a_lower_bound() -> None:
    sandbox = Sandbox(vendors=FOUR)
    found = await checked(sandbox)
    told = {name: (one.audiences, one.at_least) for name, one in found.items()}
    assert told == {
        "commbox": (len(sandbox.rows["commbox"]), None),
        "batch": (230, True),  # Batch counts its audiences on their first page, and segments on theirs
        "smallest": (len(sandbox.rows["smallest"]), None),
        "whop": (100, True),
    }


async def test_sources_are_asked_side_by_side() -> None:
    everyone, asking = asyncio.Event(), 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asking
        await reader.readuntil(b"\r\n\r\n")
        asking += 1
        if asking == 4:
            everyone.set()
        await everyone.wait()  # one after the other, they would wait here for ever
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    with anyio.fail_after(20):
        async with listening(handler) as origin:
            found = await check(configured(origin))
    assert [one.error.kind if one.error else None for one in found] == ["unauthorized"] * 4


@pytest.mark.parametrize(
    ("status", "body", "kind", "advice"),
    [
        (401, {}, "unauthorized", "WHOP_API_KEY"),
        (403, {}, "forbidden", "audience:basic:read"),
        (404, {}, "not_found", "WHOP_BASE_URL"),
        (500, {}, "unavailable", "Try again later"),
        (200, "<html>hello</html>", "bad_response", "WHOP_BASE_URL"),
        (200, {"unexpected": True}, "bad_response", "not in the documented format"),
    ],
)
async def test_what_is_wrong_is_told_with_how_to_mend_it_and_the_other_sources_are_fine(
    status: int, body: object, kind: str, advice: str
) -> None:
    found = await checked(Answering("whop", status, body), FakeClock())
    error = found["whop"].error
    assert error is not None
    assert (found["whop"].ok, error.kind) == (False, kind)
    assert advice in error.message
    assert found["whop"].audiences is None
    assert [name for name, one in found.items() if one.ok] == ["commbox", "batch", "smallest"]
    assert not all_ok(list(found.values()))


async def test_a_source_that_lacks_a_variable_fails_without_being_asked() -> None:
    sandbox = Recording()
    found = await checked(sandbox, WHOP_ACCOUNT_ID=None)
    error = found["whop"].error
    assert error is not None
    assert (error.kind, found["whop"].seconds) == ("not_configured", 0)
    assert "Set WHOP_ACCOUNT_ID" in error.message
    assert not any(asked.path.startswith("/whop") for asked in sandbox.asked)


async def test_further_accounts_are_sources_of_their_own() -> None:
    found = await checked(BATCH_PROJECT_KEY_FR="project_that_is_not_there")
    assert found["batch"].ok
    assert not found["batch-fr"].ok
    error = found["batch-fr"].error
    assert error is not None
    assert "BATCH_PROJECT_KEY_FR" in error.message


async def test_a_vendor_that_never_answers_is_given_up_at_the_deadline() -> None:
    clock, over = FakeClock(), asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        clock.advance(50)
        await over.wait()
        writer.close()

    with anyio.fail_after(20):
        async with listening(handler) as origin:
            only = {"COMMBOX_API_KEY": "key-0123456789", "COMMBOX_BASE_URL": origin}
            (one,) = await check(load_configuration(only, load_vendors().values()), clock=clock)
            over.set()
    assert one.error is not None
    assert (one.error.kind, one.seconds) == ("timeout", 50)
    assert "within 45 s" in one.error.message


async def test_each_source_is_told_of_as_it_comes_and_the_result_is_in_the_order_configured() -> None:
    told: list[str] = []

    async def tell(one: Checked) -> None:
        told.append(one.source)

    async with serve() as origin:
        found = await check(configured(origin), tell)
    assert sorted(told) == sorted(one.source for one in found)
    assert [one.source for one in found] == ["commbox", "batch", "smallest", "whop"]


async def test_no_source_at_all_is_not_all_ok() -> None:
    found = await check(load_configuration({}, load_vendors().values()))
    assert found == []
    assert not all_ok(found)


@pytest.mark.parametrize(("refused", "kind"), [(True, "forbidden"), (False, None)])
async def test_one_size_is_requested_where_sizes_cost_requests(refused: bool, kind: str | None) -> None:
    case = CASES["braze"]

    def answered(asked: Asked) -> Answer | None:
        counts = asked.path.endswith("data_series")
        return Answer(403, {"message": "not permitted for this API key"}) if refused and counts else None

    async with reported(case, case.rows, answered) as there:
        (found,) = await check(there.configured, clock=there.clock)
        counted = {
            asked.query["segment_id"][0] for asked in there.asked if asked.path.endswith("data_series")
        }
    assert (found.ok, found.error and found.error.kind) == (not refused, kind)
    assert len(counted) == 1

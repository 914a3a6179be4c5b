"""One account's HTTP, over real sockets: what goes out, what comes back, when it is tried again."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import anyio
import pytest

from audience_mcp.config import Account, load_configuration
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import PagingStopped, VendorError
from audience_mcp.sandbox import Sandbox
from audience_mcp.sources.client import RETRY_BUDGET, VendorClient
from audience_mcp.sources.connections import Limits, Pool
from audience_mcp.vendors import Request
from audience_mcp.vendors.registry import built_in_vendors
from tests.support import faults
from tests.support.clock import START, FakeClock
from tests.support.faults import MARKER, MEBIBYTE, Exchange, Fault, FaultServer, refused, replied, serving
from tests.support.served import FOUR

pytestmark = pytest.mark.anyio

VENDORS = ("commbox", "batch", "smallest", "whop")
SANDBOX = Sandbox(vendors=FOUR)
RETRIED = [408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 527, 530, 599]
NOT_RETRIED = [204, 206, 301, 302, 304, 307, 400, 401, 402, 403, 404, 405, 409, 410, 422, 501, 505, 511]


def account_at(origin: str, vendor: str = "whop", **variables: str) -> Account:
    """The account of the sandbox at `origin`, with some variables of its own."""
    kinds = [built_in_vendors()[vendor]]
    account = load_configuration({**SANDBOX.environment(origin), **variables}, kinds).sources[0].account
    assert account is not None
    return account


@dataclass
class Asking:
    """A vendor that can be told to misbehave, and the way to it."""

    server: FaultServer
    account: Account
    api: VendorClient
    pool: Pool
    clock: FakeClock

    @property
    def first(self) -> Request:
        return self.account.vendor.listings[0].request(self.account.values)

    async def fetch(self, request: Request | None = None) -> object:
        with anyio.fail_after(20):
            return await self.api.fetch(request or self.first)

    async def fails(self, request: Request | None = None) -> VendorError:
        with pytest.raises(VendorError) as raised:
            await self.fetch(request)
        error = raised.value
        assert MARKER not in error.message
        assert not any(secret in error.message for secret in self.account.secrets)
        return error

    @property
    def times_asked(self) -> int:
        return len(self.server.asked_of(self.account.vendor.name))


@asynccontextmanager
async def asking(
    vendor: str = "whop", *, limits: Limits | None = None, clock: FakeClock | None = None, **variables: str
) -> AsyncIterator[Asking]:
    clock = clock or FakeClock()
    async with serving(FaultServer(SANDBOX)) as server:
        account = account_at(server.origin, vendor, **variables)
        pool = Pool(limits)
        try:
            yield Asking(server, account, VendorClient(account, pool, clock), pool, clock)
        finally:
            await pool.aclose()


def date_in(seconds: float) -> str:
    return format_datetime(START + timedelta(seconds=seconds), usegmt=True)


# --- what goes out ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "target", "headers"),
    [
        ("commbox", "/commbox/audiences", {}),
        ("batch", "/batch/2.11/audiences/list?limit=100", {"x-batch-project"}),
        ("smallest", "/smallest/atoms/v1/audience", {}),
        ("whop", "/whop/api/v1/audiences?account_id=biz_5andb0xAcc0unt&first=100", {}),
    ],
)
async def test_a_request_says_what_the_vendor_documents_and_nothing_else(
    vendor: str, target: str, headers: set[str]
) -> None:
    async with asking(vendor) as a:
        await a.fetch()
        (seen,) = a.server.seen
    assert (seen.asked.method, seen.target, seen.asked.body) == ("GET", target, b"")
    usual = {"host", "accept", "accept-encoding", "user-agent", "connection", "authorization"}
    assert set(seen.asked.headers) == usual | set(headers)
    assert seen.asked.headers["accept"] == "application/json"
    assert seen.asked.headers["user-agent"].startswith("audience-mcp/")


async def test_parameters_are_sent_as_they_are_and_encoded() -> None:
    async with asking("whop") as a:
        with pytest.raises(VendorError):
            await a.fetch(a.first.with_params(after="a&b=c d/é+%20"))
        assert a.server.seen[0].asked.query["after"] == ["a&b=c d/é+%20"]
        assert set(a.server.seen[0].asked.query) == {"account_id", "first", "after"}


async def test_a_link_of_the_same_origin_is_followed_with_its_own_parameters() -> None:
    async with asking("whop") as a:
        link = f"{a.account.base_url}/audiences?account_id=biz_5andb0xAcc0unt&first=50"
        body = await a.fetch(Request(link))
        assert isinstance(body, dict)
        assert len(body["data"]) == 50


async def test_a_body_is_sent_with_a_post_alone() -> None:
    async with asking("whop") as a:
        with pytest.raises(VendorError):
            await a.fetch(Request("audiences", method="POST", json={"after": None}))
        asked = a.server.seen[0].asked
        assert (asked.method, json.loads(asked.body)) == ("POST", {"after": None})
        assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "link",
    [
        "http://localhost:{port}/whop/api/v1/audiences",
        "http://127.0.0.1:1/whop/api/v1/audiences",
        "https://127.0.0.1:{port}/whop/api/v1/audiences",
        "http://127.0.0.1@localhost:{port}/x",
        "http://127.0.0.1:{port}@localhost:{port}/x",
        "http://127.0.0.1:{port}.localhost:{port}/x",
        "http://[::1]:{port}/x",
        "ftp://127.0.0.1:{port}/x",
        "://127.0.0.1:{port}/x",
        "http://",
        "http://[",
        "http://127.0.0.1:port/",
        "http://\x00/",
    ],
)
async def test_a_link_to_another_origin_is_never_followed(link: str) -> None:
    async with asking("whop") as a:
        error = await a.fails(Request(link.format(port=a.server.port)))
        assert isinstance(error, PagingStopped)
        assert error.kind == "bad_response"
        assert a.server.connections == 0


@pytest.mark.parametrize("path", ["//localhost/x", "/\\localhost/x", "x?a=http://localhost/"])
async def test_a_path_that_looks_like_another_host_stays_with_the_vendor(path: str) -> None:
    async with asking("whop") as a:
        with pytest.raises(VendorError):
            await a.fetch(Request(path))
        assert all(seen.target.startswith("/whop/api/v1/") for seen in a.server.seen)


@pytest.mark.parametrize("cursor", ["=" * 60_000, "\ud800", "é" * 20_000], ids=["long", "surrogate", "wide"])
async def test_a_cursor_that_fits_into_no_address_ends_the_reading(cursor: str) -> None:
    async with asking("whop") as a:
        error = await a.fails(a.first.with_params(after=cursor))
        assert isinstance(error, PagingStopped)
        assert a.times_asked == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_redirect_is_not_followed_and_the_key_stays(vendor: str, status: int) -> None:
    async with serving(FaultServer(SANDBOX)) as elsewhere, asking(vendor) as a:
        a.server.play(faults.redirect(status, f"http://localhost:{elsewhere.port}"))
        error = await a.fails()
        assert error.kind == "bad_response"
        assert "redirect" in error.message
        assert a.account.variables["base_url"] in error.message
        assert a.times_asked == 1
        assert elsewhere.connections == 0


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_redirect_to_the_vendor_itself_is_not_followed_either(vendor: str) -> None:
    async with asking(vendor) as a:
        a.server.play(replied(307, b"", {"Location": a.server.origin + "/elsewhere"}))
        assert (await a.fails()).kind == "bad_response"
        assert len(a.server.seen) == 1


async def test_cookies_are_not_kept_between_requests() -> None:
    async with asking("whop") as a:
        cookies = {"Set-Cookie": "session=of-one-account; Path=/"}
        a.server.play(faults.honestly, times=1, after=2)
        a.server.play(replied(500, b"", cookies), times=1)
        a.server.play(replied(200, {"data": [], "page_info": {}}, cookies), times=1)
        await a.fetch()
        await a.fetch()
        assert a.times_asked == 3
        assert not any("cookie" in seen.asked.headers for seen in a.server.seen)


async def test_connections_are_used_again() -> None:
    async with asking("whop") as a:
        for _ in range(5):
            await a.fetch()
        assert (a.times_asked, a.server.connections) == (5, 1)


async def test_loopback_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(FaultServer(SANDBOX)) as proxy, asking("whop") as a:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        await a.fetch()
        assert a.times_asked == 1
        assert proxy.connections == 0


async def test_other_hosts_are_reached_through_the_proxy_which_sees_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(FaultServer(SANDBOX)) as proxy:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        account = account_at("x", "whop", WHOP_BASE_URL="https://whop.invalid/api/v1")
        pool = Pool()
        try:
            with pytest.raises(VendorError) as raised:
                await VendorClient(account, pool, FakeClock()).fetch(Request("audiences"))
        finally:
            await pool.aclose()
        assert raised.value.kind == "unavailable"
        assert "could not be reached" in raised.value.message
        assert {(seen.asked.method, seen.target) for seen in proxy.seen} == {("CONNECT", "whop.invalid:443")}
        assert not any("authorization" in seen.asked.headers for seen in proxy.seen)


# --- what is tried again ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", RETRIED)
async def test_a_passing_status_is_tried_again_until_it_has_passed(status: int) -> None:
    async with asking("whop") as a:
        a.server.play(refused(status), times=3)
        assert isinstance(await a.fetch(), dict)
        assert a.times_asked == 4


@pytest.mark.parametrize("status", RETRIED)
async def test_a_status_that_does_not_pass_costs_four_attempts(status: int) -> None:
    async with asking("whop") as a:
        a.server.play(refused(status))
        error = await a.fails()
        assert error.passing
        assert a.times_asked == 4


@pytest.mark.parametrize("status", NOT_RETRIED)
async def test_any_other_status_is_asked_once(status: int) -> None:
    async with asking("whop") as a:
        a.server.play(replied(status, b""))
        await a.fails()
        assert a.times_asked == 1
        assert a.clock.slept == []


@pytest.mark.parametrize(
    "fault",
    [
        faults.reset_before_headers,
        faults.close_before_headers,
        faults.reset_in_body,
        faults.cut_off,
        faults.cut_off_without_length,
        faults.not_http(),
        faults.zipped(keep=0.5, framed=False),
        faults.zipped(keep=0.02, framed=False),
        faults.zipped(keep=0.5),
    ],
    ids=[
        "reset",
        "closed",
        "reset in body",
        "cut off",
        "cut off without length",
        "no http",
        "half gzip",
        "no gzip",
        "short gzip",
    ],
)
async def test_a_broken_connection_is_tried_again(fault: Fault) -> None:
    async with asking("whop") as a:
        honest = await a.fetch()
        a.server.play(fault, times=3)
        assert await a.fetch() == honest
        assert a.times_asked == 5
        a.server.play(fault)
        error = await a.fails()
        assert error.kind == "unavailable"


@pytest.mark.parametrize("fault", [faults.hang_before_headers, faults.hang_in_body])
async def test_a_vendor_that_falls_silent_is_tried_again_then_given_up(fault: Fault) -> None:
    async with asking("whop", limits=Limits(read_s=0.1)) as a:
        a.server.play(fault, times=1)
        assert isinstance(await a.fetch(), dict)
        assert a.times_asked == 2
        a.server.play(fault)
        error = await a.fails()
        assert error.kind == "timeout"
        assert a.times_asked == 6


async def test_an_answer_of_one_byte_a_second_is_given_up_after_a_minute() -> None:
    async with asking("whop") as a:
        a.server.play(faults.drip(lambda: a.clock.advance(1)))
        began = a.clock.time
        error = await a.fails()
        assert error.kind == "timeout"
        assert a.times_asked == 4
        assert 4 * 60 <= a.clock.time - began < 4 * 60 + 20


async def test_a_whole_answer_has_a_time_limit_in_real_time_too() -> None:
    async with serving(FaultServer(SANDBOX)) as server:
        account = account_at(server.origin)
        pool = Pool(Limits(read_s=5, whole_s=0.1))
        try:
            server.play(faults.hang_in_body)
            api = VendorClient(account, pool, _Hurried())
            with anyio.fail_after(10), pytest.raises(VendorError) as raised:
                await api.fetch(account.vendor.listings[0].request(account.values))
        finally:
            await pool.aclose()
        assert raised.value.kind == "timeout"
        assert "did not complete" in raised.value.message


class _Hurried(Clock):
    """The real clock, with no pauses between attempts."""

    async def sleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()


async def test_a_vendor_that_is_not_there_is_tried_again() -> None:
    async with asking("whop") as a:
        port = a.server.port
    clock, pool = FakeClock(), Pool()
    account = account_at(f"http://127.0.0.1:{port}")
    try:
        with pytest.raises(VendorError) as raised:
            await VendorClient(account, pool, clock).fetch(Request("audiences"))
    finally:
        await pool.aclose()
    assert raised.value.kind == "unavailable"
    assert "WHOP_BASE_URL" in raised.value.message
    assert len(clock.slept) == 3


async def test_the_pause_between_attempts_doubles_and_is_thrown_by_dice() -> None:
    async with asking("whop", clock=FakeClock(dice=0.5)) as a:
        a.server.play(refused(503))
        await a.fails()
        assert a.clock.slept == [0.5, 1, 2]
    async with asking("whop", clock=FakeClock(dice=0)) as a:
        a.server.play(refused(503))
        await a.fails()
        assert a.clock.slept == [0, 0, 0]


async def test_a_dead_vendor_soon_costs_one_attempt_a_call() -> None:
    async with asking("whop") as a:
        a.server.play(refused(500))
        asked = []
        for _ in range(5):
            before = a.times_asked
            await a.fails()
            asked.append(a.times_asked - before)
        assert asked == [4, 4, 1, 1, 1]
        assert sum(asked) == 5 + RETRY_BUDGET


async def test_the_allowance_comes_back_with_good_answers() -> None:
    async with asking("whop") as a:
        a.server.play(refused(500), times=8)
        await a.fails()
        await a.fails()
        await a.fetch()
        a.server.play(refused(500), times=2)
        await a.fetch()
        a.server.play(refused(500), times=4)
        await a.fails()
        assert a.times_asked == 4 + 4 + 1 + 3 + 3


async def test_one_sources_allowance_is_not_anothers() -> None:
    async with asking("whop") as a, asking("batch") as b:
        a.server.play(refused(500))
        for _ in range(3):
            await a.fails()
        b.server.play(refused(500), times=3)
        await b.fetch()


async def test_one_kind_of_requests_allowance_is_not_anothers() -> None:
    async with asking("whop") as a:
        one = replace(a.first, purpose="one")
        a.server.play(refused(500))
        for _ in range(3):
            await a.fails(one)
        a.server.behave()
        a.server.play(refused(500), times=3)
        await a.fetch()


# --- waits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503, 500, 502, 408])
@pytest.mark.parametrize("seconds", [1, 12, 15])
async def test_a_wait_of_up_to_15_s_is_waited_out(status: int, seconds: int) -> None:
    async with asking("whop") as a:
        a.server.play(refused(status, Retry_After=str(seconds)), times=1)
        await a.fetch()
        assert a.times_asked == 2
        assert a.clock.slept == [seconds]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_may_be_given_as_a_date(status: int) -> None:
    async with asking("whop") as a:
        a.server.play(refused(status, Retry_After=date_in(9)), times=1)
        await a.fetch()
        assert a.clock.slept == [9]


@pytest.mark.parametrize(
    ("vendor", "hint"),
    [
        (
            "whop",
            {"error": {"type": "rate_limit_exceeded", "message": f"{MARKER}. Try again in 12 seconds."}},
        ),
        ("smallest", {"status": False, "error": MARKER, "code": "RATE_LIMIT_EXCEEDED", "retry_after": 12}),
        ("smallest", {"message": MARKER, "rateLimit": {"routeClass": "x", "limit": 1, "retryAfterSec": 12}}),
    ],
)
async def test_the_vendors_own_hint_is_obeyed(vendor: str, hint: object) -> None:
    async with asking(vendor) as a:
        a.server.play(replied(429, hint), times=1)
        await a.fetch()
        assert a.clock.slept == [12]


@pytest.mark.parametrize("vendor", ["whop", "smallest"])
async def test_a_vendors_own_long_hint_is_refused_at_once(vendor: str) -> None:
    long = {"retry_after": 60, "status": False, "error": {"message": "Try again in 60 seconds."}}
    async with asking(vendor) as a:
        a.server.play(replied(429, long))
        error = await a.fails()
        assert (error.kind, error.retry_after_s, a.times_asked) == ("rate_limited", 60, 1)


async def test_the_header_goes_before_the_vendors_own_hint() -> None:
    hint = {"error": {"message": "Try again in 12 seconds."}}
    async with asking("whop") as a:
        a.server.play(replied(429, hint, {"Retry-After": "3"}), times=1)
        await a.fetch()
        assert a.clock.slept == [3]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", ["3600", date_in(3600)], ids=["seconds", "date"])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_longer_wait_is_refused_at_once_and_remembered(vendor: str, after: str, status: int) -> None:
    async with asking(vendor) as a:
        a.server.play(refused(status, Retry_After=after), times=1)
        error = await a.fails()
        assert (error.kind, error.retry_after_s) == ("rate_limited", 3600)
        assert a.times_asked == 1
        a.clock.advance(1800)
        again = await a.fails()
        assert (again.kind, again.retry_after_s) == ("rate_limited", 1800)
        assert a.times_asked == 1
        a.clock.advance(1800)
        await a.fetch()
        assert a.times_asked == 2
        assert [seconds for seconds in a.clock.slept if seconds > 0.01] == []


async def test_the_last_seconds_of_a_long_pause_are_waited_out() -> None:
    async with asking("whop") as a:
        a.server.play(refused(429, Retry_After="100"), times=1)
        await a.fails()
        a.clock.advance(90)
        await a.fetch()
        assert a.clock.slept == [10]


async def test_the_pause_begun_by_one_request_holds_for_one_that_waits_for_its_turn() -> None:
    """Two requests at once: the second one waits 10 s; meanwhile the first is told to wait an hour."""
    async with asking("whop", clock=FakeClock(hold=True)) as a:
        a.server.play(refused(429, Retry_After="10"), times=1)
        release = anyio.Event()

        async def late(exchange: faults.Exchange) -> None:
            await release.wait()
            await exchange.reply(429, {}, {"Retry-After": "3600"})

        outcomes: list[str] = []

        async def ask() -> None:
            outcomes.append((await a.fails()).kind)

        async with anyio.create_task_group() as tasks:
            a.server.play(late, times=1)
            tasks.start_soon(ask)
            tasks.start_soon(ask)
            await _until(lambda: a.times_asked == 2 and bool(a.clock.slept))
            release.set()
            await _until(lambda: len(outcomes) == 1)
            a.clock.advance(10)
        assert outcomes == ["rate_limited", "rate_limited"]
        assert a.times_asked == 2


async def _until(reached: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not reached():
            await anyio.lowlevel.checkpoint()


async def test_a_short_wait_that_never_ends_is_told_with_its_seconds() -> None:
    async with asking("whop") as a:
        a.server.play(refused(429, Retry_After="2"))
        error = await a.fails()
        assert (error.kind, error.retry_after_s, a.times_asked) == ("rate_limited", 2, 4)
        assert a.clock.slept == [2, 2, 2]


@pytest.mark.parametrize("after", ["0", date_in(-60)])
async def test_being_asked_to_wait_not_at_all_is_no_reason_to_hammer(after: str) -> None:
    async with asking("whop") as a:
        a.server.play(refused(503, Retry_After=after))
        await a.fails()
        assert a.clock.slept == [0.5, 1, 2]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 501])
async def test_a_wait_on_a_status_that_does_not_pass_means_nothing(status: int) -> None:
    async with asking("whop") as a:
        a.server.play(refused(status, Retry_After="3600"), times=1)
        assert (await a.fails()).retry_after_s is None
        await a.fetch()


@pytest.mark.parametrize("after", ["soon", "-1", "1e9", "", "12, 13"])
async def test_a_wait_that_cannot_be_read_is_no_wait(after: str) -> None:
    async with asking("whop") as a:
        a.server.play(refused(429, Retry_After=after), times=1)
        await a.fetch()
        assert a.clock.slept == [0.5]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_one_sources_pause_is_not_anothers(vendor: str) -> None:
    async with asking(vendor) as a, asking(vendor) as b:
        a.server.play(refused(429, Retry_After="3600"))
        await a.fails()
        await b.fetch()


# --- pace ---------------------------------------------------------------------------------------------


async def test_batch_is_asked_once_a_second() -> None:
    async with asking("batch", BATCH_MAX_RPS="1") as a:
        for _ in range(4):
            await a.fetch()
        assert a.clock.slept == [1, 1, 1]


async def test_batch_is_paced_between_attempts_and_between_calls_at_once() -> None:
    async with asking("batch", clock=FakeClock(dice=0), BATCH_MAX_RPS="0.5") as a:
        a.server.play(refused(500), times=1)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(a.fetch)
        assert a.times_asked == 4
        assert [seconds for seconds in a.clock.slept if seconds] == [2, 2, 2]


async def test_time_that_went_by_counts_towards_the_pace() -> None:
    async with asking("batch", BATCH_MAX_RPS="1") as a:
        await a.fetch()
        a.clock.advance(0.75)
        await a.fetch()
        a.clock.advance(5)
        await a.fetch()
        assert a.clock.slept == [0.25]


@pytest.mark.parametrize("vendor", ["commbox", "smallest", "whop"])
async def test_other_vendors_are_not_paced(vendor: str) -> None:
    async with asking(vendor) as a:
        for _ in range(4):
            await a.fetch()
        assert a.clock.slept == []


# --- what comes back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("fault", [faults.huge(), faults.bomb()], ids=["512 MiB", "gzip bomb"])
async def test_no_more_of_a_body_than_the_cap_is_read(vendor: str, fault: Fault) -> None:
    async with asking(vendor, limits=Limits(body=MEBIBYTE)) as a:
        a.server.play(fault)
        error = await a.fails()
        assert isinstance(error, PagingStopped)
        assert "1 MiB" in error.message
        assert a.times_asked == 1
        assert a.server.bytes_sent < 64 * MEBIBYTE
        a.server.behave()
        await a.fetch()


async def test_the_cap_counts_unpacked_bytes_exactly() -> None:
    body = b'"' + b"x" * 1022 + b'"'
    for spare, fits in ((0, True), (-1, False)):
        async with asking("whop", limits=Limits(body=1024 + spare)) as a:
            a.server.play(replied(200, body), times=1)
            if fits:
                assert await a.fetch() == "x" * 1022
            else:
                await a.fails()


async def test_a_gzip_answer_is_unpacked() -> None:
    async with asking("whop") as a:
        honest = await a.fetch()
        a.server.play(faults.zipped())
        assert await a.fetch() == honest


@pytest.mark.parametrize("sizes", [(40, None), (1, 1, None), (0, 30, None)])
@pytest.mark.parametrize("after", [b"", b"\0" * 20])
async def test_a_gzip_answer_of_several_parts_is_unpacked_to_its_end(
    sizes: Sequence[int | None], after: bytes
) -> None:
    async with asking("whop") as a:
        honest = await a.fetch()
        left, data = json.dumps(honest).encode(), b""
        for size in sizes:
            data += gzip.compress(left[:size])
            left = left[size:] if size is not None else b""
        a.server.play(replied(200, data + after, {"Content-Encoding": "gzip"}))
        assert await a.fetch() == honest


async def test_the_cap_holds_for_a_gzip_answer_of_several_parts() -> None:
    data = gzip.compress(b'"' + b"x" * 1000) + gzip.compress(b"x" * 1000 + b'"')
    async with asking("whop", limits=Limits(body=1500)) as a:
        a.server.play(replied(200, data, {"Content-Encoding": "gzip"}))
        assert "sent a page of more than" in (await a.fails()).message


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", MARKER])
async def test_an_encoding_that_was_not_asked_for_is_no_answer(encoding: str) -> None:
    async with asking("whop") as a:
        a.server.play(replied(200, {"data": []}, {"Content-Encoding": encoding}))
        assert (await a.fails()).kind == "bad_response"
        assert a.times_asked == 1


async def test_gzip_that_cannot_be_unpacked_is_no_answer() -> None:
    async with asking("whop") as a:
        a.server.play(faults.zipped(spoil=True))
        assert (await a.fails()).kind == "bad_response"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (faults.html(200), "a web page"),
        (replied(200, b""), "an empty response"),
        (replied(200, b" \n"), "an empty response"),
        (replied(200, b'{"data": [' + MARKER.encode()), "not JSON"),
        (replied(200, b"[" * 100_000), "not JSON"),
        (replied(200, b"\xff\xfe\xfd"), "not JSON"),
    ],
)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_what_is_no_json_is_said_in_our_words(vendor: str, fault: Fault, says: str) -> None:
    async with asking(vendor) as a:
        a.server.play(fault)
        error = await a.fails()
        assert error.kind == "bad_response"
        assert says in error.message
        assert a.account.variables["base_url"] in error.message
        assert a.times_asked == 1


HTML = "<!DOCTYPE html><html><title>Blocked</title></html>"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (HTML + " " * 200_000, {}),
        (gzip.compress(HTML.encode()), {"Content-Encoding": "gzip", "Content-Type": "text/html"}),
        (zlib.compress(HTML.encode()), {"Content-Encoding": "deflate", "Content-Type": "text/html"}),
        (HTML.encode("utf-16"), {"Content-Type": "text/html; charset=utf-16"}),
        ("\ufeff\r\n " + HTML, {}),
        ("error code: 1020", {"Content-Type": "text/plain; charset=UTF-8"}),
        (b"{}", {"cf-mitigated": "challenge"}),
        (b"", {"Server": "AkamaiGHost"}),
        (b'{"type": "akamai_error_message"}', {}),
    ],
    ids=["long", "gzip", "deflate", "UTF-16", "BOM", "Cloudflare's text", "challenge", "Akamai", "its JSON"],
)
async def test_what_stands_in_front_of_a_vendor_is_known_in_whatever_form_it_answers(
    status: int, body: object, headers: dict[str, str]
) -> None:
    async with asking("whop") as a:
        a.server.play(replied(status, body, headers))
        error = await a.fails()
    assert error.foreign
    assert f"answered with a web page in place of data (HTTP {status})" in error.message


async def test_a_web_page_that_breaks_off_is_one_all_the_same() -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.head(403, {"Content-Type": "text/html"}, 5_000)
        await exchange.write(HTML.encode())
        exchange.ended = True

    async with asking("whop") as a:
        a.server.play(cut)
        assert (await a.fails()).foreign


@pytest.mark.parametrize("body", [b"", b" ", "Forbidden", b'{"error": "no"}', b'"<html>"'])
async def test_what_is_no_web_page_is_the_vendors_own_word(body: object) -> None:
    async with asking("whop") as a:
        a.server.play(replied(403, body, {"Content-Type": "text/html"}))
        error = await a.fails()
    assert (error.foreign, error.status) == (False, 403)


@pytest.mark.parametrize("status", [413, 414])
async def test_a_request_that_is_too_big_for_what_stands_in_front_is_too_big(status: int) -> None:
    async with asking("whop") as a:
        a.server.play(replied(status, HTML))
        assert (await a.fails()).status == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>" + MARKER.encode(),
        b"null",
        b"[]",
        b"7",
        b'"' + MARKER.encode() + b'"',
        b'{"error": null, "errors": null, "message": {"x": 1}}',
        b'{"error": "' + MARKER.encode() + b'", "status": "error"}',
        b'{"status": [',
        b"\xff\x00",
        b"[" * 50_000,
    ],
)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_any_body_of_an_error_leaves_its_status_what_it_is(
    vendor: str, status: int, body: bytes
) -> None:
    kinds = {400: "invalid_request", 401: "unauthorized", 403: "forbidden", 404: "not_found"}
    async with asking(vendor, clock=FakeClock(dice=0)) as a:
        a.server.play(replied(status, body))
        assert (await a.fails()).kind == kinds.get(status, "unavailable")


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [*RETRIED, *NOT_RETRIED])
async def test_a_vendors_words_never_get_into_an_error(vendor: str, status: int) -> None:
    async with asking(vendor, clock=FakeClock(dice=0)) as a:
        a.server.play(replied(status, faults.error_body(vendor, status) if status not in (204, 304) else b""))
        error = await a.fails()
        assert error.message.startswith(f"{vendor}: {a.account.vendor.title} (127.0.0.1) ")
        assert error.__cause__ is None


@pytest.mark.parametrize(
    ("vendor", "inner", "kind", "asked"),
    [
        ("commbox", 500, "unavailable", 4),
        ("commbox", 429, "rate_limited", 4),
        ("commbox", 401, "unauthorized", 1),
        ("commbox", 404, "not_found", 1),
        ("smallest", 500, "unavailable", 4),
    ],
)
async def test_a_failure_inside_a_200_is_a_failure(vendor: str, inner: int, kind: str, asked: int) -> None:
    async with asking(vendor) as a:
        a.server.play(faults.inner_error(inner))
        assert (await a.fails()).kind == kind
        assert a.times_asked == asked


async def test_an_error_body_that_never_ends_does_not_hide_its_status() -> None:
    async def endless(exchange: faults.Exchange) -> None:
        await exchange.head(401, {"Content-Type": "text/html"}, 1000)
        await exchange.hang()

    async with asking("whop", limits=Limits(read_s=0.1)) as a:
        a.server.play(endless)
        assert (await a.fails()).kind == "unauthorized"


@pytest.mark.parametrize("fault", [faults.bomb(status=429), faults.bomb(status=401)])
async def test_an_error_that_unpacks_to_anything_at_all_is_still_that_error(fault: Fault) -> None:
    async with asking("whop") as a:
        a.server.play(fault)
        assert (await a.fails()).kind in ("rate_limited", "unauthorized")


async def test_a_hint_in_a_packed_error_is_read() -> None:
    hint = gzip.compress(b'{"error": {"message": "Try again in 7 seconds."}}')
    async with asking("whop") as a:
        a.server.play(replied(429, hint, {"Content-Encoding": "GZIP"}), times=1)
        await a.fetch()
        assert a.clock.slept == [7]


@pytest.mark.parametrize("status", [200, 401])
async def test_a_gzip_bomb_is_never_unpacked_in_memory(status: int) -> None:
    fault = faults.bomb(mebibytes=64, status=status)
    async with asking("whop", limits=Limits(body=MEBIBYTE)) as a:
        a.server.play(fault)
        tracemalloc.start()
        try:
            await a.fails()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 16 * MEBIBYTE


async def test_a_certificate_that_is_not_trusted_is_told_and_not_tried_again() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(__file__).parent / "faults" / "untrusted.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        port = listening.getsockname()[1]

        def shake_hands_once() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                tls.wrap_socket(connection, server_side=True).close()

        clock, pool = FakeClock(), Pool()
        account = account_at(f"https://localhost:{port}")
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, shake_hands_once)
                with anyio.fail_after(10):
                    with pytest.raises(VendorError) as raised:
                        await VendorClient(account, pool, clock).fetch(Request("audiences"))
                    assert raised.value.kind == "unavailable"
                    assert "does not trust its TLS certificate" in raised.value.message
        finally:
            await pool.aclose()
    assert clock.slept == []

"""Starting and stopping, and what the sandbox holds."""

import logging
import signal
import subprocess
import sys
from collections import Counter

import anyio
import httpx
import pytest
from anyio.abc import TaskStatus

from audience_mcp.core.values import as_count
from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.app import serve
from audience_mcp.sandbox.batch import is_segment
from audience_mcp.sandbox.data import made_up

pytestmark = pytest.mark.anyio


async def ask(origin: str) -> int:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        return (await http.get(f"{origin}/commbox/audiences")).status_code


async def test_it_accepts_as_soon_as_it_is_there_and_no_longer_than_that() -> None:
    async with serve() as origin:
        assert await ask(origin) == 401
    with pytest.raises(httpx.ConnectError):
        await ask(origin)


async def test_several_can_be_served_at_once() -> None:
    async with serve() as one, serve() as other:
        assert one != other
        assert [await ask(one), await ask(other)] == [401, 401]


async def test_it_ends_under_an_open_connection() -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        async with serve() as origin:
            await http.get(f"{origin}/commbox/audiences")
        with pytest.raises(httpx.TransportError):
            await http.get(f"{origin}/commbox/audiences")


async def test_it_ends_under_a_request_whose_body_is_still_coming(caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as origin:
        port = int(origin.rpartition(":")[2])
        stream = await anyio.connect_tcp("127.0.0.1", port)
        await stream.send(
            b"POST /whop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        )
        assert b"100" in await stream.receive()  # the request is being read
    with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await stream.receive()
    await stream.aclose()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_it_ends_in_a_task_group_that_is_cancelled() -> None:
    origins = []

    async def serving(*, task_status: TaskStatus[None]) -> None:
        async with serve() as origin:
            origins.append(origin)
            task_status.started()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        await group.start(serving)
        assert await ask(origins[0]) == 401
        group.cancel_scope.cancel()
    with pytest.raises(httpx.ConnectError):
        await ask(origins[0])


async def test_signal_handlers_and_stdout_are_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    async with serve() as origin:
        await ask(origin)
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert capfd.readouterr() == ("", "")


def test_importing_the_package_imports_no_web_framework() -> None:
    code = (
        "import sys, audience_mcp.sandbox; sys.exit('starlette' in sys.modules or 'uvicorn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_environment_names_every_vendor_below_the_origin() -> None:
    env = Sandbox().environment("http://127.0.0.1:4321")
    assert {key: value for key, value in env.items() if key.endswith("BASE_URL")} == {
        "COMMBOX_BASE_URL": "http://127.0.0.1:4321/commbox",
        "BATCH_BASE_URL": "http://127.0.0.1:4321/batch/2.11",
        "SMALLEST_BASE_URL": "http://127.0.0.1:4321/smallest/atoms/v1",
        "WHOP_BASE_URL": "http://127.0.0.1:4321/whop/api/v1",
        "MAILCHIMP_BASE_URL": "http://127.0.0.1:4321/mailchimp/3.0",
        "HUBSPOT_BASE_URL": "http://127.0.0.1:4321/hubspot",
        "KLAVIYO_BASE_URL": "http://127.0.0.1:4321/klaviyo",
        "META_BASE_URL": "http://127.0.0.1:4321/meta/v26.0",
        "LINKEDIN_BASE_URL": "http://127.0.0.1:4321/linkedin/rest",
    }
    assert env["SMALLEST_API_KEY"].startswith("sk_")
    assert env["WHOP_ACCOUNT_ID"].startswith("biz_")
    assert env["BATCH_MAX_RPS"] == "1000"


def test_a_vendor_can_be_given_other_rows_and_the_rest_keep_theirs() -> None:
    sandbox = Sandbox({"whop": [{"id": "adaud_1"}]})
    assert sandbox.rows == {**made_up(), "whop": [{"id": "adaud_1"}]}


def test_rows_for_an_unknown_vendor_are_an_error() -> None:
    with pytest.raises(ValueError, match="acme"):
        Sandbox({"acme": []})


def test_two_sandboxes_share_no_rows() -> None:
    Sandbox().rows["batch"][0]["name"] = "changed"
    assert Sandbox().rows["batch"][0]["name"] != "changed"


IDS = {
    "commbox": "id",
    "batch": "name",
    "smallest": "_id",
    "whop": "id",
    "mailchimp": "id",
    "hubspot": "listId",
    "klaviyo": "id",
    "meta": "id",
    "linkedin": "id",
    "ghost": "id",
}
SIZES = {
    "commbox": "user_count",
    "batch": "nb_ids",
    "smallest": "memberCount",
    "whop": "total_rows",
    "mailchimp": "member_count",
    "hubspot": "size",
    "klaviyo": "profile_count",
    "meta": "approximate_count_lower_bound",
    "linkedin": "approximateMemberCount",
    "ghost": "members",
}


@pytest.mark.parametrize("vendor", IDS)
def test_every_vendor_has_a_vip_audience_and_unique_ids(vendor: str) -> None:
    rows = made_up()[vendor]
    assert len({row.get(IDS[vendor], row.get("code")) for row in rows}) == len(rows)
    assert [row.get("name") for row in rows].count("VIP") == 1


@pytest.mark.parametrize("vendor", ["commbox", "batch", "whop"])
def test_one_name_is_shared_by_two_audiences(vendor: str) -> None:
    names = Counter(row.get("display_name") or row["name"] for row in made_up()[vendor])
    assert [name for name, number in names.items() if number > 1] == ["Black Friday 2025"]


def test_the_five_biggest_audiences_differ_in_size() -> None:
    sizes = sorted(
        as_count(row.get(SIZES[vendor])) or 0 for vendor, rows in made_up().items() for row in rows
    )
    assert sizes[-5:] == [1_018_642, 1_204_377, 1_876_905, 2_948_113, 3_612_480]
    assert sizes[-6] < sizes[-5]


def test_every_status_and_kind_occurs() -> None:
    data = made_up()
    audiences = [row for row in data["batch"] if not is_segment(row)]
    assert {row["indexing_state"] for row in audiences} == {"APPLIED", "IN_PROGRESS", "REPLACED"}
    assert len(audiences) < len(data["batch"])
    assert {row["status"] for row in data["whop"]} == {
        "pending",
        "processing",
        "syncing",
        "ready",
        "partial",
        "failed",
    }
    assert {row["source_type"] for row in data["whop"]} == {"csv_upload", "people_filter", "engagement"}
    assert {row["audience_type"] for row in data["whop"]} == {"custom", "lookalike"}
    assert all(("user_count" in row) == (row["type"] == "Static") for row in data["commbox"])

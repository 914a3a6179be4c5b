"""MailerLite: numbers above 2**53, dates without a zone, and links that lose the size of the page."""

from __future__ import annotations

from typing import Any

import mailerlite
import pytest
from anyio.to_thread import run_sync
from mailerlite.api_client import ApiClient

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing import Served, serve_api
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.mailerlite import MailerLite
from tests.vendors.bodies import account, first_requests, page_of, row
from tests.vendors.mailerlite import api
from tests.vendors.mailerlite.case import CASE, ROWS, a_group, a_segment, served

pytestmark = pytest.mark.anyio

VENDOR = MailerLite()
GROUPS, SEGMENTS = VENDOR.listings
FIRST_GROUPS, FIRST_SEGMENTS = first_requests(VENDOR, {})


def test_further_pages_keep_the_size_of_the_first() -> None:
    body = {"data": [], "meta": {"last_page": 3, "total": 250}, "links": {"next": "https://x.example?page=2"}}
    page = page_of(VENDOR, body, FIRST_GROUPS)
    assert [each.params for each in page.plan] == [
        {"limit": "100", "sort": "created_at", "page": "2"},
        {"limit": "100", "sort": "created_at", "page": "3"},
    ]


@pytest.mark.parametrize(
    ("most", "clamps", "limits"),
    [
        (250, False, ["250"]),
        (100, True, ["250", "250", "250"]),  # `last_page` tells that a page was smaller
        (100, False, ["250", "125", *["25"] * 10]),
    ],
    ids=["250 are allowed", "100 come in their place", "more than 100 are refused"],
)
async def test_all_segments_of_a_full_account_are_read_whatever_the_largest_page_is(
    most: int, clamps: bool, limits: list[str]
) -> None:
    rows = [a_group(1, "G", 5), *(a_segment(n, f"Segment {n}", n) for n in range(250))]
    async with serve_api(lambda asked: api.answer(asked, rows, most, clamps=clamps)) as (origin, asked):
        there = Served({"MAILERLITE_API_KEY": api.KEY, "MAILERLITE_BASE_URL": f"{origin}/api"}, asked)
        async with open_case(CASE, there) as catalog:
            answer = await catalog.list_audiences(ListQuery(limit=0, kind=["segment"]))
    assert (answer.matched, answer.sum_of_sizes, answer.complete) == (250, sum(range(250)), True)
    assert [each.query["limit"][0] for each in asked if each.path.endswith("/segments")] == limits


def test_segments_cannot_be_sorted() -> None:
    assert "sort" not in FIRST_SEGMENTS.params


def test_a_group_counts_its_active_subscribers_and_a_segment_its_total() -> None:
    group, segment = (
        row(VENDOR, a_group(1, "G", 5), GROUPS),
        row(VENDOR, api.sent(a_segment(1, "S", 7)), SEGMENTS),
    )
    assert group is not None
    assert segment is not None
    assert (group.size, group.type, group.kind) == (5, "static", "group")
    assert (segment.size, segment.type, segment.kind) == (7, "dynamic", "segment")


async def test_an_id_of_eighteen_digits_stays_exact_and_its_date_is_of_utc() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (row,) = (await catalog.get_audience(GetQuery(audience="Tasting club"))).audiences
    assert row.id == "group-145000000000000001"
    assert row.created_at == "2026-02-03T04:05:06Z"


@pytest.mark.parametrize(
    ("status", "kind", "says"), [(401, "unauthorized", "Classic"), (403, "forbidden", "plan")]
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(VENDOR))
    assert (found, says in text) == (kind, True)


async def test_mailerlites_own_sdk_reads_the_same_groups_segments_and_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def theirs(origin: str) -> dict[str, tuple[str, object]]:
        monkeypatch.setattr(ApiClient, "HOST", origin)
        sdk: Any = mailerlite.Client({"api_key": api.KEY})
        found: dict[str, tuple[str, object]] = {}
        for page in (1, 2):
            for each in sdk.groups.list(limit=100, page=page)["data"]:
                found[f"group-{each['id']}"] = each["name"], each["active_count"]
        for each in sdk.segments.list(limit=100, page=1)["data"]:
            found[f"segment-{each['id']}"] = each["name"], each["total"]
        return found

    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["MAILERLITE_BASE_URL"].removesuffix("api"))
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1_000))).audiences
    assert {row.id: (row.name, row.size) for row in ours} == read

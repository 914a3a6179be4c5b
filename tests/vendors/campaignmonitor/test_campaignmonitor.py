"""Campaign Monitor: bare arrays, sizes by requests of their own, and codes that say more than the status."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from anyio.to_thread import run_sync
from createsend import Client, CreateSend, List, Segment, createsend

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.campaignmonitor import CampaignMonitor
from tests.support.clock import FakeClock
from tests.vendors.bodies import error, row
from tests.vendors.campaignmonitor import api
from tests.vendors.campaignmonitor.case import CASE, ROWS, a_list, a_segment, served

pytestmark = pytest.mark.anyio

VENDOR = CampaignMonitor()
LISTS, SEGMENTS = VENDOR.listings


def test_a_segment_lies_within_its_list() -> None:
    segment = row(VENDOR, api.listed(a_segment(1, "S", 7, within=2)), SEGMENTS)
    assert segment is not None
    assert segment.part_of == f"list-{a_list(2, '', 0)['ListID']}"
    assert segment.size_pending
    alone = row(VENDOR, {"SegmentID": "a" * 32, "Title": "S"}, SEGMENTS)
    assert alone is not None
    assert alone.part_of is None


async def test_sums_count_the_people_of_a_segment_once() -> None:
    async with (
        served([a_list(1, "L", 100), a_segment(1, "S", 40)]) as there,
        open_case(CASE, there) as catalog,
    ):
        answer = await catalog.list_audiences(ListQuery())
    assert (answer.matched, answer.sum_of_sizes, answer.complete) == (2, 100, True)


async def test_a_segment_that_is_being_counted_is_asked_for_again_and_loses_nothing_else() -> None:
    rows = [a_segment(1, f"S {api.BUSY}", 40), a_segment(2, "T", 7)]
    case = replace(CASE, clock=lambda: FakeClock(dice=0))
    async with served(rows) as there, open_case(case, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(sort="name"))
        assert [found.size for found in answer.audiences] == [None, 7]
        assert (answer.complete, answer.sizes_pending) == (False, 1)
        rows[0]["Name"] = "S"
        answer = await catalog.list_audiences(ListQuery(sort="name"))
    assert ([found.size for found in answer.audiences], answer.complete) == ([40, 7], True)


async def test_one_list_alone_has_its_name_under_another_key() -> None:
    ref = f"campaignmonitor:list-{ROWS[0]['ListID']}"
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (found,) = (await catalog.get_audience(GetQuery(audience=ref))).audiences
    assert (found.name, found.size) == (ROWS[0]["Name"], ROWS[0]["size"])


async def test_the_rules_of_a_segment_are_in_no_answer() -> None:
    ref = f"campaignmonitor:segment-{a_segment(1, '', 0)['ListID']}"
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.get_audience(GetQuery(audience=ref))
    assert answer.audiences[0].size == 57
    assert "@example.com" not in str(answer)


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (401, 50, "unauthorized", "CAMPAIGNMONITOR_API_KEY"),
        (401, 100, "unauthorized", "CAMPAIGNMONITOR_API_KEY"),
        (401, 102, "forbidden", "CAMPAIGNMONITOR_CLIENT_ID"),
        (401, 60, "forbidden", ""),
        (401, 101, "not_found", ""),
        (400, 271, "not_found", ""),
        (400, 278, "unavailable", ""),
        (400, 287, "unavailable", ""),
        (429, 429, "rate_limited", ""),
        (500, 0, "unavailable", ""),
    ],
)
def test_a_code_says_more_than_the_status(status: int, code: int, kind: str, says: str) -> None:
    found, text = error(VENDOR, status, {"Code": code, "Message": "…"})
    assert (found, says in text) == (kind, True)


async def test_campaign_monitors_own_client_reads_the_same_lists_segments_and_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import http.client

    def theirs(base_url: str) -> dict[str, tuple[str, object]]:
        monkeypatch.setattr(createsend, "VerifiedHTTPSConnection", http.client.HTTPConnection)
        monkeypatch.setattr(CreateSend, "base_uri", base_url)
        auth, found = {"api_key": api.KEY}, dict[str, tuple[str, object]]()
        client: Any = Client(auth, api.CLIENT)
        for each in client.lists():
            stats: Any = List(auth, each.ListID).stats()
            found[f"list-{each.ListID}"] = each.Name, stats.TotalActiveSubscribers
        for each in client.segments():
            details: Any = Segment(auth, each.SegmentID).details()
            found[f"segment-{each.SegmentID}"] = each.Title, details.ActiveSubscribers
        return found

    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["CAMPAIGNMONITOR_BASE_URL"])
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1_000))).audiences
    assert {each.id: (each.name, each.size) for each in ours if each.size is not None} == read

"""Klaviyo: sizes by requests of their own, a link to another host, a revision, and segments in a report."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anyio.to_thread import run_sync
from klaviyo_api import KlaviyoAPI

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sandbox import klaviyo as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Counted
from audience_mcp.vendors.klaviyo import Klaviyo
from tests.vendors.bodies import account, first_requests, headers_sent, page_of, row, sizes_in
from tests.vendors.documents import Document, exchanged, needs_documents
from tests.vendors.klaviyo.case import CASE, ROWS, a_list, a_segment, served

pytestmark = pytest.mark.anyio

KLAVIYO = Klaviyo()
LISTS, SEGMENTS = KLAVIYO.listings
FIRST_LISTS, FIRST_SEGMENTS = first_requests(KLAVIYO, {})


def test_the_revision_goes_out_with_the_key() -> None:
    sent = headers_sent(KLAVIYO, {"api_key": "pk_x", "revision": "2026-07-15"})
    assert sent["Authorization"] == "Klaviyo-API-Key pk_x"
    assert sent["revision"] == "2026-07-15"


def test_of_the_next_link_only_the_cursor_is_taken() -> None:
    link = "https://elsewhere.example/api/lists?page%5Bcursor%5D=b3Bh&x=1"
    page = page_of(KLAVIYO, {"data": [], "links": {"next": link}}, FIRST_LISTS)
    assert page.next is not None
    assert page.next.path == "api/lists"
    assert page.next.params["page[cursor]"] == "b3Bh"


@pytest.mark.parametrize(
    "body", [{"data": []}, {"data": [], "links": {}}, {"data": [], "links": {"next": None}}]
)
def test_a_link_that_is_not_there_or_null_is_the_end(body: dict[str, Any]) -> None:
    assert page_of(KLAVIYO, body, FIRST_SEGMENTS, SEGMENTS).more is False


async def test_segments_are_counted_a_hundred_at_a_time_and_lists_one_by_one() -> None:
    rows = [*(a_segment(f"S{n:04}", f"Segment {n}", n) for n in range(150)), a_list("L1", "One", 5)]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.sum_of_sizes, answer.complete) == (151, sum(range(150)) + 5, True)
    reports = [asked for asked in there.asked if asked.method == "POST"]
    sizes = [json.loads(asked.body)["data"]["attributes"]["filter"].count('"') // 2 for asked in reports]
    assert sorted(sizes) == [50, 100]


async def test_a_segment_that_the_report_leaves_out_is_unknown_and_not_empty() -> None:
    rows = [
        a_segment("S1", "Counted", 9),
        {k: v for k, v in a_segment("S2", "Left out", 0).items() if k != "profile_count"},
    ]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(sort="name"))
    assert [row.size for row in answer.audiences] == [9, None]
    assert answer.complete
    assert answer.audiences[1].size_note


@pytest.mark.parametrize("body", [{}, {"data": {"id": "Qw34cd"}}, {"data": None}, [], None])
def test_an_answer_without_a_list_is_not_taken_for_a_list_without_a_count(body: object) -> None:
    one = row(KLAVIYO, {"id": "Qw34cd", "attributes": {"name": "VIP"}}, LISTS)
    assert one is not None
    assert one.size_pending
    with pytest.raises(UnexpectedShape):
        sizes_in(KLAVIYO, [one], body, {})
    assert sizes_in(KLAVIYO, [one], {"data": {"attributes": {"profile_count": None}}}, {}) == {
        "Qw34cd": Counted(None)
    }
    assert sizes_in(KLAVIYO, [one], {"data": {"attributes": {}}}, {}) == {}


async def test_a_frozen_segment_says_so_beside_its_size() -> None:
    async with (
        served([a_segment("S1", "Frozen", 5, is_active=False)]) as there,
        open_case(CASE, there) as catalog,
    ):
        (row,) = (await catalog.list_audiences(ListQuery())).audiences
    assert (row.size, row.size_note) == (5, "inactive: no longer updated")


@pytest.mark.parametrize("ref", ["klaviyo:list-Qw34cd", "klaviyo:segment-Tq4Wz9"])
async def test_one_audience_costs_one_request_that_has_its_size(ref: str) -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (row,) = (await catalog.get_audience(GetQuery(audience=ref))).audiences
    assert row.size in (412, 1204)
    assert len(there.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "private key"),
        (403, "forbidden", "segments:read"),
        (400, "invalid_request", "REVISION"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(KLAVIYO))
    assert (found, says in text) == (kind, True)


async def test_klaviyos_own_sdk_reads_the_same_lists_and_sizes() -> None:
    def theirs(origin: str) -> dict[str, tuple[str, object]]:
        sdk: Any = KlaviyoAPI(api.KEY, max_retries=1, test_host=origin)
        found: dict[str, tuple[str, object]] = {}
        for id in ("Yx12ab", "Qw34cd"):
            facts = sdk.Lists.get_list(id, additional_fields_list=["profile_count"]).data.attributes
            found[f"list-{id}"] = facts.name, facts.profile_count
        facts = sdk.Segments.get_segment(
            "Tq4Wz9", additional_fields_segment=["profile_count"]
        ).data.attributes
        found["segment-Tq4Wz9"] = facts.name, facts.profile_count
        return found

    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["KLAVIYO_BASE_URL"])
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1_000))).audiences
    assert read.items() <= {row.id: (row.name, row.size) for row in ours}.items()


def patched(document: Document) -> None:
    """Answers are called plain JSON here, which the imitation serves."""
    called, served_as = "application/vnd.api+json", "application/json"
    for path in document["paths"].values():
        operations = [operation for operation in path.values() if isinstance(operation, dict)]
        for response in (
            each for operation in operations for each in operation.get("responses", {}).values()
        ):
            if called in response.get("content", {}):
                response["content"][served_as] = response["content"][called]


@needs_documents
async def test_requests_and_answers_are_as_klaviyos_document_has_them() -> None:
    rows = [ROWS[0], a_segment("Tq4Wz9", "Night owls", 1204)]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience="klaviyo:segment-Tq4Wz9"))
    checked = exchanged("klaviyo", there.asked, lambda asked: answer_as(api, asked, rows), patched)
    alone = ["/api/lists/Yx12ab", "/api/segments/Tq4Wz9"]
    assert sorted(set(checked)) == sorted(
        [*alone, "/api/lists", "/api/segments", "/api/segment-values-reports"]
    )

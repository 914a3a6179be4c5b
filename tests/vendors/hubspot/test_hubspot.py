"""HubSpot: a cursor in a body, sizes as text, lists of other records, and cursors that grow old."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anyio.to_thread import run_sync
from hubspot import HubSpot as Sdk
from hubspot.crm.lists import ListSearchRequest

from audience_mcp.catalog.query import ListQuery
from audience_mcp.sandbox import hubspot as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.sandbox.exchange import RefusedError
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing import Answer, Asked, Served, serve_api
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.hubspot import HubSpot
from tests.vendors.bodies import account, first_requests, page_of, row
from tests.vendors.hubspot.case import CASE, ROWS, a_list, served

pytestmark = pytest.mark.anyio

HUBSPOT = HubSpot()
(FIRST,) = first_requests(HUBSPOT, {})


def test_the_first_page_is_asked_for_with_everything_that_the_schema_marks_as_required() -> None:
    assert (FIRST.method, FIRST.path) == ("POST", "crm/lists/2026-09/all")
    assert FIRST.json == {
        "count": 500,
        "additionalProperties": ["hs_list_size", "hs_description", "hs_list_reference_count"],
        "processingTypes": ["DYNAMIC", "MANUAL", "SNAPSHOT"],
    }


def test_the_cursor_is_added_to_the_body_and_nothing_else_changes() -> None:
    page = page_of(HUBSPOT, {"results": [], "paging": {"next": {"after": "b3Bh"}}}, FIRST)
    assert page.next is not None
    assert page.next.json == {**dict(FIRST.json), "after": "b3Bh"}  # type: ignore[call-overload]


@pytest.mark.parametrize("body", [{"results": []}, {"results": [], "paging": {}}])
def test_the_end_is_a_cursor_that_is_not_there(body: dict[str, object]) -> None:
    assert page_of(HUBSPOT, body, FIRST).more is False


@pytest.mark.parametrize(
    ("further", "size"),
    [({"hs_list_size": "1204"}, 1204), ({"hs_list_size": "0"}, 0), ({}, None), ({"hs_list_size": ""}, None)],
)
def test_a_size_is_a_text_and_an_absent_one_is_unknown(further: dict[str, str], size: int | None) -> None:
    one = row(HUBSPOT, {**a_list(1, "n", None), "additionalProperties": further})
    assert one is not None
    assert one.size == size


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"objectTypeId": "0-2"}, "counts companies"),
        ({"objectTypeId": "2-77"}, "counts records of 2-77"),
        ({"processingStatus": "PROCESSING"}, "being evaluated: not final"),
        ({}, None),
        (
            {"objectTypeId": "0-3", "processingStatus": "PROCESSING"},
            "counts deals; being evaluated: not final",
        ),
    ],
)
def test_a_size_that_is_not_of_contacts_or_not_final_says_so(more: dict[str, str], note: str | None) -> None:
    one = row(HUBSPOT, api.as_listed(a_list(1, "n", 5, **more)))
    assert one is not None
    assert (one.size, one.size_note) == (5, note)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(401, "unauthorized", "another sort of key"), (403, "forbidden", "crm.lists.read")],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(HUBSPOT))
    assert (found, says in text) == (kind, True)


async def test_a_cursor_that_has_grown_old_begins_the_reading_anew_once() -> None:
    stale = [True]

    def answer(asked: Asked) -> Answer:
        if stale and b"after" in asked.body:
            stale.clear()
            return api.refusal(RefusedError(400, "…", param="after"))
        return answer_as(api, asked, ROWS)

    async with serve_api(answer) as (origin, asked):
        there = Served({"HUBSPOT_ACCESS_TOKEN": api.KEY, "HUBSPOT_BASE_URL": origin}, asked)
        async with open_case(CASE, there) as catalog:
            found = await catalog.list_audiences(ListQuery(limit=0))
    assert (found.matched, found.complete) == (len(ROWS), True)
    assert ["after" in json.loads(each.body) for each in asked] == [False, True, False, True]


async def test_hubspots_own_sdk_reads_the_same_lists_and_sizes() -> None:
    def theirs(origin: str) -> dict[str, tuple[str, object]]:
        lists = Sdk(access_token=api.KEY, host=origin).crm.lists.lists_api
        found: dict[str, tuple[str, object]] = {}
        offset, more = 0, True
        while more:
            wanted = ListSearchRequest(
                query="", offset=offset, count=500, additional_properties=["hs_list_size"]
            )
            page: Any = lists.do_search(list_search_request=wanted)
            for each in page.lists:
                size = each.additional_properties.get("hs_list_size")
                found[each.list_id] = each.name, None if size is None else int(size)
            offset, more = page.offset, page.has_more
        return found

    rows = [
        {
            **row,
            "listVersion": 1,
            "filtersUpdatedAt": "2026-01-06T08:00:00Z",
            "createdById": "7",
            "updatedById": "7",
        }
        for row in ROWS
    ]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["HUBSPOT_BASE_URL"])
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1_000))).audiences
    assert {row.id: (row.name, row.size) for row in ours} == read

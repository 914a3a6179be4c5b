"""Iterable: five sizes a minute, and an answer that is nothing but a number."""

from __future__ import annotations

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.sources.responses import parse_body
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors import Counted
from audience_mcp.vendors.iterable import Iterable
from tests.vendors.bodies import error, row, sizes_in
from tests.vendors.documents import exchanged, needs_documents
from tests.vendors.iterable import api
from tests.vendors.iterable.case import CASE, ROWS, a_list, served

pytestmark = pytest.mark.anyio

ITERABLE = Iterable()


@pytest.mark.parametrize(("raw", "size"), [(b"1204", 1204), (b'"1204"', "1204"), (b"0", 0), (b" 7\n", 7)])
def test_a_size_is_a_number_with_quotation_marks_or_without(raw: bytes, size: object) -> None:
    body, is_json = parse_body(raw)
    assert is_json
    one = row(ITERABLE, a_list(1, "L", 0))
    assert one is not None
    assert one.size_pending
    assert sizes_in(ITERABLE, [one], body, {}) == {"1": Counted(size)}


async def test_five_sizes_are_asked_for_in_any_minute() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert answer.complete
    assert sum(asked.path.endswith("/size") for asked in there.asked) == len(ROWS)
    assert ITERABLE.limits["size"][0].requests == 5


async def test_one_list_costs_the_listing_and_its_size() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (found,) = (await catalog.get_audience(GetQuery(audience="iterable:1000"))).audiences
    assert (found.name, found.size) == ("Newsletter", 18_204)
    assert [asked.path for asked in there.asked] == ["/api/lists", "/api/lists/1000/size"]


async def test_a_list_that_is_no_audience_to_send_to_says_so() -> None:
    (found,) = (await list_rows(CASE, [ROWS[2]])).audiences
    assert found.details == {"listType": "Suppression", "isGlobalSuppressionEnabled": False}
    assert found.created_at == "2025-01-01T00:00:01.002000Z"  # it came in milliseconds


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (401, "BadApiKey", "unauthorized", "api.eu.iterable.com"),
        (401, "Success", "unauthorized", "ITERABLE_API_KEY"),
        (400, "BadParams", "invalid_request", ""),
        (429, "RateLimitExceeded", "rate_limited", ""),
        (503, "GenericError", "unavailable", ""),
    ],
)
def test_an_error_goes_by_the_status(status: int, code: str, kind: str, says: str) -> None:
    found, text = error(ITERABLE, status, {"msg": "…", "code": code, "params": {"ip": "192.0.2.7"}})
    assert (found, says in text, "192.0.2.7" in text) == (kind, True, False)


@needs_documents
async def test_requests_and_answers_are_as_the_facts_have_them() -> None:
    rows = ROWS[:1]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
    checked = exchanged("iterable", there.asked, lambda asked: api.answer(asked, rows))
    assert sorted(set(checked)) == ["/api/lists", "/api/lists/1000/size"]

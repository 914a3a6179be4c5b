"""listmonk: sizes made of statuses, a count that is doubled, and refusals by other numbers."""

from __future__ import annotations

from typing import Any

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.listmonk import Listmonk
from audience_mcp.vendors.request import Purpose
from tests.vendors.bodies import account, answered, first_requests, result_of, row, talk_of_one
from tests.vendors.documents import exchanged, needs_documents
from tests.vendors.listmonk import api
from tests.vendors.listmonk.case import CASE, ROWS, served

pytestmark = pytest.mark.anyio

LISTMONK = Listmonk()


def test_all_lists_are_asked_for_at_once_since_pages_have_no_order() -> None:
    (first,) = first_requests(LISTMONK, {})
    assert (first.path, first.params) == ("api/lists", {"per_page": "all"})


@pytest.mark.parametrize(
    ("optin", "statuses", "size"),
    [
        ("double", {"confirmed": 7, "unconfirmed": 3, "unsubscribed": 2}, 7),
        ("single", {"confirmed": 7, "unconfirmed": 3, "unsubscribed": 2}, 10),
        ("single", {"unsubscribed": 2}, 0),
        ("double", {}, 0),
        ("double", {"confirmed": None, "unconfirmed": 3}, None),
        ("single", {"confirmed": 7, "unconfirmed": "many"}, None),
        ("triple", {"confirmed": 7}, None),
        (None, {"confirmed": 7}, None),
    ],
)
def test_a_size_is_of_those_whom_a_campaign_reaches(optin: object, statuses: Any, size: int | None) -> None:
    raw = {"id": 1, "optin": optin, "subscriber_count": 99, "subscriber_statuses": statuses}
    found = row(LISTMONK, raw)
    assert found is not None
    assert (found.size, found.size_note) == (size, None)


@pytest.mark.parametrize("more", [{}, {"subscriber_statuses": None}])
def test_without_statuses_the_count_is_taken_and_what_it_counts_is_said(more: dict[str, object]) -> None:
    found = row(LISTMONK, {"id": 1, "optin": "single", "subscriber_count": 12, **more})
    assert found is not None
    assert (found.size, found.size_note) == (12, "unsubscribed people are counted too")


def test_the_doubled_count_of_one_list_is_never_taken() -> None:
    alone = {"id": 1, "name": "L", "optin": "double", "subscriber_count": 24}
    read = result_of(talk_of_one(LISTMONK, "1", {}), {"data": alone})
    found = row(LISTMONK, read)
    assert found is not None
    assert found.size is None


async def test_one_list_has_the_size_that_it_has_in_the_listing() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (found,) = (await catalog.get_audience(GetQuery(audience="listmonk:2"))).audiences
    assert (found.name, found.size) == ("Großkunden", 19_104)
    assert [asked.path for asked in there.asked] == ["/api/lists/2"]


@pytest.mark.parametrize(
    ("status", "purpose", "means"),
    [(403, "list", 401), (403, "one", 403), (400, "one", 404), (400, "list", 400), (500, "one", 500)],
)
def test_a_refusal_is_what_it_means(status: int, purpose: Purpose, means: int) -> None:
    assert LISTMONK.status(answered(status, {"message": "…"}, purpose=purpose)) == means


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://lists.example.com/admin", "https://lists.example.com"),
        ("https://example.com/news/admin/lists?page=1", "https://example.com/news"),
        ("https://example.com/administration/", "https://example.com/administration"),
    ],
)
def test_an_address_as_people_copy_it_is_that_of_the_installation(given: str, meant: str) -> None:
    assert account(LISTMONK, LISTMONK_URL=given).base_url == meant


def test_both_halves_of_a_key_are_needed() -> None:
    (source,) = load_configuration(
        {"LISTMONK_URL": "https://x.example", "LISTMONK_API_USER": "a"}, [LISTMONK]
    ).sources
    assert "LISTMONK_API_TOKEN" in str(source.problem)


@needs_documents
async def test_requests_and_answers_are_as_the_facts_have_them() -> None:
    async with served(ROWS[:3]) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience="listmonk:1"))
    checked = exchanged("listmonk", there.asked, lambda asked: api.answer(asked, ROWS[:3]))
    assert set(checked) == {"/api/lists", "/api/lists/1"}

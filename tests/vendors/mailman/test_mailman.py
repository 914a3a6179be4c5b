"""Mailman: pages told by a total, pages without lists, ids that people choose."""

from __future__ import annotations

from typing import Any

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors.mailman import Mailman
from audience_mcp.vendors.parsing import basic
from tests.vendors.bodies import error, first_requests, page_of, row
from tests.vendors.documents import exchanged, needs_documents
from tests.vendors.mailman import api
from tests.vendors.mailman.case import CASE, ROWS, a_list, served

pytestmark = pytest.mark.anyio

MAILMAN = Mailman()
(FIRST,) = first_requests(MAILMAN, {})


def test_count_and_page_go_together_from_the_first_request_on() -> None:
    assert FIRST.params == {"count": "100", "page": "1"}


@pytest.mark.parametrize(
    ("total", "planned"), [(0, []), (1, []), (100, []), (101, ["2"]), (260, ["2", "3"]), (300, ["2", "3"])]
)
def test_the_pages_are_those_that_the_total_makes(total: int, planned: list[str]) -> None:
    page = page_of(MAILMAN, {"start": 0, "total_size": total, "http_etag": "…"}, FIRST)
    assert [each.params["page"] for each in page.plan] == planned
    assert page.more is bool(planned)


def test_a_page_without_a_total_is_not_the_end() -> None:
    assert page_of(MAILMAN, {"entries": [], "start": 0}, FIRST).more is None


async def test_a_server_without_lists_is_empty_and_not_an_error() -> None:
    answer = await list_rows(CASE, [])
    assert (answer.matched, answer.complete) == (0, True)


async def test_a_list_that_is_called_like_another_ones_id_is_found_beside_it() -> None:
    rows = [a_list("dev", "Developers", 5), a_list("old", "dev.example.com", 7)]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        answer = await catalog.get_audience(GetQuery(audience="dev.example.com"))
    assert sorted(found.id or "" for found in answer.audiences) == ["dev.example.com", "old.example.com"]


def test_an_empty_description_is_none() -> None:
    found = row(MAILMAN, a_list("board", "", 7, description=""))
    assert found is not None
    assert (found.name, found.description, found.size) == ("board.example.com", None, 7)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "mailman.cfg"),
        (404, "not_found", "MAILMAN_REST_URL"),
        (404, "not_found", "version"),
        (500, "unavailable", ""),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = error(MAILMAN, status, {"title": f"{status} …", "description": "…"})
    assert (found, says in text) == (kind, True)


def test_a_server_in_another_container_is_refused_without_tls() -> None:
    environment = {"MAILMAN_REST_URL": "http://mailman-core:8001/3.1", "MAILMAN_REST_PASSWORD": api.PASSWORD}
    (source,) = load_configuration(environment, [MAILMAN]).sources
    assert "https://" in str(source.problem)


async def test_another_user_is_sent_where_one_is_set() -> None:
    asked: list[Any] = []
    async with served(ROWS) as there, open_case(CASE, there, MAILMAN_REST_USER="somebody") as catalog:
        with pytest.raises(Exception, match="MAILMAN_REST_USER"):
            await catalog.list_audiences(ListQuery())
        asked += there.asked
    assert {each.headers["authorization"] for each in asked} == {basic("somebody", api.PASSWORD)}


@needs_documents
async def test_requests_and_answers_are_as_recorded_from_mailman() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience="mailman:dev.example.com"))
    checked = exchanged("mailman", there.asked, lambda asked: api.answer(asked, ROWS))
    assert set(checked) == {"/3.1/lists", "/3.1/lists/dev.example.com"}

"""Intercom: counts that come with the list alone, a version in a header, and pages that may come one day."""

from __future__ import annotations

import httpx
import pytest
from anyio.to_thread import run_sync
from intercom import Intercom as Sdk

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.intercom import Intercom
from tests.vendors.bodies import NOW, account, answered
from tests.vendors.documents import Document, exchanged, needs_documents
from tests.vendors.intercom import api
from tests.vendors.intercom.case import CASE, ROWS, served

pytestmark = pytest.mark.anyio

VENDOR = Intercom()


async def test_one_segment_gets_its_size_from_the_list() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience=f"intercom:{ROWS[1]['id']}"))).audiences
    assert (one.size, one.details) == (1_204, {"person_type": "user"})


@pytest.mark.parametrize("pages", [None, {}, {"next": None}, {"type": "pages", "page": 1}])
async def test_an_answer_that_tells_of_no_further_page_is_whole(pages: object) -> None:
    async with served(ROWS, pages) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete, len(there.asked)) == (5, True, 1)


async def test_a_cursor_as_in_its_other_lists_is_followed() -> None:
    async with served(ROWS, {"next": {"starting_after": "2"}}) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete, len(there.asked)) == (5, True, 2)


@pytest.mark.parametrize(
    "pages",
    [{"next": "https://api.intercom.io/segments?page=2"}, {"next": {"page": 2}}, ["2"], "2", 2],
)
async def test_further_pages_in_an_unknown_form_are_never_the_end(pages: object) -> None:
    async with served(ROWS, pages) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (5, False)


@pytest.mark.parametrize("text", ["latest", "2", "2.", "2.14.1", "2.14/x", "2.14 2.16"])
def test_a_version_is_two_numbers(text: str) -> None:
    variables = {"INTERCOM_ACCESS_TOKEN": "made-up-token", "INTERCOM_VERSION": text}
    (source,) = load_configuration(variables, [VENDOR]).sources
    assert source.problem is not None
    assert "INTERCOM_VERSION" in source.problem.message


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "api.eu.intercom.io"),
        (403, "forbidden", "Read and list users and companies"),
        (400, "invalid_request", "INTERCOM_VERSION"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(VENDOR))
    assert (found, says in text) == (kind, True)


def test_the_wait_is_a_moment_in_a_header() -> None:
    response = answered(429, {}, headers={"x-ratelimit-reset": f"{NOW.timestamp() + 9:.0f}"})
    assert find_wait(response, account(VENDOR)) == 9


async def test_intercoms_own_sdk_reads_the_same_segments_and_sizes() -> None:
    def theirs(base: str) -> dict[str, tuple[object, object]]:
        with httpx.Client(trust_env=False) as http:
            version = {"Intercom-Version": "2.14"}
            sdk = Sdk(token=api.TOKEN, base_url=base, headers=version, httpx_client=http)
            listed = sdk.segments.list(include_count=True).segments or ()
            return {str(each.id): (each.name, each.count) for each in listed}

    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["INTERCOM_BASE_URL"])
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1_000))).audiences
    assert {row.id: (row.name, row.size) for row in ours} == read
    assert len(read) == len(ROWS)


def patched(document: Document) -> None:
    """Nothing is required since 2.12; what 2.11 required is."""
    schemas = document["components"]["schemas"]
    schemas["segment"]["required"] = ["type", "id", "name", "created_at", "person_type"]
    schemas["segment_list"]["required"] = ["type", "segments"]


@needs_documents
async def test_requests_and_answers_are_as_intercoms_document_has_them() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience=f"intercom:{ROWS[0]['id']}", refresh=True))
    checked = exchanged("intercom", there.asked, lambda asked: api.answer(asked, ROWS), patched)
    assert {"/segments", f"/segments/{ROWS[0]['id']}"} == set(checked)

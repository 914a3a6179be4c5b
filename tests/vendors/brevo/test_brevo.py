"""Brevo: lists and segments that share their numbers, zeros that mean nothing, waits in a header."""

import httpx
import pytest
from anyio.to_thread import run_sync
from brevo import Brevo as Sdk
from brevo.core.api_error import ApiError

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.brevo import Brevo
from tests.vendors.bodies import account, answered, first_requests, page_of, row
from tests.vendors.brevo import api
from tests.vendors.brevo.case import CASE, ROWS, a_list, a_segment, served
from tests.vendors.documents import Document, exchanged, needs_documents

BREVO = Brevo()
ACCOUNT = account(BREVO)
LISTS, SEGMENTS = BREVO.listings
FIRST, _ = REQUESTS = first_requests(BREVO, ACCOUNT.values)


def test_both_listings_are_asked_for_oldest_first_with_the_largest_page() -> None:
    params = {"limit": "50", "sort": "asc", "offset": "0"}
    assert [Request("contacts/lists", params), Request("contacts/segments", params)] == REQUESTS


def test_all_further_pages_are_known_after_the_first() -> None:
    page = page_of(BREVO, {"count": 120, "lists": [{"id": n} for n in range(50)]}, FIRST)
    assert [each.params["offset"] for each in page.plan] == ["50", "100"]


def test_an_empty_account_has_no_array_at_all() -> None:
    page = page_of(BREVO, {"count": 0}, FIRST)
    assert (page.rows, page.more) == ([], False)


def test_a_page_without_its_array_is_not_the_end_where_more_are_counted() -> None:
    assert page_of(BREVO, {"count": 7}, FIRST).more is True
    assert page_of(BREVO, {}, FIRST).more is None
    with pytest.raises(UnexpectedShape):
        page_of(BREVO, {"lists": None, "count": 7}, FIRST)


def test_the_key_goes_out_in_a_header_of_brevos_own() -> None:
    assert BREVO.auth_for({}).authorize(FIRST, {"api_key": "k"}, 0).headers == {"api-key": "k"}


def test_a_list_and_a_segment_of_the_same_number_are_two_audiences() -> None:
    a, b = row(BREVO, a_list(8, "L", 5), LISTS), row(BREVO, a_segment(8, "S"), SEGMENTS)
    assert a is not None
    assert b is not None
    assert (a.id, a.kind, a.size, a.type) == ("list-8", "list", 5, "unknown")
    assert (b.id, b.kind, b.size, b.type) == ("segment-8", "segment", None, "dynamic")
    assert b.size_note == "Brevo gives no count for segments"
    assert b.name == "S"


def test_the_counts_that_brevo_is_giving_up_are_never_a_size() -> None:
    raw = {"id": 1, "name": "n", "totalSubscribers": 9, "totalBlacklisted": 9}
    one = row(BREVO, raw, LISTS)
    assert one is not None
    assert one.size is None


@pytest.mark.parametrize(
    ("told", "type"), [(True, "dynamic"), (False, "static"), (None, "unknown"), ("yes", "unknown")]
)
def test_only_a_list_asked_for_alone_tells_whether_it_is_dynamic(told: bool | str | None, type: str) -> None:
    one = row(BREVO, {**a_list(1, "n", 1), "dynamicList": told}, LISTS)
    assert one is not None
    assert one.type == type


@pytest.mark.anyio
async def test_one_list_is_shown_with_its_date_which_the_listing_lacks() -> None:
    rows = [a_list(8, "Club", 9, createdAt="2026-02-03T04:05:06.000Z", dynamicList=False, campaignStats=[])]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience="brevo:list-8"))).audiences
    assert (one.created_at, one.type, one.size) == ("2026-02-03T04:05:06Z", "static", 9)


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["brevo:segment-8", "Lapsed", "segment-8"])
async def test_one_segment_is_found_in_the_listing_and_no_person_is_asked_for(text: str) -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        match = await catalog.get_audience(GetQuery(audience=text))
    assert [a.ref for a in match.audiences] == ["brevo:segment-8"]
    assert {asked.path for asked in there.asked} <= {"/v3/contacts/lists", "/v3/contacts/segments"}


def test_the_number_alone_is_the_vendors_own_id_of_both() -> None:
    assert BREVO.own_id("list-8") == BREVO.own_id("segment-8") == "8"


@pytest.mark.parametrize("text", ["8", "list-", "list-x", "list-" + "1" * 19, "LIST-8", "list-8/x"])
def test_other_text_is_no_id_and_never_asked_for(text: str) -> None:
    assert not BREVO.id_shape.fullmatch(text)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "IP address"),
        (403, "forbidden", "level Read"),
        (404, "not_found", "BASE_URL"),
        (402, "forbidden", "plan"),
        (429, "rate_limited", "429"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    assert (describe_status(status, ACCOUNT)[0], says in describe_status(status, ACCOUNT)[1]) == (kind, True)


@pytest.mark.parametrize(("status", "seconds"), [(429, 7), (503, None)])
def test_the_wait_is_in_a_header_that_comes_with_every_answer_and_counts_when_limited(
    status: int, seconds: int | None
) -> None:
    response = answered(status, None, is_json=False, headers={"x-sib-ratelimit-reset": "7"})
    assert find_wait(response, ACCOUNT) == seconds


# Held against Brevo's own SDK and document


@pytest.mark.anyio
async def test_brevos_own_sdk_reads_the_same_lists_segments_and_sizes() -> None:
    def theirs(base: str) -> dict[str, tuple[str, object]]:
        with httpx.Client(trust_env=False) as http:
            sdk = Sdk(api_key=api.KEY, base_url=base, httpx_client=http)
            found: dict[str, tuple[str, object]] = {}
            for offset in (0, 50, 100):
                for each in sdk.contacts.get_lists(limit=50, offset=offset, sort="asc").lists or ():
                    found[f"list-{each.id}"] = each.name, each.unique_subscribers
            for each in sdk.contacts.get_segments(limit=50, offset=0).segments or ():
                found[f"segment-{each.id}"] = each.segment_name, None
            return found

    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["BREVO_BASE_URL"])
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1_000))).audiences
    assert {a.id: (a.name, a.size) for a in ours} == read
    assert len(read) == len(ROWS)


@pytest.mark.anyio
async def test_brevos_own_sdk_is_refused_as_the_adapter_is() -> None:
    def theirs(base: str) -> None:
        with httpx.Client(trust_env=False) as http:
            Sdk(api_key="another-key", base_url=base, httpx_client=http).contacts.get_lists()

    async with served(ROWS) as there:
        with pytest.raises(ApiError) as caught:
            await run_sync(theirs, there.environment["BREVO_BASE_URL"])
    assert caught.value.status_code == 401


def patched(document: Document) -> None:
    """`segments` is declared an object and is an array; the arrays may be left out."""
    schemas = document["components"]["schemas"]
    segments = schemas["getSegments"]["properties"]["segments"]
    schemas["getSegments"]["properties"]["segments"] = {"type": "array", "items": segments}


@pytest.mark.anyio
@needs_documents
async def test_requests_and_answers_are_as_brevos_document_has_them() -> None:
    rows = [a_list(8, "Club", 9, createdAt="2026-02-03T04:05:06.000Z", dynamicList=False), *ROWS[1:]]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience="brevo:list-8"))
    checked = exchanged("brevo", there.asked, lambda asked: api.answer(asked, rows), patched)
    assert sorted(checked) == ["/v3/contacts/lists"] * 3 + ["/v3/contacts/lists/8", "/v3/contacts/segments"]

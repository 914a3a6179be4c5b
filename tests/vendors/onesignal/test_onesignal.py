"""OneSignal: sizes at one a second, a total that may be the page's, and refusals that are HTTP 400."""

from typing import Literal

import onesignal
import pytest
from anyio.to_thread import run_sync
from onesignal.api.default_api import DefaultApi

from audience_mcp.catalog.display import to_concise
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Counted, Rate, Request
from audience_mcp.vendors.onesignal import OneSignal
from audience_mcp.vendors.request import Purpose
from tests.vendors import bodies
from tests.vendors.bodies import (
    account,
    answered,
    first_requests,
    headers_sent,
    sizes_in,
    talk_of_sizes,
)
from tests.vendors.documents import Document, exchanged, needs_documents
from tests.vendors.onesignal import api
from tests.vendors.onesignal.case import CASE, ROWS, row, served, uuid

ONE = OneSignal()
ACCOUNT = account(ONE, ONESIGNAL_APP_ID=api.APP)
(FIRST,) = first_requests(ONE, ACCOUNT.values)


def held(raw: object) -> Row:
    found = bodies.row(ONE, raw)
    assert found is not None
    return found


def test_the_first_page_is_asked_for_with_the_largest_size() -> None:
    assert Request(f"apps/{api.APP}/segments", {"limit": "300", "offset": "0"}) == FIRST


@pytest.mark.anyio
@pytest.mark.parametrize("total", ["all", "page"])
@pytest.mark.parametrize("number", [1, 299, 300, 301])
async def test_every_segment_is_listed_whether_the_total_is_of_all_or_of_the_page(
    total: Literal["all", "page"], number: int
) -> None:
    rows = [row(n, f"Segment {n}", n) for n in range(number)]
    async with served(rows, total) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(search='"Segment 0"'))
        (report,) = answer.sources
    assert (report.audiences, report.complete) == (number, True)
    assert not [note for note in answer.notes or [] if "reports" in note]


def test_the_key_goes_out_as_onesignal_wants_it_and_not_as_a_bearer_token() -> None:
    assert headers_sent(ONE, ACCOUNT.values) == {"Authorization": "Key the-api_key"}


def test_a_segment_is_a_filter_with_its_dates() -> None:
    one = held(ROWS[1])
    assert (one.id, one.type, one.status, one.size_pending) == (uuid(2), "dynamic", "ready", True)
    assert one.details == {"read_only": False, "is_active": True}


def test_a_size_is_asked_for_without_the_filters_and_at_one_a_second() -> None:
    request = next(talk_of_sizes(ONE, [held(ROWS[1])], ACCOUNT.values))
    assert request == Request(f"apps/{api.APP}/segments/{uuid(2)}")
    assert ACCOUNT.rates[request.pace] == [Rate(1, 1)]
    assert request.pace != FIRST.pace


def test_a_size_is_the_count_of_subscribers_and_nothing_else_is_taken_for_one() -> None:
    segment = held(ROWS[1])
    assert sizes_in(ONE, [segment], {"subscriber_count": 7}, ACCOUNT.values) == {uuid(2): Counted(7)}
    with pytest.raises(UnexpectedShape):
        sizes_in(ONE, [segment], [], ACCOUNT.values)


@pytest.mark.anyio
async def test_the_size_of_a_segment_that_is_not_active_says_so() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        audiences = (await catalog.list_audiences(ListQuery(detail="full"))).audiences
    notes = {audience.name: (audience.size, audience.size_note) for audience in audiences}
    assert notes["Lapsed readers"] == (1_204, None)
    assert notes["Paused"] == (77, "the segment is not active")


def test_a_size_from_before_says_so_also_where_the_segment_is_not_active() -> None:
    paused = held(ROWS[3])
    paused.last_size = 70, bodies.NOW
    shown = to_concise("onesignal", ONE, paused)
    assert shown.size == 70
    assert shown.size_note is not None
    assert shown.size_note.startswith("counted at 2026-11-20T12:00:00Z")
    assert shown.size_note.endswith("; the segment is not active")


@pytest.mark.anyio
async def test_a_segment_that_onesignal_cannot_count_has_no_size_and_the_answer_is_complete() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(detail="full"))
    (odd,) = [a for a in answer.audiences if a.size is None]
    assert (odd.name, odd.size_note) == (api.NEVER_COUNTED, "the vendor refused to count this audience")
    assert answer.complete


@pytest.mark.anyio
async def test_one_segment_comes_from_the_listing_and_only_it_is_counted() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience=f"onesignal:{uuid(2)}"))).audiences
    assert (one.name, one.size, one.updated_at) == ("Lapsed readers", 1_204, "2026-04-03T05:06:07Z")
    assert len(there.asked) == 2


@pytest.mark.parametrize(
    ("status", "purpose", "kind"),
    [
        (400, "list", "unauthorized"),
        (403, "list", "unauthorized"),
        (403, "count", "unauthorized"),
        (400, "count", "invalid_request"),
        (404, "count", "not_found"),
        (429, "list", "rate_limited"),
    ],
)
def test_a_refused_key_is_a_400_or_a_403_and_a_400_for_one_size_is_not(
    status: int, purpose: Purpose, kind: str
) -> None:
    got, text = describe_status(ONE.status(answered(status, {}, purpose=purpose)), ACCOUNT)
    assert got == kind
    assert kind != "unauthorized" or "ONESIGNAL_APP_ID" in text


# Held against OneSignal's own SDK and document


@pytest.mark.anyio
async def test_onesignals_own_sdk_reads_the_same_segments_and_sizes() -> None:
    rows = [each for each in ROWS if each["name"] != api.NEVER_COUNTED]

    def theirs(host: str) -> dict[str, tuple[str, int]]:
        configuration = onesignal.Configuration(host=host, rest_api_key=api.KEY)
        with onesignal.ApiClient(configuration) as client:
            sdk = DefaultApi(client)
            listed = sdk.get_segments(api.APP, offset=0, limit=300).segments
            return {s.id: (s.name, sdk.get_segment(api.APP, s.id).subscriber_count) for s in listed}

    async with served(rows) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["ONESIGNAL_BASE_URL"])
        ours = (await catalog.list_audiences(ListQuery(detail="full"))).audiences
    assert {a.id: (a.name, a.size) for a in ours} == read


def patched(document: Document) -> None:
    """The key is declared a bearer token, and the listing's answer a 201."""
    document["components"]["securitySchemes"]["rest_api_key"] = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
    }
    responses = document["paths"]["/apps/{app_id}/segments"]["get"]["responses"]
    responses["200"] = responses.pop("201")


@pytest.mark.anyio
@needs_documents
async def test_requests_and_answers_are_as_onesignals_document_has_them() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
    checked = exchanged("onesignal", there.asked, lambda asked: api.answer(asked, ROWS), patched)
    assert len(checked) == 1 + len(ROWS)

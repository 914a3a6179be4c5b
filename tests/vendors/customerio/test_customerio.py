"""Customer.io: one answer with all segments, and a request for each size."""

from typing import Any

import pytest
from async_customerio import AsyncAPIClient

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing import serve_api
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Counted, Request
from audience_mcp.vendors.customerio import CustomerIo
from tests.vendors import bodies
from tests.vendors.bodies import account, first_requests, page_of, sizes_in, talk_of_sizes
from tests.vendors.customerio import api
from tests.vendors.customerio.case import CASE, ROWS, row, served

CIO = CustomerIo()
ACCOUNT = account(CIO)
(FIRST,) = first_requests(CIO, ACCOUNT.values)


def held(raw: object) -> Row:
    found = bodies.row(CIO, raw)
    assert found is not None
    return found


def test_everything_is_asked_for_at_once() -> None:
    assert Request("segments") == FIRST
    assert page_of(CIO, {"segments": []}, FIRST).more is False


@pytest.mark.parametrize("body", [{}, {"segments": {}}, [], None])
def test_a_body_without_segments_is_not_taken_for_an_empty_workspace(
    body: dict[str, Any] | list[Any] | None,
) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(CIO, body, FIRST)


@pytest.mark.parametrize(
    ("region", "base"),
    [
        (None, "https://api.customer.io/v1"),
        ("us", "https://api.customer.io/v1"),
        ("EU", "https://api-eu.customer.io/v1"),
    ],
)
def test_the_region_says_where_the_account_is(region: str | None, base: str) -> None:
    variables = {"CUSTOMERIO_REGION": region} if region else {}
    assert account(CIO, **variables).base_url == base


def test_another_region_is_refused_with_those_that_there_are() -> None:
    variables = {"CUSTOMERIO_APP_API_KEY": "made-up-key", "CUSTOMERIO_REGION": "au.evil.example/"}
    (source,) = load_configuration(variables, [CIO]).sources
    assert source.problem is not None
    assert "CUSTOMERIO_REGION must be one of us, eu" in source.problem.message


@pytest.mark.parametrize(
    ("state", "status", "details"),
    [
        ("finished", "ready", {}),
        ("build", "processing", {"state": "build"}),
        ("events", "processing", {"state": "events"}),
        ("build_queued", "processing", {"state": "build_queued"}),
        ("events_queued", "processing", {"state": "events_queued"}),
        ("archived", "unknown", {"state": "archived"}),
        (None, "unknown", {}),
    ],
)
def test_the_status_is_that_of_the_build(state: str | None, status: str, details: dict[str, Any]) -> None:
    one = held(row(1, "n", 1) | {"state": state})
    assert (one.status, one.details or {}) == (status, details)


@pytest.mark.parametrize(
    ("word", "type"), [("manual", "static"), ("dynamic", "dynamic"), ("new", "unknown"), (None, "unknown")]
)
def test_the_type_is_what_customer_io_calls_it(word: str | None, type: str) -> None:
    assert held(row(1, "n", 1) | {"type": word}).type == type


def test_a_size_is_a_request_of_its_own_that_brings_no_person() -> None:
    one = held(row(41, "n", 1))
    assert one.size_pending
    assert next(talk_of_sizes(CIO, [one], ACCOUNT.values)) == Request("segments/41/customer_count")


@pytest.mark.parametrize(
    ("state", "count", "counted"),
    [
        ("finished", 0, Counted(0)),
        ("finished", 9, Counted(9)),
        ("build", 0, Counted(None, "not counted yet")),
        ("build", 9, Counted(9, "still being built")),
        ("archived", 0, Counted(None, "not counted yet")),
    ],
)
def test_a_zero_of_a_segment_that_is_being_built_is_no_size(state: str, count: int, counted: Counted) -> None:
    one = held(row(4, "n", count, state=state))
    assert sizes_in(CIO, [one], {"segment_id": 4, "count": count}, {}) == {"4": counted}


@pytest.mark.parametrize("body", [{"segment_id": 5, "count": 9}, [], None])
def test_a_count_of_another_segment_is_not_taken_for_this_ones(
    body: dict[str, Any] | list[Any] | None,
) -> None:
    with pytest.raises(UnexpectedShape):
        sizes_in(CIO, [held(row(4, "n", 1))], body, {})


def test_a_refused_key_may_be_of_another_product_or_region() -> None:
    kind, text = describe_status(401, ACCOUNT)
    assert kind == "unauthorized"
    assert "App API key" in text
    assert "CUSTOMERIO_REGION" in text


@pytest.mark.anyio
async def test_one_segment_costs_itself_and_its_count() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience="customerio:4"))).audiences
    assert (one.name, one.size, one.type) == ("VIP", 812, "static")
    assert [asked.path for asked in there.asked] == ["/v1/segments/4", "/v1/segments/4/customer_count"]


@pytest.mark.anyio
async def test_only_the_segments_that_a_question_is_about_are_counted() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(search="trial"))
    assert [(a.name, a.size) for a in answer.audiences] == [("Winter trial", 9_120)]
    assert [asked.path for asked in there.asked] == ["/v1/segments", "/v1/segments/5/customer_count"]


@pytest.mark.anyio
async def test_a_segment_deleted_before_its_count_costs_no_other_size() -> None:
    def answer(asked: Any) -> Any:
        if asked.path == "/v1/segments/5/customer_count":
            return api.refused(404, "segment_id does not exist")
        return api.answer(asked, ROWS)

    async with (
        served([]) as there,
        serve_api(answer) as (origin, _),
        open_case(CASE, there, CUSTOMERIO_BASE_URL=f"{origin}/v1") as catalog,
    ):
        result = await catalog.list_audiences(ListQuery(detail="full"))
    assert result.complete
    (gone,) = [a for a in result.audiences if a.id == "5"]
    assert (gone.size, gone.size_note) == (None, "the vendor refused to count this audience")


@pytest.mark.anyio
async def test_a_client_of_others_reads_the_same_segments_and_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    rows = [each for each in ROWS if each["state"] == "finished"]
    # It sends a Content-Type with a GET, which the imitation allows.
    async with served(rows) as there, open_case(CASE, there) as catalog:
        client = AsyncAPIClient(key=api.KEY, url=there.environment["CUSTOMERIO_BASE_URL"].removesuffix("/v1"))
        theirs = {}
        for each in (await client.segments.list())["segments"]:
            counted = await client.segments.get_customer_count(each["id"])
            theirs[str(each["id"])] = each["name"], counted["count"]
        await client.close()
        ours = (await catalog.list_audiences(ListQuery(detail="full"))).audiences
    assert {a.id: (a.name, a.size) for a in ours} == theirs

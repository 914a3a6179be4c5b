"""Braze: pages that end by not being full, estimates of a day, answers that do not say of which segment."""

from dataclasses import replace
from typing import Any

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Counted, Request
from audience_mcp.vendors.braze import Braze
from audience_mcp.vendors.request import Purpose
from tests.vendors import bodies
from tests.vendors.bodies import (
    account,
    answered,
    first_requests,
    page_of,
    sizes_in,
    talk_of_one,
    talk_of_sizes,
)
from tests.vendors.braze.case import CASE, ROWS, row, served, uuid

BRAZE = Braze()
ACCOUNT = account(BRAZE)
(FIRST,) = first_requests(BRAZE, ACCOUNT.values)
_HELD = bodies.row(BRAZE, ROWS[0])
assert _HELD is not None
HELD: Row = _HELD


def test_the_first_page_is_number_0_with_the_oldest_first() -> None:
    assert Request("segments/list", {"sort_direction": "asc", "page": "0"}) == FIRST


@pytest.mark.parametrize(("rows", "more"), [(100, True), (99, False), (1, False), (0, False)])
def test_a_page_that_is_not_full_is_the_end_since_there_is_no_other_sign(rows: int, more: bool) -> None:
    page = page_of(BRAZE, {"message": "success", "segments": [{}] * rows}, FIRST)
    assert page.more is more
    assert page.next == FIRST.with_params(page="1")


@pytest.mark.parametrize("body", [{}, {"message": "success"}, []])
def test_a_body_without_segments_is_not_taken_for_the_last_page(body: dict[str, Any] | list[Any]) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(BRAZE, body, FIRST)


@pytest.mark.parametrize(
    "written", ["https://rest.fra-01.braze.eu", "rest.fra-01.braze.eu", "https://rest.fra-01.braze.eu/"]
)
def test_the_endpoint_may_be_written_with_and_without_its_scheme(written: str) -> None:
    assert account(BRAZE, BRAZE_REST_ENDPOINT=written).base_url == "https://rest.fra-01.braze.eu"


def test_there_is_no_endpoint_that_would_do_for_all() -> None:
    (source,) = load_configuration({"BRAZE_API_KEY": "made-up-key"}, [BRAZE]).sources
    assert source.problem is not None
    assert "BRAZE_REST_ENDPOINT" in source.problem.message


def test_a_size_is_the_last_day_of_a_series_that_brings_the_days_before_along() -> None:
    talk = talk_of_sizes(BRAZE, [HELD], ACCOUNT.values)
    assert next(talk) == Request("segments/data_series", {"segment_id": uuid(1), "length": "100"})


@pytest.mark.parametrize(
    ("data", "counted"),
    [
        (
            [{"time": "2026-02-03", "size": 7}],
            Counted(7, "Braze's estimate of 2026-02-03", sized_on="2026-02-03"),
        ),
        (
            [{"time": "2026-02-04", "size": 8}, {"time": "2026-02-03", "size": 7}],
            Counted(8, "Braze's estimate of 2026-02-04", sized_on="2026-02-04"),
        ),
        ([], Counted(None)),
        ([{"time": "soon\u202e", "size": 7}], Counted(7, "Braze's estimate")),
        ([{"size": 7}], Counted(7, "Braze's estimate")),
        (["x", None], Counted(None)),
    ],
)
def test_the_size_is_the_estimate_of_the_latest_day_and_says_which(data: list[Any], counted: Counted) -> None:
    sizes = sizes_in(BRAZE, [HELD], {"message": "success", "data": data}, ACCOUNT.values)
    assert sizes == {uuid(1): replace(counted, past=sizes[uuid(1)].past)}


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {}}, []])
def test_a_series_that_is_not_there_is_not_taken_for_an_empty_one(body: dict[str, Any] | list[Any]) -> None:
    with pytest.raises(UnexpectedShape):
        sizes_in(BRAZE, [HELD], body, ACCOUNT.values)


@pytest.mark.anyio
async def test_one_segment_has_its_dates_and_what_a_person_wrote_of_it() -> None:
    told = {
        "created_at": "2026-01-05T06:07:08.000+00:00",
        "updated_at": "2026-01-06",
        "description": "made of filters",
        "text_description": "Who took a ferry",
    }
    async with served([row(1, "Ferry riders", 1_204, **told)]) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience=f"braze:{uuid(1)}"))).audiences
    assert (one.created_at, one.updated_at) == ("2026-01-05T06:07:08Z", "2026-01-06T00:00:00Z")
    assert (one.description, one.size) == ("Who took a ferry", 1_204)
    assert [asked.path for asked in there.asked] == ["/segments/details", "/segments/data_series"]


@pytest.mark.anyio
async def test_a_segment_without_an_estimate_is_unknown_and_not_zero() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(search='"No series"'))
    (one,) = answer.audiences
    assert (one.size, one.size_note) == (None, "Braze gives no estimate for it")
    assert (answer.unknown_sizes, answer.complete) == (1, True)


@pytest.mark.parametrize(
    ("status", "purpose", "kind"),
    [
        (401, "list", "unauthorized"),
        (404, "list", "unauthorized"),
        (404, "one", "not_found"),
        (400, "one", "not_found"),
        (400, "count", "invalid_request"),
        (400, "list", "invalid_request"),
        (202, "list", "unavailable"),
        (202, "count", "unavailable"),
        (403, "list", "forbidden"),
        (429, "list", "rate_limited"),
    ],
)
def test_what_a_status_means_depends_on_what_was_asked(status: int, purpose: Purpose, kind: str) -> None:
    assert describe_status(BRAZE.status(answered(status, None, purpose=purpose)), ACCOUNT)[0] == kind


def test_each_request_says_what_it_is_for() -> None:
    count = next(talk_of_sizes(BRAZE, [HELD], ACCOUNT.values))
    one = next(talk_of_one(BRAZE, uuid(1), ACCOUNT.values))
    assert (FIRST.purpose, one.purpose, count.purpose) == ("list", "one", "count")


@pytest.mark.parametrize(
    ("message", "status"), [("success", 200), (None, 200), ("Invalid API Key", 500), ("queued", 500)]
)
def test_a_message_of_failure_under_200_is_a_failure_and_errors_beside_success_are_none(
    message: str | None, status: int
) -> None:
    body = {"message": message, "segments": [], "errors": ["something minor"]}
    assert BRAZE.status(answered(200, body)) == status


def test_the_wait_is_a_moment_in_a_header() -> None:
    moment = round(bodies.NOW.timestamp()) + 12
    limited = answered(429, None, headers={"x-ratelimit-reset": str(moment)})
    assert find_wait(limited, ACCOUNT) == 12


def test_a_refused_key_names_its_permissions_and_the_endpoint() -> None:
    _, text = describe_status(401, ACCOUNT)
    for word in ("segments.list", "segments.data_series", "segments.details", "BRAZE_REST_ENDPOINT"):
        assert word in text

"""Braze: pages that end by not being full, estimates of a day, answers that do not say of which segment."""

from typing import Any

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.sources.rows import row_of
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Counted, Request, Response
from audience_mcp.vendors.braze import Braze
from tests.vendors.bodies import account
from tests.vendors.braze.case import CASE, ROWS, row, served, uuid

BRAZE = Braze()
ACCOUNT = account(BRAZE)
FIRST = BRAZE.list_request(ACCOUNT.values)
_HELD = row_of(BRAZE, ROWS[0], FIRST)
DETAILS = BRAZE.get_request(uuid(1), ACCOUNT.values)
assert _HELD is not None
HELD: Row = _HELD
COUNT = BRAZE.count_request([HELD], ACCOUNT.values)


def answered(status: int, request: Request, body: object = None, **headers: str) -> Response:
    return Response(request, status, headers, body, True, 1_790_000_000.0)


def test_the_first_page_is_number_0_with_the_oldest_first() -> None:
    assert Request("segments/list", {"sort_direction": "asc", "page": "0"}) == FIRST


@pytest.mark.parametrize(("rows", "more"), [(100, True), (99, False), (1, False), (0, False)])
def test_a_page_that_is_not_full_is_the_end_since_there_is_no_other_sign(rows: int, more: bool) -> None:
    page = BRAZE.page({"message": "success", "segments": [{}] * rows}, FIRST)
    assert page.more is more
    assert page.next == FIRST.with_params(page="1")


@pytest.mark.parametrize("body", [{}, {"message": "success"}, {"message": "success", "segments": None}, []])
def test_a_body_without_segments_is_not_taken_for_the_last_page(body: dict[str, Any] | list[Any]) -> None:
    with pytest.raises(UnexpectedShape):
        BRAZE.page(body, FIRST)


@pytest.mark.parametrize(
    "written", ["https://rest.fra-01.braze.eu", "rest.fra-01.braze.eu", "https://rest.fra-01.braze.eu/"]
)
def test_the_endpoint_may_be_written_with_and_without_its_scheme(written: str) -> None:
    assert account(BRAZE, BRAZE_REST_ENDPOINT=written).base_url == "https://rest.fra-01.braze.eu"


def test_there_is_no_endpoint_that_would_do_for_all() -> None:
    (source,) = load_configuration({"BRAZE_API_KEY": "made-up-key"}, [BRAZE]).sources
    assert source.problem is not None
    assert "BRAZE_REST_ENDPOINT" in source.problem.message


def test_a_size_is_the_last_day_of_a_series() -> None:
    assert Request("segments/data_series", {"segment_id": uuid(1), "length": "1"}) == COUNT


@pytest.mark.parametrize(
    ("data", "counted"),
    [
        ([{"time": "2026-02-03", "size": 7}], Counted(7, "Braze's estimate of 2026-02-03")),
        ([{"time": "2026-02-04", "size": 8}, {"time": "2026-02-03", "size": 7}],
         Counted(8, "Braze's estimate of 2026-02-04")),
        ([], Counted(None)),
        ([{"time": "soon\u202e", "size": 7}], Counted(7, "Braze's estimate")),
        ([{"size": 7}], Counted(7, "Braze's estimate")),
        (["x", None], Counted(None)),
    ],
)  # fmt: skip
def test_the_size_is_the_estimate_of_the_latest_day_and_says_which(data: list[Any], counted: Counted) -> None:
    assert BRAZE.parse_counts({"message": "success", "data": data}, [HELD]) == {uuid(1): counted}


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {}}, []])
def test_a_series_that_is_not_there_is_not_taken_for_an_empty_one(body: dict[str, Any] | list[Any]) -> None:
    with pytest.raises(UnexpectedShape):
        BRAZE.parse_counts(body, [HELD])


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
    ("status", "request_", "kind"),
    [(401, FIRST, "unauthorized"), (404, FIRST, "unauthorized"), (404, DETAILS, "not_found"),
     (400, DETAILS, "not_found"), (400, COUNT, "invalid_request"), (400, FIRST, "invalid_request"),
     (202, FIRST, "unavailable"), (202, COUNT, "unavailable"), (403, FIRST, "forbidden"),
     (429, FIRST, "rate_limited")],
)  # fmt: skip
def test_what_a_status_means_depends_on_what_was_asked(status: int, request_: Request, kind: str) -> None:
    assert describe_status(BRAZE.status_of(answered(status, request_)), ACCOUNT)[0] == kind


@pytest.mark.parametrize(
    ("message", "status"), [("success", 200), (None, 200), ("Invalid API Key", 500), ("queued", 500)]
)
def test_a_message_of_failure_under_200_is_a_failure_and_errors_beside_success_are_none(
    message: str | None, status: int
) -> None:
    body = {"message": message, "segments": [], "errors": ["something minor"]}
    assert BRAZE.status_of(answered(200, FIRST, body)) == status


def test_the_wait_is_a_moment_in_a_header() -> None:
    limited = answered(429, FIRST, **{"x-ratelimit-reset": "1790000012"})
    assert find_wait(limited, ACCOUNT) == 12


def test_a_refused_key_names_its_permissions_and_the_endpoint() -> None:
    _, text = describe_status(401, ACCOUNT)
    for word in ("segments.list", "segments.data_series", "segments.details", "BRAZE_REST_ENDPOINT"):
        assert word in text

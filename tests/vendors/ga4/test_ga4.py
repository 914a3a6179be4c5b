"""Google Analytics: two addresses, one report for all sizes, and users of a period that are no members."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import ToolError, UnexpectedShape
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing import Answer, Asked
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request, as_object
from audience_mcp.vendors.ga4 import NOT_SHOWN, SEEN, Ga4
from tests.vendors import bodies
from tests.vendors.bodies import account, answered, first_requests, page_of, sizes_in, talk_of_one
from tests.vendors.ga4 import api
from tests.vendors.ga4.case import CASE, ROWS, row, served

pytestmark = pytest.mark.anyio

VENDOR = Ga4()
ACCOUNT = account(VENDOR, GA4_PROPERTY_ID="properties/777001")
(FIRST,) = first_requests(VENDOR, ACCOUNT.values)
HEADERS = {
    "dimensionHeaders": [{"name": "audienceId"}],
    "metricHeaders": [{"name": "totalUsers", "type": "TYPE_INTEGER"}],
}


def audience_row(id: str = "5000003") -> Any:
    found = bodies.row(VENDOR, {"name": f"properties/777001/audiences/{id}", "displayName": "n"})
    assert found is not None
    return found


def report(*rows: tuple[object, object], **more: object) -> dict[str, object]:
    found = [{"dimensionValues": [{"value": id}], "metricValues": [{"value": n}]} for id, n in rows]
    return {**HEADERS, **({"rows": found} if rows else {}), **more}


def sizes(*rows: tuple[object, object], **more: object) -> dict[str, tuple[object, str | None]]:
    """The sizes of audience 5000003 as a report gives them, with what is said of them."""
    counted = sizes_in(VENDOR, [audience_row()], report(*rows, **more), ACCOUNT.values)
    return {id: (each.size, each.note) for id, each in counted.items()}


# --- What is asked ------------------------------------------------------------------------------------


def test_a_property_may_be_pasted_as_googles_resource_name() -> None:
    assert Request("properties/777001/audiences", {"pageSize": "200"}) == FIRST


def test_all_sizes_come_by_one_report_at_the_data_api_over_thirty_whole_days() -> None:
    rows = [audience_row("1"), audience_row("2")]
    request = next(bodies.talk_of_sizes(VENDOR, rows, ACCOUNT.values))
    assert request.path == "https://analyticsdata.googleapis.com/v1beta/properties/777001:runReport"
    body = as_object(request.json)
    assert body["dateRanges"] == [{"startDate": "30daysAgo", "endDate": "yesterday"}]
    assert body["dimensionFilter"] == {
        "filter": {"fieldName": "audienceId", "inListFilter": {"values": ["1", "2"]}}
    }


async def test_three_requests_read_everything_and_no_other_kind_is_ever_made() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert answer.complete
    assert [(each.method, each.path) for each in there.asked] == [
        ("GET", "/v1alpha/properties/777001/audiences"),
        ("GET", "/v1alpha/properties/777001/audiences"),
        ("POST", "/v1beta/properties/777001:runReport"),
    ]


async def test_one_audience_is_asked_for_alone_and_counted_by_a_report_of_its_own() -> None:
    assert next(talk_of_one(VENDOR, "5000003", ACCOUNT.values)).path == "properties/777001/audiences/5000003"
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        found = await catalog.get_audience(GetQuery(audience="ga4:5000003"))
    (one,) = found.audiences
    assert (one.name, one.size, one.status) == ("Käufer – 2026", 1_204, "ready")
    (_, counted) = there.asked
    assert json.loads(counted.body)["dimensionFilter"]["filter"]["inListFilter"]["values"] == ["5000003"]


# --- What a size is -----------------------------------------------------------------------------------


async def test_a_size_is_users_of_a_period_wherever_one_is_shown_and_never_members() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=500))
        one = await catalog.get_audience(GetQuery(audience="ga4:5000002"))
    notes = {audience.size_note for audience in answer.audiences}
    assert notes == {SEEN, NOT_SHOWN}
    assert one.audiences[0].size_note == SEEN
    (source,) = answer.sources
    assert "not its membership" in str(source.size_counts)
    assert SEEN == "users in the 30 days to yesterday, not members"


def test_an_audience_that_the_report_leaves_out_is_unknown_and_never_0() -> None:
    unknown = {"5000003": (None, NOT_SHOWN)}
    assert sizes() == unknown
    assert sizes(("5000004", "12"), ("(not set)", "77")) == unknown
    for flag in ("subjectToThresholding", "dataLossFromOtherRow"):
        assert sizes(("5000004", "12"), metadata={flag: True}) == unknown


def test_a_report_from_a_sample_says_so() -> None:
    sampled = {"samplingMetadatas": [{"samplesReadCount": "1000", "samplingSpaceSize": "90000"}]}
    assert sizes(("5000003", "12"), metadata=sampled) == {"5000003": ("12", f"{SEEN}; from a sample")}


def test_an_empty_report_is_one_also_without_its_headers() -> None:
    talk = bodies.talk_of_sizes(VENDOR, [audience_row()], ACCOUNT.values)
    found = bodies.result_of(talk, {"kind": "analyticsData#runReport"})
    assert [*found] == ["5000003"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rows": []},
        {**HEADERS, "rows": {}},
        {**HEADERS, "rows": None},
        {**HEADERS, "metricHeaders": [{"name": "activeUsers"}]},
        {**HEADERS, "dimensionHeaders": [{"name": "audienceName"}]},
        [],
        None,
    ],
)
def test_another_body_is_not_taken_for_a_report_in_which_nobody_was_seen(body: object) -> None:
    with pytest.raises(UnexpectedShape):
        bodies.result_of(bodies.talk_of_sizes(VENDOR, [audience_row()], ACCOUNT.values), body)


# --- Names and ids ------------------------------------------------------------------------------------


def test_an_id_is_the_end_of_a_resource_name_and_a_name_of_another_form_is_none() -> None:
    assert audience_row().id == "5000003"
    for name in ("5000003", "properties/777001/audienceExports/5000003", "properties/777001/audiences/"):
        assert bodies.row(VENDOR, {"name": name, "displayName": "n"}) is None, name


def test_a_property_without_audiences_is_an_empty_object() -> None:
    assert page_of(VENDOR, {}, FIRST).more is False
    with pytest.raises(UnexpectedShape):
        page_of(VENDOR, {"other": 1}, FIRST)


# --- The status that only a size tells ----------------------------------------------------------------


async def list_of(query: ListQuery, rows: Sequence[object] = ROWS[:4]) -> AudienceList:
    async with served(rows) as there, open_case(CASE, there) as catalog:
        return await catalog.list_audiences(query)


async def test_an_audience_with_a_size_is_ready_and_any_other_unknown() -> None:
    ready = await list_of(ListQuery(status=["ready"]))
    assert (ready.matched, ready.sum_of_sizes, ready.complete) == (3, 418_504, True)
    unknown = await list_of(ListQuery(status=["unknown"]))
    assert (unknown.matched, unknown.unknown_sizes, unknown.complete) == (1, 1, True)
    grouped = await list_of(ListQuery(group_by="status"))
    assert {each.key: each.matched for each in grouped.groups or ()} == {"ready": 3, "unknown": 1}
    none = await list_of(ListQuery(status=["processing"]))
    assert (none.matched, none.complete) == (0, True)


# --- Failures -----------------------------------------------------------------------------------------


def refusing(answer: Answer) -> Any:
    """An API that answers everything so."""
    return lambda asked, rows: answer


async def test_a_report_that_is_refused_leaves_names_without_sizes_and_says_why() -> None:
    no = refusing(api.failed(403, "PERMISSION_DENIED", "SERVICE_DISABLED"))
    async with served(ROWS[:4], data=no) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert (answer.matched, answer.unknown_sizes, answer.sum_of_sizes) == (4, 4, 0)
    assert (answer.complete, answer.sizes_pending) == (True, None)
    (source,) = answer.sources
    assert source.error is not None
    assert source.error.kind == "forbidden"
    for what in ("GA4_PROPERTY_ID", "analytics.readonly", "Google Analytics Data", "GA4_CLIENT_ID"):
        assert what in source.error.message


@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request"), (404, "not_found")])
async def test_a_report_that_is_refused_is_asked_for_once_and_an_error_of_the_source(
    status: int, kind: str
) -> None:
    no = refusing(Answer(status, {"error": {"code": status}}))
    async with served(ROWS[:4], data=no) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert [each.method for each in there.asked] == ["GET", "POST"]
    assert (answer.complete, answer.sizes_pending) == (True, None)
    (source,) = answer.sources
    assert source.error is not None
    assert source.error.kind == kind
    assert status == 400 or "GA4_DATA_URL" in source.error.message


@pytest.mark.slow
async def test_what_fails_at_the_data_api_names_its_variable_and_not_the_other_apis() -> None:
    nowhere = {"GA4_DATA_URL": "http://127.0.0.1:1/v1beta"}
    async with served(ROWS[:4]) as there, open_case(CASE, there, **nowhere) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    (source,) = answer.sources
    assert source.error is not None
    assert "GA4_DATA_URL" in source.error.message
    assert "GA4_BASE_URL" not in source.error.message


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "GA4_REFRESH_TOKEN"),
        (403, "forbidden", "GA4_PROPERTY_ID"),
        (404, "not_found", "GA4_PROPERTY_ID"),
        (429, "rate_limited", ""),
        (500, "unavailable", ""),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, ACCOUNT)
    assert (found, says in text) == (kind, True)


def test_a_quota_that_is_used_up_is_left_alone_for_minutes() -> None:
    assert find_wait(answered(429, api.failed(429, "RESOURCE_EXHAUSTED").body), ACCOUNT) == 300
    assert find_wait(answered(503, api.failed(503, "UNAVAILABLE").body), ACCOUNT) is None


async def test_a_quota_that_is_used_up_is_asked_for_once() -> None:
    no = refusing(api.failed(429, "RESOURCE_EXHAUSTED"))
    async with served(ROWS[:4], data=no) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert len(there.asked) == 2
    (source,) = answer.sources
    assert source.error is not None
    assert (source.error.kind, source.error.retry_after_s) == ("rate_limited", 300)


async def test_a_refresh_token_that_has_ended_is_named() -> None:
    other = {"GA4_REFRESH_TOKEN": "1//another-one"}
    async with served(ROWS) as there, open_case(CASE, there, **other) as catalog:
        with pytest.raises(ToolError) as caught:
            await catalog.list_audiences(ListQuery())
    assert "GA4_REFRESH_TOKEN" in str(caught.value)


@pytest.mark.parametrize("address", ["http://example.com/v1beta", "ftp://x", "https://a:b@example.com"])
def test_the_data_apis_address_is_https_or_this_computer(address: str) -> None:
    variables = {s.variables[0]: s.example or f"the-{s.role}" for s in VENDOR.settings if s.required}
    (source,) = load_configuration({**variables, "GA4_DATA_URL": address}, [VENDOR]).sources
    assert source.problem is not None
    assert "GA4_DATA_URL" in source.problem.message


# --- Google's own packages ----------------------------------------------------------------------------

HEAVY = "the extra 'oracles' is not installed (google-analytics-admin, google-analytics-data)"


@pytest.mark.filterwarnings("ignore")
async def test_googles_own_messages_take_every_request_and_answer_and_hold_the_same_audiences() -> None:
    admin_v1alpha: Any = pytest.importorskip("google.analytics.admin_v1alpha", reason=HEAVY)
    data_v1beta: Any = pytest.importorskip("google.analytics.data_v1beta", reason=HEAVY)
    from google.protobuf import json_format

    theirs: dict[str, str] = {}
    users: dict[str, int] = {}

    def admin(asked: Asked, rows: Sequence[object]) -> Answer:
        answer = api.admin(asked, rows)
        message = json_format.ParseDict(
            dict(as_object(answer.body)), admin_v1alpha.ListAudiencesResponse.pb()()
        )
        theirs.update({each.name.rpartition("/")[2]: each.display_name for each in message.audiences})
        return answer

    def data(asked: Asked, rows: Sequence[object]) -> Answer:
        request = json_format.ParseDict(json.loads(asked.body), data_v1beta.RunReportRequest.pb()())
        assert [each.name for each in request.metrics] == ["totalUsers"]
        answer = api.data(asked, rows, subjectToThresholding=True)
        message = json_format.ParseDict(dict(as_object(answer.body)), data_v1beta.RunReportResponse.pb()())
        users.update({r.dimension_values[0].value: int(r.metric_values[0].value) for r in message.rows})
        return answer

    async with served(ROWS, admin, data) as there, open_case(CASE, there) as catalog:
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=500))).audiences
    assert {audience.id: audience.name for audience in ours} == theirs
    assert {audience.id: audience.size for audience in ours} == {id: users.get(id) for id in theirs}
    assert len(theirs) == len(ROWS)


@pytest.mark.filterwarnings("ignore")
async def test_googles_own_client_pages_through_the_same_audiences() -> None:
    pytest.importorskip("google.analytics.admin_v1alpha", reason=HEAVY)
    from google.analytics.admin_v1alpha import (  # pyright: ignore[reportMissingImports]
        AnalyticsAdminServiceClient,
    )
    from google.analytics.admin_v1alpha.services.analytics_admin_service.transports import (  # pyright: ignore[reportMissingImports]
        AnalyticsAdminServiceRestTransport,
    )
    from google.oauth2.credentials import Credentials

    def read(host: str) -> list[str]:
        credentials: Any = Credentials("ya29.made-up-access-token")  # type: ignore[no-untyped-call]
        transport: Any = AnalyticsAdminServiceRestTransport(
            host=host, credentials=credentials, url_scheme="http"
        )
        transport._session.trust_env = False
        client: Any = AnalyticsAdminServiceClient(transport=transport)
        return [each.name for each in client.list_audiences(parent="properties/777001")]

    def lenient(asked: Asked, rows: Sequence[object]) -> Answer:
        """The client says in the query that numbers may stand for words."""
        query = {name: values for name, values in asked.query.items() if not name.startswith("$")}
        return api.admin(Asked(asked.method, asked.path, query, asked.headers, asked.body), rows)

    async with served(ROWS, lenient) as there:
        host = there.environment["GA4_BASE_URL"].removeprefix("http://").removesuffix("/v1alpha")
        names = await anyio.to_thread.run_sync(read, host)
    assert names == [f"properties/777001/audiences/{each['id']}" for each in ROWS]
    assert len(there.asked) == 5  # 50 a page, as it asks for no size


def test_more_users_than_members_is_no_contradiction_and_a_0_in_a_row_is_a_0() -> None:
    one = row(9, "n", 0)
    assert one["totalUsers"] == "0"
    assert sizes(("5000003", "0")) == {"5000003": ("0", SEEN)}

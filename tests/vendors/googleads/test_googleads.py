"""Google Ads: a query in a body, 64-bit numbers as text, two sizes, and a token that must be exchanged."""

import json
from typing import Any

import pytest
import requests
from anyio.to_thread import run_sync
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request as GoogleTransport
from google.oauth2.credentials import Credentials

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import ToolError, UnexpectedShape
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing import Answer, serve_api
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request, as_object
from audience_mcp.vendors.googleads import SELECT, GoogleAds
from tests.vendors.bodies import account, answered, first_requests, headers_sent, page_of, shown, talk_of_one
from tests.vendors.googleads import api
from tests.vendors.googleads.case import CASE, ROWS, served

ADS = GoogleAds()
ACCOUNT = account(ADS, GOOGLE_ADS_CUSTOMER_ID="123-456-7890")
(FIRST,) = first_requests(ADS, ACCOUNT.values)


def test_the_first_page_is_a_query_with_the_total_and_without_a_page_size() -> None:
    body = {
        "query": f"{SELECT} ORDER BY user_list.id",
        "searchSettings": {"returnTotalResultsCount": True},
    }
    assert Request("customers/1234567890/googleAds:search", {}, "POST", body) == FIRST


def test_the_next_page_is_the_same_query_with_the_page_token() -> None:
    page = page_of(ADS, {"results": [], "nextPageToken": "CAo", "totalResultsCount": "7"}, FIRST)
    assert isinstance(FIRST.json, dict)
    assert page.next is not None
    assert page.next.json == {**FIRST.json, "pageToken": "CAo"}
    assert (page.more, page.total) == (True, "7")


@pytest.mark.parametrize("end", [{}, {"nextPageToken": ""}, {"nextPageToken": None}])
def test_a_page_without_a_token_is_the_last(end: dict[str, Any]) -> None:
    assert page_of(ADS, {"results": [{"userList": {"id": "1"}}], **end}, FIRST).more is False


@pytest.mark.parametrize(
    "body", [{}, {"fieldMask": "userList.id"}, {"totalResultsCount": "0"}, {"results": None}]
)
def test_an_account_without_lists_has_no_results_at_all_and_is_complete(body: dict[str, Any]) -> None:
    page = page_of(ADS, body, FIRST)
    assert (page.rows, page.more) == ([], False)


@pytest.mark.parametrize("body", [{"unexpected": 1}, {"results": {}}, [], None, "x"])
def test_another_body_without_results_is_not_taken_for_an_empty_account(body: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(ADS, body, FIRST)


@pytest.mark.anyio
async def test_every_page_is_read_and_the_total_that_google_gives_as_text_is_held_against_it() -> None:
    async with served(ROWS, page_size=3) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (len(ROWS), True)
    asked = [json.loads(each.body).get("pageToken") for each in there.asked]
    assert asked == [None, "CAo3", "CAo6", "CAo9"]


def test_the_size_is_the_display_networks_or_else_the_searchs_and_says_which() -> None:
    one = {raw["id"]: shown(ADS, {"userList": raw}) for raw in ROWS}
    seen = {id: (a.get("size"), a.get("size_note"), a["status"]) for id, a in one.items()}
    assert seen["79"] == (900, "on the Display Network", "ready")
    assert seen["80"] == (7400, "in Google Search", "ready")
    assert seen["83"] == (None, "Google has not estimated it yet", "processing")
    assert seen["84"] == (0, "on the Display Network; 0 may mean that it is too small to be used", "ready")
    assert seen["85"] == (None, "Google has not estimated it yet", "unknown")
    assert one["79"]["details"]["sizeForDisplay"] == "900"
    assert one["79"]["details"]["sizeForSearch"] == "1200"


def test_there_are_no_dates() -> None:
    one = shown(ADS, {"userList": ROWS[0]})
    assert "created_at" not in one
    assert "updated_at" not in one


def test_one_audience_is_the_same_query_for_its_id() -> None:
    assert next(talk_of_one(ADS, "77", ACCOUNT.values)) == Request(
        FIRST.path, {}, "POST", {"query": f"{SELECT} WHERE user_list.id = 77"}
    )


@pytest.mark.parametrize("text", ["", "77 OR 1=1", "7" * 20, "-1", "٧٧"])
def test_other_text_is_no_id_and_never_comes_into_a_query(text: str) -> None:
    assert not ADS.id_shape.fullmatch(text)


def test_the_manager_account_and_the_developer_token_go_out_only_where_they_are_set() -> None:
    bare = headers_sent(ADS, {"token": "t"})
    assert bare == {"Authorization": "Bearer t"}
    full = headers_sent(ADS, {"token": "t", "login": "2223334444", "developer_token": "d"})
    assert full == {**bare, "login-customer-id": "2223334444", "developer-token": "d"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, {"authorizationError": "USER_PERMISSION_DENIED"}, "forbidden"),
        (401, {"authenticationError": "OAUTH_TOKEN_EXPIRED"}, "unauthorized"),
        (401, {"quotaError": "RESOURCE_EXHAUSTED"}, "unauthorized"),
        (429, {"quotaError": "RESOURCE_EXHAUSTED"}, "rate_limited"),
        (400, {"quotaError": "RESOURCE_TEMPORARILY_EXHAUSTED"}, "rate_limited"),
        (400, {"requestError": "UNSUPPORTED_VERSION"}, "invalid_request"),
        (400, {"queryError": "UNEXPECTED_INPUT"}, "invalid_request"),
        (500, None, "unavailable"),
    ],
)
def test_what_an_error_is_follows_from_its_status_and_a_quota_from_its_code(
    status: int, code: dict[str, Any] | None, kind: str
) -> None:
    body = api.failed(status, code).body
    assert describe_status(ADS.status(answered(status, body)), ACCOUNT)[0] == kind


def test_a_refusal_names_the_manager_account_that_is_most_often_missing() -> None:
    _, text = describe_status(403, ACCOUNT)
    assert "GOOGLE_ADS_LOGIN_CUSTOMER_ID" in text
    assert "GOOGLE_ADS_CUSTOMER_ID" in text


def test_the_wait_is_text_with_a_unit_deep_in_the_error() -> None:
    body = api.failed(429, {"quotaError": "X"}, details={"quotaErrorDetails": {"retryDelay": "5s"}}).body
    assert find_wait(answered(429, body), ACCOUNT) == 5
    assert find_wait(answered(429, api.failed(429, {"quotaError": "X"}).body), ACCOUNT) is None


@pytest.mark.anyio
@pytest.mark.parametrize("code", ["EXPIRED_PAGE_TOKEN", "INVALID_PAGE_TOKEN"])
async def test_a_page_token_that_is_too_old_begins_the_reading_anew_once(code: str) -> None:
    refusals = [api.failed(400, {"requestError": code})]

    def answer(asked: Any) -> Any:
        if "pageToken" in json.loads(asked.body) and refusals:
            return refusals.pop()
        return api.search(asked, ROWS, 4)

    async with (
        served([]) as there,
        serve_api(answer) as (origin, asked),
        open_case(CASE, there, GOOGLE_ADS_BASE_URL=f"{origin}/v26") as catalog,
    ):
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert (result.matched, result.complete) == (len(ROWS), True)
    tokens = [json.loads(each.body).get("pageToken") for each in asked]
    assert tokens == [None, "CAo4", None, "CAo4", "CAo8"]


@pytest.mark.anyio
async def test_a_refresh_token_that_has_ended_is_told_with_its_variable_and_why_it_may_have() -> None:
    other = {"GOOGLE_ADS_REFRESH_TOKEN": "1//another-one"}
    async with served(ROWS) as there, open_case(CASE, there, **other) as catalog:
        with pytest.raises(ToolError) as caught:
            await catalog.list_audiences(ListQuery())
    said = str(caught.value)
    assert "GOOGLE_ADS_REFRESH_TOKEN" in said
    assert "7 days" in said
    assert "another-one" not in said


@pytest.mark.anyio
async def test_an_id_that_google_does_not_have_is_an_empty_answer_and_not_found() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        with pytest.raises(ToolError, match="No audience has"):
            await catalog.get_audience(GetQuery(audience="googleads:123"))


@pytest.mark.anyio
@pytest.mark.parametrize(("secret", "refused"), [("GOCSPX-made-up", False), ("GOCSPX-another", True)])
async def test_googles_own_client_exchanges_the_same_token_and_is_refused_as_the_adapter_is(
    secret: str, refused: bool
) -> None:
    session = requests.Session()
    session.trust_env = False
    async with served(ROWS) as there:
        credentials: Any = Credentials(  # type: ignore[no-untyped-call]
            None,
            refresh_token=api.CLIENT["refresh_token"],
            token_uri=there.environment["GOOGLE_ADS_TOKEN_URL"],
            client_id=api.CLIENT["client_id"],
            client_secret=secret,
        )
        if refused:
            with pytest.raises(RefreshError, match="invalid_client"):
                await run_sync(credentials.refresh, GoogleTransport(session))
        else:
            await run_sync(credentials.refresh, GoogleTransport(session))
            assert credentials.token == api.TOKEN


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore")
async def test_googles_own_messages_take_every_answer_and_hold_the_same_audiences() -> None:
    pytest.importorskip("google.ads.googleads", reason="the extra 'oracles' is not installed (google-ads)")
    from google.ads.googleads.v26.services.types.google_ads_service import (  # pyright: ignore[reportMissingImports]
        SearchGoogleAdsRequest,
        SearchGoogleAdsResponse,
    )
    from google.protobuf import json_format

    rows = [each for each in ROWS if each["type"] != "NOT_KNOWN_YET"]
    bodies: list[Answer] = []

    def answer(asked: Any) -> Any:
        request = json_format.ParseDict(json.loads(asked.body), SearchGoogleAdsRequest.pb()())
        assert not request.page_size
        bodies.append(api.search(asked, rows, 4))
        return bodies[-1]

    async with (
        served([]) as there,
        serve_api(answer) as (origin, _),
        open_case(CASE, there, GOOGLE_ADS_BASE_URL=f"{origin}/v26") as catalog,
    ):
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=100))).audiences
    theirs = {}
    for body in bodies:
        message: Any = json_format.ParseDict(dict(as_object(body.body)), SearchGoogleAdsResponse.pb()())
        for each in message.results:
            of = each.user_list
            sizes = [getattr(of, f) for f in ("size_for_display", "size_for_search") if of.HasField(f)]
            theirs[str(of.id)] = (of.name, sizes[0] if sizes else None)
    assert {a.id: (a.name, a.size) for a in ours} == theirs
    assert len(theirs) == len(rows)

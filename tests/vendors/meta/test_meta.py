"""Meta: sizes as ranges, HTTP 400 for everything, and a link to the next page that holds the token."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from anyio.to_thread import run_sync
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import ToolError
from audience_mcp.sandbox import meta as imitation
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing import Served
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.meta import FIELDS, Meta
from tests.vendors.bodies import (
    account,
    all_shown,
    answered,
    first_requests,
    headers_sent,
    page,
    page_of,
    result_of,
    shown,
    talk_of_one,
)
from tests.vendors.meta.case import CASE, served

META = Meta()
VARIABLES = {
    "META_ACCESS_TOKEN": "the-meta-token",
    "META_AD_ACCOUNT_ID": "1234567",
    "META_APP_SECRET": "the-app-secret",
}
ACCOUNT = account(META, **VARIABLES)
(FIRST,) = first_requests(META, ACCOUNT.values)


def refused(code: object, subcode: int | None = None, **more: object) -> dict[str, object]:
    return {
        "error": {"message": "m", "type": "OAuthException", "code": code, "error_subcode": subcode, **more}
    }


def test_the_first_page_is_asked_for_with_its_fields_and_the_largest_size() -> None:
    assert Request("act_1234567/customaudiences", {"fields": FIELDS, "limit": "200"}) == FIRST


def test_the_next_page_is_asked_for_with_the_cursor_and_never_with_metas_link_that_holds_the_token() -> None:
    assert page(META, "first_page", FIRST).next == FIRST.with_params(after="QVFJ")


def test_a_page_without_a_next_link_is_the_last_although_it_has_a_cursor() -> None:
    assert page(META, "last_page", FIRST).more is False
    assert page_of(META, {"data": []}, FIRST).more is False


def test_an_empty_page_with_a_next_link_goes_on() -> None:
    body = {"data": [], "paging": {"cursors": {"after": "B"}, "next": "https://graph.facebook.com/x"}}
    assert page_of(META, body, FIRST).next == FIRST.with_params(after="B")


@pytest.mark.parametrize("written", ["1234567", "act_1234567"])
def test_an_ad_account_may_be_written_with_and_without_its_prefix(written: str) -> None:
    values = account(META, **{**VARIABLES, "META_AD_ACCOUNT_ID": written}).values
    assert first_requests(META, values) == [FIRST]


def test_the_token_goes_out_in_a_header_with_the_proof_that_the_app_secret_makes() -> None:
    proof = hmac.new(b"the-app-secret", b"the-meta-token", hashlib.sha256).hexdigest()
    assert headers_sent(META, ACCOUNT.values) == {"Authorization": "Bearer the-meta-token"}
    sent = META.auth_for(ACCOUNT.values).authorize(FIRST, ACCOUNT.values, 0)
    assert sent == FIRST.with_params(appsecret_proof=proof)


def test_no_proof_goes_out_where_no_app_secret_is_set() -> None:
    values = {role: value for role, value in ACCOUNT.values.items() if role != "app_secret"}
    assert META.auth_for(values).authorize(FIRST, values, 0) == FIRST


def test_a_row_is_shown_with_its_range_its_codes_and_its_dates() -> None:
    assert all_shown(META, "first_page") == [
        {
            "id": "23851200000000017",
            "name": "Buyers 180d",
            "size": 41200,
            "size_max": 48500,
            "type": "dynamic",
            "status": "ready",
            "description": "Pixel purchases",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-02T00:00:00Z",
            "details": {
                "subtype": "WEBSITE",
                "delivery_status": {"code": 200, "description": "This audience is ready for use."},
                "operation_status": {"code": 200, "description": "Normal"},
                "retention_days": 180,
            },
        }
    ]


def test_a_size_is_a_range_or_unknown_and_never_half_of_one() -> None:
    seen = {row["id"]: (row.get("size"), row.get("size_max")) for row in all_shown(META, "sizes")}
    unknown = (None, None)
    assert seen == {"1": (1000, 1000), "2": unknown, "3": unknown, "4": unknown, "5": unknown, "6": (0, 1000)}


@pytest.mark.parametrize(
    ("operation", "delivery", "status"),
    [
        (200, 200, "ready"),
        (400, 200, "ready"),
        (411, 200, "ready"),
        (999, 200, "ready"),
        (300, 200, "processing"),
        (414, 200, "processing"),
        (434, 300, "processing"),
        (441, 400, "processing"),
        (415, 200, "failed"),
        (431, 200, "failed"),
        (432, 200, "failed"),
        (433, 200, "failed"),
        (442, 200, "failed"),
        (471, 200, "failed"),
        (500, 200, "failed"),
        (200, 400, "failed"),
        (200, 300, "unknown"),
        (100, None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_the_status_follows_from_both_codes(operation: int | None, delivery: int | None, status: str) -> None:
    raw = {"id": "1", "operation_status": {"code": operation}, "delivery_status": {"code": delivery}}
    assert shown(META, raw)["status"] == status


@pytest.mark.parametrize(
    ("subtype", "type"),
    [
        ("CUSTOM", "static"),
        ("LOOKALIKE", "lookalike"),
        ("WEBSITE", "dynamic"),
        ("APP", "dynamic"),
        ("VIDEO", "dynamic"),
        ("CLAIM", "dynamic"),
        ("PARTNER", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_type_follows_from_the_subtype(subtype: str | None, type: str) -> None:
    assert shown(META, {"id": "1", "subtype": subtype})["type"] == type


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (190, "unauthorized"),
        (102, "unauthorized"),
        (3, "forbidden"),
        (10, "forbidden"),
        (200, "forbidden"),
        (270, "forbidden"),
        (299, "forbidden"),
        (368, "forbidden"),
        (4, "rate_limited"),
        (17, "rate_limited"),
        (32, "rate_limited"),
        (613, "rate_limited"),
        (341, "rate_limited"),
        (80003, "rate_limited"),
        (1, "unavailable"),
        (2, "unavailable"),
        (100, "invalid_request"),
        (2635, "invalid_request"),
        ("190", "unauthorized"),
        (None, "invalid_request"),
        ([], "invalid_request"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_what_an_error_is_follows_from_its_code_and_not_from_the_http_status(
    code: object, kind: str, status: int
) -> None:
    judged = META.status(answered(status, refused(code)))
    assert describe_status(judged, ACCOUNT)[0] == kind


def test_an_error_that_says_it_passes_is_tried_again() -> None:
    assert META.status(answered(400, refused(99999, is_transient=True))) == 503


@pytest.mark.parametrize("error", ["soon", ["x"], True])
def test_an_error_of_another_shape_under_200_is_a_failure_all_the_same(error: object) -> None:
    assert META.status(answered(200, {"error": error, "data": []})) == 500


def test_what_may_not_be_seen_is_not_found_when_asked_for_alone_and_forbidden_as_a_whole_account() -> None:
    assert META.status(answered(400, refused(100, 33), purpose="one")) == 404
    assert META.status(answered(400, refused(100, 33))) == 403


REGAIN = "estimated_time_to_regain_access"


@pytest.mark.parametrize(
    ("usage", "seconds"),
    [
        ({"1": [{"type": "custom_audience", REGAIN: 2}]}, 120),
        ({"1": [{REGAIN: 1}, {REGAIN: 3}], "2": [{}]}, 180),
        ({}, None),
        ([], None),
        ({"1": 7}, None),
        ({"1": [7, None]}, None),
        ({"1": [{REGAIN: "x"}]}, None),
    ],
)
def test_the_wait_is_found_in_minutes_in_the_usage_header(
    usage: dict[str, Any] | list[Any], seconds: int | None
) -> None:
    header = {"x-business-use-case-usage": json.dumps(usage)}
    assert find_wait(answered(429, refused(80003), headers=header), ACCOUNT) == seconds


def test_a_usage_header_that_is_no_json_says_no_wait() -> None:
    header = {"x-business-use-case-usage": "{"}
    assert find_wait(answered(429, refused(17), headers=header), ACCOUNT) is None


def test_the_usage_header_says_no_wait_where_nothing_is_limited() -> None:
    header = {"x-business-use-case-usage": json.dumps({"1": [{REGAIN: 3}]})}
    assert find_wait(answered(503, refused(2), headers=header), ACCOUNT) is None


def test_an_audience_of_another_ad_account_is_none_of_ours() -> None:
    row = {"id": "17", "account_id": "1234567"}
    answers: list[dict[str, str]] = [row, {**row, "account_id": "7654321"}, {"id": "17"}]
    seen = [result_of(talk_of_one(META, "17", ACCOUNT.values), answer) for answer in answers]
    assert seen == [row, None, None]


@pytest.mark.anyio
async def test_the_account_that_the_token_may_not_see_is_forbidden_and_names_the_permission() -> None:
    async with (
        served(imitation.meta_rows()) as there,
        open_case(CASE, there, META_AD_ACCOUNT_ID="5") as catalog,
    ):
        with pytest.raises(ToolError) as caught:
            await catalog.list_audiences(ListQuery())
    assert "ads_read" in str(caught.value)
    assert "META_AD_ACCOUNT_ID" in str(caught.value)


@pytest.mark.anyio
async def test_ranges_are_summed_at_both_ends_and_unknown_ones_not_at_all() -> None:
    rows: list[dict[str, Any]] = imitation.meta_rows()
    answer = await list_rows(CASE, rows)
    known = [row for row in rows if row["approximate_count_lower_bound"] != -1]
    assert answer.sum_of_sizes == sum(row["approximate_count_lower_bound"] for row in known)
    assert answer.sum_max == sum(row["approximate_count_upper_bound"] for row in known)
    assert answer.unknown_sizes == len(rows) - len(known) > 0


def sdk_of(there: Served, monkeypatch: pytest.MonkeyPatch, token: str = imitation.TOKEN) -> AdAccount:
    origin = there.environment["META_BASE_URL"].rpartition("/")[0]
    monkeypatch.setattr(FacebookSession, "GRAPH", origin)
    session = FacebookSession(app_id="1", app_secret=imitation.APP_SECRET, access_token=token)
    session.requests.trust_env = False
    return AdAccount(f"act_{imitation.ACCOUNT}", api=FacebookAdsApi(session))


@pytest.mark.anyio
async def test_metas_own_sdk_reads_the_same_audiences_names_and_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = FIELDS.split(",")
    async with served(CASE.rows) as there, open_case(CASE, there) as catalog:
        theirs: Any = sdk_of(there, monkeypatch)
        read = await run_sync(
            lambda: [each.export_all_data() for each in theirs.get_custom_audiences(names, {"limit": 200})]
        )
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=10_000))).audiences
    assert len(read) == len(ours) == len(CASE.rows)
    low, high = (f"approximate_count_{end}_bound" for end in ("lower", "upper"))
    expected = {
        each["id"]: (each["name"], *(None if each[low] < 0 else each[bound] for bound in (low, high)))
        for each in read
    }
    assert {row.id: (row.name, row.size, row.size_max) for row in ours} == expected


@pytest.mark.anyio
async def test_metas_own_sdk_is_refused_as_the_adapter_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(CASE.rows) as there:
        theirs: Any = sdk_of(there, monkeypatch, "another-token")
        with pytest.raises(FacebookRequestError) as caught:
            await run_sync(lambda: list(theirs.get_custom_audiences(["id"])))
        assert (caught.value.http_status(), caught.value.api_error_code()) == (400, 190)
        async with open_case(CASE, there, META_ACCESS_TOKEN="another-token") as catalog:
            with pytest.raises(ToolError, match="refused the key"):
                await catalog.list_audiences(ListQuery())


@pytest.mark.anyio
async def test_the_proof_is_sent_with_one_audience_and_shown_nowhere() -> None:
    async with served(CASE.rows) as there, open_case(CASE, there) as catalog:
        match = await catalog.get_audience(GetQuery(audience=f"meta:{CASE.sample['id']}"))
    (asked,) = there.asked
    (proof,) = asked.query["appsecret_proof"]
    assert proof not in repr(match)
    assert proof in account(META, **there.environment).secrets

"""Microsoft Advertising: a refresh token that is replaced, a secret that only some have, faults by code."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from anyio import run_process

from audience_mcp.catalog.models import to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import ToolError, UnexpectedShape
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing import serve_api
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.microsoftads import ASKED_FOR, MicrosoftAds
from tests.clients import install
from tests.vendors.bodies import account, answered, first_requests, headers_sent, page_of, row, talk_of_one
from tests.vendors.documents import Document, exchanged, needs_documents
from tests.vendors.microsoftads import api
from tests.vendors.microsoftads.case import CASE, ROWS, served

pytestmark = pytest.mark.anyio

ASK = Path(install.__file__).with_name("ask_msads.py")
VENDOR = MicrosoftAds()
ACCOUNT = account(VENDOR)
(FIRST,) = first_requests(VENDOR, ACCOUNT.values)


def test_everything_is_asked_for_at_once_and_never_the_audiences_that_are_microsofts_own() -> None:
    assert Request("Audiences/QueryByIds", {}, "POST", {**ASKED_FOR, "AudienceIds": None}) == FIRST
    assert set(ASKED_FOR["Type"].split(",")) == api.KNOWN
    assert "InMarket" not in ASKED_FOR["Type"]


def test_one_audience_is_asked_for_by_an_id_within_a_list() -> None:
    asked = next(talk_of_one(VENDOR, "817341276", ACCOUNT.values))
    assert asked.json == {**ASKED_FOR, "AudienceIds": ["817341276"]}


async def test_an_id_that_microsoft_does_not_have_comes_as_null_and_is_not_found() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        with pytest.raises(ToolError, match="No audience has"):
            await catalog.get_audience(GetQuery(audience="microsoftads:5"))
    assert json.loads(there.asked[0].body)["AudienceIds"] == ["5"]


@pytest.mark.parametrize("body", [{"Audiences": None}, {"PartialErrors": []}, {}, []])
def test_no_list_is_not_taken_for_an_empty_account(body: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(VENDOR, body, FIRST)


# --- Tokens -------------------------------------------------------------------------------------------


async def sent_to_exchange(**variables: str) -> dict[str, list[str]]:
    """The form of the one exchange that a reading makes."""
    exchanges: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        exchanges.append(asked)
        return api.token(asked, web="MICROSOFT_ADS_CLIENT_SECRET" in variables)

    async with served(ROWS) as there, serve_api(answer) as (origin, _):
        url = {"MICROSOFT_ADS_TOKEN_URL": f"{origin}/token"}
        async with open_case(CASE, there, **url, **variables) as catalog:
            assert (await catalog.list_audiences(ListQuery(limit=0))).complete
    (exchange,) = exchanges
    return parse_qs(exchange.body.decode())


async def test_the_clients_secret_is_sent_where_it_is_set_and_no_empty_one_where_it_is_not() -> None:
    native = await sent_to_exchange()
    assert native == {
        "grant_type": ["refresh_token"],
        "scope": ["https://ads.microsoft.com/msads.manage offline_access"],
        "client_id": [api.CLIENT["client_id"]],
        "refresh_token": [api.CLIENT["refresh_token"]],
    }
    web = await sent_to_exchange(MICROSOFT_ADS_CLIENT_SECRET=api.SECRET)
    assert web == {**native, "client_secret": [api.SECRET]}


@pytest.mark.parametrize(
    ("web", "variables"), [(True, {}), (False, {"MICROSOFT_ADS_CLIENT_SECRET": api.SECRET})]
)
async def test_a_secret_too_few_and_one_too_many_are_told_with_its_variable(
    web: bool, variables: dict[str, str]
) -> None:
    async with served(ROWS, web) as there, open_case(CASE, there, **variables) as catalog:
        with pytest.raises(ToolError, match="MICROSOFT_ADS_CLIENT_SECRET") as caught:
            await catalog.list_audiences(ListQuery())
    assert api.SECRET not in str(caught.value)


async def test_a_refresh_token_that_has_ended_is_told_with_when_it_does() -> None:
    other = {"MICROSOFT_ADS_REFRESH_TOKEN": "M.C5-another-one"}
    async with served(ROWS) as there, open_case(CASE, there, **other) as catalog:
        with pytest.raises(ToolError, match="90 days") as caught:
            await catalog.list_audiences(ListQuery())
    assert "MICROSOFT_ADS_REFRESH_TOKEN" in str(caught.value)
    assert "another-one" not in str(caught.value)


async def test_the_refresh_token_that_comes_with_an_exchange_is_exchanged_next_and_never_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    exchanges: list[Asked] = []
    good: list[str] = []

    def exchange(asked: Asked) -> Answer:
        exchanges.append(asked)
        good[:] = [f"{api.TOKEN}-{len(exchanges)}"]
        answer = api.token(asked)
        assert isinstance(answer.body, dict)
        return Answer(200, {**answer.body, "access_token": good[0]})

    def query(asked: Asked) -> Answer:
        if len(exchanges) < 2:  # the first token is said to have run out
            return api.fault(401, 109, "AuthenticationTokenExpired")
        assert asked.headers["authorization"] == f"Bearer {good[0]}"
        headers = {**asked.headers, "authorization": f"Bearer {api.TOKEN}"}
        return api.query(Asked(asked.method, asked.path, asked.query, headers, asked.body), ROWS)

    async with serve_api(exchange) as (token_origin, _), serve_api(query) as (origin, _), served([]) as there:
        addresses = {
            "MICROSOFT_ADS_TOKEN_URL": f"{token_origin}/token",
            "MICROSOFT_ADS_BASE_URL": f"{origin}{api.PREFIX}",
        }
        async with open_case(CASE, there, **addresses) as catalog:
            answer = await catalog.list_audiences(ListQuery(detail="full"))
    assert answer.complete
    sent = [parse_qs(each.body.decode())["refresh_token"] for each in exchanges]
    assert sent == [[api.CLIENT["refresh_token"]], [api.REPLACEMENT]]
    assert api.REPLACEMENT not in caplog.text + repr(to_dict(answer))


def test_both_names_of_a_variable_serve() -> None:
    names = {s.role: s.variables for s in VENDOR.settings}
    assert names["account"] == ("MICROSOFT_ADS_ACCOUNT_ID", "BING_ADS_ACCOUNT_ID")
    assert headers_sent(VENDOR, {**ACCOUNT.values, "token": "t"}) == {
        "Authorization": "Bearer t",
        "DeveloperToken": "the-developer_token",
        "CustomerAccountId": "150489161",
        "CustomerId": "150489161",
    }


# --- Rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("search", "network", "size", "note", "status"),
    [
        ("1200", "900", 1200, "in the Search network", "ready"),
        (None, "900", 900, "in the Audience network", "ready"),
        ("0", "900", 0, "in the Search network", "ready"),
        (None, None, None, None, "processing"),
    ],
)
def test_the_size_is_the_search_networks_or_else_the_audience_networks_and_says_which(
    search: str | None, network: str | None, size: int | None, note: str | None, status: str
) -> None:
    one = row(VENDOR, {"Id": "1", "SearchSize": search, "AudienceNetworkSize": network})
    assert one is not None
    assert (one.size, one.size_note, one.status) == (size, note, status)


async def test_an_audience_of_the_manager_account_says_that_other_accounts_list_it_too() -> None:
    answer = await list_rows(CASE, ROWS)
    (one,) = (each for each in answer.audiences if each.name == "Every shop's buyers")
    assert one.size_note == (
        "in the Search network; of the manager account, so its other accounts list it as well"
    )


async def test_rules_and_other_customers_are_never_shown() -> None:
    rows = [{**ROWS[1], "CustomerShare": {"CustomerAccountShares": [{"AccountId": "77001122"}]}}]
    answer = await list_rows(CASE, rows)
    shown = repr(to_dict(answer))
    assert "PageVisitors" not in shown
    assert "77001122" not in shown


# --- Faults -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("operation", [False, True])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (105, "unauthorized"),
        (109, "unauthorized"),
        (106, "forbidden"),
        (117, "rate_limited"),
        (0, "unavailable"),
        (4040, "invalid_request"),
    ],
)
def test_what_a_fault_is_follows_from_its_code_under_any_status(
    status: int, operation: bool, code: int, kind: str
) -> None:
    body = api.fault(status, code, "…", operation=operation).body
    assert describe_status(VENDOR.status(answered(status, body)), ACCOUNT)[0] == kind


def test_a_code_that_is_not_known_does_not_make_a_refusal_a_mistake_of_ours() -> None:
    for status in (401, 403, 429):
        assert VENDOR.status(answered(status, api.fault(status, 999, "…").body)) == status


def test_an_id_that_is_refused_within_an_answer_is_no_fault() -> None:
    body = {"Audiences": [None], "PartialErrors": [{"Code": 106, "ErrorCode": "…", "Index": 0}]}
    assert VENDOR.status(answered(200, body)) == 200


@pytest.mark.parametrize("operation", [False, True])
def test_a_call_rate_that_was_exceeded_lasts_a_minute(operation: bool) -> None:
    body = api.fault(400, 117, "CallRateExceeded", operation=operation).body
    assert find_wait(answered(429, body), ACCOUNT) == 60
    assert find_wait(answered(503, api.fault(500, 0, "InternalError").body), ACCOUNT) is None


# --- The document, and Microsoft's own SDK ------------------------------------------------------------


@needs_documents
async def test_requests_and_answers_are_as_microsofts_models_have_them() -> None:
    rows = [{k: v for k, v in each.items() if k != "CustomerShare"} for each in ROWS]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience=f"microsoftads:{ROWS[0]['Id']}", refresh=True))
        with pytest.raises(ToolError):
            await catalog.get_audience(GetQuery(audience="microsoftads:5"))

    def patch(document: Document) -> None:
        """An unknown id is null in the answer, which its type says and none of its alternatives allows."""
        answer = document["components"]["schemas"]["GetAudiencesByIdsResponse"]
        answer["properties"]["Audiences"]["items"]["oneOf"].append({"nullable": True, "enum": [None]})

    checked = exchanged("microsoftads", there.asked, lambda asked: api.query(asked, rows), patch)
    assert set(checked) == {f"{api.PREFIX}/Audiences/QueryByIds"}


@pytest.mark.slow
async def test_microsofts_own_sdk_gets_a_token_and_reads_the_same_audiences() -> None:
    if not install.installed(install.VENVS["msads"]):
        pytest.skip("Microsoft's SDK is not installed (python tests/clients/install.py)")
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        given = {
            **api.CLIENT,
            "token_url": there.environment["MICROSOFT_ADS_TOKEN_URL"],
            "origin": there.environment["MICROSOFT_ADS_BASE_URL"].removesuffix(api.PREFIX),
            "developer_token": api.DEVELOPER_TOKEN,
            "customer": api.CUSTOMER,
            "account": api.ACCOUNT,
            "types": sorted(api.KNOWN),
        }
        command = [str(install.python("msads")), str(ASK), json.dumps(given)]
        ran = await run_process(command, env={**os.environ, "NO_PROXY": "*"})
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1000))).audiences
    theirs = json.loads(ran.stdout)
    assert theirs["refresh_token"] == api.REPLACEMENT
    their, our = there.asked
    for name in ("authorization", "developertoken", "customeraccountid", "customerid", "content-type"):
        assert their.headers[name] == our.headers[name]
    expected = {}
    for id, name, search, network in theirs["audiences"]:
        size = network if search is None else search
        expected[str(id)] = (name, None if size is None else int(size))
    assert {a.id: (a.name, a.size) for a in ours} == expected

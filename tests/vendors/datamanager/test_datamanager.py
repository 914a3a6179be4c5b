"""Google Data Manager: four estimates of which one counts, and accounts that Google Ads' API reaches too."""

from __future__ import annotations

from typing import Any

import pytest
from anyio.to_thread import run_sync

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing import Served, serve_api
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.datamanager import DataManager
from audience_mcp.vendors.googleads import GoogleAds
from tests.vendors.bodies import account, answered, first_requests, headers_sent, page_of, row, shown
from tests.vendors.datamanager import api
from tests.vendors.datamanager.case import CASE, ROWS, served
from tests.vendors.documents import exchanged, needs_documents
from tests.vendors.googleads.api import CLIENT, TOKEN

pytestmark = pytest.mark.anyio

VENDOR = DataManager()
ACCOUNT = account(VENDOR, DATAMANAGER_ACCOUNT_ID="123-456-7890")
(FIRST,) = first_requests(VENDOR, ACCOUNT.values)
PATH = "accountTypes/GOOGLE_ADS/accounts/1234567890/userLists"


def test_the_lists_are_those_of_an_account_of_a_type() -> None:
    assert Request(PATH, {"pageSize": "1000"}) == FIRST
    variables = {"DATAMANAGER_ACCOUNT_ID": "77", "DATAMANAGER_ACCOUNT_TYPE": "display_video_advertiser"}
    (first,) = first_requests(VENDOR, account(VENDOR, **variables).values)
    assert first.path == "accountTypes/DISPLAY_VIDEO_ADVERTISER/accounts/77/userLists"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("222-333-4444", "accountTypes/GOOGLE_ADS/accounts/2223334444"),
        ("accountTypes/DISPLAY_VIDEO_PARTNER/accounts/9", "accountTypes/DISPLAY_VIDEO_PARTNER/accounts/9"),
    ],
)
def test_the_account_that_leads_there_may_be_a_managers_number_or_a_whole_name(
    written: str, sent: str
) -> None:
    values = account(VENDOR, DATAMANAGER_LOGIN_ACCOUNT=written).values
    assert headers_sent(VENDOR, {**values, "token": "t"})["login-account"] == sent


# --- Pages --------------------------------------------------------------------------------------------


async def test_every_page_is_read_and_a_short_one_is_not_the_end() -> None:
    async with served(ROWS[:10], page_size=3) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (10, True)
    assert [asked.query.get("pageToken") for asked in there.asked] == [None, ["CAo3"], ["CAo6"], ["CAo9"]]
    assert {asked.headers["login-account"] for asked in there.asked} == {api.MANAGER}


def test_an_account_without_lists_is_answered_with_nothing_at_all() -> None:
    for body in ({}, {"userLists": None}):
        page = page_of(VENDOR, body, FIRST)
        assert (page.rows, page.more) == ([], False)
    page = page_of(VENDOR, {"nextPageToken": "CAo"}, FIRST)
    assert (page.rows, page.next) == ([], FIRST.with_params(pageToken="CAo"))


@pytest.mark.parametrize("body", [{"error": {}}, {"userLists": {}}, [], None])
def test_another_body_without_lists_is_not_taken_for_an_empty_account(body: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(VENDOR, body, FIRST)


async def test_a_page_token_that_is_no_longer_good_begins_the_reading_anew_once() -> None:
    refusals = [api.failed(400, "INVALID_PAGE_TOKEN")]

    def answer(asked: Asked) -> Answer:
        if "pageToken" in asked.query and refusals:
            return refusals.pop()
        return api.answer(asked, ROWS[:10], 4)

    async with (
        served([]) as there,
        serve_api(answer) as (origin, asked),
        open_case(CASE, there, DATAMANAGER_BASE_URL=f"{origin}/v1") as catalog,
    ):
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert (result.matched, result.complete) == (10, True)
    tokens = [each.query.get("pageToken", [None])[0] for each in asked]
    assert tokens == [None, "CAo4", None, "CAo4", "CAo8"]


# --- Rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "size", "note", "status"),
    [
        ("78", 900, "on the Display Network", "ready"),
        ("79", 7_400, "in Google Search", "ready"),
        ("80", 11, "on the Display Network", "ready"),
        ("81", 1_100, "on YouTube", "ready"),
        ("82", 41, "in Gmail", "ready"),
        ("83", None, None, "processing"),
        ("84", None, None, "unknown"),
        ("85", 64_000, "on the Display Network; shared by another account", "ready"),
    ],
)
def test_of_four_estimates_the_first_that_can_be_used_counts_and_says_which(
    id: str, size: int | None, note: str | None, status: str
) -> None:
    (raw,) = (each for each in ROWS if each["id"] == id)
    one = row(VENDOR, api.as_sent(raw))
    assert one is not None
    assert (one.size, one.size_note, one.status) == (size, note, status)


@pytest.mark.parametrize("sizes", [{}, {"sizeInfo": {}}, {"sizeInfo": None}])
def test_an_estimate_that_is_missing_may_be_0_and_is_unknown(sizes: dict[str, Any]) -> None:
    one = shown(VENDOR, {"id": "1", "displayName": "n", **sizes})
    assert "size" not in one
    assert "or estimates 0" in one["size_note"]


def test_all_estimates_stand_in_the_details() -> None:
    raw = {**ROWS[1], "youtubeMembersCount": 7, "gmailMembersCount": 8, "closingReason": "UNUSED"}
    assert shown(VENDOR, api.as_sent(raw))["details"] == {
        "displayNetworkMembersCount": "900",
        "searchNetworkMembersCount": "1200",
        "youtubeMembersCount": "7",
        "gmailMembersCount": "8",
        "membershipStatus": "OPEN",
        "closingReason": "UNUSED",
        "accessReason": "OWNED",
        "accountAccessStatus": "ENABLED",
        "membershipDuration": "46656000s",
    }


# --- Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "DATAMANAGER_REFRESH_TOKEN"),
        (403, "forbidden", "DATAMANAGER_LOGIN_ACCOUNT"),
        (403, "forbidden", "DATAMANAGER_ACCOUNT_ID"),
        (400, "invalid_request", "DATAMANAGER_ACCOUNT_TYPE"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    judged = VENDOR.status(answered(status, api.failed(status, "A_REASON").body))
    found, text = describe_status(judged, ACCOUNT)
    assert (found, says in text) == (kind, True)


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12s"}


@pytest.mark.parametrize(
    ("more", "limit", "seconds"),
    [
        ([RETRY], "ManagementReadRequestsPerMinutePerProject", 12),
        ([{**RETRY, "retryDelay": "1.5s"}], "", 1.5),
        ([], "ManagementReadRequestsPerMinutePerProject", 60),
        ([], "ManagementReadRequestsPerDayPerProject", 3600),
        ([{**RETRY, "retryDelay": 12}], "A_NEW_LIMIT", None),
    ],
)
def test_the_wait_is_a_delay_or_follows_from_the_quota_that_is_used_up(
    more: list[object], limit: str, seconds: float | None
) -> None:
    body = api.failed(429, "RATE_LIMIT_EXCEEDED", *more, quota_limit=limit).body
    assert find_wait(answered(429, body), ACCOUNT) == seconds


@pytest.mark.parametrize("details", [None, {}, "x", [None, 7]])
def test_details_of_another_shape_say_nothing(details: object) -> None:
    response = answered(429, {"error": {"details": details}})
    assert (VENDOR.status(response), find_wait(response, ACCOUNT)) == (429, None)


# --- The same account at two vendors ------------------------------------------------------------------


def both(**changes: str) -> tuple[list[str], str]:
    """The sources of a Google Ads account that is set up under both vendors, and the warnings."""
    variables = {f"GOOGLE_ADS_{name.upper()}": value for name, value in CLIENT.items()}
    variables |= {f"DATAMANAGER_{name.upper()}": value for name, value in CLIENT.items()}
    variables |= {"GOOGLE_ADS_CUSTOMER_ID": "123-456-7890", "DATAMANAGER_ACCOUNT_ID": "1234567890"}
    configured = load_configuration({**variables, **changes}, [GoogleAds(), DataManager()])
    return [source.name for source in configured.sources], " ".join(configured.warnings)


def test_a_google_ads_account_at_both_is_one_source_and_a_warning_names_what_was_left_out() -> None:
    sources, warning = both()
    assert sources == ["googleads"]
    assert "DATAMANAGER_ACCOUNT_ID" in warning
    assert "the same account as the source googleads" in warning


def test_another_account_and_one_of_another_type_are_sources_of_their_own() -> None:
    assert both(DATAMANAGER_ACCOUNT_ID="1234567891") == (["googleads", "datamanager"], "")
    assert both(DATAMANAGER_ACCOUNT_TYPE="DISPLAY_VIDEO_PARTNER") == (["googleads", "datamanager"], "")


def test_every_further_account_is_held_against_all_of_google_ads() -> None:
    names = {"GOOGLE_ADS_CUSTOMER_ID_ACME": "5556667777", "DATAMANAGER_ACCOUNT_ID_ACME": "5556667777"}
    sources, warning = both(**names)
    assert sources == ["googleads", "googleads-acme"]
    assert "datamanager-acme" in warning


def test_two_google_ads_sources_at_two_addresses_stay_apart() -> None:
    names = {
        "GOOGLE_ADS_CUSTOMER_ID_ACME": "1234567890",
        "GOOGLE_ADS_BASE_URL_ACME": "https://other.example/v26",
    }
    assert both(**names)[0] == ["googleads", "googleads-acme"]


def test_where_google_ads_is_not_configured_in_full_data_manager_answers() -> None:
    sources, warning = both(GOOGLE_ADS_REFRESH_TOKEN="")
    assert (sources, warning) == (["googleads", "datamanager"], "")


# --- The document, and Google's own client ------------------------------------------------------------


@needs_documents
async def test_requests_and_answers_are_as_googles_messages_have_them() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience="datamanager:77", refresh=True))
    checked = exchanged("datamanager", there.asked, lambda asked: api.answer(asked, ROWS))
    assert set(checked) == {f"/v1/{PATH}", f"/v1/{PATH}/77"}


@pytest.mark.filterwarnings("ignore")
async def test_googles_own_client_reads_the_same_lists_and_sizes() -> None:
    pytest.importorskip(
        "google.ads.datamanager_v1", reason="the extra 'oracles' is not installed (google-ads-datamanager)"
    )
    from google.ads.datamanager_v1 import (  # pyright: ignore[reportMissingImports]
        ListUserListsRequest,
        UserListServiceClient,
    )
    from google.ads.datamanager_v1.services.user_list_service.transports import (  # pyright: ignore[reportMissingImports]
        UserListServiceRestTransport,
    )
    from google.oauth2.credentials import Credentials

    options = pytest.importorskip("google.api_core.client_options")

    def their_client(there: Served) -> Any:
        host = there.environment["DATAMANAGER_BASE_URL"].removeprefix("http://").removesuffix("/v1")
        signed_in: Any = Credentials(TOKEN)  # type: ignore[no-untyped-call]
        transport = UserListServiceRestTransport(host=host, credentials=signed_in, url_scheme="http")
        transport._session.trust_env = False
        return UserListServiceClient(transport=transport, client_options=options.ClientOptions())

    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        client = their_client(there)

        def read() -> list[Any]:
            request = ListUserListsRequest(parent=PATH.removesuffix("/userLists"), page_size=1000)
            return list(client.list_user_lists(request, metadata=[("login-account", api.MANAGER)]))

        theirs = await run_sync(read)
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=10_000))).audiences
    expected = {
        str(each.id): (each.display_name, each.size_info.display_network_members_count) for each in theirs
    }
    assert len(ours) == len(expected) == len(ROWS)
    for one in ours:
        name, display = expected[str(one.id)]
        assert one.name == name
        if (one.size_note or "").startswith("on the Display Network"):
            assert one.size == display

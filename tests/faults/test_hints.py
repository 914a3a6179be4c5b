"""What to do about a failure is said by the vendor's own code, where it gives one."""

from __future__ import annotations

import pytest

from audience_mcp.core.errors import ToolError
from audience_mcp.sandbox import Answer
from tests.contract.cases import CASES
from tests.faults.reported import report_of, reported
from tests.vendors.googleads import api as google
from tests.vendors.mixpanel.case import a_cohort

pytestmark = pytest.mark.anyio


async def failure_of(vendor: str, answer: Answer) -> tuple[str, int]:
    """What is said of a vendor that always answers so, and after how many requests."""
    case = CASES[vendor]
    async with reported(case, case.rows, lambda asked: answer) as there:
        with pytest.raises(ToolError) as caught:
            await there.list()
        return str(caught.value), len(there.asked)


async def test_an_account_at_google_that_is_not_set_up_is_told_as_such_and_not_as_a_missing_manager() -> None:
    answer = google.failed(403, {"authorizationError": "CUSTOMER_NOT_ENABLED"})
    case = CASES["googleads"]
    async with reported(
        case, case.rows, lambda asked: answer if asked.path.endswith(":search") else None
    ) as there:
        with pytest.raises(ToolError, match="account in GOOGLE_ADS_CUSTOMER_ID is closed") as caught:
            await there.list()
    assert "GOOGLE_ADS_LOGIN_CUSTOMER_ID" not in str(caught.value)


async def test_a_version_that_google_has_ended_is_told_as_such() -> None:
    answer = google.failed(400, {"requestError": "UNSUPPORTED_VERSION"})
    case = CASES["googleads"]
    async with reported(
        case, case.rows, lambda asked: answer if asked.path.endswith(":search") else None
    ) as there:
        with pytest.raises(ToolError, match="no longer serves the API") as caught:
            await there.list()
    assert "Update audience-mcp, or set GOOGLE_ADS_BASE_URL" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, "unauthorized_client", "GOOGLE_ADS_CLIENT_ID and GOOGLE_ADS_CLIENT_SECRET are not those"),
        (401, "invalid_client", "GOOGLE_ADS_CLIENT_ID and GOOGLE_ADS_CLIENT_SECRET are not those"),
        (400, "invalid_grant", "Make a new refresh token"),
    ],
)
async def test_why_google_gives_no_token_follows_from_its_code(status: int, code: str, says: str) -> None:
    said, _ = await failure_of("googleads", Answer(status, {"error": code}))
    assert says in said


async def test_a_days_requests_that_are_used_up_at_hubspot_are_not_tried_for_again() -> None:
    body = {"status": "error", "errorType": "RATE_LIMIT", "policyName": "DAILY"}
    said, requests = await failure_of("hubspot", Answer(429, body))
    assert requests == 1
    assert "until midnight in its time zone" in said
    assert "in a minute" not in said


async def test_hubspots_other_limits_pass_within_seconds() -> None:
    said, requests = await failure_of("hubspot", Answer(429, {"policyName": "TEN_SECONDLY_ROLLING"}))
    assert requests == 4
    assert "midnight" not in said


@pytest.mark.parametrize("status", [423, 477])
async def test_a_hubspot_account_that_is_moving_is_asked_again(status: int) -> None:
    case, first = CASES["hubspot"], [True]

    def answered(asked: object) -> Answer | None:
        moving, first[0] = first[0], False
        return Answer(status, {}, {"Retry-After": "2"}) if moving else None

    async with reported(case, case.rows, answered) as there:
        assert (await there.list()).complete


async def test_a_shop_that_is_frozen_over_an_unpaid_bill_is_told_as_such() -> None:
    said, _ = await failure_of("shopify", Answer(402, {"errors": "Unavailable Shop"}))
    assert "SHOPIFY_SHOP is frozen over an unpaid bill" in said
    assert "read_customers" not in said


async def test_no_lists_at_activecampaign_may_be_lists_that_the_key_does_not_see() -> None:
    async with reported(CASES["activecampaign"], [], lambda asked: None) as there:
        answer = await there.list()
    assert answer.complete
    assert any("may not see them" in note for note in answer.notes or [])


async def test_lists_at_activecampaign_need_no_such_note() -> None:
    case = CASES["activecampaign"]
    async with reported(case, case.rows, lambda asked: None) as there:
        answer = await there.list()
    assert not any("may not see them" in note for note in answer.notes or [])


async def test_a_cohort_of_groups_at_mixpanel_does_not_count_users() -> None:
    rows = [a_cohort(1, "People", 10), {**a_cohort(2, "Companies", 20), "data_group_id": "77"}]
    async with reported(CASES["mixpanel"], rows, lambda asked: None) as there:
        answer = await there.list(sort="size")
    assert [(row.name, row.size_note) for row in answer.audiences] == [
        ("Companies", "counts profiles of a group (companies, say), and not users"),
        ("People", None),
    ]
    assert report_of(answer).complete

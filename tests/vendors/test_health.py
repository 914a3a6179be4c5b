"""What a vendor's own bytes say of an audience's health: issues, match rates, last uses; or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from audience_mcp.catalog.display import to_full
from audience_mcp.catalog.index import Index
from audience_mcp.catalog.issues import IssueFinder, write_issues
from audience_mcp.config import Source
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.responses import parse_body
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.bodies import HERE, NOW, account, page_of, row
from tests.vendors.test_bytes import listing_of

VENDORS = built_in_vendors()
CASES: list[tuple[str, dict[str, str], list[str] | None]] = [
    (
        "meta/first_page",
        {'"code":200,"description":"Normal"': '"code":471,"description":"…"'},
        ["failed: status failed", "flagged: flagged by Meta for its name or source"],
    ),
    (
        "meta/first_page",
        {'"code":200,"description":"Normal"': '"code":100,"description":"…"'},
        ["flagged: will be deleted by Meta: unused for two years"],
    ),
    (
        "meta/first_page",
        {'"code":200,"description":"Normal"': '"code":450,"description":"…"'},
        ["unused: Meta says: out of date and unused"],
    ),
    ("meta/first_page", {'"operation_status":{"code":200,"description":"Normal"},': ""}, None),
    (
        "googleads/user_lists",
        {'"membershipStatus":"OPEN"': '"membershipStatus":"CLOSED","closingReason":"UNUSED"'},
        ["flagged: closed by Google: unused"],
    ),
    (
        "googleads/user_lists",
        {'"accountUserListStatus":"ENABLED"': '"accountUserListStatus":"DISABLED"'},
        ["flagged: its access was withdrawn by the account that shares it"],
    ),
    (
        "googleads/user_lists",
        {'"eligibleForSearch":true': '"eligibleForSearch":false,"eligibleForDisplay":false'},
        ["flagged: eligible neither for Display nor for Search, says Google"],
    ),
    ("googleads/user_lists", {'"eligibleForSearch":true': '"eligibleForSearch":false'}, None),
    (
        "googleads/user_lists",
        {'"membershipStatus":"OPEN"': '"membershipStatus":"CLOSED","closingReason":"UNKNOWN"'},
        None,
    ),
    (
        "datamanager/user_lists",
        {
            '"eligibleForDisplay":true': '"eligibleForDisplay":false',
            '"eligibleForSearch":true': '"eligibleForSearch":false',
        },
        ["flagged: eligible neither for Display nor for Search, says Google"],
    ),
    (
        "datamanager/user_lists",
        {'"accountAccessStatus":"ENABLED"': '"accountAccessStatus":"DISABLED"'},
        ["flagged: its access was withdrawn by the account that shares it"],
    ),
    ("datamanager/user_lists", {}, None),
    ("hubspot/lists", {}, ["unused: used nowhere in HubSpot"]),
    ("hubspot/lists", {'"hs_list_reference_count":"0"': '"hs_list_reference_count":"3"'}, None),
    ("hubspot/lists", {'"hs_list_reference_count":"0",': ""}, None),
    (
        "mailchimp/lists",
        {'"campaign_last_sent": ""': '"campaign_last_sent": "", "campaign_count": 0'},
        ["unused: in no campaign"],
    ),
    ("mailchimp/lists", {'"campaign_last_sent": ""': '"campaign_last_sent": "", "campaign_count": 2'}, None),
    ("mailchimp/lists", {}, None),
    ("smallest/list", {'"hasCampaigns":true': '"hasCampaigns":false'}, ["unused: in no campaign"]),
    ("smallest/get_one", {}, None),
    (
        "snapchat/segments",
        {'"READY"': '"TOO_FEW_USERS"'},
        ["too_small: Snapchat says: too few users", "stale: not updated since 2018-04-04"],
    ),
    ("snapchat/segments", {'"updated_at":"2018': '"updated_at":"2026'}, None),
    ("pinterest/audiences", {'"status":"READY"': '"status":"TOO_SMALL"'}, ["too_small: under 100 people"]),
    (
        "openaiads/audiences",
        {'"matched_user_count_range":"25k_100k"': '"matched_user_count_range":"under_25k"'},
        ["too_small: under 25,000 matched users, the least for an audience that a campaign includes"],
    ),
    (
        "openaiads/audiences",
        {'"matched_user_count_range":"25k_100k"': '"matched_user_count_range":"0_plus"'},
        None,
    ),
    ("openaiads/audiences", {}, None),
    (
        "linkedin/segments",
        {'"approximateMemberCount":230000': '"approximateMemberCount":299'},
        ["flagged: archived by LinkedIn: unused for 30 days", "stale: not updated since 2022-06-03"],
    ),
    (
        "linkedin/segments",
        {'"approximateMemberCount":230000': '"approximateMemberCount":299', '"ARCHIVED"': '"READY"'},
        ["too_small: under 300 members, the least for a campaign", "stale: not updated since 2022-06-03"],
    ),
    (
        "linkedin/segments",
        {'"approximateMemberCount":230000': '"approximateMemberCount":0', '"ARCHIVED"': '"READY"'},
        ["too_small: under 300 members, the least for a campaign", "stale: not updated since 2022-06-03"],
    ),
    (
        "linkedin/segments",
        {'"approximateMemberCount":230000': '"approximateMemberCount":40', '"ARCHIVED"': '"UPDATING"'},
        ["stale: not updated since 2022-06-03"],
    ),
    (
        "whop/first_page",
        {
            '"error_message":null': '"error_message":"No usable column"',
            '"status":"ready"': '"status":"partial"',
        },
        ["failed: status partial", "flagged: Whop reports an error: see its details"],
    ),
    ("whop/first_page", {}, None),
    ("activecampaign/segments", {}, None),
]


def first_row(case: str, changes: dict[str, str]) -> tuple[Any, Any]:
    """The first audience in a vendor's file, with some of its bytes changed, and its vendor."""
    name, file = case.split("/")
    vendor = VENDORS[name]
    text = (HERE / name / f"{file}.json").read_text(encoding="utf-8")
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after, 1)
    body: Any = parse_body(text.encode())[0]
    listing = listing_of(name, file)
    one = body["data"] if file == "get_one" else None
    found = row(vendor, one or page_of(vendor, body, listing=listing).rows[0], listing)
    assert found is not None
    return vendor, found


@pytest.mark.parametrize(("case", "changes", "issues"), CASES)
def test_issues_follow_from_what_a_vendor_says_and_from_nothing_else(
    case: str, changes: dict[str, str], issues: list[str] | None
) -> None:
    vendor, found = first_row(case, changes)
    source = Source(vendor.name, vendor, account(vendor))
    reader = SourceReader.__new__(SourceReader)
    reader.source = source
    said = write_issues(IssueFinder(Index({}), NOW).find(reader, found))
    assert said == issues


@pytest.mark.parametrize(
    ("case", "changes", "shown"),
    [
        ("googleads/user_lists", {}, (55, None)),
        ("googleads/user_lists", {',"matchRatePercentage":55': ""}, (None, None)),
        ("googleads/user_lists", {'"matchRatePercentage":55': '"matchRatePercentage":"much"'}, (None, None)),
        ("datamanager/user_lists", {}, (55, None)),
        ("whop/all_fields", {}, (38, None)),
        ("whop/all_fields", {'"lower_bound":38': '"lower_bound":null'}, (None, None)),
        (
            "whop/all_fields",
            {'"upper_bound":46}': '"upper_bound":46},{"platform":"tiktok","lower_bound":20}'},
            (None, None),
        ),
        ("whop/first_page", {}, (None, None)),
        ("activecampaign/segments", {}, (None, "2026-01-09T10:00:00Z")),
        ("mailchimp/lists", {}, (None, None)),
        (
            "mailchimp/lists",
            {'"campaign_last_sent": ""': '"campaign_last_sent": "2026-10-01T08:00:00+00:00"'},
            (None, "2026-10-01T08:00:00Z"),
        ),
    ],
)
def test_match_rates_and_last_uses_are_shown_where_a_vendor_tells_them(
    case: str, changes: dict[str, str], shown: tuple[float | None, str | None]
) -> None:
    vendor, found = first_row(case, changes)
    full = to_full(vendor.name, vendor, found)
    assert (full.match_rate, full.last_used_at) == shown
    assert not {"matchRatePercentage", "last_used_date", "campaign_last_sent"} & (full.details or {}).keys()


def test_a_mailchimp_list_shows_the_contacts_that_cost_and_cannot_be_mailed() -> None:
    vendor, found = first_row("mailchimp/lists", {})
    assert to_full("mailchimp", vendor, found).details == {
        "unsubscribe_count": 7,
        "cleaned_count": 2,
        "total_contacts": 431,
    }

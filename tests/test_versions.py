"""Versions of APIs that vendors will switch off: how long there is, and what is said near the end."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone

import pytest

from audience_mcp.catalog.check import Checked, check
from audience_mcp.cli.checking import describe_found
from audience_mcp.config import load_configuration
from audience_mcp.sandbox import Answer
from audience_mcp.vendors import Version
from audience_mcp.vendors.registry import load_vendors
from tests.contract.cases import CASES
from tests.faults.reported import reported
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio

PINNED = {name: vendor for name, vendor in load_vendors().items() if vendor.version is not None}


def version_of(name: str) -> Version:
    version = PINNED[name].version
    assert version is not None
    return version


def test_the_vendors_that_end_their_versions_are_these() -> None:
    assert {"meta", "googleads", "shopify", "hubspot", "klaviyo", "linkedin", "criteo"} <= PINNED.keys()


@pytest.mark.parametrize("name", PINNED)
def test_a_version_is_served_for_another_120_days(name: str) -> None:
    left = version_of(name).served_until - datetime.now(timezone.utc).date()
    assert left > timedelta(days=120), "pin a later version: read the vendor's change log first"


@pytest.mark.parametrize("name", PINNED)
def test_a_version_is_the_one_that_is_requested(name: str) -> None:
    vendor, version = PINNED[name], version_of(name)
    pinned = [each.default for each in vendor.settings if each.role == version.setting]
    if not version.setting:
        pinned = [listing.path for listing in vendor.listings]
    assert pinned
    assert all(version.name in (text or "") for text in pinned)


async def checked_on(name: str, day: date, **variables: str) -> Checked:
    clock = FakeClock()
    clock.advance((datetime.combine(day, time(12), timezone.utc) - clock.utc()).total_seconds())
    case = CASES[name]
    async with case.serve(case.some(3)) as served:
        configured = load_configuration({**served.environment, **variables}, [case.vendor])
        (found,) = await check(configured, clock=clock)
    assert found.ok
    return found


@pytest.mark.parametrize(("name", "update"), [("klaviyo", "or set KLAVIYO_REVISION to"), ("hubspot", "")])
async def test_a_check_says_from_60_days_before_the_end_that_a_version_ends(name: str, update: str) -> None:
    end = version_of(name).served_until
    assert (await checked_on(name, end - timedelta(days=61))).warning is None
    said = (await checked_on(name, end - timedelta(days=60))).warning
    assert said is not None
    assert f"version {version_of(name).name} of its API until {end}" in said
    assert "Update audience-mcp" in said
    assert update in said


async def test_people_are_shown_the_end_of_a_version_beside_what_was_found() -> None:
    found = await checked_on("hubspot", version_of("hubspot").served_until)
    assert describe_found(found).startswith("3 audiences. HubSpot serves version 2026-09")


async def test_a_version_that_somebody_chose_is_not_judged() -> None:
    end = version_of("klaviyo").served_until
    assert (await checked_on("klaviyo", end, KLAVIYO_REVISION="2027-07-15")).warning is None


async def test_an_answer_by_a_newer_version_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    case = CASES["meta"]
    headers = {"X-Ad-Api-Version-Warning": "The call has been auto-upgraded to v27.0"}
    body = {"data": case.some(2)}
    async with reported(
        case, [], lambda asked: Answer(200, body, headers), AUDIENCE_MCP_CACHE_S="0"
    ) as there:
        for _ in range(2):
            there.clock.advance(60)
            assert (await there.list(refresh=True)).matched == 2
    assert [record.getMessage() for record in caplog.records if "newer version" in record.getMessage()] == [
        f"meta: answered by a newer version than {version_of('meta').name}"
    ]

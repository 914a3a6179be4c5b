"""Smallest.ai Atoms: one list without pages, and a get-one without the size."""

from typing import Any

import pytest

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.responses import find_wait
from audience_mcp.vendors import Request
from audience_mcp.vendors.smallest import Smallest
from tests.vendors.bodies import (
    account,
    all_shown,
    answered,
    body,
    error,
    first_requests,
    headers_sent,
    page,
    page_of,
    result_of,
    row,
    shown,
    shown_concisely,
    talk_of_one,
    wait,
)

SMALLEST = Smallest()
ID = "6710aa55cd01ef23ab45cd67"
NOT_IN_LIST = "Smallest.ai gives the count only in its list, and not for this audience"


def test_the_list_is_one_request_without_parameters_or_body() -> None:
    assert first_requests(SMALLEST, account(SMALLEST).values) == [
        Request("audience", {}, method="GET", json=None)
    ]


def test_the_key_goes_out_as_a_bearer_token() -> None:
    values = account(SMALLEST, SMALLEST_API_KEY="sk_1-key-000").values
    assert headers_sent(SMALLEST, values) == {"Authorization": "Bearer sk_1-key-000"}


def test_the_variable_of_the_vendors_own_server_is_taken_too() -> None:
    held = account(SMALLEST, SMALLEST_API_KEY="", ATOMS_API_KEY="sk_2-key-000")
    assert headers_sent(SMALLEST, held.values) == {"Authorization": "Bearer sk_2-key-000"}
    assert held.variables["api_key"] == "ATOMS_API_KEY"


def test_a_list_is_everything_with_no_page_after_it() -> None:
    got = page(SMALLEST, "list")
    assert (len(got.rows), got.more, got.next, got.total, got.note) == (2, False, None, None, None)


def test_a_list_is_shown_with_size_description_dates_and_campaigns() -> None:
    full, sparse = all_shown(SMALLEST, "list")
    assert full == {
        "id": ID,
        "name": "Rent reminders Pune",
        "description": "Tenants due on the 1st",
        "size": 1523,
        "type": "static",
        "created_at": "2026-08-01T05:05:05Z",
        "updated_at": "2026-08-02T06:06:06Z",
        "details": {"hasCampaigns": True, "campaigns": [{"name": "August call", "status": "completed"}]},
    }
    assert sparse == {
        "id": "6710aa55cd01ef23ab45cd68",
        "name": "Leads",
        "size": 12,
        "type": "static",
        "details": {"hasCampaigns": False},
    }


def test_only_what_is_remarkable_is_in_a_concise_row() -> None:
    for raw in page(SMALLEST, "list").rows:
        assert shown_concisely(SMALLEST, raw).keys() == {"ref", "name", "size"}


def test_an_account_without_audiences_has_an_empty_list() -> None:
    assert page(SMALLEST, "empty_account").rows == []


@pytest.mark.parametrize("data", ["", 0, False])
def test_data_that_is_no_list_is_not_taken_for_an_empty_one(data: object) -> None:
    with pytest.raises(UnexpectedShape, match="'data'"):
        page_of(SMALLEST, {"status": True, "data": data}, Request("audience"))


def test_data_that_became_a_page_object_is_refused_rather_than_guessed_at() -> None:
    with pytest.raises(UnexpectedShape, match="'data'"):
        page(SMALLEST, "data_is_an_object")


@pytest.mark.parametrize("answer", [[], None, "", {}])
def test_an_answer_without_its_envelope_is_not_taken_for_an_empty_list(answer: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(SMALLEST, answer, Request("audience"))


def test_counts_are_taken_where_they_are_counts_and_under_their_newer_name() -> None:
    assert {row["id"]: row.get("size") for row in all_shown(SMALLEST, "counts")} == {
        "a1": 1523,
        "a2": 1523,
        "a3": None,
        "a4": 0,
        "a5": None,
        "a6": 44,
        "a7": 3,
        "a8": 0,
        "a9": None,
    }


def test_campaigns_are_shown_by_name_and_status_and_at_most_five() -> None:
    details: dict[str, Any] = {row["id"]: row.get("details") for row in all_shown(SMALLEST, "campaigns")}
    assert details["b1"] == {
        "hasCampaigns": True,
        "campaigns": [{"name": "One", "status": "running"}, {"name": "Two"}],
    }
    assert [c["name"] for c in details["b2"]["campaigns"]] == ["1", "2", "3", "4", "5"]
    assert details["b3"] == {"hasCampaigns": False}
    assert (details["b4"], details["b5"]) == (None, None)


@pytest.mark.parametrize("name", [None, "", "  ", 12, "\ufeff"])
def test_a_name_that_is_missing_is_the_id(name: int | str | None) -> None:
    assert shown(SMALLEST, {"_id": ID, "name": name, "memberCount": 1})["name"] == ID


@pytest.mark.parametrize("raw", [{"id": ID, "name": "n"}, {"_id": None}, {"_id": {"$oid": ID}}, {"_id": ""}])
def test_a_row_without_its_own_kind_of_id_is_broken(raw: dict[str, Any]) -> None:
    assert row(SMALLEST, {"memberCount": 1, **raw}) is None


def test_one_audience_is_asked_for_by_its_id_in_the_path() -> None:
    assert next(talk_of_one(SMALLEST, ID, account(SMALLEST).values)) == Request(
        f"audience/{ID}", {}, method="GET", json=None
    )


def test_the_one_audience_lacks_its_size_and_says_so() -> None:
    row = shown(SMALLEST, result_of(talk_of_one(SMALLEST, ID, {}), body(SMALLEST, "get_one")))
    assert "size" not in row
    assert "details" not in row
    assert row["size_note"] == NOT_IN_LIST
    assert SMALLEST.one_lacks_size


@pytest.mark.parametrize("case", ["get_one_null", "empty_account"])
def test_one_audience_that_is_no_object_is_refused(case: str) -> None:
    # An empty path segment would have asked for the list, whose `data` is an array.
    with pytest.raises(UnexpectedShape):
        result_of(talk_of_one(SMALLEST, ID, {}), body(SMALLEST, case))


def test_an_id_is_24_hexadecimal_digits() -> None:
    assert SMALLEST.id_shape.fullmatch(ID)


@pytest.mark.parametrize(
    "text", ["", "..", ".", ID.upper(), ID[:-1], f"{ID}0", f"{ID}\n", "../user/6710aa55cd01ef23"]
)
def test_other_text_is_no_id_and_never_put_into_a_path(text: str) -> None:
    assert not SMALLEST.id_shape.fullmatch(text)


@pytest.mark.parametrize(
    ("status", "case", "kind"),
    [
        (401, "unauthorized", "unauthorized"),
        (500, "server_error", "unavailable"),
        (400, "plan_too_small", "forbidden"),
        (400, "plan_too_small_in_message", "forbidden"),
        (403, "not_in_organization", "forbidden"),
        (400, "bad_request", "invalid_request"),
        (429, "rate_limited_retry_after", "rate_limited"),
        (200, "unauthorized", "unauthorized"),
        (200, "server_error", "unavailable"),
    ],
)
def test_errors_are_told_apart_also_where_the_status_does_not(status: int, case: str, kind: str) -> None:
    assert error(SMALLEST, status, body(SMALLEST, case))[0] == kind


def test_a_good_answer_is_good() -> None:
    assert SMALLEST.status(answered(200, body(SMALLEST, "list"))) == 200
    assert SMALLEST.status(answered(200, {"data": []})) == 200


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_error_with_a_body_that_is_no_json_keeps_its_status(status: int) -> None:
    assert SMALLEST.status(answered(status, None)) == status


def test_a_401_names_the_variable_and_what_a_key_looks_like() -> None:
    _, said = error(SMALLEST, 401, body(SMALLEST, "unauthorized"))
    assert "SMALLEST_API_KEY" in said
    assert "sk_" in said
    assert "User not found" not in said


@pytest.mark.parametrize(
    ("case", "seconds"),
    [
        ("rate_limited_retry_after", 9),
        ("rate_limited_rate_limit", 7),
        ("rate_limited_no_hint", None),
        ("unauthorized", None),
    ],
)
def test_the_wait_is_found_in_either_of_its_two_places(case: str, seconds: int | None) -> None:
    assert wait(SMALLEST, case) == seconds


@pytest.mark.parametrize("answer", [None, [], "slow down", {"rateLimit": []}, {"rateLimit": {}}])
def test_an_error_of_any_shape_can_be_asked_for_a_wait(answer: object) -> None:
    assert find_wait(answered(429, answer), account(SMALLEST)) is None


@pytest.mark.parametrize("status", [False, "error", "false", 0])
def test_a_status_of_failure_beside_an_empty_list_is_a_failure(status: object) -> None:
    assert error(SMALLEST, 200, {"status": status, "data": []})[0] == "unavailable"


@pytest.mark.parametrize("status", [True, None, "success"])
def test_a_status_that_is_no_failure_is_none(status: bool | str | None) -> None:
    assert SMALLEST.status(answered(200, {"status": status, "data": []})) == 200

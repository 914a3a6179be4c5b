"""Whop: a Relay connection; one audience is the list filtered by its id."""

from typing import Any

import pytest

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.responses import find_wait
from audience_mcp.vendors import Request
from audience_mcp.vendors.whop import Whop
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

WHOP = Whop()
VALUES = account(WHOP, WHOP_ACCOUNT_ID="biz_1", WHOP_API_KEY="w-1-key-000").values
(FIRST,) = first_requests(WHOP, VALUES)


def test_the_first_page_is_asked_for_with_the_account_the_largest_size_and_no_cursor() -> None:
    assert Request("audiences", {"account_id": "biz_1", "first": "100"}, method="GET", json=None) == FIRST


def test_the_next_page_is_asked_for_with_the_cursor_as_it_was_given() -> None:
    following = page(WHOP, "first_page", FIRST).next
    assert following == Request(
        "audiences", {"account_id": "biz_1", "first": "100", "after": "WyJjdXJzb3IiLDJd"}
    )


def test_the_key_goes_out_as_a_bearer_token_and_no_api_version_does() -> None:
    assert headers_sent(WHOP, VALUES) == {"Authorization": "Bearer w-1-key-000"}


@pytest.mark.parametrize(
    ("case", "more", "goes_on"),
    [
        ("first_page", True, True),
        ("last_page", False, False),
        ("last_page_with_cursor", False, True),  # not followed: `more` decides
        ("more_without_cursor", True, False),
        ("no_has_next_page_but_cursor", True, True),
        ("no_has_next_page_no_cursor", None, False),  # it says neither: not the end
    ],
)
def test_has_next_page_says_whether_pages_follow_and_the_cursor_does_where_it_is_missing(
    case: str, more: bool | None, goes_on: bool
) -> None:
    got = page(WHOP, case, FIRST)
    assert (got.more, got.next is not None, got.total) == (more, goes_on, None)


def test_a_page_without_page_info_is_refused_rather_than_taken_for_the_last() -> None:
    with pytest.raises(UnexpectedShape, match="'page_info'"):
        page(WHOP, "no_page_info", FIRST)


@pytest.mark.parametrize(
    "wrong", [{"has_next_page": "true"}, {"has_next_page": 1}, {"end_cursor": ["x"]}, {"end_cursor": False}]
)
def test_page_info_of_other_types_is_refused_rather_than_guessed_at(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(WHOP, {"data": [], "page_info": {"has_next_page": True, "end_cursor": "x", **wrong}}, FIRST)


@pytest.mark.parametrize(
    "answer", [[], None, "", {}, {"data": None, "page_info": {}}, {"data": [], "page_info": []}]
)
def test_an_answer_of_another_shape_is_not_taken_for_an_empty_list(answer: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(WHOP, answer, FIRST)


def test_the_oldest_shape_of_a_row_is_an_uploaded_list() -> None:
    (row,) = all_shown(WHOP, "first_page")
    assert row == {
        "id": "adaud_Q1w2e3r4",
        "name": "Spring buyers",
        "size": 2500,
        "type": "static",
        "status": "ready",
        "created_at": "2025-12-01T00:00:00Z",
        "updated_at": "2025-12-02T00:00:00Z",
        "details": {
            "matched_rows": 1830,
            "processed_rows": 2500,
            "progress_percent": 100,
            "platform_audience_ids": ["120210000000000123"],
        },
    }


def test_unix_and_iso_dates_of_one_instant_are_shown_alike() -> None:
    (unix,), (iso,) = all_shown(WHOP, "unix_dates"), all_shown(WHOP, "iso_dates")
    assert unix["created_at"] == iso["created_at"] == "2025-12-01T00:00:00Z"
    assert unix["updated_at"] == iso["updated_at"] == "2025-12-02T00:00:00Z"


def test_milliseconds_and_naive_dates_are_read_and_other_ones_are_absent() -> None:
    dates = {
        row["id"]: (row.get("created_at"), row.get("updated_at")) for row in all_shown(WHOP, "odd_dates")
    }
    assert dates == {
        "adaud_ms": ("2025-12-01T00:00:00Z", "2025-12-01T00:00:00Z"),
        "adaud_zero": (None, None),
        "adaud_naive": ("2025-12-01T00:00:00Z", "2025-12-01T02:30:00.123456Z"),
        "adaud_bad": (None, None),
    }


def test_statuses_are_mapped_and_other_words_are_unknown() -> None:
    seen = {row["id"]: (row["status"], row.get("size")) for row in all_shown(WHOP, "statuses")}
    assert seen == {
        "adaud_ready": ("ready", 10),
        "adaud_partial": ("partial", 10),
        "adaud_failed": ("failed", 10),
        "adaud_pending": ("processing", 10),
        "adaud_processing": ("processing", 10),
        "adaud_syncing": ("processing", 10),
        "adaud_new": ("unknown", 10),
        "adaud_number": ("unknown", 10),
        "adaud_none": ("unknown", 10),
    }


def test_the_vendors_word_for_an_unknown_status_stays_in_the_details() -> None:
    details = {row["id"]: row.get("details") for row in all_shown(WHOP, "statuses")}
    assert details["adaud_new"] == {"status": "archived"}
    assert details["adaud_number"] == {"status": 3}
    assert details["adaud_none"] is None


def test_why_it_failed_is_in_the_details() -> None:
    details = {row["id"]: row.get("details") for row in all_shown(WHOP, "statuses")}
    assert details["adaud_partial"] == {"error_message": "4 of 10 rows had no email"}
    assert details["adaud_failed"] == {"error_message": "No usable column"}


def test_a_zero_counts_only_where_whop_has_counted() -> None:
    seen = {row["id"]: (row.get("size"), row.get("size_note")) for row in all_shown(WHOP, "zeros")}
    not_yet = (None, "not counted yet: still processing")
    may_not = (None, "Whop gives 0, which may mean: not counted")
    assert seen == {
        "adaud_pending": not_yet,
        "adaud_processing": not_yet,
        "adaud_syncing": not_yet,
        "adaud_ready": (0, None),
        "adaud_partial": (0, None),
        "adaud_failed": (0, None),
        "adaud_new_status": may_not,
        "adaud_new_type": may_not,
        "adaud_absent": (None, "the vendor gives no usable count"),
    }


def test_the_kind_of_an_audience_follows_from_its_type_source_and_refresh() -> None:
    assert {row["id"]: (row["type"], row.get("size")) for row in all_shown(WHOP, "kinds")} == {
        "adaud_old_shape": ("static", 5),
        "adaud_upload": ("static", 5),
        "adaud_filter": ("dynamic", 5),
        "adaud_refreshed": ("dynamic", 5),
        "adaud_refresh_alone": ("dynamic", 5),
        "adaud_lookalike": ("lookalike", None),
        "adaud_engagement": ("dynamic", None),
        "adaud_engagement_by_source": ("dynamic", None),
        "adaud_engagement_by_rules": ("dynamic", None),
        "adaud_new_source": ("unknown", 5),
        "adaud_new_type": ("unknown", 5),
    }


def test_zeros_that_mean_not_applicable_are_neither_size_nor_details() -> None:
    rows = {row["id"]: row for row in all_shown(WHOP, "kinds")}
    assert rows["adaud_lookalike"]["size_note"] == "lookalike: not counted by Whop"
    assert rows["adaud_lookalike"]["details"] == {
        "audience_type": "lookalike",
        "source_type": "csv_upload",
        "lookalike_ratio": 0.04,
        "lookalike_starting_ratio": 0.02,
        "source_audience_id": "adaud_upload",
    }
    assert rows["adaud_engagement"]["size_note"] == "engagement: not counted by Whop"
    assert rows["adaud_engagement"]["details"] == {"audience_type": "custom", "source_type": "engagement"}


def test_words_that_are_not_known_stay_in_the_details() -> None:
    rows = {row["id"]: row for row in all_shown(WHOP, "kinds")}
    assert rows["adaud_new_source"]["details"]["source_type"] == "crm_sync"
    assert rows["adaud_new_type"]["details"]["audience_type"] == "value_based"


def test_every_fact_is_shown_save_who_is_targeted() -> None:
    (row,) = all_shown(WHOP, "all_fields")
    assert row["details"] == {
        "matched_rows": 421,
        "processed_rows": 1000,
        "progress_percent": 100,
        "error_message": "412 of 1,000 rows had no email or phone number",
        "platform_audience_ids": [f"12021000000000000{n}" for n in range(1, 6)],
        "audience_type": "custom",
        "source_type": "people_filter",
        "auto_refresh": True,
        "last_refreshed_at": "2026-11-18T00:00:00.000Z",
        "match_rates": [{"platform": "meta", "upper_bound": 46}],
    }
    assert row["match_rate"] == 38
    assert (row["status"], row["type"], row["size"]) == ("partial", "dynamic", 1000)


def test_only_what_is_remarkable_is_in_a_concise_row() -> None:
    raws: Any = page(WHOP, "kinds").rows
    keys = {raw["id"]: shown_concisely(WHOP, raw).keys() for raw in raws}
    assert keys["adaud_upload"] == {"ref", "name", "size"}
    assert keys["adaud_filter"] == {"ref", "name", "size", "type"}
    assert keys["adaud_lookalike"] == {"ref", "name", "type", "size_note"}


@pytest.mark.parametrize("name", [None, "", "\u00ad", 5])
def test_a_name_that_is_missing_is_the_id(name: int | str | None) -> None:
    assert shown(WHOP, {"id": "adaud_1", "name": name, "status": "ready"})["name"] == "adaud_1"


@pytest.mark.parametrize("id", [None, "", True, 1e3, [], "adaud_\u202e1"])
def test_a_row_without_a_usable_id_is_broken(id: object) -> None:
    assert row(WHOP, {"id": id, "name": "n", "status": "ready", "total_rows": 1}) is None


def test_one_audience_is_the_list_filtered_by_its_id() -> None:
    assert next(talk_of_one(WHOP, "adaud_1", VALUES)) == Request(
        "audiences", {"account_id": "biz_1", "audience_id": "adaud_1"}
    )


def test_an_unknown_id_gives_no_rows() -> None:
    unknown, known = (
        result_of(talk_of_one(WHOP, "adaud_iso", VALUES), body(WHOP, case))
        for case in ("last_page", "iso_dates")
    )
    assert unknown is None
    assert shown(WHOP, known)["id"] == "adaud_iso"


def test_an_id_begins_with_adaud() -> None:
    assert WHOP.id_shape.fullmatch("adaud_Q1w2")


@pytest.mark.parametrize(
    "text", ["", "adaud_", "biz_1", "adaud_1&first=1", "adaud_1\n", "adaud_é", "ADAUD_1"]
)
def test_other_text_is_no_id_and_never_asked_for(text: str) -> None:
    assert not WHOP.id_shape.fullmatch(text)


def test_a_401_names_the_key_and_the_base_url_that_may_be_the_sandbox() -> None:
    kind, said = error(WHOP, 401, body(WHOP, "unauthorized"))
    assert kind == "unauthorized"
    assert "WHOP_API_KEY" in said
    assert "WHOP_BASE_URL" in said


def test_a_403_names_the_scope_that_the_key_needs() -> None:
    kind, said = error(WHOP, 403, {"error": {"type": "forbidden", "message": "no"}})
    assert kind == "forbidden"
    assert "audience:basic:read" in said
    assert "WHOP_ACCOUNT_ID" in said


def test_a_400_names_the_account_and_the_version_a_key_may_pin() -> None:
    kind, said = error(WHOP, 400, body(WHOP, "error_without_type"))
    assert kind == "invalid_request"
    assert "WHOP_ACCOUNT_ID" in said
    assert "version" in said


def test_a_400_about_the_audience_id_is_an_unknown_audience() -> None:
    assert error(WHOP, 400, body(WHOP, "unknown_audience_id"))[0] == "not_found"


@pytest.mark.parametrize("case", ["error_is_null", "error_is_text", "error_without_type", "unauthorized"])
def test_an_error_of_any_shape_keeps_its_status_and_has_no_wait(case: str) -> None:
    for status in (400, 401, 403, 404, 422, 429, 500):
        assert WHOP.status(answered(status, body(WHOP, case))) == status
    assert wait(WHOP, case) is None


@pytest.mark.parametrize("answer", [None, [], "", 7])
def test_an_error_that_is_no_object_keeps_its_status_and_has_no_wait(answer: object) -> None:
    assert WHOP.status(answered(400, answer)) == 400
    assert find_wait(answered(400, answer), account(WHOP)) is None


@pytest.mark.parametrize(
    ("case", "seconds"),
    [("rate_limited", 12), ("rate_limited_one_second", 1), ("rate_limited_no_hint", None)],
)
def test_the_wait_is_found_in_the_message(case: str, seconds: int | None) -> None:
    assert wait(WHOP, case) == seconds


@pytest.mark.parametrize(
    ("type", "kind"), [("unauthorized", "unauthorized"), ("internal_server_error", "unavailable")]
)
def test_an_error_inside_a_200_counts_even_beside_an_empty_list(type: str, kind: str) -> None:
    info = {"has_next_page": False, "end_cursor": None}
    answer = {"error": {"type": type, "message": "…"}, "data": [], "page_info": info}
    assert error(WHOP, 200, answer)[0] == kind

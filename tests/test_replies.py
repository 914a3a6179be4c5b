"""What a vendor's answer says: its JSON, its status in our words, and how long it asks to wait."""

from dataclasses import replace
from datetime import datetime, timezone
from email.utils import format_datetime

import pytest

from audience_mcp.config import Account, load_configuration
from audience_mcp.sandbox import Sandbox
from audience_mcp.sources.responses import (
    DAY_S,
    LONGEST_HINT_S,
    describe_status,
    find_wait,
    parse_body,
    parse_wait,
)
from audience_mcp.vendors import Vendor, Wait
from audience_mcp.vendors.key_pages import HOW
from audience_mcp.vendors.registry import built_in_vendors
from audience_mcp.vendors.request import Request, Response
from audience_mcp.vendors.smallest import Smallest
from audience_mcp.vendors.whop import Whop
from tests.support.faults import MARKER, error_body
from tests.vendors.bodies import account, answered

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


def accounts() -> dict[str, Account]:
    sources = load_configuration(
        Sandbox({}).environment("http://127.0.0.1:1"), [*built_in_vendors().values()]
    ).sources
    return {source.name: source.account for source in sources if source.account}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": [1, 2.5, "x"]}', {"a": [1, 2.5, "x"]}),
        (b"\xef\xbb\xbf[]", []),
        (b"null", None),
        ('"é"'.encode("utf-16"), "é"),
        (b'"\\ud800"', "\ud800"),
        (b"1e400", float("inf")),
    ],
)
def test_json_is_read_as_the_vendor_wrote_it(raw: bytes, value: object) -> None:
    assert parse_body(raw) == (value, True)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"<html>",
        b"{'a': 1}",
        b'{"a": 1',
        b"[1,]",
        b"\xff\xfe\xff",
        b"[" * 100_000,
        b"{}{}",
        b"\x1f\x8b",
    ],
)
def test_what_is_no_json_is_said_to_be_none(raw: bytes) -> None:
    assert parse_body(raw) == (None, False)


def test_a_number_too_long_for_python_loses_nothing_else() -> None:
    body, readable = parse_body(b'{"rows": [{"size": ' + b"9" * 5_000 + b'}, {"size": 7}, {"size": -12}]}')
    assert readable
    assert isinstance(body, dict)
    assert body["rows"][1:] == [{"size": 7}, {"size": -12}]


class Texted(Vendor):
    """A vendor that says in words of its own how long to wait."""

    waits = (Wait("wait", "text"),)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("500ms", 0.5), ("5s", 5), ("7", 7), ("2m", 120), ("2min", 120), ("1.5h", 5400), ("soon", None)],
)
def test_a_wait_in_words_is_read_with_its_unit(said: str, seconds: float | None) -> None:
    account = replace(accounts()["whop"], vendor=Texted())
    response = Response(Request("x"), 429, {}, {"wait": said}, True, NOW.timestamp())
    assert find_wait(response, account) == seconds


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (401, "unauthorized"),
        (402, "forbidden"),
        (403, "forbidden"),
        (404, "not_found"),
        (405, "invalid_request"),
        (408, "timeout"),
        (409, "invalid_request"),
        (422, "invalid_request"),
        (425, "unavailable"),
        (429, "rate_limited"),
        (500, "unavailable"),
        (501, "unavailable"),
        (503, "unavailable"),
        (599, "unavailable"),
        (204, "bad_response"),
        (206, "bad_response"),
        (302, "bad_response"),
        (304, "bad_response"),
    ],
)
@pytest.mark.parametrize("vendor", ["commbox", "batch", "smallest", "whop"])
def test_every_status_has_a_kind_and_a_sentence_that_names_no_value(
    status: int, kind: str, vendor: str
) -> None:
    account = accounts()[vendor]
    said, text = describe_status(status, account)
    assert said == kind
    sentences, _, page = text.partition(f" {HOW}")
    assert sentences.endswith(".")
    assert bool(page) is (status in (401, 403))
    assert "{" not in text
    for value in account.values.values():
        assert len(value) < 5 or value not in text


@pytest.mark.parametrize(
    ("vendor", "status", "names"),
    [
        ("commbox", 401, ["COMMBOX_API_KEY", "rotated"]),
        ("batch", 401, ["BATCH_REST_API_KEY", "BATCH_PROJECT_KEY"]),
        ("smallest", 401, ["SMALLEST_API_KEY", "sk_"]),
        ("whop", 401, ["WHOP_API_KEY", "WHOP_BASE_URL"]),
        ("whop", 403, ["WHOP_API_KEY", "audience:basic:read", "WHOP_ACCOUNT_ID"]),
        ("whop", 400, ["WHOP_ACCOUNT_ID"]),
        ("batch", 404, ["BATCH_BASE_URL"]),
        ("smallest", 302, ["SMALLEST_BASE_URL"]),
    ],
)
def test_the_sentence_says_which_variable_to_look_at(vendor: str, status: int, names: list[str]) -> None:
    _, text = describe_status(status, accounts()[vendor])
    for name in names:
        assert name in text


@pytest.mark.parametrize(
    ("header", "hint", "seconds"),
    [
        ("12", None, 12),
        (" 7 ", None, 7),
        ("1.5", None, 1.5),
        ("0", 30, 0),
        ("Fri, 20 Nov 2026 12:00:30 GMT", None, 30),
        ("Friday, 20-Nov-26 12:00:30 GMT", None, 30),
        ("Fri Nov 20 12:00:30 2026", None, 30),
        ("Fri, 20 Nov 2026 13:00:30 +0100", None, 30),
        ("Fri, 20 Nov 2026 11:00:00 GMT", None, 0),
        (None, 60, 60),
        (None, 2.5, 2.5),
        (None, "12", 12),
        ("soon", 9, 9),
        ("-5", 9, 9),
        ("", 9, 9),
        ("1e3", 9, 9),
        ("٣", 9, 9),
        ("12, 13", None, None),
        (None, True, None),
        (None, -1, None),
        (None, float("nan"), None),
        (None, "later", None),
        (None, {"s": 3}, None),
        (None, None, None),
        (None, float("inf"), DAY_S),
        ("9" * 400, None, DAY_S),
        (None, 10**30, DAY_S),
        ("999999999", None, DAY_S),
        ("2678400", None, LONGEST_HINT_S),
        ("2678401", None, DAY_S),
        ("1795176030", None, 30),
        ("1795176030500", None, 30.5),
        ("1795176000", None, 0),
        ("1700000000", None, 0),
    ],
)
def test_the_wait_is_read_from_the_header_else_from_the_vendors_own_hint(
    header: str | None, hint: object, seconds: float | None
) -> None:
    assert parse_wait(header, hint, NOW) == seconds


def test_a_date_further_away_than_any_limit_lasts_is_a_mistake_and_taken_as_a_day() -> None:
    header = format_datetime(NOW.replace(year=9999), usegmt=True)
    assert parse_wait(header, None, NOW) == DAY_S


def limits_header(vendor: Vendor) -> str:
    """The header by which a vendor says when its limit ends."""
    return next(wait.at for wait in vendor.waits if wait.header and wait.within is None)


@pytest.mark.parametrize(
    "vendor",
    [v for v in built_in_vendors().values() if any(w.header and w.within is None for w in v.waits)],
    ids=lambda vendor: vendor.name,
)
@pytest.mark.parametrize(
    ("said", "seconds"),
    [("30", 30), ("1795176030", 30), ("1795176030000", 30), ("1795175000", 0), ("-1", None), ("soon", None)],
)
def test_a_reset_may_be_a_wait_or_a_moment_whatever_the_vendor_announces(
    vendor: Vendor, said: str, seconds: float | None
) -> None:
    headers = {limits_header(vendor).lower(): said}
    response = replace(answered(429, {}), headers=headers, now=NOW.timestamp())
    assert find_wait(response, account(vendor)) == seconds


@pytest.mark.parametrize(
    ("body", "wait"),
    [
        ({"error": {"type": "rate_limit_exceeded", "message": "Try again in 12 seconds."}}, 12),
        ({"error": {"message": "Try again in 1 second."}}, 1),
        ({"error": "Try again in 3 seconds."}, 3),
        ({"error": {"message": "Try again later."}}, None),
        ({"error": {"message": ["in 3 seconds"]}}, None),
        ({"error": None}, None),
        (None, None),
        ([], None),
        (error_body("whop", 429), None),
    ],
)
def test_whop_writes_its_wait_into_the_message(body: object, wait: object) -> None:
    assert find_wait(answered(429, body), account(Whop())) == wait


@pytest.mark.parametrize(
    ("body", "wait"),
    [
        ({"status": False, "error": "Rate limit exceeded", "retry_after": 60}, 60),
        ({"message": "Rate limit exceeded", "rateLimit": {"routeClass": "x", "retryAfterSec": 30}}, 30),
        ({"rateLimit": 5}, None),
        ({"errors": [MARKER]}, None),
        ("<html>", None),
        (None, None),
    ],
)
def test_smallest_writes_its_wait_into_either_of_two_places(body: object, wait: object) -> None:
    assert find_wait(answered(429, body), account(Smallest())) == wait

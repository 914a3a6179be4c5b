"""What the sandbox refuses, each vendor in its own error shape."""

from typing import Any

import pytest

from tests.sandbox.conftest import Caller

pytestmark = pytest.mark.anyio

LISTS = {"commbox": "audiences", "batch": "audiences/list", "smallest": "audience", "whop": "audiences"}
each_vendor = pytest.mark.parametrize("vendor", LISTS)


def message(vendor: str, body: Any, status: int) -> str:
    """The message, taken from where the vendor writes it; fails on any other shape."""
    if vendor == "commbox":
        assert body.keys() == {"status", "description", "response_time"}
        assert body["status"] == status
        return str(body["description"])
    if vendor == "batch":
        assert body.keys() == {"error_code", "error_message"}
        return str(body["error_message"])
    if vendor == "smallest":
        assert body.keys() == {"status", "errors"}
        assert body["status"] is False
        return str(body["errors"][0])
    assert body.keys() == {"error"}
    assert body["error"].keys() >= {"type", "message"}
    return str(body["error"]["message"])


@each_vendor
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer", "raw-key"])
async def test_a_missing_or_wrong_key_is_a_401(call: Caller, vendor: str, authorization: str | None) -> None:
    answer = await call.get(vendor, LISTS[vendor], header_authorization=authorization)
    assert answer.status_code == 401
    assert message(vendor, answer.json(), 401)


async def test_the_scheme_must_be_bearer(call: Caller) -> None:
    key = call.sandbox.environment("")["COMMBOX_API_KEY"]
    assert (await call.get("commbox", "audiences", header_authorization=key)).status_code == 401


@each_vendor
async def test_an_unknown_parameter_is_a_400_that_names_it(call: Caller, vendor: str) -> None:
    answer = await call.get(vendor, LISTS[vendor], page="2")
    assert answer.status_code == 400
    assert "page" in message(vendor, answer.json(), 400)


@each_vendor
async def test_a_get_with_a_body_is_a_400(call: Caller, vendor: str) -> None:
    answer = await call.get(vendor, LISTS[vendor], body=b"{}")
    assert answer.status_code == 400
    assert message(vendor, answer.json(), 400)


@each_vendor
async def test_a_get_with_a_content_type_is_a_400(call: Caller, vendor: str) -> None:
    answer = await call.get(vendor, LISTS[vendor], header_content_type="application/json")
    assert answer.status_code == 400


@each_vendor
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_another_method_is_a_405_that_says_get(call: Caller, vendor: str, method: str) -> None:
    answer = await call.get(vendor, LISTS[vendor], method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"
    assert message(vendor, answer.json(), 405)


@pytest.mark.parametrize(
    ("vendor", "name"), [("batch", "limit"), ("batch", "from"), ("whop", "first"), ("whop", "after")]
)
@pytest.mark.parametrize("value", ["", ["5", "6"]])
async def test_an_empty_or_repeated_cursor_or_limit_is_a_400(
    call: Caller, vendor: str, name: str, value: list[Any] | str
) -> None:
    answer = await call.get(vendor, LISTS[vendor], **dict[str, Any]({name: value}))
    assert answer.status_code == 400
    assert name in message(vendor, answer.json(), 400)


@pytest.mark.parametrize(("vendor", "name"), [("batch", "limit"), ("whop", "first")])
@pytest.mark.parametrize("value", ["0", "101", "-1", "1.0", "ten", "٣", "9" * 5000])
async def test_a_page_size_outside_1_to_100_is_a_400(
    call: Caller, vendor: str, name: str, value: str
) -> None:
    assert (await call.get(vendor, LISTS[vendor], **dict[str, Any]({name: value}))).status_code == 400


@pytest.mark.parametrize(("vendor", "name"), [("batch", "from"), ("whop", "after")])
@pytest.mark.parametrize(
    "value",
    ["1", "100", "MTAw", "WzFd", "WyJvdGhlciIsMV0=", "WyJjdXJzb3IiLC0xXQ==", "é", "AAAAAAAAAAAAAAAAAAAAAAAA"],
)
async def test_a_made_up_cursor_is_a_400(call: Caller, vendor: str, name: str, value: str) -> None:
    assert (await call.get(vendor, LISTS[vendor], **dict[str, Any]({name: value}))).status_code == 400


async def test_batch_without_a_project_is_a_400(call: Caller) -> None:
    answer = await call.get("batch", "audiences/list", header_x_batch_project=None)
    assert answer.status_code == 400
    assert "X-Batch-Project" in message("batch", answer.json(), 400)


async def test_batch_with_another_project_is_a_401(call: Caller) -> None:
    answer = await call.get("batch", "audiences/list", header_x_batch_project="project_other")
    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTHENTICATION_INVALID")


async def test_whop_without_an_account_says_which_parameter_is_missing(call: Caller) -> None:
    answer = await call.get("whop", "audiences", account_id=None)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["type"], error["code"], error["param"]) == (
        "invalid_request_error",
        "parameter_missing",
        "account_id",
    )


async def test_whop_with_another_account_is_a_403(call: Caller) -> None:
    answer = await call.get("whop", "audiences", account_id="biz_other")
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "forbidden")


@pytest.mark.parametrize("date", ["2026-07-14", "tomorrow", "", "2026-10-15-9"])
async def test_whop_names_the_versions_it_knows_when_asked_for_another(call: Caller, date: str) -> None:
    answer = await call.get("whop", "audiences", header_api_version_date=date)
    assert answer.status_code == 400
    assert "2026-10-15-1" in answer.json()["error"]["message"]


async def test_whop_has_no_route_for_one_audience(call: Caller) -> None:
    id = call.sandbox.rows["whop"][0]["id"]
    answer = await call.get("whop", f"audiences/{id}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


async def test_commbox_has_no_route_for_one_audience(call: Caller) -> None:
    id = call.sandbox.rows["commbox"][0]["id"]
    answer = await call.get("commbox", f"audiences/{id}")
    assert answer.status_code == 404
    assert message("commbox", answer.json(), 404)


@pytest.mark.parametrize("path", ["audiences", "organization", "audience/", "audience/a/b"])
async def test_smallest_answers_an_unknown_route_with_html(call: Caller, path: str) -> None:
    answer = await call.get("smallest", path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


async def test_a_path_of_no_vendor_is_a_404(call: Caller) -> None:
    assert (await call.http.get(f"{call.origin}/acme/audiences")).status_code == 404
    assert (await call.http.get(call.origin)).status_code == 404

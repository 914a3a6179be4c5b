"""What those who run the server see of it at `/ready`, and who may look."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.config import load_configuration
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sandbox.app import serve
from audience_mcp.server.auth import access_policy
from audience_mcp.server.http import build_app
from audience_mcp.vendors.registry import load_vendors
from tests.e2e.test_http import answer_of, client_of, posted
from tests.support.hosting import TOKEN, hosted, worked
from tests.support.issuer import PUBLIC_URL, SCOPE, issuing
from tests.support.served import Recording

pytestmark = pytest.mark.anyio

BI = "bi-token-of-at-least-32-characters-0123"
NAMED = {"AUDIENCE_MCP_HTTP_TOKENS": f"bi:{BI}"}
HOSTS = {"AUDIENCE_MCP_ALLOWED_HOSTS": "audiences.example.com"}
HERE = ("127.0.0.1", 40_000)
ELSEWHERE = ("203.0.113.7", 40_000)
PAGES = ["/ready", "/metrics"]


@asynccontextmanager
async def called_from(
    client: tuple[str, int], host: str = "127.0.0.1:8000", **variables: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody at that address who calls the app by that name."""
    configured = load_configuration({}, load_vendors().values())
    app = build_app(lambda: open_catalog(configured), access_policy(variables, reachable_via=None))
    transport = httpx.ASGITransport(app, client=client)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http,
    ):
        yield http


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_this_computer_itself_needs_no_token(page: str, host: str, address: str) -> None:
    for variables in ({}, NAMED):
        async with called_from((address, 40_000), host, **variables) as http:
            assert (await http.get(page)).status_code == 200


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (ELSEWHERE, {}),
        (HERE, {"Host": "audiences.example.com"}),
        (HERE, {"Host": "evil.example"}),
        (HERE, {"X-Forwarded-For": "203.0.113.7"}),
        (HERE, {"X-Forwarded-Proto": "https"}),
        (HERE, {"Forwarded": "for=203.0.113.7"}),
        (HERE, {"Via": "1.1 caddy"}),
        (HERE, {"X-Real-IP": "203.0.113.7"}),
        *(
            (HERE, {name: "203.0.113.7"})
            for name in (
                *("X-Forwarded", "X-Original-Forwarded-For", "X-Cluster-Client-IP", "Fly-Client-IP"),
                *("X-Envoy-External-Address", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"),
            )
        ),
    ],
)
async def test_whoever_may_be_elsewhere_needs_one(
    page: str, client: tuple[str, int], headers: dict[str, str]
) -> None:
    async with called_from(client, **NAMED, **HOSTS) as http:
        assert (await http.get(page, headers=headers)).status_code == 401
        assert (await http.get(page, headers={**headers, **bearer(TOKEN)})).status_code == 401
        shown = await http.get(page, headers={**headers, **bearer(BI)})
        assert shown.status_code == 200
        assert shown.headers["Cache-Control"] == "no-store"
    async with called_from(client) as http:  # there is no way to know callers
        refused = await http.get(page, headers={**headers, **bearer(BI)})
        assert refused.status_code == 403
        assert "AUDIENCE_MCP_HTTP_TOKENS" in refused.text


@pytest.mark.parametrize("page", PAGES)
async def test_where_people_log_in_tokens_with_names_open_it_too_and_nothing_else(page: str) -> None:
    with issuing() as issuer:
        variables = {"AUDIENCE_MCP_OAUTH_ISSUER": issuer.url, "AUDIENCE_MCP_PUBLIC_URL": PUBLIC_URL}
        async with called_from(ELSEWHERE, **variables, **NAMED, **HOSTS) as http:
            assert (await http.get(page)).status_code == 401
            assert (await http.get(page, headers=bearer(BI))).status_code == 200
            assert (await http.get(page, headers=bearer(issuer.token(scope=SCOPE)))).status_code == 200
            assert (await http.get(page, headers=bearer(issuer.token(scope="other")))).status_code == 403
            hosts = {"Host": "audiences.example.com"}
            assert (await http.post("/mcp", headers={**bearer(BI), **hosts})).status_code == 401


@pytest.mark.parametrize("page", PAGES)
async def test_it_is_only_looked_at(page: str) -> None:
    async with called_from(HERE) as http:
        for method in ("POST", "PUT", "DELETE"):
            refused = await http.request(method, page)
            assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
        assert (await http.head(page)).status_code == 200
        assert (await http.get(f"{page}/")).status_code == 404


class Locked(Recording):
    """Vendors that refuse every key while `locked`."""

    locked = False

    def answer(self, asked: Asked) -> Answer:
        return Answer(401, {"error": "no"}) if self.locked else super().answer(asked)


Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]
"""The samples of an exposition: by name, then by labels in order of their names."""


def parse(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


async def metrics(origin: str, **headers: str) -> Samples:
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.get(f"{origin}/metrics", headers=headers)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    return parse(response.text)


@pytest.mark.slow
async def test_metrics_count_calls_refusals_and_requests_to_vendors(tmp_path: Path) -> None:
    sandbox = Locked(vendors=("batch", "commbox"))
    async with serve(sandbox) as origin:
        settings = {"AUDIENCE_MCP_STORE": str(tmp_path), "AUDIENCE_MCP_CACHE_S": "0", **NAMED}
        with hosted(**sandbox.environment(origin), **settings) as server:
            async with client_of(server.url, headers=bearer(BI)) as client:
                await answer_of(client, sources=["batch"])
                for _ in range(2):
                    await client.call_tool("get_audience", {"audience": "nobody has this name"})
                sandbox.locked = True
                await client.call_tool("list_audiences", {"sources": ["commbox"]})
            for headers in ({}, bearer(TOKEN)):
                assert (await posted(server.url, headers)).status_code == 401
            assert (await posted(server.url, {"Host": "evil.example"})).status_code == 421
            found = await metrics(server.origin)
    calls = found["audience_mcp_calls_total"]
    assert calls[("outcome", "answered"), ("tool", "list_audiences")] >= 1
    assert calls[("outcome", "error"), ("tool", "get_audience")] == 2
    assert calls[("outcome", "fault"), ("tool", "get_audience")] == 0
    buckets = found["audience_mcp_call_seconds_bucket"]
    ours = [value for labels, value in buckets.items() if ("tool", "get_audience") in labels]
    assert ours == sorted(ours)
    assert ours[-1] == found["audience_mcp_call_seconds_count"][("tool", "get_audience"),] == 2
    assert 0 < found["audience_mcp_call_seconds_sum"][("tool", "get_audience"),] < 60
    refused = {dict(labels)["reason"]: n for labels, n in found["audience_mcp_refusals_total"].items()}
    assert (refused["token"], refused["host"], refused["scope"]) == (2, 1, 0)
    requests = found["audience_mcp_vendor_requests_total"]
    asked = len([each for each in sandbox.asked if each.path.startswith("/batch")])
    assert requests[("source", "batch"), ("status", "200")] == asked
    assert requests[("source", "commbox"), ("status", "401")] >= 1
    assert found["audience_mcp_vendor_request_seconds_total"][("source", "batch"),] > 0
    assert 0 <= found["audience_mcp_reading_age_seconds"][("source", "batch"),] < 60
    assert found["audience_mcp_source_error"] == {(("kind", "unauthorized"), ("source", "commbox")): 1}
    assert found["audience_mcp_sizes_pending"][("source", "batch"),] == 0
    assert found["audience_mcp_store_up"][("part", "readings"),] == 1
    assert found["process_resident_memory_bytes"][()] > 10_000_000


@pytest.mark.parametrize("version", ["abc", "1.0.0rc1", "1.x", "99.0.0", "²", "9" * 5000, ""])
async def test_a_format_that_there_is_not_is_answered_with_the_plain_one(version: str) -> None:
    async with called_from(HERE) as http:
        for kind in ("application/openmetrics-text", "text/plain"):
            unknown = {b"Accept": f"{kind}; version={version};q=0.9, */*".encode()}
            shown = await http.get("/metrics", headers=unknown)
            assert shown.status_code == 200
            assert shown.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert parse(shown.text)["audience_mcp_info"]
        accept = "application/openmetrics-text; version=abc, application/openmetrics-text;version=1.0.0;q=0.5"
        shown = await http.get("/metrics", headers={"Accept": accept})
        assert shown.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0;")
        assert shown.text.endswith("# EOF\n")


@pytest.mark.slow
async def test_metrics_of_workers_behind_one_port_are_told_apart() -> None:
    with worked(1, **NAMED, **HOSTS) as server:
        found = await metrics(server.origin)
    (worker,) = {dict(labels)["worker"] for labels in found["audience_mcp_info"]}
    assert int(worker) == server.process.pid
    assert {dict(labels)["worker"] for labels in found["audience_mcp_calls_total"]} == {worker}
    assert not any(name.startswith("process_") for name in found)


async def test_without_its_extra_metrics_name_it_and_everything_else_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with called_from(HERE) as http:
        missing = await http.get("/metrics")
        assert missing.status_code == 501
        assert "pip install 'audience-mcp[metrics]'" in missing.text
        assert (await http.get("/ready")).status_code == 200
    async with called_from(ELSEWHERE, **NAMED) as http:
        assert (await http.get("/metrics")).status_code == 401


async def ready(origin: str) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.get(f"{origin}/ready")
    assert response.status_code == 200
    return dict(response.json())


@pytest.mark.slow
async def test_ready_says_of_each_source_how_old_its_reading_is_and_how_the_last_one_failed(
    tmp_path: Path,
) -> None:
    sandbox = Recording()
    async with serve(sandbox) as origin:
        broken = {
            "AUDIENCE_MCP_STORE": str(tmp_path / "store"),
            "COMMBOX_API_KEY_GONE": "key-key-000",
            "COMMBOX_BASE_URL_GONE": "http://127.0.0.1:1",
            "WHOP_ACCOUNT_ID_HALF": "biz_2",
            "WHOP_API_KEY": "",
        }
        with hosted(**{**sandbox.environment(origin), **broken}) as server:
            before = await ready(server.origin)
            async with client_of(server.url) as client:
                await answer_of(client, sources=["batch"])
                only_batch = await ready(server.origin)
                await client.call_tool("list_audiences", {"sources": ["commbox-gone", "commbox"]})
            with anyio.fail_after(30):
                while (after := await ready(server.origin))["store"] == {"state": "unused"}:
                    await anyio.lowlevel.checkpoint()
    half = {"source": "whop-half", "error": "not_configured"}
    assert half in before["sources"]
    assert {"source": "batch"} in before["sources"]  # not read yet: no age
    assert before["status"] == "failing"
    states = {each["source"]: each for each in only_batch["sources"]}
    assert 0 <= states["batch"]["age_s"] < 60
    assert "error" not in states["batch"]
    states = {each["source"]: each for each in after["sources"]}
    assert states["commbox-gone"] == {"source": "commbox-gone", "error": "unavailable"}
    assert set(states["commbox"]) == {"source", "age_s"}
    assert after["store"] == {"state": "ok"}


@pytest.mark.slow
async def test_the_last_error_stands_until_the_source_was_read_in_full_again() -> None:
    sandbox = Locked(vendors=("batch",))
    async with serve(sandbox) as origin:
        settings = {"AUDIENCE_MCP_STORE": "off", "AUDIENCE_MCP_CACHE_S": "0"}
        with hosted(**sandbox.environment(origin), **settings) as server:
            async with client_of(server.url) as client:
                await answer_of(client)
                sandbox.locked = True
                await client.call_tool("list_audiences", {})
                locked = await ready(server.origin)
                sandbox.locked = False
                await answer_of(client)
            again = await ready(server.origin)
    (batch,) = locked["sources"]
    assert (locked["status"], batch["error"]) == ("failing", "unauthorized")
    assert batch["age_s"] >= 0  # of the one before
    assert (again["status"], again["store"]) == ("ok", {"state": "off"})
    assert set(again["sources"][0]) == {"source", "age_s"}

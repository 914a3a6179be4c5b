"""Who is let in over HTTP, what refuses to start, and that one catalog serves every request."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.server import http as hosting
from audience_mcp.server.auth import AccessPolicy, access_policy
from audience_mcp.vendors.registry import load_vendors
from tests.support.hosting import TOKEN

LOOPBACK = ("127.0.0.1", "127.0.0.1:*", "localhost", "localhost:*", "[::1]", "[::1]:*")
BOTH = {"AUDIENCE_MCP_HTTP_TOKEN": TOKEN, "AUDIENCE_MCP_ALLOWED_HOSTS": "mcp.example.com"}


def allowed(names: str) -> tuple[str, ...]:
    """The host names beyond this computer's own."""
    hosts = access_policy({"AUDIENCE_MCP_ALLOWED_HOSTS": names}, reachable_via=None).hosts
    assert hosts[: len(LOOPBACK)] == LOOPBACK
    return hosts[len(LOOPBACK) :]


def test_on_loopback_no_token_is_asked_and_only_this_computers_names_are_answered() -> None:
    assert access_policy({}, reachable_via=None) == AccessPolicy(None, LOOPBACK)


def test_a_token_that_is_set_is_asked_on_loopback_too() -> None:
    assert access_policy({"AUDIENCE_MCP_HTTP_TOKEN": f" {TOKEN}\n"}, reachable_via=None).token == TOKEN


@pytest.mark.parametrize("unset", ["", "  ", "${user_config.token}"])
def test_empty_values_and_placeholders_count_as_unset(unset: str) -> None:
    environment = {"AUDIENCE_MCP_HTTP_TOKEN": unset, "AUDIENCE_MCP_ALLOWED_HOSTS": unset}
    assert access_policy(environment, reachable_via=None) == AccessPolicy(None, LOOPBACK)
    with pytest.raises(ConfigurationError, match=r"HTTP_TOKEN .* and AUDIENCE_MCP_ALLOWED_HOSTS"):
        access_policy(environment, reachable_via="Somewhere else")


@pytest.mark.parametrize(
    ("names", "hosts"),
    [
        ("mcp.example.com", ("mcp.example.com", "mcp.example.com:*")),
        (" MCP.Example.com , ,10.0.0.7,", ("mcp.example.com", "mcp.example.com:*", "10.0.0.7", "10.0.0.7:*")),
        ("mcp.example.com:8443", ("mcp.example.com:8443",)),
        ("mcp.example.com:*", ("mcp.example.com:*",)),
        ("[fd00::7]", ("[fd00::7]", "[fd00::7]:*")),
        ("[fd00::7]:8443", ("[fd00::7]:8443",)),
        ("audience_mcp", ("audience_mcp", "audience_mcp:*")),
    ],
)
def test_a_host_is_allowed_with_any_port_unless_one_is_named(names: str, hosts: tuple[str, ...]) -> None:
    assert allowed(names) == hosts


@pytest.mark.parametrize(
    "names",
    ["https://mcp.example.com", "mcp.example.com/mcp", "*", "*.example.com", "a b", "fd00::7", "a;b", ","],
)
def test_what_is_no_host_name_is_refused_without_being_repeated(names: str) -> None:
    with pytest.raises(ConfigurationError, match="AUDIENCE_MCP_ALLOWED_HOSTS must be") as refused:
        allowed(names)
    assert f" {names} " not in str(refused.value)


def test_pages_of_an_allowed_host_may_call_it() -> None:
    origins = access_policy(BOTH, reachable_via="Elsewhere").security().allowed_origins
    assert {"https://mcp.example.com", "https://mcp.example.com:*", "http://localhost:*"} < set(origins)
    assert all("://" in origin and "*:" not in origin for origin in origins)


@pytest.mark.parametrize("token", ["x" * 31, "a token with spaces, and long enough", "ü" * 32, "a\nb" * 20])
def test_a_token_that_is_short_or_fits_no_header_is_refused_and_not_repeated(token: str) -> None:
    for elsewhere in (None, "Elsewhere"):
        with pytest.raises(
            ConfigurationError, match="AUDIENCE_MCP_HTTP_TOKEN must be at least 32"
        ) as refused:
            access_policy({**BOTH, "AUDIENCE_MCP_HTTP_TOKEN": token}, reachable_via=elsewhere)
        assert token not in str(refused.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
@pytest.mark.parametrize("missing", [["AUDIENCE_MCP_HTTP_TOKEN"], ["AUDIENCE_MCP_ALLOWED_HOSTS"], list(BOTH)])
def test_other_computers_are_let_in_only_with_a_token_and_host_names(
    host: str, missing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {name: value for name, value in BOTH.items() if name not in missing}
    assert hosting.serve(sandbox=True, host=host, port=0, environment=environment) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"audience-mcp: --host {host} lets other computers in, so it needs ")
    assert err.count("\n") == 1
    for name in BOTH:
        assert (name in err) == (name in missing)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert hosting.serve(sandbox=True, host="127.0.0.1", port=port, environment={}) == 2
    assert capsys.readouterr().err == "audience-mcp: --port must be from 0 (any free port) to 65535.\n"


def test_a_setting_that_cannot_be_used_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"AUDIENCE_MCP_DEADLINE_S": "0"}
    assert hosting.serve(sandbox=False, host="127.0.0.1", port=0, environment=environment) == 2
    assert "AUDIENCE_MCP_DEADLINE_S" in capsys.readouterr().err


def test_a_port_in_use_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert hosting.serve(sandbox=True, host="127.0.0.1", port=port, environment={}) == 1
    assert capsys.readouterr().err == (
        f"audience-mcp: port {port} on 127.0.0.1 is in use by another program: end that, or choose another "
        "--port.\n"
    )


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EACCES, "permission denied"), (errno.EADDRNOTAVAIL, "cannot assign")]
)
def test_an_address_that_cannot_be_had_is_told_with_its_reason(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "whatever")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert hosting.serve(sandbox=True, host="127.0.0.1", port=80, environment={}) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"audience-mcp: cannot listen on port 80 of 127.0.0.1: {words}")


def test_a_name_that_means_no_address_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("whatever")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert hosting.serve(sandbox=True, host="nowhere.example", port=0, environment=BOTH) == 1
    assert capsys.readouterr().err.startswith("audience-mcp: cannot listen on nowhere.example: ")


def test_a_name_is_judged_by_the_address_it_means(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def elsewhere(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
    assert hosting.serve(sandbox=True, host="localhost", port=0, environment={}) == 2
    assert "--host localhost lets other computers in" in capsys.readouterr().err


def test_under_another_server_a_token_and_host_names_are_always_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in BOTH:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as stopped:
        hosting.create_app()
    assert stopped.value.code == 3  # on which uvicorn and gunicorn start no further worker
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(name in said for name in BOTH)


@pytest.mark.anyio
async def test_one_catalog_is_opened_for_all_requests_and_closed_at_the_end() -> None:
    configured = load_configuration({}, load_vendors().values())
    events: list[str] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[Catalog]:
        events.append("opened")
        async with open_catalog(configured) as catalog:
            yield catalog
        events.append("closed")

    app = hosting.build_app(configured, opened, AccessPolicy(None, LOOPBACK))
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_audiences"}}
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            for _ in range(3):
                answer = await http.post("/mcp", json=call, headers=headers)
                assert "No vendor is configured yet" in answer.text
        assert events == ["opened"]
    assert events == ["opened", "closed"]


@pytest.fixture
def anywhere() -> Starlette:
    configured = load_configuration({}, load_vendors().values())
    who = access_policy({}, reachable_via=None)
    return hosting.build_app(configured, lambda: open_catalog(configured), who)


async def status_of(app: Starlette, **headers: str) -> int:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    every = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25", **headers}
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return (await http.post("/mcp", json=call, headers=every)).status_code


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "LocalHost:8000", "127.0.0.1:1", "[::1]:8000"])
async def test_the_names_of_this_computer_are_answered_in_any_case(anywhere: Starlette, host: str) -> None:
    assert await status_of(anywhere, Host=host) == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:evil.com",
        "localhost:evil.example",
        "localhost:80:80",
        "localhost:",
        "localhost:*",
        "localhost.evil.example",
        "evil.example#localhost:80",
        "evil@localhost",
        "",
    ],
)
async def test_a_host_that_only_begins_like_a_name_of_this_computer_is_refused(
    anywhere: Starlette, host: str
) -> None:
    assert await status_of(anywhere, Host=host) == 421


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("HTTP://LOCALHOST:3000", 200),
        ("http://localhost:evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("file://", 403),
    ],
)
async def test_a_page_of_another_site_is_refused(anywhere: Starlette, origin: str, status: int) -> None:
    assert await status_of(anywhere, Origin=origin) == status

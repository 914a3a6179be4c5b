"""Who is let in over HTTP, what refuses to start, and that one catalog serves every request."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.config import is_set, load_configuration, read_environment
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.server import http as hosting
from audience_mcp.server.auth import AccessPolicy, BearerToken, access_policy
from audience_mcp.vendors.registry import load_vendors
from tests.support.hosting import TOKEN


def said_at_start(capsys: pytest.CaptureFixture[str], variables: dict[str, str]) -> str:
    """What a server over HTTP says instead of starting."""
    environment = read_environment(variables)
    assert hosting.serve(sandbox=True, host="127.0.0.1", port=0, environment=environment) == 2
    return capsys.readouterr().err


LOOPBACK = ("127.0.0.1", "127.0.0.1:*", "localhost", "localhost:*", "[::1]", "[::1]:*")
BOTH = {"AUDIENCE_MCP_HTTP_TOKEN": TOKEN, "AUDIENCE_MCP_ALLOWED_HOSTS": "mcp.example.com"}


def allowed(names: str) -> tuple[str, ...]:
    """The host names beyond this computer's own."""
    hosts = access_policy({**BOTH, "AUDIENCE_MCP_ALLOWED_HOSTS": names}, reachable_via=None).hosts
    assert hosts[: len(LOOPBACK)] == LOOPBACK
    return hosts[len(LOOPBACK) :]


def test_on_loopback_no_token_is_asked_and_only_this_computers_names_are_answered() -> None:
    assert access_policy({}, reachable_via=None) == AccessPolicy((), LOOPBACK)


def test_a_token_that_is_set_is_asked_on_loopback_too() -> None:
    policy = access_policy({"AUDIENCE_MCP_HTTP_TOKEN": f" {TOKEN}\n"}, reachable_via=None)
    assert policy.tokens == (BearerToken("", TOKEN),)


CI, BI = "ci-0123456789-0123456789-0123456789", "bi:0123456789-0123456789-0123456789"


@pytest.mark.parametrize(
    ("listed", "tokens"),
    [
        (f"ci:{CI}", [("ci", CI)]),
        (f" ci:{CI} , bi:{BI},", [("ci", CI), ("bi", BI)]),
        (f"ci:{CI}\nbi:{BI}\n", [("ci", CI), ("bi", BI)]),
        (f"ci:{CI},ci:{BI}", [("ci", CI), ("ci", BI)]),
    ],
)
def test_tokens_may_have_names_of_which_one_may_have_two(listed: str, tokens: list[tuple[str, str]]) -> None:
    policy = access_policy({"AUDIENCE_MCP_HTTP_TOKENS": listed}, reachable_via=None)
    assert [(token.name, token.value) for token in policy.tokens] == tokens


@pytest.mark.parametrize(
    "listed", [CI, f"{CI}:x", f":{CI}", f"c i:{CI}", f"ü:{CI}", f"ci:{CI},bi", "ci:short", f"ci:{CI} x", ","]
)
def test_a_named_token_that_is_none_is_refused_and_not_repeated(listed: str) -> None:
    with pytest.raises(ConfigurationError, match="AUDIENCE_MCP_HTTP_TOKENS must be tokens") as refused:
        access_policy({"AUDIENCE_MCP_HTTP_TOKENS": listed}, reachable_via=None)
    assert CI not in str(refused.value)


def test_one_token_cannot_say_that_two_are_calling() -> None:
    for environment in (
        {"AUDIENCE_MCP_HTTP_TOKENS": f"ci:{CI},bi:{CI}"},
        {"AUDIENCE_MCP_HTTP_TOKENS": f"ci:{CI}", "AUDIENCE_MCP_HTTP_TOKEN": CI},
    ):
        with pytest.raises(ConfigurationError, match="must be another one"):
            access_policy(environment, reachable_via=None)


def test_named_tokens_are_a_way_to_know_other_computers() -> None:
    environment = {"AUDIENCE_MCP_HTTP_TOKENS": f"ci:{CI}", "AUDIENCE_MCP_ALLOWED_HOSTS": "mcp.example.com"}
    assert access_policy(environment, reachable_via="Elsewhere").knows_callers


@pytest.mark.parametrize("unset", ["", "  ", "${user_config.token}"])
@pytest.mark.parametrize(
    "name",
    [
        "AUDIENCE_MCP_HTTP_TOKEN",
        "AUDIENCE_MCP_HTTP_TOKENS",
        "AUDIENCE_MCP_ACCESS",
        "AUDIENCE_MCP_ALLOWED_HOSTS",
        "AUDIENCE_MCP_OAUTH_ALLOWED",
        "AUDIENCE_MCP_HTTP_TOKEN_FILE",
        "AUDIENCE_MCP_OAUTH_ISSUER",
        "AUDIENCE_MCP_OAUTH_ISSUER_FILE",
        "AUDIENCE_MCP_PUBLIC_URL",
        "AUDIENCE_MCP_PUBLIC_URL_FILE",
    ],
)
def test_a_setting_that_keeps_callers_out_and_says_nothing_is_refused(name: str, unset: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is there, but it is empty"):
        access_policy({name: unset}, reachable_via=None)


@pytest.mark.parametrize(
    "placeholder",
    [
        "${user_config.the_token_of_bi_at_this_server}",
        "$(pass show audiences/the-token-of-bi-at-this-server)",
        "{{secrets.the_token_of_bi_at_this_server}}",
        "%THE_TOKEN_OF_BI_AT_THIS_SERVER%",
        "$THE_TOKEN_OF_BI_AT_THIS_SERVER",
        "bi-${THE_TOKEN_OF_BI_AT_THIS_SERVER}",
        "${THE_TOKEN_OF_BI:-a,b}",
    ],
)
@pytest.mark.parametrize("filed", [False, True])
def test_a_placeholder_is_no_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], placeholder: str, filed: bool
) -> None:
    """Whoever has seen the configuration could send it."""
    for name, value in (
        ("AUDIENCE_MCP_HTTP_TOKENS", f"ci:{CI},bi:{placeholder}"),
        ("AUDIENCE_MCP_HTTP_TOKENS", f"ci:{CI},{placeholder}"),
        ("AUDIENCE_MCP_HTTP_TOKEN", placeholder + "\n"),
    ):
        (tmp_path / name).write_text(value)
        setting = {f"{name}_FILE": str(tmp_path / name)} if filed else {name: value}
        if is_set(setting.get(name, value)):
            said = said_at_start(capsys, setting)
            assert said.startswith(f"audience-mcp: {name} holds a placeholder")
            assert "TOKEN_OF_BI" not in said.upper().replace("-", "_").replace(name, "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AUDIENCE_MCP_ACESS", "AUDIENCE_MCP_ACCESS"),
        ("audience_mcp_access", "AUDIENCE_MCP_ACCESS"),
        ("AUDIENCE_MCP_ACCESS_RULES", "AUDIENCE_MCP_ACCESS"),
        ("AUDIENCE_MPC_ACCESS", "AUDIENCE_MCP_ACCESS"),
        ("AUDIENCE_MCP_TOKENS", "AUDIENCE_MCP_HTTP_TOKENS"),
        ("AUDIENCE_MCP_HTTP_TOKEN_BI", "AUDIENCE_MCP_HTTP_TOKEN"),
        ("Audience_Mcp_Http_Token", "AUDIENCE_MCP_HTTP_TOKEN"),
        ("AUDIENCE_MCP_ISSUER", "AUDIENCE_MCP_OAUTH_ISSUER"),
        ("AUDIENCE_MCP_OAUTH_PUBLIC_URL", "AUDIENCE_MCP_PUBLIC_URL"),
        ("AUDIENCE_MCP_ALLOWED", "AUDIENCE_MCP_OAUTH_ALLOWED"),
        ("AUDIENCE_MCP_ALLOW_HOSTS", "AUDIENCE_MCP_ALLOWED_HOSTS"),
    ],
)
@pytest.mark.parametrize("value", ["token:ci=batch", ""])
def test_a_restriction_whose_name_is_mistyped_is_refused(
    capsys: pytest.CaptureFixture[str], name: str, meant: str, value: str
) -> None:
    said = said_at_start(capsys, {"AUDIENCE_MCP_HTTP_TOKENS": f"ci:{CI}", name: value})
    assert said.startswith(f"audience-mcp: {name} is not a setting, and may be meant for {meant}, without")


def test_a_restriction_in_a_file_whose_name_is_mistyped_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules").write_text("token:ci=batch")
    setting = {"AUDIENCE_MCP_ACESS_FILE": str(tmp_path / "rules"), "AUDIENCE_MCP_HTTP_TOKENS": f"ci:{CI}"}
    assert "may be meant for AUDIENCE_MCP_ACCESS" in said_at_start(capsys, setting)


@pytest.mark.parametrize(
    "name",
    [
        "AUDIENCE_MCP_CACHE",
        "AUDIENCE_MCP_DEADLINE",
        "AUDIENCE_MCP_NONSENSE",
        "AUDIENCE_MCP_HTTP_PORT",
        "AUDIENCE_MCP_LABEL_ACCESS",
        "AUDIENCE_MCP_LOGLEVEL",
        "audience_mcp_cache_s",
        "ACCESS",
        "HTTP_TOKEN",
    ],
)
def test_other_unknown_names_keep_no_server_from_starting(name: str) -> None:
    assert access_policy({name: "x"}, reachable_via=None).access is None


def test_elsewhere_a_mistyped_restriction_is_a_warning() -> None:
    for name in ("AUDIENCE_MCP_ACESS", "audience_mcp_access"):
        (warning,) = load_configuration({name: "token:ci=batch"}, load_vendors()).warnings
        assert warning == f"{name} is not a setting, and was ignored. Did you mean AUDIENCE_MCP_ACCESS?"


@pytest.mark.parametrize("name", ["audiences.example.com", "10.0.0.7:8443", "localhost,mcp.example.com"])
def test_a_name_by_which_other_computers_call_needs_a_way_to_know_callers(name: str) -> None:
    with pytest.raises(ConfigurationError, match="HTTP_TOKEN"):
        access_policy({"AUDIENCE_MCP_ALLOWED_HOSTS": name}, reachable_via=None)
    access_policy({**BOTH, "AUDIENCE_MCP_ALLOWED_HOSTS": name}, reachable_via=None)


@pytest.mark.parametrize("name", ["localhost:9000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_computer_need_none(name: str) -> None:
    assert not access_policy({"AUDIENCE_MCP_ALLOWED_HOSTS": name}, reachable_via=None).knows_callers


def test_without_either_both_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"HTTP_TOKEN .* and AUDIENCE_MCP_ALLOWED_HOSTS"):
        access_policy({}, reachable_via="Somewhere else")


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
    origins = re.compile(access_policy(BOTH, reachable_via="Elsewhere").origin_pattern)
    for origin in ("https://mcp.example.com", "https://MCP.example.com:8443", "http://localhost:6274"):
        assert origins.fullmatch(origin)
    for origin in (
        "https://mcpXexample.com",
        "https://mcp.example.com.evil.example",
        "ftp://localhost",
        "null",
    ):
        assert not origins.fullmatch(origin)


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
        f"audience-mcp: port {port} on 127.0.0.1 is in use by another program: stop that program, or "
        "choose another --port.\n"
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

    app = hosting.build_app(opened, AccessPolicy((), LOOPBACK))
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
    return hosting.build_app(lambda: open_catalog(configured), who)


async def status_of(app: Starlette, **headers: str) -> int:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    every = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25", **headers}
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return (await http.post("/mcp", json=call, headers=every)).status_code


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "LocalHost:8000", "127.0.0.1:1", "[::1]:8000", "localhost.", "localhost.:80"],
)
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
        "evil.example.",
        "localhost..",
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

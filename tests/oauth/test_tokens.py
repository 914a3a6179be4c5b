"""Which tokens open the server, and what a client is told about those that do not."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.config import load_configuration
from audience_mcp.server.auth import access_policy
from audience_mcp.server.http import build_app
from tests.e2e.test_http import posted
from tests.support.hosting import hosted
from tests.support.issuer import EC_KEY, ED_KEY, PUBLIC_URL, RSA_KEY, SCOPE, Issuer, issuing, public_jwk

pytestmark = pytest.mark.anyio

METADATA_URL = "https://audiences.example.com/.well-known/oauth-protected-resource/mcp"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@asynccontextmanager
async def serving(issuer: Issuer, **variables: str) -> AsyncIterator[httpx.AsyncClient]:
    """The app, protected by that issuer, and a client that calls it by its public name."""
    environment = {
        "AUDIENCE_MCP_OAUTH_ISSUER": issuer.named,
        "AUDIENCE_MCP_PUBLIC_URL": PUBLIC_URL,
        **variables,
    }
    configured = load_configuration({}, [])
    who = access_policy(environment, reachable_via=None)
    app = build_app(lambda: open_catalog(configured), who)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://audiences.example.com"
        ) as http,
    ):
        yield http


async def called(http: httpx.AsyncClient, *authorization: str) -> httpx.Response:
    headers = [*ACCEPT.items(), *(("Authorization", value) for value in authorization)]
    return await http.post("/mcp", json=CALL, headers=headers)


async def sent(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await called(http, f"Bearer {token}")


def challenge(response: httpx.Response) -> dict[str, str]:
    """The parameters of the one challenge in a response."""
    scheme, _, rest = response.headers["WWW-Authenticate"].partition(" ")
    assert scheme == "Bearer"
    return {name: value.strip('"') for name, _, value in (part.partition("=") for part in rest.split(", "))}


GOOD: dict[str, dict[str, Any]] = {
    "RS256": {},
    "PS256": {"algorithm": "PS256"},
    "ES256": {"key": EC_KEY, "algorithm": "ES256", "kid": "ec"},
    "EdDSA": {"key": ED_KEY, "algorithm": "EdDSA", "kid": "ed"},
    "typ JWT, as many issuers still have it": {"typ": "JWT"},
    "several audiences": {"aud": ["https://other.example", PUBLIC_URL]},
    "an audience with a slash at its end": {"aud": f"{PUBLIC_URL}/"},
    "scp as text": {"scope": None, "scp": f"openid {SCOPE}"},
    "scp as a list": {"scope": None, "scp": ["openid", SCOPE]},
    "issuer's clock a little ahead": {"iat": int(time.time()) + 10, "nbf": int(time.time()) + 10},
}


@pytest.mark.parametrize("made", GOOD.values(), ids=list(GOOD))
async def test_a_good_token_is_let_in(issuer: Issuer, made: dict[str, Any]) -> None:
    async with serving(issuer) as http:
        response = await sent(http, issuer.token(**made))
    assert response.status_code == 200
    assert "list_audiences" in response.text


def unsigned(claims: dict[str, Any], **header: str) -> str:
    parts = [json.dumps(part).encode() for part in ({"typ": "at+jwt", **header}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def signed_with_the_public_key(issuer: Issuer) -> str:
    """HS256 keyed with the text of the public key, which a library may take for a shared secret."""
    import hashlib
    import hmac

    text = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signing_input = unsigned(issuer.claims(), alg="HS256", kid="rsa").rstrip(".")
    signature = hmac.new(text, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def tampered(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "eve"}).encode()).rstrip(b"=").decode()
    assert changed != payload
    return f"{header}.{changed}.{signature}"


def nested() -> str:
    """A token whose header is a deep nest of arrays."""
    header = b'{"alg":"RS256","x":' + b"[" * 3000 + b"]" * 3000 + b"}"
    return f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.e30.e30"


HOSTILE: dict[str, Any] = {
    "another issuer": lambda i: i.token(iss="https://login.other.example"),
    "another issuer by a slash": lambda i: i.token(iss=f"{i.url}/"),
    "another audience": lambda i: i.token(aud="https://other.example/mcp"),
    "an audience that only begins like ours": lambda i: i.token(aud=f"{PUBLIC_URL}.evil.example"),
    "no audience": lambda i: i.token(aud=None),
    "expired": lambda i: i.token(exp=int(time.time()) - 3600),
    "no expiry": lambda i: i.token(exp=None),
    "not valid yet": lambda i: i.token(nbf=int(time.time()) + 3600),
    "issued in the future": lambda i: i.token(iat=int(time.time()) + 3600),
    "no subject": lambda i: i.token(sub=None),
    "an empty subject": lambda i: i.token(sub=" "),
    "unsigned": lambda i: unsigned(i.claims(), alg="none", kid="rsa"),
    "unsigned, in capitals": lambda i: unsigned(i.claims(), alg="NONE", kid="rsa"),
    "HS256 with the public key": signed_with_the_public_key,
    "RS512": lambda i: i.token(algorithm="RS512"),
    "another key under our kid": lambda i: i.token(key=OTHER_KEY),
    "RS256 under the kid of an EC key": lambda i: i.token(kid="ec"),
    "ES256 under the kid of an RSA key": lambda i: i.token(key=EC_KEY, algorithm="ES256", kid="rsa"),
    "an unknown kid": lambda i: i.token(kid="nobody"),
    "no kid among several keys": lambda i: i.token(kid=None),
    "changed after it was signed": lambda i: tampered(i.token()),
    "an ID token with our audience": lambda i: i.token(typ="JWT", scope=None, nonce="n", at_hash="x"),
    "an ID token by its typ": lambda i: i.token(typ="JWT", **{"token_use": "id"}),
    "a logout token": lambda i: i.token(typ="logout+jwt"),
    "bound to a key of the client": lambda i: i.token(cnf={"jkt": "x"}),
    "a header of arrays in arrays": lambda _: nested(),
    "no JWT": lambda _: "an-opaque-token",
    "too long": lambda i: i.token(padding="x" * 20_000),
    "empty": lambda _: "",
    "a critical extension that nobody knows": lambda i: jwt.encode(
        i.claims(), RSA_KEY, "RS256", {"kid": "rsa", "crit": ["new"], "new": 1}
    ),
}


@pytest.mark.parametrize("made", HOSTILE.values(), ids=list(HOSTILE))
async def test_a_hostile_token_gets_401_and_the_way_to_a_good_one(issuer: Issuer, made: Any) -> None:
    token = made(issuer)
    async with serving(issuer) as http:
        response = await sent(http, token)
        assert response.status_code == 401
        told = challenge(response)
        assert told["error"] == "invalid_token"
        assert told["resource_metadata"] == METADATA_URL
        assert told["scope"] == SCOPE
        if token:
            assert token not in response.text
        assert (await sent(http, issuer.token())).status_code == 200, "a good token still works"


@pytest.mark.parametrize(
    "made",
    [{"scope": None}, {"scope": "openid"}, {"scope": f"{SCOPE}x"}, {"scope": None, "scp": 7}],
    ids=["none", "another", "one that only begins like it", "no text"],
)
async def test_a_token_without_the_scope_gets_403_that_names_it(issuer: Issuer, made: dict[str, Any]) -> None:
    async with serving(issuer) as http:
        response = await sent(http, issuer.token(**made))
    assert response.status_code == 403
    told = challenge(response)
    assert (told["error"], told["scope"]) == ("insufficient_scope", SCOPE)
    assert told["resource_metadata"] == METADATA_URL


@pytest.mark.parametrize("authorization", [[], ["Basic YW5uOnB3"], ["Token abc"]])
async def test_without_a_token_the_challenge_names_no_error(issuer: Issuer, authorization: list[str]) -> None:
    async with serving(issuer) as http:
        response = await called(http, *authorization)
    assert response.status_code == 401
    assert challenge(response) == {"resource_metadata": METADATA_URL, "scope": SCOPE}
    assert issuer.asked == []


async def test_two_authorization_headers_are_refused_even_if_both_are_good(issuer: Issuer) -> None:
    good = f"Bearer {issuer.token()}"
    async with serving(issuer) as http:
        for both in ([good, good], [good, "Basic YW5uOnB3"]):
            assert (await called(http, *both)).status_code == 401


ALLOWED = "ann, Bea@Example.com, beak@example.com, @example.org, @kilo.example"


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "ann"},
        {"sub": "1", "email": "bea@example.com", "email_verified": True},
        {"sub": "1", "email": "carl@EXAMPLE.org", "email_verified": "true"},
        {"sub": "1", "email": "carl@Kilo.example", "email_verified": True},
    ],
)
async def test_who_is_on_the_list_comes_in(issuer: Issuer, claims: dict[str, Any]) -> None:
    async with serving(issuer, AUDIENCE_MCP_OAUTH_ALLOWED=ALLOWED) as http:
        assert (await sent(http, issuer.token(**claims))).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "Ann"},
        {"sub": "eve"},
        {"sub": "@example.org"},
        {"sub": "Bea@Example.com"},
        {"sub": "bea@example.com", "email": "bea@example.com", "email_verified": False},
        {"sub": "1", "email": "@example.org", "email_verified": True},
        {"sub": "1", "email": "carl@\u212ailo.example", "email_verified": True},
        {"sub": "1", "email": "bea\u212a@example.com", "email_verified": True},
        {"sub": "1", "email": "bea@example.com"},
        {"sub": "1", "email": "bea@example.com", "email_verified": False},
        {"sub": "1", "email": "bea@example.com", "email_verified": "false"},
        {"sub": "1", "email": "carl@sub.example.org", "email_verified": True},
        {"sub": "1", "email": "carl@evilexample.org", "email_verified": True},
        {"sub": "1", "email": "example.org", "email_verified": True},
        {"sub": "1", "email": "carl@example.org@evil.example", "email_verified": True},
        {"sub": "1", "email": ["bea@example.com"], "email_verified": True},
    ],
)
async def test_who_is_not_on_the_list_gets_403_and_no_challenge_to_try_again(
    issuer: Issuer, claims: dict[str, Any]
) -> None:
    async with serving(issuer, AUDIENCE_MCP_OAUTH_ALLOWED=ALLOWED) as http:
        response = await sent(http, issuer.token(**claims))
    assert response.status_code == 403
    assert response.json()["error"] == "access_denied"
    assert "WWW-Authenticate" not in response.headers


async def test_named_tokens_open_nothing_that_people_log_in_to(issuer: Issuer) -> None:
    token = "ci-0123456789-0123456789-0123456789"
    async with serving(issuer, AUDIENCE_MCP_HTTP_TOKENS=f"ci:{token}") as http:
        refused = await sent(http, token)
        assert (refused.status_code, challenge(refused)["error"]) == (401, "invalid_token")
        assert (await sent(http, issuer.token())).status_code == 200


async def test_an_audience_of_its_own_takes_the_place_of_the_public_url(issuer: Issuer) -> None:
    async with serving(issuer, AUDIENCE_MCP_OAUTH_AUDIENCE="api://audiences") as http:
        assert (await sent(http, issuer.token())).status_code == 401
        assert (await sent(http, issuer.token(aud="api://audiences"))).status_code == 200


async def test_the_only_key_of_an_issuer_needs_no_key_id(issuer: Issuer) -> None:
    issuer.keys = [public_jwk(RSA_KEY)]
    async with serving(issuer) as http:
        assert (await sent(http, issuer.token(kid=None))).status_code == 200


async def test_a_key_that_says_its_algorithm_serves_for_no_other(issuer: Issuer) -> None:
    issuer.keys = [public_jwk(RSA_KEY, kid="rsa", alg="PS256")]
    async with serving(issuer) as http:
        assert (await sent(http, issuer.token())).status_code == 401
        assert (await sent(http, issuer.token(algorithm="PS256"))).status_code == 200


@pytest.mark.parametrize("path", ["", "/", "/mcp", "/mcp/"])
async def test_the_metadata_is_open_to_all_in_both_forms(issuer: Issuer, path: str) -> None:
    async with serving(issuer) as http:
        response = await http.get(f"/.well-known/oauth-protected-resource{path}")
        asks = {
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "mcp-protocol-version",
        }
        preflight = await http.options(f"/.well-known/oauth-protected-resource{path}", headers=asks)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert preflight.headers["Access-Control-Allow-Headers"] == "mcp-protocol-version"
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.json() == {
        "resource": PUBLIC_URL,
        "authorization_servers": [issuer.url],
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": "audience-mcp",
    }


async def test_the_endpoint_needs_a_token_and_what_is_not_there_is_not_found(issuer: Issuer) -> None:
    async with serving(issuer) as http:
        assert (await http.get("/health")).status_code == 200
        for path in ("/mcp", "/mcp/"):
            assert (await http.get(path)).status_code == 401
        for path in (
            "/",
            "//mcp",
            "/health/",
            "/register",
            "/authorize",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/mcp",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-protected-resource/other",
        ):
            assert (await http.get(path)).status_code == 404


async def test_who_asked_is_logged_by_subject_and_the_token_is_not(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = [
        issuer.token(sub="ann\nforged line"),
        issuer.token(sub="bea", scope=None),
        issuer.token(sub="eve"),
        issuer.token(aud="https://other.example"),
    ]
    with caplog.at_level(logging.DEBUG):
        async with serving(issuer, AUDIENCE_MCP_OAUTH_ALLOWED="bea") as http:
            for token in tokens:
                await sent(http, token)
        async with serving(issuer) as http:
            await sent(http, tokens[0])
    assert "request by subject ann forged line (client a-client)" in caplog.text
    said = [record.getMessage() for record in caplog.records if record.name.endswith(".refusals")]
    assert said == [
        "refused 127.0.0.1: subject ann forged line is not in AUDIENCE_MCP_OAUTH_ALLOWED",
        "refused 127.0.0.1: 3 more within a minute, the first of them: the token of subject bea lacks the "
        "scope audiences:read",
    ]
    for token in tokens:
        assert not any(part in caplog.text for part in token.split(".")[1:])


async def test_many_unknown_key_ids_ask_the_issuer_no_more_than_twice(issuer: Issuer) -> None:
    async with serving(issuer) as http:
        for n in range(50):
            assert (await sent(http, issuer.token(kid=f"unknown-{n}"))).status_code == 401
        assert (await sent(http, issuer.token())).status_code == 200
    assert issuer.asked.count("/keys") <= 2


async def test_while_the_issuer_is_down_a_token_gets_503_and_no_token_401(issuer: Issuer) -> None:
    issuer.status = 500
    async with serving(issuer) as http:
        response = await sent(http, issuer.token())
        assert response.status_code == 503
        assert 1 <= int(response.headers["Retry-After"]) <= 30
        assert "WWW-Authenticate" not in response.headers
        assert (await called(http)).status_code == 401
        assert (await http.get("/health")).status_code == 200
        assert (await http.get("/.well-known/oauth-protected-resource")).status_code == 200


async def test_an_issuer_that_does_not_listen_stops_no_start(issuer: Issuer) -> None:
    with issuing() as gone:
        token = gone.token()
    async with serving(gone) as http:
        assert (await sent(http, token)).status_code == 503
        assert (await called(http)).status_code == 401


@pytest.mark.slow
async def test_the_program_starts_while_the_issuer_is_down_and_sends_nobody_to_log_in_again() -> None:
    with issuing() as gone:
        token = gone.token()
    variables = {"AUDIENCE_MCP_OAUTH_ISSUER": gone.url, "AUDIENCE_MCP_PUBLIC_URL": PUBLIC_URL}
    with hosted("--sandbox", **variables) as server:
        assert (await posted(server.url)).status_code == 401
        assert (await posted(server.url, {"Authorization": f"Bearer {token}"})).status_code == 503

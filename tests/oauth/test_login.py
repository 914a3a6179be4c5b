"""Logging in at a real authorization server, with the SDK's own OAuth client in both eras of the protocol.

The server is npm's oidc-provider, which `python tests/clients/install.py` installs.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import anyio
import httpx2
import jwt
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth import oauth2 as sdk_oauth
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

from tests.clients.test_clients import node
from tests.e2e.test_http import ERAS, answer_of, posted
from tests.support.hosting import Hosted, free_port, hosted
from tests.support.login import (
    CLIENT_DOCUMENT_URL,
    REDIRECT_URI,
    authorization_server,
    log_in,
    tokens_for,
)

pytestmark = [pytest.mark.anyio, pytest.mark.clients]

SCOPE = "audiences:read"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with authorization_server(node()) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def server(issuer: str) -> Iterator[Hosted]:
    """The sandbox, for ann and whoever else has an address at example.com."""
    port = free_port()
    with hosted(
        "--sandbox",
        "--port",
        str(port),
        AUDIENCE_MCP_OAUTH_ISSUER=issuer,
        AUDIENCE_MCP_PUBLIC_URL=f"http://127.0.0.1:{port}/mcp",
        AUDIENCE_MCP_OAUTH_ALLOWED="ann,bea@example.com",
        AUDIENCE_MCP_LOG_LEVEL="DEBUG",
    ) as server:
        yield server


class Person:
    """Somebody with an MCP client: what their client stores, and how often they had to log in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.logins: list[dict[str, str]] = []
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None
        self._came_back: dict[str, str] = {}

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info

    async def open_page(self, url: str) -> None:
        self.logins.append(dict(parse_qsl(urlsplit(url).query)))
        self._came_back = await log_in(url, self.name)

    async def come_back(self) -> AuthorizationCodeResult:
        back = self._came_back
        return AuthorizationCodeResult(code=back["code"], state=back.get("state"), iss=back.get("iss"))

    @asynccontextmanager
    async def connected(
        self, url: str, mode: str, *, client_metadata_url: str | None = None
    ) -> AsyncIterator[Client]:
        oauth = OAuthClientProvider(
            server_url=url,
            client_metadata=OAuthClientMetadata(client_name="a test", redirect_uris=[AnyUrl(REDIRECT_URI)]),
            storage=self,
            redirect_handler=self.open_page,
            callback_handler=self.come_back,
            client_metadata_url=client_metadata_url,
        )
        with anyio.fail_after(60):
            async with (
                httpx2.AsyncClient(auth=oauth, trust_env=False, timeout=30) as http,
                Client(streamable_http_client(url, http_client=http), mode=mode) as client,
            ):
                yield client


@pytest.mark.parametrize("document", [None, CLIENT_DOCUMENT_URL], ids=["registered", "client document"])
@ERAS
async def test_a_client_logs_in_once_and_lists_audiences(
    server: Hosted, mode: str, version: str, document: str | None
) -> None:
    ann = Person("ann")
    async with ann.connected(server.url, mode, client_metadata_url=document) as client:
        assert client.protocol_version == version
        assert (await answer_of(client, limit=1))["complete"] is True
        assert (await answer_of(client, limit=1))["complete"] is True
    (login,) = ann.logins
    assert SCOPE in login["scope"].split()
    assert login["resource"] == server.url
    assert (login["client_id"] == CLIENT_DOCUMENT_URL) == (document is not None)
    async with ann.connected(server.url, mode, client_metadata_url=document) as client:
        await answer_of(client, limit=1)
    assert len(ann.logins) == 1, "the stored token serves the next start"


@ERAS
async def test_an_expired_token_is_renewed_without_another_login(
    server: Hosted, mode: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Person("ann")
    async with ann.connected(server.url, mode) as client:
        await answer_of(client, limit=1)
        assert ann.tokens is not None
        first, expires_in = ann.tokens.access_token, ann.tokens.expires_in
        assert expires_in is not None
        real = time.time

        def later() -> float:
            """The time at which the first token has just expired, for as long as it is the one at hand."""
            assert ann.tokens is not None
            return real() + (expires_in + 1 if ann.tokens.access_token == first else 0)

        monkeypatch.setattr(sdk_oauth, "time", SimpleNamespace(time=later))
        await answer_of(client, limit=1)
    assert ann.tokens.access_token != first
    assert len(ann.logins) == 1


async def test_who_is_not_on_the_list_logs_in_and_is_turned_away_once(server: Hosted) -> None:
    eve = Person("eve")
    with pytest.raises(Exception):  # noqa: B017, PT011 (in groups of whatever depth: the SDK's affair)
        async with eve.connected(server.url, "auto") as client:
            await answer_of(client)
    assert len(eve.logins) == 1
    assert eve.tokens is not None
    refused = await posted(server.url, {"Authorization": f"Bearer {eve.tokens.access_token}"})
    assert refused.status_code == 403
    assert refused.json()["error"] == "access_denied"


async def test_a_verified_address_on_the_list_lets_a_person_in(server: Hosted) -> None:
    async with Person("bea").connected(server.url, "auto") as client:
        assert (await answer_of(client, limit=1))["complete"] is True


async def test_tokens_that_the_issuer_made_for_something_else_do_not_pass(
    issuer: str, server: Hosted
) -> None:
    async def status(token: str) -> int:
        return (await posted(server.url, {"Authorization": f"Bearer {token}"})).status_code

    good = await tokens_for(issuer, "ann", scope=f"openid {SCOPE}", resource=server.url)
    assert await status(good["access_token"]) == 200
    assert jwt.get_unverified_header(good["id_token"])["alg"] == "RS256"
    assert await status(good["id_token"]) == 401
    other = await tokens_for(issuer, "ann", scope=SCOPE, resource="https://other.example/mcp")
    assert await status(other["access_token"]) == 401
    opaque = await tokens_for(issuer, "ann", scope="openid", resource=None)
    assert await status(opaque["access_token"]) == 401
    unscoped = await tokens_for(issuer, "ann", scope="other:read", resource=server.url)
    assert await status(unscoped["access_token"]) == 403


async def test_the_log_says_who_asked_and_holds_no_token(issuer: str, server: Hosted) -> None:
    tokens = await tokens_for(issuer, "ann", scope=SCOPE, resource=server.url)
    token = tokens["access_token"]
    assert (await posted(server.url, {"Authorization": f"Bearer {token}"})).status_code == 200
    with anyio.fail_after(30):
        while not any("request by subject ann" in line for line in server.log):
            await anyio.lowlevel.checkpoint()
    assert not any(part in "".join(server.log) for part in token.split(".")[1:])

"""Who a caller is, by the token that it sends: as everything behind the guards learns it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_mcp.server.auth import AccessPolicy, access_policy
from audience_mcp.server.callers import caller_of
from audience_mcp.server.http import CallerGuards
from audience_mcp.server.refusals import Refusals
from tests.support.hosting import TOKEN
from tests.support.issuer import PUBLIC_URL, Issuer, issuing

pytestmark = pytest.mark.anyio

NEW, OLD, BI = (f"{name}-0123456789-0123456789-0123456789" for name in ("new", "old", "bi"))
NAMED = {"AUDIENCE_MCP_HTTP_TOKENS": f"ci:{NEW},ci:{OLD},bi:{BI}"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


def said_to(guards: CallerGuards, policy: AccessPolicy, *, for_operators: bool = False) -> ASGIApp:
    """An app that answers with who is calling."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope)
        await JSONResponse([caller.shown, caller.email])(scope, receive, send)

    return guards.guard(policy, app, for_operators=for_operators)


async def answered(app: ASGIApp, *authorization: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return await http.get("/", headers=[("Authorization", value) for value in authorization])


@pytest.mark.parametrize(
    ("authorization", "shown"),
    [
        ([f"Bearer {NEW}"], "token ci"),
        ([f"Bearer {OLD}"], "token ci"),
        ([f"bearer  {BI}"], "token bi"),
        ([f"Bearer {TOKEN}"], "the token"),
        ([], None),
        (["Bearer"], None),
        ([f"Basic {BI}"], None),
        ([BI], None),
        ([f"Bearer {BI[:-1]}"], None),
        ([f"Bearer {BI}x"], None),
        ([f"Bearer bi:{BI}"], None),
        ([f"Bearer {BI}", f"Bearer {BI}"], None),
    ],
)
async def test_a_token_says_by_its_name_who_is_calling(authorization: list[str], shown: str | None) -> None:
    policy = access_policy({**NAMED, "AUDIENCE_MCP_HTTP_TOKEN": TOKEN}, reachable_via=None)
    response = await answered(said_to(CallerGuards(Refusals()), policy), *authorization)
    if shown is None:
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert response.content == b""
    else:
        assert response.json() == [shown, None]


async def test_without_a_way_to_know_callers_nobody_is_known_whatever_they_send() -> None:
    app = said_to(CallerGuards(Refusals()), access_policy({}, reachable_via=None))
    assert (await answered(app, f"Bearer {BI}")).json() == ["anyone", None]


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ({}, ["subject ann", None]),
        ({"email": "Ann@Example.com", "email_verified": True}, ["subject ann", "ann@example.com"]),
        ({"email": "ann@example.com", "email_verified": False}, ["subject ann", None]),
        ({"email": "ann@example.com"}, ["subject ann", None]),
        ({"email": "@example.com", "email_verified": True}, ["subject ann", None]),
        ({"email": "ann@\u212ailo.example", "email_verified": True}, ["subject ann", None]),
    ],
)
async def test_who_logs_in_is_known_by_subject_and_verified_address(
    issuer: Issuer, claims: dict[str, Any], who: list[str | None]
) -> None:
    variables = {"AUDIENCE_MCP_OAUTH_ISSUER": issuer.url, "AUDIENCE_MCP_PUBLIC_URL": PUBLIC_URL}
    policy = access_policy({**variables, **NAMED}, reachable_via=None)
    guards = CallerGuards(Refusals())
    try:
        login = f"Bearer {issuer.token(**claims)}"
        assert (await answered(said_to(guards, policy), login)).json() == who
        assert (await answered(said_to(guards, policy), f"Bearer {BI}")).status_code == 401
        # What those who run the server look at is open to both.
        for_operators = said_to(guards, policy, for_operators=True)
        assert (await answered(for_operators, login)).json() == who
        assert (await answered(for_operators, f"Bearer {BI}")).json() == ["token bi", None]
        assert (await answered(for_operators, f"Bearer {NEW}x")).status_code == 401
    finally:
        await guards.aclose()

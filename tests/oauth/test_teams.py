"""Two teams on two servers with one database: people log in to one, programs with tokens call the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from audience_mcp.sandbox.app import serve
from tests.clients.test_clients import node
from tests.support.hosting import Hosted, free_port, hosted
from tests.support.issuer import SCOPE, issuing
from tests.support.login import authorization_server, tokens_for
from tests.support.postgres import schema
from tests.support.served import FOUR, Recording
from tests.test_access import CLIENTS, SECRET, asked, audiences_of, sent

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TOKENS = {client: f"{client}-of-a-program-0123456789-0123456789" for client in CLIENTS}
LogIn = Callable[[str, str], Awaitable[str]]
"""The access token that a person gets for the server at an address."""


@dataclass
class Servers:
    """Both servers, and the vendors of both teams. log_in: gets a person a token of an issuer."""

    for_people: Hosted
    for_programs: Hosted
    vendors: dict[str, Recording]
    log_in: LogIn


@asynccontextmanager
async def serving(issuer: str, log_in: LogIn) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        vendors = {client: Recording(audiences_of(client)) for client in CLIENTS}
        variables = {"AUDIENCE_MCP_STORE": stack.enter_context(schema())}
        for client, sandbox in vendors.items():
            own = sandbox.environment(await stack.enter_async_context(serve(sandbox)))
            variables |= {f"{name}_{client.upper()}": value for name, value in own.items()}
        port = free_port()
        login = {
            "AUDIENCE_MCP_OAUTH_ISSUER": issuer,
            "AUDIENCE_MCP_PUBLIC_URL": f"http://127.0.0.1:{port}/mcp",
            "AUDIENCE_MCP_ACCESS": "ann@example.com=acme; sub:bea=bolt",
        }
        named = {
            "AUDIENCE_MCP_HTTP_TOKENS": ",".join(f"{name}:{value}" for name, value in TOKENS.items()),
            "AUDIENCE_MCP_ACCESS": "token:acme=*-acme; token:bolt=bolt",
        }
        yield Servers(
            stack.enter_context(hosted("--port", str(port), **variables, **login)),
            stack.enter_context(hosted(**variables, **named)),
            vendors,
            log_in,
        )


async def see_each_what_is_theirs(servers: Servers) -> None:
    people = {"acme": "ann", "bolt": "bea"}
    for client, person in people.items():
        theirs = {f"{vendor}-{client}" for vendor in FOUR}
        (other,) = people.keys() - {client}
        logged_in = await servers.log_in(person, servers.for_people.url)
        for server, token in ((servers.for_people, logged_in), (servers.for_programs, TOKENS[client])):
            async with httpx.AsyncClient(base_url=server.origin, trust_env=False, timeout=60) as http:
                answer = await asked(http, token, "list_audiences", detail="full")
                assert (answer["complete"], answer["matched"]) == (True, 24)
                assert {row["source"] for row in answer["audiences"]} == theirs
                assert (SECRET in str(answer)) == (client == "bolt")
                for arguments in ({"sources": [other]}, {"search": other}, {"group_by": "client"}):
                    raw = await sent(
                        http, token, "tools/call", "2026-07-28", name="list_audiences", arguments=arguments
                    )
                    assert f"-{other}" not in raw
                described = await sent(http, token, "server/discover", "2026-07-28")
                assert f"whop-{client}" in described
                assert other not in described
    for server, stranger in (
        (servers.for_people, await servers.log_in("eve", servers.for_people.url)),
        (servers.for_people, TOKENS["acme"]),
        (servers.for_programs, await servers.log_in("ann", servers.for_people.url)),
    ):
        async with httpx.AsyncClient(base_url=server.origin, trust_env=False, timeout=60) as http:
            said = await sent(http, stranger, "tools/list", "2026-07-28")
        assert "list_audiences" not in said
    # Whoever asked first had it read for all, on both servers.
    for sandbox in servers.vendors.values():
        paths = [request.path for request in sandbox.asked]
        assert sum("/whop/" in path for path in paths) == 1
        assert sum("/batch/" in path for path in paths) == 2  # audiences and segments


async def test_each_team_sees_its_own_and_readings_are_shared() -> None:
    with issuing() as issuer:

        async def log_in(person: str, url: str) -> str:
            return issuer.token(sub=person, email=f"{person}@example.com", email_verified=True, aud=url)

        async with serving(issuer.url, log_in) as servers:
            await see_each_what_is_theirs(servers)


@pytest.mark.clients
async def test_people_who_log_in_at_a_real_authorization_server_see_their_own() -> None:
    with authorization_server(node()) as issuer:

        async def log_in(person: str, url: str) -> str:
            given = await tokens_for(issuer, person, scope=SCOPE, resource=url)
            return str(given["access_token"])

        async with serving(issuer, log_in) as servers:
            await see_each_what_is_theirs(servers)

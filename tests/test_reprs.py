"""No dataclass of the package shows a secret in its repr: that is what tracebacks and debuggers print."""

from __future__ import annotations

import dataclasses
import gc
from typing import Any

import anyio
import pytest

from audience_mcp.cli.installing import Target
from audience_mcp.config import Account, load_configuration
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.hosts.known import Variable
from audience_mcp.server.auth import access_policy
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.source_history import owner_of
from audience_mcp.vendors import Exchange, Request
from audience_mcp.vendors.auth import Token
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio

MARK = "shownInNoRepr"
CLOSED = "http://127.0.0.1:1"
DEFAULTS = ("max_rps", "token_url", "server_prefix", "version", "revision")


def environment() -> dict[str, str]:
    """Every vendor set up, with a secret wherever one belongs, at an address where nothing answers."""
    variables = {"AUDIENCE_MCP_STORE": f"postgresql://user:{MARK}-password@127.0.0.1:1/x"}
    for vendor in built_in_vendors().values():
        for setting in vendor.settings:
            name = setting.variables[0]
            if setting.role == "base_url":
                variables[name] = CLOSED
            elif setting.choices is None and setting.role not in DEFAULTS:
                value = f"{MARK}-{len(variables):04}-0123456789abcdef" if setting.secret else "1234567890"
                fits = setting.pattern is None or setting.pattern.fullmatch(value)
                variables[name] = value if fits else setting.example
    return variables


async def failed(account: Account, pool: Pool) -> VendorError:
    """An error with all that the client had at hand when it failed."""
    client = VendorClient(account, pool, FakeClock(), Redactor(account.secrets))
    with pytest.raises(VendorError) as raised:
        await client.fetch(account.vendor.listings[0].request(account.values))
    return raised.value


def token_request(account: Account) -> Request | None:
    """What exchanges an account's settings for a token, if they are exchanged."""
    auth = account.vendor.auth_for(account.values)
    return next(auth.talk(account.values)) if isinstance(auth, Exchange) else None


def dataclasses_there() -> list[Any]:
    """All objects there are now whose kind is a dataclass of the package."""
    return [
        each
        for each in gc.get_objects()
        if dataclasses.is_dataclass(type(each)) and type(each).__module__.startswith("audience_mcp.")
    ]


async def test_no_live_object_of_the_package_shows_a_secret() -> None:
    earlier = dataclasses_there()  # of other tests; held, so that nothing new gets the place of one of them
    passed_over = {id(each) for each in earlier}
    variables = environment()
    configuration = load_configuration(variables, built_in_vendors().values())
    accounts = [source.account for source in configuration.sources if source.account is not None]
    policy = access_policy(
        {
            "AUDIENCE_MCP_HTTP_TOKEN": f"{MARK}-token-0123456789-0123456789-0123456789",
            "AUDIENCE_MCP_HTTP_TOKENS": f"ci:{MARK}-named-0123456789-0123456789-0123456789",
        },
        reachable_via=None,
    )
    pool = Pool()
    with anyio.fail_after(60):
        errors = [await failed(account, pool) for account in accounts]
    await pool.aclose()
    held: list[Any] = [
        configuration,
        policy,
        errors,
        [token_request(account) for account in accounts],
        Token(f"{MARK}-token", 3600),
        [owner_of(source) for source in configuration.sources],
        Target("claude", "audiences", None, variables),
        Variable("BREVO_API_KEY", f"{MARK}-key", True, "A key"),
    ]
    assert len(accounts) >= 20
    seen = set()
    for each in dataclasses_there():
        if id(each) not in passed_over:
            seen.add(type(each).__name__)
            assert MARK not in repr(each), type(each)
    assert {"Account", "Configuration", "Settings", "AccessPolicy", "_Sent", "Token"} <= seen
    assert {"Target", "Variable", "Owner", "Request"} <= seen
    assert MARK in str([account.values for account in accounts])
    del held, earlier

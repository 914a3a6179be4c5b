"""Who may call the server over HTTP."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_mcp.config import Environment, is_set
from audience_mcp.core.errors import ConfigurationError

TOKEN = "AUDIENCE_MCP_HTTP_TOKEN"  # noqa: S105 (the variable's name)


ALLOWED_HOSTS = "AUDIENCE_MCP_ALLOWED_HOSTS"


SHORTEST_TOKEN = 32


LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


_HOST = re.compile(r"(?P<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?P<port>:(?:\d{1,5}|\*))?")


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Who is let in: with which bearer token (none where None), calling the server by which names."""

    token: str | None
    hosts: tuple[str, ...] = ()

    def security(self) -> TransportSecuritySettings:
        """The same, as the SDK checks it in Host and Origin."""
        return TransportSecuritySettings(
            allowed_hosts=list(self.hosts),
            allowed_origins=[f"{scheme}://{host}" for host in self.hosts for scheme in ("http", "https")],
        )


def access_policy(
    environment: Environment, *, reachable_via: str | None, extra_host: str | None = None
) -> AccessPolicy:
    """Who is let in. Raises ConfigurationError.

    reachable_via: what lets other computers in, in words, so that a token and host names are needed; None
    where nothing does. extra_host: one more name of this computer.
    """
    token = environment.get(TOKEN, "").strip()
    names = environment.get(ALLOWED_HOSTS, "")
    missing = [
        f"{name} ({what})"
        for name, value, what in (
            (TOKEN, token, f"a bearer token of at least {SHORTEST_TOKEN} characters"),
            (ALLOWED_HOSTS, names, "the host names under which clients call it, comma separated"),
        )
        if not is_set(value)
    ]
    if reachable_via and missing:
        raise ConfigurationError(f"{reachable_via}, so it needs {' and '.join(missing)}.")
    if is_set(token) and not (
        len(token) >= SHORTEST_TOKEN and token.isascii() and token.isprintable() and " " not in token
    ):
        raise ConfigurationError(
            f"{TOKEN} must be at least {SHORTEST_TOKEN} ASCII characters without spaces, such as the output "
            "of: openssl rand -hex 32"
        )
    hosts = [*LOOPBACK, *([extra_host] if extra_host else []), *(_listed(names) if is_set(names) else ())]
    return AccessPolicy(token if is_set(token) else None, tuple(_with_ports(hosts)))


def _listed(names: str) -> list[str]:
    hosts = [name.strip().lower() for name in names.split(",") if name.strip()]
    if not hosts or not all(_HOST.fullmatch(host) for host in hosts):
        raise ConfigurationError(
            f"{ALLOWED_HOSTS} must be host names such as mcp.example.com, comma separated: without "
            "https://, path or wildcard."
        )
    return hosts


def _with_ports(hosts: Iterable[str]) -> list[str]:
    """Each host as it stands, and with any port where none is named."""
    found: dict[str, None] = {}
    for host in hosts:
        found[host] = None
        if not host.endswith(":*") and re.search(r":\d+$", host.rpartition("]")[2]) is None:
            found[f"{host}:*"] = None
    return list(found)


class _Bearer:
    """Lets nothing through without the token, except to `/health`."""

    def __init__(self, create_app: ASGIApp, token: str) -> None:
        self._app = create_app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] == "/health" or self._has_token(scope):
            await self._app(scope, receive, send)
        else:
            refused = Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
            await refused(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"

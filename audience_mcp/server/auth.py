"""Who may call the server over HTTP, as the environment says it; the static token, and Host and Origin."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_mcp.config import Environment, is_loopback, is_set
from audience_mcp.core.errors import ConfigurationError

TOKEN = "AUDIENCE_MCP_HTTP_TOKEN"  # noqa: S105 (the variable's name)
ALLOWED_HOSTS = "AUDIENCE_MCP_ALLOWED_HOSTS"
ISSUER = "AUDIENCE_MCP_OAUTH_ISSUER"
PUBLIC_URL = "AUDIENCE_MCP_PUBLIC_URL"
AUDIENCE = "AUDIENCE_MCP_OAUTH_AUDIENCE"
ALLOWED = "AUDIENCE_MCP_OAUTH_ALLOWED"

SHORTEST_TOKEN = 32
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
WELL_KNOWN = "/.well-known/oauth-protected-resource"

MESSAGES = {
    "needs": "{via}, so it needs {missing}.",
    "token": f"{TOKEN} (a bearer token of at least {SHORTEST_TOKEN} characters) or {ISSUER} (OAuth)",
    "hosts": f"{ALLOWED_HOSTS} (the host names under which clients call it, comma separated)",
    "bad_token": (
        f"{TOKEN} must be at least {SHORTEST_TOKEN} ASCII characters without spaces, such as the output of: "
        "openssl rand -hex 32"
    ),
    "bad_hosts": (
        f"{ALLOWED_HOSTS} must be host names such as mcp.example.com, comma separated: without https://, "
        "path or wildcard."
    ),
    "both_ways": f"{TOKEN} and {ISSUER} are both set: choose one way to know callers and unset the other.",
    "no_issuer": f"{{name}} is set, but {ISSUER} is not: set it too, or unset {{name}}.",
    "no_public_url": (
        f"{ISSUER} is set, so {PUBLIC_URL} is needed too: the address that clients call, such as "
        "https://audiences.example.com/mcp"
    ),
    "bad_url": (
        "{name} must be an https:// URL (http:// only on this machine) without user name, query or fragment, "
        "such as {example}"
    ),
    "bad_audience": f"{AUDIENCE} must be one line of ASCII text without spaces or quotation marks.",
    "bad_allowed": (
        f"{ALLOWED} must be subjects, e-mail addresses or @domains, comma separated, such as "
        "ann@example.com,@example.org"
    ),
    "misdirected": "Invalid Host header",
    "bad_origin": "Invalid Origin header",
}

_HOST_NAME = r"(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])"
_LISTED_HOST = re.compile(rf"{_HOST_NAME}(?::(?:\d{{1,5}}|\*))?")
_HOST_HEADER = re.compile(rf"{_HOST_NAME}(?::\d{{1,5}})?".encode())
_ORIGIN_HEADER = re.compile(rf"[a-z][a-z0-9+.-]*://{_HOST_NAME}(?::\d{{1,5}})?|null".encode())
_URL = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """Whose access tokens are accepted.

    issuer: as it stands in tokens and in its metadata, to the character. public_url: the address that
    clients call. audience: for whom a token must have been issued. allowed: who may come in, all where empty.
    """

    issuer: str
    public_url: str
    audience: str
    allowed: frozenset[str] = frozenset()

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audience, and the same with or without a slash at its end: clients and issuers differ there."""
        bare = self.audience.rstrip("/")
        return self.audience, bare, f"{bare}/"

    @property
    def metadata_paths(self) -> tuple[str, ...]:
        """Where the metadata of this resource is looked for: with the path of the URL, and at the root."""
        path = urlsplit(self.public_url).path.rstrip("/")
        return tuple(dict.fromkeys((f"{WELL_KNOWN}{path}", WELL_KNOWN)))

    @property
    def metadata_url(self) -> str:
        """The first of these, as an address."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}{self.metadata_paths[0]}"


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Who is let in: with which bearer token or by whose OAuth, calling the server by which names.

    Where there is neither token nor OAuth, callers are not asked who they are.
    """

    token: str | None
    hosts: tuple[str, ...] = ()
    oauth: OAuthSettings | None = None

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

    reachable_via: what lets other computers in, in words, so that callers must be known and host names
    given; None where nothing does. extra_host: one more name of this computer.
    """
    token = environment.get(TOKEN, "").strip()
    names = environment.get(ALLOWED_HOSTS, "")
    oauth = _oauth_settings(environment)
    if is_set(token) and oauth:
        raise ConfigurationError(MESSAGES["both_ways"])
    missing = [
        *([] if is_set(token) or oauth else [MESSAGES["token"]]),
        *([] if is_set(names) else [MESSAGES["hosts"]]),
    ]
    if reachable_via and missing:
        raise ConfigurationError(MESSAGES["needs"].format(via=reachable_via, missing=" and ".join(missing)))
    if is_set(token) and not (
        len(token) >= SHORTEST_TOKEN and token.isascii() and token.isprintable() and " " not in token
    ):
        raise ConfigurationError(MESSAGES["bad_token"])
    hosts = [
        *LOOPBACK,
        *([extra_host] if extra_host else []),
        *(_split_names(names) if is_set(names) else ()),
        *([urlsplit(oauth.public_url).netloc.lower()] if oauth else []),
    ]
    return AccessPolicy(token if is_set(token) else None, tuple(_with_ports(hosts)), oauth)


def is_safe_url(url: str) -> bool:
    """Whether `url` is https, or http on this computer."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _oauth_settings(environment: Environment) -> OAuthSettings | None:
    """What the environment says about OAuth, None where nothing does."""
    given = {
        name: environment.get(name, "").strip()
        for name in (ISSUER, PUBLIC_URL, AUDIENCE, ALLOWED)
        if is_set(environment.get(name))
    }
    if not given:
        return None
    if ISSUER not in given:
        raise ConfigurationError(MESSAGES["no_issuer"].format(name=next(iter(given))))
    if PUBLIC_URL not in given:
        raise ConfigurationError(MESSAGES["no_public_url"])
    for name, example in (
        (ISSUER, "https://login.example.com"),
        (PUBLIC_URL, "https://audiences.example.com/mcp"),
    ):
        if not _is_plain_url(given[name]):
            raise ConfigurationError(MESSAGES["bad_url"].format(name=name, example=example))
    audience = given.get(AUDIENCE, given[PUBLIC_URL])
    if not audience.isascii() or not audience.isprintable() or " " in audience or '"' in audience:
        raise ConfigurationError(MESSAGES["bad_audience"])
    allowed = frozenset(entry.strip() for entry in given.get(ALLOWED, "").split(",") if entry.strip())
    if ALLOWED in given and (not allowed or "@" in allowed or not all(map(str.isprintable, allowed))):
        raise ConfigurationError(MESSAGES["bad_allowed"])
    return OAuthSettings(given[ISSUER], given[PUBLIC_URL], audience, allowed)


def _is_plain_url(url: str) -> bool:
    """Whether `url` can stand in metadata and in a challenge: safe, and nothing but an address."""
    if not _URL.fullmatch(url) or not is_safe_url(url):
        return False
    parts = urlsplit(url)
    try:
        valid_port = parts.port is None or parts.port > 0
    except ValueError:
        valid_port = False
    return valid_port and not any(sign in url for sign in "?#@")


def _split_names(names: str) -> list[str]:
    hosts = [name.strip().lower() for name in names.split(",") if name.strip()]
    if not hosts or not all(_LISTED_HOST.fullmatch(host) for host in hosts):
        raise ConfigurationError(MESSAGES["bad_hosts"])
    return hosts


def _with_ports(hosts: Iterable[str]) -> list[str]:
    """Each host as it stands, and with any port where none is named."""
    found: dict[str, None] = {}
    for host in hosts:
        found[host] = None
        if not host.endswith(":*") and re.search(r":\d+$", host.rpartition("]")[2]) is None:
            found[f"{host}:*"] = None
    return list(found)


class TokenGuard:
    """Lets nothing through without the token, except to `/health`."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        if scope["type"] == "lifespan" or scope["path"] == "/health" or self._has_token(scope):
            await self._app(scope, receive, send)
        else:
            refused = Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
            await refused(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"


class HeaderGuard:
    """Refuses Host and Origin that are no name and port, and passes the others on in lower case.

    The SDK then compares them with those that are allowed: letter by letter, and what follows a colon
    it takes for a port.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [
            (name, value.lower() if name in (b"host", b"origin") else value)
            for name, value in scope["headers"]
        ]
        given = {name: value for name, value in headers if name in (b"host", b"origin")}
        if b"host" in given and not _HOST_HEADER.fullmatch(given[b"host"]):
            await Response(MESSAGES["misdirected"], 421)(scope, receive, send)
        elif b"origin" in given and not _ORIGIN_HEADER.fullmatch(given[b"origin"]):
            await Response(MESSAGES["bad_origin"], 403)(scope, receive, send)
        else:
            await self._app({**scope, "headers": headers}, receive, send)

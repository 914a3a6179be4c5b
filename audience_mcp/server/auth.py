"""Who may call the server over HTTP: the settings, bearer tokens, and the checks of Host and Origin."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_mcp.config import Environment, Source, find_mistyped_settings, is_loopback, is_set
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.server import access
from audience_mcp.server.access import ACCESS, Access, read_access
from audience_mcp.server.callers import Caller, caller_of, set_caller
from audience_mcp.server.refusals import Refusals

TOKEN = "AUDIENCE_MCP_HTTP_TOKEN"  # noqa: S105 (the variable's name)
TOKENS = "AUDIENCE_MCP_HTTP_TOKENS"
ALLOWED_HOSTS = "AUDIENCE_MCP_ALLOWED_HOSTS"
ISSUER = "AUDIENCE_MCP_OAUTH_ISSUER"
PUBLIC_URL = "AUDIENCE_MCP_PUBLIC_URL"
AUDIENCE = "AUDIENCE_MCP_OAUTH_AUDIENCE"
ALLOWED = "AUDIENCE_MCP_OAUTH_ALLOWED"

RESTRICTIONS = (TOKEN, TOKENS, ACCESS, ALLOWED, ALLOWED_HOSTS, ISSUER, PUBLIC_URL)
"""Settings that keep callers out: one that is there but says nothing, also as `_FILE`, is a mistake."""
READ_AGAIN = (*RESTRICTIONS, AUDIENCE)
"""Settings that say who may come in and who sees what; their `_FILE` forms are meant too."""
SHORTEST_TOKEN = 32
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
WELL_KNOWN = "/.well-known/oauth-protected-resource"

MESSAGES = {
    "needs": "{via}, so it needs {missing}.",
    "listed": f"{ALLOWED_HOSTS} names {{name}}, by which other computers can call this server",
    "empty": "{name} is there, but it is empty or a placeholder, so that it would let in callers whom it is "
    "meant to keep out: give it its value, or take it away.",
    "mistyped": "{name} is not a setting, and may be meant for {meant}, without which everybody could be let "
    "in or see everything: correct the name, or take it away.",
    "unexpanded": "{name} holds a placeholder such as ${{X}}, $(X), {{{{X}}}} or %X% in place of a token: "
    "whatever should have put the token there did not.",
    "token": f"{TOKEN} (a bearer token of at least {SHORTEST_TOKEN} characters), {TOKENS} (several with "
    f"names) or {ISSUER} (OAuth)",
    "hosts": f"{ALLOWED_HOSTS} (the host names under which clients call it, comma separated)",
    "bad_token": (
        f"{TOKEN} must be at least {SHORTEST_TOKEN} ASCII characters without spaces, such as the output of: "
        "openssl rand -hex 32"
    ),
    "bad_tokens": (
        f"{TOKENS} must be tokens with names, comma separated, such as ci:TOKEN,bi:TOKEN: a name of letters, "
        f"digits, dots, dashes and underscores, and a token of at least {SHORTEST_TOKEN} ASCII characters "
        "without spaces, such as the output of: openssl rand -hex 32"
    ),
    "same_token": f"Each token in {TOKENS} and {TOKEN} must be another one, since it says who is calling.",
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
}

_UNEXPANDED = re.compile(r"^\$|\$\{.*\}|\$\(.*\)|\{\{.*\}\}|%[A-Za-z_][A-Za-z0-9_]*%", re.DOTALL)
_TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HOST_NAME = r"(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])"
_LISTED_HOST = re.compile(rf"{_HOST_NAME}(?::(?:\d{{1,5}}|\*))?")
_PORT = r"(?::\d{1,5})?"
_URL = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """Which access tokens are accepted.

    issuer: exactly as in tokens and in the issuer's metadata. public_url: the address that clients call.
    audience: the `aud` of a token. allowed: subjects, e-mail addresses and @domains; empty: all.
    """

    issuer: str
    public_url: str
    audience: str
    allowed: frozenset[str] = frozenset()

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audience with and without a slash at its end, since clients and issuers differ there."""
        bare = self.audience.rstrip("/")
        return self.audience, bare, f"{bare}/"

    @property
    def metadata_paths(self) -> tuple[str, ...]:
        """Where clients look for this resource's metadata: at the path of the URL, and at the root."""
        path = urlsplit(self.public_url).path.rstrip("/")
        return tuple(dict.fromkeys((f"{WELL_KNOWN}{path}", WELL_KNOWN)))

    @property
    def metadata_url(self) -> str:
        """The first of `metadata_paths` as a URL."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}{self.metadata_paths[0]}"


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token that lets a caller in. name: says who that is; empty for the one without a name."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Who is let in: by which bearer tokens or whose OAuth, and under which host names.

    Without tokens and OAuth, callers are not identified. With both, the tokens are for those who run the
    server, and do not open the MCP endpoint. access: who may see what; None: whoever is let in sees
    everything. warnings: what is probably a mistake.
    """

    tokens: tuple[BearerToken, ...] = ()
    hosts: tuple[str, ...] = ()
    oauth: OAuthSettings | None = None
    access: Access | None = None
    warnings: tuple[str, ...] = ()

    @property
    def knows_callers(self) -> bool:
        """Whether a caller has to say who it is."""
        return bool(self.tokens or self.oauth)

    @property
    def host_pattern(self) -> str:
        """A regular expression of the Host headers that are let in."""
        names = "|".join(
            re.escape(host[:-2]) + r":\d{1,5}" if host.endswith(":*") else re.escape(host)
            for host in self.hosts
        )
        return f"(?i:{names})"

    @property
    def origin_pattern(self) -> str:
        """A regular expression of the Origin headers that are let in."""
        return f"(?i:https?)://{self.host_pattern}"


def access_policy(
    environment: Environment,
    *,
    reachable_via: str | None,
    extra_host: str | None = None,
    sources: Iterable[Source] = (),
) -> AccessPolicy:
    """Who is let in, and who of them sees which of `sources`. Raises ConfigurationError.

    reachable_via: how a sentence begins that says why other computers can reach the server, so that a way to
    know callers and host names are required; None if they cannot. extra_host: a further name of this one.
    """
    _refuse_empty_restrictions(environment)
    for name, meant in find_mistyped_settings(environment, RESTRICTIONS):
        raise ConfigurationError(MESSAGES["mistyped"].format(name=name, meant=meant))
    names = environment.get(ALLOWED_HOSTS, "")
    oauth = _oauth_settings(environment)
    if is_set(environment.get(TOKEN)) and oauth:
        raise ConfigurationError(MESSAGES["both_ways"])
    known = oauth is not None or any(is_set(environment.get(name)) for name in (TOKEN, TOKENS))
    listed = _split_names(names) if is_set(names) else []
    reachable = next((name for name in listed if not is_loopback(bare_host(name))), None)
    if reachable_via is None and reachable is not None:
        reachable_via = MESSAGES["listed"].format(name=reachable)
    missing = [
        *([] if known else [MESSAGES["token"]]),
        *([] if is_set(names) else [MESSAGES["hosts"]]),
    ]
    if reachable_via and missing:
        raise ConfigurationError(MESSAGES["needs"].format(via=reachable_via, missing=" and ".join(missing)))
    tokens = _tokens(environment)
    hosts = [
        *LOOPBACK,
        *([extra_host] if extra_host else []),
        *listed,
        *([urlsplit(oauth.public_url).netloc.lower()] if oauth else []),
    ]
    rules: Access | None = None
    warnings: tuple[str, ...] = ()
    if is_set(setting := environment.get(ACCESS)):
        named = [token.name for token in tokens if token.name]
        if oauth is None and not named:
            raise ConfigurationError(access.MESSAGES["nobody"])
        rules = read_access(str(setting), sources)
        warnings = (*rules.warnings, *rules.find_idle(named, by_login=oauth is not None))
    return AccessPolicy(tokens, tuple(_with_ports(hosts)), oauth, rules, warnings)


def _tokens(environment: Environment) -> tuple[BearerToken, ...]:
    """The bearer tokens, with and without a name. Raises ConfigurationError, never showing a token."""
    tokens = []
    if is_set(alone := environment.get(TOKEN)):
        tokens.append(BearerToken("", str(alone).strip()))
        _refuse_unexpanded(TOKEN, tokens[0].value)
        if not _is_token(tokens[0].value):
            raise ConfigurationError(MESSAGES["bad_token"])
    if is_set(listed := environment.get(TOKENS)):
        named = [each.strip().partition(":") for each in re.split(r"[,\n]", str(listed)) if each.strip()]
        _refuse_unexpanded(TOKENS, *(part for name, _, value in named for part in (name, value)))
        if not named or not all(_TOKEN_NAME.fullmatch(name) and _is_token(value) for name, _, value in named):
            raise ConfigurationError(MESSAGES["bad_tokens"])
        tokens += [BearerToken(name, value) for name, _, value in named]
    if len({token.value for token in tokens}) < len(tokens):
        raise ConfigurationError(MESSAGES["same_token"])
    return tuple(tokens)


def _refuse_unexpanded(name: str, *texts: str) -> None:
    """Raise ConfigurationError for a placeholder, which anybody who has read the configuration could send."""
    if any(map(_UNEXPANDED.search, texts)):
        raise ConfigurationError(MESSAGES["unexpanded"].format(name=name))


def _is_token(text: str) -> bool:
    return len(text) >= SHORTEST_TOKEN and text.isascii() and text.isprintable() and " " not in text


def _refuse_empty_restrictions(environment: Environment) -> None:
    """Raise ConfigurationError for a setting that is meant to keep callers out and says nothing."""
    for name in (f"{name}{suffix}" for name in RESTRICTIONS for suffix in ("", "_FILE")):
        value = environment.get(name)
        if value is not None and not is_set(value):
            raise ConfigurationError(MESSAGES["empty"].format(name=name))


def bare_host(name: str) -> str:
    """A listed host without its port."""
    return re.sub(r":(?:\d+|\*)$", "", name).strip("[]")


def is_safe_url(url: str) -> bool:
    """Whether `url` is https, or http on this computer."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _oauth_settings(environment: Environment) -> OAuthSettings | None:
    """The OAuth settings, or None if none is set."""
    values = {
        name: environment.get(name, "").strip()
        for name in (ISSUER, PUBLIC_URL, AUDIENCE, ALLOWED)
        if is_set(environment.get(name))
    }
    if not values:
        return None
    if ISSUER not in values:
        raise ConfigurationError(MESSAGES["no_issuer"].format(name=next(iter(values))))
    if PUBLIC_URL not in values:
        raise ConfigurationError(MESSAGES["no_public_url"])
    for name, example in (
        (ISSUER, "https://login.example.com"),
        (PUBLIC_URL, "https://audiences.example.com/mcp"),
    ):
        if not _is_plain_url(values[name]):
            raise ConfigurationError(MESSAGES["bad_url"].format(name=name, example=example))
    audience = values.get(AUDIENCE, values[PUBLIC_URL])
    if not audience.isascii() or not audience.isprintable() or " " in audience or '"' in audience:
        raise ConfigurationError(MESSAGES["bad_audience"])
    allowed = frozenset(entry.strip() for entry in values.get(ALLOWED, "").split(",") if entry.strip())
    if ALLOWED in values and (not allowed or "@" in allowed or not all(map(_is_caller, allowed))):
        raise ConfigurationError(MESSAGES["bad_allowed"])
    return OAuthSettings(values[ISSUER], values[PUBLIC_URL], audience, allowed)


def _is_caller(entry: str) -> bool:
    """Whether an entry names a subject, an e-mail address or a domain."""
    local, at, domain = entry.rpartition("@")
    return entry.isprintable() and (not at or (entry.isascii() and bool(domain) and "@" not in local))


def _is_plain_url(url: str) -> bool:
    """Whether `url` can be used in metadata and in a challenge: safe, without user, query or fragment."""
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
    """Each host as it is, and with any port if it names none."""
    names: dict[str, None] = {}
    for host in hosts:
        names[host] = None
        if not host.endswith(":*") and re.search(r":\d+$", host.rpartition("]")[2]) is None:
            names[f"{host}:*"] = None
    return list(names)


class TokenGuard:
    """Lets a request through with one of the tokens, and says whose it is.

    otherwise: serves the other requests in place of refusing them, as another way to know callers.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Sequence[BearerToken],
        refusals: Refusals,
        otherwise: ASGIApp | None = None,
    ) -> None:
        self._app = app
        self._tokens = [(token.name, token.value.encode()) for token in tokens]
        self._refusals = refusals
        self._otherwise = otherwise or self._refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        name = self._find_name(scope)
        if name is not None:
            set_caller(scope, Caller(token=name))
        await (self._app if name is not None else self._otherwise)(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = any(name == b"authorization" for name, _ in scope["headers"])
        self._refusals.note(scope, "token", "its token is not one of ours" if sent else "it sent no token")
        await Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})(scope, receive, send)

    def _find_name(self, scope: Scope) -> str | None:
        """The name of the token that was sent, if it is one of ours. Each is compared, in constant time."""
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
        names = [name for name, value in self._tokens if hmac.compare_digest(token.strip(), value)]
        return names[0] if names and scheme.lower() == b"bearer" else None


class AccessGuard:
    """Refuses a known caller whom no rule names, and says what the others may see."""

    def __init__(self, app: ASGIApp, access: Access, refusals: Refusals) -> None:
        self._app = app
        self._access = access
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        caller = caller_of(scope)
        sources = self._access.find_sources(caller)
        if sources is None:
            self._refusals.note(scope, "not_allowed", f"{caller.shown} is not in {ACCESS}", logging.WARNING)
            await refuse_access()(scope, receive, send)
            return
        set_caller(scope, replace(caller, sources=sources))
        await self._app(scope, receive, send)


def refuse_access() -> Response:
    """The refusal of a caller whom no other token would let in, so without a challenge to send one."""
    text = "Your account is not allowed to use this server. Ask the person who runs it for access."
    return refuse_by_code(403, "access_denied", text)


def refuse_by_code(
    status: int, error: str, text: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A refusal as OAuth has it (RFC 6750): a code for programs, and a text for people."""
    return JSONResponse({"error": error, "error_description": text}, status, headers)


class HostGuard:
    """Refuses requests for other hosts, and from web pages of other origins (DNS rebinding).

    The reason may be a setting that is missing, so the answer and the log name it.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals
        self._hosts = re.compile(policy.host_pattern)
        self._origins = re.compile(policy.origin_pattern)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        host = _drop_dot(read_header(scope, b"host") or "")
        origin = read_header(scope, b"origin")
        if not self._hosts.fullmatch(host):
            refused = self._refuse(scope, 421, "host", "the host", host, host)
        elif origin is not None and not self._origins.fullmatch(origin):
            page = re.match("https?://", origin)
            name = origin[page.end() :] if page else ""
            refused = self._refuse(scope, 403, "origin", "web pages from", origin, name)
        else:
            await self._app(scope, receive, send)
            return
        await refused(scope, receive, send)

    def _refuse(
        self,
        scope: Scope,
        status: int,
        kind: Literal["host", "origin"],
        words: str,
        sent: str,
        name: str,
    ) -> Response:
        """The refusal of a host or origin; it repeats only what is a plausible name."""
        if not re.fullmatch(rf"{_HOST_NAME}{_PORT}", name):
            reason = f"{kind} header is {_UNKNOWN[kind]}"
            self._refusals.note(scope, kind, f"its {reason}", logging.WARNING)
            return PlainTextResponse(f"The {reason[0].upper()}{reason[1:]}.\n", status)
        bare = re.sub(r":\d+$", "", name)
        reason = f"its {kind} {sent} is not allowed; to allow it, add {bare} to {ALLOWED_HOSTS}"
        self._refusals.note(scope, kind, reason, logging.WARNING)
        text = f"This server does not answer {words} {sent}. To allow it, add {bare} to {ALLOWED_HOSTS}.\n"
        return PlainTextResponse(text, status)


_UNKNOWN = {
    "host": "missing or not a host name",
    "origin": "not the address of a web page (http:// or https:// and a host name), so no setting allows it",
}


def _drop_dot(host: str) -> str:
    """A Host header without the dot of the root, which some clients write behind a name."""
    return re.sub(r"\.(?=(?::\d+)?$)", "", host)


def read_header(scope: Scope, name: bytes) -> str | None:
    """A header in lower case, or None if there is none; an empty text if it is there twice."""
    values: list[bytes] = [value for key, value in scope["headers"] if key == name]
    if len(values) > 1:
        return ""
    return values[0].decode("latin-1").lower() if values else None

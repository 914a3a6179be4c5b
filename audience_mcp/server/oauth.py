"""OAuth 2.1 resource server: callers are known by the access tokens of one issuer.

Built from parts of the SDK and PyJWT. Added here: the challenge names the required scope and says
`invalid_token` only if a token was sent; while the issuer is down callers get 503 and nobody is sent to log
in again. Imported only if OAuth is configured.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jwt
from jwt import PyJWK
from jwt.exceptions import InvalidSignatureError, PyJWTError
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.auth.provider import AccessToken
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_mcp.core.text import clean
from audience_mcp.server.auth import OAuthSettings, refuse_access, refuse_by_code
from audience_mcp.server.callers import Caller, set_caller
from audience_mcp.server.issuer import ALGORITHMS, IssuerKeys, IssuerUnavailable
from audience_mcp.server.refusals import Refusals

log = logging.getLogger(__name__)

READ_SCOPE = "audiences:read"
"""The only scope."""
CLOCK_SKEW_S = 30
"""Seconds by which the issuer's clock may be ahead of ours."""
LONGEST_TOKEN = 16 * 1024

ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt", "application/jwt", ""})
"""Accepted values of `typ`: RFC 9068's for access tokens, and the generic ones that many issuers use."""
ID_TOKEN_CLAIMS = ("at_hash", "c_hash", "s_hash")
"""Claims that only ID tokens have. Those are meant for the client, not for us."""


class AccessTokenVerifier:
    """Checks access tokens (JWTs) of one issuer: the SDK's `TokenVerifier`."""

    def __init__(self, settings: OAuthSettings, keys: IssuerKeys) -> None:
        self._settings = settings
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        """The content of a token. Raises BadToken, IssuerUnavailable.

        The result leaves out the token itself, so that nothing can pass it on or log it.
        """
        claims = await self._claims(token)
        return AccessToken(
            token="",
            client_id=_text(claims, "client_id", "azp", "appid"),
            scopes=_scopes(claims),
            expires_at=int(claims["exp"]),
            resource=self._settings.public_url,
            subject=claims["sub"],
            claims=dict(claims),
        )

    async def _claims(self, token: str) -> Mapping[str, Any]:
        """The checked claims of a token. Raises BadToken, IssuerUnavailable."""
        if len(token) > LONGEST_TOKEN:
            raise BadToken("is too long")
        try:
            header = jwt.get_unverified_header(token)
        except _UNDECODABLE:
            raise BadToken("is not a JWT") from None
        if str(header.get("typ", "")).lower() not in ACCESS_TOKEN_TYPES:
            raise BadToken("has another typ than an access token")
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in frozenset().union(*ALGORITHMS.values()):
            raise BadToken("is signed by an algorithm that is not accepted")
        keys = await self._keys.find(header.get("kid"))
        if not keys:
            raise BadToken("is signed with a key that the issuer does not have")
        # Issuers may use one id for a key of each type, or none.
        fitting = [
            key
            for key in keys
            if algorithm in ALGORITHMS[key["kty"]] and key.get("alg", algorithm) == algorithm
        ]
        if not fitting:
            raise BadToken("is signed by an algorithm that is not that of its key")
        claims = self._decode(token, algorithm, fitting)
        if _is_id_token(claims):
            raise BadToken("is an ID token")
        if "cnf" in claims:
            raise BadToken("is bound to a key of the client (cnf), which is not supported")
        if not isinstance(claims["sub"], str) or not claims["sub"].strip():
            raise BadToken("names no subject")
        return claims

    def _decode(self, token: str, algorithm: str, keys: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """The claims of a token that one of `keys` has signed. Raises BadToken."""
        for place, key in enumerate(keys):
            try:
                return jwt.decode(
                    token,
                    PyJWK(dict(key), algorithm),
                    algorithms=[algorithm],
                    audience=list(self._settings.audiences),
                    issuer=self._settings.issuer,
                    leeway=CLOCK_SKEW_S,
                    options={"require": ["exp", "iss", "aud", "sub"]},
                )
            except InvalidSignatureError as e:  # noqa: PERF203 (there is one key but for odd issuers)
                if place == len(keys) - 1:
                    raise BadToken(_REASONS[type(e).__name__]) from None
            except _UNDECODABLE as e:
                raise BadToken(_REASONS.get(type(e).__name__, "cannot be decoded")) from None
        raise BadToken("is signed with a key that the issuer does not have")


_UNDECODABLE = (PyJWTError, ValueError, TypeError, RecursionError)
"""What decoding raises, also of texts that are no tokens at all."""


class BadToken(Exception):
    """A token is not accepted. The text says why, for the log: `its token ...`, with nothing of the token."""


_REASONS = {
    "ExpiredSignatureError": "has expired",
    "ImmatureSignatureError": "is not valid yet",
    "InvalidAudienceError": "was issued for another audience",
    "InvalidIssuerError": "is from another issuer",
    "InvalidSignatureError": "has a wrong signature",
    "MissingRequiredClaimError": "lacks exp, iss, aud or sub",
}


class OAuthGuard:
    """Lets a request through only with a valid access token."""

    def __init__(
        self, app: ASGIApp, settings: OAuthSettings, verifier: AccessTokenVerifier, refusals: Refusals
    ) -> None:
        self._app = AuthContextMiddleware(app)
        self._settings = settings
        self._refusals = refusals
        self._backend = BearerAuthBackend(verifier)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        refusal = await self._admit(scope)
        await (refusal or self._app)(scope, receive, send)

    async def _admit(self, scope: Scope) -> Response | None:
        """Authenticate the request into `scope`, or return the response that refuses it."""
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        note = partial(self._refusals.note, scope)
        if len(sent) > 1:
            note("token", "it sent more than one Authorization header")
            text = "The request has more than one Authorization header: send exactly one."
            return self._challenge(401, "invalid_token", text)
        if not sent or not sent[0].lower().startswith(b"bearer "):
            note("token", "it sent no token")
            return self._challenge(401)
        try:
            admitted = await self._backend.authenticate(HTTPConnection(scope))
        except IssuerUnavailable as e:
            note("unavailable", "the issuer's keys, to check its token with, cannot be had")
            text = "The authorization server cannot be reached to check the access token. Try again shortly."
            return refuse_by_code(503, "temporarily_unavailable", text, {"Retry-After": str(e.retry_after_s)})
        except BadToken as e:
            note("token", f"its token {e}")
            admitted = None
        if admitted is None:
            text = "The access token is invalid, has expired, or was not issued for this server."
            return self._challenge(401, "invalid_token", text)
        credentials, user = admitted
        token = user.access_token
        caller = to_caller(token.claims or {})
        shown = clean(caller.subject)
        if READ_SCOPE not in token.scopes:
            note("scope", f"the token of subject {shown} lacks the scope {READ_SCOPE}")
            text = f"The access token lacks the scope {READ_SCOPE}."
            return self._challenge(403, "insufficient_scope", text)
        if not is_allowed(caller, self._settings.allowed):
            note("not_allowed", f"subject {shown} is not in AUDIENCE_MCP_OAUTH_ALLOWED", logging.WARNING)
            return refuse_access()
        log.debug("request by subject %s (client %s)", shown, clean(token.client_id) or "unknown")
        scope["auth"], scope["user"] = credentials, user
        set_caller(scope, caller)
        return None

    def _challenge(self, status: int, error: str | None = None, text: str | None = None) -> Response:
        """A challenge that says where to log in, and for which scope (RFC 6750, RFC 9728)."""
        described = f'error="{error}", error_description="{text}", ' if error and text else ""
        challenge = (
            f'Bearer {described}resource_metadata="{self._settings.metadata_url}", scope="{READ_SCOPE}"'
        )
        if error is None or text is None:
            return Response(status_code=status, headers={"WWW-Authenticate": challenge})
        return refuse_by_code(status, error, text, {"WWW-Authenticate": challenge})


def to_caller(claims: Mapping[str, Any]) -> Caller:
    """The caller by the claims of a token; the e-mail address only if the issuer has verified it."""
    subject, email = str(claims.get("sub", "")), claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        return Caller(subject)
    local, _, domain = email.strip().rpartition("@")
    # Beyond ASCII, letters that look alike are made alike by lower().
    if not email.isascii() or not local or not domain:
        return Caller(subject)
    return Caller(subject, f"{local}@{domain}".lower())


def is_allowed(caller: Caller, allowed: frozenset[str]) -> bool:
    """Whether a caller is allowed; everybody is if `allowed` is empty.

    An entry with an @ is a verified e-mail address or an `@domain`, in any case, and never a subject; any
    other is a subject exactly as the issuer writes it.
    """
    if not allowed or any(caller.subject == entry for entry in allowed if "@" not in entry):
        return True
    return any(caller.has_address(entry) for entry in allowed if "@" in entry)


def metadata_routes(settings: OAuthSettings) -> list[Route]:
    """The protected resource metadata (RFC 9728) at all addresses that clients try, open to everybody."""
    metadata = {
        "resource": settings.public_url,
        "authorization_servers": [settings.issuer],
        "scopes_supported": [READ_SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": "audience-mcp",
    }

    async def show(_: Request) -> Response:
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=3600"}
        return JSONResponse(metadata, headers=headers)

    # Clients in web pages send headers of the protocol with it, so that browsers ask first.
    readable = Middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["*"], max_age=3600)
    paths = (each for path in settings.metadata_paths for each in (path, f"{path}/"))
    return [Route(path, show, methods=["GET", "OPTIONS"], middleware=[readable]) for path in paths]


def _text(claims: Mapping[str, Any], *names: str) -> str:
    """The first of these claims that is text, or an empty text."""
    return next((value for name in names if isinstance(value := claims.get(name), str)), "")


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """The scopes of a token: `scope` as text, or `scp` as text or list."""
    scopes = claims["scope"] if "scope" in claims else claims.get("scp")
    if isinstance(scopes, str):
        return scopes.split()
    return [each for each in scopes if isinstance(each, str)] if isinstance(scopes, list) else []


def _is_id_token(claims: Mapping[str, Any]) -> bool:
    """Whether this is an ID token, which does not authorize API calls."""
    return (
        any(name in claims for name in ID_TOKEN_CLAIMS)
        or str(claims.get("typ", "")).lower() == "id"
        or claims.get("token_use") == "id"
        or ("nonce" in claims and not _scopes(claims))
    )

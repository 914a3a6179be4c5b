"""OAuth 2.1 resource server: who may call is said by the access tokens of one issuer.

The parts are the SDK's and PyJWT's; what is added here: the challenge names the scope that is needed, says
`invalid_token` only where a token was sent, and an issuer that is down is a 503 and nobody's failed login.
Imported only where OAuth is configured.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import jwt
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.auth.provider import AccessToken
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_mcp.core.text import clean
from audience_mcp.server.auth import OAuthSettings
from audience_mcp.server.issuer import ALGORITHMS, IssuerKeys, IssuerUnavailable

log = logging.getLogger(__name__)

READ_SCOPE = "audiences:read"
"""The one scope there is."""
CLOCK_SKEW_S = 30
"""How far the issuer's clock may be ahead of ours."""
LONGEST_TOKEN = 16 * 1024

ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt", "application/jwt", ""})
"""The `typ` of an access token: RFC 9068's, or none in particular, as many issuers still have it."""
ID_TOKEN_CLAIMS = ("at_hash", "c_hash", "s_hash")
"""Claims that only an ID token has: one that was made for the client, not for us."""

MESSAGES = {
    "invalid_token": "The access token is invalid, has expired, or was not issued for this server.",
    "two_tokens": "The request has more than one Authorization header: send exactly one.",
    "insufficient_scope": f"The access token lacks the scope {READ_SCOPE}.",
    "not_allowed": "Your account is not allowed to use this server. Ask the person who runs it for access.",
    "unavailable": "The authorization server cannot be reached to check the access token. Try again shortly.",
    "log_request": "request by subject %s (client %s)",
    "log_not_allowed": "refused subject %s: not in AUDIENCE_MCP_OAUTH_ALLOWED",
    "log_no_scope": "refused subject %s: its token lacks the scope " + READ_SCOPE,
    "log_refused": "refused a token: %s",
}


class AccessTokenVerifier:
    """Checks access tokens (JWTs) of one issuer: the SDK's `TokenVerifier`."""

    def __init__(self, settings: OAuthSettings, keys: IssuerKeys) -> None:
        self._settings = settings
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        """What a token says, None where it is not a valid one for us. Raises IssuerUnavailable.

        The token itself is left out of what is returned, so that nothing can pass it on or log it.
        """
        try:
            claims = await self._claims(token)
        except _Refused as e:
            log.info(MESSAGES["log_refused"], e)
            return None
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
        """The claims of a token, each of them checked. Raises _Refused, IssuerUnavailable."""
        if len(token) > LONGEST_TOKEN:
            raise _Refused("it is too long")
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError:
            raise _Refused("it is not a JWT") from None
        if str(header.get("typ", "")).lower() not in ACCESS_TOKEN_TYPES:
            raise _Refused("its typ is not that of an access token")
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in frozenset().union(*ALGORITHMS.values()):
            raise _Refused("its signature algorithm is not accepted")
        key = await self._keys.find(header.get("kid"))
        if key is None:
            raise _Refused("the issuer has no such key")
        if algorithm not in ALGORITHMS[key["kty"]] or key.get("alg", algorithm) != algorithm:
            raise _Refused("its signature algorithm is not that of the key")
        try:
            claims = jwt.decode(
                token,
                PyJWK(dict(key), algorithm),
                algorithms=[algorithm],
                audience=list(self._settings.audiences),
                issuer=self._settings.issuer,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except PyJWTError as e:
            raise _Refused(_REASONS.get(type(e).__name__, "it cannot be decoded")) from None
        if _is_id_token(claims):
            raise _Refused("it is an ID token")
        if "cnf" in claims:
            raise _Refused("it is bound to a key of the client (cnf), which is not supported")
        if not isinstance(claims["sub"], str) or not claims["sub"].strip():
            raise _Refused("it names no subject")
        return claims


class _Refused(Exception):
    """A token is not accepted. The text says why, for the log, and holds nothing of the token."""


_REASONS = {
    "ExpiredSignatureError": "it has expired",
    "ImmatureSignatureError": "it is not valid yet",
    "InvalidAudienceError": "it was issued for another audience",
    "InvalidIssuerError": "it is from another issuer",
    "InvalidSignatureError": "its signature is wrong",
    "MissingRequiredClaimError": "it lacks exp, iss, aud or sub",
}


class OAuthGuard:
    """Lets a request through only with a valid access token; `open_paths` need none."""

    def __init__(
        self, app: ASGIApp, settings: OAuthSettings, verifier: AccessTokenVerifier, open_paths: Iterable[str]
    ) -> None:
        self._app = AuthContextMiddleware(app)
        self._settings = settings
        self._backend = BearerAuthBackend(verifier)
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI app does."""
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        refusal = await self._admit(scope)
        await (refusal or self._app)(scope, receive, send)

    async def _admit(self, scope: Scope) -> Response | None:
        """Put who asks into the scope; or what to answer in place of the app."""
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(sent) > 1:
            return self._refuse(401, "invalid_token", "two_tokens")
        if not sent or not sent[0].lower().startswith(b"bearer "):
            return self._refuse(401)
        try:
            admitted = await self._backend.authenticate(HTTPConnection(scope))
        except IssuerUnavailable as e:
            return _error(
                503, "temporarily_unavailable", "unavailable", {"Retry-After": str(e.retry_after_s)}
            )
        if admitted is None:
            return self._refuse(401, "invalid_token", "invalid_token")
        credentials, user = admitted
        token = user.access_token
        shown = clean(token.subject)
        if READ_SCOPE not in token.scopes:
            log.info(MESSAGES["log_no_scope"], shown)
            return self._refuse(403, "insufficient_scope", "insufficient_scope")
        if not is_allowed(token.claims or {}, self._settings.allowed):
            log.warning(MESSAGES["log_not_allowed"], shown)
            # Without a challenge: no other token would let this person in, so no client should ask for one.
            return _error(403, "access_denied", "not_allowed", {})
        log.info(MESSAGES["log_request"], shown, clean(token.client_id) or "unknown")
        scope["auth"], scope["user"] = credentials, user
        return None

    def _refuse(self, status: int, error: str | None = None, message: str | None = None) -> Response:
        """A challenge that says where to log in, and for which scope (RFC 6750, RFC 9728)."""
        described = f'error="{error}", error_description="{MESSAGES[message]}", ' if error and message else ""
        challenge = (
            f'Bearer {described}resource_metadata="{self._settings.metadata_url}", scope="{READ_SCOPE}"'
        )
        if error is None or message is None:
            return Response(status_code=status, headers={"WWW-Authenticate": challenge})
        return _error(status, error, message, {"WWW-Authenticate": challenge})


def protect(app: Starlette, settings: OAuthSettings, open_paths: Iterable[str]) -> IssuerKeys:
    """Ask every request to `app` for an access token, and tell where to get one.

    The issuer's keys, for the app to close when it ends.
    """
    keys = IssuerKeys(settings.issuer)
    app.router.routes.extend(metadata_routes(settings))
    app.add_middleware(
        OAuthGuard,
        settings=settings,
        verifier=AccessTokenVerifier(settings, keys),
        open_paths=[*open_paths, *settings.metadata_paths],
    )
    return keys


def is_allowed(claims: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    """Whether a subject may come in: all may where nothing narrows it.

    An entry is a subject as the issuer writes it, or a verified e-mail address or `@domain` in any case.
    """
    if not allowed or claims.get("sub") in allowed:
        return True
    email = claims.get("email")
    if not isinstance(email, str) or "@" not in email or claims.get("email_verified") not in (True, "true"):
        return False
    email = email.strip().lower()
    lowered = {entry.lower() for entry in allowed}
    return email in lowered or f"@{email.rpartition('@')[2]}" in lowered


def metadata_routes(settings: OAuthSettings) -> list[Route]:
    """The protected resource metadata (RFC 9728), under both addresses that clients try, for anyone."""
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

    return [Route(path, show, methods=["GET"]) for path in settings.metadata_paths]


def _error(status: int, error: str, message: str, headers: Mapping[str, str]) -> Response:
    return JSONResponse({"error": error, "error_description": MESSAGES[message]}, status, headers)


def _text(claims: Mapping[str, Any], *names: str) -> str:
    """The first of these claims that is text, or ""."""
    return next((value for name in names if isinstance(value := claims.get(name), str)), "")


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """The scopes of a token: `scope` as text, or `scp` as text or list."""
    scopes = claims["scope"] if "scope" in claims else claims.get("scp")
    if isinstance(scopes, str):
        return scopes.split()
    return [each for each in scopes if isinstance(each, str)] if isinstance(scopes, list) else []


def _is_id_token(claims: Mapping[str, Any]) -> bool:
    """Whether a token tells a client who logged in, which is not leave to call us."""
    return (
        any(name in claims for name in ID_TOKEN_CLAIMS)
        or str(claims.get("typ", "")).lower() == "id"
        or claims.get("token_use") == "id"
        or ("nonce" in claims and not _scopes(claims))
    )

"""An OAuth issuer's signing keys: fetched when first needed, and never more often than twice a minute."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from audience_mcp.core.clock import Clock
from audience_mcp.server.auth import is_safe_url
from audience_mcp.sources.connections import Limits, Pool

log = logging.getLogger(__name__)

ALGORITHMS: Mapping[str, frozenset[str]] = {
    "RSA": frozenset({"RS256", "PS256"}),
    "EC": frozenset({"ES256"}),
    "OKP": frozenset({"EdDSA"}),
}
"""The signatures that are accepted, by the type of key (`kty`) that makes them. No shared secrets (`oct`)."""

FETCH_INTERVAL_S = 30
"""Seconds between two fetches, whether they succeed or not: no number of unknown key ids makes it more."""
FRESH_S = 10 * 60
"""Keys this old are fetched again before they are used."""
USABLE_S = 60 * 60
"""Keys this old still serve while the issuer cannot be reached; after that nobody is let in by them."""
LIMITS = Limits(connect_s=3, read_s=5, whole_s=8, body=512 * 1024)

MESSAGES = {
    "unreachable": "The OAuth issuer's keys could not be fetched: {why}. Callers get 503 until they can be.",
    "reached": "The OAuth issuer's keys are available again.",
    "status": "{url} returned HTTP {status}",
    "not_reached": "{url} could not be reached ({error})",
    "too_slow": "{url} did not answer in time",
    "too_long": "{url} returned more than {bytes} bytes",
    "no_json": "{url} did not return a JSON object",
    "other_issuer": (
        "{url} names the issuer {named}, not the configured one: set AUDIENCE_MCP_OAUTH_ISSUER to exactly "
        "that"
    ),
    "no_jwks": "{url} names no usable jwks_uri",
    "no_keys": "{url} holds no key for RS256, PS256, ES256 or EdDSA",
}


class IssuerUnavailable(Exception):
    """The keys cannot be had, so a token can be neither accepted nor refused.

    retry_after_s: seconds until asking again makes sense.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("the OAuth issuer's keys cannot be fetched")
        self.retry_after_s = retry_after_s


class _FetchFailed(Exception):
    """A document of the issuer could not be fetched. The text says why, in words for the log."""


class _NotThere(_FetchFailed):
    """The issuer answered that it has no such document."""


class IssuerKeys:
    """The public keys of one issuer, by key id.

    `find` fetches them when they are first asked for, when they are older than `FRESH_S`, and for a key id
    that is not among them; always at least `FETCH_INTERVAL_S` apart, and once for all who wait. Redirects
    are not followed. Keys at hand outlive an issuer that is down for `USABLE_S`.
    """

    def __init__(self, issuer: str, clock: Clock | None = None, pool: Pool | None = None) -> None:
        self._issuer = issuer
        self._clock = clock or Clock()
        self._pool = pool or Pool(LIMITS)
        self._lock = anyio.Lock()
        self._keys: dict[str | None, dict[str, Any]] = {}
        self._jwks_uri: str | None = None
        self._fetched_at = -math.inf
        self._next_fetch = -math.inf
        self._failing = False

    async def find(self, key_id: str | None) -> Mapping[str, Any] | None:
        """The JWK with that id, None where the issuer has none. Raises IssuerUnavailable.

        A token without a key id is taken to be signed by the issuer's key where it has just one.
        """
        key = self._lookup(key_id)
        if key is not None and self._age() < FRESH_S:
            return key
        async with self._lock:
            # Whoever held the lock before may have fetched: then the next fetch is not due.
            if self._clock.now() >= self._next_fetch:
                await self._fetch()
        key = self._lookup(key_id)
        # While fetching fails, a key that is not here may be one that the issuer has only just begun to use.
        if self._age() >= USABLE_S or (key is None and self._failing):
            raise IssuerUnavailable(max(1, math.ceil(self._next_fetch - self._clock.now())))
        return key

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    def _lookup(self, key_id: str | None) -> dict[str, Any] | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _age(self) -> float:
        return self._clock.now() - self._fetched_at

    async def _fetch(self) -> None:
        self._next_fetch = self._clock.now() + FETCH_INTERVAL_S
        was_failing, self._failing = self._failing, True
        try:
            if self._jwks_uri is None:
                self._jwks_uri = await self._discover()
            self._keys = await self._fetch_keys(self._jwks_uri)
        except _FetchFailed as e:
            self._jwks_uri = None  # it may have moved
            if not was_failing:
                log.warning("%s", MESSAGES["unreachable"].format(why=e))
        else:
            self._fetched_at = self._clock.now()
            self._failing = False
            if was_failing:
                log.warning("%s", MESSAGES["reached"])

    async def _discover(self) -> str:
        """The address of the keys, from the issuer's metadata (OpenID Connect Discovery, else RFC 8414)."""
        parts = urlsplit(self._issuer)
        base = self._issuer.rstrip("/")
        oauth = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server"
        try:
            url = f"{base}/.well-known/openid-configuration"
            metadata = await self._get(url)
        except _NotThere:
            url = f"{oauth}{parts.path.rstrip('/')}"
            metadata = await self._get(url)
        if metadata.get("issuer") != self._issuer:
            named = json.dumps(metadata.get("issuer"))[:200]
            raise _FetchFailed(MESSAGES["other_issuer"].format(url=url, named=named))
        jwks_uri = metadata.get("jwks_uri")
        if not isinstance(jwks_uri, str) or not is_safe_url(jwks_uri):
            raise _FetchFailed(MESSAGES["no_jwks"].format(url=url))
        return jwks_uri

    async def _fetch_keys(self, url: str) -> dict[str | None, dict[str, Any]]:
        listed = (await self._get(url)).get("keys")
        keys = {
            key.get("kid"): key for key in (listed if isinstance(listed, list) else []) if _is_usable(key)
        }
        if not keys:
            raise _FetchFailed(MESSAGES["no_keys"].format(url=url))
        return keys

    async def _get(self, url: str) -> dict[str, Any]:
        """The JSON object at `url`. Raises _FetchFailed."""
        body = bytearray()
        try:
            with anyio.fail_after(LIMITS.whole_s):
                async with self._pool.client(httpx.URL(url)).stream("GET", url) as response:
                    if response.status_code != 200:
                        kind = _NotThere if 400 <= response.status_code < 500 else _FetchFailed
                        raise kind(MESSAGES["status"].format(url=url, status=response.status_code))
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > LIMITS.body:
                            raise _FetchFailed(MESSAGES["too_long"].format(url=url, bytes=LIMITS.body))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as e:
            if isinstance(e, (TimeoutError, httpx.TimeoutException)):
                text = MESSAGES["too_slow"].format(url=url)
            else:
                text = MESSAGES["not_reached"].format(url=url, error=type(e).__name__)
            raise _FetchFailed(text) from None
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise _FetchFailed(MESSAGES["no_json"].format(url=url))
        return parsed


def _is_usable(key: object) -> bool:
    """Whether a member of a JWK set is a public key for one of the signatures that are accepted."""
    if not isinstance(key, dict) or not isinstance(key.get("kid", ""), str):
        return False
    accepted = ALGORITHMS.get(str(key.get("kty")), frozenset[str]())
    algorithm = key.get("alg", next(iter(accepted), None))
    if key.get("use", "sig") != "sig" or not isinstance(algorithm, str) or algorithm not in accepted:
        return False
    try:
        PyJWK(key, algorithm)
    except (PyJWTError, ValueError):  # numbers that make no key are a ValueError to some releases
        return False
    return True

"""An OAuth issuer's signing keys, fetched when first needed and at most twice a minute."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping, Sequence
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
"""The accepted signatures by type of key (`kty`). Shared secrets (`oct`) are not accepted."""

FETCH_INTERVAL_S = 30
"""Least seconds between two fetches, successful or not, however many unknown key ids arrive."""
FRESH_S = 10 * 60
"""Keys this old are fetched again before they are used."""
USABLE_S = 60 * 60
"""Keys up to this age are used while the issuer cannot be reached; older ones let nobody in."""
LIMITS = Limits(connect_s=3, read_s=5, whole_s=8, body=512 * 1024)


class IssuerUnavailable(Exception):
    """The keys are not available, so a token can be neither accepted nor refused.

    retry_after_s: seconds until the next fetch.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("the OAuth issuer's keys cannot be fetched")
        self.retry_after_s = retry_after_s


class _FetchFailed(Exception):
    """A document of the issuer could not be fetched. The text says why, for the log."""


class _NoSuchDocument(_FetchFailed):
    """The issuer answered that it has no such document."""


class IssuerKeys:
    """The public keys of one issuer, by key id.

    `find` fetches them at the first call and for an unknown key id; keys that are older than `FRESH_S` still
    serve while they are fetched again. Fetches are at least `FETCH_INTERVAL_S` apart, and one serves all
    callers that wait. Redirects are not followed. While the issuer is down, fetched keys stay usable for
    `USABLE_S`.
    """

    def __init__(self, issuer: str, clock: Clock | None = None, pool: Pool | None = None) -> None:
        self._issuer = issuer
        self._clock = clock or Clock()
        self._pool = pool or Pool(LIMITS)
        self._lock = anyio.Lock()
        self._keys: list[dict[str, Any]] = []
        self._refreshing: asyncio.Task[None] | None = None
        self._jwks_uri: str | None = None
        self._fetched_at = -math.inf
        self._next_fetch = -math.inf
        self._failing = False

    async def find(self, key_id: str | None) -> Sequence[Mapping[str, Any]]:
        """The JWKs that a token with that id may be signed with. Raises IssuerUnavailable.

        Several keys may have one id, and those without an id may be meant by any. A token without an id may
        only be signed with one of these, or with a key that is the only one.
        """
        keys = self._lookup(key_id)
        if keys and self._age() < USABLE_S:
            if self._age() >= FRESH_S and self._clock.now() >= self._next_fetch:
                self._refresh()
            return keys
        await self._fetch_in_turn()  # another caller may have fetched; then no fetch is due
        keys = self._lookup(key_id)
        # While fetching fails, an unknown key may be one that the issuer has just started to use.
        if self._age() >= USABLE_S or (not keys and self._failing):
            raise IssuerUnavailable(max(1, math.ceil(self._next_fetch - self._clock.now())))
        return keys

    async def aclose(self) -> None:
        """Close the connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self._pool.aclose()

    def _lookup(self, key_id: str | None) -> list[dict[str, Any]]:
        nameless = [key for key in self._keys if key.get("kid") is None]
        if key_id is None:
            return self._keys if len(self._keys) == 1 else nameless
        return [key for key in self._keys if key.get("kid") == key_id] or nameless

    def _refresh(self) -> None:
        """Fetch the keys while those at hand still serve."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._fetch_in_turn())

    async def _fetch_in_turn(self) -> None:
        async with self._lock:
            if self._clock.now() >= self._next_fetch:
                await self._fetch()

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
                log.warning(
                    "The OAuth issuer's keys could not be fetched: %s. Callers get 503 until they can be.", e
                )
        else:
            self._fetched_at = self._clock.now()
            self._failing = False
            if was_failing:
                log.warning("The OAuth issuer's keys are available again.")

    async def _discover(self) -> str:
        """The address of the keys, from the issuer's metadata (OpenID Connect Discovery, else RFC 8414)."""
        parts = urlsplit(self._issuer)
        base = self._issuer.rstrip("/")
        oauth = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server"
        try:
            url = f"{base}/.well-known/openid-configuration"
            metadata = await self._get(url)
        except _NoSuchDocument:
            url = f"{oauth}{parts.path.rstrip('/')}"
            metadata = await self._get(url)
        if metadata.get("issuer") != self._issuer:
            named = json.dumps(metadata.get("issuer"))[:200]
            raise _FetchFailed(
                f"{url} names the issuer {named}, not the configured one: set AUDIENCE_MCP_OAUTH_ISSUER to "
                "exactly that"
            )
        jwks_uri = metadata.get("jwks_uri")
        if not isinstance(jwks_uri, str) or not is_safe_url(jwks_uri):
            raise _FetchFailed(f"{url} names no usable jwks_uri")
        return jwks_uri

    async def _fetch_keys(self, url: str) -> list[dict[str, Any]]:
        listed = (await self._get(url)).get("keys")
        keys = [key for key in (listed if isinstance(listed, list) else []) if _is_usable(key)]
        if not keys:
            raise _FetchFailed(f"{url} holds no key for RS256, PS256, ES256 or EdDSA")
        return keys

    async def _get(self, url: str) -> dict[str, Any]:
        """The JSON object at `url`. Raises _FetchFailed."""
        body = bytearray()
        try:
            with anyio.fail_after(LIMITS.whole_s):
                async with self._pool.client(httpx.URL(url)).stream("GET", url) as response:
                    if response.status_code != 200:
                        kind = _NoSuchDocument if 400 <= response.status_code < 500 else _FetchFailed
                        raise kind(f"{url} returned HTTP {response.status_code}")
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > LIMITS.body:
                            raise _FetchFailed(f"{url} returned more than {LIMITS.body} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as e:
            if isinstance(e, (TimeoutError, httpx.TimeoutException)):
                text = f"{url} did not answer in time"
            else:
                text = f"{url} could not be reached ({type(e).__name__})"
            raise _FetchFailed(text) from None
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise _FetchFailed(f"{url} did not return a JSON object")
        return parsed


def _is_usable(key: object) -> bool:
    """Whether a member of a JWK set is a public key for one of the accepted signatures."""
    if not isinstance(key, dict) or not isinstance(key.get("kid", ""), str):
        return False
    accepted = ALGORITHMS.get(str(key.get("kty")), frozenset[str]())
    algorithm = key.get("alg", next(iter(accepted), None))
    if key.get("use", "sig") != "sig" or not isinstance(algorithm, str) or algorithm not in accepted:
        return False
    try:
        PyJWK(key, algorithm)
    except (PyJWTError, ValueError, TypeError, ArithmeticError):  # of numbers that make no key
        return False
    return True

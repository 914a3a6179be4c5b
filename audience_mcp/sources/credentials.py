"""Authorizes an account's requests: by its settings, or by a token that they are exchanged for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import anyio

from audience_mcp.config import Account
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import UnexpectedShape, VendorError
from audience_mcp.sources.talk import converse
from audience_mcp.vendors.auth import Exchange, Token, TokenRefused, secrets_of
from audience_mcp.vendors.key_pages import point_to_key_page
from audience_mcp.vendors.request import Request, Response

RENEWED_BEFORE_S = 60
"""Seconds before its end at which a token is renewed."""


class Credentials:
    """What authenticates one account's requests. One exchange serves all requests that wait for it.

    exchange: sends the request for a token; raises VendorError where there is no answer. learn: is given
    every secret that is made on the way, which another one will replace.
    """

    def __init__(
        self,
        account: Account,
        exchange: Callable[[Request], Awaitable[Response]],
        clock: Clock,
        learn: Callable[[str], None] = lambda secret: None,
    ) -> None:
        self._account = account
        self._send = exchange
        self._clock = clock
        self._learn = learn
        self._lasting = {*account.secrets}
        self._auth = account.vendor.auth_for(account.values)
        self._headers = account.vendor.headers_for(account.values)
        self._lock = anyio.Lock()
        self._token: str | None = None
        self._renewed: dict[str, str] = {}
        self._good_until = 0.0

    @property
    def renewable(self) -> bool:
        """Whether a token that was refused can be replaced by another."""
        return isinstance(self._auth, Exchange)

    async def authorize(self, request: Request) -> tuple[Request, str | None]:
        """The request with all its headers, and the exchanged token in it, if any. Raises VendorError."""
        values, token = self._account.values, None
        if isinstance(self._auth, Exchange):
            token = await self._current(self._auth)
            values = {**values, "token": token}
        now = self._clock.utc().timestamp()
        proof = self._auth.authorize(Request(request.path), values, now)
        self._learn_all(secrets_of(proof))
        request = request.with_headers({**self._headers, **proof.headers})
        return request.with_params(**proof.params) if proof.params else request, token

    def _learn_all(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            if secret not in self._lasting:
                self._learn(secret)

    def forget(self, token: str | None) -> None:
        """Discard a token that the vendor has refused; another request may have renewed it already."""
        if token is not None and token == self._token:
            self._token = None

    async def _current(self, exchange: Exchange) -> str:
        async with self._lock:
            if self._token is None or self._clock.now() >= self._good_until:
                token = await self._obtain(exchange)
                lives = max(token.lives_s - RENEWED_BEFORE_S, token.lives_s / 2)
                self._token, self._good_until = token.text, self._clock.now() + lives
            return self._token

    async def _obtain(self, exchange: Exchange) -> Token:
        """A new token; of settings that an earlier exchange replaced, else of the configured ones."""
        account = self._account
        who, variables = f"{account.source}: {account.vendor.title}", account.variables
        try:
            token = await self._exchange(exchange)
            self._renewed |= token.renewed
            self._learn_all(token.renewed.values())
            return token
        except TokenRefused as e:
            sent = ", ".join(variables[role] for role in exchange.roles)
            hint = str(e).format_map(variables)
            text = f"{who} refused the key: it gave no access token for {sent}."
            said = " ".join(filter(None, (text, hint, point_to_key_page(account.vendor))))
            raise VendorError("unauthorized", said) from None
        except UnexpectedShape:
            address = exchange.address(account.values)
            text = f"{who} answered the token request without a token. Check {address}."
            raise VendorError("bad_response", text) from None

    async def _exchange(self, exchange: Exchange) -> Token:
        values = self._account.values
        if self._renewed:
            try:
                return await converse(exchange.talk({**values, **self._renewed}), self._send)
            except TokenRefused:
                self._renewed.clear()
        return await converse(exchange.talk(values), self._send)

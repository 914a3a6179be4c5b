"""What authenticates an account: headers from its settings, or from a token that they are exchanged for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio

from audience_mcp.config import Account
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import VendorError
from audience_mcp.core.values import as_count
from audience_mcp.vendors.base import TokenExchange
from audience_mcp.vendors.parsing import is_object, value_at

RENEWED_BEFORE_S = 60
"""A token is renewed so long before its end."""
LIVES_AT_LEAST_S = 300
"""A token whose lifetime is not told is taken to live so long."""

MESSAGES = {
    "refused": "{source}: {title} refused the key: it gave no access token for {variables}. {hint}",
    "no_token": "{source}: {title} answered the token request without a token. Check {url}.",
}

Exchange = Callable[[TokenExchange], Awaitable[tuple[int, object]]]
"""Posts an exchange's fields; HTTP's status and the parsed body. Raises VendorError where there is none."""


class Credentials:
    """The headers of one account's requests. One exchange serves all requests that wait for it."""

    def __init__(
        self, account: Account, exchange: Exchange, clock: Clock, learn: Callable[[str], None] | None = None
    ) -> None:
        self._account = account
        self._post = exchange
        self._clock = clock
        self._learn = learn
        self._exchange = account.vendor.token_exchange(account.values)
        self._lock = anyio.Lock()
        self._token: str | None = None
        self._good_until = 0.0

    @property
    def renewable(self) -> bool:
        """Whether a token that was refused can be replaced by another."""
        return self._exchange is not None

    async def headers(self) -> tuple[Mapping[str, str], str | None]:
        """The headers to send, and the exchanged token in them, if any. Raises VendorError."""
        values = self._account.values
        if self._exchange is not None:
            token = await self._current(self._exchange)
            return self._account.vendor.headers({**values, "token": token}), token
        return self._account.vendor.headers(values), None

    def forget(self, token: str | None) -> None:
        """Do without a token that the vendor has refused; another request may have renewed it already."""
        if token is not None and token == self._token:
            self._token = None

    async def _current(self, exchange: TokenExchange) -> str:
        async with self._lock:
            if self._token is None or self._clock.now() >= self._good_until:
                self._token = await self._fetch(exchange)
            return self._token

    async def _fetch(self, exchange: TokenExchange) -> str:
        status, body = await self._post(exchange)
        if status != 200:
            raise self._explain_refusal(exchange, status)
        token = value_at(body, exchange.token_at) if is_object(body) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise self._error("no_token", "bad_response", url=exchange.url)
        if self._learn:
            self._learn(token)
        lives = as_count(value_at(body, exchange.lives_at)) or LIVES_AT_LEAST_S
        self._good_until = self._clock.now() + max(lives - RENEWED_BEFORE_S, lives / 2)
        return token

    def _explain_refusal(self, exchange: TokenExchange, status: int) -> VendorError:
        variables, values = self._account.variables, self._account.values
        sent = [
            s.role for s in self._account.vendor.settings if values.get(s.role) in exchange.fields.values()
        ]
        return self._error(
            "refused",
            "unauthorized",
            variables=", ".join(variables[role] for role in sent),
            hint=exchange.hint.format_map(variables),
        )

    def _error(self, message: str, kind: str, **facts: str) -> VendorError:
        account = self._account
        text = MESSAGES[message].format(source=account.source, title=account.vendor.title, **facts).strip()
        return VendorError("unauthorized" if kind == "unauthorized" else "bad_response", text)

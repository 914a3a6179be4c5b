"""The connections of all sources, and the limits of one exchange."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from audience_mcp import __version__
from audience_mcp.config import is_loopback

BODY_CAP = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to wait for a connection, for the next bytes and for a whole answer; bytes of a body."""

    connect_s: float = 5
    read_s: float = 15
    whole_s: float = 60
    body: int = BODY_CAP


class Pool:
    """The TLS context and the connections of all sources, made when first needed.

    Two clients share one context: loopback hosts are reached directly, others through the proxy that
    the environment names, if any. Cookies are never kept: they would travel between accounts.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._tls: ssl.SSLContext | None = None
        self._clients: dict[tuple[bool, str], httpx.AsyncClient] = {}

    def client(self, url: httpx.URL) -> httpx.AsyncClient:
        """The client to reach `url` with."""
        direct = is_loopback(url.host)
        kind = direct, url.scheme
        if kind not in self._clients:
            # Plain HTTP is for loopback only; a context (20 ms and more) is not made for it.
            self._clients[kind] = httpx.AsyncClient(
                verify=self._context() if url.scheme == "https" else False,
                trust_env=not direct,
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                timeout=httpx.Timeout(self.limits.read_s, connect=self.limits.connect_s),
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30),
                headers={
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip",
                    "User-Agent": f"audience-mcp/{__version__}",
                },
            )
        return self._clients[kind]

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            import truststore  # only where TLS is used

            self._tls = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._tls

    async def aclose(self) -> None:
        """Close every connection."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

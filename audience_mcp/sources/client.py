"""One account's HTTP: what goes out, what comes back, when to try again, and when to leave it alone.

`Api.fetch` is the only way to a vendor. It answers with parsed JSON or raises a `VendorError` whose
text holds nothing that the vendor wrote.
"""

from __future__ import annotations

import logging
import math
import ssl
import zlib
from contextlib import AbstractAsyncContextManager

import anyio
import httpx

from audience_mcp.config import Account
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import Kind, PagingStopped, VendorError
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.responses import describe_status, parse_body, parse_wait
from audience_mcp.vendors.base import Request

log = logging.getLogger(__name__)

ATTEMPTS = 4
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT_S = 15
"""The longest pause a vendor may ask for that is waited out; a longer one is refused at once."""
BACKOFF_S = 1.0
RETRY_BUDGET = 6
"""Retries a source may spend before it must succeed again: a dead vendor soon costs one attempt a call."""
ERROR_BODY_CAP = 64 * 1024


class _Failed(Exception):
    """One attempt failed; whether another makes sense is for the caller to say."""

    def __init__(self, error: VendorError, *, again: bool, wait_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.wait_s = wait_s


class VendorClient:
    """The HTTP of one account: address, keys, pace, retries and errors."""

    def __init__(self, account: Account, pool: Pool, clock: Clock | None = None) -> None:
        self.account = account
        self._pool = pool
        self._clock = clock or Clock()
        try:
            self._base = httpx.URL(account.base_url)
        except (httpx.InvalidURL, UnicodeError):
            text = f"{account.source}: {account.variables['base_url']} is no URL that can be used. Mend it."
            raise VendorError("not_configured", text) from None
        self._retry_budget = RETRY_BUDGET
        self._paused_until = -math.inf
        self._slot_lock = anyio.Lock()
        self._next_slot = -math.inf
        rate = account.vendor.requests_per_second(account.values)
        self._interval = 1 / rate if rate else 0.0

    async def fetch(self, request: Request) -> object:
        """The JSON that answers `request`, after as many as 4 attempts. Raises VendorError."""
        url = self._url(request)
        for attempt in range(1, ATTEMPTS + 1):
            await self._acquire_slot()
            try:
                body = await self._attempt(request, url)
            except _Failed as failed:
                if failed.wait_s is not None:
                    self._paused_until = max(self._paused_until, self._clock.now() + failed.wait_s)
                    if failed.wait_s > LONGEST_WAIT_S:
                        raise self._paused() from None
                if not failed.again or attempt == ATTEMPTS or self._retry_budget < 1:
                    raise failed.error from None
                self._retry_budget -= 1
                if not failed.wait_s:  # asked to wait for 0 s, it would be asked four times at once
                    await self._clock.sleep(self._clock.random() * BACKOFF_S * 2 ** (attempt - 1))
            else:
                self._retry_budget = min(RETRY_BUDGET, self._retry_budget + 2)
                return body
        raise AssertionError("unreachable")  # pragma: no cover

    def _url(self, request: Request) -> httpx.URL:
        path = request.path
        try:
            url = httpx.URL(path if "://" in path else f"{self._base}/{path.lstrip('/')}")
            if request.params:
                url = url.copy_merge_params(request.params)
        except (httpx.InvalidURL, ValueError):  # ValueError: half a surrogate pair, which no URL can hold
            raise PagingStopped(
                f"{self._who} gave a link or a cursor for its next page that fits into no address."
            ) from None
        if (url.scheme, url.host, _port(url)) != (self._base.scheme, self._base.host, _port(self._base)):
            raise PagingStopped(
                f"{self._who} gave a link to another host for its next page. It was not followed, so that "
                "the key stays with the vendor."
            )
        return url

    async def _acquire_slot(self) -> None:
        """Wait for this source's pace and for the pause it asked for."""
        self._refuse_long_pause()
        async with self._slot_lock:
            self._refuse_long_pause()
            # Again after each sleep: another request may have been told to wait meanwhile.
            while (seconds := max(self._next_slot, self._paused_until) - self._clock.now()) > 0:
                await self._clock.sleep(seconds)
                self._refuse_long_pause()
            self._next_slot = self._clock.now() + self._interval

    def _refuse_long_pause(self) -> None:
        if self._paused_until - self._clock.now() > LONGEST_WAIT_S:
            raise self._paused()

    def _paused(self) -> VendorError:
        seconds = math.ceil(round(self._paused_until - self._clock.now(), 3))
        return VendorError(
            "rate_limited",
            f"{self._who} asks to be left alone for another {seconds:,} s. Ask again after that.",
            retry_after_s=seconds,
        )

    async def _attempt(self, request: Request, url: httpx.URL) -> object:
        """One request, one answer. Raises _Failed."""
        with self._clock.move_on_at(self._clock.now() + self._pool.limits.whole_s):
            try:
                async with self._sent(request, url) as response:
                    status, headers = response.status_code, response.headers
                    if status == 200:
                        raw = await self._read(response)
                    else:
                        raw = await self._read_error(response)
            except httpx.TimeoutException as e:
                what = "let itself be reached" if isinstance(e, httpx.ConnectTimeout) else "answer"
                raise self._fail("timeout", f"did not {what} in time. Ask again later.", again=True) from e
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as e:
                raise self._fail("unavailable", "broke off its answer. Ask again later.", again=True) from e
            except (httpx.TransportError, OSError) as e:
                raise self._unreachable(e) from e
            return self._parse_response(status, headers, raw)
        raise self._fail("timeout", "did not finish its answer in time. Ask again later.", again=True)

    def _sent(self, request: Request, url: httpx.URL) -> AbstractAsyncContextManager[httpx.Response]:
        headers = dict(self.account.vendor.headers(self.account.values))
        try:
            client = self._pool.client(url)
        except (ImportError, ValueError, httpx.InvalidURL) as e:
            raise self._fail(
                "unavailable",
                "was not asked: the proxy that HTTPS_PROXY or ALL_PROXY names cannot be used. Name one that "
                "begins with http://, or none.",
            ) from e
        return client.stream(request.method, url, headers=headers, json=request.json)

    async def _read(self, response: httpx.Response) -> bytes:
        """The body, unpacked, never more of it than the cap allows.

        Unpacked here because the client's own unpacking makes a whole chunk at once, thousandfold.
        """
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip"):
            raise self._fail("bad_response", "sent its answer in an encoding that was not asked for.")
        unpack = zlib.decompressobj(31) if "gzip" in encoding else None
        cap = self._pool.limits.body
        body = bytearray()
        begun = False
        async for chunk in response.aiter_raw():
            begun = True
            try:
                body += unpack.decompress(chunk, cap + 1 - len(body)) if unpack else chunk
            except zlib.error:
                raise self._fail("bad_response", "sent an answer that cannot be unpacked.") from None
            if len(body) > cap:
                raise _Failed(
                    PagingStopped(
                        f"{self._who} sent a page of more than {cap / 1048576:.3g} MiB; the rest was left."
                    ),
                    again=False,
                )
        if unpack and begun and not unpack.eof:
            raise self._fail("unavailable", "broke off its answer. Ask again later.", again=True)
        return bytes(body)

    async def _read_error(self, response: httpx.Response) -> bytes:
        """The start of an error's body, for the hints in it. What cannot be read is not needed."""
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > ERROR_BODY_CAP:
                    return b""
            if "gzip" in response.headers.get("content-encoding", "").lower():
                return zlib.decompressobj(31).decompress(bytes(body), ERROR_BODY_CAP)
            return bytes(body)
        except (httpx.TransportError, zlib.error):
            return b""

    def _parse_response(self, status: int, headers: httpx.Headers, raw: bytes) -> object:
        """The body of a good answer. Raises _Failed."""
        log.debug("%s: HTTP %d, %d bytes", self.account.source, status, len(raw))
        body, readable = parse_body(raw)
        amounts_to = self.account.vendor.effective_status(status, body)
        if amounts_to == 200 and readable:
            return body
        if amounts_to == 200 and raw and not {"content-length", "transfer-encoding"} & set(headers):
            # Of such an answer nothing but its sense tells whether it came to its end.
            raise self._fail("unavailable", "broke off its answer. Ask again later.", again=True)
        if amounts_to == 200:
            page = raw.lstrip()[:1] == b"<"
            what = (
                "a web page" if page else "something that is not JSON" if raw.strip() else "an empty answer"
            )
            raise self._fail(
                "bad_response",
                f"sent {what} instead of data. Check {self._variable('base_url')} and any proxy in between.",
            )
        again = amounts_to in RETRIED
        wait_s = (
            parse_wait(headers.get("retry-after"), self.account.vendor.retry_after(body), self._clock.utc())
            if again
            else None
        )
        kind, text = describe_status(amounts_to, self.account)
        raise self._fail(kind, text, again=again, wait_s=wait_s)

    def _unreachable(self, e: Exception) -> _Failed:
        cause: BaseException | None = e
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return self._fail(
                    "unavailable",
                    "was not asked: this computer does not trust its TLS certificate. Check the network, and "
                    "that a company proxy's certificate is in the system's trust store.",
                )
            cause = cause.__cause__ or cause.__context__
        return self._fail(
            "unavailable",
            f"could not be reached. Check the network, the proxy settings and {self._variable('base_url')}.",
            again=True,
        )

    def _fail(self, kind: Kind, text: str, *, again: bool = False, wait_s: float | None = None) -> _Failed:
        retry_after = None if wait_s is None else math.ceil(wait_s)
        error = VendorError(kind, f"{self._who} {text}", retry_after_s=retry_after)
        return _Failed(error, again=again, wait_s=wait_s)

    def _variable(self, role: str) -> str:
        return self.account.variables[role]

    @property
    def _who(self) -> str:
        return f"{self.account.source}: {self.account.vendor.title} ({self._base.host})"


def _port(url: httpx.URL) -> int | None:
    return url.port or {"https": 443, "http": 80}.get(url.scheme)

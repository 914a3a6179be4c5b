"""One account's HTTP: what goes out, what comes back, and when to try again.

`VendorClient.fetch` is the only way to a vendor. It answers with parsed JSON or raises a `VendorError` whose
text holds nothing that the vendor wrote.
"""

from __future__ import annotations

import logging
import math
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

import httpx

from audience_mcp.config import Account
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import Kind, PagingStopped, VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.bodies import TooLarge, Unreadable, read_body, read_error_body
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.credentials import Credentials
from audience_mcp.sources.pacing import Pacing, Paused
from audience_mcp.sources.responses import describe_status, find_wait, parse_body
from audience_mcp.sources.sharing import SharedTurns
from audience_mcp.vendors.base import TokenExchange
from audience_mcp.vendors.request import Request, Response

log = logging.getLogger(__name__)

ATTEMPTS = 4
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
BACKOFF_S = 1.0
RETRY_BUDGET = 6
"""Retries a source may spend before it must succeed again: a dead vendor soon costs one attempt a call."""

MESSAGES: Mapping[str, tuple[Kind, str]] = {
    "bad_url": ("not_configured", "{base_url} is not a valid URL. Fix it and restart the server."),
    "bad_proxy": (
        "unavailable",
        "was not called: the proxy in HTTPS_PROXY or ALL_PROXY is not supported. Use an http:// proxy "
        "or unset it.",
    ),
    "connect_timeout": ("timeout", "could not be reached: the connection timed out. Try again later."),
    "read_timeout": ("timeout", "did not respond in time. Try again later."),
    "slow": ("timeout", "did not complete its response in time. Try again later."),
    "cut_off": ("unavailable", "closed the connection before its response was complete. Try again later."),
    "untrusted": (
        "unavailable",
        "was not called: this computer does not trust its TLS certificate. Check the network, and that a "
        "company proxy's certificate is in the system's trust store.",
    ),
    "unreachable": (
        "unavailable",
        "could not be reached. Check the network, the proxy settings and {base_url}.",
    ),
    "encoding": ("bad_response", "sent its response in an encoding that was not asked for."),
    "broken_gzip": ("bad_response", "sent a response that cannot be decompressed."),
    "not_json": ("bad_response", "sent {what} instead of data. Check {base_url} and any proxy in between."),
    "paused": ("rate_limited", "is rate limiting this key. Try again in {seconds:,} s."),
}
STOPS = {
    "bad_link": "returned a next-page link or cursor that is not a valid URL.",
    "other_host": "returned a next-page link to another host. It was not followed, so that the key stays "
    "with the vendor.",
    "too_large": "sent a page of more than {cap:.3g} MiB; the rest was not read.",
}


@dataclass(slots=True)
class _Answered:
    """What one attempt brought: a status that the vendor's hooks have judged, and the parsed body."""

    status: int
    body: object


class _Failed(Exception):
    """One attempt failed; whether another makes sense is for the caller to say."""

    def __init__(self, error: VendorError, *, again: bool, wait_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.wait_s = wait_s


@dataclass(slots=True)
class _Sent:
    """A request on its way: the URL, and the headers with the exchanged token in them, if any."""

    request: Request
    url: httpx.URL
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    data: Mapping[str, str] | None = None


class VendorClient:
    """The HTTP of one account: address, credentials, pace and retries.

    redactor: takes secrets out of what the vendor sends, and learns those that it gives out. shared: the
    turns of all processes, where they share a store.
    """

    def __init__(
        self,
        account: Account,
        pool: Pool,
        clock: Clock | None = None,
        redactor: Redactor | None = None,
        shared: SharedTurns | None = None,
    ) -> None:
        self.account = account
        self._pool = pool
        self._clock = clock or Clock()
        try:
            self._base = httpx.URL(account.base_url)
        except (httpx.InvalidURL, UnicodeError):
            kind, text = MESSAGES["bad_url"]
            text = f"{account.source}: {text.format_map(account.variables)}"
            raise VendorError(kind, text) from None
        self._retry_budget = RETRY_BUDGET
        self._pacing = Pacing(account.rates, self._clock, shared)
        self._redactor = redactor or Redactor(account.secrets)
        self._credentials = Credentials(account, self._exchange, self._clock, self._redactor.add)

    async def fetch(self, request: Request) -> object:
        """The JSON that answers `request`, after as many as 4 attempts. Raises VendorError.

        A token that ran out is renewed, and the request repeated, once.
        """
        request = self.account.vendor.sign(request, self.account.values)
        sent = _Sent(request, self._url(request))
        for renewed in (False, True):
            sent.headers, sent.token = await self._credentials.headers()
            try:
                return (await self._with_retries(sent)).body
            except VendorError as e:
                if renewed or e.kind != "unauthorized" or not self._credentials.renewable:
                    raise
                self._credentials.forget(sent.token)
        raise AssertionError("unreachable")  # pragma: no cover

    async def _exchange(self, exchange: TokenExchange) -> tuple[int, object]:
        """Post a token exchange. Raises VendorError where it has no answer."""
        form = exchange.encoding == "form"
        request = Request(
            exchange.url, method="POST", json=None if form else dict(exchange.fields), pace="token"
        )
        sent = _Sent(request, httpx.URL(exchange.url), data=exchange.fields if form else None)
        try:
            answered = await self._with_retries(sent, judged=False)
        except VendorError as e:
            if e.status is None or e.passing:
                raise
            return e.status, None
        return answered.status, answered.body

    async def _with_retries(self, sent: _Sent, *, judged: bool = True) -> _Answered:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._pacing.acquire_slot(sent.request.pace)
                answered = await self._attempt(sent, judged)
            except Paused as e:  # noqa: PERF203 (at most four times)
                raise self._explain_pause(e.seconds) from None
            except _Failed as failed:
                if failed.wait_s is not None:
                    try:
                        await self._pacing.pause(failed.wait_s)
                    except Paused as e:
                        raise self._explain_pause(e.seconds) from None
                if not failed.again or attempt == ATTEMPTS or self._retry_budget < 1:
                    raise failed.error from None
                self._retry_budget -= 1
                if not failed.wait_s:  # asked to wait for 0 s, it would be asked four times at once
                    await self._clock.sleep(self._clock.random() * BACKOFF_S * 2 ** (attempt - 1))
            else:
                self._retry_budget = min(RETRY_BUDGET, self._retry_budget + 2)
                return answered
        raise AssertionError("unreachable")  # pragma: no cover

    def _url(self, request: Request) -> httpx.URL:
        path = request.path
        try:
            url = httpx.URL(path if "://" in path else f"{self._base}/{path.lstrip('/')}")
            if request.params:
                url = url.copy_merge_params(request.params)
        except (httpx.InvalidURL, ValueError):  # ValueError: half a surrogate pair, which no URL can hold
            raise self._stop("bad_link") from None
        if (url.scheme, url.host, _port(url)) != (self._base.scheme, self._base.host, _port(self._base)):
            raise self._stop("other_host")
        return url

    async def _attempt(self, sent: _Sent, judged: bool) -> _Answered:
        """One request, one response. Raises _Failed."""
        limits = self._pool.limits
        with self._clock.move_on_at(self._clock.now() + limits.whole_s):
            try:
                async with self._send(sent) as response:
                    good = response.status_code == 200
                    raw = await (read_body(response, limits.body) if good else read_error_body(response))
            except Unreadable as e:
                raise self._fail(e.message, again=e.again) from None
            except TooLarge:
                raise _Failed(self._stop("too_large", cap=limits.body / 1048576), again=False) from None
            except httpx.ConnectTimeout as e:
                raise self._fail("connect_timeout", again=True) from e
            except httpx.TimeoutException as e:
                raise self._fail("read_timeout", again=True) from e
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as e:
                raise self._fail("cut_off", again=True) from e
            except (httpx.TransportError, OSError) as e:
                raise self._fail(
                    *(("untrusted", False) if _is_untrusted(e) else ("unreachable", True))
                ) from e
            return self._parse_response(sent.request, response, raw, judged)
        raise self._fail("slow", again=True)

    def _send(self, sent: _Sent) -> AbstractAsyncContextManager[httpx.Response]:
        try:
            client = self._pool.client(sent.url)
        except (ImportError, ValueError, httpx.InvalidURL) as e:
            raise self._fail("bad_proxy") from e
        body = sent.request.json
        headers = {**sent.headers, **({} if body is None else {"Content-Type": sent.request.media_type})}
        return client.stream(sent.request.method, sent.url, headers=headers, json=body, data=sent.data)

    def _parse_response(self, request: Request, http: httpx.Response, raw: bytes, judged: bool) -> _Answered:
        """What a response comes to. Raises _Failed."""
        account = self.account
        log.debug("%s: HTTP %d, %d bytes", account.source, http.status_code, len(raw))
        body, is_json = parse_body(raw)
        now = self._clock.utc().timestamp()
        headers = {name.lower(): value for name, value in http.headers.items()}
        response = Response(request, http.status_code, headers, body, is_json, now)
        status = account.vendor.status_of(response) if judged else response.status
        if status == 200 and is_json:
            return _Answered(status, self._redactor.body(raw, body) if judged else body)
        if status == 200 and raw and not {"content-length", "transfer-encoding"} & set(headers):
            # Of such a response nothing but its sense tells whether it came to its end.
            raise self._fail("cut_off", again=True)
        if status == 200:
            page = raw.lstrip()[:1] == b"<"
            what = (
                "a web page" if page else "something that is not JSON" if raw.strip() else "an empty response"
            )
            raise self._fail("not_json", what=what)
        again = status in RETRIED
        wait_s = find_wait(replace(response, status=status), account) if again else None
        kind, text = describe_status(status, account)
        retry_after = None if wait_s is None else math.ceil(wait_s)
        error = VendorError(kind, f"{self._who} {text}", retry_after_s=retry_after, status=status)
        raise _Failed(error, again=again, wait_s=wait_s)

    def _explain_pause(self, seconds: float) -> VendorError:
        whole = math.ceil(round(seconds, 3))
        kind, text = MESSAGES["paused"]
        return VendorError(kind, f"{self._who} {text.format(seconds=whole)}", retry_after_s=whole)

    def _fail(self, message: str, again: bool = False, **facts: str) -> _Failed:
        kind, text = MESSAGES[message]
        text = text.format_map({**self.account.variables, **facts})
        return _Failed(VendorError(kind, f"{self._who} {text}"), again=again)

    def _stop(self, message: str, **facts: float) -> PagingStopped:
        return PagingStopped(f"{self._who} {STOPS[message].format_map(facts)}")

    @property
    def _who(self) -> str:
        return f"{self.account.source}: {self.account.vendor.title} ({self._base.host})"


def _is_untrusted(e: Exception) -> bool:
    """Whether a connection failed because this computer does not trust the certificate."""
    cause: BaseException | None = e
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _port(url: httpx.URL) -> int | None:
    return url.port or {"https": 443, "http": 80}.get(url.scheme)

"""One account's HTTP: what goes out, what comes back, and when to try again.

`VendorClient.fetch` is the only way to a vendor. It answers with parsed JSON or raises a `VendorError` whose
text holds nothing that the vendor wrote.
"""

from __future__ import annotations

import logging
import math
import ssl
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import quote

import httpx

from audience_mcp.config import Account
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import Kind, PagingStopped, VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.bodies import TooLarge, Unreadable, read_body, read_error_body
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.credentials import Credentials
from audience_mcp.sources.pacing import Pacing, Paused, pause_of
from audience_mcp.sources.responses import (
    describe_page,
    describe_status,
    find_hint,
    find_wait,
    is_passing,
    is_web_page,
    parse_body,
    read_status,
)
from audience_mcp.sources.sharing import SharedTurns
from audience_mcp.sources.traffic import Traffic
from audience_mcp.vendors.request import Encoded, Request, Response

log = logging.getLogger(__name__)

ATTEMPTS = 4
BACKOFF_S = 1.0
RETRY_BUDGET = 6
"""Retries that a kind of request may spend before one must succeed again: a dead vendor soon costs one
attempt a call."""

TOKEN_REFUSED = (400, 401, 403, 422)
"""Statuses by which settings are refused that are exchanged for a token (RFC 6749, section 5.2)."""

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


class _Failed(Exception):
    """One attempt failed; whether another makes sense is for the caller to say."""

    def __init__(
        self, error: VendorError, *, again: bool, wait_s: float | None = None, hint: str = ""
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.wait_s = wait_s
        self.hint = hint


@dataclass(slots=True)
class _Sent:
    """A request on its way, authorized, and its URL. token: the exchanged token in it, if any.

    address: the role of the setting that says where it goes.
    """

    request: Request
    url: httpx.URL = field(repr=False)
    address: str
    token: str | None = field(default=None, repr=False)


class VendorClient:
    """The HTTP of one account: address, credentials, pace and retries.

    redactor: takes secrets out of what the vendor sends, and learns those that it gives out. shared: the
    turns of all processes, where they share a store. traffic: counts the requests.
    """

    def __init__(
        self,
        account: Account,
        pool: Pool,
        clock: Clock | None = None,
        redactor: Redactor | None = None,
        shared: SharedTurns | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self.account = account
        self._traffic = traffic or Traffic()
        self._pool = pool
        self._clock = clock or Clock()
        self._base = self._parse_address("base_url", account.base_url)
        self._roles = {
            _origin(self._parse_address(role, url)): role
            for role, url in account.addresses(own=False).items()
        }
        self._own = {_origin(self._parse_address(*pair)) for pair in account.addresses(own=True).items()}
        self._retries = Counter[str]()
        self._warned = False
        self._pacing = Pacing(account.rates, self._clock, shared)
        self._redactor = redactor or Redactor(account.secrets)
        learn = partial(self._redactor.add_passing, account.source)
        self._credentials = Credentials(account, self._exchange, self._clock, learn)

    async def fetch(self, request: Request) -> object:
        """The JSON that answers `request`, after as many as 4 attempts. Raises VendorError.

        A token that ran out is renewed, and the request repeated, once.
        """
        for renewed in (False, True):
            authorized, token = await self._credentials.authorize(request)
            url = self._url(authorized)
            sent = _Sent(authorized, url, self._role_of(url), token)
            try:
                return (await self._with_retries(sent)).body
            except VendorError as e:
                if renewed or e.kind != "unauthorized" or not self._credentials.renewable:
                    raise
                self._credentials.forget(sent.token)
        raise AssertionError("unreachable")  # pragma: no cover

    async def _exchange(self, request: Request) -> Response:
        """Send a request for a token, to whatever host. Raises VendorError where it has no answer."""
        url = httpx.URL(request.path)
        return await self._with_retries(_Sent(request, url, self._role_of(url)))

    async def _with_retries(self, sent: _Sent) -> Response:
        kind = pause_of(sent.request)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._pacing.acquire_slot(sent.request.pace, kind)
                answered = await self._attempt(sent)
            except Paused as e:  # noqa: PERF203 (at most four times)
                raise self._explain_pause(e.seconds, sent) from None
            except _Failed as failed:
                if failed.wait_s is not None:
                    try:
                        await self._pacing.pause(failed.wait_s, kind)
                    except Paused as e:
                        raise self._explain_pause(e.seconds, sent, failed.hint) from None
                if not failed.again or attempt == ATTEMPTS or self._retries[kind] >= RETRY_BUDGET:
                    raise failed.error from None
                self._retries[kind] += 1
                if not failed.wait_s:  # asked to wait for 0 s, it would be asked four times at once
                    await self._clock.sleep(self._clock.random() * BACKOFF_S * 2 ** (attempt - 1))
            else:
                self._retries[kind] = max(0, self._retries[kind] - 2)
                return answered
        raise AssertionError("unreachable")  # pragma: no cover

    def _url(self, request: Request) -> httpx.URL:
        path = request.path
        try:
            url = httpx.URL(path if "://" in path else f"{self._base}/{path.lstrip('/')}")
            url = _with_query(url, request.params)
        except (httpx.InvalidURL, ValueError):  # ValueError: half a surrogate pair, which no URL can hold
            raise self._stop("bad_link", self._base) from None
        if _origin(url) not in self._own:
            raise self._stop("other_host", self._base)
        return url

    def _parse_address(self, role: str, address: str) -> httpx.URL:
        try:
            return httpx.URL(address)
        except (httpx.InvalidURL, UnicodeError):
            kind, text = MESSAGES["bad_url"]
            text = text.format(base_url=self.account.variables[role])
            raise VendorError(kind, f"{self.account.source}: {text}") from None

    def _role_of(self, url: httpx.URL) -> str:
        return self._roles.get(_origin(url), "base_url")

    async def _attempt(self, sent: _Sent) -> Response:
        """One request, one response. Raises _Failed."""
        source, method, host = self.account.source, sent.request.method, sent.url.host
        with self._traffic.follow(source, method, host) as exchange:
            try:
                http, raw = await self._receive(sent)
            except _Failed as failed:
                exchange.failed(failed.error.kind)
                raise
            exchange.answered(http.status_code)
        return self._parse_response(sent, http, raw)

    async def _receive(self, sent: _Sent) -> tuple[httpx.Response, bytes]:
        """Send a request; the response and its body. Raises _Failed."""
        limits = self._pool.limits
        with self._clock.move_on_at(self._clock.now() + limits.whole_s):
            try:
                async with self._send(sent) as response:
                    good = response.status_code == 200
                    raw = await (read_body(response, limits.body) if good else read_error_body(response))
            except Unreadable as e:
                raise self._fail(sent, e.message, again=e.again) from None
            except TooLarge:
                stop = self._stop("too_large", sent.url, cap=limits.body / 1048576)
                raise _Failed(stop, again=False) from None
            except httpx.ConnectTimeout as e:
                raise self._fail(sent, "connect_timeout", again=True) from e
            except httpx.TimeoutException as e:
                raise self._fail(sent, "read_timeout", again=True) from e
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as e:
                raise self._fail(sent, "cut_off", again=True) from e
            except (httpx.TransportError, OSError) as e:
                untrusted = _is_untrusted(e)
                message = "untrusted" if untrusted else "unreachable"
                raise self._fail(sent, message, again=not untrusted) from e
            return response, raw
        raise self._fail(sent, "slow", again=True)

    def _send(self, sent: _Sent) -> AbstractAsyncContextManager[httpx.Response]:
        try:
            client = self._pool.client(sent.url)
        except (ImportError, ValueError, httpx.InvalidURL) as e:
            raise self._fail(sent, "bad_proxy") from e
        request = sent.request
        typed = {} if request.json is None else {"Content-Type": request.media_type}
        headers = {**request.headers, **typed}
        return client.stream(request.method, sent.url, headers=headers, json=request.json, data=request.form)

    def _parse_response(self, sent: _Sent, http: httpx.Response, raw: bytes) -> Response:
        """What a response comes to; for a token, whatever it says. Raises _Failed."""
        account, request = self.account, sent.request
        log.debug("%s: HTTP %d, %d bytes", account.source, http.status_code, len(raw))
        body, is_json = parse_body(raw)
        now = self._clock.utc().timestamp()
        headers = {name.lower(): value for name, value in http.headers.items()}
        response = Response(request, http.status_code, headers, body, is_json, now)
        for_token, page = request.purpose == "token", is_web_page(response, raw)
        status = response.status if for_token or page else read_status(response, account.vendor)
        again = is_passing(status, account.vendor)
        if for_token and not page and (status in TOKEN_REFUSED or (status == 200 and is_json)):
            return response
        self._heed_warning(headers)
        if status == 200 and is_json:
            return replace(response, body=self._redactor.body(raw, body))
        if status == 200 and raw and not {"content-length", "transfer-encoding"} & set(headers):
            # Of such a response nothing but its sense tells whether it came to its end.
            raise self._fail(sent, "cut_off", again=True)
        if status == 200:
            looks = "a web page" if raw.lstrip()[:1] == b"<" else "something that is not JSON"
            what = looks if raw.strip() else "an empty response"
            raise self._fail(sent, "not_json", what=what)
        wait_s = find_wait(replace(response, status=status), account) if again else None
        if page:
            kind, text = describe_page(account, response, sent.address)
        else:
            kind, text = describe_status(status, account, response, sent.address)
        error = VendorError(
            kind,
            f"{self._who(sent.url)} {text}",
            retry_after_s=None if wait_s is None else math.ceil(wait_s),
            status=None if page else status,
            foreign=page,
        )
        raise _Failed(error, again=again, wait_s=wait_s, hint=find_hint(account, response) or "")

    def _heed_warning(self, headers: Mapping[str, str]) -> None:
        """Log once that the vendor answers with another version than the one that was requested."""
        version = self.account.vendor.version
        if version is not None and not self._warned and version.warning.lower() in headers:
            self._warned = True
            log.warning("%s: answered by a newer version than %s", self.account.source, version.name)

    def _explain_pause(self, seconds: float, sent: _Sent, hint: str = "") -> VendorError:
        whole = math.ceil(round(seconds, 3))
        kind, text = MESSAGES["paused"]
        text = f"{self._who(sent.url)} {text.format(seconds=whole)} {hint}".rstrip()
        return VendorError(kind, text, retry_after_s=whole)

    def _fail(self, sent: _Sent, message: str, again: bool = False, **facts: str) -> _Failed:
        kind, text = MESSAGES[message]
        text = text.format_map({"base_url": self.account.variables[sent.address], **facts})
        return _Failed(VendorError(kind, f"{self._who(sent.url)} {text}"), again=again)

    def _stop(self, message: str, url: httpx.URL, **facts: float) -> PagingStopped:
        return PagingStopped(f"{self._who(url)} {STOPS[message].format_map(facts)}")

    def _who(self, url: httpx.URL) -> str:
        return f"{self.account.source}: {self.account.vendor.title} ({url.host})"


def _with_query(url: httpx.URL, params: Mapping[str, str]) -> httpx.URL:
    """The URL with params in its query; encoded values come last, since merging would encode them twice."""
    plain = {name: value for name, value in params.items() if not isinstance(value, Encoded)}
    encoded = [
        f"{quote(name, safe='')}={value}" for name, value in params.items() if isinstance(value, Encoded)
    ]
    if plain:
        url = url.copy_merge_params(plain)
    if encoded:
        url = url.copy_with(query="&".join([*filter(None, [url.query.decode()]), *encoded]).encode())
    return url


def _is_untrusted(e: Exception) -> bool:
    """Whether a connection failed because this computer does not trust the certificate."""
    cause: BaseException | None = e
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port: what decides whether two addresses are of one server."""
    return url.scheme, url.host, url.port or {"https": 443, "http": 80}.get(url.scheme)

"""What a vendor's response says: its JSON, what a failed status means, and how long it asks to wait."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from pydantic_core import from_json

from audience_mcp.config import Account
from audience_mcp.core.errors import Kind
from audience_mcp.vendors.base import Vendor, Version, Wait
from audience_mcp.vendors.key_pages import point_to_key_page
from audience_mcp.vendors.parsing import is_object, value_at, values_at
from audience_mcp.vendors.request import Purpose, Request, Response

DAY_S = 86_400
LONGEST_HINT_S = 31 * DAY_S
"""No limit is of more than a month: a longer wait is a mistake of the vendor's, and is taken as a day."""
MOMENTS_FROM = 10**9
"""A number this high is no wait but a moment, in Unix seconds, whatever was announced."""
MILLISECONDS_FROM = 10**11
"""A moment this high is in milliseconds."""

_UNITS = {"s": 1.0, "ms": 0.001, "min": 60.0}
_WITH_UNIT = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s?(ms|s|m|min|h)?", re.ASCII)
_TEXT_UNITS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

RETRIED = frozenset({408, 425, 429})
NOT_RETRIED = frozenset({501, 505, 511})
"""Server errors that do not pass by themselves."""
TOO_BIG = frozenset({413, 414})
"""The request is too big for the vendor; a smaller one may not be."""
INVALID = frozenset({400, 422})
"""Something that the request says is not valid."""
TOOK_TOO_LONG = frozenset({504, 524})
"""What stands in front of the vendor did not wait for it any longer."""
LOG_IN = 511
"""The network wants a person to log in first (RFC 6585)."""
STALE_CURSOR = 410
ENDED = 426
"""The version of the API is no longer served."""
REFUSED = frozenset({401, 403})
"""Another key may help."""

MESSAGES: dict[int, tuple[Kind, str]] = {
    400: ("invalid_request", "rejected the request (HTTP {status})."),
    401: ("unauthorized", "refused the key."),
    402: (
        "forbidden",
        "asks for a payment first (HTTP {status}): the plan may not include this, or a bill is unpaid.",
    ),
    403: ("forbidden", "does not let this key read audiences."),
    404: ("not_found", "returned 404 Not Found. Check {base_url}."),
    408: ("timeout", "timed out waiting for the request (HTTP {status}). Try again later."),
    410: ("invalid_request", "says that what was requested is gone (HTTP {status})."),
    413: ("invalid_request", "cannot answer a request of this size (HTTP {status})."),
    414: ("invalid_request", "cannot answer a request of this size (HTTP {status})."),
    425: ("unavailable", "is temporarily unavailable (HTTP {status}). Try again later."),
    429: ("rate_limited", "is rate limiting requests (HTTP {status}). Try again in a minute."),
}
REDIRECT = (
    "answered with a redirect (HTTP {status}), which is not followed, so that the key stays with the vendor. "
    "Check {base_url}."
)
UNAVAILABLE = "is temporarily unavailable (HTTP {status}). Try again later."
REJECTED = "rejected the request (HTTP {status})."
UNEXPECTED = "answered with HTTP {status} where 200 was expected."
STALE = "no longer accepts the cursor of this page (HTTP {status}). Try again."
NOT_ALLOWED: dict[Purpose, str] = {
    "one": "does not let this key read a single audience.",
    "count": "does not let this key read sizes.",
    "history": "does not let this key read past sizes.",
}
"""What a 403 says of requests other than those for lists."""
OF_AUDIENCES: tuple[Purpose, ...] = ("one", "count", "history")
UNKNOWN = "does not know what was requested (HTTP {status})."
"""What a 404 says of requests for audiences: nothing of the address."""
PAGE = "answered with a web page in place of data (HTTP {status})"
BLOCKED = (
    f"{PAGE}: a protection in front of it may be blocking this computer's address; the key may be right."
)
BUSY = f"{PAGE}. Try again later."
ASTRAY = f"{PAGE}. Check {{base_url}} and any proxy in between."
SAME_OF_ALL = TOO_BIG | {402}
"""Statuses that mean the same whoever sends them, and in whatever form."""
_CLOUDFLARE = re.compile(rb"error code: 1\d{3}\s*", re.ASCII)
"""What Cloudflare says in place of a page to what is not a browser."""


def parse_body(raw: bytes) -> tuple[object, bool]:
    """The JSON in `raw`, and whether it is JSON at all."""
    try:
        return from_json(raw), True
    except ValueError:
        pass  # twice as fast, but stricter: half a surrogate pair or a byte order mark must not lose a page
    for read in (_read_strictly, _read_leniently):
        try:
            return read(raw), True
        except (ValueError, RecursionError):  # noqa: PERF203 (RecursionError: ten thousand brackets)
            continue
    return None, False


def _read_strictly(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # Python takes no number of more than 4,300 digits; it must not lose a page
        return json.loads(raw, parse_int=_parse_int)


def _read_leniently(raw: bytes) -> object:
    """JSON with a bad byte, which becomes U+FFFD, or with raw control characters in its texts."""
    text = raw.decode("utf-8", "replace").lstrip("\ufeff")
    return json.loads(text, parse_int=_parse_int, strict=False)


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float(digits)


def read_status(response: Response, vendor: Vendor) -> int:
    """The HTTP status that a response amounts to: by its vendor, and 413 where it refuses the size of a
    page."""
    status = vendor.status(response)
    invalid = INVALID & {status, response.status}  # a vendor may answer so to a wrong key as well
    return 413 if invalid and _refuses_page_size(response, vendor) else status


def _refuses_page_size(response: Response, vendor: Vendor) -> bool:
    """Whether the body of a refused page names the parameter with its number of rows.

    The name alone counts, as a text of its own or as a key (`{"errors": {"limit": ["…"]}}`,
    `{"detail": [{"loc": ["query", "limit"]}]}`); sentences are not read, nor a key that only repeats what was
    sent.
    """
    request = response.request
    if request.purpose != "list":
        return False
    names = {each.page_size for each in vendor.listings if each.page_size}
    sizes = {name: request.params.get(name) or value_at(request.json, name) for name in names}
    sent = {name: str(size) for name, size in sizes.items() if size}
    inside = [response.body]
    while inside and sent:
        each = inside.pop()
        if isinstance(each, str) and each in sent:
            return True
        if is_object(each):
            if any(name in sent and str(said) != sent[name] for name, said in each.items()):
                return True
            inside += each.values()
        elif isinstance(each, list):
            inside += each
    return False


def is_passing(status: int, vendor: Vendor) -> bool:
    """Whether a failed status passes by itself, so that the request is worth repeating."""
    return status in RETRIED or status in vendor.passing or (status >= 500 and status not in NOT_RETRIED)


def is_web_page(response: Response, raw: bytes) -> bool:
    """Whether a failure comes from what stands in front of the vendor, and is not the vendor's own word.

    Other failures of servers pass, whoever sends them.
    """
    status, headers = response.status, response.headers
    if not (400 <= status < 500 or status in (503, LOG_IN)) or status in SAME_OF_ALL:
        return False
    marks = headers.get("cf-mitigated"), "AkamaiGHost" in headers.get("server", "")
    if any(marks) or value_at(response.body, "type") == "akamai_error_message":
        return True
    if response.is_json:
        return False
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" or _CLOUDFLARE.fullmatch(raw):
        return True
    return "text/html" in headers.get("content-type", "").lower() and not _is_text(raw)


def _is_text(raw: bytes) -> bool:
    """Whether bytes are text as it is; what is compressed, or in an old encoding, is not."""
    try:
        return "\0" not in raw.decode()
    except UnicodeDecodeError:
        return False


def describe_page(account: Account, response: Response, address: str = "base_url") -> tuple[Kind, str]:
    """A web page in place of data, as `describe_status` does."""
    status, vendor = response.status, account.vendor
    if _has_ended(status, account, response):
        return _describe_end(status, account)
    kind, _ = _describe(status)
    if status in REFUSED:
        return kind, BLOCKED.format(status=status)
    if is_passing(status, vendor):
        return "unavailable" if status in vendor.passing else kind, BUSY.format(status=status)
    text = ASTRAY.format(status=status, base_url=account.variables[address])
    return kind, f"{text} {vendor.error_hints.get(kind, '').format_map(account.variables)}".rstrip()


def describe_status(
    status: int, account: Account, response: Response | None = None, address: str = "base_url"
) -> tuple[Kind, str]:
    """A failed status as a kind, and as the rest of a sentence that begins with the source.

    status: what the answer amounts to, which decides the kind. response: what came, whose own status is the
    one that is printed. address: the role of the setting that says where the request went.
    """
    came = status if response is None else response.status
    vendor, variables = account.vendor, account.variables
    if status == ENDED or (response is not None and _has_ended(status, account, response)):
        return _describe_end(came, account)
    kind, text = _describe(status)
    if status in vendor.passing:
        kind, text = "unavailable", UNAVAILABLE
    elif response is not None and status == STALE_CURSOR:
        kind, text = _describe_gone(account, response.request)
    elif response is not None and status == 403:
        text = NOT_ALLOWED.get(response.request.purpose, text)
    elif response is not None and status == 404 and response.request.purpose in OF_AUDIENCES:
        text = UNKNOWN
    text = text.format(status=came, base_url=variables[address])
    hint = vendor.error_hints.get(kind, "").format_map(variables)
    if response is not None:
        hint = find_hint(account, response) or hint
    page = point_to_key_page(vendor) if status in REFUSED else ""
    return kind, " ".join(filter(None, (text, hint, page)))


def kind_of(status: int) -> Kind:
    """The kind of error that a failed status is."""
    return _describe(status)[0]


def _describe(status: int) -> tuple[Kind, str]:
    if status in MESSAGES:
        return MESSAGES[status]
    if status >= 500:
        return "unavailable", UNAVAILABLE
    if status >= 400:
        return "invalid_request", REJECTED
    return "bad_response", REDIRECT if status >= 300 else UNEXPECTED


def _describe_gone(account: Account, request: Request) -> tuple[Kind, str]:
    """What a 410 means: a cursor that is too old, or an audience that is gone, save where it is a version."""
    if request.purpose == "list" and request.further:
        return MESSAGES[410][0], STALE
    alone = request.purpose == "one" and account.vendor.version is None
    return "not_found" if alone else MESSAGES[410][0], MESSAGES[410][1]


def find_hint(account: Account, response: Response) -> str | None:
    """What to do about a failed response by the vendor's own code in it, None where it has none."""
    found = (
        (hints, value_at(response.body, path) if path else response.status)
        for path, hints in account.vendor.code_hints.items()
    )
    hint = next((hints[str(code)] for hints, code in found if str(code) in hints), None)
    return hint and hint.format_map(account.variables)


def pinned_version(account: Account) -> Version | None:
    """The version whose end is known, where the account's settings leave it as it is."""
    version = account.vendor.version
    if version is None or (version.setting and version.name not in account.values.get(version.setting, "")):
        return None
    return version


def _has_ended(status: int, account: Account, response: Response) -> bool:
    """Whether a failure of a listing means that the pinned version is no longer served."""
    request = response.request
    if account.vendor.version is None or request.purpose != "list" or request.further:
        return False
    if status == STALE_CURSOR:
        return True
    version = pinned_version(account)
    today = datetime.fromtimestamp(response.now, timezone.utc).date()
    return (
        version is not None
        and not version.falls_forward
        and today > version.served_until
        and (status == 404 or status >= 500)
    )


def _describe_end(came: int, account: Account) -> tuple[Kind, str]:
    version = account.vendor.version
    setting = version.setting if version is not None else "base_url"
    variable = account.variables.get(setting)
    pinned = pinned_version(account)
    name = f"version {pinned.name}" if pinned is not None else f"version that {variable} names"
    text = f"no longer serves the API {name} (HTTP {came}). Update audience-mcp"
    end = f", or set {variable} to a version that is served." if variable else "."
    return "invalid_request", text + end


def find_wait(response: Response, account: Account) -> float | None:
    """The seconds that a failed response asks to wait, by what its vendor declares and HTTP's own header.

    `response.status` is what it amounts to. A declared header counts with 429 alone: vendors send them with
    every answer.
    """
    now = datetime.fromtimestamp(response.now, timezone.utc)
    limited = response.status == 429
    waits = (_declared_wait(response, wait) for wait in account.vendor.waits if limited or not wait.header)
    hint = next((seconds for seconds in waits if seconds is not None), None)
    return parse_wait(response.headers.get("retry-after"), hint, now)


def _declared_wait(response: Response, wait: Wait) -> float | None:
    value = response.headers.get(wait.at.lower()) if wait.header else value_at(response.body, wait.at)
    if wait.within is not None:
        body, _ = parse_body(value.encode() if isinstance(value, str) else b"")
        waits = [_read_wait(each, wait, response) for each in values_at(body, wait.within)]
        return max((seconds for seconds in waits if seconds is not None), default=None)
    return _read_wait(value, wait, response)


def _read_wait(value: object, wait: Wait, response: Response) -> float | None:
    if wait.read is not None:
        return wait.read(value)
    if wait.pattern is not None:
        found = wait.pattern.search(value) if isinstance(value, str) else None
        value = found[1] if found else None
    if wait.unit == "utc_day":
        return DAY_S - response.now % DAY_S if isinstance(value, str) else None
    if wait.unit == "text":
        found = _WITH_UNIT.fullmatch(value.strip()) if isinstance(value, str) else None
        return float(found[1]) * _TEXT_UNITS[found[2]] if found else None
    number = _number(value)
    return None if number is None else _seconds_until(number * _UNITS[wait.unit], response.now)


def parse_wait(header: str | None, hint: object, now: datetime) -> float | None:
    """The seconds that a vendor asks to wait: by `Retry-After` (seconds or a date), else by its own hint."""
    if header is not None:
        seconds = _number(header)
        if seconds is not None:
            return _sound(_seconds_until(seconds, now.timestamp()))
        try:
            when = parsedate_to_datetime(header)
            if when.tzinfo is None:  # HTTP's dates are in UTC, also in the old forms that do not say so
                when = when.replace(tzinfo=timezone.utc)
            return _sound(max(0.0, (when - now).total_seconds()))
        except (TypeError, ValueError, OverflowError):
            pass
    seconds = _number(hint)
    return None if seconds is None else _sound(seconds)


def _seconds_until(number: float, now: float) -> float:
    """A wait, as a number of seconds from now or as a moment; `now` in Unix seconds."""
    if number < MOMENTS_FROM:
        return number
    return max(0.0, (number / 1000 if number >= MILLISECONDS_FROM else number) - now)


def _sound(seconds: float) -> float:
    return seconds if seconds <= LONGEST_HINT_S else DAY_S


def _number(value: object) -> float | None:
    if isinstance(value, str):
        value = value.strip()
        if not value.isascii() or not value.replace(".", "", 1).isdigit():
            return None
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(min(value, 10**15))
    return None

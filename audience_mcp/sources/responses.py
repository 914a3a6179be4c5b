"""What a vendor's response says: its JSON, what a failed status means, and how long it asks to wait."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from pydantic_core import from_json

from audience_mcp.config import Account
from audience_mcp.core.errors import Kind
from audience_mcp.vendors.base import Wait
from audience_mcp.vendors.parsing import value_at, values_at
from audience_mcp.vendors.request import Response

LONGEST_HINT_S = 10 * 365 * 86_400
"""A longer wait is a mistake of the vendor's; it is cut so that dates can still be reckoned with it."""

_UNITS = {"s": 1.0, "ms": 0.001, "min": 60.0}
_WITH_UNIT = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s?(ms|s|m|min|h)?", re.ASCII)
_TEXT_UNITS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

MESSAGES: dict[int, tuple[Kind, str]] = {
    400: ("invalid_request", "rejected the request (HTTP 400)."),
    401: ("unauthorized", "refused the key."),
    402: ("forbidden", "says that the plan does not include this (HTTP 402)."),
    403: ("forbidden", "does not let this key read audiences."),
    404: ("not_found", "returned 404 Not Found. Check {base_url}."),
    408: ("timeout", "timed out waiting for the request (HTTP 408). Try again later."),
    410: ("invalid_request", "no longer accepts the cursor of this page (HTTP 410). Try again."),
    425: ("unavailable", "is temporarily unavailable (HTTP 425). Try again later."),
    429: ("rate_limited", "is rate limiting requests (HTTP 429). Try again in a minute."),
}
REDIRECT = (
    "answered with a redirect (HTTP {status}), which is not followed, so that the key stays with the vendor. "
    "Check {base_url}."
)
UNAVAILABLE = "is temporarily unavailable (HTTP {status}). Try again later."
REJECTED = "rejected the request (HTTP {status})."
UNEXPECTED = "answered with HTTP {status} where 200 was expected."


def parse_body(raw: bytes) -> tuple[object, bool]:
    """The JSON in `raw`, and whether it is JSON at all."""
    try:
        return from_json(raw), True
    except ValueError:
        pass  # twice as fast, but stricter: half a surrogate pair or a byte order mark must not lose a page
    try:
        try:
            return json.loads(raw), True
        except (json.JSONDecodeError, UnicodeDecodeError):
            return None, False
        except ValueError:  # Python takes no number of more than 4,300 digits; it must not lose a page
            return json.loads(raw, parse_int=_parse_int), True
    except (ValueError, RecursionError):  # RecursionError: a body of ten thousand brackets
        return None, False


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float(digits)


def describe_status(status: int, account: Account) -> tuple[Kind, str]:
    """A failed status as a kind, and as the rest of a sentence that begins with the source."""
    kind, text = _describe(status)
    text = text.format(status=status, base_url=account.variables["base_url"])
    hint = account.vendor.error_hints.get(kind)
    return kind, f"{text} {hint.format_map(account.variables)}" if hint else text


def _describe(status: int) -> tuple[Kind, str]:
    if status in MESSAGES:
        return MESSAGES[status]
    if status >= 500:
        return "unavailable", UNAVAILABLE
    if status >= 400:
        return "invalid_request", REJECTED
    return "bad_response", REDIRECT if status >= 300 else UNEXPECTED


def find_wait(response: Response, account: Account) -> float | None:
    """The seconds that a failed response asks to wait, by what its vendor declares and HTTP's own header.

    `response.status` is what it amounts to. A declared header counts with 429 alone: vendors send them with
    every answer.
    """
    now = datetime.fromtimestamp(response.now, timezone.utc)
    limited = response.status == 429
    waits = (_declared_wait(response, wait) for wait in account.vendor.waits if limited or not wait.header)
    declared = next((seconds for seconds in waits if seconds is not None), None)
    hint = declared if declared is not None else account.vendor.retry_after(response.body)
    return parse_wait(response.headers.get("retry-after"), hint, now)


def _declared_wait(response: Response, wait: Wait) -> float | None:
    value = response.headers.get(wait.at.lower()) if wait.header else value_at(response.body, wait.at)
    if wait.within is not None:
        body, _ = parse_body(value.encode() if isinstance(value, str) else b"")
        waits = [_read_wait(each, wait, response) for each in values_at(body, wait.within)]
        return max((seconds for seconds in waits if seconds is not None), default=None)
    return _read_wait(value, wait, response)


def _read_wait(value: object, wait: Wait, response: Response) -> float | None:
    if wait.unit == "text":
        found = _WITH_UNIT.fullmatch(value.strip()) if isinstance(value, str) else None
        return float(found[1]) * _TEXT_UNITS[found[2]] if found else None
    number = _number(value)
    if number is None or wait.unit in _UNITS:
        return None if number is None else number * _UNITS[wait.unit]
    return max(0.0, number / (1000 if wait.unit == "unix_ms" else 1) - response.now)


def parse_wait(header: str | None, hint: object, now: datetime) -> float | None:
    """The seconds that a vendor asks to wait: by `Retry-After` (seconds or a date), else by its own hint."""
    if header is not None:
        seconds = _seconds(header)
        if seconds is not None:
            return seconds
        try:
            when = parsedate_to_datetime(header)
            if when.tzinfo is None:  # HTTP's dates are in UTC, also in the old forms that do not say so
                when = when.replace(tzinfo=timezone.utc)
            return min(max(0.0, (when - now).total_seconds()), LONGEST_HINT_S)
        except (TypeError, ValueError, OverflowError):
            pass
    return _seconds(hint)


def _seconds(value: object) -> float | None:
    number = _number(value)
    return None if number is None else min(number, LONGEST_HINT_S)


def _number(value: object) -> float | None:
    if isinstance(value, str):
        value = value.strip()
        if not value.isascii() or not value.replace(".", "", 1).isdigit():
            return None
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(min(value, 10**15))
    return None

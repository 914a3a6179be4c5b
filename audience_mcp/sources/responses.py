"""What a vendor's answer says: its JSON, what a failed status means, and how long it asks to wait."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from pydantic_core import from_json

from audience_mcp.config import Account
from audience_mcp.core.errors import Kind

LONGEST_HINT_S = 10 * 365 * 86_400
"""A longer wait is a mistake of the vendor's; it is cut so that dates can still be reckoned with it."""


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
            return json.loads(raw, parse_int=_whole), True
    except (ValueError, RecursionError):  # RecursionError: a body of ten thousand brackets
        return None, False


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float(digits)


def describe_status(status: int, account: Account) -> tuple[Kind, str]:
    """A failed status as a kind, and as the rest of a sentence that begins with the source."""
    kind, text = _sentence(status, account.variables["base_url"])
    advice = account.vendor.error_hints.get(kind)
    return kind, f"{text} {advice.format_map(account.variables)}" if advice else text


def _sentence(status: int, base_url: str) -> tuple[Kind, str]:
    if status == 401:
        return "unauthorized", "refused the key."
    if status == 403:
        return "forbidden", "does not let this key read audiences."
    if status == 404:
        return "not_found", f"has nothing at the address asked for. Check {base_url}."
    if status == 429:
        return "rate_limited", "says it is asked too often. Ask again in a minute."
    if status == 408:
        return "timeout", "gave up waiting for the request. Ask again later."
    if status == 425 or status >= 500:
        return "unavailable", f"cannot answer just now (HTTP {status}). Ask again later."
    if 400 <= status < 500:
        return "invalid_request", f"did not accept the request (HTTP {status})."
    if 300 <= status < 400:
        return (
            "bad_response",
            f"answered with a redirect (HTTP {status}), which is not followed, so that the key stays with "
            f"the vendor. Check {base_url}.",
        )
    return "bad_response", f"answered with HTTP {status} where 200 was expected."


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
    if isinstance(value, str):
        value = value.strip()
        if not value.isascii() or not value.replace(".", "", 1).isdigit():
            return None
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(min(value, LONGEST_HINT_S))
    return None

"""Helpers that parse a vendor's response; they reject values that are not what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from audience_mcp.core.errors import UnexpectedShape


def is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether `value` is a JSON object."""
    return isinstance(value, dict)


def as_object(body: object, what: str = "the answer") -> Mapping[str, object]:
    """`body` as a JSON object. Raises UnexpectedShape."""
    if not is_object(body):
        raise UnexpectedShape(f"{what} is not a JSON object")
    return body


def array_at(body: Mapping[str, object], key: str) -> Sequence[object]:
    """The array at `key`. Raises UnexpectedShape."""
    value = body.get(key)
    if not isinstance(value, list):
        raise UnexpectedShape(f"it has no list '{key}'")
    return value


def flag_at(body: Mapping[str, object], key: str) -> bool | None:
    """The true or false at `key`; None where it is missing or null. Raises UnexpectedShape."""
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise UnexpectedShape(f"'{key}' is neither true nor false")
    return value


def cursor_at(body: Mapping[str, object], key: str) -> str | None:
    """The cursor at `key`; None where it is missing, null or empty. Raises UnexpectedShape."""
    value = body.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise UnexpectedShape(f"'{key}' is not a cursor")
    return value or None


def has_more(flag: bool | None, cursor: str | None) -> bool | None:
    """Whether more follow: the flag says, else a cursor does; None where the vendor is silent."""
    return flag if flag is not None else True if cursor else None


def signals_failure(status: object) -> bool:
    """Whether a status beside the data is a word, or a false, for failure."""
    if isinstance(status, str):
        return any(word in status.lower() for word in ("error", "fail", "false"))
    return status is not None and not status


def pick(raw: Mapping[str, object], *keys: str) -> dict[str, object]:
    """Those of `keys` that `raw` gives a value for."""
    found = {}
    for key in keys:
        value = raw.get(key)
        if value is not None:
            found[key] = value
    return found


def text_at(raw: Mapping[str, object], key: str) -> str | None:
    """The text at `key`, or None where it is missing, empty or no text."""
    value = raw.get(key)
    return value if isinstance(value, str) and value else None

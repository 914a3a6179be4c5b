"""Helpers that parse a vendor's response; they reject values that are not what they should be.

A *path* names a place in a body by keys joined with dots: `meta.pagination.total`. The empty path is the
body itself.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
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


def object_at(body: object, path: str) -> Mapping[str, object]:
    """The object at `path`. Raises UnexpectedShape."""
    return as_object(value_at(body, path), f"its '{path}'" if path else "the answer")


def value_at(body: object, path: str) -> object:
    """What stands at `path`; None where anything on the way is missing. A number counts into a list."""
    for key in path.split(".") if path else ():
        if is_object(body):
            body = body.get(key)
        elif isinstance(body, list) and key.isdigit() and int(key) < len(body):
            body = body[int(key)]
        else:
            return None
    return body


def values_at(body: object, path: str) -> Sequence[object]:
    """What stands at `path`, in which `*` stands for every key of an object or place in a list."""
    found = [body]
    for key in path.split("."):
        if key == "*":
            found = [value for each in found for value in members_of(each)]
        else:
            found = [value_at(each, key) for each in found]
    return [value for value in found if value is not None]


def members_of(value: object) -> Collection[object]:
    """The values of a list or of an object; nothing of anything else."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def array_at(body: object, path: str) -> Sequence[object]:
    """The array at `path`. Raises UnexpectedShape."""
    value = value_at(as_object(body) if path else body, path)
    if not isinstance(value, list):
        raise UnexpectedShape(f"it has no list '{path}'" if path else "it is not a list")
    return value


def flag_at(body: object, path: str) -> bool | None:
    """The true or false at `path`; None where it is missing or null. Raises UnexpectedShape."""
    value = value_at(body, path)
    if value is not None and not isinstance(value, bool):
        raise UnexpectedShape(f"'{path}' is neither true nor false")
    return value


def cursor_at(body: object, path: str) -> str | None:
    """The cursor at `path`; None where it is missing, null or empty. Raises UnexpectedShape."""
    value = value_at(body, path)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise UnexpectedShape(f"'{path}' is not a cursor")
    return value or None


def has_more(flag: bool | None, cursor: str | None) -> bool | None:
    """Whether more follow: the flag says, else a cursor does; None where the vendor is silent."""
    return flag if flag is not None else True if cursor else None


def signals_failure(status: object) -> bool:
    """Whether a status beside the data is a word, or a false, for failure."""
    if isinstance(status, str):
        return any(word in status.lower() for word in ("error", "fail", "false"))
    return status is not None and not status


def text_at(raw: Mapping[str, object], path: str) -> str | None:
    """The text at `path`, or None where it is missing, empty or no text."""
    value = raw.get(path) if path in raw else value_at(raw, path)
    return value if isinstance(value, str) and value else None


def basic(user: str, password: str) -> str:
    """The value of `Authorization` for HTTP Basic (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

"""Makes what clients send sound before the SDK sees it, for stdio and HTTP alike.

Hosts write byte-order marks, numbers where the protocol has text, and nothing (an empty array of PHP, a null,
an empty text) or JSON text where it has objects. Such a message has one meaning, so it is read as that. Other
faults are refused, and the answer names the member: the SDK would drop some of these messages without an
answer, or answer without a name, and the client would wait for its own timeout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import mcp_types as types
from mcp_types import methods
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from audience_mcp.core.text import clean
from audience_mcp.server import skills

LARGEST_ID = 2**63
MAX_DEPTH = 100
"""How deeply values may be nested; the SDK's parser refuses 200."""
MAX_REPAIRS = 20
"""How often a message is repaired and validated again; each time at least one more member is right."""
MOST_FAULTS = 8
"""Faults of one message that are described."""

AROUND = "\ufeff \t\r\n"
"""What may stand around a message and means nothing."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class BadMessage(Exception):
    """A message cannot be read. The text says which member is wrong and what it must be.

    id: the request's, or None if it has none that could be sent back. is_request: whether an answer is due,
    as it is not to a notification. code: the JSON-RPC error code.
    """

    def __init__(self, text: str, *, code: int, id: int | str | None = None, is_request: bool = True) -> None:
        super().__init__(text)
        self.code = code
        self.id = id
        self.is_request = is_request

    @property
    def answer(self) -> types.JSONRPCError:
        """The error as a JSON-RPC message."""
        error = types.ErrorData(code=self.code, message=str(self))
        return types.JSONRPCError(jsonrpc="2.0", id=self.id, error=error)


def read_message(raw: bytes) -> dict[str, Any]:
    """One JSON-RPC message: a request, a notification or a response. Raises BadMessage."""
    text = raw.decode(json.detect_encoding(raw), "replace").strip(AROUND)
    message = _parse(text)
    if isinstance(message, list):
        raise _invalid("batches are not supported: send each message by itself")
    if not isinstance(message, dict):
        raise _invalid("a message must be an object")
    if is_response(message):
        return message
    method = message.get("method", "")
    is_request = "id" in message or not isinstance(method, str)  # else a notification, or nothing at all
    if "id" in message:
        message["id"] = _read_id(message["id"])
    id = message.get("id")
    if message.get("jsonrpc") != "2.0":
        raise _invalid('jsonrpc must be "2.0"', id, is_request)
    if not isinstance(message.get("method"), str):
        raise _invalid("method must be text", id, is_request)
    given = message.pop("params", None)
    params = _read_object(given)
    if params is None:
        raise _invalid("params must be an object", id, is_request)
    if params or isinstance(given, dict):
        message["params"] = params
    _refuse_unsendable(text, message)
    _read_ids(params)
    _repair(message)
    _refuse_unsendable(text, message)  # once more, as JSON in texts has been read meanwhile
    return message


def is_response(message: Mapping[str, Any]) -> bool:
    """Whether a message is an answer to us. We ask clients for nothing, so none is waited for."""
    return "method" not in message and ("result" in message or "error" in message)


def is_modern(message: Mapping[str, Any]) -> bool:
    """Whether a message carries the protocol version with it, so that it needs no handshake before it."""
    return types.PROTOCOL_VERSION_META_KEY in _meta(message.get("params"))


def needs_handshake(message: Mapping[str, Any]) -> bool:
    """Whether a message is a request that may only follow `initialize`."""
    method = message.get("method")
    return (
        "id" in message
        and ((method, LATEST_HANDSHAKE_VERSION) in methods.CLIENT_REQUESTS or method in skills.METHODS)
        and method not in ("initialize", "ping")
        and not is_modern(message)
    )


def _meta(params: Any) -> dict[str, Any]:
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta if isinstance(meta, dict) else {}


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as e:
        if not text:
            what = "the message is empty"
        elif e.msg == "Extra data":
            what = "there is more than one message, or something behind it: send each by itself"
        else:
            what = f"the message is not valid JSON in UTF-8 (character {min(e.pos + 1, len(text))})"
        raise BadMessage(f"Parse error: {what}.", code=types.PARSE_ERROR) from None
    except RecursionError:
        raise _invalid("values are nested too deeply") from None
    except ValueError:  # a number of more digits than Python takes
        pass
    message = json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= 20 else None)
    if not isinstance(message, dict):
        return message
    raise BadMessage(
        "Invalid params: the message holds a number that is too long.",
        code=types.INVALID_PARAMS,
        id=_read_id(message["id"]) if "id" in message else None,
        is_request="id" in message and not is_response(message),
    )


def _read_id(value: Any) -> int | str:
    """An id as it can be sent back; 1.0 is 1. Raises BadMessage."""
    id = _whole(value)
    if not _is_id(id):
        raise _invalid("id must be text or a whole number")
    return id


def _read_ids(params: dict[str, Any]) -> None:
    """Read what else names a request, as its id is read."""
    if "requestId" in params:
        params["requestId"] = _whole(params["requestId"])
    meta = _meta(params)
    if "progressToken" in meta:
        meta["progressToken"] = _whole(meta["progressToken"])


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_id(value: Any) -> TypeGuard[int | str]:
    if isinstance(value, str):
        return not _has_lone_surrogate(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_ID


def _has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _refuse_unsendable(text: str, message: dict[str, Any]) -> None:
    """Raise BadMessage for what the SDK could not parse or we could not repeat in an answer."""
    if _SURROGATE.search(text) and _has_lone_surrogate(json.dumps(message, ensure_ascii=False)):
        what = "the message holds text that is not valid Unicode (half of a surrogate pair)"
    elif text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(message):
        what = "the message holds values that are nested too deeply"
    else:
        return
    raise BadMessage(
        f"Invalid params: {what}.",
        code=types.INVALID_PARAMS,
        id=message.get("id"),
        is_request="id" in message,
    )


def _is_too_deep(message: dict[str, Any]) -> bool:
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node.values()
    elif isinstance(node, list):
        yield from node


def _repair(message: dict[str, Any]) -> None:
    """Bring `params` into the form that the protocol gives them. Raises BadMessage where that is impossible.

    The SDK's own validation says where a member is wrong and what belongs there.
    """
    version = LATEST_HANDSHAKE_VERSION
    if is_modern(message):
        version = message["params"]["_meta"][types.PROTOCOL_VERSION_META_KEY]
        if isinstance(version, str) and version not in MODERN_PROTOCOL_VERSIONS:
            return  # the SDK says which there are
        version = LATEST_MODERN_VERSION
    faults: Sequence[Any] = ()
    for _ in range(MAX_REPAIRS):
        try:
            _validate(message, version)
        except KeyError:
            return  # a method that this version does not have: the SDK says so
        except ValidationError as e:
            faults = e.errors(include_url=False, include_context=False)
        else:
            return
        repaired = [_repair_member(message, fault) for fault in faults]
        if not any(repaired):
            break
    if "id" not in message:
        return  # the SDK drops a notification that is wrong
    said = [*dict.fromkeys(_describe(message, fault) for fault in faults)]
    more = f"; and {len(said) - MOST_FAULTS} more" if len(said) > MOST_FAULTS else ""
    text = f"Invalid params: {'; '.join(said[:MOST_FAULTS])}{more}."
    raise BadMessage(text, code=types.INVALID_PARAMS, id=message["id"])


def _validate(message: Mapping[str, Any], version: str) -> None:
    """Raises KeyError for a method that the version does not have, and ValidationError."""
    method, params = message["method"], message.get("params")
    if method in skills.METHODS:
        skills.METHODS[method].model_validate(message, by_name=False)
    elif "id" in message:
        methods.parse_client_request(method, version, params)
    else:
        methods.parse_client_notification(method, version, params)


def _repair_member(message: dict[str, Any], fault: Any) -> bool:
    """Replace the member that a fault is about by what it stands for; whether that was possible."""
    path = _path(message, fault["loc"])
    parent: Any = message
    for part in path[:-1]:
        parent = parent[part]
    key = path[-1] if path else None
    if key is None or not isinstance(parent, dict) or key not in parent:
        return False
    value, expected = parent[key], fault["type"]
    if expected in _OBJECT and not isinstance(value, dict) and (read := _read_object(value)) is not None:
        parent[key] = read
    elif (value is None and expected != "missing") or (expected == "string_type" and value in ([], {})):
        del parent[key]
    elif expected == "string_type" and isinstance(value, (bool, int, float)):
        parent[key] = json.dumps(_whole(value))
    else:
        return False
    return True


_OBJECT = frozenset({"dict_type", "model_type", "model_attributes_type", "mapping_type"})


def _read_object(value: Any) -> dict[str, Any] | None:
    """The object that a value stands for, or None. Null, an empty list and an empty text are an empty one."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except (ValueError, RecursionError):
            return None
    if value is None or value == []:
        return {}
    return value if isinstance(value, dict) else None


def _path(message: dict[str, Any], location: tuple[int | str, ...]) -> list[int | str]:
    """A fault's location as keys of the message: without names of union members, which are no keys."""
    path: list[int | str] = []
    node: Any = message
    for part in location:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(part)
    return path


def _describe(message: dict[str, Any], fault: Any) -> str:
    """Which member is wrong, and what it must be."""
    if fault["type"] == "missing":
        *parents, name = fault["loc"]
        path, what = [*_path(message, tuple(parents)), name], "is required"
    else:
        path, what = _path(message, fault["loc"]), _MUST_BE.get(fault["type"], "is not valid")
    return f"{'.'.join(clean(str(part), 60) for part in path)} {what}"


_MUST_BE = {
    **dict.fromkeys(_OBJECT, "must be an object"),
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
}


def _invalid(text: str, id: int | str | None = None, is_request: bool = True) -> BadMessage:
    return BadMessage(f"Invalid request: {text}.", code=types.INVALID_REQUEST, id=id, is_request=is_request)

"""A call's arguments as hosts send them: what means "not given", and what is the host's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from audience_mcp.catalog.schemas import input_schema, neutral_value

HOST_ARGUMENTS = frozenset(
    {"toolCallId", "tool_call_id", "task_progress", "sessionId", "action", "chatInput", "_meta"}
)
"""Arguments that hosts add to every call, such as n8n's `toolCallId` and Cline's `task_progress`."""
NOTHING = frozenset({"", "null", "undefined", "none"})
"""Texts that mean "not given", in any case."""
EVERYTHING = frozenset({"all", "any"})
"""Texts that mean no restriction, in any case, in the parameters below."""
UNRESTRICTED = frozenset({"sources", "source", "type", "kind", "status"})
FILTERS = frozenset(
    {"sources", "search", "type", "status", "kind", "issue", "missing_in"}
    | {"min_size", "max_size", "min_change", "max_change"}
) | {f"{what}_{bound}" for what in ("created", "updated") for bound in ("since", "before")}
"""Parameters that narrow a question, so that a null in one deserves a note."""

MESSAGES = {
    "host": "Ignored, as arguments of the host: {names}.",
    "null": "{names} came as null and was not applied; if a value was meant, send it as a number or text.",
}


@dataclass
class Arguments:
    """The arguments that were given, by parameter, and notes about those that were not taken."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_arguments(model: type[BaseModel], arguments: Mapping[str, Any] | None) -> Arguments:
    """Leave out what means "not given". What remains is still to be validated."""
    schema = input_schema(model)
    read = Arguments()
    hosts, nulls = [], []
    for name, value in (arguments or {}).items():
        parameter = schema["properties"].get(name)
        if parameter is None:
            if name in HOST_ARGUMENTS:
                hosts.append(name)
            else:
                read.values[name] = value  # to be refused by name
        elif value is None or (name == "search" and _is_null_search(value)):
            if name in FILTERS:
                nulls.append(name)
        elif name in schema["required"]:
            read.values[name] = value
        else:
            given = _drop_nothing(name, parameter, value)
            # Compared with its type, as False is 0 in Python.
            neutral = neutral_value(parameter)
            if given is not None and (type(given), given) != (type(neutral), neutral):
                read.values[name] = given
    if hosts:
        read.notes.append(MESSAGES["host"].format(names=", ".join(hosts)))
    if nulls:
        read.notes.append(MESSAGES["null"].format(names=", ".join(nulls)))
    return read


def read_list(value: Any) -> Any:
    """A list, which may come as JSON text, as words with commas between, or as one word."""
    if not isinstance(value, str):
        return list(value) if isinstance(value, tuple) else value
    if value.strip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return [part.strip() for part in value.split(",") if part.strip()]


def _drop_nothing(name: str, parameter: Mapping[str, Any], value: Any) -> Any:
    """The value without what means nothing; None if it means nothing as a whole."""
    if parameter["type"] == "array" or (name == "search" and isinstance(value, list)):
        items = read_list(value)
        if not isinstance(items, list):
            return items
        kept = [item for item in items if item is not None and not is_word(item, NOTHING)]
        unrestricted = name in UNRESTRICTED and any(is_word(item, EVERYTHING) for item in kept)
        return None if unrestricted or not kept else kept
    if is_word(value, NOTHING) or (name in UNRESTRICTED and is_word(value, EVERYTHING)):
        return None
    return value


def _is_null_search(value: Any) -> bool:
    """Whether a search is a null in words, or a list of nothing else."""
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(item is None or is_word(item, NOTHING - {""}) for item in items)


def is_word(value: Any, words: frozenset[str]) -> bool:
    """Whether a value is one of some words, in any case and whatever space is around it."""
    return isinstance(value, str) and value.strip().lower() in words

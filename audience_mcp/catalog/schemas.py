"""JSON Schemas of the models, without what readers have no use for and hosts cannot take."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode


@cache
def input_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a tool's parameters.

    It says no more than every consumer takes: no `additionalProperties` (hosts that pass schemas on to Gemini
    fail on it), and a `required` list even if it is empty. Each optional parameter has a `neutral_value`.
    """
    schema = _schema(model, "validation")
    schema.pop("additionalProperties", None)
    return {"type": "object", "properties": schema["properties"], "required": schema.get("required", [])}


def output_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of `model`: flat, no titles, no references, "optional" by absence and not by null."""
    return _schema(model, "serialization")


def _schema(model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
    schema = model.model_json_schema(mode=mode)
    definitions = schema.pop("$defs", {})
    schema.pop("description", None)
    simplified: dict[str, Any] = _simplify(schema, definitions)
    return simplified


def neutral_value(parameter: dict[str, Any]) -> Any:
    """The value of an optional parameter that means the same as leaving it out.

    Hosts that fill in every parameter, as OpenAI's strict mode does, need one that the parameter's own schema
    allows: the default that it states, else an empty list, an empty text or false. Raises KeyError if it has
    none.
    """
    if "default" in parameter:
        return parameter["default"]
    if "enum" in parameter:
        raise KeyError("default")
    return {"array": [], "string": "", "boolean": False}[parameter["type"]]


def _simplify(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_simplify(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = {**definitions[node["$ref"].rpartition("/")[2]]}
        target.pop("description", None)
        return _simplify({**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions)
    if "anyOf" in node:
        kept = [option for option in node["anyOf"] if option != {"type": "null"}]
        if len(kept) == 1:
            return _simplify({**kept[0], **{k: v for k, v in node.items() if k != "anyOf"}}, definitions)
    return {
        key: {name: _simplify(child, definitions) for name, child in value.items()}
        if key == "properties"
        else _simplify(value, definitions)
        for key, value in node.items()
        if key != "title" and not (key == "default" and value is None)
    }

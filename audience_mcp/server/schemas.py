"""JSON Schemas from the models, without what a reader has no use for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def tool_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of `model`: flat, no titles, no references, "optional" by absence and not by null."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    schema.pop("description", None)
    found: dict[str, Any] = _simplify(schema, definitions)
    return found


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

"""Shopify's Admin GraphQL and its token endpoint, as documented, over given segments.

A row here is a segment with its count under `totalCount`, which the API gives by another field alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from graphql import FieldNode, GraphQLError, OperationDefinitionNode, ValueNode, parse
from graphql.language import EnumValueNode, IntValueNode, VariableNode

from audience_mcp.testing import Answer, Asked

TOKEN, EXCHANGED = "shpat_made-up-token", "shpat_exchanged-token"
CLIENT = {"client_id": "made-up-client", "client_secret": "shpss_made-up"}
PATH = "/admin/api/2026-10/graphql.json"
SEGMENT = {"id", "name", "query", "creationDate", "lastEditDate"}
COST = {
    "requestedQueryCost": 42,
    "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 1994, "restoreRate": 100.0},
}


def failed(code: str, *path: str, data: object = None, **cost: object) -> Answer:
    """A failure as Shopify writes most of them: under 200."""
    error = {"message": "…", "path": path, "extensions": {"code": code}}
    return Answer(200, {"data": data, "errors": [error], "extensions": {"cost": {**COST, **cost}}})


def exchange(asked: Asked, lives: int = 86_399) -> Answer:
    """`POST /admin/oauth/access_token`: a form, answered with a token of 24 hours."""
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    if form != {"grant_type": "client_credentials", **CLIENT}:
        return Answer(400, {"error": "invalid_client"})
    return Answer(200, {"access_token": EXCHANGED, "scope": "read_customers", "expires_in": lives})


def answer(asked: Asked, rows: Sequence[Any], good: str = TOKEN) -> Answer:
    """`POST /admin/api/2026-10/graphql.json`."""
    if asked.path != PATH:
        return Answer(404, "<html>Not Found</html>")
    if asked.headers.get("x-shopify-access-token") != good:
        text = "[API] Invalid API key or access token (unrecognized login or wrong password)"
        return Answer(401, {"errors": text})
    if asked.method != "POST" or asked.headers.get("content-type") != "application/json":
        return Answer(400, {"errors": "query not present"})
    said = json.loads(asked.body)
    try:
        (operation,) = parse(said["query"]).definitions
        assert isinstance(operation, OperationDefinitionNode)
        data = {}
        for field in operation.selection_set.selections:
            assert isinstance(field, FieldNode)
            data[(field.alias or field.name).value] = _resolve(field, said.get("variables", {}), rows)
    except (GraphQLError, ValueError) as e:
        return failed("undefinedField" if str(e) != "NOT_FOUND" else "NOT_FOUND")
    return Answer(200, {"data": data, "extensions": {"cost": COST}})


def _resolve(field: FieldNode, variables: Mapping[str, Any], rows: Sequence[Any]) -> object:
    given = {argument.name.value: _value(argument.value, variables) for argument in field.arguments or ()}
    match field.name.value, sorted(given):
        case "segments", ["first", "sortKey"] | ["after", "first", "sortKey"]:
            return _segments(field, given, rows)
        case "segment", ["id"]:
            return _chosen(_one(rows, given["id"]), _names(field))
        case "customerSegmentMembers", ["first", "segmentId"]:
            row = _one(rows, given["segmentId"])
            return {"totalCount": row["totalCount"]} if "totalCount" in row else {}
    raise ValueError(field.name.value)


def _segments(field: FieldNode, given: Mapping[str, Any], rows: Sequence[Any]) -> object:
    if not 1 <= given["first"] <= 250 or given["sortKey"] != "ID":
        raise ValueError("first")
    after = given.get("after")
    start = int(after[4:]) if after else 0
    end = start + given["first"]
    assert field.selection_set is not None
    nodes = next(
        f for f in field.selection_set.selections if isinstance(f, FieldNode) and f.name.value == "nodes"
    )
    page = [_chosen(row, _names(nodes)) for row in rows[start:end]]
    info = {"hasNextPage": end < len(rows), "endCursor": f"eyJs{min(end, len(rows))}" if page else None}
    return {"nodes": page, "pageInfo": info}


def _one(rows: Sequence[Any], id: str) -> dict[str, Any]:
    row = next((row for row in rows if isinstance(row, dict) and row.get("id") == id), None)
    if row is None:
        raise ValueError("NOT_FOUND")
    return row


def _names(field: FieldNode) -> list[str]:
    assert field.selection_set is not None
    names = [f.name.value for f in field.selection_set.selections if isinstance(f, FieldNode)]
    if set(names) - SEGMENT:
        raise ValueError("undefinedField")
    return names


def _chosen(row: Any, names: Sequence[str]) -> Any:
    return {name: row[name] for name in names if name in row} if isinstance(row, dict) else row


def _value(node: ValueNode, variables: Mapping[str, Any]) -> Any:
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, IntValueNode):
        return int(node.value)
    assert isinstance(node, EnumValueNode)
    return node.value

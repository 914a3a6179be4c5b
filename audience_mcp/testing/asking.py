"""What the tests of the suite share: a catalog over the served vendor, and its answers made comparable."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.models import Audience, AudienceList
from audience_mcp.catalog.query import ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import ToolError
from audience_mcp.sandbox import Asked
from audience_mcp.testing.case import Case, Facts, Raw, Served
from audience_mcp.vendors import Setting


@asynccontextmanager
async def open_case(case: Case, served: Served, **variables: str) -> AsyncIterator[Catalog]:
    """A catalog of the served vendor, with an answer large enough for every row."""
    environment = {**served.environment, "AUDIENCE_MCP_MAX_CHARS": "1000000", **variables}
    configured = load_configuration(environment, [case.vendor])
    async with open_catalog(configured, clock=case.clock()) as catalog:
        yield catalog


async def list_rows(case: Case, rows: Sequence[object]) -> AudienceList:
    """Everything there is of these rows, in full. Raises ToolError where the vendor cannot be read."""
    async with case.serve(rows) as served, open_case(case, served) as catalog:
        answer: AudienceList | ToolError
        try:
            answer = await catalog.list_audiences(ListQuery(detail="full", limit=10_000))
        except ToolError as e:  # raised in here, it would come out as an exception group
            answer = e
    if isinstance(answer, ToolError):
        raise answer
    json.loads(answer.text.encode())  # what is not JSON, or not UTF-8, never reaches a client
    assert answer.returned == answer.matched
    return answer


def odd_rows(case: Case, values: Mapping[str, object], *keys: str, missing: bool = True) -> dict[str, Raw]:
    """By kind, a row of its own id for each of these values at these keys; `missing` is one without them."""
    rows: dict[str, Raw] = {}
    for kind, value in values.items():
        rows[kind] = {**case.sample, **dict.fromkeys(keys, value), case.id: case.new_id(50 + len(rows))}
    if missing:
        row = {key: value for key, value in case.sample.items() if key not in keys}
        rows["missing"] = {**row, case.id: case.new_id(50 + len(rows))}
    return rows


def read_again(case: Case, answer: AudienceList, rows: Mapping[str, Raw]) -> dict[str, Audience]:
    """What an answer has of these rows, by the same keys; each of them must be there."""
    shown = {audience.id: audience for audience in answer.audiences}
    return {kind: shown[case.id_of(row)] for kind, row in rows.items()}


def parameter_of(asked: Asked, name: str) -> str | None:
    """The value of a parameter, wherever in the query or in a JSON body it stands."""
    if name in asked.query:
        return ",".join(asked.query[name])
    left: list[object] = [json.loads(asked.body)] if asked.body else []
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if name in value:
                return str(value[name])
            left += value.values()
    return None


def describe_request(asked: Asked) -> str:
    """Everything by which one request differs from another."""
    return json.dumps([asked.method, asked.path, asked.query, asked.body.decode()], default=list)


def facts_of(audience: Audience) -> Facts:
    """What a reader is shown of an audience."""
    return Facts(audience.name, audience.size, str(audience.type), audience.status or "ready")


def letters_of(name: str) -> str:
    """A name without what may be cleaned away from it."""
    return "".join(c for c in name if c.isalnum())


def distinct_rows(case: Case) -> list[Raw]:
    """One row of each kind that a reader can tell apart, of those whose name no other row has."""
    names = [case.facts(row).name.casefold() for row in case.rows]
    found: dict[object, Raw] = {}
    for row in case.rows:
        fact = case.facts(row)
        if names.count(fact.name.casefold()) == 1:
            kind = (
                fact.type,
                fact.status,
                fact.size is None,
                fact.name == case.id_of(row),
                fact.name.isascii(),
            )
            found.setdefault(kind, row)
    return list(found.values())


def refusable_settings(case: Case) -> list[Setting]:
    """The settings that make a source and that a vendor can refuse: not those that only say where it is."""
    groups = {role for group in case.vendor.needs_one_of for role in group}
    address = next(s.default or "" for s in case.vendor.settings if s.role == "base_url")
    return [
        setting
        for setting in case.vendor.settings
        if (setting.required or setting.role in groups)
        and setting.role != "base_url"
        and f"{{{setting.role}}}" not in address
    ]


def has_note(answer: AudienceList, what: str) -> bool:
    """Whether a note says so."""
    return any(what in note for note in answer.notes or [])

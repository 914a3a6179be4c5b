"""The tools' schemas, as clients and models read them."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from audience_mcp.catalog.models import AudienceList, AudienceMatch
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.server.schemas import tool_schema
from tests.support.served import connected

pytestmark = pytest.mark.anyio

INPUTS = [ListQuery, GetQuery]
OUTPUTS = [AudienceList, AudienceMatch]


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object of a schema that is itself a schema or a part of one."""
    if isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            for child in value.values() if key == "properties" else [value]:
                yield from nodes(child)
    elif isinstance(schema, list):
        for item in schema:
            yield from nodes(item)


@pytest.mark.parametrize("question", INPUTS, ids=lambda model: model.__name__)
def test_an_input_schema_is_flat_closed_and_described(question: type[ListQuery]) -> None:
    schema = tool_schema(question)

    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    for name, described in schema["properties"].items():
        assert described["type"] in ("string", "integer", "boolean", "array"), name
        assert described["description"].endswith("."), name
        assert described.get("default", "") is not None, name
    for node in nodes(schema):
        assert not node.keys() & {"$ref", "$defs", "anyOf", "allOf", "oneOf", "title"}


@pytest.mark.parametrize("answer", OUTPUTS, ids=lambda model: model.__name__)
def test_an_output_schema_has_no_titles_no_nulls_and_no_references(answer: type[AudienceList]) -> None:
    schema = tool_schema(answer)

    assert schema["type"] == "object"
    for node in nodes(schema):
        assert not node.keys() & {"$ref", "$defs", "anyOf", "allOf", "oneOf", "title"}
        assert node.get("type") != "null"
        assert "default" not in node


@pytest.mark.parametrize("model", [*INPUTS, *OUTPUTS], ids=lambda model: model.__name__)
def test_a_schema_is_valid_json_schema(model: type[AudienceList]) -> None:
    jsonschema.Draft202012Validator.check_schema(tool_schema(model))


def test_a_property_may_be_called_title_or_default() -> None:
    class Odd(ListQuery):
        title: str = ""
        default: str = ""

    assert {"title", "default"} <= tool_schema(Odd)["properties"].keys()


async def test_real_answers_are_as_the_tools_say() -> None:
    async with connected() as there:
        tools = {tool.name: tool for tool in (await there.client.list_tools()).tools}
        questions: list[tuple[str, dict[str, Any]]] = [
            ("list_audiences", {}),
            ("list_audiences", {"detail": "full", "limit": 60}),
            ("list_audiences", {"limit": 0, "status": "failed"}),
            ("get_audience", {"audience": "VIP"}),
            ("get_audience", {"audience": "batch:VIP"}),
            ("get_audience", {"audience": "31112"}),
        ]
        for tool, arguments in questions:
            jsonschema.validate(arguments, tools[tool].input_schema)
            answer = await there.client.call_tool(tool, arguments)
            assert not answer.is_error, answer.content
            jsonschema.validate(answer.structured_content, tools[tool].output_schema or False)
            for node in nodes(answer.structured_content):
                assert None not in node.values()

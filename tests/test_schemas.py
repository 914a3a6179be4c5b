"""The tools' schemas, as clients and models read them."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from audience_mcp.catalog.models import AudienceList, AudienceMatch
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.catalog.schemas import input_schema, neutral_value, output_schema
from audience_mcp.server.answering import make_schemas
from tests.snapshots.taking import RENEW, SCHEMAS
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
    schema = input_schema(question)

    assert schema.keys() == {"type", "properties", "required"}
    assert schema["type"] == "object"
    for name, described in schema["properties"].items():
        assert described["type"] in ("string", "integer", "boolean", "array"), name
        assert described["description"].endswith("."), name
        assert described.get("default", "") is not None, name
    for node in nodes(schema):
        assert not node.keys() & {"$ref", "$defs", "anyOf", "allOf", "oneOf", "title", "additionalProperties"}
        assert not isinstance(node.get("type"), list)
        assert "" not in node.get("enum", [])


@pytest.mark.parametrize("question", INPUTS, ids=lambda model: model.__name__)
def test_every_optional_parameter_has_a_neutral_value_within_its_own_schema(
    question: type[ListQuery],
) -> None:
    schema = input_schema(question)
    for name in schema["properties"].keys() - set(schema["required"]):
        neutral = neutral_value(schema["properties"][name])
        jsonschema.validate(neutral, schema["properties"][name])
        required = {"audience": "x"} if "audience" in schema["required"] else {}
        asked = parse_arguments(question, {**required, name: neutral})
        assert asked.model_dump() == parse_arguments(question, required).model_dump(), name
        assert asked.model_fields_set == set(required)
        assert asked.notes == ()


async def test_a_call_of_neutral_values_alone_is_answered_as_one_without_arguments() -> None:
    properties = input_schema(ListQuery)["properties"]
    async with connected() as there:
        asked = {name: neutral_value(parameter) for name, parameter in properties.items()}
        every = await there.client.call_tool("list_audiences", {})
        assert (await there.client.call_tool("list_audiences", asked)).structured_content == (
            every.structured_content
        )


@pytest.mark.parametrize("answer", OUTPUTS, ids=lambda model: model.__name__)
def test_an_output_schema_has_no_titles_no_nulls_and_no_references(answer: type[AudienceList]) -> None:
    schema = output_schema(answer)

    assert schema["type"] == "object"
    for node in nodes(schema):
        assert not node.keys() & {"$ref", "$defs", "anyOf", "allOf", "oneOf", "title"}
        assert node.get("type") != "null"
        assert "default" not in node


def test_clients_are_shown_the_schemas_of_what_is_asked_and_answered() -> None:
    # As text: models read the parameters in the order in which they stand.
    assert json.dumps(json.loads(SCHEMAS.read_text(encoding="utf-8"))) == json.dumps(make_schemas()), RENEW


def test_no_parameter_is_repeated_in_a_header() -> None:
    # The server tells the SDK so, which else would look for them at each call.
    assert "x-mcp-header" not in SCHEMAS.read_text(encoding="utf-8")


def test_the_schemas_are_valid_json_schema() -> None:
    for schema in [
        *[input_schema(each) for each in INPUTS],
        output_schema(AudienceList),
        output_schema(AudienceMatch),
    ]:
        jsonschema.Draft202012Validator.check_schema(schema)


def test_a_property_may_be_called_title_or_default() -> None:
    class Odd(ListQuery):
        title: str = ""
        default: str = ""

    assert {"title", "default"} <= output_schema(Odd)["properties"].keys()


async def test_real_answers_are_as_the_tools_say() -> None:
    async with connected() as there:
        tools = {tool.name: tool for tool in (await there.client.list_tools()).tools}
        questions: list[tuple[str, dict[str, Any]]] = [
            ("list_audiences", {}),
            ("list_audiences", {"detail": "full", "limit": 60}),
            ("list_audiences", {"limit": 0, "status": ["failed"]}),
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

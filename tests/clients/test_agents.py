"""Frameworks for agents, each asking with its own tool objects, as a model behind it would.

A strict one makes every parameter required and has no null, so a model must fill in all of them: it is given
the neutral values. What a model is shown must allow what it sends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from audience_mcp.catalog.query import ListQuery
from audience_mcp.catalog.schemas import input_schema, neutral_value
from tests.clients.test_clients import HERE, STDIO, node, python, ran
from tests.questions.records import at, total, truth
from tests.support.hosting import AUTHORIZED, TOKEN, Hosted, hosted

pytestmark = [pytest.mark.clients, pytest.mark.slow]

PROPERTIES = input_schema(ListQuery)["properties"]
NEUTRAL = {name: neutral_value(parameter) for name, parameter in PROPERTIES.items()}
CALLS: list[dict[str, Any]] = [{"limit": 1}, {"sources": ["batch"], "limit": 1}, {"sources": ["nowhere"]}]

CONSUMERS = {
    "openai-agents, strict": ("agents", "openai_agents", True),
    "pydantic-ai, strict": ("agents", "pydantic_ai", True),
    "llama-index": ("agents", "llama_index", False),
    "langchain-mcp-adapters": ("mcp1", "langchain", False),
    "google-genai": ("mcp1", "google_genai", False),
    "@openai/agents, strict": ("npm", "openai_agents", True),
    "the AI SDK": ("npm", "ai_sdk", False),
    "@google/genai": ("npm", "google_genai", False),
}
"""Where each is installed, its name in the scripts, and whether a model must fill in every parameter."""


OWN_STDIO = ("openai-agents, strict", "the AI SDK")
"""Consumers that do not leave stdio to the protocol's SDK, or use it in a way of their own."""


@pytest.fixture(scope="module")
def server() -> Iterator[Hosted]:
    with hosted("--sandbox", AUDIENCE_MCP_HTTP_TOKEN=TOKEN) as server:
        yield server


def ask(consumer: str, home: Path, **way: Any) -> None:
    place, name, is_strict = CONSUMERS[consumer]
    script = [node(), "ask_agents.mjs"] if place == "npm" else [python(place), "ask_agents.py"]
    calls = [NEUTRAL | call if is_strict else call for call in CALLS]
    asked = json.dumps({"consumer": name, "calls": calls, **way})
    check(ran([script[0], str(HERE / script[1]), asked], home), calls, is_strict)


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_a_framework_asks_for_everything_asks_with_a_filter_and_sees_an_error(
    consumer: str, server: Hosted, tmp_path: Path
) -> None:
    ask(consumer, tmp_path, url=server.url, headers=AUTHORIZED)


@pytest.mark.parametrize("consumer", OWN_STDIO)
def test_a_framework_asks_over_its_own_stdio(consumer: str, tmp_path: Path) -> None:
    ask(consumer, tmp_path, command=STDIO[0], args=STDIO[1:])


def check(answer: dict[str, Any], calls: list[dict[str, Any]], is_strict: bool) -> None:
    schema = answer["schema"]
    assert schema["properties"].keys() == PROPERTIES.keys()
    assert set(schema.get("required", [])) == (PROPERTIES.keys() if is_strict else set())
    if str(schema.get("type", "object")).islower():  # Google's has words of its own
        for call in calls:
            jsonschema.validate(call, schema)
    everything, filtered, wrong = answer["said"]
    every, batch = truth(), at(truth(), "batch")
    for said, records in ((json.loads(everything), every), (json.loads(filtered), batch)):
        assert (said["matched"], said["returned"], said["complete"]) == (len(records), 1, True)
        assert said["sum_of_sizes"] == total(records)
    assert "There is no source 'nowhere'." in wrong

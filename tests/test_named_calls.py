"""Every call that a page, a prompt or a tool names is one that the tools' own schemas allow."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from audience_mcp.cli.demo import QUESTIONS as DEMO
from audience_mcp.server.prompts import PROMPTS
from audience_mcp.server.tools import TOOLS
from tests.support.served import connected

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("examples/**/*.md"))]
CALL = re.compile(r"(list_audiences|get_audience)['\"`,]*[ (]+'?(\{(?:\".*?)?\})['`)]*(?= |$)", re.M)
WRONG_ON_PURPOSE = ROOT / "docs" / "troubleshooting.md"


def calls_in(text: str) -> list[tuple[str, dict[str, Any]]]:
    return [(tool, json.loads(arguments)) for tool, arguments in CALL.findall(text)]


def check(tool: str, arguments: dict[str, Any]) -> None:
    jsonschema.validate(arguments, TOOLS[tool].definition.input_schema)
    unknown = arguments.keys() - TOOLS[tool].definition.input_schema["properties"].keys()
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_calls_on_a_page(page: Path) -> None:
    if page != WRONG_ON_PURPOSE:
        for tool, arguments in calls_in(page.read_text(encoding="utf-8")):
            check(tool, arguments)


def test_the_examples_in_the_tools_descriptions() -> None:
    found = [
        (tool.name, example)
        for tool in TOOLS.values()
        for example in re.findall(r"Example: (\{.*?\})\.", tool.description)
    ]
    assert found
    for tool, example in found:
        check(tool, json.loads(example))


@pytest.mark.anyio
@pytest.mark.parametrize("prompt", PROMPTS)
async def test_the_calls_in_a_prompt(prompt: str) -> None:
    async with connected() as there:
        (message,) = (await there.client.get_prompt(prompt)).messages
    calls = calls_in(getattr(message.content, "text", ""))
    assert calls
    for tool, arguments in calls:
        check(tool, arguments)


@pytest.mark.parametrize("question", DEMO, ids=lambda question: question.words)
def test_the_questions_of_the_demo(question: Any) -> None:
    check(question.tool, question.arguments)

"""Asks all questions of one sandbox server over stdio, and counts what the answers cost."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.questions.every import QUESTIONS
from tests.support.process import program

COSTS = Path(__file__).with_name("costs.json")
TOKENIZER = "o200k_base"
_AS_OF = re.compile(r'"(as_of|compared_to)":"[^"]*"')


@dataclass(frozen=True)
class Outcome:
    """What came of one question."""

    arguments: dict[str, Any]
    text: str
    answer: Any
    """The structured result, or the text of an error."""
    is_error: bool


@dataclass(frozen=True)
class Run:
    """What one server said: its tools, its instructions, and the outcome of each question by its key."""

    tools: list[dict[str, Any]]
    instructions: str
    outcomes: dict[str, Outcome]


async def asked() -> Run:
    """All questions, in their order, of one server."""
    outcomes: dict[str, Outcome] = {}
    async with program("--sandbox") as server:
        instructions = (await server.initialize())["instructions"]
        tools = (await server.ask("tools/list"))["result"]["tools"]
        for question in QUESTIONS:
            arguments = question.call({key: outcome.answer for key, outcome in outcomes.items()})
            result = (await server.ask("tools/call", name=question.tool, arguments=arguments))["result"]
            (block,) = result["content"]
            answer = result.get("structuredContent", block["text"])
            outcomes[question.key] = Outcome(arguments, block["text"], answer, result.get("isError", False))
    return Run(tools, instructions, outcomes)


def tokens(text: str) -> int:
    """How many tokens a model of today reads in `text`, by a tokenizer that carries its own data."""
    return len(_encoding().encode(text))


@cache
def _encoding() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of how it opens its own data
        import bpe_openai

        return bpe_openai.get_encoding(TOKENIZER)


def cost(text: str) -> dict[str, int]:
    """Of a text, whenever it was made: every moment counts the same."""
    text = _AS_OF.sub(r'"\1":"2026-11-20T12:00:00Z"', text)
    return {"characters": len(text), "tokens": tokens(text)}


def definition(tool: Mapping[str, Any]) -> str:
    """What a model is given of a tool: its name, description and input schema."""
    return compact({key: tool[key] for key in ("name", "description", "inputSchema")})


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def costs(run: Run) -> dict[str, Any]:
    """The table of what everything cost. Each question is one call."""
    return {
        "tokenizer": TOKENIZER,
        "instructions": cost(run.instructions),
        "definitions": {tool["name"]: cost(definition(tool)) for tool in run.tools},
        "questions": {key: {"calls": 1, **cost(outcome.text)} for key, outcome in run.outcomes.items()},
    }


def stored() -> dict[str, Any]:
    """The table as it was when it was last renewed."""
    found: dict[str, Any] = json.loads(COSTS.read_text(encoding="utf-8"))
    return found

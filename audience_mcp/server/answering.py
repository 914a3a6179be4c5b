"""Answers the calls of tools, and says what shapes their parameters and answers have.

It is apart from the tools' names and texts, which clients ask for at the start, before the models are needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.models import AudienceList, AudienceMatch
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.catalog.schemas import input_schema, output_schema
from audience_mcp.core.progress import Progress
from audience_mcp.server.calls import Call

QueryT = TypeVar("QueryT", ListQuery, GetQuery)
AnswerT = TypeVar("AnswerT", AudienceList, AudienceMatch)


@dataclass(frozen=True)
class _Question(Generic[QueryT, AnswerT]):
    """What a tool asks; `count` says how many audiences an answer is about."""

    query: type[QueryT]
    answer: type[AnswerT]
    ask: Callable[[Catalog, QueryT, Progress], Awaitable[AnswerT]]
    count: Callable[[AnswerT], int]


_QUESTIONS: dict[str, _Question[Any, Any]] = {
    "list_audiences": _Question(
        ListQuery, AudienceList, Catalog.list_audiences, lambda answer: answer.matched
    ),
    "get_audience": _Question(
        GetQuery, AudienceMatch, Catalog.get_audience, lambda answer: len(answer.audiences)
    ),
}


def build_models() -> None:
    """Build the models of questions and answers, and the schemas by which arguments are read.

    Otherwise that is done when each is first used, while a client waits.
    """
    for question in _QUESTIONS.values():
        question.query.model_rebuild()
        question.answer.model_rebuild()
        query: type[BaseModel] = question.query
        input_schema(query)


async def answer_call(
    tool: str,
    catalog: Catalog,
    arguments: dict[str, Any] | None,
    progress: Progress,
    call: Call | None = None,
) -> AudienceList | AudienceMatch:
    """The answer of a tool; `call` is told what it comes to. Raises ToolError."""
    question = _QUESTIONS[tool]
    query = parse_arguments(question.query, arguments)
    if call is not None:
        call.sources = catalog.names_for(query)
    answer: AudienceList | AudienceMatch = await question.ask(catalog, query, progress)
    if call is not None:
        call.note(question.count(answer), answer.complete)
    return answer


def make_schemas() -> dict[str, Any]:
    """What `schemas.json` holds: by tool, the schemas of its parameters (`input`) and answer (`output`)."""
    shapes: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
        tool: (question.query, question.answer) for tool, question in _QUESTIONS.items()
    }
    return {
        tool: {"input": input_schema(query), "output": output_schema(answer)}
        for tool, (query, answer) in shapes.items()
    }

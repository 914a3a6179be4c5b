"""Every question is answered by one call, rightly, and for no more tokens than before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.questions import asking, readme
from tests.questions.asked import Question
from tests.questions.asking import Run
from tests.questions.every import QUESTIONS
from tests.questions.records import Record, truth
from tests.support.served import connected, text_of

GROWTH = 1.05
RENEW = "If that is meant, renew the table: python -m tests.questions.renew"
MOST_FOR_TOOLS = 1_150
MOST_FOR_TOTALS = 270
MOST_FOR_INSTRUCTIONS = 2_048

every_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.key)


@pytest.fixture(scope="session")
async def run(anyio_backend: str) -> Run:
    return await asking.asked()


@pytest.fixture(scope="session")
def records() -> list[Record]:
    return truth()


@every_question
def test_one_call_answers_the_question_with_what_the_vendors_rows_say(
    question: Question, run: Run, records: list[Record]
) -> None:
    outcome = run.outcomes[question.key]
    assert outcome.is_error is question.is_error, outcome.text
    if question.is_error:
        for word in question.fact(records):
            assert word in outcome.text
    else:
        assert question.told(outcome.answer) == question.fact(records)
        assert outcome.answer["complete"] is True


@pytest.mark.slow
@every_question
def test_the_answer_costs_no_more_tokens_than_it_did(question: Question, run: Run) -> None:
    before = asking.stored()["questions"].get(question.key)
    assert before, f"'{question.key}' is not in costs.json. {RENEW}"
    now = asking.cost(run.outcomes[question.key].text)
    _not_grown(f"The answer to '{question.words}'", before["tokens"], now["tokens"])


def test_the_tools_cost_no_more_tokens_than_they_did(run: Run) -> None:
    now = asking.costs(run)
    for what in ("definitions", "instructions"):
        _not_grown(f"What the model reads first ({what})", _tokens(asking.stored()[what]), _tokens(now[what]))


def _not_grown(what: str, before: int, now: int) -> None:
    assert now <= before * GROWTH, f"{what} cost {before:,} tokens and now costs {now:,}. {RENEW}"


def _tokens(of: Any) -> int:
    return int(of["tokens"]) if "tokens" in of else sum(map(_tokens, of.values()))


def test_growth_of_more_than_five_percent_is_refused_with_the_command_that_renews_the_table() -> None:
    _not_grown("It", 100, 105)
    with pytest.raises(
        AssertionError, match=r"100 tokens and now costs 106.*python -m tests\.questions\.renew"
    ):
        _not_grown("It", 100, 106)


def test_the_stored_table_has_these_questions_and_no_others() -> None:
    assert list(asking.stored()["questions"]) == [question.key for question in QUESTIONS], RENEW


def test_there_are_at_least_28_questions_and_no_two_have_the_same_words() -> None:
    assert len({question.words for question in QUESTIONS}) == len(QUESTIONS) >= 28
    assert len({question.key for question in QUESTIONS}) == len(QUESTIONS)


def test_both_tools_together_cost_at_most_1150_tokens(run: Run) -> None:
    assert len(run.tools) == 2
    assert all(len(tool["description"]) <= 1_024 for tool in run.tools)
    assert sum(asking.tokens(asking.definition(tool)) for tool in run.tools) <= MOST_FOR_TOOLS


@pytest.mark.anyio
async def test_the_totals_of_four_sources_cost_at_most_270_tokens() -> None:
    async with connected() as there:
        result = await there.client.call_tool("list_audiences", {"limit": 0})
    assert isinstance(result.structured_content, dict)
    assert len(result.structured_content["sources"]) == 4
    assert asking.cost(text_of(result))["tokens"] <= MOST_FOR_TOTALS


def test_the_instructions_fit_where_clients_cut_them_and_name_the_sources(run: Run) -> None:
    assert len(run.instructions) <= MOST_FOR_INSTRUCTIONS
    for source in ("commbox", "batch", "smallest", "whop"):
        assert source in run.instructions


def test_input_schemas_are_flat_and_every_parameter_is_described(run: Run) -> None:
    for tool in run.tools:
        schema = tool["inputSchema"]
        assert schema["type"] == "object"
        assert "additionalProperties" not in schema
        assert not {"anyOf", "oneOf", "allOf", "$ref", "$defs", "title"} & schema.keys()
        for name, parameter in schema["properties"].items():
            assert parameter["type"] in ("string", "integer", "boolean", "array"), name
            assert parameter["description"], name
            assert parameter.get("items", {}).get("type", "string") == "string", name
            assert all(isinstance(value, str) for value in parameter.get("enum", [])), name
        inside = asking.compact(schema["properties"])
        for word in ('"$ref"', '"anyOf"', '"oneOf"', '"title"', '"null"'):
            assert word not in inside


def test_no_error_shows_the_machinery(run: Run) -> None:
    for question in QUESTIONS:
        if question.is_error:
            text = run.outcomes[question.key].text
            for word in ("pydantic", "Traceback", "validation error", "input_value", "-32"):
                assert word not in text
            assert len(text) < 700


def test_what_the_readme_says_of_costs_is_what_was_measured() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.table() in text, RENEW
    peers = readme.stored_peers()
    assert f"measured on {peers['measured']}" in text
    assert peers["tokenizer"] == asking.stored()["tokenizer"] == asking.TOKENIZER
    assert f"{asking.TOKENIZER}'s" in text
    assert f"fastmcp=={peers['fastmcp']}" in text


def test_the_peers_were_asked_every_question_that_arises_there() -> None:
    arise = [question.key for question in QUESTIONS if question.peers != "none"]
    assert list(readme.stored_peers()["questions"]) == arise

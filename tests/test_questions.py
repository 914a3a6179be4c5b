"""The tools' parameters: what is taken, and what is said of what is not."""

import time
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.core.errors import ToolError
from tests.support.examples import examples
from tests.support.served import connected

ALL = (
    "sources, search, type, status, kind, issue, missing_in, min_size, max_size, created_since, "
    "created_before, updated_since, updated_before, compare_to, as_of, min_change, max_change, "
    "group_by, sort, limit, offset, detail, refresh"
)


def listing(**arguments: Any) -> ListQuery:
    return parse_arguments(ListQuery, arguments)


def refusal(kind: type[Any] = ListQuery, /, **arguments: Any) -> str:
    with pytest.raises(ToolError) as e:
        parse_arguments(kind, arguments)
    return str(e.value)


@pytest.mark.parametrize("arguments", [None, {}, dict.fromkeys(ALL.split(", "))])
def test_no_arguments_and_nulls_ask_for_everything(arguments: dict[str, Any] | None) -> None:
    question = parse_arguments(ListQuery, arguments)

    assert question.model_dump() == ListQuery().model_dump()
    assert (question.sources, question.limit, question.offset, question.sort) == (None, 200, 0, "size")
    assert (question.detail, question.refresh) == ("concise", False)
    assert "limit" not in question.model_fields_set


@pytest.mark.parametrize(
    ("near", "meant"),
    [("limt", "limit"), ("Sources", "sources"), ("minsize", "min_size"), ("query", "search")],
)
def test_an_unknown_argument_is_named_with_the_nearest_and_with_all_that_are_allowed(
    near: str, meant: str
) -> None:
    assert refusal(**{near: 3}) == f"There is no argument '{near}'. Did you mean '{meant}'? Allowed: {ALL}."


def test_an_unknown_argument_that_is_near_nothing_gets_the_list_alone() -> None:
    assert refusal(color="x") == f"There is no argument 'color'. Allowed: {ALL}."
    assert refusal(GetQuery, audience="x", color="y") == (
        "There is no argument 'color'. Allowed: audience, source, since, refresh."
    )


def test_an_unknown_argument_is_refused_even_where_it_is_null() -> None:
    assert "There is no argument 'cursor'" in refusal(cursor=None)


def test_a_hostile_argument_name_is_shown_cleaned_and_cut() -> None:
    said = refusal(**{"a\u202e\nb\x00" + "x" * 5000: 1})

    assert said.startswith("There is no argument 'a bxxx")
    assert said.isprintable()
    assert len(said) < 400


def test_several_unknown_arguments_are_named_and_the_allowed_ones_listed_once() -> None:
    assert refusal(color="x", limt=3) == (
        f"There is no argument 'color'. There is no argument 'limt'. Did you mean 'limit'? Allowed: {ALL}."
    )


HOSTS: dict[str, dict[str, Any]] = {
    "n8n": {"toolCallId": "call_0BCI", "sessionId": "1", "action": "x", "chatInput": "y"}
}
HOSTS["Cline"] = {"task_progress": "- [x] asked"}
HOSTS["others"] = {"tool_call_id": "1", "_meta": None}


@pytest.mark.parametrize("own", HOSTS.values(), ids=HOSTS.keys())
def test_what_a_host_adds_to_every_call_is_ignored_and_said(own: dict[str, Any]) -> None:
    question = listing(limit=0, **own)
    assert question.model_dump() == listing(limit=0).model_dump()
    assert question.notes == (f"Ignored, as arguments of the host: {', '.join(own)}.",)
    assert parse_arguments(GetQuery, {"audience": "x", **own}).notes == question.notes


@pytest.mark.parametrize("word", ["null", " NULL ", "undefined", "None", "none", ""])
@pytest.mark.parametrize("name", ALL.split(", "))
def test_a_word_for_nothing_is_nothing(name: str, word: str) -> None:
    assert listing(**{name: word}).model_dump() == ListQuery().model_dump()


@pytest.mark.parametrize("name", ["sources", "type", "status"])
@pytest.mark.parametrize(
    "given", [["null"], [""], [None], '["null", "none"]', "null,", "all", "Any", ["all"], []]
)
def test_words_for_nothing_and_everything_in_lists_restrict_nothing(name: str, given: object) -> None:
    assert listing(**{name: given}).model_dump() == ListQuery().model_dump()


def test_words_for_nothing_beside_others_are_left_out_and_all_wins() -> None:
    assert listing(sources=["batch", "null", ""]).sources == ["batch"]
    assert listing(sources=["batch", "all"]).sources is None
    assert parse_arguments(GetQuery, {"audience": "x", "source": "any"}).source is None


def test_a_search_of_null_is_dropped_and_said_and_other_words_are_words() -> None:
    assert "search came as null and was not applied" in listing(search="null").notes[0]
    assert listing(search="").notes == ()
    for words in ("all", "any", '"null"', "null hypothesis"):
        assert (listing(search=words).search, listing(search=words).notes) == (words, ())


@pytest.mark.parametrize("given", [[], [""]])
def test_a_search_for_nothing_asks_for_everything(given: list[Any]) -> None:
    assert listing(search=given).search is None
    assert listing(search=given).notes == ()


@pytest.mark.parametrize("given", [["null"], [None], ["none", None]])
def test_a_list_of_nulls_is_a_search_of_null(given: list[Any]) -> None:
    assert listing(search=given).search is None
    assert "search came as null and was not applied" in listing(search=given).notes[0]
    assert listing(search=[*given, "vip"]).search == "vip"


@pytest.mark.parametrize("word", ["null", "all", "none", "undefined", "any"])
def test_an_audience_may_be_called_anything(word: str) -> None:
    assert parse_arguments(GetQuery, {"audience": word}).audience == word


def test_bounds_that_are_none_and_the_one_that_asks_for_empty_audiences() -> None:
    assert (listing(min_size=0).min_size, listing(min_size=-1).min_size) == (None, None)
    assert (listing(max_size=-1).max_size, listing(max_size="-1").max_size) == (None, None)
    assert listing(max_size=0).max_size == 0
    assert "only empty audiences match" in listing(max_size=0, limit=0).notes[0]
    assert refusal(min_size=-2) == "'min_size' must be -1 or more."


def test_every_fault_is_told_at_once() -> None:
    said = refusal(limit=-1, detail="all", sort="biggest")

    assert said.count("must be") == 3


@pytest.mark.parametrize("text", ["1000", " 1000 ", "1,000", "1 000", "+1000", 1000.0, 1000])
def test_numbers_may_come_as_text(text: object) -> None:
    question = listing(min_size=text, max_size=text, limit=text, offset=text)

    assert (question.min_size, question.max_size, question.limit, question.offset) == (1000, 1000, 1000, 1000)


@pytest.mark.parametrize("name", ["min_size", "max_size", "limit", "offset"])
@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        "many",
        "1e3",
        "1.5",
        "1,5",
        "1,00",
        "10 0",
        1.5,
        [1],
        {},
        float("nan"),
        float("inf"),
        "٣",
        "9" * 5000,
    ],
)
def test_what_is_no_whole_number_is_refused_as_such(name: str, value: object) -> None:
    assert refusal(**{name: value}).startswith(f"'{name}' must be a whole number")


@pytest.mark.parametrize("value", [-1, "-1", -1.0])
def test_numbers_below_zero_are_refused(value: object) -> None:
    assert refusal(limit=value) == "'limit' must be 0 or more."


@pytest.mark.parametrize(
    "value", [2**53 + 1, 10**19, pytest.param(10**5000, id="5000 digits"), 1e300, "9007199254740993"]
)
def test_numbers_beyond_all_sizes_are_refused(value: object) -> None:
    assert refusal(min_size=value) == "'min_size' must be at most 9,007,199,254,740,992."


def test_a_smallest_size_above_the_largest_is_refused() -> None:
    assert refusal(min_size=1001, max_size="1000") == (
        "min_size (1,001) is above max_size (1,000), so nothing can match. Swap them."
    )
    assert listing(min_size=5, max_size=5).min_size == 5


@pytest.mark.parametrize(
    "given",
    [
        ["batch", "whop"],
        '["batch", "whop"]',
        ' ["batch","whop"]',
        "batch,whop",
        " batch , whop ,",
        ("batch", "whop"),
    ],
)
def test_sources_may_be_a_list_json_in_text_or_comma_separated(given: object) -> None:
    assert listing(sources=given).sources == ["batch", "whop"]


@pytest.mark.parametrize("given", [7, True, {"batch": 1}, [1], [["batch"]], "[1]"])
def test_sources_that_are_no_list_of_names_are_refused(given: object) -> None:
    assert refusal(sources=given) == "'sources' must be a list of names."


def test_a_list_in_text_that_is_no_json_is_taken_as_names() -> None:
    assert listing(sources="[batch").sources == ["[batch"]
    assert listing(sources="[" * 100_000).sources == ["[" * 100_000]


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("type", "Lookalike", ["lookalike"]),
        ("type", "static, Dynamic", ["static", "dynamic"]),
        ("status", " FAILED ", ["failed"]),
        ("status", '["failed", "Partial"]', ["failed", "partial"]),
        ("sort", "Newest", "newest"),
        ("group_by", " Source", "source"),
    ],
)
def test_words_of_a_choice_are_taken_in_any_case(name: str, given: str, taken: object) -> None:
    assert getattr(listing(**{name: given}), name) == taken


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("type", "static, dynamic, lookalike or unknown"),
        ("status", "ready, processing, partial, failed or unknown"),
        (
            "sort",
            "size, size_asc, name, newest, oldest, updated, updated_asc, growth, decline, growth_pct or "
            "decline_pct",
        ),
        ("detail", "concise or full"),
    ],
)
@pytest.mark.parametrize("value", ["custom", 7, True, ["custom"], {}])
def test_another_word_is_refused_with_those_there_are(name: str, allowed: str, value: object) -> None:
    assert refusal(**{name: value}) == f"'{name}' must be one of {allowed}."


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=timezone.utc)),
        ("2026-11-01T08:00:00Z", datetime(2026, 11, 1, 8, tzinfo=timezone.utc)),
        ("2026-11-01T08:00:00+02:00", datetime(2026, 11, 1, 6, tzinfo=timezone.utc)),
        ("2026-11-01 08:00", datetime(2026, 11, 1, 8, tzinfo=timezone.utc)),
    ],
)
def test_dates_are_iso_and_utc_where_they_name_no_zone(text: str, read: datetime) -> None:
    assert listing(created_since=text).created_since == read
    assert listing(updated_since=text).updated_since == read


@pytest.mark.parametrize(
    "value", ["soon", "2026-02-30", "1764547200", 1764547200, "01/11/2026", True, [], "-1"]
)
def test_a_bad_date_is_refused_with_examples(value: object) -> None:
    assert refusal(created_since=value) == (
        "'created_since' must be a date such as 2026-11-01, or a date-time such as 2026-11-01T08:00:00Z."
    )


@pytest.mark.parametrize(
    ("value", "taken"), [(True, True), ("true", True), ("False", False), (0, False), (1, True)]
)
def test_true_and_false_may_come_as_text(value: object, taken: bool) -> None:
    assert listing(refresh=value).refresh is taken


@pytest.mark.parametrize("value", ["maybe", 2, 0.5, [], {}])
def test_what_is_neither_true_nor_false_is_refused(value: object) -> None:
    assert refusal(refresh=value) == "'refresh' must be true or false."


def test_a_search_is_text_of_bounded_length() -> None:
    assert listing(search="vip ü").search == "vip ü"
    assert listing(search=2026).search == "2026"
    assert listing(search=["vip", "ü"]).search == "vip ü"
    assert refusal(search=["vip", 1]) == refusal(search={}) == "'search' must be text."
    assert refusal(search="x" * 501) == "'search' must be at most 500 characters."


def test_an_audience_must_be_said() -> None:
    needed = "'audience' is required: A ref (source:id), a vendor's id, or a name."
    assert refusal(GetQuery) == needed
    assert refusal(GetQuery, audience=None) == needed
    assert refusal(GetQuery, audience="").startswith("'audience' must not be empty")
    assert refusal(GetQuery, audience=["vip"]) == "'audience' must be text."
    assert refusal(GetQuery, audience="vip", source=7) == "'source' must be text."


def test_an_id_that_looks_like_a_number_may_come_as_one() -> None:
    assert parse_arguments(GetQuery, {"audience": 31112}).audience == "31112"
    assert parse_arguments(GetQuery, {"audience": 31112.0}).audience == "31112"
    assert listing(limit="5.0").limit == 5
    assert refusal(limit="10.000") == "'limit' must be a whole number such as 10000."
    assert refusal(GetQuery, audience=True) == "'audience' must be text."


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=8,
)
names = st.sampled_from(["audience", "source", *ALL.split(", ")]) | st.text(st.characters(), max_size=12)


@pytest.mark.parametrize("kind", [ListQuery, GetQuery], ids=lambda kind: kind.__name__)
@examples
@given(arguments=st.dictionaries(names, anything, max_size=5))
def test_any_arguments_are_a_question_or_are_refused_in_words_of_our_own(
    kind: type[Any], arguments: dict[str, Any]
) -> None:
    try:
        question = parse_arguments(kind, arguments)
    except ToolError as e:
        said = str(e)
        assert said.isprintable()
        assert said.endswith(".")
        assert len(said) <= 9_000
        for foreign in ("pydantic", "https://", "validation error", "Input should", "Traceback"):
            assert foreign not in said
    else:
        assert isinstance(question, kind)


@pytest.mark.parametrize(
    "arguments",
    [
        {f"argument{n}": 1 for n in range(300_000)},
        {"type": ["bad"] * 300_000},
        {"sources": ["x" * 10_000_000]},
        {"x" * 10_000_000: 1},
    ],
    ids=["many names", "many values", "a long value", "a long name"],
)
def test_arguments_that_would_take_long_to_read_are_refused_at_once(arguments: dict[str, Any]) -> None:
    before = time.process_time()
    assert refusal(**arguments) == (
        "The arguments are too long: together they may have at most 200,000 characters."
    )
    assert time.process_time() - before < 10  # it was a minute and more


@pytest.mark.anyio
@pytest.mark.parametrize(
    "arguments",
    [{f"a{n}": 1 for n in range(30_000)}, {"type": ["bad"] * 40_000}, {"sources": ["*a" * 90_000]}],
    ids=["names", "values", "a pattern"],
)
async def test_the_longest_arguments_that_are_read_hold_nobody_up(arguments: dict[str, Any]) -> None:
    async with connected() as there:
        before = time.process_time()
        assert (await there.client.call_tool("list_audiences", arguments)).is_error
        assert time.process_time() - before < 10  # it was a minute and more

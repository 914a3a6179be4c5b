"""Changing one place in a JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_mcp.hosts.jsonc import Document, JsonFault, Node

KEYS = st.text(max_size=6).filter(lambda key: key != "new")
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def member(document: Document, *path: str) -> Node:
    node = document.root
    for key in path:
        found = node.get(key)
        assert found is not None
        node = found
    return node


def put(text: str, key: str, value: Any, *path: str, comments: bool = False) -> Document:
    document = Document(text, comments=comments)
    return document.put(member(document, *path), key, value)


def dropped(document: Document, key: str, *path: str) -> str:
    node = member(document, *path)
    return document.drop(node, next(item for item in node.items if item.key == key)).text


@pytest.mark.slow
@given(OBJECTS, VALUES, st.sampled_from([None, 1, 2, 4, "\t"]))
def test_whatever_the_text_a_member_is_added_and_all_else_stays(
    before: dict[str, Any], value: Any, indent: int | str | None
) -> None:
    text = json.dumps(before, indent=indent, ensure_ascii=False)
    after = put(text, "new", value)
    assert json.loads(after.text) == {**before, "new": value}
    assert list(json.loads(after.text)) == [*before, "new"]


@given(OBJECTS, VALUES, st.sampled_from([2, 4, "\t"]))
def test_a_member_that_was_added_and_taken_out_again_leaves_the_very_same_text(
    before: dict[str, Any], value: Any, indent: int | str
) -> None:
    text = json.dumps(before, indent=indent, ensure_ascii=False) + "\n"
    assert dropped(put(text, "new", value), "new") == text


@given(OBJECTS.filter(bool), VALUES)
def test_a_member_is_set_in_its_old_place(before: dict[str, Any], value: Any) -> None:
    key = next(iter(before))
    after = json.loads(put(json.dumps(before, indent=2), key, value).text)
    assert after == {**before, key: value}
    assert list(after) == list(before)


@given(OBJECTS.filter(bool))
def test_any_member_can_be_taken_out(before: dict[str, Any]) -> None:
    for key in before:
        after = json.loads(dropped(Document(json.dumps(before, indent=2)), key))
        assert after == {k: v for k, v in before.items() if k != key}


@given(
    st.text(max_size=30).filter(lambda text: text[:1] != "\ufeff")
    | VALUES.map(json.dumps).map(lambda text: text[:-1])
)
def test_a_text_is_accepted_exactly_where_pythons_own_parser_accepts_it(text: str) -> None:
    def refused(_: str) -> None:
        raise ValueError("NaN and Infinity are no JSON")

    try:
        expected = json.loads(text, parse_constant=refused)
    except ValueError:
        with pytest.raises(JsonFault):
            Document(text)
    else:
        document = Document(text)
        assert document.value(document.root) == expected


COMMENTED = """\
{
  // my servers
  "servers": {
    "other": { "url": "https://example.com/mcp" }, // keep
    /* not in use
    "old": {} */
  },
}
"""


def test_comments_and_commas_before_a_closing_bracket_stay() -> None:
    after = put(COMMENTED, "new", {"a": 1}, "servers", comments=True)
    assert after.text == COMMENTED.replace(
        '    "old": {} */\n', '    "old": {} */\n    "new": {\n      "a": 1\n    },\n'
    )
    assert dropped(after, "new", "servers") == COMMENTED


def test_a_comment_at_the_end_of_the_last_line_does_not_swallow_what_is_added() -> None:
    after = put('{"a": 1 // one\n}', "b", 2, comments=True)
    assert after.value(after.root) == {"a": 1, "b": 2}
    assert "// one" in after.text
    assert Document(dropped(after, "b"), comments=True).text == '{"a": 1 // one\n}'


def test_a_comment_before_the_last_member_does_not_swallow_the_closing_bracket() -> None:
    text = '{ // one\n "a": 1}'
    assert dropped(Document(text, comments=True), "a") == "{ // one\n}"


def test_line_ends_and_indentation_are_those_of_the_file() -> None:
    after = put('{\r\n\t"a": {}\r\n}\r\n', "b", [1], "a")
    assert after.text == '{\r\n\t"a": {\r\n\t\t"b": [\r\n\t\t\t1\r\n\t\t]\r\n\t}\r\n}\r\n'


def test_numbers_that_python_would_write_otherwise_stay_as_they_are() -> None:
    text = '{"cost": 1.10, "big": 1E400, "long": 12345678901234567890.0}'
    assert dropped(put(text, "new", 1), "new").startswith(text[:-1])


def test_of_two_members_of_one_name_the_last_counts() -> None:
    document = Document('{"a": 1, "a": {"b": 2}}')
    assert document.value(member(document, "a")) == {"b": 2}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1, column 1: the end where a value should be"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6: no ':' after a name"),
        ('{"a": 1\n "b": 2}', "line 2, column 2: no comma or '}' where one should be"),
        ('{"a": 1,\n}', "line 1, column 8: a comma with nothing after it before '}'"),
        ("{\n  // servers\n}", "line 2, column 3: a comment, which JSON does not have"),
        ('{"a": "b\n"}', "line 1, column 7: a text in quotes that is not valid"),
        ("{'a': 1}", "line 1, column 2: no name in quotes where one should be"),
        ('{"a": undefined}', "line 1, column 7: 'u' where a value should be"),
        ("{} {}", "line 1, column 4: something after the end"),
        ('{"a": [1, 2}', "line 1, column 12: no comma or ']' where one should be"),
        ("[" * 300, "line 1, column 201: brackets nested too deeply"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, where: str) -> None:
    with pytest.raises(JsonFault) as e:
        Document(text)
    assert str(e.value) == where


def test_a_comment_without_an_end_is_a_fault() -> None:
    with pytest.raises(JsonFault, match="line 1, column 2: a comment without an end"):
        Document("{/* {}", comments=True)

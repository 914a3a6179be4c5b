"""Vendor text made safe to show, ids, counts, and folding."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_mcp.core.text import MAX_TEXT, clean, fold, strip_invisible
from audience_mcp.core.values import MAX_ID, WHOLE_MAX, as_count, as_id
from tests.support.examples import examples


@pytest.mark.parametrize(
    ("hidden", "what"),
    [
        ("\x00", "NUL"),
        ("\x07", "a control character"),
        ("\x1b", "escape"),
        ("\x7f", "delete"),
        ("\x9b", "a C1 control"),
        ("\u202e", "right-to-left override"),
        ("\u202a", "left-to-right embedding"),
        ("\u2066", "an isolate"),
        ("\u2069", "the end of an isolate"),
        ("\u061c", "the Arabic letter mark"),
        ("\u200e", "the left-to-right mark"),
        ("\u200b", "zero-width space"),
        ("\u200c", "zero-width non-joiner"),
        ("\u200d", "zero-width joiner"),
        ("\u2060", "word joiner"),
        ("\ufeff", "byte order mark"),
        ("\u00ad", "soft hyphen"),
        ("\u034f", "combining grapheme joiner"),
        ("\u180e", "Mongolian vowel separator"),
        ("\u17b4", "Khmer inherent vowel"),
        ("\U000e0041", "a tag letter"),
        ("\U000e0001", "the language tag"),
        ("\ufe0f", "a variation selector"),
        ("\U000e01ef", "a supplementary variation selector"),
        ("\u180b", "a Mongolian variation selector"),
        ("\u115f", "Hangul choseong filler"),
        ("\u1160", "Hangul jungseong filler"),
        ("\u3164", "Hangul filler"),
        ("\uffa0", "half-width Hangul filler"),
        ("\u2800", "blank braille"),
        ("\U0001d159", "an empty note head"),
        ("\ufff9", "an interlinear anchor"),
        ("\ue000", "a private character"),
        ("\uffff", "a noncharacter"),
        ("\ud800", "a lone surrogate"),
    ],
)
def test_characters_that_are_not_seen_or_reorder_are_removed(hidden: str, what: str) -> None:
    assert clean(f"VI{hidden}P{hidden}") == "VIP", what


@pytest.mark.parametrize(
    "space", ["\n", "\r\n", "\t", "\v", "\f", "\x85", "\u2028", "\u2029", "\u00a0", "\u3000"]
)
def test_every_line_break_and_space_becomes_one_space(space: str) -> None:
    assert clean(f"{space}a{space}{space}b{space}") == "a b"


def test_markup_stays_the_plain_text_it_is() -> None:
    markup = "<b>VIP</b> [x](https://evil.example) `rm -rf` {{7*7}} &amp; ${HOME}"

    assert clean(markup) == markup


def test_letters_of_all_scripts_and_emoji_stay() -> None:
    for name in (
        "Großkäufer",
        "לקוחות מועדון",
        "عملاء واتساب",
        "空席待ち",
        "दिवाली ऑफ़र",
        "뉴스레터",
        "🎄 Early",
    ):
        assert clean(name) == name


def test_a_text_of_5000_characters_is_cut_to_200_and_says_so() -> None:
    shown = clean("abcd " * 1000)

    assert len(shown) == MAX_TEXT == 200
    assert shown.endswith("d…")


def test_a_text_of_exactly_200_characters_is_whole() -> None:
    assert clean("x" * 200) == "x" * 200


def test_hidden_characters_do_not_push_a_name_out() -> None:
    assert clean("\u200b" * 5000 + "VIP") == "VIP"


def test_a_text_of_a_million_characters_is_not_read_to_its_end() -> None:
    assert clean("\u200b" * 1_000_000 + "VIP") == ""


@pytest.mark.parametrize("value", [None, 7, 7.5, True, ["x"], {"a": 1}, b"x"])
def test_what_is_no_text_is_shown_as_nothing(value: object) -> None:
    assert clean(value) == ""


@examples
@given(st.text(st.characters(), max_size=400))
def test_shown_text_is_one_printable_line_of_200_characters_at_most(text: str) -> None:
    shown = clean(text)

    assert len(shown) <= 200
    assert shown.isprintable()
    assert shown == strip_invisible(shown) == shown.strip()
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in shown)


@pytest.mark.parametrize("id", ["a", "VIP_2026-x", "a b", "..", "x" * 255, "é", "空", "a:b", 'a"b\\c', "%2e"])
def test_one_printable_line_of_1_to_255_characters_is_an_id(id: str) -> None:
    assert as_id(id) == id


@pytest.mark.parametrize(("id", "text"), [(31234, "31234"), (0, "0"), (2**63 - 1, "9223372036854775807")])
def test_a_whole_number_is_an_id(id: int, text: str) -> None:
    assert as_id(id) == text


@pytest.mark.parametrize(
    "id",
    [
        None,
        "",
        " ",
        "\u00a0",
        "x" * (MAX_ID + 1),
        "a\nb",
        "a\x00b",
        "a\tb",
        "a\u2028b",
        "a\u202eb",
        "a\u200bb",
        "a\ufe0f",
        "\u3164",
        "\ud800",
        "\U000e0041",
        1.5,
        7.0,
        True,
        False,
        [],
        {},
        ["a"],
        float("nan"),
        10**255,
    ],
)
def test_anything_else_is_no_id(id: object) -> None:
    assert as_id(id) is None


def test_a_number_of_5000_digits_is_no_id() -> None:
    assert as_id(10**5000) is None


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0),
        (7, 7),
        (7.0, 7),
        (-0.0, 0),
        ("7", 7),
        ("007", 7),
        (2**53, 2**53),
        (str(2**53), 2**53),
        (2.0**53, 2**53),
    ],
)
def test_a_count_may_be_an_integer_an_integral_float_or_digits(value: object, count: int) -> None:
    read = as_count(value)

    assert read == count
    assert type(read) is int


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        -1,
        -1.0,
        "-1",
        1.5,
        "1.5",
        "1e3",
        "",
        " ",
        "1,523",
        "\u0663",
        "²",
        "x",
        "9" * 5000,
        float("nan"),
        float("inf"),
        float("-inf"),
        WHOLE_MAX + 1,
        2.0**54,
        str(WHOLE_MAX + 1),
        10**400,
        [],
        [7],
        {},
    ],
)
def test_anything_else_is_no_count(value: object) -> None:
    assert as_count(value) is None


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Café", "cafe"),
        ("Cafe\u0301", "CAFÉ"),
        ("Straße", "STRASSE"),
        ("ılık", "ILIK"),
        ("ŞİŞLİ", "sisli"),
        ("Ångström", "angstrom"),
        ("\u212bngström", "ångström"),
        ("ＶＩＰ２", "vip2"),
        ("ΟΔΟΣ", "οδός"),
        ("οδος", "ΟΔΟΣ"),
        ("عُمَر", "عمر"),
        ("أحمد", "احمد"),
        ("שָׁלוֹם", "שלום"),
        ("Łódź", "lodz"),
        ("Smørrebrød", "smorrebrod"),
        ("Đà Nẵng", "da nang"),
        ("ﬁnal", "FINAL"),
        ("Ёлка", "елка"),
        ("İstanbul", "istanbul"),
    ],
)
def test_case_and_accents_are_folded_away(written: str, asked: str) -> None:
    assert fold(written) == fold(asked)


BLOCKS_OF_MARKS = [
    (0x300, 0x36F),
    (0x483, 0x487),
    (0x591, 0x5C7),
    (0x610, 0x61A),
    (0x64B, 0x65F),
    (0x670, 0x670),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE20, 0xFE2F),
]
MARKS = {chr(c) for first, last in BLOCKS_OF_MARKS for c in range(first, last + 1)}


def fold_step_by_step(text: str) -> str:
    """Folding as it is defined, over whole texts."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in decomposed if c not in MARKS).casefold()
    return unicodedata.normalize("NFC", bare.translate(str.maketrans("ıøłđ", "iold")))


def test_every_character_is_folded_as_step_by_step() -> None:
    # In texts of a hundred, since what stands beside a character must not matter.
    assigned = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in ("Cn", "Co")]
    for begin in range(0, len(assigned), 100):
        text = "".join(assigned[begin : begin + 100])
        assert fold(text) == fold_step_by_step(text), hex(ord(text[0]))


@examples
@given(st.text(st.characters(), max_size=60))
def test_every_text_is_folded_as_step_by_step(text: str) -> None:
    assert fold(text) == fold_step_by_step(text)


@pytest.mark.parametrize(
    ("one", "other"), [("か", "が"), ("क", "कि"), ("空", "席"), ("v1", "v2"), ("o", "ö1")]
)
def test_letters_that_differ_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@examples
@given(st.text(st.characters(), max_size=60))
def test_folding_again_changes_nothing_and_case_never_matters(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(text.upper()) == fold(text.lower()) == fold(text)

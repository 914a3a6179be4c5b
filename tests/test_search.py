"""What `search` finds, what it takes for an operator, and what it says of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import ListQuery, parse_arguments
from tests.support.clock import FakeClock
from tests.support.scripted import Acme, Script, catalog_of

pytestmark = pytest.mark.anyio

NAMES = {
    "a1": "Black Friday 2025",
    "a2": "Friday newsletter, black edition",
    "a3": "Newsletter 2025",
    "a4": "Newsletter 2026 -draft",
    "a5": "Tag:VIP customers",
    "a6": "각질 케어",
    "a7": "ガイド",
    "a8": "Kampagne „VIP“",
}
EMPTY = "search holds nothing that can be searched for, so nothing matches: use letters or digits."


class Generated(Acme):
    """Ids are generated text, behind the kind."""

    ids_are = "generated"
    listings = (replace(Acme.listings[0], kind="list", ids="[0-9A-Za-z]{2,9}"),)


class Chosen(Acme):
    """The same ids, as people choose them."""

    ids_are = "chosen"
    listings = Generated.listings


async def search(
    text: str, names: dict[str, str] = NAMES, kind: Callable[[], Acme] = Acme, **arguments: Any
) -> AudienceList:
    listed = [{"id": id.removeprefix("list-"), "name": name, "size": 1} for id, name in names.items()]
    async with catalog_of(FakeClock(), {"acme": Script({"": {"rows": listed}})}, kind=kind) as catalog:
        return await catalog.list_audiences(parse_arguments(ListQuery, {"search": text, **arguments}))


def ids(answer: AudienceList) -> list[str]:
    return sorted(row.ref.removeprefix("acme:") for row in answer.audiences)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("black friday", ["a1", "a2"]),
        ('"black friday"', ["a1"]),
        ('"black friday', ["a1"]),
        ("“black friday”", ["a1"]),
        ("„black friday“", ["a1"]),
        ("«black friday»", ["a1"]),
        ("newsletter -2025", ["a2", "a4"]),
        ('friday -"black friday"', ["a2"]),
        ("newsletter -“2025”", ["a2", "a4"]),
        ("black friday 2025 OR 2026", ["a1", "a4"]),
        ("black|2026", ["a1", "a2", "a4"]),
        ("black | 2026", ["a1", "a2", "a4"]),
        ("OR black", ["a1", "a2"]),
        ("black OR", ["a1", "a2"]),
        ("news*", ["a2", "a3", "a4"]),
        ("black or", []),
        ("-newsletter", ["a1", "a5", "a6", "a7", "a8"]),
        ("가", []),
        ("각", ["a6"]),
        ("カ", []),
        ("ガイ", ["a7"]),
    ],
)
async def test_words_phrases_exclusions_and_alternatives_find_what_they_say(
    text: str, found: list[str]
) -> None:
    answer = await search(text)
    assert ids(answer) == found
    assert not any("ignored" in note for note in answer.notes or ())


@pytest.mark.parametrize(
    ("text", "found", "ignored"),
    [
        ("black AND friday", ["a1", "a2"], "AND"),
        ("(black friday) 2025", ["a1"], "parentheses"),
        ("NOT friday", ["a1", "a2"], "NOT"),
        ("newsletter - 2025", ["a3"], "-"),
        ("name:newsletter 2025", ["a3"], "name:"),
        ("Created:2025", ["a1", "a3"], "created:"),
        ("tag:vip", ["a5", "a8"], "tag:"),
        ("vip --", ["a5", "a8"], "--"),
        ("vip -*", ["a5", "a8"], "-*"),
        ("vip OR *", ["a5", "a8"], "*"),
        ('vip ""', ["a5", "a8"], '""'),
        ("vip \u200b", ["a5", "a8"], "characters that cannot be searched for"),
        ("(vip) AND name:customers", ["a5"], "parentheses, AND, name:"),
    ],
)
async def test_what_else_looks_like_an_operator_is_ignored_and_named(
    text: str, found: list[str], ignored: str
) -> None:
    answer = await search(text)
    assert ids(answer) == found
    assert answer.notes == [f'search takes words, "phrases", -word and OR; ignored: {ignored}.']


@pytest.mark.parametrize("text", ["\u200b", "\u0301", "\U000e0041", "*", "-", '""', "()", "OR", " | "])
async def test_a_search_for_nothing_matches_nothing_and_says_so(text: str) -> None:
    answer = await search(text)
    assert (answer.matched, answer.sum_of_sizes) == (0, 0)
    assert EMPTY in (answer.notes or [])


async def test_a_repeated_word_in_a_note_is_cut_and_clean() -> None:
    answer = await search("vip -" + "*" * 400)
    (note,) = answer.notes or [""]
    assert note.endswith("…."), note
    assert len(note) < 120


async def test_all_that_was_read_of_a_long_name_is_searched() -> None:
    names = {"a1": "x" * 9_000 + " needle", "a2": "x" * 300}
    assert ids(await search("needle", names)) == ["a1"]


@pytest.mark.parametrize("sort", ["newest", "oldest", "updated"])
async def test_groups_say_that_they_are_not_in_the_order_of_their_audiences_dates(sort: str) -> None:
    answer = await search("newsletter", group_by="status", sort=sort)
    assert answer.notes == [f"Groups are ordered by their sums: sort '{sort}' is for audiences."]
    assert (await search("newsletter", group_by="status")).notes is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kaeufer", ["a1", "a2"]),
        ("käufer", ["a1", "a2", "a3"]),
        ("kaufer", ["a1", "a3"]),
        ("-kaeufer strasse", ["a4"]),
        ("-käufer straße", ["a4"]),
        ("smoerrebroed", ["a5"]),
        ("blu", ["a6"]),
        ("blue", []),
    ],
)
async def test_letters_with_a_form_in_plain_ones_are_found_by_either(text: str, found: list[str]) -> None:
    names = {
        "a1": "Käufer Straße",
        "a2": "KAEUFER",
        "a3": "Kaufer",
        "a4": "Strasse",
        "a5": "Smørrebrød",
        "a6": "blush",
    }
    assert ids(await search(text, names)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"old"', ["a1", "a4"]),
        ("old", ["a1", "a2", "a3", "a4"]),
        ('-"old" old', ["a2", "a3"]),
        ('"vip old"', ["a1"]),
        ('"ip old"', []),
        ('"vip 2025"', ["a5"]),
        ('"会員"', ["a6"]),
        ('"顧客"', ["a6"]),
        ('"कि"', ["a7"]),
        ('"क"', []),
    ],
)
async def test_a_phrase_is_found_as_whole_words_alone(text: str, found: list[str]) -> None:
    names = {
        "a1": "VIP old",
        "a2": "Gold",
        "a3": "VIP older",
        "a4": "gold_old",
        "a5": "VIP 2025 (1)",
        "a6": "VIP顧客会員",
        "a7": "कि",
    }
    assert ids(await search(text, names)) == found


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        (Generated, "uk", ["list-a2"]),
        (Generated, "Xuk7", ["list-Xuk7"]),
        (Generated, "list-xuk7", ["list-Xuk7"]),
        (Generated, '"xuk7"', ["list-Xuk7"]),
        (Generated, "-Xuk7 old", []),
        (Chosen, "uk", ["list-Xuk7", "list-a2"]),
        (Chosen, '"uk"', ["list-a2"]),
        (Chosen, "list", []),
    ],
)
async def test_an_id_that_a_vendor_generates_is_found_as_a_whole_alone(
    kind: Callable[[], Acme], text: str, found: list[str]
) -> None:
    names = {"list-Xuk7": "Old customers", "list-a2": "UK"}
    assert ids(await search(text, names, kind=kind)) == found


async def test_where_no_name_matches_the_nearest_ones_are_named() -> None:
    near = 'Nearest names: "Newsletter 2025" (acme:a3)'
    assert any(note.startswith(near) for note in (await search("newsleter 2025x")).notes or ())
    assert not any("Nearest" in note for note in (await search("newsletter 2025")).notes or ())
    assert not any("Nearest" in note for note in (await search("newsletter", min_size=5)).notes or ())

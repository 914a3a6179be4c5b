"""Rows as they are shown."""

import json

import pytest

from audience_mcp.catalog.display import clean_details, display_name, to_concise, to_full
from audience_mcp.catalog.models import to_dict
from audience_mcp.core.audience import Row
from audience_mcp.core.text import to_json
from audience_mcp.vendors.batch import Batch
from audience_mcp.vendors.smallest import Smallest

BATCH = Batch()


def test_a_concise_row_that_is_nothing_special_has_ref_name_and_size_alone() -> None:
    assert to_dict(to_concise("batch-fr", BATCH, Row("vip", "VIP", 7))) == {
        "ref": "batch-fr:vip",
        "name": "VIP",
        "size": 7,
    }


def test_a_concise_row_tells_what_is_remarkable() -> None:
    row = Row("vip", "VIP", 7, type="dynamic", status="processing", size_note="a lower bound", size_max=9)

    assert to_dict(to_concise("batch", BATCH, row)) == {
        "ref": "batch:vip",
        "name": "VIP",
        "size": 7,
        "size_max": 9,
        "size_note": "a lower bound",
        "type": "dynamic",
        "status": "processing",
    }


def test_a_concise_row_keeps_dates_description_and_details_to_itself() -> None:
    row = Row("vip", "VIP", 0, description="d", created=1764547200, updated=1764547200, detail_pairs=("a", 1))

    assert to_dict(to_concise("batch", BATCH, row)) == {"ref": "batch:vip", "name": "VIP", "size": 0}


def test_a_missing_size_is_absent_and_always_has_a_note() -> None:
    assert to_dict(to_concise("smallest", Smallest(), Row("1", "A"))) == {
        "ref": "smallest:1",
        "name": "A",
        "size_note": Smallest.size_unknown,
    }
    assert (
        to_concise("batch", BATCH, Row("1", "A", size_note="not counted yet")).size_note == "not counted yet"
    )


def test_a_size_of_zero_is_shown_without_a_note() -> None:
    assert to_dict(to_concise("batch", BATCH, Row("1", "A", 0)))["size"] == 0
    assert to_concise("batch", BATCH, Row("1", "A", 0)).size_note is None


def test_a_full_row_has_everything_known_and_what_is_usual_too() -> None:
    row = Row(
        "vip",
        "VIP",
        7,
        description="the \u202ebest\n ones",
        created=1764547200,
        updated="2026-02-06T07:51:52.2581942Z",
        detail_pairs=("indexing_state", "APPLIED"),
    )

    assert to_dict(to_full("batch-fr", BATCH, row)) == {
        "ref": "batch-fr:vip",
        "name": "VIP",
        "size": 7,
        "type": "static",
        "kind": "audience",
        "status": "ready",
        "source": "batch-fr",
        "vendor": "batch",
        "id": "vip",
        "description": "the best ones",
        "created_at": "2025-12-01T00:00:00Z",
        "updated_at": "2026-02-06T07:51:52.258194Z",
        "details": {"indexing_state": "APPLIED"},
    }


def test_a_full_row_leaves_out_what_is_unknown() -> None:
    row = Row("vip", "VIP", 7, description="\u200b", created="soon", updated=0)

    assert not to_dict(to_full("batch", BATCH, row)).keys() & {
        "description",
        "created_at",
        "updated_at",
        "details",
    }


@pytest.mark.parametrize("name", ["", " ", "\u200b\u200b", "\u3164", "\n"])
def test_a_name_of_which_nothing_is_left_is_the_id(name: str) -> None:
    assert display_name(Row("vip", name)) == "vip"


def test_an_id_in_the_place_of_a_name_is_as_short_as_names_are() -> None:
    assert len(display_name(Row("x" * 255, ""))) == 200


def test_details_are_12_facts_at_most() -> None:
    assert list(clean_details({f"k{n}": n for n in range(20)}) or {}) == [f"k{n}" for n in range(12)]


def test_details_are_1200_characters_at_most_and_a_long_fact_does_not_keep_short_ones_out() -> None:
    long = {"sub": {f"k{n}": "y" * 180 for n in range(5)}}
    shown = clean_details({"a": "x" * 300, "long": long, "longer": long, "z": True})

    assert shown is not None
    assert list(shown) == ["a", "long", "z"]
    assert len(to_json(shown)) <= 1200


def test_details_may_fill_their_1200_characters_to_the_last() -> None:
    exactly = {f"k{n}": "x" * 192 for n in range(5)} | {"z": "x" * 192}
    assert len(to_json(exactly)) == 1200

    assert clean_details(exactly) == exactly
    assert list(clean_details(exactly | {"z": exactly["z"] + "x"}) or {}) == ["k0", "k1", "k2", "k3", "k4"]


def test_details_are_cleaned_keys_and_all() -> None:
    shown = clean_details(
        {"a\u202e\nb": "x\u200by\nz", "list": ["\u2066p\u2069", {"k\x00": "v\x00"}], "\u200b": "nameless"}
    )

    assert shown == {"a b": "xy z", "list": ["p", {"k": "v"}]}


def test_details_have_lists_of_five_at_most_and_no_depths() -> None:
    assert clean_details({"ids": list(range(9))}) == {"ids": [0, 1, 2, 3, 4]}
    assert clean_details({"a": {"b": {"c": {"d": 1}, "e": {"f": {"g": 2}}}}}) == {"a": {"b": {"c": {"d": 1}}}}


@pytest.mark.parametrize(
    "nothing",
    [None, "", "\u200b", [], {}, [None], {"a": None}, float("nan"), float("inf"), 10**400, object()],
)
def test_details_leave_out_what_says_nothing_and_what_is_no_json(nothing: object) -> None:
    assert clean_details({"a": nothing, "b": 1}) == {"b": 1}
    assert clean_details({"a": nothing}) is None


def test_details_write_numbers_as_every_client_reads_them() -> None:
    shown = clean_details(
        {"float": 7.0, "part": 0.5, "id": 2**60, "below": -(10**20 - 1), "yes": True, "big": 1e300}
    )

    assert shown == {
        "float": 7,
        "part": 0.5,
        "id": "1152921504606846976",
        "below": "-99999999999999999999",
        "yes": True,
        "big": 1e300,
    }


def test_compact_json_has_no_spaces_and_leaves_letters_as_they_are() -> None:
    assert to_json({"a": ["é", 1], "空": '"'}) == '{"a":["é",1],"空":"\\""}'


def test_compact_json_refuses_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(float("inf"))
    assert json.loads(to_json(1.5)) == 1.5

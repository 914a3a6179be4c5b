"""Groups and sums: who is counted where, in which order groups come, and how a shared name is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import ListQuery, parse_arguments
from audience_mcp.vendors import Listing, Row
from tests.support.clock import FakeClock
from tests.support.scripted import Acme, Script, catalog_of

pytestmark = pytest.mark.anyio


class Nesting(Acme):
    """Lists, and segments that may lie within one."""

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        row.part_of = str(raw["within"]) if "within" in raw else None
        row.kind = "segment" if "within" in raw else "list"


LISTS: list[dict[str, Any]] = [
    {"id": "a1", "name": "VIP", "size": 1000},
    {"id": "a2", "name": "VIP", "size": 300, "within": "a1"},
    {"id": "a3", "name": "vip", "size": 50, "within": "a9"},
    {"id": "a4", "name": "Newsletter", "size": 5000},
    {"id": "a5", "name": "newsletter", "within": "a4"},
    {"id": "a6", "name": "Alone", "size": 7},
]


async def listed(rows: list[dict[str, Any]] = LISTS, **arguments: Any) -> AudienceList:
    async with catalog_of(FakeClock(), {"acme": Script({"": {"rows": rows}})}, kind=Nesting) as catalog:
        return await catalog.list_audiences(parse_arguments(ListQuery, arguments))


def groups(answer: AudienceList) -> list[tuple[str, int, int, int]]:
    return [(g.key, g.matched, g.sum_of_sizes, g.unknown_sizes) for g in answer.groups or ()]


async def test_an_audience_within_another_matched_one_is_in_no_sum_again() -> None:
    answer = await listed()
    assert (answer.matched, answer.sum_of_sizes, answer.unknown_sizes) == (6, 6057, 1)
    assert answer.notes == ["1 audience within another matched one (part_of), not added to the sums again."]


async def test_one_whose_container_does_not_match_counts() -> None:
    answer = await listed(max_size=500)
    assert (answer.matched, answer.sum_of_sizes, answer.notes) == (3, 357, None)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        (None, [("newsletter", 2, 5000, 1), ("VIP", 3, 1050, 0)]),
        ("size_asc", [("VIP", 3, 1050, 0), ("newsletter", 2, 5000, 1)]),
        ("name", [("newsletter", 2, 5000, 1), ("VIP", 3, 1050, 0)]),
    ],
)
async def test_groups_by_name_come_by_sum_or_key_under_the_most_frequent_spelling(
    sort: str | None, order: list[tuple[str, int, int, int]]
) -> None:
    answer = await listed(group_by="name", sort=sort)
    assert [(key.lower(), *rest) for key, *rest in groups(answer)] == [
        (key.lower(), *rest) for key, *rest in order
    ]
    assert "VIP" in [key for key, *_ in groups(answer)]
    assert answer.notes is not None
    assert "1 audience with a name that no other has, in no group." in answer.notes


async def test_a_group_leaves_out_only_what_lies_within_another_of_its_own() -> None:
    answer = await listed(group_by="kind")
    assert groups(answer) == [("list", 3, 6007, 0), ("segment", 3, 350, 1)]
    assert answer.sum_of_sizes == 6057


async def test_a_group_by_name_names_twelve_of_its_audiences_in_order() -> None:
    rows = [{"id": f"b{n:02}", "name": "Same", "size": 1} for n in range(20, 0, -1)]
    group = ((await listed(rows, group_by="name")).groups or [])[0]
    assert group.matched == 20
    assert [(each.ref, each.size) for each in group.members or ()] == [
        (f"acme:b{n:02}", 1) for n in range(1, 13)
    ]

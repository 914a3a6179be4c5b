"""Audiences that are gone: answered as they were last stored, where it is known that they are gone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.models import AudienceMatch, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.store import open_store
from tests.store.test_compare import DAY, World, page
from tests.support.clock import FakeClock
from tests.support.scripted import Direct, Script, catalog_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store", FakeClock())


async def get(world: World, scripts: Mapping[str, Script], audience: str, **further: str) -> AudienceMatch:
    async with world.catalog(scripts) as catalog:
        return await catalog.get_audience(parse_arguments(GetQuery, {"audience": audience, **further}))


async def refusal(world: World, scripts: Mapping[str, Script], audience: str) -> str:
    async with world.catalog(scripts) as catalog:
        with pytest.raises(ToolError) as e:
            await catalog.get_audience(parse_arguments(GetQuery, {"audience": audience}))
    return str(e.value)


async def lived_and_went(world: World) -> dict[str, Script]:
    """a2 was there for two days, a1 still is."""
    await world.read({"a1": 5, "a2": 40})
    await world.read({"a1": 5, "a2": 60}, days=5)
    return {"acme": Script({"": page({"a1": 5})})}


@pytest.mark.parametrize(
    ("text", "by"), [("acme:a2", "ref"), ("a2", "id"), ("name OF a2", "name"), (" Name of a2 ", "name")]
)
async def test_one_that_is_gone_is_answered_with_its_last_size_and_its_history(
    world: World, text: str, by: str
) -> None:
    answer = await get(world, await lived_and_went(world), text)
    assert (answer.matched_by, answer.complete) == (by, True)
    assert to_dict(answer)["audiences"] == [
        {
            "ref": "acme:a2",
            "name": "Name of a2",
            "size": 60,
            "type": "unknown",
            "status": "unknown",
            "kind": "audience",
            "source": "acme",
            "vendor": "acme",
            "id": "a2",
            "gone": True,
            "last_seen_at": "2026-11-21T12:00:00Z",
            "history": [
                {"as_of": "2026-11-20T12:00:00Z", "size": 40},
                {"as_of": "2026-11-21T12:00:00Z", "size": 60},
            ],
        }
    ]


async def test_a_last_size_without_an_upper_end_is_said_to_be_that_many_or_more(world: World) -> None:
    rows = [
        {"id": "a1", "name": "Name of a1", "size": 5},
        {"id": "a2", "name": "A2", "size": 9, "open": True},
    ]
    await world.read_script(Script({"": {"rows": rows}}))
    answer = await get(world, {"acme": Script({"": page({"a1": 5})})}, "acme:a2")
    (gone,) = answer.audiences
    assert (gone.size, gone.size_max, gone.size_note) == (9, None, "9 or more: no upper end is given")
    assert answer.notes is not None
    assert answer.notes[-1].endswith("and mean that many or more: 'A2' (9).")


async def test_its_history_begins_where_it_is_asked_to(world: World) -> None:
    answer = await get(world, await lived_and_went(world), "acme:a2", since="2026-11-21T10:00:00Z")
    (gone,) = answer.audiences
    assert [point.size for point in gone.history or ()] == [40, 60]
    answer = await get(world, await lived_and_went(world), "acme:a2", since="2026-11-21T12:00:00Z")
    assert answer.audiences[0].size == 60


async def test_one_that_came_back_is_not_gone(world: World) -> None:
    await lived_and_went(world)
    answer = await get(world, {"acme": Script({"": page({"a2": 7})})}, "a2")
    assert (answer.audiences[0].size, answer.audiences[0].gone) == (7, None)


async def test_of_a_source_that_is_not_read_in_full_nothing_is_said_to_be_gone(world: World) -> None:
    await lived_and_went(world)
    broken = Script({"": page({"a1": 5}, next="2"), "2": VendorError("unavailable", "acme is down.")})
    world.clock.advance(2 * DAY)  # longer than the last complete reading answers
    assert "Not read in full, so it may be there" in await refusal(world, {"acme": broken}, "a2")


async def test_one_that_there_is_elsewhere_is_answered_without_those_that_are_gone(world: World) -> None:
    await world.read({"a1": 5, "a2": 60}, source="first")
    scripts = {"first": Script({"": page({"a1": 5})}), "other": Script({"": page({"a2": 9})})}
    answer = await get(world, scripts, "a2")
    assert [row.ref for row in answer.audiences] == ["other:a2"]
    answer = await get(world, scripts, "a2", source="first")
    assert [(row.ref, row.gone) for row in answer.audiences] == [("first:a2", True)]


async def test_a_ref_of_one_that_is_gone_is_no_other_one_of_that_name(world: World) -> None:
    rows = [{"id": "a2", "name": "a3", "size": 4}]
    async with world.catalog({"acme": Script({"": {"rows": rows}})}) as catalog:
        await catalog.list_audiences(ListQuery())
    world.clock.advance(DAY)
    there = {"acme": Script({"": page({"a1": 5})})}
    assert "No audience has the ref" in await refusal(world, there, "acme:a3")
    assert (await get(world, there, "a3")).audiences[0].ref == "acme:a2"


async def test_one_whose_size_was_last_known_before_says_when_and_one_that_never_was_says_that(
    world: World,
) -> None:
    await world.read({"a1": 1, "a2": 40, "a3": None})
    await world.read({"a1": 1, "a2": None, "a3": None})
    there = {"acme": Script({"": page({"a1": 1})})}
    (gone,) = (await get(world, there, "a2")).audiences
    assert (gone.size, gone.size_note) == (40, "last known at 2026-11-20T12:00:00Z")
    assert gone.last_seen_at == "2026-11-21T12:00:00Z"
    (gone,) = (await get(world, there, "a3")).audiences
    assert (gone.size, gone.size_note, gone.history) == (None, "was never known", None)


async def test_one_that_the_vendor_says_does_not_exist_is_answered_as_it_was(tmp_path: Path) -> None:
    clock = FakeClock()
    both = Script({"": page({"a1": 5, "a2": 40})}, {"a1": {"id": "a1", "name": "Name of a1"}})
    for script in (both, Script({"": page({"a1": 5})}, both.ones)):
        store = open_store(str(tmp_path / "store"), clock)
        async with catalog_of(clock, {"direct": script}, kind=Direct, store=store) as catalog:
            await catalog.list_audiences(ListQuery())
            asked: Any = parse_arguments(GetQuery, {"audience": "direct:a2"})
            # Also where the listing of before still has it: the look-up is newer.
            answer = await catalog.get_audience(asked)
            await store.saved()
        assert [(row.ref, row.size, row.gone) for row in answer.audiences] == [("direct:a2", 40, True)]
        assert answer.matched_by == "ref"
        clock.advance(DAY)


async def test_one_that_came_and_went_a_moment_ago_is_known(tmp_path: Path) -> None:
    clock = FakeClock()
    store = open_store(str(tmp_path / "store"), clock)
    pages = [page({"a1": 5}), page({"a1": 5, "a2": 8}), page({"a1": 5})]
    async with catalog_of(clock, {"acme": Script({"": pages})}, store=store) as catalog:
        with pytest.raises(ToolError):
            await catalog.get_audience(GetQuery(audience="a2"))
        for gone in (None, True):
            await store.saved()
            clock.advance(60)
            await catalog.list_audiences(ListQuery(refresh=True))
            answer = await catalog.get_audience(GetQuery(audience="a2"))
            assert [(row.size, row.gone) for row in answer.audiences] == [(8, gone)]

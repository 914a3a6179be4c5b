"""One audience over time: what its vendor remembers, then our own readings, with one seam between them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.catalog.models import AudienceMatch, to_dict
from audience_mcp.catalog.query import GetQuery, parse_arguments
from audience_mcp.cli.output import write_history_csv
from audience_mcp.cli.plots import draw_line, draw_plot, explain_marks
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import VendorError
from audience_mcp.vendors import One
from tests.store.test_recall import DAILY, DAY, Remembering, Vendor, World, day, days, remembering
from tests.support.clock import START

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "store")


async def get(
    world: World,
    vendor: Vendor,
    since: str,
    kind: Remembering | None = None,
    audience: str = "acme:a1",
    **query: Any,
) -> AudienceMatch:
    async with world.catalog(vendor, kind) as catalog:
        return await catalog.get_audience(
            parse_arguments(GetQuery, {"audience": audience, "since": since, **query})
        )


def line(answer: AudienceMatch) -> list[tuple[str, int, str | None]]:
    (audience,) = answer.audiences
    return [(point.as_of, point.size, point.from_) for point in audience.history or ()]


def today(world: World) -> str:
    return to_rfc3339(world.clock.utc().replace(microsecond=0))


async def test_on_the_first_day_the_vendors_days_stand_before_the_size_of_now(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([90, 90, 100])})
    answer = await get(world, vendor, day(3))
    assert line(answer) == [
        (day(3), 90, "vendor"),
        (day(2), 90, "vendor"),
        (day(1), 100, "vendor"),
        (today(world), 120, None),
    ]
    assert to_dict(answer)["audiences"][0]["history"][0] == {"as_of": day(3), "size": 90, "from": "vendor"}
    assert answer.notes == [
        f"acme: 3 sizes over time are Acme's own record, from {day(3)} to {day(1)}, and not readings of ours."
    ]
    assert vendor.recalled == [("a1", day(3), day(1))]


async def test_the_size_that_held_at_the_moment_begins_the_line(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([80, 90, 100])})
    await world.ask(vendor, 5)
    assert line(await get(world, vendor, f"{day(2)}T12:00:00Z"))[0] == (day(3), 80, "vendor")


async def test_from_our_first_size_on_ours_alone_are_shown(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([90, 100])})
    await world.read(vendor)
    first = today(world)
    world.pass_days(3)
    vendor.sizes["a1"] = 130
    vendor.past["a1"] = [*days([90, 100]), *days([500, 500, 500], ends=-2)]
    answer = await get(world, vendor, day(2), refresh=True)
    assert line(answer) == [
        (day(2), 90, "vendor"),
        (day(1), 100, "vendor"),
        (first, 120, None),
        (today(world), 130, None),
    ]
    again = await get(world, vendor, day(2))
    assert line(again) == line(answer)
    assert len(vendor.recalled) == 1


async def test_sizes_of_one_day_that_are_more_than_a_tenth_apart_at_the_seam_are_said(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": [*days([90, 100]), (day(0), 140)]})
    await world.read(vendor)
    world.pass_days(2)
    answer = await get(world, vendor, day(2))
    assert [
        note
        for note in answer.notes or ()
        if f"on {day(0)}, when ours begin, Acme's own size was 140" in note
    ]
    assert (day(0), 140, "vendor") not in line(answer)


@pytest.mark.parametrize("theirs", [110, 120, 130])
async def test_sizes_that_are_as_good_as_equal_at_the_seam_are_not(world: World, theirs: int) -> None:
    vendor = Vendor({"a1": 120}, {"a1": [*days([90, 100]), (day(0), theirs)]})
    await world.read(vendor)
    world.pass_days(2)
    answer = await get(world, vendor, day(2))
    assert not [note for note in answer.notes or () if "apart" in note]


async def test_where_ours_reach_back_far_enough_nothing_is_asked_for(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([90, 100])})
    await world.read(vendor)
    world.pass_days(3)
    since = to_rfc3339(START + DAY)
    assert [each[2] for each in line(await get(world, vendor, since))] == [None, None]
    assert vendor.recalled == []


async def test_only_the_audience_that_is_asked_about_is_asked_for(world: World) -> None:
    vendor = Vendor({"a1": 120, "a2": 7}, {"a1": days([90]), "a2": days([5])})
    await get(world, vendor, day(3), audience="Name of a2")
    assert [id for id, *_ in vendor.recalled] == ["a2"]


async def test_a_look_up_before_any_list_was_read_has_a_past_too(world: World) -> None:
    class Direct(Remembering):
        listings = (replace(Remembering.listings[0], one=One("one/{id}")),)

    vendor = Vendor({}, {"a1": days([90, 100])})
    vendor.ones["a1"] = {"id": "a1", "name": "Name of a1", "size": 120}
    answer = await get(world, vendor, day(2), Direct())
    assert line(answer) == [(day(2), 90, "vendor"), (day(1), 100, "vendor"), (today(world), 120, None)]
    assert line(await get(world, vendor, day(2), Direct())) == line(answer)
    assert len(vendor.recalled) == 1


async def test_a_long_past_is_asked_for_in_parts_and_thinned_with_its_ends(world: World) -> None:
    vendor = Vendor({"a1": 120}, {"a1": days([*range(200)])})
    answer = await get(world, vendor, day(150), remembering(replace(DAILY, days=60)))
    points = line(answer)
    assert len(points) == 60
    assert points[0] == (day(150), 50, "vendor")
    assert points[-2:] == [(day(1), 199, "vendor"), (today(world), 120, None)] or points[-1][1] == 120
    assert [since for _, since, _ in vendor.recalled] == [day(61), day(121), day(150)]


async def test_what_is_missing_of_a_past_is_said(world: World) -> None:
    refused = VendorError("forbidden", "no", status=403)
    answer = await get(world, Vendor({"a1": 120}, {"a1": refused}), day(2))
    assert (answer.complete, line(answer)) == (True, [(today(world), 120, None)])
    assert [note for note in answer.notes or () if "to this key (forbidden)" in note]


async def test_before_the_records_first_day_the_line_says_since_when(world: World) -> None:
    kind = remembering(replace(DAILY, begins=date(2026, 11, 10)))
    vendor = Vendor({"a1": 120}, {"a1": days([90] * 30)})
    answer = await get(world, vendor, "2026-11-01", kind)
    assert line(answer)[0] == ("2026-11-10", 90, "vendor")
    assert [note for note in answer.notes or () if "has nothing of before 2026-11-10" in note]


async def test_stored_history_shows_the_same_line_and_asks_nobody(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor = Vendor({"a1": 120, "a2": 7}, {"a1": days([80, 90, 100])})
    await get(world, vendor, day(3))
    asked = len(vendor.recalled)
    world.pass_days(1)
    async with world.catalog(vendor) as catalog:
        whole = await catalog.find_histories(None, START - 300 * DAY)
        later = await catalog.find_histories(None, START - 2 * DAY + timedelta(hours=1))
        daily = await catalog.find_histories("a1", START - 300 * DAY, daily=True)
        later_daily = await catalog.find_histories("a1", START - 2 * DAY + timedelta(hours=1), daily=True)
    assert len(vendor.recalled) == asked
    one, other = whole.audiences
    assert [(p.as_of, p.size, p.from_) for p in one.history] == [
        (day(3), 80, "vendor"),
        (day(2), 90, "vendor"),
        (day(1), 100, "vendor"),
        ("2026-11-20T12:00:00Z", 120, None),
    ]
    assert [p.from_ for p in other.history] == [None]
    assert later.audiences[0].history[0].as_of == day(3)
    assert [p.from_ for p in daily.audiences[0].history] == ["vendor", "vendor", "vendor", None]
    assert [p.as_of[:10] for p in later_daily.audiences[0].history] == [day(2), day(1), "2026-11-20"]
    capsys.readouterr()
    write_history_csv(whole.audiences)
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "ref,name,source,vendor,kind,as_of,size,size_max,from"
    assert rows[1] == f"acme:a1,Name of a1,acme,acme,audience,{day(3)},80,,vendor"
    assert rows[4] == "acme:a1,Name of a1,acme,acme,audience,2026-11-20T12:00:00Z,120,,"
    points = one.history
    assert "┊" in draw_line(points, 20, blocks=True)
    assert draw_line(points, 20, blocks=False).isascii()
    plot = "\n".join(draw_plot(points, 40, blocks=True))
    assert "◦" in plot
    assert "•" in plot
    assert explain_marks(points, blocks=True) == "◦ is the vendor's own record."
    assert explain_marks(other.history, blocks=True) is None
    assert "┊" not in draw_line(other.history, 20, blocks=True)


async def test_an_audience_that_is_gone_keeps_what_its_vendor_remembered(world: World) -> None:
    vendor = Vendor({"a1": 120, "a2": 7}, {"a1": days([90, 100])})
    await get(world, vendor, day(2))
    world.pass_days(1)
    del vendor.sizes["a1"]
    answer = await get(world, vendor, day(2), refresh=True)
    assert answer.audiences[0].gone
    assert line(answer) == [
        (day(2), 90, "vendor"),
        (day(1), 100, "vendor"),
        ("2026-11-20T12:00:00Z", 120, None),
    ]

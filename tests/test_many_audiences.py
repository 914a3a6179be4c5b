"""Thousands of audiences: what is kept between questions changes no answer, and goes with its reading."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from itertools import product
from random import Random
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.composer import COMPOSED_HERE, Composer
from audience_mcp.catalog.index import ORDERS, Index
from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import GetQuery, ListQuery, parse_arguments
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import ToolError
from tests.support.clock import FakeClock
from tests.support.scripted import Script, catalog_of

pytestmark = pytest.mark.anyio

FIRST_DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)
WORDS = ("Black", "Friday", "VIP", "Käufer", "newsletter", "Winback", "2025", "café", "old")


def made_up(count: int, seed: int) -> list[dict[str, Any]]:
    """Audiences that share names and sizes, and some of which lack a size or a date."""
    random = Random(seed)
    made = []
    for n in range(count):
        row: dict[str, Any] = {"id": f"a{n}", "name": " ".join(random.sample(WORDS, 3))}
        if random.random() < 0.9:
            row["size"] = random.randrange(500)
        for date in ("created", "updated"):
            if random.random() < 0.9:
                row[date] = (FIRST_DAY + timedelta(hours=random.randrange(9000))).isoformat()
        made.append(row)
    return made


SOURCES = {"acme": made_up(1_300, 1), "acme-fr": made_up(900, 2)}
EVERY = [{"ref": f"{name}:{row['id']}", **row} for name, rows in SOURCES.items() for row in rows]
assert len(EVERY) > COMPOSED_HERE


@asynccontextmanager
async def opened(sources: dict[str, list[dict[str, Any]]] = SOURCES) -> AsyncIterator[Catalog]:
    scripts = {name: Script({"": {"rows": rows}}) for name, rows in sources.items()}
    async with catalog_of(FakeClock(), scripts) as catalog:
        yield catalog


async def ask(catalog: Catalog, **arguments: Any) -> AudienceList:
    return await catalog.list_audiences(parse_arguments(ListQuery, arguments), max_chars=1_000_000)


def refs(answer: AudienceList) -> list[str]:
    return [row.ref for row in answer.audiences]


KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "size": lambda row: (row.get("size") is None, -row.get("size", 0)),
    "size_asc": lambda row: (row.get("size") is None, row.get("size", 0)),
    "name": lambda row: row["name"].lower().replace("ä", "a").replace("é", "e"),
    "newest": lambda row: (row.get("created") is None, _flip(row.get("created"))),
    "oldest": lambda row: (row.get("created") is None, row.get("created")),
    "updated": lambda row: (row.get("updated") is None, _flip(row.get("updated"))),
}
FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "": lambda row: True,
    "search=friday": lambda row: "Friday" in row["name"],
    "search=friday vip -old": lambda row: (
        "Friday" in row["name"] and "VIP" in row["name"] and "old" not in row["name"]
    ),
    "search=kaufer|cafe": lambda row: "Käufer" in row["name"] or "café" in row["name"],
    "min_size=250": lambda row: row.get("size", 0) >= 250,
    "created_since=2024-06-01": lambda row: row.get("created", "") >= "2024-06-01",
    "search=winback created_before=2024-06-01": lambda row: (
        "Winback" in row["name"] and "" < row.get("created", "") < "2024-06-01"
    ),
    "updated_before=2024-02-01": lambda row: "" < row.get("updated", "") < "2024-02-01",
}


def _flip(date: str | None) -> float:
    return -datetime.fromisoformat(date).timestamp() if date else 0


def _arguments(text: str) -> dict[str, str]:
    """`search=a b created_since=c` as arguments."""
    found: dict[str, str] = {}
    for part in text.split():
        name, equals, value = part.partition("=")
        if equals:
            found[name] = value
        else:
            found["search"] += f" {part}"
    return found


async def test_every_order_filter_and_page_says_what_the_rows_say() -> None:
    async with opened() as catalog:
        for _ in range(2):  # the second time from what the first has left
            for sort, narrowed in product(KEYS, FILTERS):
                expected = sorted(
                    filter(FILTERS[narrowed], EVERY), key=lambda row: (KEYS[sort](row), row["ref"])
                )
                for offset, limit in ((0, 30), (700, 25)):
                    answer = await ask(catalog, sort=sort, offset=offset, limit=limit, **_arguments(narrowed))
                    shown = expected[offset : offset + limit]
                    assert refs(answer) == [row["ref"] for row in shown], (sort, narrowed, offset)
                    assert answer.matched == len(expected)
                    assert answer.sum_of_sizes == sum(row.get("size", 0) for row in expected)
                    assert answer.unknown_sizes == sum("size" not in row for row in expected)


async def test_those_without_the_date_are_counted_however_many_are_left() -> None:
    async with opened() as catalog:
        for search in (None, "friday", "friday vip winback"):
            left = [
                row for row in EVERY if all(word in row["name"].lower() for word in (search or "").split())
            ]
            undated = sum("updated" not in row for row in left)
            answer = await ask(catalog, search=search, updated_since="2024-03-01", limit=1)
            said = f"{undated} of those that pass the other filters have no update date, and do not match."
            assert said in (answer.notes or [])


async def test_groups_by_name_are_those_of_the_rows_each_time() -> None:
    counts = Counter(KEYS["name"](row) for row in EVERY)
    async with opened() as catalog:
        for limit in (10, 1000):
            answer = await ask(catalog, group_by="name", sort="name", limit=limit)
            names = sorted(name for name, count in counts.items() if count > 1)
            assert [KEYS["name"]({"name": group.key}) for group in answer.groups or ()] == names[:limit]
            assert all(
                group.matched == counts[KEYS["name"]({"name": group.key})] for group in answer.groups or ()
            )


async def test_a_name_is_found_by_its_shown_form_even_where_that_is_cut() -> None:
    long = "Everyone who bought something " * 20
    async with opened({"acme": [*made_up(2_500, 3), {"id": "a9999", "name": long, "size": 1}]}) as catalog:
        shown = (await ask(catalog, search="everyone", limit=1)).audiences[0].name
        assert shown.endswith("…")
        for text in (shown, shown.upper()):
            found = await catalog.get_audience(GetQuery(audience=text))
            assert [row.ref for row in found.audiences] == ["acme:a9999"]


async def test_all_that_share_a_name_are_found_at_every_source() -> None:
    async with opened() as catalog:
        for name in ("vip käufer 2025", "VIP KAUFER 2025", "newsletter old winback"):
            wanted = KEYS["name"]({"name": name})
            expected = {row["ref"] for row in EVERY if KEYS["name"](row) == wanted}
            found = await catalog.get_audience(GetQuery(audience=name), max_chars=1_000_000)
            assert {row.ref for row in found.audiences} == expected


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("wintr sale shopers", "Winter sale shoppers"),
        ("x", "X"),
    ],
)
async def test_the_nearest_of_thousands_of_names_is_suggested(asked: str, near: str) -> None:
    rows = [*made_up(2_500, 4), {"id": "a9998", "name": "Winter sale shoppers"}, {"id": "a9999", "name": "X"}]
    async with opened({"acme": rows}) as catalog:
        with pytest.raises(ToolError, match=rf'Nearest names: "{near}" \(acme:a999[89]\)'):
            await catalog.get_audience(GetQuery(audience=asked + "!"))


async def test_a_question_that_many_ask_at_once_is_answered_once() -> None:
    async with opened() as catalog:
        answers: list[AudienceList] = []

        async def ask_one() -> None:
            answers.append(await ask(catalog, search="friday -old"))

        async with anyio.create_task_group() as callers:
            for _ in range(5):
                callers.start_soon(ask_one)
        assert len({id(answer) for answer in answers}) == 1


@pytest.mark.slow
async def test_what_was_read_again_is_sorted_and_found_again() -> None:
    rows = made_up(2_500, 5)
    script = Script(
        {"": [{"rows": rows}, {"rows": [{**rows[0], "name": "000 first", "size": 10**6}, *rows[1:]]}]}
    )
    clock = FakeClock()
    others = [each for each in gc.get_objects() if isinstance(each, Index)]  # of other tests
    async with catalog_of(clock, {"acme": script}) as catalog:
        assert refs(await ask(catalog, sort="name", limit=1)) != ["acme:a0"]
        there = [each for each in gc.get_objects() if isinstance(each, Index)]
        kept = [weakref.ref(each) for each in there if all(each is not other for other in others)]
        assert len(kept) == 1
        del there
        clock.advance(11)
        assert refs(await ask(catalog, refresh=True, sort="name", limit=1)) == ["acme:a0"]
        assert refs(await ask(catalog, sort="size", limit=1)) == ["acme:a0"]
        found = await catalog.get_audience(GetQuery(audience="000 FIRST"))
        assert [row.ref for row in found.audiences] == ["acme:a0"]
        assert kept[0]() is None


async def test_many_audiences_are_gone_through_in_a_thread_and_one_answer_at_a_time() -> None:
    composer, running, most = Composer(), 0, 0
    here = threading.get_ident()

    def compose() -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threading.Event().wait(0.01)  # time for another one to begin, if it may
        running -= 1
        return threading.get_ident()

    assert await composer.run(COMPOSED_HERE, compose) == here
    threads: list[int] = []

    async def run() -> None:
        threads.append(await composer.run(COMPOSED_HERE + 1, compose))

    async with anyio.create_task_group() as callers:
        for _ in range(4):
            callers.start_soon(run)
    assert here not in threads
    assert most == 1


async def test_sizes_that_are_counted_later_are_in_the_next_order_and_total() -> None:
    rows = [Row(f"a{n}", f"Audience {n}", size=n) for n in range(100)]
    for row in rows[:50]:
        row.size, row.size_pending = None, True
    async with opened({"acme": [{"id": "a1", "name": "A"}]}) as catalog:
        reader = catalog._readers["acme"]
        index = Index({reader: rows})
        matches = {reader: index.rows[reader]}
        assert index.totals(reader, rows).pending == 50
        assert index.sort(matches, ORDERS["size"], 0, 1)[0][1].id == "a99"
        for row in rows[:50]:
            row.size, row.size_pending = 1000 + int(row.id[1:]), False
        assert index.sort(matches, ORDERS["size"], 0, 1)[0][1].id == "a49"
        assert index.totals(reader, rows).pending == 0
        assert index.totals(reader, rows).sum_of_sizes == sum(row.size or 0 for row in rows)

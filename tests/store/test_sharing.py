"""Catalogs that share a store: what one has read answers the others, and one that was restarted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.models import AudienceList, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import Account, Source, load_configuration
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.sources import sharing
from audience_mcp.sources.pacing import Pacing, Paused
from audience_mcp.sources.sharing import SharedTurns
from audience_mcp.sources.source_history import owner_of
from audience_mcp.sources.talk import Fetch
from audience_mcp.store import open_store
from audience_mcp.store.store import Store
from audience_mcp.vendors import Rate, api_key
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.support.scripted import Acme, Script, catalog_of, rows, settled
from tests.test_counts import Api, Counting

pytestmark = pytest.mark.anyio

OpenCatalog = Callable[..., AbstractAsyncContextManager[Catalog]]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LOOK_AGAIN_S", 0.01)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def catalog(tmp_path: Path, clock: FakeClock) -> OpenCatalog:
    """Opens a catalog of one source, in a process of its own as far as the store knows."""

    @asynccontextmanager
    async def opened(
        script: Script, values: Mapping[str, str] | None = None, **settings: Any
    ) -> AsyncIterator[Catalog]:
        store = open_store(str(tmp_path / "store"), clock)
        given = {"acme": values} if values else None
        async with catalog_of(clock, {"acme": script}, values=given, store=store, **settings) as catalog:
            yield catalog
            await store.saved()

    return opened


def script(*sizes: int | None) -> Script:
    return Script({"": {"rows": rows(*sizes)}})


async def ask(catalog: Catalog, **query: Any) -> AudienceList:
    with anyio.fail_after(30):
        return await catalog.list_audiences(ListQuery(**query))


async def until_asked(reads: Script) -> None:
    with anyio.fail_after(10):
        while not reads.asked:  # noqa: ASYNC110 (the vendor's side knows no event)
            await anyio.sleep(0.01)


def same(answer: AudienceList, other: AudienceList) -> bool:
    return to_dict(answer) == to_dict(other)


async def test_after_a_restart_a_fresh_reading_answers_without_a_request(
    catalog: OpenCatalog, clock: FakeClock
) -> None:
    async with catalog(script(1, 2, None)) as first:
        answer = await ask(first, detail="full")
    clock.advance(299)
    later = script(7)
    async with catalog(later) as second:
        again = await ask(second, detail="full")
    assert later.asked == []
    assert same(answer, again)


async def test_a_stored_reading_serves_no_longer_than_one_in_memory(
    catalog: OpenCatalog, clock: FakeClock
) -> None:
    async with catalog(script(1)) as first:
        await ask(first)
    clock.advance(200)
    later = script(7)
    async with catalog(later) as second:
        assert (await ask(second)).sum_of_sizes == 1
        clock.advance(99)
        assert (await ask(second)).sum_of_sizes == 1
        clock.advance(1)
        assert (await ask(second)).sum_of_sizes == 7


async def test_without_a_cache_nothing_is_answered_from_the_store(catalog: OpenCatalog) -> None:
    async with catalog(script(1), cache_s=0) as first:
        await ask(first)
    async with catalog(script(7), cache_s=0) as second:
        assert (await ask(second)).sum_of_sizes == 7


async def test_notes_of_a_reading_are_told_again_when_it_is_served_again(catalog: OpenCatalog) -> None:
    odd = Script({"": {"rows": [*rows(1), {"no": "id"}, *rows(2)], "count": 2}})
    async with catalog(odd) as first:
        answer = await ask(first)
    async with catalog(script()) as second:
        again = await ask(second)
    assert answer.notes == again.notes
    assert answer.notes is not None
    assert len(answer.notes) == 2


class Keyed(Acme):
    """The same with a key."""

    settings = (*Acme.settings, api_key("ACME_KEY"))


async def test_another_key_never_sees_what_was_read_with_the_first(catalog: OpenCatalog) -> None:
    async with catalog(script(1), {"api_key": "key-number-one"}) as first:
        await ask(first)
    async with catalog(script(7), {"api_key": "key-number-two"}) as second:
        assert (await ask(second)).sum_of_sizes == 7
    async with catalog(script(9), {"api_key": "key-number-one"}) as third:
        assert (await ask(third)).sum_of_sizes == 1


async def test_while_one_reads_the_others_wait_for_it_and_ask_nothing(catalog: OpenCatalog) -> None:
    held = anyio.Event()
    reads = Script({"": (held, {"rows": rows(1, 2)})})
    waits = script(7)
    answers: list[AudienceList] = []
    async with catalog(reads) as first, catalog(waits) as second, anyio.create_task_group() as tasks:

        async def keep(each: Catalog) -> None:
            answers.append(await ask(each))

        tasks.start_soon(keep, first)
        await until_asked(reads)
        tasks.start_soon(keep, second)
        for _ in range(20):
            await settled()
        assert not answers
        held.set()
    assert waits.asked == []
    assert [answer.sum_of_sizes for answer in answers] == [3, 3]


async def test_one_who_waits_does_not_wait_beyond_its_own_deadline(
    catalog: OpenCatalog, clock: FakeClock
) -> None:
    held = anyio.Event()
    reads = Script({"": (held, {"rows": rows(1)})})
    async with catalog(reads) as first, catalog(script(7)) as second, anyio.create_task_group() as tasks:

        async def run_out(each: Catalog) -> None:
            with pytest.raises(ToolError, match="the reading goes on"):
                await ask(each)

        tasks.start_soon(run_out, first)
        await until_asked(reads)
        tasks.start_soon(run_out, second)
        for _ in range(20):
            await settled()
        clock.advance(45)
        await settled()
        held.set()


async def test_where_the_one_who_reads_fails_the_other_reads_itself(catalog: OpenCatalog) -> None:
    held = anyio.Event()
    reads = Script({"": (held, VendorError("unavailable", "acme: is down."))})
    async with catalog(reads) as first, catalog(script(7)) as second, anyio.create_task_group() as tasks:

        async def fail() -> None:
            with pytest.raises(ToolError, match="is down"):
                await ask(first)

        tasks.start_soon(fail)
        await until_asked(reads)

        async def let_go() -> None:
            await anyio.sleep(0.05)
            held.set()

        tasks.start_soon(let_go)
        assert (await ask(second)).sum_of_sizes == 7


@pytest.mark.parametrize(("ago_s", "served"), [(9, True), (10, False)])
async def test_refresh_is_content_with_a_reading_that_has_just_begun_elsewhere(
    catalog: OpenCatalog, clock: FakeClock, ago_s: float, served: bool
) -> None:
    async with catalog(script(1)) as first:
        await ask(first)
    clock.advance(ago_s)
    later = script(7)
    async with catalog(later) as second:
        assert (await ask(second, refresh=True)).sum_of_sizes == (1 if served else 7)


async def test_where_a_vendor_fails_after_a_restart_the_last_reading_answers_and_says_so(
    catalog: OpenCatalog, clock: FakeClock
) -> None:
    async with catalog(script(1, 2)) as first:
        await ask(first)
    clock.advance(23 * 3600)
    down = Script({"": VendorError("unavailable", "acme: is down.")})
    async with catalog(down) as second:
        answer = await ask(second)
    assert (answer.complete, answer.sum_of_sizes) == (False, 3)
    assert answer.sources[0].as_of == "2026-11-20T12:00:00Z"
    assert answer.notes is not None
    assert "as of its last complete reading" in answer.notes[0]
    clock.advance(3601)
    async with catalog(down) as third:
        with pytest.raises(ToolError, match="is down"):
            await ask(third)


async def test_a_partial_reading_is_not_shared(catalog: OpenCatalog) -> None:
    broken = Script({"": {"rows": rows(1), "next": "2"}, "2": VendorError("bad_response", "acme: odd.")})
    async with catalog(broken) as first:
        assert not (await ask(first)).complete
    async with catalog(script(7)) as second:
        assert (await ask(second)).sum_of_sizes == 7


async def test_sizes_counted_before_a_restart_are_not_asked_for_again(
    tmp_path: Path, clock: FakeClock
) -> None:
    configured = load_configuration({"ACME_KEY": "canary-key"}, [Counting(5)])

    async def list_with(api: Api) -> AudienceList:
        def connect(account: Account) -> Fetch:
            return api.fetch

        store = open_store(str(tmp_path), clock)
        async with open_catalog(configured, clock=clock, connect=connect, store=store) as catalog:
            answer = await ask(catalog)
            await store.saved()
            return answer

    first, second, third = (Api(range(1, 13), clock) for _ in range(3))
    answer = await list_with(first)
    assert (len(first.counted), answer.sum_of_sizes) == (3, 780)
    clock.advance(600)  # the reading has grown old, its counts have not
    again = await list_with(second)
    assert (second.lists, second.counted, again.sum_of_sizes) == (1, [], 780)
    assert again.audiences[0].size_note == "counted at 2026-11-20T12:00:00Z"
    clock.advance(3600)
    assert (await list_with(third)).sum_of_sizes == 780
    assert len(third.counted) == 3


async def test_a_row_that_is_being_counted_again_shows_what_was_counted_last(
    tmp_path: Path, clock: FakeClock
) -> None:
    configured = load_configuration({"ACME_KEY": "made-up-key"}, [Counting(5)])

    def catalog(api: Api) -> AbstractAsyncContextManager[Catalog]:
        def connect(account: Account) -> Fetch:
            return api.fetch

        store = open_store(str(tmp_path), clock)
        return open_catalog(configured, clock=clock, connect=connect, store=store)

    async with catalog(Api([1, 2], clock)) as first:
        await ask(first)
    clock.advance(7200)
    async with catalog(Api([1, 2, 3], clock, seconds=100)) as second:
        answer = await ask(second)
    assert (answer.sizes_pending, answer.unknown_sizes, answer.sum_of_sizes) == (3, 3, 0)
    assert {row.ref: (row.size, row.size_note) for row in answer.audiences} == {
        "acme:1": (10, "counted at 2026-11-20T12:00:00Z, not in the sums; being counted again"),
        "acme:2": (20, "counted at 2026-11-20T12:00:00Z, not in the sums; being counted again"),
        "acme:3": (None, "not counted yet; ask again"),
    }


async def test_a_store_that_cannot_be_used_is_told_in_the_first_answer_alone(
    tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "file").write_text("no folder")
    store = open_store(str(tmp_path / "file"), clock)
    async with catalog_of(clock, {"acme": script(1, 2)}, store=store) as catalog:
        first, second = await ask(catalog), await ask(catalog)
    async with catalog_of(clock, {"acme": script(1, 2)}) as without:
        assert same(await ask(without), second)
    assert first.notes is not None
    assert "its folder cannot be used" in first.notes[0]
    assert second.notes is None
    first.notes = None
    assert same(first, second)


async def test_a_store_that_cannot_be_used_is_told_by_get_audience_too(
    tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "file").write_text("no folder")
    store = open_store(str(tmp_path / "file"), clock)
    async with catalog_of(clock, {"acme": script(1)}, store=store) as catalog:
        found = await catalog.get_audience(GetQuery(audience="Audience 1"))
    assert found.notes is not None
    assert "its folder cannot be used" in found.notes[0]


async def test_no_byte_of_a_key_is_in_any_file_of_the_store(catalog: OpenCatalog, tmp_path: Path) -> None:
    async with catalog(script(1), {"api_key": "canary-0123456789"}) as first:
        await ask(first)
    files = [path.read_bytes() for path in (tmp_path / "store").iterdir()]
    assert any(b"Audience 1" in raw for raw in files)
    assert not any(b"canary" in raw for raw in files)


# Pace


def paced(tmp_path: Path, clock: FakeClock, key: str = "a", per_second: float = 1) -> Pacing:
    account = Account("acme", Acme(), {"base_url": f"https://{key}.example"}, {})
    turns = SharedTurns(account, open_store(str(tmp_path), clock))
    return Pacing({"": [Rate(per_second)]}, clock, turns)


async def test_two_processes_send_no_more_than_the_pace_of_one(tmp_path: Path, clock: FakeClock) -> None:
    one, other, elsewhere = (paced(tmp_path, clock, key) for key in "aab")
    sent = []
    for pacing in (one, other, other, one):
        await pacing.acquire_slot("")
        sent.append(clock.now())
    assert [round(later - sent[0], 3) for later in sent] == [0, 1, 2, 3]
    await elsewhere.acquire_slot("")
    assert round(clock.now() - sent[0], 3) == 3


async def test_a_pause_that_one_process_was_told_holds_in_the_others(
    tmp_path: Path, clock: FakeClock
) -> None:
    with pytest.raises(Paused):
        await paced(tmp_path, clock).pause(40)
    with pytest.raises(Paused) as raised:
        await paced(tmp_path, clock).acquire_slot("")
    assert raised.value.seconds == pytest.approx(40)
    clock.advance(30)
    restarted = paced(tmp_path, clock)
    await restarted.acquire_slot("")  # a short rest of it is waited out
    assert clock.slept == [pytest.approx(10)]


async def test_without_a_usable_store_each_process_keeps_the_pace_by_itself(
    tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "file").write_text("no folder")
    pacing = paced(tmp_path / "file", clock)
    for _ in range(3):
        await pacing.acquire_slot("")
    assert round(sum(clock.slept), 3) == 2


# Whose history it is


async def key_of(source: Source, store: Store) -> str:
    key = await store.history(lambda history: history.key_of(owner_of(source)))
    assert key is not None
    return key


async def test_history_belongs_to_the_account_by_its_ids_and_holds_no_key(tmp_path: Path) -> None:
    environment = {
        "BATCH_REST_API_KEY": "canary-rest-key",
        "BATCH_PROJECT_KEY": "project_canary-0123",
        "META_ACCESS_TOKEN": "canary-meta-token",
        "META_AD_ACCOUNT_ID": "act_123456",
        "BREVO_API_KEY": "canary-brevo-key",
        "BREVO_API_KEY_FR": "canary-brevo-key-fr",
    }
    sources = {s.name: s for s in load_configuration(environment, built_in_vendors()).sources}
    store = open_store(str(tmp_path))
    keys = {name: await key_of(source, store) for name, source in sources.items()}
    assert not any("canary" in key for key in keys.values())
    assert {name: owner_of(source).by_key for name, source in sources.items()} == {
        "batch": False,
        "meta": False,
        "brevo": True,
        "brevo-fr": True,
    }
    assert json.loads(keys["meta"])[-1] == "123456"
    assert keys["brevo"] != keys["brevo-fr"]
    # The project is the same after a restart, with another key for it, and whatever becomes of the readings.
    await store.aclose()
    (tmp_path / "readings.sqlite3").unlink(missing_ok=True)
    environment["BATCH_REST_API_KEY"] = "another-rest-key"
    batch = load_configuration(environment, built_in_vendors()).sources[0]
    assert await key_of(batch, open_store(str(tmp_path))) == keys["batch"]

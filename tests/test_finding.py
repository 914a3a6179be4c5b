"""The get question: by ref, id and name, directly where the vendor can, and honest about a miss."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import ToolError, VendorError
from audience_mcp.sandbox.data import SMALLEST_UNLISTED
from tests.support.clock import FakeClock
from tests.support.scripted import Acme, Direct, Script, catalog_of, rows, settled
from tests.support.served import Connected, connected, text_of

pytestmark = pytest.mark.anyio

DOWN = VendorError("unavailable", "the vendor cannot answer just now.")


async def got(there: Connected, **arguments: Any) -> dict[str, Any]:
    result = await there.client.call_tool("get_audience", arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def missed(there: Connected, **arguments: Any) -> str:
    result = await there.client.call_tool("get_audience", arguments)
    assert result.is_error
    assert result.structured_content is None
    return text_of(result)


@pytest.mark.parametrize(
    ("ref", "paths"),
    [
        ("batch:VIP", ["/batch/2.11/audiences/view"]),
        ("whop:{whop}", ["/whop/api/v1/audiences"]),
        ("smallest:{smallest}", ["/smallest/atoms/v1/audience/{smallest}", "/smallest/atoms/v1/audience"]),
        ("commbox:31112", ["/commbox/audiences"]),
    ],
)
async def test_a_ref_asks_only_for_that_audience_where_the_vendor_can(ref: str, paths: list[str]) -> None:
    async with connected() as there:
        names = {
            "whop": next(r["id"] for r in there.sandbox.rows["whop"] if r["name"] == "VIP"),
            "smallest": next(r["_id"] for r in there.sandbox.rows["smallest"] if r["name"] == "VIP"),
        }
        answer = await got(there, audience=ref.format(**names))
        assert answer["matched_by"] == "ref"
        assert [row["ref"] for row in answer["audiences"]] == [ref.format(**names)]
        assert answer["audiences"][0]["name"] == "VIP"
        assert answer["audiences"][0]["size"] > 0
        assert answer["complete"] is True
        assert [asked.path for asked in there.sandbox.asked] == [path.format(**names) for path in paths]
        (report,) = answer["sources"]
        short = {"source", "size_counts", "complete"}
        assert set(report) == (short if not ref.startswith("commbox") else {*short, *set(report)})


async def test_an_id_is_found_without_reading_every_list() -> None:
    async with connected() as there:
        id = there.sandbox.rows["whop"][249]["id"]
        answer = await got(there, audience=id)
        assert answer["matched_by"] == "id"
        assert [row["id"] for row in answer["audiences"]] == [id]
        assert len([asked for asked in there.sandbox.asked if "view" not in asked.path]) == 1


async def test_a_text_that_is_one_vendors_id_and_the_name_of_others_means_all_of_them() -> None:
    async with connected() as there:
        answer = await got(there, audience="VIP")
    assert answer["matched_by"] == "id_or_name"
    assert {row["source"] for row in answer["audiences"]} == {"commbox", "batch", "smallest", "whop"}
    assert "batch:VIP" in [row["ref"] for row in answer["audiences"]]


async def test_a_ref_that_the_vendor_says_is_gone_is_not_answered_from_an_older_list() -> None:
    script = Script({"": {"rows": rows(7)}}, {})
    async with catalog_of(FakeClock(), {"direct": script}, kind=Direct) as catalog:
        assert (await catalog.list_audiences(ListQuery())).matched == 1
        with pytest.raises(ToolError, match="No audience has the ref"):
            await catalog.get_audience(GetQuery(audience="direct:a1"))


async def test_an_id_is_looked_up_again_once_the_list_that_has_it_is_old() -> None:
    clock = FakeClock()
    async with connected(clock=clock) as there:
        row = there.sandbox.rows["whop"][249]
        await there.client.call_tool("list_audiences", {})
        read = len(there.sandbox.asked)
        assert (await got(there, audience=row["id"]))["audiences"][0]["name"] == row["name"]
        assert len(there.sandbox.asked) == read
        row["name"] = "Named anew"
        clock.advance(301)
        assert (await got(there, audience=row["id"]))["audiences"][0]["name"] == "Named anew"
        assert len(there.sandbox.asked) == read + 1


async def test_a_ref_of_another_source_than_the_one_asked_says_so() -> None:
    scripts = {name: Script({"": {"rows": rows(7)}}) for name in ("acme", "acme-fr")}
    async with catalog_of(FakeClock(), scripts) as catalog:
        with pytest.raises(ToolError, match="names the source acme, but only acme-fr was searched"):
            await catalog.get_audience(GetQuery(audience="acme:a9", source="acme-fr"))


async def test_a_name_is_found_whatever_its_case_and_accents_at_every_source_that_has_it() -> None:
    data = {
        "commbox": [{"id": "1", "name": "Café Élite", "user_count": 5, "type": "Static"}],
        "whop": [],
        "batch": [
            {"name": "cafe_elite", "display_name": "CAFE ELITE", "nb_ids": 9, "indexing_state": "APPLIED"}
        ],
        "smallest": [],
    }
    async with connected(data) as there:
        answer = await got(there, audience="cafe élite")
        assert answer["matched_by"] == "name"
        assert [row["ref"] for row in answer["audiences"]] == ["batch:cafe_elite", "commbox:1"]
        only = await got(there, audience="cafe élite", source="commbox")
        assert [row["ref"] for row in only["audiences"]] == ["commbox:1"]


async def test_an_audience_that_the_list_lacks_is_found_by_id_with_its_size_unknown() -> None:
    async with connected() as there:
        id = str(SMALLEST_UNLISTED["_id"])
        for asked in (id, f"smallest:{id}"):
            (row,) = (await got(there, audience=asked))["audiences"]
            assert row["id"] == id
            assert "size" not in row
            assert "list" in row["size_note"]


async def test_a_miss_says_what_was_read_and_what_is_near() -> None:
    async with connected() as there:
        text = await missed(there, audience="Newslettr subscribers")
        for source, rows_ in there.sandbox.rows.items():
            assert f"{source} ({len(rows_)} audiences)" in text
        assert '"Newsletter subscribers" (commbox:31152)' in text


async def test_a_miss_says_what_could_not_be_read() -> None:
    async with connected(environment={"WHOP_API_KEY": "wrong-key-000"}) as there:
        text = await missed(there, audience="no such audience")
        assert "WHOP_API_KEY" in text
        assert "whop (" not in text.split("Not read in full")[0].split("Read in full")[1]


async def test_a_match_beside_an_unread_source_is_not_complete() -> None:
    async with connected(environment={"WHOP_API_KEY": "wrong-key-000"}) as there:
        answer = await got(there, audience="Newsletter subscribers")
        assert answer["complete"] is False
        assert answer["audiences"][0]["ref"] == "commbox:31152"
        assert [s["error"]["kind"] for s in answer["sources"] if "error" in s] == ["unauthorized"]


@pytest.mark.parametrize(
    "text", ["", "   ", ":", "batch:", "nosource:31112", "\u0000", "x" * 100_000, "..", "batch:../x"]
)
async def test_text_that_means_nothing_is_a_miss_and_shapes_no_request(text: str) -> None:
    async with connected() as there:
        said = await missed(there, audience=text)
        assert len(said) < 9_000
        assert {asked.path for asked in there.sandbox.asked} <= {
            "/commbox/audiences",
            "/batch/2.11/audiences/list",
            "/batch/2.11/audiences/view",
            "/batch/2.11/segments/list",
            "/smallest/atoms/v1/audience",
            "/whop/api/v1/audiences",
        }
        assert all(asked.query.get("name", ["x"])[0].isalnum() for asked in there.sandbox.asked)


@pytest.mark.slow
async def test_a_ref_that_a_list_gave_is_accepted_even_if_its_id_is_of_no_known_shape() -> None:
    odd = [{"id": "EU 7/a", "name": "Odd", "user_count": 3, "type": "Static"}]
    async with connected({"commbox": odd}) as there:
        answer = await got(there, audience="commbox:EU 7/a")
        assert [row["name"] for row in answer["audiences"]] == ["Odd"]


async def test_where_a_look_up_fails_the_list_answers() -> None:
    script = Script({"": {"rows": rows(7)}}, {"a1": VendorError("bad_response", "what?")})
    async with catalog_of(FakeClock(), {"direct": script}, kind=Direct) as catalog:
        answer = await catalog.get_audience(GetQuery(audience="direct:a1"))
    assert (answer.matched_by, answer.audiences[0].size, answer.complete) == ("ref", 7, True)


async def test_a_size_that_only_the_list_has_is_unknown_where_the_list_cannot_be_read() -> None:
    script = Script({"": VendorError("unavailable", "direct is down.")}, {"a1": {"id": "a1", "name": "One"}})
    async with catalog_of(FakeClock(), {"direct": script}, kind=Direct) as catalog:
        answer = await catalog.get_audience(GetQuery(audience="direct:a1"))
    assert (answer.audiences[0].size, answer.complete) == (None, False)
    assert answer.audiences[0].size_note
    assert answer.sources[0].error is not None
    assert answer.sources[0].error.message == "direct is down."


async def test_audiences_that_share_a_name_and_do_not_fit_are_counted() -> None:
    same = [{"id": f"a{n}", "name": "Twin", "size": n} for n in range(500)]
    script = Script({"": {"rows": same}})
    async with catalog_of(FakeClock(), {"acme": script}, max_chars=4000) as catalog:
        answer = await catalog.get_audience(GetQuery(audience="twin"))
    shown = len(answer.audiences)
    assert 0 < shown < 500
    assert answer.audiences[0].size == 499
    assert answer.notes == [f"{500 - shown} more match and do not fit: use list_audiences with search."]


async def test_an_answer_in_time_does_not_wait_for_what_cannot_hold_the_id() -> None:
    script = Script({"": {"rows": rows(7)}})
    async with catalog_of(FakeClock(), {"acme": script}, kind=Acme) as catalog:
        answer = await catalog.get_audience(GetQuery(audience="a1"))
        assert answer.matched_by == "id"
        with pytest.raises(ToolError, match="Nearest names"):
            await catalog.get_audience(GetQuery(audience="Audiense 1"))


class Listed(Acme):
    """Audiences with ids that nobody would choose for a name, which cannot be requested one by one."""

    ids_are = "unmistakable"


async def test_an_id_found_at_one_source_does_not_hide_that_another_could_not_be_asked() -> None:
    both = {"acme": Script({"": {"rows": rows(7)}}), "acme-fr": Script({"": {"rows": []}}, {"a1": DOWN})}

    async with catalog_of(FakeClock(), both, kinds={"acme": Listed(), "acme-fr": Direct()}) as catalog:
        answer = await catalog.get_audience(GetQuery(audience="a1"))
    assert (answer.matched_by, [row.ref for row in answer.audiences]) == ("id", ["acme:a1"])
    assert answer.complete is False
    failed = next(report for report in answer.sources if report.source == "acme-fr")
    assert failed.error is not None
    assert failed.error.kind == "unavailable"


async def test_a_size_from_an_older_reading_is_told_to_be_so_and_the_rest_is_of_now() -> None:
    script = Script({"": {"rows": rows(7)}}, {"a1": {"id": "a1", "name": "Renamed"}})
    clock = FakeClock()
    async with catalog_of(clock, {"direct": script}, kind=Direct) as catalog:
        before = await catalog.list_audiences(ListQuery())
        clock.advance(43_200)
        script.pages[""] = DOWN
        answer = await catalog.get_audience(GetQuery(audience="direct:a1"))
    assert (answer.audiences[0].name, answer.audiences[0].size) == ("Renamed", 7)
    assert answer.sources[0].as_of == before.sources[0].as_of
    assert answer.notes is not None
    assert "last complete reading" in answer.notes[0]


async def test_a_miss_in_an_older_reading_does_not_claim_to_have_read_now() -> None:
    script, clock = Script({"": {"rows": rows(7)}}), FakeClock()
    async with catalog_of(clock, {"acme": script}) as catalog:
        await catalog.list_audiences(ListQuery())
        clock.advance(43_200)
        script.pages[""] = DOWN
        with pytest.raises(ToolError) as missed_it:
            await catalog.get_audience(GetQuery(audience="New one"))
    said = str(missed_it.value)
    assert "Read in full:" not in said
    assert "Read in full before, but not now: acme as of 2026-11-20T12:00:00Z (1):" in said
    assert DOWN.message in said


async def test_a_ref_found_with_its_size_is_complete_though_the_list_broke_off() -> None:
    pages = {"": {"rows": rows(7), "next": "c1"}, "c1": DOWN}
    script = Script(pages, {"a1": {"id": "a1", "name": "One"}})
    async with catalog_of(FakeClock(), {"direct": script}, kind=Direct) as catalog:
        answer = await catalog.get_audience(GetQuery(audience="direct:a1"))
    assert (answer.audiences[0].size, answer.complete, answer.notes) == (7, True, None)
    assert answer.sources[0].error is None


@pytest.mark.parametrize("audience", ["a99", "direct:a1", "nobody"])
async def test_one_question_reads_a_source_once_even_with_refresh(audience: str) -> None:
    script = Script({"": {"rows": rows(7)}}, {"a1": DOWN})
    async with catalog_of(FakeClock(), {"direct": script}, kind=Direct, cache_s=0) as catalog:
        with contextlib.suppress(ToolError):
            await catalog.get_audience(GetQuery(audience=audience, refresh=True))
    assert script.asked.count("") == 1


async def test_look_ups_that_nobody_waits_for_end_and_leave_the_source_to_others() -> None:
    never = anyio.Event()
    ids = [f"a{n}" for n in range(1, 21)]
    script = Script({"": {"rows": rows(*range(1, 21))}}, {id: (never, {"id": id}) for id in ids})
    clock = FakeClock()
    async with catalog_of(clock, {"direct": script}, kind=Direct) as catalog:
        sizes: dict[str, int | None] = {}

        async def ask(id: str) -> None:
            with contextlib.suppress(ToolError):
                sizes[id] = (await catalog.get_audience(GetQuery(audience=f"direct:{id}"))).audiences[0].size

        async with anyio.create_task_group() as calls:
            for id in ids:
                calls.start_soon(ask, id)
            await settled()
            # Eight are asked for alone; the others have their answer from the list, which is one request.
            assert sorted(script.asked) == sorted(["", *ids[:8]])
            assert sizes == {id: int(id[1:]) for id in ids[8:]}
            clock.advance(45)
        # At the deadline the eight, too, are answered: from the list, which is there.
        assert sizes == {id: int(id[1:]) for id in ids}
        script.asked.clear()
        script.ones["a1"] = {"id": "a1", "name": "One"}
        answer = await catalog.get_audience(GetQuery(audience="direct:a1"))
        assert (answer.audiences[0].name, script.asked) == ("One", ["a1"])


async def test_an_id_with_a_space_at_its_end_is_found_by_the_ref_that_was_shown() -> None:
    script = Script({"": {"rows": [{"id": "a1 ", "name": "Odd", "size": 3}]}})
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        (row,) = (await catalog.list_audiences(ListQuery())).audiences
        answer = await catalog.get_audience(GetQuery(audience=row.ref))
    assert [found.ref for found in answer.audiences] == ["acme:a1 "]


async def test_a_ref_of_a_source_that_does_not_exist_is_said_to_be_so() -> None:
    async with connected() as there:
        text = await missed(there, audience="facebook:123")
        assert 'There is no source "facebook"; searched were commbox, batch, smallest, whop.' in text


async def test_a_ref_found_in_a_list_that_broke_off_claims_nothing_of_the_list() -> None:
    script = Script({"": {"rows": rows(7), "next": "c1"}, "c1": DOWN})
    async with catalog_of(FakeClock(), {"acme": script}) as catalog:
        answer = await catalog.get_audience(GetQuery(audience="acme:a1"))
    assert (answer.matched_by, answer.audiences[0].size, answer.complete) == ("ref", 7, True)
    assert answer.sources[0].model_dump(exclude_none=True).keys() == {
        "source",
        "complete",
        "size_counts",
    }


@pytest.mark.parametrize("audience", ["direct:a2", "a2"])
async def test_a_look_up_that_failed_is_told_where_the_list_lacks_the_audience(audience: str) -> None:
    script, clock = Script({"": {"rows": rows(7)}}, {"a2": DOWN}), FakeClock()
    async with catalog_of(clock, {"direct": script}, kind=Direct) as catalog:
        await catalog.list_audiences(ListQuery())
        with pytest.raises(ToolError) as missed_it:
            await catalog.get_audience(GetQuery(audience=audience))
    assert DOWN.message in str(missed_it.value)
    assert "Read in full:" not in str(missed_it.value)


async def test_beyond_the_look_ups_that_may_run_at_once_a_miss_does_not_claim_that_there_is_none() -> None:
    gate = anyio.Event()
    ids = [f"a{n}" for n in range(10, 20)]
    script = Script({"": {"rows": []}}, {id: (gate, {"id": id, "name": id}) for id in ids})
    said: dict[str, str] = {}
    async with catalog_of(FakeClock(), {"direct": script}, kind=Direct) as catalog:

        async def ask(id: str) -> None:
            try:
                said[id] = (await catalog.get_audience(GetQuery(audience=f"direct:{id}"))).audiences[0].name
            except ToolError as e:
                said[id] = str(e)

        async with anyio.create_task_group() as calls:
            for id in ids:
                calls.start_soon(ask, id)
            await settled()
            gate.set()
    assert [said[id] for id in ids[:8]] == ids[:8]
    assert all("too many audiences at once" in said[id] and "Read in full:" not in said[id] for id in ids[8:])


async def test_a_look_up_that_one_call_gives_up_goes_on_for_another_that_needs_it() -> None:
    slow, gate = anyio.Event(), anyio.Event()

    scripts = {
        "acme": Script({"": (slow, {"rows": []})}),
        "direct": Script({"": {"rows": []}}, {"a1": (gate, {"id": "a1", "name": "One"})}),
    }
    found: list[str] = []
    async with catalog_of(FakeClock(), scripts, kinds={"direct": Direct()}) as catalog:

        async def first() -> None:
            found.append((await catalog.get_audience(GetQuery(audience="a1"))).audiences[0].name)

        async with anyio.create_task_group() as calls:
            calls.start_soon(first)
            await settled()  # it waits for acme's list, which it needs as well
            async with anyio.create_task_group() as second:
                second.start_soon(catalog.get_audience, GetQuery(audience="direct:a1"))
                await settled()
                second.cancel_scope.cancel()
            gate.set()
            await settled()
            slow.set()
    assert found == ["One"]


async def test_a_name_that_holds_what_was_asked_for_is_near_unless_it_says_much_more() -> None:
    named = [
        {"id": "a1", "name": "VIP customers", "size": 1},
        {"id": "a2", "name": "Newsletter of the VIP lounge in Rotterdam, spring", "size": 2},
    ]
    async with catalog_of(FakeClock(), {"acme": Script({"": {"rows": named}})}) as catalog:
        with pytest.raises(ToolError) as missed:
            await catalog.get_audience(GetQuery(audience="vip"))
    assert '"VIP customers" (acme:a1)' in str(missed.value)
    assert "Rotterdam" not in str(missed.value)

"""What is promised of every vendor, over real HTTP, from the environment to the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import ToolError
from audience_mcp.core.text import to_json
from audience_mcp.sources.rows import DELETED
from audience_mcp.testing.asking import (
    describe_request,
    distinct_rows,
    facts_of,
    has_note,
    letters_of,
    list_rows,
    odd_rows,
    open_case,
    parameter_of,
    read_again,
    refusable_settings,
)
from audience_mcp.testing.case import Case, Served
from audience_mcp.testing.values import A_SIZE, NO_DATE, NO_ID, NO_NAME, NO_OBJECT, NO_SIZE, ODD

WRONG = "wrong-on-purpose"


@pytest.mark.anyio
class VendorContract:
    """Every test here holds for every vendor; the fixture `case`, which a subclass has, says which.

    Where one cannot hold of an API, a subclass overrides it, with the reason and what holds instead.
    """

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Loopback servers here run on asyncio."""
        return "asyncio"

    async def test_every_page_is_asked_for_once_with_the_largest_page_size(self, case: Case) -> None:
        async with case.serve(case.rows) as served, open_case(case, served) as catalog:
            answer = await catalog.list_audiences(ListQuery(limit=0))
        assert answer.complete
        assert len(served.asked) == case.requests_for(case.rows)
        if case.largest_page:
            name, value = case.largest_page
            sizes = {parameter_of(asked, name) for asked in served.asked} - {None}
            assert sizes == {value, *case.other_pages}
        assert len({describe_request(asked) for asked in served.asked}) == len(served.asked)

    async def test_requests_hold_no_empty_parameter_and_no_body(self, case: Case) -> None:
        async with case.serve(case.rows) as served, open_case(case, served) as catalog:
            await catalog.list_audiences(ListQuery(limit=0))
            await catalog.get_audience(GetQuery(audience=f"{case.vendor.name}:{case.id_of(case.sample)}"))
        for asked in served.asked:
            assert all(value and value != "None" for values in asked.query.values() for value in values)
            if asked.method == "GET":
                assert asked.body == b""
                assert asked.headers.keys().isdisjoint({"content-type", "content-length"})

    async def test_totals_are_exact(self, case: Case) -> None:
        answer = await list_rows(case, case.rows)
        sizes = [case.facts(row).size for row in case.rows]
        assert answer.complete
        assert answer.matched == len(case.rows)
        alone = [case.facts(row).size for row in case.rows if not case.nested(row)]
        assert answer.sum_of_sizes == sum(size for size in alone if size is not None)
        assert answer.unknown_sizes == sizes.count(None)
        (report,) = answer.sources
        assert (report.source, report.vendor, report.complete) == (case.vendor.name, None, True)
        assert (report.audiences, report.sum_of_sizes, report.unknown_sizes) == (
            answer.matched,
            answer.sum_of_sizes,
            answer.unknown_sizes,
        )
        assert report.error is None or None in sizes  # sizes that the vendor refuses to count
        assert report.as_of

    async def test_every_row_is_shown_once_as_the_contract_says(self, case: Case) -> None:
        answer = await list_rows(case, case.rows)
        expected = {case.id_of(row): case.facts(row) for row in case.rows}
        assert len(expected) == len(case.rows)
        assert [a.ref for a in answer.audiences] == [f"{case.vendor.name}:{a.id}" for a in answer.audiences]
        assert sorted(a.id or "" for a in answer.audiences) == sorted(expected)
        for audience in answer.audiences:
            fact, seen = expected[str(audience.id)], facts_of(audience)
            assert letters_of(seen.name) == letters_of(fact.name)
            if fact.name.isprintable() and "\ufe0f" not in fact.name:  # a selector that is not seen
                assert seen.name == fact.name
            assert (seen.size, seen.type, seen.status) == (fact.size, fact.type, fact.status)
            # Where the fields give no status, none is said; what `refine` sets needs one to start from.
            has_one = case.vendor.listing_of(str(audience.id)).fields.status is not None
            assert (audience.status is not None) is (has_one or audience.size_note == DELETED)
            assert audience.size is not None or audience.size_note

    async def test_dates_are_shown_in_utc(self, case: Case) -> None:
        answer = await list_rows(case, case.rows)
        for audience in answer.audiences:
            assert audience.created_at.endswith("Z") if audience.created_at else not case.dates
        if len(case.dates) > 1:
            assert all(
                a.updated_at and a.updated_at >= a.created_at for a in answer.audiences if a.created_at
            )

    async def test_one_audience_is_the_row_of_the_list_by_ref_by_id_and_by_name(self, case: Case) -> None:
        rows = {a.id: a for a in (await list_rows(case, case.rows)).audiences}
        chosen = distinct_rows(case)
        assert chosen
        async with case.serve(case.rows) as served:
            for raw in chosen:
                row = rows[case.id_of(raw)]
                for way, text in {"ref": row.ref, "id": str(row.id), "name": row.name}.items():
                    async with open_case(case, served) as catalog:  # nothing read before
                        match = await catalog.get_audience(GetQuery(audience=text))
                    assert match.audiences == [row], way
                    assert match.complete
                    assert match.matched_by == way or row.name == row.id

    async def test_one_audience_is_the_same_after_the_list_was_read(self, case: Case) -> None:
        rows = {a.id: a for a in (await list_rows(case, case.rows)).audiences}
        async with case.serve(case.rows) as served, open_case(case, served) as catalog:
            await catalog.list_audiences(ListQuery(limit=0))
            for raw in distinct_rows(case):
                row = rows[case.id_of(raw)]
                for text in (row.ref, str(row.id), row.name):
                    match = await catalog.get_audience(GetQuery(audience=text))
                    assert match.audiences == [row]

    async def test_a_name_is_found_in_any_case_and_without_its_accents(self, case: Case) -> None:
        row = {**case.sample, case.name: "Été à Zürich", case.id: case.new_id(1)}
        async with case.serve([*case.some(1), row]) as served, open_case(case, served) as catalog:
            match = await catalog.get_audience(GetQuery(audience="ETE A ZURICH"))
        assert [a.id for a in match.audiences] == [case.new_full_id(1)]

    @pytest.mark.parametrize("prefix", ["", "ref"])
    async def test_an_unknown_id_is_not_found_after_everything_was_read(
        self, case: Case, prefix: str
    ) -> None:
        text = f"{case.vendor.name}:{case.unknown_id}" if prefix else case.unknown_id
        async with case.serve(case.rows) as served, open_case(case, served) as catalog:
            with pytest.raises(ToolError) as caught:
                await catalog.get_audience(GetQuery(audience=text))
        said = str(caught.value)
        assert "No audience has" in said
        assert case.unknown_id in said
        assert f"Read in full: {case.vendor.name} ({len(case.rows):,} audiences)" in said

    async def test_a_misspelt_name_is_not_found_and_the_nearest_are_told_with_their_refs(
        self, case: Case
    ) -> None:
        rows = [*case.some(3), {**case.sample, case.name: "Holiday shoppers", case.id: case.new_id(9)}]
        async with case.serve(rows) as served, open_case(case, served) as catalog:
            with pytest.raises(ToolError, match="Nearest names") as caught:
                await catalog.get_audience(GetQuery(audience="holliday shopers"))
        assert f'"Holiday shoppers" ({case.vendor.name}:{case.new_full_id(9)})' in str(caught.value)

    @pytest.mark.parametrize("id", ["..", "a/b", "x?y=1&z", "Größe: #1"])
    async def test_an_id_unlike_the_documented_ones_is_found_and_never_put_into_a_request(
        self, case: Case, id: str
    ) -> None:
        assert not case.vendor.id_shape.fullmatch(id)
        peculiar = {**case.sample, case.id: id, case.name: "Peculiar"}
        full = case.id_of(peculiar)
        async with case.serve([*case.some(3), peculiar]) as served:
            for text in (f"{case.vendor.name}:{full}", full, "Peculiar"):
                async with open_case(case, served) as catalog:
                    match = await catalog.get_audience(GetQuery(audience=text))
                assert [a.id for a in match.audiences] == [full]
        for asked in served.asked:
            assert id not in str(asked.query)
            assert id not in asked.path

    @pytest.mark.parametrize(("pages", "more"), [(0, 1), (1, -1), (1, 0), (1, 1), (2, 0)])
    async def test_a_list_that_ends_at_the_edge_of_a_page_is_whole(
        self, case: Case, pages: int, more: int
    ) -> None:
        number = pages * case.page_size + more
        rows = case.some(number)
        async with case.serve(rows) as served, open_case(case, served) as catalog:
            answer = await catalog.list_audiences(ListQuery(limit=0))
        assert answer.complete
        assert answer.matched == number
        assert answer.sum_of_sizes == sum(range(1000, 1000 + number))
        assert len(served.asked) == case.requests_for(rows)

    async def test_an_empty_account_is_complete_with_nothing_in_it(self, case: Case) -> None:
        answer = await list_rows(case, [])
        assert (answer.matched, answer.sum_of_sizes, answer.unknown_sizes) == (0, 0, 0)
        assert answer.complete
        note = f"{case.vendor.name}: {case.empty_note}" if case.empty_note else None
        assert answer.notes == (note and [note])
        (report,) = answer.sources
        assert (report.audiences, report.complete, report.error) == (0, True, None)

    async def test_each_required_variable_is_named_when_its_value_is_refused(self, case: Case) -> None:
        for setting in refusable_settings(case):
            variable = f"{setting.variables[0]}_WRONG"
            wrong = case.wrong.get(setting.role, WRONG)
            async with case.serve(case.rows) as served:
                if served.environment.keys().isdisjoint(setting.variables):
                    continue  # another way to the same account
                named = {v: value for v, value in served.environment.items() if v in setting.variables}
                good = {v: value for v, value in served.environment.items() if v not in named}
                alone = Served(good, served.asked)
                async with open_case(case, alone, **{variable: wrong}) as catalog:
                    with pytest.raises(ToolError) as caught:
                        await catalog.list_audiences(ListQuery(limit=0))
            said = str(caught.value)
            assert f"{case.vendor.name}-wrong: " in said
            assert variable in said
            assert wrong not in said

    async def test_a_refused_key_is_an_error_and_never_an_empty_list(self, case: Case) -> None:
        key = next(s for s in refusable_settings(case) if s.secret)
        variable, wrong = key.variables[0], case.wrong.get(key.role, WRONG)
        async with case.serve(case.rows) as served, open_case(case, served, **{variable: wrong}) as catalog:
            id = case.id_of(case.sample)
            ways: list[Callable[[], Awaitable[object]]] = [
                partial(catalog.list_audiences, ListQuery()),
                partial(catalog.get_audience, GetQuery(audience=id)),
                partial(catalog.get_audience, GetQuery(audience=f"{case.vendor.name}:{id}")),
                partial(catalog.get_audience, GetQuery(audience="VIP")),
            ]
            for ask in ways:
                with pytest.raises(ToolError) as caught:
                    await ask()
                said = str(caught.value)
                assert "refused the key" in said
                assert variable in said
                assert wrong not in said
                assert "no audiences" not in said.lower()
                assert "0 audiences" not in said

    async def test_a_row_that_is_no_object_is_left_out_alone(self, case: Case) -> None:
        await self.leaves_out(case, [*NO_OBJECT.values()])

    async def test_a_row_without_a_usable_id_is_left_out_alone(self, case: Case) -> None:
        without = {key: value for key, value in case.sample.items() if key != case.id}
        await self.leaves_out(case, [without, *({**case.sample, case.id: id} for id in NO_ID.values())])

    async def leaves_out(self, case: Case, broken: Sequence[object]) -> None:
        """Check that the rows around each of `broken` are all there, and that its loss is reported."""
        number = len(broken) + 1
        good = case.some(number)
        between = [row for pair in zip(good, broken, strict=False) for row in pair]
        answer = await list_rows(case, [*between, good[-1]])
        assert sorted(a.id or "" for a in answer.audiences) == sorted(case.id_of(row) for row in good)
        assert answer.sum_of_sizes == sum(range(1000, 1000 + number))
        assert answer.complete
        assert has_note(answer, f"{case.vendor.name}: skipped {len(broken)} rows without a usable id")

    async def test_a_page_of_broken_rows_alone_is_an_error_and_not_an_empty_account(self, case: Case) -> None:
        async with case.serve([None] * 3) as served, open_case(case, served) as catalog:
            answer = await catalog.list_audiences(ListQuery(limit=0))
        assert not answer.complete
        (report,) = answer.sources
        assert report.error is not None
        assert report.error.kind == "bad_response"
        assert "none of which could be used" in report.error.message

    async def test_a_row_that_comes_twice_counts_once_and_that_is_told(self, case: Case) -> None:
        rows = case.some(case.page_size + 20)
        async with case.serve([*rows, rows[0]]) as served, open_case(case, served) as catalog:
            answer = await catalog.list_audiences(ListQuery(limit=0))
        assert answer.matched == len(rows)
        assert answer.sum_of_sizes == sum(range(1000, 1000 + len(rows)))
        assert has_note(answer, f"{case.vendor.name}: 1 duplicate row, counted once")

    async def test_a_size_that_is_no_size_is_unknown_and_loses_nothing_else(self, case: Case) -> None:
        rows = odd_rows(case, NO_SIZE, case.size)
        answer = await list_rows(case, [*case.some(3), *rows.values()])
        for kind, odd in read_again(case, answer, rows).items():
            assert odd.size is None, kind
            assert odd.size_note, kind
        assert (answer.matched, answer.sum_of_sizes) == (3 + len(rows), 3003)
        assert answer.unknown_sizes == len(rows)
        assert answer.complete

    async def test_a_size_is_taken_in_every_form_in_which_it_is_one(self, case: Case) -> None:
        rows = odd_rows(case, A_SIZE, case.size, missing=False)
        answer = await list_rows(case, [*rows.values()])
        for kind, odd in read_again(case, answer, rows).items():
            size = int(str(A_SIZE[kind]).removesuffix(".0"))
            if size == 0 and case.zero_is_unknown:
                assert (odd.size, bool(odd.size_note)) == (None, True), kind
                continue
            note = case.zero_note if case.zero_note and not size else case.size_note
            assert (odd.size, odd.size_note) == (size, note), kind

    async def test_a_name_that_is_no_name_is_the_id_and_loses_nothing_else(self, case: Case) -> None:
        rows = odd_rows(case, NO_NAME, case.name)
        answer = await list_rows(case, [*case.some(3), *rows.values()])
        for kind, odd in read_again(case, answer, rows).items():
            assert odd.name == odd.id, kind
        assert answer.matched == 3 + len(rows)

    async def test_a_date_that_is_no_date_is_absent_and_loses_nothing_else(self, case: Case) -> None:
        rows = odd_rows(case, NO_DATE, *case.dates, missing=False)
        answer = await list_rows(case, [*case.some(3), *rows.values()])
        for kind, odd in read_again(case, answer, rows).items():
            assert (odd.created_at, odd.updated_at) == (None, None), kind
            assert odd.size == case.facts(case.sample).size, kind
        assert answer.matched == 3 + len(rows)

    async def test_an_odd_value_anywhere_in_a_row_loses_no_row(self, case: Case) -> None:
        places = [(key, value) for key in case.sample if key != case.id for value in ODD]
        rows = [{**case.sample, case.id: case.new_id(n), key: value} for n, (key, value) in enumerate(places)]
        answer = await list_rows(case, rows)
        assert answer.complete
        assert {a.id for a in answer.audiences} == {case.id_of(row) for row in rows}
        for audience in answer.audiences:
            assert audience.size is not None or audience.size_note
            assert len(audience.name) <= 255
            assert len(to_json(audience.details or {})) <= 1200

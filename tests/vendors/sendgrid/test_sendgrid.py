"""SendGrid: links to another host, a count that is no total, and segments that were never counted."""

from typing import Any

import pytest
from anyio.to_thread import run_sync
from python_http_client.exceptions import UnauthorizedError
from sendgrid import SendGridAPIClient

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import ToolError
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.sendgrid import LISTS, SEGMENTS, SendGrid
from tests.vendors.bodies import NOW, account, answered, first_requests, page_of, row
from tests.vendors.documents import Document, exchanged, needs_documents
from tests.vendors.sendgrid import api
from tests.vendors.sendgrid.case import CASE, NEVER, ROWS, a_list, a_segment, served, uuid

GRID = SendGrid()
ACCOUNT = account(GRID)
FIRST, FIRST_SEGMENTS = first_requests(GRID, ACCOUNT.values)


def segment(**more: object) -> Row:
    """A segment as it is held."""
    one = row(GRID, {**a_segment(1, "S", 31), **more}, SEGMENTS)
    assert one is not None
    return one


def test_lists_are_asked_for_with_the_largest_page_and_segments_all_at_once() -> None:
    assert Request("v3/marketing/lists", {"page_size": "1000"}) == FIRST
    assert Request("v3/marketing/segments/2.0") == FIRST_SEGMENTS


def test_of_the_link_to_the_next_page_only_the_token_is_taken() -> None:
    link = "https://elsewhere.example/v3/marketing/lists?page_size=5&page_token=abc"
    page = page_of(GRID, {"result": [], "_metadata": {"next": link, "count": 9}}, FIRST)
    assert page.next == FIRST.with_params(page_token="abc")
    assert page.total is None  # its count is known to be wrong


def test_no_link_is_the_end_and_a_self_with_an_empty_token_is_none() -> None:
    told = {"self": "https://api.sendgrid.com/v3/marketing/lists?page_token=", "count": 4}
    assert page_of(GRID, {"result": [], "_metadata": told}, FIRST).more is False
    assert page_of(GRID, {"results": []}, FIRST_SEGMENTS, SEGMENTS).more is False


def test_segments_that_come_in_pages_after_all_are_followed() -> None:
    told = {"next": "https://api.sendgrid.com/v3/marketing/segments/2.0?page_token=b"}
    page = page_of(GRID, {"results": [], "_metadata": told}, FIRST_SEGMENTS, SEGMENTS)
    assert page.next == FIRST_SEGMENTS.with_params(page_token="b")


@pytest.mark.anyio
async def test_a_count_that_is_higher_than_the_rows_leaves_the_reading_complete() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert answer.complete
    assert answer.notes is None


def test_a_list_has_no_date_and_is_static() -> None:
    one = row(GRID, a_list(1, "L", 940), LISTS)
    assert one is not None
    assert (one.size, one.type, one.status, one.kind, one.created) == (940, "static", "ready", "list", None)


def test_a_segment_is_as_of_its_last_count_and_says_so() -> None:
    one = segment()
    assert (one.size, one.size_note, one.type, one.kind) == (
        31,
        "counted at 2026-02-03T05:00:00Z",
        "dynamic",
        "segment",
    )


@pytest.mark.parametrize(
    ("more", "size", "note"),
    [
        ({"contacts_count": 0, **NEVER}, None, "not counted yet"),
        ({"contacts_count": 0, "status": {"query_validation": "PENDING"}}, None, "not counted yet"),
        ({"contacts_count": 0}, 0, "counted at 2026-02-03T05:00:00Z"),
        ({"contacts_count": 5, **NEVER}, 5, None),
        ({"contacts_count": None}, None, None),
        ({"contacts_count": 0, "sample_updated_at": "soon"}, None, "not counted yet"),
    ],
)
def test_a_zero_that_was_never_counted_is_no_size(
    more: dict[str, Any], size: int | None, note: str | None
) -> None:
    one = segment(**more)
    assert (one.size, one.size_note) == (size, note)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"query_validation": "VALID"}, "ready"),
        ({"query_validation": "PENDING"}, "processing"),
        ({"query_validation": "INVALID"}, "failed"),
        ({"query_validation": "NEW"}, "unknown"),
        (None, "ready"),
    ],
)
def test_the_status_is_that_of_the_query(status: dict[str, Any] | None, word: str) -> None:
    assert segment(status=status).status == word


@pytest.mark.parametrize(
    ("parents", "part_of"),
    [(None, None), ([], None), ([uuid(1)], f"list-{uuid(1)}"), ([uuid(1), uuid(2)], None), ("x", None)],
)
def test_a_segment_lies_within_its_only_parent_and_within_none_of_several(
    parents: list[Any] | str | None, part_of: str | None
) -> None:
    assert segment(parent_list_ids=parents).part_of == part_of


@pytest.mark.anyio
async def test_one_segment_is_asked_for_without_the_people_who_would_come_with_it() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.get_audience(GetQuery(audience=f"sendgrid:segment-{uuid(50)}"))
        await catalog.get_audience(GetQuery(audience=f"sendgrid:list-{uuid(1)}"))
    asked = [(each.path, dict(each.query)) for each in there.asked]
    assert asked == [
        (f"{api.SEGMENTS}/{uuid(50)}", {"contacts_sample": ["false"]}),
        (f"{api.LISTS}/{uuid(1)}", {}),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["list", "segment"])
async def test_an_unknown_id_is_not_found_whichever_way_sendgrid_says_so(kind: str) -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        with pytest.raises(ToolError, match="No audience has"):
            await catalog.get_audience(GetQuery(audience=f"sendgrid:{kind}-{uuid(555_555)}"))


def test_a_400_for_a_whole_listing_is_no_missing_audience() -> None:
    assert GRID.status(answered(400, None, is_json=False)) == 400


@pytest.mark.parametrize("text", [uuid(1), f"list-{uuid(1)}x", "list-1", f"list-{uuid(1)}/count"])
def test_other_text_is_no_id_and_never_asked_for(text: str) -> None:
    assert not GRID.id_shape.fullmatch(text)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "SENDGRID_API_KEY"),
        (403, "forbidden", "marketing.read"),
        (451, "invalid_request", "451"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    assert (describe_status(status, ACCOUNT)[0], says in describe_status(status, ACCOUNT)[1]) == (kind, True)


def test_the_wait_is_a_moment_in_a_header() -> None:
    reset = f"{NOW.timestamp() + 9:.0f}"
    response = answered(429, None, is_json=False, headers={"x-ratelimit-reset": reset})
    assert find_wait(response, ACCOUNT) == 9


# Held against SendGrid's own SDK and document


@pytest.mark.anyio
async def test_sendgrids_own_sdk_reads_the_same_lists_segments_and_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(variable, raising=False)

    def theirs(host: str) -> dict[str, tuple[str, int]]:
        marketing: Any = SendGridAPIClient(api.KEY, host=host).client.marketing
        found: dict[str, tuple[str, int]] = {}
        query: dict[str, Any] = {"page_size": 1000}
        while True:
            page = marketing.lists.get(query_params=query).to_dict
            found |= {f"list-{each['id']}": (each["name"], each["contact_count"]) for each in page["result"]}
            if "next" not in page["_metadata"]:
                break
            query = {"page_size": 1000, "page_token": page["_metadata"]["next"].rpartition("=")[2]}
        for each in marketing.segments._("2.0").get().to_dict["results"]:
            found[f"segment-{each['id']}"] = each["name"], each["contacts_count"]
        return found

    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["SENDGRID_BASE_URL"])
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=10_000))).audiences
    assert {a.id: a.name for a in ours} == {id: name for id, (name, _) in read.items()}
    for audience in ours:
        assert audience.size == read[str(audience.id)][1] or audience.size_note == "not counted yet"


@pytest.mark.anyio
async def test_sendgrids_own_sdk_is_refused_as_the_adapter_is() -> None:
    async with served(ROWS) as there:
        client: Any = SendGridAPIClient("SG.another", host=there.environment["SENDGRID_BASE_URL"]).client
        with pytest.raises(UnauthorizedError):
            await run_sync(client.marketing.lists.get)


def patched(document: Document) -> None:
    """The answer with all segments is declared one segment; three fields are null in real answers.

    One segment must have `contacts_sample` there, which `contacts_sample=false` leaves out.
    """
    operation = document["paths"]["/v3/marketing/segments/2.0"]["get"]
    media = operation["responses"]["200"]["content"]["application/json"]
    media["schema"] = {
        "type": "object",
        "properties": {"results": {"type": "array", "items": media["schema"]}},
    }

    def loosen(node: object) -> None:
        if isinstance(node, dict):
            for name in ("parent_list_ids", "sample_updated_at", "next_sample_update"):
                schema = node.get(name)
                if isinstance(schema, dict) and isinstance(schema.get("type"), str):
                    schema["type"] = [schema["type"], "null"]
            if isinstance(node.get("required"), list):
                node["required"] = [name for name in node["required"] if name != "contacts_sample"]
            for value in node.values():
                loosen(value)
        elif isinstance(node, list):
            for value in node:
                loosen(value)

    loosen(document)


@pytest.mark.anyio
@needs_documents
async def test_requests_and_answers_are_as_sendgrids_document_has_them() -> None:
    rows = [*ROWS[:5], *ROWS[-6:]]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience=f"sendgrid:list-{uuid(1)}"))
    checked = exchanged("sendgrid", there.asked, lambda asked: api.answer(asked, rows), patched)
    assert sorted(checked) == [api.LISTS, f"{api.LISTS}/{uuid(1)}", api.SEGMENTS]

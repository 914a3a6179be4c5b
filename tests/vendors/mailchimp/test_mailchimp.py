"""Mailchimp: the host in the key, segments within lists, tags, and a 403 that is throttling."""

import mailchimp_marketing
import pytest
from anyio.to_thread import run_sync

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import Source, load_configuration
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sandbox import mailchimp as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.testing import Served, serve_api
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.mailchimp import Mailchimp
from tests.vendors.bodies import answered, row
from tests.vendors.mailchimp.case import CASE, ROWS, served

pytestmark = pytest.mark.anyio

MAILCHIMP = Mailchimp()
KEY = "0123456789abcdef0123456789abcdef"


def source_of(**variables: str) -> Source:
    (source,) = load_configuration(variables, [MAILCHIMP]).sources
    return source


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"MAILCHIMP_API_KEY": f"{KEY}-us6"}, "https://us6.api.mailchimp.com/3.0"),
        (
            {"MAILCHIMP_API_KEY": f"{KEY}-us6", "MAILCHIMP_SERVER_PREFIX": "us21"},
            "https://us21.api.mailchimp.com/3.0",
        ),
        (
            {"MAILCHIMP_API_KEY": KEY, "MAILCHIMP_BASE_URL": "https://proxy.example/mc"},
            "https://proxy.example/mc",
        ),
    ],
)
def test_the_host_follows_from_the_key_a_prefix_or_a_base_url(variables: dict[str, str], url: str) -> None:
    account = source_of(**variables).account
    assert account is not None
    assert account.base_url == url


@pytest.mark.parametrize("key", [KEY, f"{KEY}-evil.example/", f"{KEY}-us6.evil.example", f"{KEY}-@evil"])
def test_a_key_never_leads_to_another_host(key: str) -> None:
    source = source_of(MAILCHIMP_API_KEY=key)
    assert source.account is None
    assert source.problem is not None
    assert "MAILCHIMP_SERVER_PREFIX" in source.problem.message
    assert key not in source.problem.message


def test_the_form_of_the_key_that_goes_out_is_a_secret_too() -> None:
    account = source_of(MAILCHIMP_API_KEY=f"{KEY}-us6").account
    assert account is not None
    sent = MAILCHIMP.auth_for(account.values).authorize(Request("lists"), account.values, 0)
    (_, form) = sent.headers["Authorization"].split()
    assert form in account.secrets


async def test_segments_and_tags_lie_within_their_list_and_are_counted_once() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(detail="full", limit=100))
    rows = {row.id: row for row in answer.audiences}
    tag, segment = rows["segment-0a1b2c3d4e.880012"], rows["segment-0a1b2c3d4e.880011"]
    assert (tag.kind, tag.type, tag.part_of) == ("tag", "static", "mailchimp:list-0a1b2c3d4e")
    assert (segment.kind, segment.type, segment.size) == ("segment", "dynamic", 35)
    assert rows["segment-00000000ff.880013"].type == "unknown"
    lists = [row for row in ROWS if "list_id" not in row]
    assert answer.sum_of_sizes == sum(int(str(row["member_count"])) for row in lists)
    assert answer.complete
    assert any("3 audiences within another matched one" in note for note in answer.notes or [])


@pytest.mark.parametrize("text", ["mailchimp:segment-0a1b2c3d4e.880011", "880011", "Bought twice"])
async def test_a_segment_is_found_by_its_ref_its_own_id_and_its_name(text: str) -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        match = await catalog.get_audience(GetQuery(audience=text))
    assert [row.ref for row in match.audiences] == ["mailchimp:segment-0a1b2c3d4e.880011"]


async def test_only_the_fields_that_are_shown_are_asked_for_in_the_largest_pages() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
    for asked in there.asked:
        assert asked.query["count"] == ["1000"]
        assert "total_items" in asked.query["fields"][0]
        assert "lists.contact" not in asked.query["fields"][0]


async def test_a_list_that_is_deleted_while_it_is_read_loses_nothing_else() -> None:
    gone = "00000000ff"

    def answer(asked: Asked) -> Answer:
        rows = [row for row in ROWS if not (gone in asked.path and row["id"] == gone)]
        return answer_as(api, asked, rows)

    async with serve_api(answer) as (origin, asked):
        there = Served({"MAILCHIMP_API_KEY": api.KEY, "MAILCHIMP_BASE_URL": f"{origin}/3.0"}, asked)
        async with open_case(CASE, there) as catalog:
            found = await catalog.list_audiences(ListQuery(limit=0))
    assert found.matched == len(ROWS) - 1
    assert any("deleted while it was being read" in note for note in found.notes or [])


async def test_a_group_counts_what_lies_within_an_audience_of_another_group() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(group_by="kind"))
    lists = sum(int(str(row["member_count"])) for row in ROWS if "list_id" not in row)
    assert {group.key: group.sum_of_sizes for group in answer.groups or ()} == {
        "list": lists,
        "segment": 35 + 3,
        "tag": 12,
    }
    assert answer.sum_of_sizes == lists
    assert any("a group leaves out only what one of its own contains" in note for note in answer.notes or [])


def test_a_list_without_a_count_has_no_size() -> None:
    one = row(MAILCHIMP, {"id": "0a1b2c3d4e", "name": "n", "stats": {}})
    assert one is not None
    assert one.size is None


@pytest.mark.parametrize(("is_json", "status"), [(True, 403), (False, 429)])
def test_a_403_without_json_is_throttling_and_not_a_missing_right(is_json: bool, status: int) -> None:
    assert MAILCHIMP.status(answered(403, None, is_json=is_json)) == status


@pytest.mark.parametrize("text", ["0a1b2c3d4e", "list-0A1B2C3D4E", "segment-880011", "list-0a1b2c3d4e/x"])
def test_other_text_is_no_id_and_never_asked_for(text: str) -> None:
    assert not MAILCHIMP.id_shape.fullmatch(text)


async def test_mailchimps_own_sdk_reads_the_same_lists_segments_and_sizes() -> None:
    def theirs(base: str) -> dict[str, tuple[str, int]]:
        sdk = mailchimp_marketing.Client()
        sdk.set_config({"api_key": api.KEY})
        sdk.api_client.host = base
        found: dict[str, tuple[str, int]] = {}
        for each in sdk.lists.get_all_lists(count=1000, offset=0)["lists"]:
            found[f"list-{each['id']}"] = each["name"], each["stats"]["member_count"]
            for segment in sdk.lists.list_segments(each["id"], count=1000)["segments"]:
                found[f"segment-{each['id']}.{segment['id']}"] = segment["name"], segment["member_count"]
        return found

    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        read = await run_sync(theirs, there.environment["MAILCHIMP_BASE_URL"])
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1_000))).audiences
    assert {row.id: (row.name, row.size) for row in ours} == read
    assert len(read) == len(ROWS)

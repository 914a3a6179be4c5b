"""Ghost: a token signed for each request, pages that must not be followed past the end, and two counts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.catalog.models import to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.secrets import HIDDEN
from audience_mcp.sandbox import ghost as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.sandbox.ghost import a_label
from audience_mcp.testing import Answer, Asked, serve_api
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.ghost import Ghost
from tests.support.clock import START, FakeClock
from tests.vendors.bodies import NOW, error, first_requests, headers_sent, page_of, row
from tests.vendors.documents import exchanged, needs_documents
from tests.vendors.ghost.case import CASE, ROWS, served

pytestmark = pytest.mark.anyio

GHOST = Ghost()
LABELS, NEWSLETTERS = GHOST.listings
FIRST_LABELS, FIRST_NEWSLETTERS = first_requests(GHOST, {})
NAME, _, SECRET = api.KEY.partition(":")


def claims_of(header: str) -> dict[str, Any]:
    """What a token says, after its signature was found to be the key's."""
    scheme, _, token = header.partition(" ")
    assert scheme == "Ghost"
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": NAME}
    return jwt.decode(
        token,
        bytes.fromhex(SECRET),
        algorithms=["HS256"],
        audience="/admin/",
        options={"verify_exp": False, "verify_iat": False},
    )


def test_a_token_is_signed_with_the_key_and_good_for_five_minutes() -> None:
    claims = claims_of(headers_sent(GHOST, {"api_key": api.KEY})["Authorization"])
    assert claims == {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 300, "aud": "/admin/"}


async def test_each_request_has_a_token_of_its_own_time() -> None:
    clock, one = FakeClock(), GetQuery(audience=f"ghost:label-{ROWS[0]['id']}", refresh=True)
    async with served(ROWS) as there:
        configured = load_configuration(there.environment, [GHOST])
        async with open_catalog(configured, clock=clock) as catalog:
            for _ in range(3):
                await catalog.get_audience(one)
                clock.advance(200)
    signed_at = [claims_of(each.headers["authorization"])["iat"] for each in there.asked]
    assert signed_at == [int((START + timedelta(seconds=200 * n)).timestamp()) for n in range(3)]


async def test_a_token_that_the_site_writes_into_a_name_is_in_no_answer() -> None:
    def answer(asked: Asked) -> Answer:
        token = asked.headers["authorization"].split()[1]
        return answer_as(api, asked, [a_label(1, f"signed {token} today", 5)])

    async with serve_api(answer) as (origin, asked):
        configured = load_configuration(api.environment(origin), [GHOST])
        async with open_catalog(configured) as catalog:
            shown = to_dict(await catalog.list_audiences(ListQuery()))
    assert shown["audiences"][0]["name"] == f"signed {HIDDEN} today"
    assert not any(each.headers["authorization"].split()[1] in json.dumps(shown) for each in asked)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://news.example.com/ghost/#/settings", "https://news.example.com"),
        ("https://example.com/blog/ghost", "https://example.com/blog"),
        ("https://example.com/ghost/?x=1", "https://example.com"),
        ("https://example.com/ghost/api/admin/", "https://example.com"),
        ("https://example.com/ghost/stories", "https://example.com/ghost/stories"),
        ("https://example.com/ghostwriters/", "https://example.com/ghostwriters"),
        ("news.example.com", "https://news.example.com"),
    ],
)
def test_an_address_as_people_copy_it_is_that_of_the_site(given: str, meant: str) -> None:
    configured = load_configuration({"GHOST_URL": given, "GHOST_ADMIN_API_KEY": api.KEY}, [GHOST])
    (source,) = configured.sources
    assert source.account is not None, source.problem
    assert source.account.base_url == meant


@pytest.mark.parametrize("key", ["0f1e2d3c4b5a69788796a5b4c3", api.KEY.upper(), f"{api.KEY}0", NAME])
def test_a_key_of_another_form_is_told_and_never_sent(key: str) -> None:
    configured = load_configuration(
        {"GHOST_URL": "https://news.example.com", "GHOST_ADMIN_API_KEY": key}, [GHOST]
    )
    (source,) = configured.sources
    assert source.account is None
    assert "GHOST_ADMIN_API_KEY" in str(source.problem)
    assert key not in str(source.problem)


@pytest.mark.parametrize(
    ("page", "pages", "planned"), [(1, 3, ["2", "3"]), (3, 3, []), (1, 1, []), (9, 3, [])]
)
def test_the_end_is_the_last_page_and_not_the_missing_next_one(
    page: int, pages: int, planned: list[str]
) -> None:
    past_the_end = {"page": page, "limit": 100, "pages": pages, "total": 260, "next": page + 1}
    body = {"labels": [], "meta": {"pagination": past_the_end}}
    read = page_of(GHOST, body, FIRST_LABELS.with_params(page=str(page)))
    assert [each.params["page"] for each in read.plan] == planned
    assert all(each.params["order"] == "id asc" for each in read.plan)
    assert read.more is (page < pages)


def test_a_newsletter_counts_those_it_reaches_and_says_how_many_it_has() -> None:
    raw = {"id": "a" * 24, "name": "N", "status": "active", "count": {"members": 41, "active_members": 40}}
    letter = row(GHOST, raw, NEWSLETTERS)
    assert letter is not None
    assert (letter.size, letter.size_note) == (40, None)
    assert (letter.details or {})["members"] == 41


def test_an_archived_newsletter_keeps_its_size_and_says_so() -> None:
    letter = row(GHOST, {"id": "a" * 24, "status": "archived", "count": {"active_members": 4}}, NEWSLETTERS)
    assert letter is not None
    assert (letter.size, letter.size_note) == (4, "archived: nothing is sent to them")
    label = row(GHOST, {"id": "a" * 24, "status": "archived", "count": {"members": 4}}, LABELS)
    assert label is not None
    assert label.size_note is None


def test_a_count_that_was_not_sent_is_unknown_and_not_zero() -> None:
    label = row(GHOST, {"id": "a" * 24, "name": "L"}, LABELS)
    assert label is not None
    assert label.size is None


@pytest.mark.parametrize("ref", ["ghost:label-" + ROWS[0]["id"], "ghost:newsletter-" + ROWS[-3]["id"]])  # type: ignore[operator]
async def test_one_audience_costs_one_request_that_has_its_size(ref: str) -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (found,) = (await catalog.get_audience(GetQuery(audience=ref))).audiences
    assert found.size in (96, 18_204)
    assert len(there.asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (401, "UNKNOWN_ADMIN_API_KEY", "unauthorized", "GHOST_ADMIN_API_KEY"),
        (401, "INVALID_JWT", "unauthorized", "clock"),
        (400, "INVALID_JWT", "unauthorized", "GHOST_ADMIN_API_KEY"),
        (400, None, "invalid_request", ""),
        (403, None, "forbidden", "plan"),
        (406, "UPDATE_CLIENT", "not_found", "GHOST_URL"),
        (404, None, "not_found", "admin has an address of its own"),
    ],
)
def test_an_error_says_what_to_do(status: int, code: str | None, kind: str, says: str) -> None:
    found, text = error(GHOST, status, {"errors": [{"message": "…", "code": code}]})
    assert (found, says in text) == (kind, True)


@needs_documents
async def test_requests_and_answers_are_as_recorded_from_ghost() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        for kind, id in (("label", ROWS[0]["id"]), ("newsletter", ROWS[-1]["id"])):
            await catalog.get_audience(GetQuery(audience=f"ghost:{kind}-{id}"))
    checked = exchanged("ghost", there.asked, lambda asked: answer_as(api, asked, ROWS))
    below = "/ghost/api/admin"
    assert set(checked) == {
        f"{below}/labels/",
        f"{below}/newsletters/",
        f"{below}/labels/{ROWS[0]['id']}/",
        f"{below}/newsletters/{ROWS[-1]['id']}/",
    }

"""Tokens that settings are exchanged for: when, how often, and what is said where they are refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar
from urllib.parse import parse_qs

import anyio
import pytest

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.catalog.models import to_dict
from audience_mcp.catalog.query import ListQuery
from audience_mcp.config import Account, load_configuration
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import HIDDEN, Redactor
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.pager import Pager
from audience_mcp.testing import Answer, Asked, serve_api
from audience_mcp.vendors import Cursor, Exchange, Fields, Listing, Request, Setting, Vendor
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


EXCHANGE = Exchange(
    "{token_url}", {"grant_type": "made_up"}, roles=("client", "secret"), hint="Make {secret} again."
)


class Exchanging(Vendor):
    """A vendor whose settings are exchanged for a token, and whose list has three pages."""

    name = "acme"
    title = "Acme"
    key_page = "https://acme.example/keys"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("client", ("ACME_CLIENT",), "Client", required=True),
        Setting("secret", ("ACME_SECRET",), "Secret", required=True, secret=True),
        Setting(
            "token_url", ("ACME_TOKEN_URL",), "Where the token is made", default="https://acme.example/t"
        ),
        Setting("base_url", ("ACME_BASE_URL",), "Base URL", default="https://acme.example"),
    )
    auth = EXCHANGE
    listings = (
        Listing(
            "list",
            rows="rows",
            paging=Cursor("next", "after", absent_is_end=True),
            fields=Fields(),
            counts="members",
            ids="[0-9]+",
        ),
    )


@dataclass
class Api:
    """Both sides of the vendor: `exchanges` are the token requests it got, `asked` the others.

    answers: what the token endpoint answers in place of a token, one after the other. lives: the seconds
    that a token is said to live. valid: the token that is good now; each exchange makes another one.
    """

    lives: object = 3600
    answers: list[Answer] = field(default_factory=list)
    exchanges: list[Asked] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    valid: str = ""
    refuses: bool = False
    before: Callable[[Asked], None] = lambda asked: None

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            self.exchanges.append(asked)
            if self.answers:
                return self.answers.pop(0)
            self.valid = f"token-number-{len(self.exchanges)}"
            return Answer(200, {"access_token": self.valid, "expires_in": self.lives})
        self.before(asked)
        self.asked.append(asked)
        if self.refuses or asked.headers.get("authorization") != f"Bearer {self.valid}":
            return Answer(401, {"error": "expired"})
        (page,) = asked.query.get("after", ["0"])
        body: dict[str, object] = {"rows": [{"id": f"{page}{n}"} for n in range(3)]}
        if page != "2":
            body["next"] = str(int(page) + 1)
        return Answer(200, body)


@dataclass
class Opened:
    """A client of the vendor, its account, and the secrets that it was given."""

    client: VendorClient
    account: Account
    clock: FakeClock
    learnt: list[str]

    async def fetch(self) -> object:
        return await self.client.fetch(Request("list"))


class Learning(Redactor):
    """Tells of each secret that it learns."""

    def __init__(self, learnt: list[str]) -> None:
        super().__init__()
        self._learnt = learnt

    def add_passing(self, owner: str, secret: str) -> None:
        super().add_passing(owner, secret)
        self._learnt.append(secret)


@asynccontextmanager
async def opened(
    api: Callable[[Asked], Answer], vendor: Vendor | None = None, **variables: str
) -> AsyncIterator[Opened]:
    async with serve_api(api) as (origin, _):
        environment = {
            **variables,
            "ACME_CLIENT": "client-of-acme",
            "ACME_SECRET": "canary-secret",
            "ACME_BASE_URL": origin,
            "ACME_TOKEN_URL": f"{origin}/token",
        }
        (source,) = load_configuration(environment, [vendor or Exchanging()]).sources
        assert source.account is not None
        pool, clock, learnt = Pool(), FakeClock(), list[str]()
        try:
            client = VendorClient(source.account, pool, clock, Learning(learnt))
            with anyio.fail_after(30):
                yield Opened(client, source.account, clock, learnt)
        finally:
            await pool.aclose()


async def test_a_form_is_posted_and_the_token_goes_out_with_the_request() -> None:
    api = Api()
    async with opened(api) as there:
        await there.fetch()
    (exchange,) = api.exchanges
    assert exchange.method == "POST"
    assert exchange.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in exchange.headers
    fields = {"grant_type": ["made_up"], "client": ["client-of-acme"], "secret": ["canary-secret"]}
    assert parse_qs(exchange.body.decode()) == fields
    assert [asked.headers["authorization"] for asked in api.asked] == ["Bearer token-number-1"]


async def test_json_is_posted_where_the_vendor_wants_that() -> None:
    api, vendor = Api(), Exchanging()
    vars(vendor)["auth"] = replace(EXCHANGE, encoding="json")
    async with opened(api, vendor) as there:
        await there.fetch()
    (exchange,) = api.exchanges
    assert exchange.headers["content-type"] == "application/json"
    assert json.loads(exchange.body)["secret"] == "canary-secret"


@pytest.mark.parametrize("given", [{}, {"ACME_EXTRA": "extra-of-acme"}])
async def test_an_optional_setting_is_sent_where_it_is_set_and_otherwise_not_at_all(
    given: dict[str, str],
) -> None:
    class Extra(Exchanging):
        settings = (*Exchanging.settings, Setting("extra", ("ACME_EXTRA",), "Extra"))
        auth = replace(EXCHANGE, optional=("extra",))

    api = Api()
    async with opened(api, Extra(), **given) as there:
        await there.fetch()
    form = parse_qs(api.exchanges[0].body.decode())
    assert form.get("extra") == ([*given.values()] or None)
    assert form["client"] == ["client-of-acme"]


async def test_a_refresh_token_that_comes_with_an_access_token_is_neither_sent_nor_kept() -> None:
    api = Api()

    def answer(asked: Asked) -> Answer:
        found = api(asked)
        if asked.path != "/token":
            return found
        assert isinstance(found.body, dict)
        return Answer(200, {**found.body, "refresh_token": "canary-replacement"})

    async with opened(answer) as there:
        await there.fetch()
        there.clock.advance(3600)
        await there.fetch()
        assert "canary-replacement" not in repr(vars(there.client._credentials))
    assert len(api.exchanges) == 2
    assert all(b"canary-replacement" not in asked.body for asked in api.exchanges)


async def test_one_token_serves_request_after_request() -> None:
    api = Api()
    async with opened(api) as there:
        for _ in range(5):
            await there.fetch()
    assert (len(api.exchanges), len(api.asked)) == (1, 5)


async def test_one_exchange_serves_all_requests_that_begin_at_once() -> None:
    api = Api()
    async with opened(api) as there, anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(there.fetch)
    assert (len(api.exchanges), len(api.asked)) == (1, 10)


@pytest.mark.parametrize(
    ("lives", "good_for"),
    [(3600, 3540), ("3600", 3540), (30, 15), (None, 240), (0, 240), (-5, 240), ("x", 240)],
)
async def test_a_token_is_renewed_before_its_end_and_no_sooner(lives: object, good_for: float) -> None:
    api = Api(lives=lives)
    async with opened(api) as there:
        await there.fetch()
        there.clock.advance(good_for - 1)
        await there.fetch()
        assert len(api.exchanges) == 1
        there.clock.advance(1)
        await there.fetch()
        assert len(api.exchanges) == 2
    assert len(api.asked) == 3  # none of them was refused first


async def test_a_token_that_ends_in_mid_reading_is_renewed_and_nothing_is_read_twice() -> None:
    api = Api()

    def revoke(asked: Asked) -> None:
        if asked.query.get("after") == ["1"] and len(api.exchanges) == 1:
            api.valid = "revoked"

    api.before = revoke
    async with opened(api) as there:
        pager = Pager("acme", there.account.vendor, there.account.values, there.client.fetch)
        while not pager.done:
            await pager.next_page()
    assert sorted(pager.rows) == [f"{page}{n}" for page in range(3) for n in range(3)]
    assert pager.duplicates == 0
    assert [asked.query.get("after") for asked in api.asked] == [None, ["1"], ["1"], ["2"]]
    assert len(api.exchanges) == 2


async def test_a_fresh_token_that_is_refused_is_an_error_and_not_renewed_for_ever() -> None:
    api = Api(refuses=True)
    async with opened(api) as there:
        with pytest.raises(VendorError) as caught:
            await there.fetch()
    assert caught.value.kind == "unauthorized"
    assert (len(api.exchanges), len(api.asked)) == (2, 2)


async def test_requests_that_are_refused_together_share_one_new_token() -> None:
    api = Api()
    async with opened(api) as there:
        await there.fetch()
        api.valid = "revoked"
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(there.fetch)
    assert len(api.exchanges) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_exchange_names_what_was_sent_by_its_variables_and_what_to_do(status: int) -> None:
    api = Api(answers=[Answer(status, {"error": "invalid_grant", "error_description": "canary prose"})])
    async with opened(api) as there:
        with pytest.raises(VendorError) as caught:
            await there.fetch()
    assert caught.value.kind == "unauthorized"
    assert caught.value.message == (
        "acme: Acme refused the key: it gave no access token for ACME_CLIENT, ACME_SECRET. "
        "Make ACME_SECRET again. How to make a key: https://acme.example/keys"
    )
    assert api.asked == []


async def test_a_refusal_under_200_is_one_all_the_same() -> None:
    async with opened(Api(answers=[Answer(200, {"error": "invalid_grant"})])) as there:
        with pytest.raises(VendorError) as caught:
            await there.fetch()
    assert caught.value.kind == "unauthorized"
    assert "Make ACME_SECRET again" in caught.value.message


@pytest.mark.parametrize("status", [204, 301, 307, 404, 405, 410])
async def test_what_does_not_refuse_an_exchange_says_nothing_of_the_key(status: int) -> None:
    async with opened(Api(answers=[Answer(status, b"", {"Location": "/elsewhere"})])) as there:
        with pytest.raises(VendorError) as caught:
            await there.fetch()
    assert caught.value.kind != "unauthorized"
    assert f"{status}" in caught.value.message
    assert "refused the key" not in caught.value.message


async def test_a_refused_exchange_is_tried_again_by_the_next_request() -> None:
    api = Api(answers=[Answer(400, {"error": "invalid_grant"})])
    async with opened(api) as there:
        with pytest.raises(VendorError):
            await there.fetch()
        await there.fetch()
    assert len(api.asked) == 1


async def test_a_passing_fault_of_the_exchange_is_retried_as_any_other() -> None:
    api = Api(answers=[Answer(503, {}), Answer(503, {})])
    async with opened(api) as there:
        await there.fetch()
    assert len(api.exchanges) == 3


async def test_an_exchange_that_stays_away_is_unavailable_and_not_a_refused_key() -> None:
    api = Api(answers=[Answer(503, {})] * 9)
    async with opened(api) as there:
        with pytest.raises(VendorError) as caught:
            await there.fetch()
    assert caught.value.kind == "unavailable"
    assert api.asked == []


@pytest.mark.parametrize(
    "body",
    [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 7}, {"access_token": "\n"}, []],
)
async def test_an_exchange_that_brings_no_token_names_its_address(body: object) -> None:
    async with opened(Api(answers=[Answer(200, body)])) as there:
        with pytest.raises(VendorError) as caught:
            await there.fetch()
    assert caught.value.kind == "bad_response"
    assert "without a token. Check http://127.0.0.1:" in caught.value.message


async def test_every_token_that_is_given_out_is_told_to_those_who_hide_secrets() -> None:
    api = Api()
    async with opened(api) as there:
        await there.fetch()
        there.clock.advance(4000)
        await there.fetch()
    assert there.learnt == ["token-number-1", "token-number-2"]


async def test_a_token_that_was_given_out_is_in_no_answer_even_where_the_vendor_writes_it() -> None:
    api = Api()

    def answer(asked: Asked) -> Answer:
        answered = api(asked)
        if asked.path == "/token" or answered.status != 200:
            return answered
        return Answer(200, {"rows": [{"id": "1", "name": f"spent {api.valid} today"}]})

    class Named(Exchanging):
        """The same, with its rows' names."""

    redactor = Redactor([])
    async with serve_api(answer) as (origin, _):
        environment = {
            "ACME_CLIENT": "client-of-acme",
            "ACME_SECRET": "canary-secret",
            "ACME_BASE_URL": origin,
            "ACME_TOKEN_URL": f"{origin}/token",
        }
        configured = load_configuration(environment, [Named()])
        async with open_catalog(configured, redactor=redactor) as catalog:
            shown = to_dict(await catalog.list_audiences(ListQuery()))
    assert api.valid not in json.dumps(shown)
    assert shown["audiences"][0]["name"] == f"spent {HIDDEN} today"


# --- Settings that an exchange replaces ---------------------------------------------------------------


@dataclass
class Rotating(Api):
    """A vendor that takes each secret once: every exchange answers with the next one."""

    good: set[str] = field(default_factory=lambda: {"canary-secret"})

    def __call__(self, asked: Asked) -> Answer:
        if asked.path != "/token":
            return super().__call__(asked)
        (secret,) = parse_qs(asked.body.decode())["secret"]
        if secret not in self.good:
            self.exchanges.append(asked)
            return Answer(400, {"error": "invalid_grant"})
        super().__call__(asked)
        following = f"secret-number-{len(self.exchanges)}"
        self.good = {following}
        return Answer(200, {"access_token": self.valid, "expires_in": 3600, "next": {"secret": following}})

    @property
    def secrets(self) -> list[str]:
        """The secrets that were sent, in order."""
        return [parse_qs(each.body.decode())["secret"][0] for each in self.exchanges]


def rotating() -> Exchanging:
    vendor = Exchanging()
    vars(vendor)["auth"] = replace(EXCHANGE, renews={"secret": "next.secret"})
    return vendor


async def test_a_secret_that_an_exchange_replaces_is_exchanged_next_and_kept_out_of_answers() -> None:
    api = Rotating()
    async with opened(api, rotating()) as there:
        for _ in range(3):
            await there.fetch()
            there.clock.advance(4000)
        assert {"secret-number-1", "secret-number-2", "secret-number-3"} <= {*there.learnt}
        assert there.account.values["secret"] == "canary-secret"
    assert api.secrets == ["canary-secret", "secret-number-1", "secret-number-2"]


async def test_the_configured_secret_is_exchanged_again_where_the_one_that_replaced_it_is_refused() -> None:
    api = Rotating()
    async with opened(api, rotating()) as there:
        await there.fetch()
        api.good = {"canary-secret"}
        there.clock.advance(4000)
        await there.fetch()
    assert api.secrets == ["canary-secret", "secret-number-1", "canary-secret"]


async def test_where_both_are_refused_the_variable_of_the_configured_one_is_named() -> None:
    api = Rotating()
    async with opened(api, rotating()) as there:
        await there.fetch()
        api.good = set()
        there.clock.advance(4000)
        with pytest.raises(VendorError) as caught:
            await there.fetch()
    assert caught.value.kind == "unauthorized"
    assert "ACME_SECRET" in caught.value.message
    assert api.secrets == ["canary-secret", "secret-number-1", "canary-secret"]


async def test_without_a_vendor_that_says_so_nothing_is_replaced() -> None:
    api = Rotating()
    api.good = {"canary-secret", "secret-number-1"}
    async with opened(api) as there:
        await there.fetch()
        api.good = {"canary-secret"}
        there.clock.advance(4000)
        await there.fetch()
    assert api.secrets == ["canary-secret", "canary-secret"]

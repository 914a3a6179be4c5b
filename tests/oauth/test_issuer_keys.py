"""When an issuer is asked for its keys, and what stands while it cannot be."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import anyio
import pytest

from audience_mcp.server.issuer import FETCH_INTERVAL_S, FRESH_S, USABLE_S, IssuerKeys, IssuerUnavailable
from audience_mcp.sources.connections import Limits, Pool
from tests.support.clock import FakeClock
from tests.support.issuer import EC_KEY, RSA_KEY, Issuer, issuing, public_jwk

pytestmark = pytest.mark.anyio

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def keys(issuer: Issuer, clock: FakeClock) -> IssuerKeys:
    return IssuerKeys(issuer.url, clock)


async def found(keys: IssuerKeys, kid: str) -> bool:
    with anyio.fail_after(30):
        return bool(await keys.find(kid))


async def test_nothing_is_asked_before_a_key_is_needed_and_then_once_for_all(
    issuer: Issuer, keys: IssuerKeys
) -> None:
    assert issuer.asked == []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for kid in ("rsa", "ec", "ed") * 10:
                group.start_soon(keys.find, kid)
    assert issuer.asked == [DISCOVERY, "/keys"]


async def test_keys_are_fetched_again_when_they_are_no_longer_fresh(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    assert await found(keys, "rsa")
    clock.advance(FRESH_S - 1)
    assert await found(keys, "rsa")
    assert issuer.asked.count("/keys") == 1
    issuer.keys = [public_jwk(EC_KEY, kid="ec")]
    clock.advance(1)
    assert await found(keys, "rsa")  # the keys at hand serve while they are fetched again
    with anyio.fail_after(30):
        while await found(keys, "rsa"):  # noqa: ASYNC110 (until the fetch has ended)
            await anyio.sleep(0.01)
    assert issuer.asked.count("/keys") == 2
    assert await found(keys, "ec")


async def test_an_issuer_that_hangs_holds_up_nobody_while_its_keys_are_at_hand(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await found(keys, "rsa")
    never = threading.Event()
    monkeypatch.setattr(issuer, "document", lambda _: never.wait(20))
    try:
        for _ in range(5):
            clock.advance(FRESH_S)
            with anyio.fail_after(10):
                assert await keys.find("rsa")
    finally:
        never.set()
        await keys.aclose()


async def test_keys_of_one_id_and_keys_without_one_are_all_tried(issuer: Issuer, keys: IssuerKeys) -> None:
    issuer.keys = [
        public_jwk(RSA_KEY, kid="one"),
        public_jwk(EC_KEY, kid="one"),
        {name: value for name, value in public_jwk(EC_KEY, kid="x").items() if name != "kid"},
        {**public_jwk(RSA_KEY, kid="odd"), "n": None},
    ]
    assert [key["kty"] for key in await keys.find("one")] == ["RSA", "EC"]
    assert [key["kty"] for key in await keys.find("another")] == ["EC"]
    assert [key["kty"] for key in await keys.find(None)] == ["EC"]


async def test_a_key_that_the_issuer_has_just_begun_to_use_is_found_once_a_fetch_is_due(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    assert await found(keys, "rsa")
    issuer.keys.append(public_jwk(RSA_KEY, kid="new"))
    assert not await found(keys, "new")
    clock.advance(FETCH_INTERVAL_S)
    assert await found(keys, "new")
    assert issuer.asked == [DISCOVERY, "/keys", "/keys"]


async def test_unknown_key_ids_ask_twice_a_minute_at_most(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    for n in range(600):
        assert not await found(keys, f"unknown-{n}")
        clock.advance(1)
    assert issuer.asked.count("/keys") == 20


async def test_an_issuer_that_is_down_is_asked_twice_a_minute_at_most_and_then_serves_again(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.status = 500
    for second in range(60):
        with pytest.raises(IssuerUnavailable) as unavailable:
            await keys.find("rsa")
        assert unavailable.value.retry_after_s == FETCH_INTERVAL_S - second % FETCH_INTERVAL_S
        clock.advance(1)
    assert issuer.asked == [DISCOVERY, DISCOVERY]
    issuer.status = 200
    assert await found(keys, "rsa")
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "returned HTTP 500" in caplog.messages[0]
    assert "available again" in caplog.messages[1]


async def test_keys_at_hand_outlive_an_issuer_that_is_down_but_not_for_ever(
    issuer: Issuer, keys: IssuerKeys, clock: FakeClock
) -> None:
    assert await found(keys, "rsa")
    issuer.status = 500
    clock.advance(FRESH_S)
    assert await found(keys, "rsa")
    with pytest.raises(IssuerUnavailable):  # it may be one that the issuer has just begun to use
        await keys.find("new")
    clock.advance(USABLE_S)
    with pytest.raises(IssuerUnavailable):
        await keys.find("rsa")


async def test_a_redirect_is_not_followed(issuer: Issuer, keys: IssuerKeys) -> None:
    with issuing() as elsewhere:
        elsewhere.named = issuer.url
        issuer.moved = elsewhere.url
        with pytest.raises(IssuerUnavailable):
            await keys.find("rsa")
        assert elsewhere.asked == []


async def test_metadata_of_plain_oauth_serves_where_there_is_no_openid_discovery(issuer: Issuer) -> None:
    issuer.metadata_path = "/.well-known/oauth-authorization-server/realms/x"
    issuer.named = f"{issuer.url}/realms/x"
    keys = IssuerKeys(issuer.named)
    assert await found(keys, "rsa")
    await keys.aclose()


@pytest.mark.parametrize("named", ["https://login.other.example", "SLASH", None])
async def test_metadata_that_names_another_issuer_is_refused_and_the_setting_named(
    issuer: Issuer, keys: IssuerKeys, named: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.named = f"{issuer.url}/" if named == "SLASH" else named  # type: ignore[assignment]
    with pytest.raises(IssuerUnavailable):
        await keys.find("rsa")
    assert "set AUDIENCE_MCP_OAUTH_ISSUER to exactly that" in caplog.text


async def test_only_public_keys_for_the_accepted_signatures_count(
    issuer: Issuer, keys: IssuerKeys, caplog: pytest.LogCaptureFixture
) -> None:
    rsa = public_jwk(RSA_KEY, kid="rsa")
    issuer.keys = [
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "oct", "alg": "HS256"},
        {**rsa, "use": "enc", "kid": "enc"},
        {**rsa, "alg": "RS512", "kid": "rs512"},
        {**rsa, "alg": ["RS256"], "kid": "list"},
        {**rsa, "kid": 7},
        {**rsa, "n": "!", "kid": "broken"},
        "no object",  # type: ignore[list-item]
    ]
    with pytest.raises(IssuerUnavailable):
        await keys.find("oct")
    assert "holds no key for RS256" in caplog.text


@pytest.mark.parametrize("kind", ["keys from plain HTTP elsewhere", "no object", "too long"])
async def test_documents_that_cannot_be_trusted_are_not_used(
    issuer: Issuer, keys: IssuerKeys, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = {
        "keys from plain HTTP elsewhere": {"issuer": issuer.url, "jwks_uri": "http://192.0.2.1/keys"},
        "no object": ["issuer", issuer.url],
        "too long": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys", "more": "x" * 600_000},
    }
    monkeypatch.setattr(issuer, "document", lambda _: documents[kind])
    with anyio.fail_after(30), pytest.raises(IssuerUnavailable):
        await keys.find("rsa")
    assert "/keys" not in issuer.asked


async def test_an_issuer_that_is_silent_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        keys = IssuerKeys(url, pool=Pool(Limits(connect_s=0.2, read_s=0.2)))
        with anyio.fail_after(30), pytest.raises(IssuerUnavailable):
            await keys.find("rsa")
        await keys.aclose()
    assert "did not answer in time" in caplog.text

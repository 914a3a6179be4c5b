"""APIs that have two addresses: where keys go, where they do not, and which variable a failure names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from audience_mcp.config import Account, load_configuration
from audience_mcp.core.errors import PagingStopped, VendorError
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Pool
from audience_mcp.testing import Answer, Asked, serve_api
from audience_mcp.vendors import (
    Fields,
    Listing,
    Request,
    Setting,
    Vendor,
    api_key,
    base_url,
    further_url,
)
from tests.support.clock import FakeClock

pytestmark = pytest.mark.anyio


class TwoAddresses(Vendor):
    """A vendor with one address of its own beside the base URL, and one that is not its own."""

    name = "acme"
    title = "Acme"
    settings = (
        api_key("ACME_KEY"),
        further_url("data_url", "ACME_DATA_URL", "https://data.acme.example/v1", "Where sizes are"),
        Setting("token_url", ("ACME_TOKEN_URL",), "Where tokens are made", default="https://id.acme.example"),
        base_url("ACME_BASE_URL", "https://acme.example/v1"),
    )
    listings = (Listing("list", rows="rows", fields=Fields(), counts="members", ids="[0-9]+"),)


def configured(**variables: str) -> Account:
    (source,) = load_configuration({"ACME_KEY": "canary-key", **variables}, [TwoAddresses()]).sources
    assert source.account is not None, source.problem
    return source.account


@asynccontextmanager
async def opened(account: Account) -> AsyncIterator[VendorClient]:
    pool = Pool()
    try:
        with anyio.fail_after(30):
            yield VendorClient(account, pool, FakeClock())
    finally:
        await pool.aclose()


async def test_the_key_goes_to_both_addresses_of_the_vendor_and_to_no_third_one() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(200, {"auth": asked.headers.get("authorization")})

    async with (
        serve_api(answer) as (base, at_base),
        serve_api(answer) as (data, at_data),
        serve_api(answer) as (other, at_other),
    ):
        account = configured(ACME_BASE_URL=f"{base}/v1", ACME_DATA_URL=f"{data}/v1", ACME_TOKEN_URL=other)
        async with opened(account) as client:
            await client.fetch(Request("list"))
            await client.fetch(Request(f"{account.values['data_url']}/sizes", method="POST", json={}))
            for elsewhere in (other, f"{data}0", data.replace("127.0.0.1", "localhost"), "https://x.example"):
                with pytest.raises(PagingStopped, match="another host"):
                    await client.fetch(Request(f"{elsewhere}/sizes"))
    assert [each.path for each in at_base] == ["/v1/list"]
    assert [(each.path, each.headers["authorization"]) for each in at_data] == [
        ("/v1/sizes", "Bearer canary-key")
    ]
    assert not at_other


@pytest.mark.parametrize(
    ("path", "variable", "host"),
    [
        ("list", "ACME_BASE_URL", "127.0.0.1"),
        ("{data_url}/sizes", "ACME_DATA_URL", "localhost"),
    ],
)
@pytest.mark.parametrize("failure", [Answer(404, {}), Answer(200, "<html>"), Answer(302, {}), None])
async def test_a_failure_names_the_host_that_failed_and_its_variable(
    path: str, variable: str, host: str, failure: Answer | None
) -> None:
    async with serve_api(lambda asked: failure or Answer(200, {})) as (origin, _):
        port = origin.rpartition(":")[2] if failure else "1"
        addresses = {"ACME_BASE_URL": f"http://127.0.0.1:{port}", "ACME_DATA_URL": f"http://localhost:{port}"}
        account = configured(**addresses)
        async with opened(account) as client:
            with pytest.raises(VendorError) as caught:
                await client.fetch(Request(path.format_map(account.values)))
    said = caught.value.message
    assert said.startswith(f"acme: Acme ({host}) ")
    assert variable in said
    assert not [v for v in ("ACME_BASE_URL", "ACME_DATA_URL") if v != variable and v in said]


@pytest.mark.parametrize(
    "value",
    ["http://data.acme.example", "ftp://data.acme.example", "https://u:p@data.acme.example", "https://"],
)
def test_an_address_is_https_or_this_computer_as_the_base_url_is(value: str) -> None:
    (source,) = load_configuration(
        {"ACME_KEY": "canary-key", "ACME_DATA_URL": value}, [TwoAddresses()]
    ).sources
    assert source.problem is not None
    assert "ACME_DATA_URL" in source.problem.message


def test_one_without_a_scheme_is_https_and_one_that_is_not_set_is_the_vendors() -> None:
    assert configured(ACME_DATA_URL="data.acme.example").values["data_url"] == "https://data.acme.example"
    assert configured().values["data_url"] == "https://data.acme.example/v1"


def test_a_host_that_exchanges_tokens_is_an_address_and_not_the_vendors_own() -> None:
    account: Any = configured()
    assert account.addresses(own=True).keys() == {"data_url", "base_url"}
    assert account.addresses(own=False).keys() == {"data_url", "token_url", "base_url"}

"""A real Vendure from npm, a shop's GraphQL server, with groups of customers; and the vendor that reads them.

Nobody asked for Vendure: it stands here for GraphQL as somebody else's server speaks it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audience_mcp.vendors import (
    Fields,
    Listing,
    Offset,
    One,
    Response,
    Vendor,
    api_key,
    base_url,
    value_at,
)
from tests.real.servers import QUIET_NPM, Failed, RealServer, installed, name_of, run_step

VENDURE, SQLJS = "3.7.3", "1.13.0"
BEFORE = "2026-11-27T00:00:00Z"
"""What it needs is taken as it was then."""
RECIPE = 1
CUSTOMERS = 12
SERVER = """
const {bootstrap} = require('@vendure/core');
bootstrap({
  apiOptions: {port: +process.env.PORT, hostname: '127.0.0.1', adminApiPath: 'admin-api'},
  authOptions: {
    tokenMethod: ['bearer'],
    superadminCredentials: {identifier: 'superadmin', password: 'superadmin-77'},
    cookieOptions: {secret: 'x'.repeat(32)},
  },
  dbConnectionOptions: {type: 'sqljs', synchronize: true, autoSave: false, logging: false},
  paymentOptions: {paymentMethodHandlers: []},
  customFields: {},
  plugins: [],
}).catch(e => { console.error(e); process.exit(1); });
"""
LOGIN = 'mutation { login(username: "superadmin", password: "superadmin-77") { __typename } }'
MAKE_CUSTOMER = (
    "mutation($made: CreateCustomerInput!) { createCustomer(input: $made) { ... on Customer { id } } }"
)
MAKE_GROUP = "mutation($made: CreateCustomerGroupInput!) { createCustomerGroup(input: $made) { id } }"


def install(folder: Path) -> None:
    """Vendure, and a database that is kept in memory."""
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    (folder / "server.js").write_text(SERVER, encoding="utf-8")
    wanted = (f"@vendure/core@{VENDURE}", f"sql.js@{SQLJS}")
    options = ("--ignore-scripts", f"--before={BEFORE}", "--cache", folder / "npm")
    run_step("installing Vendure", "npm", "install", *options, *wanted, cwd=folder, environment=QUIET_NPM)
    run_step("tidying up", "rm", "-rf", folder / "npm")


class VendureServer(RealServer):
    """Groups of 0 to 12 customers. token: the administrator's."""

    title = "Vendure"
    token = ""

    def install(self) -> Path:
        self._installed = installed(f"vendure-{VENDURE}-r{RECIPE}", 600, install)
        return self._installed

    def command(self, port: int, home: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        settings = {"PORT": str(port), "NODE_ENV": "production", "VENDURE_DISABLE_TELEMETRY": "true"}
        return ["node", self._installed / "server.js"], settings

    def is_ready(self) -> bool:
        return self.ask("POST", "/admin-api", {"query": "{ __typename }"}).status == 200

    def environment(self) -> dict[str, str]:
        return {"VENDURE_API_TOKEN": self.token, "VENDURE_BASE_URL": self.origin}

    def query(self, query: str, **variables: object) -> Any:
        """The data that answers a query. Raises Failed."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        said = self.ask("POST", "/admin-api", {"query": query, "variables": variables}, headers)
        if said.status != 200 or "errors" in said.body:
            raise Failed(f"{query[:60]} answered {said.status}: {str(said.body)[:300]}")
        self.token = said.headers.get("vendure-auth-token", self.token)
        return said.body["data"]

    def fill(self) -> None:
        self.query(LOGIN)
        people = []
        for number in range(CUSTOMERS if self.audiences else 0):
            person = {"firstName": "F", "lastName": "L", "emailAddress": f"c{number}@example.com"}
            people.append(self.query(MAKE_CUSTOMER, made=person)["createCustomer"]["id"])
        for number in range(self.audiences):
            name, size = name_of(number), number % (CUSTOMERS + 1)
            self.query(MAKE_GROUP, made={"name": name, "customerIds": people[:size]})
            self.truth[name] = size


GROUP = "id name createdAt updatedAt customers(options: { take: 1 }) { totalItems }"
LIST = (
    "query Groups($options: CustomerGroupListOptions) { customerGroups(options: $options) "
    f"{{ totalItems items {{ {GROUP} }} }} }}"
)
ONE = f"query Group($id: ID!) {{ customerGroup(id: $id) {{ {GROUP} }} }}"
CODES = {"FORBIDDEN": 401, "USER_INPUT_ERROR": 400}


class Vendure(Vendor):
    """`POST /admin-api`: `customerGroups`, a hundred at a time by offset, with the customers of each."""

    name = "vendure"
    title = "Vendure"
    kind = "customer group"
    settings = (
        api_key("VENDURE_API_TOKEN", description="Token of an administrator"),
        base_url("VENDURE_BASE_URL", "https://shop.example.com"),
    )
    listings = (
        Listing(
            "admin-api",
            counts="customers in the group",
            ids="[0-9]{1,20}",
            method="POST",
            json={"query": LIST, "variables": {"options": {"take": 100, "sort": {"id": "ASC"}}}},
            rows="data.customerGroups.items",
            total="data.customerGroups.totalItems",
            paging=Offset("variables.options.skip", in_body=True),
            fields=Fields("customers.totalItems", created="createdAt", updated="updatedAt"),
            one=One(
                "admin-api",
                method="POST",
                json={"query": ONE, "variables": {"id": "{id}"}},
                at="data.customerGroup",
            ),
        ),
    )
    error_hints = {"unauthorized": "Check {api_key}."}

    def status(self, response: Response) -> int:
        """Failures come under 200, as `errors`."""
        errors = value_at(response.body, "errors")
        if response.status != 200:
            return response.status
        if errors:
            return CODES.get(str(value_at(errors, "0.extensions.code")), 500)
        alone = response.request.purpose == "one"
        return 404 if alone and value_at(response.body, "data.customerGroup") is None else 200

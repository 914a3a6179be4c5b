"""What is sent and what the sandbox answers, held against the vendors' own OpenAPI documents.

The documents are not part of this repository: they are looked for beside it, in `../shared/specs`.
They are taken as they are, save for these places where a document contradicts itself or is no OpenAPI:

CommBox
  - `data` is a `oneOf` of two shapes that differ by an optional `user_count`, so every row satisfies both
    and none is valid. Patched: the first requires it, the second must not have it.
  - `created_time` has the format "ISO 8601", which no validator knows. Patched to `date-time`.
  - `status` is a string whose example is the integer 200. Not patched: the sandbox sends text, as the
    schema says, and a test here shows that the adapter reads both.
  - No security is declared; its page says bearer. Checked here by hand.
Batch
  - `info.version` is 2.9 while the server's default is 2.11. Nothing to patch: the server counts.
  - The route for one audience (`/audiences/view`) is on another page and not in this document.
Smallest.ai
  - The bearer scheme is declared and never referenced; `Authorization` is a plain parameter, which OpenAPI
    says is ignored. Patched: the operation references the scheme.
  - The route for one audience (`/audience/{id}`) is not in this document, nor are 400 and 404.
Whop
  - The server is `https://{defaultHost}` with a "host" that contains a path, which never matches. Patched
    to the URL that it makes.
  - Only 200 and 401 are declared. Dates are numbers here and text in newer API versions.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.paths.exceptions import PathNotFound
from openapi_core.templating.responses.exceptions import ResponseNotFound
from openapi_core.testing import MockRequest, MockResponse

from audience_mcp.catalog.catalog import open_catalog
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import ToolError
from audience_mcp.sandbox import Asked
from audience_mcp.sandbox.app import serve
from audience_mcp.vendors import Request
from audience_mcp.vendors.registry import built_in_vendors
from tests.contract.cases import CASES
from tests.support.served import Recording
from tests.vendors.bodies import answered as as_answered

DOCUMENTS = Path(__file__).resolve().parents[3] / "shared" / "specs"
FILES = {
    "commbox": "commbox.json",
    "batch": "batch.json",
    "smallest": "smallest.yaml",
    "whop": "whop.yaml",
}
VENDORS = dict(built_in_vendors())
UNDOCUMENTED = {"batch": ("audiences/view", "segments/list"), "smallest": ("audience/",)}
"""How the routes begin that are on other pages than these documents."""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not DOCUMENTS.is_dir(), reason="the vendors' OpenAPI documents are not there (../shared/specs)"
    ),
]


def loaded(vendor: str) -> dict[str, Any]:
    """A vendor's document as it is."""
    return dict(yaml.safe_load((DOCUMENTS / FILES[vendor]).read_text(encoding="utf-8")))


def mended(vendor: str) -> dict[str, Any]:
    """A vendor's document with the patches that the text above explains, and no other."""
    document = copy.deepcopy(loaded(vendor))
    if vendor == "commbox":
        static, dynamic = commbox_rows(document)["oneOf"]
        static["required"] = ["user_count"]
        dynamic["not"] = {"required": ["user_count"]}
        for row in (static, dynamic):
            row["properties"]["created_time"]["format"] = "date-time"
    if vendor == "smallest":
        document["paths"]["/audience"]["get"]["security"] = [{"BearerAuth": []}]
    if vendor == "whop":
        document["servers"] = [{"url": "https://api.whop.com/api/v1"}]
    return document


def commbox_rows(document: dict[str, Any]) -> Any:
    answer = document["paths"]["/audiences"]["get"]["responses"]["200"]["content"]["application/json"]
    return answer["schema"]["properties"]["data"]["items"]


def operation(vendor: str) -> Any:
    """The one operation of a document."""
    ((path,),) = [loaded(vendor)["paths"].values()]
    return path["get"]


def documented_parameters(vendor: str) -> set[str]:
    document = loaded(vendor)
    parameters = [
        document["components"]["parameters"][p["$ref"].rpartition("/")[2]] if "$ref" in p else p
        for p in operation(vendor).get("parameters", [])
    ]
    return {p["name"] for p in parameters if p["in"] == "query"}


def as_asked(vendor: str, asked: Asked, below: str) -> MockRequest:
    """A recorded request as it would go to the vendor: below its default base URL, not the sandbox's."""
    base = urlsplit(next(s.default or "" for s in VENDORS[vendor].settings if s.role == "base_url"))
    return MockRequest(
        f"{base.scheme}://{base.netloc}",
        asked.method,
        f"{base.path}/{below}",
        args=dict(asked.query),
        headers=dict(asked.headers),
        data=asked.body,
        content_type=asked.headers.get("content-type", ""),
    )


def first_request(vendor: str, *, without: Sequence[str] = (), **query: str) -> MockRequest:
    """The request for the first page, changed."""
    kind = VENDORS[vendor]
    values: dict[str, str] = dict.fromkeys(("api_key", "project", "account_id"), "x")
    first = kind.auth_for(values).authorize(kind.listings[0].request(values), values, 0)
    first = first.with_headers(kind.headers_for(values))
    headers = {k.lower(): v for k, v in first.headers.items() if k.lower() not in without}
    parameters = {k: [v] for k, v in {**first.params, **query}.items() if k not in without}
    return as_asked(vendor, Asked("GET", first.path, parameters, headers), first.path)


def answered(status: int, body: object) -> MockResponse:
    return MockResponse(json.dumps(body).encode(), status)


@dataclass(frozen=True)
class Exchange:
    """One request of ours and the answer to it, both as they were on the wire."""

    vendor: str
    below: str
    asked: Asked
    response: httpx.Response

    @property
    def request(self) -> MockRequest:
        return as_asked(self.vendor, self.asked, self.below)

    @property
    def answer(self) -> MockResponse:
        return MockResponse(
            self.response.content,
            self.response.status_code,
            dict(self.response.headers),
            self.response.headers["content-type"],
        )

    @property
    def documented(self) -> bool:
        return not self.below.startswith(UNDOCUMENTED.get(self.vendor, ()))

    @property
    def route(self) -> str:
        others = UNDOCUMENTED.get(self.vendor, ())
        return next((each for each in others if self.below.startswith(each)), self.below)


@asynccontextmanager
async def exchanges(
    data: Mapping[str, Sequence[object]] | None = None, **variables: str
) -> AsyncIterator[list[Exchange]]:
    """Everything that is asked when lists are read and single audiences looked up, with the answers.

    The requests are those of the adapters; each is sent once more to have the bytes of its answer.
    """
    sandbox = Recording(data)
    async with serve(sandbox) as origin:
        environment = sandbox.environment(origin)
        async with open_catalog(
            load_configuration({**environment, **variables}, VENDORS.values())
        ) as catalog:
            for vendor, case in CASES.items():
                for ask in (
                    catalog.list_audiences(ListQuery(sources=[vendor], limit=0)),
                    catalog.get_audience(GetQuery(audience=f"{vendor}:{case.sample[case.id]}")),
                    catalog.get_audience(GetQuery(audience=f"{vendor}:{case.unknown_id}")),
                ):
                    with suppress(ToolError):  # what was asked is recorded, whether or not it was found
                        await ask
        recorded = list(sandbox.asked)
        async with httpx.AsyncClient(trust_env=False, verify=False) as again:
            found = []
            for asked in recorded:
                vendor = asked.path.split("/")[1]
                base = urlsplit(environment[f"{vendor.upper()}_BASE_URL"]).path
                headers = {k: v for k, v in asked.headers.items() if k != "host"}
                url, params = f"{origin}{asked.path}", {k: list(v) for k, v in asked.query.items()}
                response = await again.request(asked.method, url, params=params, headers=headers)
                found.append(Exchange(vendor, asked.path.removeprefix(f"{base}/"), asked, response))
        yield found


@pytest.fixture(scope="module")
def documents() -> dict[str, OpenAPI]:
    """The mended documents, each itself valid OpenAPI."""
    return {vendor: OpenAPI.from_dict(mended(vendor)) for vendor in FILES}


async def test_every_kind_of_request_is_sent_and_looked_at() -> None:
    async with exchanges() as all_of_them:
        kinds = {(e.vendor, e.route, tuple(sorted(e.asked.query))) for e in all_of_them}
    assert kinds == {
        ("commbox", "audiences", ()),
        ("batch", "audiences/list", ("limit",)),
        ("batch", "audiences/list", ("from", "limit")),
        ("batch", "audiences/view", ("name",)),
        ("batch", "segments/list", ("limit",)),
        ("smallest", "audience", ()),
        ("smallest", "audience/", ()),
        ("whop", "audiences", ("account_id", "first")),
        ("whop", "audiences", ("account_id", "after", "first")),
        ("whop", "audiences", ("account_id", "audience_id")),
    }


@pytest.mark.slow
async def test_every_request_is_as_documented(documents: dict[str, Any]) -> None:
    async with exchanges() as all_of_them:
        for exchange in (e for e in all_of_them if e.documented):
            documents[exchange.vendor].validate_request(exchange.request)
            assert exchange.asked.query.keys() <= documented_parameters(exchange.vendor)
            assert exchange.asked.headers["authorization"].startswith("Bearer ")  # CommBox declares none
            assert exchange.asked.body == b""


async def test_every_answer_of_the_sandbox_is_as_documented(documents: dict[str, Any]) -> None:
    async with exchanges() as all_of_them:
        for exchange in (e for e in all_of_them if e.documented):
            assert exchange.response.status_code == 200
            documents[exchange.vendor].validate_response(exchange.request, exchange.answer)


async def test_the_answers_of_empty_accounts_are_as_documented(documents: dict[str, Any]) -> None:
    async with exchanges({vendor: [] for vendor in FILES}) as all_of_them:
        for exchange in (e for e in all_of_them if e.documented):
            documents[exchange.vendor].validate_response(exchange.request, exchange.answer)


@pytest.mark.slow
async def test_refusals_of_keys_are_as_documented(documents: dict[str, Any]) -> None:
    wrong = dict.fromkeys(
        ("COMMBOX_API_KEY", "BATCH_REST_API_KEY", "SMALLEST_API_KEY", "WHOP_API_KEY"), "wrong-key"
    )
    async with exchanges(None, **wrong) as all_of_them:
        assert {e.vendor for e in all_of_them if e.documented} == FILES.keys()
        for exchange in (e for e in all_of_them if e.documented):
            assert exchange.response.status_code == 401
            documents[exchange.vendor].validate_response(exchange.request, exchange.answer)


@pytest.mark.slow
async def test_a_refusal_of_batchs_project_is_as_documented(documents: dict[str, Any]) -> None:
    async with exchanges(BATCH_PROJECT_KEY="project_other") as all_of_them:
        refused = [e for e in all_of_them if e.vendor == "batch" and e.documented]
        assert {e.response.status_code for e in refused} == {401}
        for exchange in refused:
            documents["batch"].validate_response(exchange.request, exchange.answer)


@pytest.mark.parametrize(
    ("vendor", "below", "query", "status"),
    [
        ("commbox", "audiences", {"page": "2"}, 400),
        ("commbox", "audiences/31112", {}, 404),
        ("batch", "audiences/list", {"limit": "101"}, 400),
        ("batch", "audiences/list", {"limit": "100", "from": "made-up"}, 400),
    ],
)
async def test_other_refusals_have_the_documented_shape(
    documents: dict[str, Any], vendor: str, below: str, query: dict[str, Any], status: int
) -> None:
    response = await refusal(vendor, below, query)
    assert response.status_code == status
    documents[vendor].validate_response(
        first_request(vendor), MockResponse(response.content, status, content_type="application/json")
    )


@pytest.mark.parametrize(
    ("vendor", "below", "query", "status"),
    [
        ("smallest", "audience/ffffffffffffffffffffffff", {}, 404),
        ("smallest", "audience/VIP", {}, 400),
        ("whop", "audiences", {}, 400),
        ("whop", "audiences", {"account_id": "biz_other"}, 403),
        ("whop", "audiences/adaud_1", {"account_id": "biz_other"}, 404),
    ],
)
async def test_refusals_that_are_not_documented_have_the_shape_of_the_401(
    documents: dict[str, Any], vendor: str, below: str, query: dict[str, Any], status: int
) -> None:
    response = await refusal(vendor, below, query)
    assert response.status_code == status
    with pytest.raises(ResponseNotFound):
        documents[vendor].validate_response(first_request(vendor), answered(status, {}))
    documents[vendor].validate_response(
        first_request(vendor), MockResponse(response.content, 401, content_type="application/json")
    )


async def refusal(vendor: str, below: str, query: Mapping[str, str]) -> httpx.Response:
    sandbox = Recording()
    async with serve(sandbox) as origin, httpx.AsyncClient(trust_env=False, verify=False) as http:
        environment = sandbox.environment(origin)
        (source,) = load_configuration(
            {k: v for k, v in environment.items() if k.startswith(vendor.upper())}, [VENDORS[vendor]]
        ).sources
        assert source.account is not None
        values = source.account.values
        headers = dict(source.vendor.auth_for(values).authorize(Request(below), values, 0).headers)
        headers |= source.vendor.headers_for(values)
        return await http.get(f"{source.account.base_url}/{below}", params=query, headers=headers)


async def test_the_routes_for_one_audience_and_for_segments_are_on_other_pages(
    documents: dict[str, Any],
) -> None:
    async with exchanges() as all_of_them:
        others = [e for e in all_of_them if not e.documented]
    assert {e.vendor for e in others} == UNDOCUMENTED.keys()
    for exchange in others:
        with pytest.raises(PathNotFound):
            documents[exchange.vendor].validate_request(exchange.request)


@pytest.mark.parametrize("vendor", FILES)
def test_the_default_base_url_is_the_documented_server(vendor: str) -> None:
    (server,) = loaded(vendor)["servers"]
    variables = {name: v["default"] for name, v in server.get("variables", {}).items()}
    default = next(s.default for s in VENDORS[vendor].settings if s.role == "base_url")
    assert server["url"].format(**variables).rstrip("/") == default


@pytest.mark.parametrize("vendor", FILES)
def test_the_largest_page_is_the_documented_maximum(vendor: str) -> None:
    case = CASES[vendor]
    pages = {p for p in documented_parameters(vendor) if p in ("limit", "first", "page_size")}
    assert pages == ({case.largest_page[0]} if case.largest_page else set())
    for parameter in operation(vendor).get("parameters", []):
        if parameter.get("name") in pages:
            said = parameter["schema"].get("maximum") or parameter["description"]
            assert case.largest_page is not None
            assert case.largest_page[1] in str(said)


# What follows shows that the validation above would notice, and that each patch is needed.


def test_the_first_request_is_valid_unchanged(documents: dict[str, Any]) -> None:
    for vendor in FILES:
        documents[vendor].validate_request(first_request(vendor))


@pytest.mark.parametrize(
    ("vendor", "without", "query"),
    [
        ("batch", ["authorization"], {}),
        ("batch", ["x-batch-project"], {}),
        ("batch", [], {"limit": "101"}),
        ("batch", [], {"limit": "all"}),
        ("smallest", ["authorization"], {}),
        ("whop", ["authorization"], {}),
        ("whop", ["account_id"], {}),
        ("whop", [], {"first": "all"}),
    ],
)
def test_a_wrong_request_would_be_noticed(
    documents: dict[str, Any], vendor: str, without: list[Any], query: dict[str, Any]
) -> None:
    with pytest.raises(OpenAPIError):
        documents[vendor].validate_request(first_request(vendor, without=without, **query))


@pytest.mark.parametrize(
    ("vendor", "change"),
    [
        ("commbox", {"user_count": "8204"}),
        ("commbox", {"id": 31112}),
        ("commbox", {"created_time": "soon"}),
        ("batch", {"indexing_state": "DONE"}),
        ("batch", {"nb_ids": "5"}),
        ("smallest", {"memberCount": "5"}),
        ("smallest", {"createdAt": "soon"}),
        ("whop", {"name": None}),
        ("whop", {"created_at": "2025-12-01T00:00:00.000Z"}),  # as newer API versions write it
        ("whop", {"platform_audience_ids": None}),
    ],
)
def test_a_wrong_row_would_be_noticed(documents: dict[str, Any], vendor: str, change: dict[str, Any]) -> None:
    documents[vendor].validate_response(first_request(vendor), answered(200, envelope(vendor, {})))
    with pytest.raises(OpenAPIError):
        documents[vendor].validate_response(first_request(vendor), answered(200, envelope(vendor, change)))


def envelope(vendor: str, change: Mapping[str, object]) -> Any:
    """A good answer with one row, changed."""
    row = {**CASES[vendor].sample, **change}
    ends = {"end_cursor": None, "start_cursor": None, "has_next_page": False, "has_previous_page": False}
    return {
        "commbox": {"status": "200", "data": [row]},
        "batch": {"audiences": [row], "has_more": False},
        "smallest": {"status": True, "data": [row]},
        "whop": {"data": [row], "page_info": ends},
    }[vendor]


def test_commboxs_own_examples_satisfy_both_of_its_shapes() -> None:
    shapes = commbox_rows(loaded("commbox"))["oneOf"]
    request = first_request("commbox")
    for shape in shapes:
        row = {key: of["example"] for key, of in shape["properties"].items()}
        answer = answered(200, {"status": "200", "data": [row]})
        with pytest.raises(OpenAPIError):
            OpenAPI.from_dict(loaded("commbox")).validate_response(request, answer)
        OpenAPI.from_dict(mended("commbox")).validate_response(request, answer)


def test_commboxs_own_example_of_a_status_is_not_of_its_type_and_both_are_read(
    documents: dict[str, Any],
) -> None:
    schema = operation("commbox")["responses"]["200"]["content"]["application/json"]["schema"]
    example = schema["properties"]["status"]["example"]
    body = {"status": example, "data": [CASES["commbox"].sample]}
    with pytest.raises(OpenAPIError):
        documents["commbox"].validate_response(first_request("commbox"), answered(200, body))
    for status in (example, str(example)):
        assert VENDORS["commbox"].status(as_answered(200, {**body, "status": status})) == 200


def test_smallests_document_asks_for_no_key_that_can_be_checked() -> None:
    request = first_request("smallest")
    cast("dict[str, str]", request.parameters.header)["Authorization"] = "the-key-without-its-scheme"
    OpenAPI.from_dict(loaded("smallest")).validate_request(request)
    with pytest.raises(OpenAPIError):
        OpenAPI.from_dict(mended("smallest")).validate_request(request)


def test_whops_server_matches_no_url_as_it_is_written() -> None:
    with pytest.raises(OpenAPIError):
        OpenAPI.from_dict(loaded("whop")).validate_request(first_request("whop"))

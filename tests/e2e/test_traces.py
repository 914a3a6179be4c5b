"""Spans of calls and of requests to vendors; and that nothing which operators see holds a key or a name."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from audience_mcp.sandbox import Answer, Asked, Sandbox
from audience_mcp.sandbox.app import serve
from tests.e2e.test_http import answer_of, client_of, posted
from tests.support.hosting import Hosted, started
from tests.support.process import with_tests
from tests.support.served import Recording

pytestmark = pytest.mark.anyio

TRACED = with_tests("""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

spans = open(sys.argv[1], "w")
exporter = ConsoleSpanExporter(out=spans, formatter=lambda span: span.to_json(indent=None) + "\\n")
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

from audience_mcp.server.http import serve

raise SystemExit(serve(sandbox=False, host="127.0.0.1", port=0))
""")


@contextmanager
def traced(spans: Path, **variables: str) -> Iterator[Hosted]:
    """The server in a process that has a tracer, which writes each span as a line of JSON."""
    with started([sys.executable, "-c", TRACED, str(spans)], variables) as server:
        yield server


def read_spans(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
async def test_a_call_is_a_span_and_the_requests_that_it_begins_are_spans_within_it(tmp_path: Path) -> None:
    sandbox = Recording(vendors=("batch", "whop"))
    async with serve(sandbox) as origin:
        gone = {"COMMBOX_API_KEY": "0123456789abcdef", "COMMBOX_BASE_URL": "http://127.0.0.1:1"}
        with traced(tmp_path / "spans", **sandbox.environment(origin), **gone) as server:
            async with client_of(server.url) as client:
                answer = await answer_of(client)
            assert await anyio.to_thread.run_sync(server.end) == 0
    spans = read_spans(tmp_path / "spans")
    (call,) = [span for span in spans if span["name"] == "tools/call list_audiences"]
    assert {
        name: call["attributes"][f"audience_mcp.{name}"] for name in ("outcome", "matched", "complete")
    } == {
        "outcome": "answered",
        "matched": answer["matched"],
        "complete": False,
    }
    assert sorted(call["attributes"]["audience_mcp.sources"]) == ["batch", "commbox", "whop"]
    requests = [span for span in spans if span["kind"] == "SpanKind.CLIENT"]
    assert len([span for span in requests if span["name"] != "GET commbox"]) == len(sandbox.asked)
    for span in requests:
        assert span["parent_id"] == call["context"]["span_id"]
        assert span["attributes"]["server.address"] == "127.0.0.1"
        if span["name"] == "GET commbox":
            assert span["status"]["status_code"] == "ERROR"
            assert span["attributes"]["error.type"] == "unavailable"
        else:
            assert span["attributes"]["http.response.status_code"] == 200


@pytest.mark.slow
async def test_a_caller_who_traces_sees_its_own_trace_go_on_here(tmp_path: Path) -> None:
    sandbox = Recording(vendors=("batch",))
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    async with serve(sandbox) as origin:
        with traced(tmp_path / "spans", **sandbox.environment(origin)) as server:
            meta: Any = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
            async with client_of(server.url) as client:
                await client.call_tool("list_audiences", {}, meta=meta)
            assert await anyio.to_thread.run_sync(server.end) == 0
    for span in read_spans(tmp_path / "spans"):
        if span["name"] in ("tools/call list_audiences", "GET batch"):
            assert span["context"]["trace_id"] == f"0x{trace_id}"
    for asked in sandbox.asked:  # and no vendor is told of it
        assert trace_id not in repr(asked)


NAME = "Geheimkunden Sommer 7"
"""A name of an audience, which stands in everything that the vendor sends."""
TOKEN = "token-of-a-caller-with-32-characters-0"
WRONG = "a-token-that-nobody-has-but-tried-0123"
NAMES = ("COMMBOX_API_KEY", "BATCH_REST_API_KEY", "BATCH_PROJECT_KEY", "SMALLEST_API_KEY", "WHOP_API_KEY")
KEYS = {name: Sandbox().environment("http://127.0.0.1:1")[name] for name in NAMES}
ROWS = [
    {"name": f"id{number}", "display_name": f"{NAME} {key}", "description": key, "nb_ids": 5, "type": key}
    for number, key in enumerate(KEYS.values())
]


class Hostile(Recording):
    """Vendors that put the keys they were sent, and names, wherever they can."""

    def answer(self, asked: Asked) -> Answer:
        said = f"{NAME} {' '.join(KEYS.values())} {' '.join(asked.headers.values())}"
        headers = {"X-Said": re.sub(r"[^ -~]", "", said)}
        if asked.path.startswith("/commbox"):
            return Answer(401, {"error": said, said: said}, headers)
        if asked.path.startswith("/smallest"):
            return Answer(200, f"<html>{said}</html>", headers)
        if asked.path.startswith("/whop"):
            return Answer(429, {"message": said}, {**headers, "Retry-After": "900"})
        answer = super().answer(asked)
        return Answer(answer.status, answer.body, {**answer.headers, **headers})


def spelled(secret: str) -> set[str]:
    """A text as it may be written: as it is, in JSON, in Base64."""
    return {secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode().rstrip("=")}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["text", "json"])
async def test_nothing_that_operators_see_holds_a_key_a_token_or_a_name_of_an_audience(
    form: str, tmp_path: Path
) -> None:
    sandbox = Hostile({"batch": ROWS})
    async with serve(sandbox) as origin:
        variables = {
            **sandbox.environment(origin),
            "AUDIENCE_MCP_HTTP_TOKENS": f"ci:{TOKEN}",
            "AUDIENCE_MCP_LOG_FORMAT": form,
            "AUDIENCE_MCP_STORE": str(tmp_path / "store"),
        }
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        with traced(tmp_path / "spans", **variables) as server:
            async with client_of(server.url, headers=authorized) as client:
                answer = await answer_of(client, search=NAME, detail="full")
                for arguments in (
                    {"audience": NAME},
                    {"audience": KEYS["WHOP_API_KEY"]},
                    {"audience": f"{NAME} nowhere", "source": "whop"},
                    {"audience": "x", "source": NAME},
                    {"audience": "x", NAME: NAME},
                ):
                    await client.call_tool("get_audience", arguments)
            for headers in ({}, {"Authorization": f"Bearer {WRONG}"}, {"Authorization": f"Basic {WRONG}"}):
                assert (await posted(server.url, headers)).status_code == 401
            async with httpx.AsyncClient(trust_env=False) as http:
                shown = {
                    page: (await http.get(f"{server.origin}{page}")).text for page in ("/ready", "/metrics")
                }
            assert await anyio.to_thread.run_sync(server.end) == 0
    seen = {**shown, "log": "".join(server.log), "spans": (tmp_path / "spans").read_text()}
    # What was to happen has happened.
    assert NAME in json.dumps(answer["audiences"])
    assert {each["source"]: each.get("error", {}).get("kind") for each in answer["sources"]} == {
        "commbox": "unauthorized",
        "batch": None,
        "smallest": "bad_response",
        "whop": "rate_limited",
    }
    assert {each["error"] for each in json.loads(shown["/ready"])["sources"] if "error" in each} == {
        "unauthorized",
        "bad_response",
        "rate_limited",
    }
    assert 'status="429"' in shown["/metrics"]
    assert len([line for line in server.log if "get_audience" in line]) == 5
    assert seen["spans"].count("GET whop") == 1
    # And nobody has read what is not theirs to read.
    for place, text in seen.items():
        for what in (NAME, TOKEN, WRONG, *KEYS.values()):
            assert not any(each in text for each in spelled(what)), (place, what)

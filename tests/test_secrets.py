"""A key is in nothing that leaves the program: results, errors, log lines, tracebacks, stdout, stderr.

The real program runs as a subprocess at log level DEBUG, against vendors that write the keys they were
sent into everything they answer, and with a vendor of another package whose code fails with its key in hand.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest

from audience_mcp.core.secrets import HIDDEN
from tests.support.process import Spoken, environment
from tests.support.served import connected

pytestmark = pytest.mark.anyio

MARK = "cAnArY"
OBJECT_ID = "0123456789abcdef01234567"
KEYS = {
    variable: f'{MARK}-{n}-"k\\e%y/+=$'
    for n, variable in enumerate(
        (
            "COMMBOX_API_KEY",
            "COMMBOX_API_KEY_HTML",
            "COMMBOX_API_KEY_INNER",
            "COMMBOX_API_KEY_HEADER",
            "BATCH_REST_API_KEY",
            "BATCH_PROJECT_KEY",
            "BATCH_PROJECT_KEY_MOVED",
            "BATCH_REST_API_KEY_CUT",
            "BATCH_PROJECT_KEY_CUT",
            "SMALLEST_API_KEY",
            "ATOMS_API_KEY_GONE",
            "WHOP_API_KEY",
            "WHOP_API_KEY_BAD",
            "ACME_KEY_PAGE",
            "ACME_KEY_ONE",
            "ACME_KEY_STATUS",
            "ACME_KEY_START",
            "ACME_KEY_ROW",
            "ACME_KEY_HEADERS",
        )
    )
}
MISCONFIGURED = {
    "SMALLEST_API_KEY_BROKEN": f"{MARK}\n-inside",
    "SMALLEST_API_KEY_URL": f"{MARK}-of-a-bad-url",
    "SMALLEST_BASE_URL_URL": f"https://{MARK}@vendor.example",
    "BATCH_REST_API_KEY_": f"{MARK}-of-no-source",
}
PLUG_IN = '''
from dataclasses import replace
from audience_mcp.vendors import Fields, Listing, Request, Setting, Vendor

KEYS = {}

class Auth:
    roles = ("api_key",)

    def authorize(self, request, values, now):
        KEYS["acme"] = values["api_key"]
        if "headers" in values["base_url"]:
            raise KeyError(values["api_key"])
        return request.with_headers({"Authorization": "Bearer " + values["api_key"]})

class Refusing(Listing):
    def request(self, values, parent=None):
        if "start" in values["base_url"]:
            raise LookupError(values["api_key"])
        page = {"fails": "page"} if "page" in values["base_url"] else {}
        return super().request(values, parent).with_params(**page)

    def page(self, body, request):
        if "fails" in request.params:
            raise ValueError("no page for " + KEYS["acme"])
        return replace(super().page({"rows": [{"id": "a1", "key": KEYS["acme"]}]}, request),
                       note="the key is " + KEYS["acme"])

def one(id, values):
    body = yield Request("one/" + id, {"key": values["api_key"]}, purpose="one")
    raise RuntimeError(str(body))

class Acme(Vendor):
    """Fails where its account's address says, with its key in the error, the notes and the log."""
    name = "acme"
    title = "Acme"
    settings = (
        Setting("api_key", ("ACME_KEY",), "Key", required=True, secret=True),
        Setting("base_url", ("ACME_BASE_URL",), "Base URL", default="https://acme.example"),
    )
    auth = Auth()
    listings = (Refusing("list", rows="rows", fields=Fields(), counts="people", ids="a[0-9]+", one=one),)

    def refine(self, row, raw, listing):
        if "key" in raw:
            raise ArithmeticError(raw["key"])

    def status(self, response):
        if isinstance(response.body, dict) and "fails" in response.body:
            raise AssertionError(str(response.body))
        return response.status
'''


class Echo:
    """Vendors that write whatever a request said, its keys first of all, into every part of their answers."""

    def __init__(self) -> None:
        self._broken_off: set[str] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, answered in the way that the first part of its path asks for."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        target = head.split(" ")[1]
        headers = [line.partition(": ") for line in head.split("\r\n")[1:]]
        key = next((v.partition(" ")[2] for name, _, v in headers if name == "Authorization"), "")
        said = [target, head, *(value for _, _, value in headers)]
        way = target.split("/")[1]
        status, more, body = self._said(way, target, key, said)
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", f"X-Echo: {key}"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        if way in ("commbox-header", "batch-cut") and way not in self._broken_off:
            self._broken_off.add(way)
            lines, body = ([*lines, f"{key} is no header"], body) if "header" in way else (lines, body[:-9])
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        writer.close()

    def _said(self, way: str, target: str, key: str, said: list[str]) -> tuple[str, dict[str, str], bytes]:
        """Status, headers and body."""
        status, headers = "200 OK", {"Set-Cookie": f"key={key}"}
        data: object = {"status": "200", "description": key, "data": self._rows(key, said)}
        if way == "batch":
            data = {"audiences": self._rows(key, said), "has_more": True, "next_from": "2", "count": key}
            if "from=" in target:
                status, data = "401 Unauthorized", {"error_code": key, "error_message": said}
        elif way == "smallest":
            data = {"status": False, "errors": ["Unauthorized", *said]}
        elif way == "smallest-gone" and target.endswith(OBJECT_ID):
            status, data = "404 Not Found", {"status": False, "errors": said}
        elif way in ("whop", "commbox-header", "batch-cut"):
            status, headers["Retry-After"] = "429 Too Many Requests", "3600"
            data = {"error": {"type": key, "message": f"Try again in 3600 seconds, {said}."}}
        elif way == "whop-bad":
            status, data = (
                "400 Bad Request",
                {"error": {"type": key, "code": key, "param": key, "message": said}},
            )
        elif way == "commbox-inner":
            data = {"status": 403, "description": said, "data": key}
        elif way == "commbox-html":
            return status, headers, f"<html><title>{key}</title>{said}</html>".encode()
        elif way == "batch-moved":
            status, headers["Location"] = "302 Found", f"http://127.0.0.1:1/?key={key}"
        elif way == "acme-status":
            data = {"fails": said}
        return status, headers, json.dumps(data).encode()

    def _rows(self, key: str, said: list[str]) -> list[Any]:
        row = {"name": key, "description": f"{' '.join(said)} {key}", "error_message": key, key: key}
        row |= {"type": key, "status": key, "indexing_state": key, "created": key, "hasCampaigns": key}
        row |= {"campaigns": [{"name": key, "status": said[1]}]}  # type: ignore[dict-item]
        good, of_the_key, broken = {"id": "1", "_id": OBJECT_ID}, {"id": key, "_id": key}, {"id": f"{key}\n"}
        return [{**row, **good}, {**row, **of_the_key}, {**row, **broken}, key]


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """The vendors, and where they are."""
    server = await asyncio.start_server(Echo().answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def install(plug_ins: Path) -> None:
    """Make `PLUG_IN` an installed package there."""
    info = plug_ins / "acme_plugin-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugin\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text("[audience_mcp.vendors]\nacme = acme_plugin:Acme\n")
    plug_ins.joinpath("acme_plugin.py").write_text(PLUG_IN)


@asynccontextmanager
async def running(origin: str, plug_ins: Path) -> AsyncIterator[Spoken]:
    """The program; its stderr goes to a file, since at DEBUG a pipe that nobody reads would fill up."""
    install(plug_ins)
    urls = {}
    for source in EXPECTED:
        vendor, _, suffix = source.partition("-")
        urls["_".join([vendor.upper(), "BASE_URL", *suffix.upper().split()])] = f"{origin}/{source}"
    env = environment(
        **{"WHOP_ACCOUNT_ID": "biz_1", "BATCH_MAX_RPS": "1000", **urls, **KEYS, **MISCONFIGURED},
        AUDIENCE_MCP_LOG_LEVEL="DEBUG",
        PYTHONPATH=str(plug_ins),
    )
    with plug_ins.joinpath("stderr").open("wb") as log, anyio.fail_after(60):
        command = [sys.executable, "-m", "audience_mcp"]
        async with await anyio.open_process(command, env=env, stderr=log) as process:
            try:
                yield Spoken(process)
            finally:
                if process.returncode is None:
                    process.kill()


EXPECTED = {
    "commbox": None,
    "commbox-header": "rate_limited",
    "commbox-html": "bad_response",
    "commbox-inner": "forbidden",
    "batch": "bad_response",
    "batch-cut": "rate_limited",
    "batch-moved": "bad_response",
    "smallest": "unauthorized",
    "smallest-broken": "not_configured",
    "smallest-gone": None,
    "smallest-url": "not_configured",
    "whop": "rate_limited",
    "whop-bad": "invalid_request",
    "acme-headers": "bad_response",
    "acme-one": "bad_response",
    "acme-page": "bad_response",
    "acme-row": "bad_response",
    "acme-start": "bad_response",
    "acme-status": "bad_response",
}
"""How each source ends; its name is also the way in which it is answered."""


async def asked_everything(server: Spoken) -> list[Any]:
    """All sources read, single audiences, and keys where a model may write; the sources of the list."""
    assert KEYS["COMMBOX_API_KEY"] not in (await server.initialize())["instructions"]
    names = [name for name in EXPECTED if name != "acme-start"]
    answer = await call(server, "list_audiences", sources=names, detail="full")
    for arguments in (
        *(
            {"audience": ref}
            for ref in (f"smallest-gone:{OBJECT_ID}", "acme-one:a1", "batch:x", "whop:adaud_1")
        ),
        {"audience": "a1", "source": "acme-start"},
    ):
        await call(server, "get_audience", **arguments)
    assert server.process.stdin is not None
    await server.process.stdin.send(b'{"' + KEYS["ACME_KEY_ONE"].encode() + b"\n")
    assert (await server.ask("ping"))["result"] == {}
    assert await server.end() == 0
    found = answer["result"]["structuredContent"]
    assert {row["name"] for row in found["audiences"] if row["source"] == "commbox"} == {HIDDEN}
    return list(found["sources"])


async def call(server: Spoken, name: str, **arguments: Any) -> dict[str, Any]:
    return await server.ask("tools/call", name=name, arguments=arguments)


def spelled(key: str) -> set[str]:
    """A key as it may be written: as it is, in JSON, in JSON within JSON, in a repr, in a URL."""
    in_json = json.dumps(key)[1:-1]
    return {key, in_json, json.dumps(in_json)[1:-1], repr(key)[1:-1], quote(key, safe="")}


async def test_no_byte_that_leaves_the_program_is_of_a_key(tmp_path: Path) -> None:
    async with echoing() as origin, running(origin, tmp_path) as server:
        sources = await asked_everything(server)

    stderr = tmp_path.joinpath("stderr").read_text()
    # What was to happen has happened.
    ended = {source["source"]: source.get("error", {}).get("kind") for source in sources}
    assert ended == {name: kind for name, kind in EXPECTED.items() if name != "acme-start"}
    for traceback in ("ValueError: no page for", "KeyError", "LookupError", "AssertionError", "RuntimeError"):
        assert traceback in stderr
    assert "BATCH_REST_API_KEY_ was ignored" in stderr
    # And nobody has read a key, nor a recognisable part of one.
    for what, text in (("stdout", "\n".join(server.lines)), ("stderr", stderr)):
        for variable, value in KEYS.items():
            assert not any(form in text for form in spelled(value)), f"{what} has {variable}"
        where = text.find(MARK)
        assert where < 0, f"{what} has a part of a key: {text[max(0, where - 200) : where + 100]!r}"


async def test_no_answer_tells_whether_a_caller_has_guessed_the_beginning_of_a_key() -> None:
    key = "sk_sandbox_smallest_key"
    async with connected() as there:
        for guesses in (key[:8], key[:12], key):
            wrong = "".join(chr(ord(c) ^ 1) if c.isalpha() else c for c in guesses)
            for make in (
                lambda text: ("get_audience", {"audience": f"{text}… and {text}"}),
                lambda text: ("get_audience", {"audience": "x", text: 1}),
                lambda text: ("get_audience", {"audience": "x", "source": text}),
                lambda text: ("list_audiences", {"sources": [f"{text}…"]}),
            ):
                right, other = [
                    (await there.client.call_tool(*make(text))).content[0].text.replace(text, "(sent)")  # type: ignore[union-attr]
                    for text in (guesses, wrong)
                ]
                assert right == other


async def test_a_key_in_an_audiences_name_is_hidden_and_cannot_be_searched_for() -> None:
    row = {"id": "1", "name": "Key sandbox-commbox-key", "type": "Static", "user_count": 5}
    escaped = {**row, "id": "2", "name": "sandbox\u002dcommbox-key"}
    async with connected({"commbox": [row, escaped]}) as there:
        answer = (await there.client.call_tool("list_audiences", {"sources": ["commbox"]})).structured_content
        assert answer is not None
        assert [row["name"] for row in answer["audiences"]] == ["Key ****", "****"]
        found = await there.client.call_tool("list_audiences", {"search": "sandbox-commbox-key"})
        assert found.structured_content is not None
        assert found.structured_content["matched"] == 0

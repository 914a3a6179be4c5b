"""What clients send, made sound: the same for stdio and HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audience_mcp.server.messages import BadMessage, read_message

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
CLIENT = {"name": "test", "version": "1"}


def read(message: Any) -> dict[str, Any]:
    return read_message(message if isinstance(message, bytes) else json.dumps(message).encode())


def refused(message: Any) -> BadMessage:
    with pytest.raises(BadMessage) as raised:
        read(message)
    return raised.value


def calling(arguments: Any, name: Any = "list_audiences") -> dict[str, Any]:
    return {**CALL, "params": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("marks", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b" \r\n"])
def test_what_stands_before_a_message_is_skipped(marks: bytes) -> None:
    assert read(marks + json.dumps(calling({})).encode()) == calling({})


def test_bytes_that_are_no_utf_8_cost_a_character_each() -> None:
    raw = json.dumps(calling({"search": "caf#"})).encode().replace(b"#", b"\xe9")
    assert read(raw)["params"]["arguments"] == {"search": "caf\ufffd"}


@pytest.mark.parametrize(("id", "known"), [(7, 7), ("x", "x"), ("", ""), (1.0, 1), (0, 0), (-1, -1)])
def test_an_id_is_text_or_a_whole_number(id: Any, known: Any) -> None:
    assert read({**CALL, "id": id, "method": "ping"})["id"] == known


@pytest.mark.parametrize("id", [None, True, 1.5, [], {}, 10**30])
def test_a_request_whose_id_is_none_is_refused_without_one(id: Any) -> None:
    fault = refused({**CALL, "id": id, "method": "ping"})
    assert (fault.code, fault.id, fault.is_request) == (-32600, None, True)
    assert "id must be text or a whole number" in str(fault)
    assert fault.answer.model_dump(mode="json", by_alias=True, exclude_unset=True)["id"] is None


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ([CALL], -32600, "batches are not supported"),
        ([], -32600, "batches are not supported"),
        (5, -32600, "must be an object"),
        (b"{", -32700, "not valid JSON"),
        (b"", -32700, "the message is empty"),
        (b'{"jsonrpc": "2.0"', -32700, "(character 17)"),
        (b"Content-Length: 46", -32700, "not valid JSON in UTF-8 (character 1)"),
        (json.dumps(CALL).encode() * 2, -32700, "more than one message"),
        ({"jsonrpc": "2.0", "method": 1, "params": "bar"}, -32600, "method must be text"),
        (b"[" * 100_000, -32600, "nested too deeply"),
        ({"id": 1, "method": "ping"}, -32600, 'jsonrpc must be "2.0"'),
        ({"jsonrpc": "2.0", "id": 1}, -32600, "method must be text"),
        ({**CALL, "method": 5}, -32600, "method must be text"),
        ({**CALL, "params": [1]}, -32600, "params must be an object"),
        ({**CALL, "params": "x"}, -32600, "params must be an object"),
        ({**CALL, "params": {}}, -32602, "params.name is required"),
        ({**CALL, "params": False}, -32600, "params must be an object"),
        (calling("x"), -32602, "params.arguments must be an object"),
        (
            {**CALL, "method": "tools/list", "params": {"_meta": "x"}},
            -32602,
            "params._meta must be an object",
        ),
        ({**CALL, "params": {"_meta": {"progressToken": [1]}}}, -32602, "params._meta.progressToken must be"),
        ({**CALL, "method": "skills/get"}, -32602, "params is required"),
        ({**CALL, "method": "skills/get", "params": {"uri": [1]}}, -32602, "params.uri must be text"),
        (calling('{"search": "\\ud800"}'), -32602, "half of a surrogate pair"),
        (calling('{"x": ' + "[" * 150 + "]" * 150 + "}"), -32602, "nested too deeply"),
        (b'{"jsonrpc":"2.0","id":' + b"1" * 5000 + b',"method":"ping"}', -32600, "id must be"),
        (calling([1]), -32602, "params.arguments must be an object"),
        (calling({}, name=[1]), -32602, "params.name must be text"),
        ({**INITIALIZE, "params": {"capabilities": {}, "clientInfo": CLIENT}}, -32602, "protocolVersion"),
        (b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', -32600, "id must be"),
        (json.dumps(calling({"search": "\ud800"})).encode(), -32602, "half of a surrogate pair"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":' + b"1" * 5000 + b"}}", -32602, "too long"),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b'{"a":' * 150 + b"1" + b"}" * 151,
            -32602,
            "nested too deeply",
        ),
    ],
)
def test_what_is_wrong_is_named_and_answered(message: Any, code: int, words: str) -> None:
    fault = refused(message)
    assert (fault.code, fault.is_request) == (code, True)
    assert words in str(fault)


def test_a_refused_call_keeps_its_id_and_a_notification_is_due_no_answer() -> None:
    assert refused(calling("x")).id == 1
    assert not refused({"jsonrpc": "2.0", "method": "notifications/x", "params": [1]}).is_request


@pytest.mark.parametrize("arguments", [[], "{}", {}])
def test_an_empty_list_and_json_text_are_the_object_that_they_stand_for(arguments: Any) -> None:
    assert read(calling(arguments)) == calling({})


def test_objects_as_json_text_are_read() -> None:
    assert read(calling('{"limit": 5}')) == calling({"limit": 5})


@pytest.mark.parametrize("nothing", [[], "", " ", "null", "[]"])
def test_nothing_in_an_objects_place_is_an_empty_object(nothing: Any) -> None:
    assert read(calling(nothing)) == calling({})
    sent = {"protocolVersion": "2025-11-25", "capabilities": nothing, "clientInfo": CLIENT, "_meta": nothing}
    params = read({**INITIALIZE, "params": sent})["params"]
    assert (params["capabilities"], params["_meta"]) == ({}, {})


def test_an_object_that_must_be_there_may_be_null() -> None:
    sent = {"protocolVersion": "2025-11-25", "capabilities": None, "clientInfo": CLIENT}
    assert read({**INITIALIZE, "params": sent})["params"]["capabilities"] == {}
    assert "params.clientInfo.name is required" in str(
        refused({**INITIALIZE, "params": {**sent, "clientInfo": None}})
    )


def test_params_may_come_as_json_text_too() -> None:
    assert read({**CALL, "params": json.dumps(calling({})["params"])}) == calling({})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_a_message_is_read_in_the_encoding_in_which_it_comes(encoding: str) -> None:
    message = calling({"search": "\u0a0d \u00e9"})
    assert read(json.dumps(message, ensure_ascii=False).encode(encoding)) == message


def test_whatever_names_a_request_may_be_a_whole_number_with_a_point() -> None:
    meta = {"progressToken": 7.0}
    read_back = read({**CALL, "id": 1.0, "params": {"name": "list_audiences", "_meta": meta}})
    assert repr(read_back["params"]["_meta"]["progressToken"]) == "7"
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1.0}}
    assert repr(read(cancelled)["params"]["requestId"]) == "1"


def test_a_progress_token_of_null_is_none() -> None:
    sent = {**CALL, "method": "tools/list", "params": {"_meta": {"progressToken": None}}}
    assert read(sent)["params"] == {"_meta": {}}


def test_many_faults_of_one_message_are_counted_and_not_all_described() -> None:
    wrong = {f"argument{n}": [1] for n in range(1000)}
    params = {"name": "weekly_report", "arguments": wrong}
    said = str(refused({**CALL, "method": "prompts/get", "params": params}))
    assert said.count("must be text") == 8
    assert "and 992 more" in said


def test_lists_in_arguments_stay_lists() -> None:
    assert read(calling({"sources": [], "type": []})) == calling({"sources": [], "type": []})


@pytest.mark.parametrize("params", [[], None])
def test_empty_params_are_none(params: Any) -> None:
    assert read({**CALL, "method": "ping", "params": params}) == {**CALL, "method": "ping"}
    assert read({"jsonrpc": "2.0", "method": "notifications/initialized", "params": params}) == {
        "jsonrpc": "2.0",
        "method": "notifications/initialized",
    }


def test_empty_lists_deep_in_capabilities_are_objects() -> None:
    sent = {
        "protocolVersion": "2025-11-25",
        "capabilities": {"roots": [], "sampling": [], "experimental": []},
        "clientInfo": CLIENT,
        "_meta": [],
    }
    params = read({**INITIALIZE, "params": sent})["params"]
    assert params["capabilities"] == {"roots": {}, "sampling": {}, "experimental": {}}
    assert params["_meta"] == {}
    assert read({**INITIALIZE, "params": {**sent, "capabilities": []}})["params"]["capabilities"] == {}


def test_a_prompts_arguments_may_be_numbers_and_nulls() -> None:
    for days in (30, 30.0):
        params = {"name": "stale_audiences", "arguments": {"days": days, "source": None, "since": []}}
        prompt = {**CALL, "method": "prompts/get", "params": params}
        assert read(prompt)["params"]["arguments"] == {"days": "30"}


VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
INFO = "io.modelcontextprotocol/clientInfo"


@pytest.mark.parametrize(
    ("meta", "wrong"),
    [
        ({VERSION: "2026-07-28"}, f"params._meta.{CAPABILITIES} is required"),
        ({VERSION: None, CAPABILITIES: {}}, f"params._meta.{VERSION} is required"),
        ({VERSION: "2026-07-28", CAPABILITIES: {}, INFO: []}, f"params._meta.{INFO}.name is required"),
        ({VERSION: "2026-07-28", CAPABILITIES: 1}, f"params._meta.{CAPABILITIES} must be an object"),
    ],
)
def test_what_a_modern_envelope_says_wrong_is_named(meta: dict[str, Any], wrong: str) -> None:
    fault = refused({**CALL, "method": "tools/list", "params": {"_meta": meta}})
    assert (fault.code, fault.id) == (-32602, 1)
    assert wrong in str(fault)


@pytest.mark.parametrize("version", ["2030-01-01", "2025-11-25", "nonsense"])
def test_a_version_that_the_modern_era_does_not_have_is_left_to_the_sdk(version: str) -> None:
    message = {**CALL, "params": {"name": 5, "_meta": {VERSION: version}}}
    assert read(message) == message


@pytest.mark.parametrize(
    "answer",
    [
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": None, "error": {}},
        {"id": {}, "result": 5},
        {"error": "x"},
    ],
)
def test_answers_to_us_are_passed_on(answer: Any) -> None:
    assert read(answer) == answer

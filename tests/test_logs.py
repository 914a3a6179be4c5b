"""The log: on stderr, and without any key."""

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from audience_mcp.core.logs import FACTS, set_up
from audience_mcp.core.secrets import HIDDEN, PASSING, SHORTEST_SECRET, Redactor
from audience_mcp.server.protocol import quiet_logs

KEY = "canary-0123456789"


class Stderr:
    """What was written to stderr, from the first character on."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._written = ""

    def text(self) -> str:
        self._written += self._capture.readouterr().err
        return self._written


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Stderr]:
    """What is logged to stderr; everything that `set_up` changes is put back."""
    root = logging.getLogger()
    handlers, level, show = root.handlers[:], root.level, warnings.showwarning
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    yield Stderr(capsys)
    logging.captureWarnings(False)
    warnings.showwarning = show
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_secret_is_hidden_wherever_it_stands_in_a_text() -> None:
    assert Redactor([KEY]).text(f"{KEY} Bearer {KEY}, x{KEY}y") == f"{HIDDEN} Bearer {HIDDEN}, x{HIDDEN}y"


def test_a_text_without_secrets_stays_as_it_is() -> None:
    assert Redactor([KEY]).text("canary-01234567") == "canary-01234567"


def test_a_key_inside_another_leaves_nothing_of_either() -> None:
    assert Redactor(["abcd", "xxabcdyy"]).text("xxabcdyy") == HIDDEN


def test_secrets_are_hidden_in_every_text_of_a_json_value() -> None:
    value = {"a": [KEY, {KEY: f"-{KEY}-"}], "n": 7, "b": True, "f": 0.5, "none": None}

    assert Redactor([KEY]).json(value) == {
        "a": [HIDDEN, {HIDDEN: f"-{HIDDEN}-"}],
        "n": 7,
        "b": True,
        "f": 0.5,
        "none": None,
    }


def test_what_stands_for_a_secret_is_never_longer_than_it() -> None:
    assert len(HIDDEN) <= SHORTEST_SECRET


@pytest.mark.parametrize("length", range(4, len(KEY)))
def test_the_beginning_of_a_key_is_hidden_where_the_text_was_cut_in_it(length: int) -> None:
    assert Redactor([KEY]).log_line(f"key={KEY[:length]}… and more…") == f"key={HIDDEN}… and more…"


def test_a_text_that_was_cut_elsewhere_stays_as_it_is() -> None:
    assert Redactor([KEY]).log_line(f"can… {KEY[:9]} …") == f"can… {KEY[:9]} …"


def test_a_key_with_inner_spaces_is_hidden_as_cleaned_text_has_it() -> None:
    assert Redactor(["one  two"]).text("one two") == HIDDEN


@pytest.mark.parametrize("short", ["", "a", "key", "\u200b" * 9])
def test_what_is_too_short_for_a_key_does_not_hide_half_of_every_line(short: str) -> None:
    assert Redactor([short]).text("a key and a value") == "a key and a value"


@pytest.mark.parametrize(
    "written", [json.dumps, repr, lambda key: quote(key, safe="")], ids=["JSON", "repr", "URL"]
)
def test_a_key_is_hidden_as_it_is_written_in_json_in_a_repr_and_in_a_url(written: object) -> None:
    key = 'a"b\\c/d+e'

    assert "b" not in Redactor([key]).text(written(key)).replace(HIDDEN, "")  # type: ignore[operator]


def test_of_secrets_that_are_made_for_every_request_the_latest_are_hidden_and_no_more_are_kept() -> None:
    redactor = Redactor([KEY])
    redactor.add_passing("other", "made-once-for-another")
    for number in range(2_000):
        redactor.add_passing("ghost", f"signed-{number:06}-token")
        assert redactor.text(f"signed-{number:06}-token") == HIDDEN
    said = " ".join(f"signed-{number:06}-token" for number in range(2_000 - PASSING, 2_000))
    assert "signed" not in redactor.text(said)
    assert redactor.json([KEY, "made-once-for-another"]) == [HIDDEN, HIDDEN]
    assert redactor.body(b'["signed-001999-token"]', ["signed-001999-token"]) == [HIDDEN]
    assert redactor.text("signed-000000-token") == "signed-000000-token"  # long out of use


def test_log_lines_and_tracebacks_go_to_stderr_without_keys(stderr: Stderr) -> None:
    set_up("DEBUG", Redactor([KEY]))
    log = logging.getLogger("audience_mcp.some.part")

    log.debug("sent %s", {"Authorization": f"Bearer {KEY}"})
    try:
        raise ValueError(KEY)
    except ValueError:
        log.exception("failed with %s", KEY)

    said = stderr.text()
    assert KEY not in said
    assert f"Bearer {HIDDEN}" in said
    assert f"ValueError: {HIDDEN}" in said


def test_what_somebody_sent_is_no_line_of_its_own(stderr: Stderr) -> None:
    set_up("WARNING", Redactor([]))

    logging.getLogger("any.library").warning(
        "dropped %s", "x\n2026-11-26 ERROR audience_mcp: keys were leaked"
    )

    (line,) = stderr.text().splitlines()
    assert line.endswith("dropped x\\n2026-11-26 ERROR audience_mcp: keys were leaked")


def test_an_uncaught_error_is_logged_without_keys(stderr: Stderr) -> None:
    set_up("WARNING", Redactor([KEY]))
    try:
        raise ValueError(KEY)
    except ValueError as e:
        sys.excepthook(ValueError, e, e.__traceback__)

    assert KEY not in stderr.text()
    assert f"ValueError: {HIDDEN}" in stderr.text()


def test_an_error_that_ends_a_thread_is_logged_without_keys(stderr: Stderr) -> None:
    set_up("WARNING", Redactor([KEY]))

    def fail() -> None:
        raise ValueError(KEY)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    assert KEY not in stderr.text()
    assert f"ValueError: {HIDDEN}" in stderr.text()


def test_a_line_that_cannot_be_formatted_does_not_show_its_arguments(stderr: Stderr) -> None:
    set_up("WARNING", Redactor([KEY]))

    logging.getLogger("somebody.else").warning("%d", KEY)

    assert KEY not in stderr.text()


def test_warnings_are_logged_without_keys(stderr: Stderr) -> None:
    set_up("WARNING", Redactor([KEY]))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # `catch_warnings` and pytest both took its place
        logging.captureWarnings(True)
        warnings.warn(f"beware of {KEY}", stacklevel=1)
        logging.captureWarnings(False)

    assert f"beware of {HIDDEN}" in stderr.text()
    assert KEY not in stderr.text()


@pytest.mark.parametrize(
    "library",
    ["httpx", "httpcore.http11", "hpack.hpack", "sse_starlette.sse", "of_next_year", "audience_mcp2"],
)
def test_other_packages_log_no_more_than_warnings_even_at_debug(library: str, stderr: Stderr) -> None:
    set_up("DEBUG", Redactor([]))
    log = logging.getLogger(library)
    log.setLevel(logging.DEBUG)
    try:
        for write in (log.debug, log.info):
            write("GET https://vendor.example/?token=1")
        log.warning("it will be removed")
        logging.getLogger("audience_mcp.some.part").debug("ours")
    finally:
        log.setLevel(logging.NOTSET)
    assert "token" not in stderr.text()
    assert "it will be removed" in stderr.text()
    assert "ours" in stderr.text()


@pytest.mark.parametrize("key", [KEY, 'a"b\\c/d+e-0123', "clé-à-0123456789"])
def test_as_json_every_line_is_an_object_with_its_traceback_and_without_keys(
    key: str, stderr: Stderr
) -> None:
    set_up("INFO", Redactor([key]), "json")
    log = logging.getLogger("audience_mcp.some.part")

    log.info("asked\nby %s", key, extra={FACTS: {"who": key, "sources": [key], "ms": 7, "complete": False}})
    try:
        raise ValueError(key, f"{{key!r}}: {key}")
    except ValueError:
        log.exception("failed with %r", key)

    asked, failed = map(json.loads, stderr.text().splitlines())
    assert asked["message"] == f"asked\nby {HIDDEN}"
    assert (asked["level"], asked["logger"]) == ("INFO", "audience_mcp.some.part")
    assert (asked["who"], asked["sources"]) == (HIDDEN, [HIDDEN])
    assert (asked["ms"], asked["complete"]) == (7, False)
    assert "Traceback (most recent call last)" in failed["traceback"]
    assert "ValueError" in failed["traceback"]
    for form in (key, repr(key)[1:-1], json.dumps(key)[1:-1]):
        assert form not in json.dumps([asked, failed], ensure_ascii=False)
        assert form not in stderr.text()


def test_a_fact_does_not_take_the_place_of_what_every_line_has(stderr: Stderr) -> None:
    set_up("INFO", Redactor([]), "json")

    logging.getLogger("audience_mcp").info(
        "said", extra={FACTS: {"level": "none", "message": "another", "odd": {1}}}
    )

    line = json.loads(stderr.text())
    assert (line["level"], line["message"], line["odd"]) == ("INFO", "said", "{1}")


def set_up_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("uvicorn.error", "mcp.server.runner", "audience_mcp.server.protocol"):
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    set_up("WARNING", Redactor([]))
    quiet_logs()


def test_notifications_that_the_sdk_drops_again_and_again_are_one_line(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_quietly(monkeypatch)
    for method in ("notifications/cancelled", "notifications/progress") * 100:
        logging.getLogger("mcp.server.runner").warning("dropped %r: malformed params", method)
    assert stderr.text().count("dropped") == 1


def test_tracebacks_that_callers_provoke_again_and_again_are_written_once(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_quietly(monkeypatch)

    def fail(number: int) -> None:
        try:
            int(f"number {number}")
        except ValueError:
            logging.getLogger("any.library").exception("it failed for %d", number)

    for number in range(100):
        fail(number)
    assert stderr.text().count("Traceback") == 1
    assert "it failed for 0" in stderr.text()


def test_the_level_decides_what_is_logged(stderr: Stderr) -> None:
    set_up("ERROR", Redactor([]))

    logging.getLogger("x").warning("quiet")
    logging.getLogger("x").error("loud")

    assert "quiet" not in stderr.text()
    assert "loud" in stderr.text()

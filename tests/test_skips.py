"""The gate's rule about skips, tried in test runs of their own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]
SKIPS = """
import pytest

@pytest.fixture
def missing():
    pytest.skip("Node.js is not on the PATH")

def test_needs_it(missing): ...

@pytest.mark.skipif(True, reason="server.schema.json is kept beside the project and is not here")
def test_of_a_document(): ...
"""


def test_a_skip_is_a_failure_where_nothing_may_be_skipped_unless_the_machine_cannot_have_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(SKIPS)
    monkeypatch.setenv("AUDIENCE_MCP_NO_SKIPS", "1")
    done = pytester.runpytest_inprocess("-p", "tests.support.skips", "-p", "no:randomly")
    done.assert_outcomes(errors=1, skipped=1)
    done.stdout.fnmatch_lines(["*skipped, and nothing may be skipped here: *Node.js is not on the PATH"])


def test_a_module_that_skips_itself_is_a_failure_there_too(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("import pytest\npytest.skip('no such package', allow_module_level=True)")
    monkeypatch.setenv("AUDIENCE_MCP_NO_SKIPS", "1")
    assert pytester.runpytest_inprocess("-p", "tests.support.skips").ret != 0


def test_a_skip_is_a_skip_everywhere_else(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(SKIPS)
    monkeypatch.delenv("AUDIENCE_MCP_NO_SKIPS", raising=False)
    done = pytester.runpytest_inprocess("-p", "tests.support.skips")
    done.assert_outcomes(skipped=2)

"""The suite that every vendor of this package passes, for vendors of other packages.

It needs pytest (`pip install 'audience-mcp[testing]'`); the server never imports it. A test module of a
plug-in has one `Case` and one class, and is run by `python -m pytest`:

    class TestMine(VendorContract):
        @pytest.fixture
        def case(self) -> Case:
            return Case(...)
"""

import pytest

pytest.register_assert_rewrite("audience_mcp.testing.asking", "audience_mcp.testing.suite")

from audience_mcp.sandbox import Answer, Asked  # noqa: E402 (rewriting is of what is imported after it)
from audience_mcp.testing.asking import list_rows  # noqa: E402
from audience_mcp.testing.case import Case, Facts, Served  # noqa: E402
from audience_mcp.testing.serving import serve_api  # noqa: E402
from audience_mcp.testing.suite import VendorContract  # noqa: E402

__all__ = ["Answer", "Asked", "Case", "Facts", "Served", "VendorContract", "list_rows", "serve_api"]

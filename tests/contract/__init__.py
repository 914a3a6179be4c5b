"""One suite for every vendor, and the vendors' own documents and SDKs as a check on all of it."""

import pytest

pytest.register_assert_rewrite("tests.contract.suite")

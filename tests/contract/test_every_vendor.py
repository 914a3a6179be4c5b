"""The suite, run against every vendor that is registered."""

from __future__ import annotations

import pytest

from audience_mcp.testing import Case, VendorContract
from audience_mcp.vendors.registry import BUILT_IN, load_vendors
from tests.contract.cases import CASES


def test_every_vendor_of_this_package_has_a_case() -> None:
    assert CASES.keys() == set(BUILT_IN)


class TestEveryVendor(VendorContract):
    @pytest.fixture(params=load_vendors())
    def case(self, request: pytest.FixtureRequest) -> Case:
        if request.param not in CASES:
            pytest.skip("a vendor of another package is run through the suite there")
        return CASES[request.param]

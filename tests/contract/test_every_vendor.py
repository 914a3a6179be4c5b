"""The suite, run against every vendor that is registered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audience_mcp.testing import Case, VendorContract
from audience_mcp.vendors.registry import BUILT_IN, load_vendors
from tests.contract.cases import CASES


def test_every_vendor_of_this_package_has_a_case() -> None:
    assert CASES.keys() == set(BUILT_IN)


def test_a_case_takes_from_the_listing_what_it_leaves_out_and_says_so_where_it_cannot() -> None:
    case = CASES["mailchimp"]  # it lists `stats.member_count`, and is served flat rows
    assert (case.sample, case.id, case.name, case.size) == (case.rows[0], "id", "name", "member_count")
    assert replace(case, size="other").size == "other"
    with pytest.raises(ValueError, match="say under which key"):
        replace(CASES["braze"], size="")


class TestEveryVendor(VendorContract):
    @pytest.fixture(params=load_vendors())
    def case(self, request: pytest.FixtureRequest) -> Case:
        if request.param not in CASES:
            pytest.skip("a vendor of another package is run through the suite there")
        return CASES[request.param]

"""Example Lists, through the suite that every vendor of audience-mcp passes."""

from __future__ import annotations

from typing import Any

import pytest
from audience_mcp_examplelists import ExampleLists
from example_lists_api import made_up_lists, serve

from audience_mcp.testing import Case, Facts, VendorContract


def facts(raw: Any) -> Facts:
    return Facts(
        raw["title"],
        raw["members"],
        {"manual": "static", "rule": "dynamic"}[raw["kind"]],
        {"ready": "ready", "counting": "processing", "broken": "failed"}[raw["state"]],
    )


class TestExampleLists(VendorContract):
    @pytest.fixture
    def case(self) -> Case:
        rows = made_up_lists()
        return Case(
            vendor=ExampleLists(),
            serve=serve,
            rows=rows,
            sample=rows[0],
            facts=facts,
            id="id",
            name="title",
            size="members",
            dates=("created_at", "updated_at"),
            new_id=lambda n: f"lst_{9000 + n}",
            unknown_id="lst_1",
            largest_page=("limit", "100"),
        )


def test_a_list_that_is_being_counted_says_so_instead_of_a_size() -> None:
    raw = {"id": "lst_1", "title": "New", "kind": "manual", "state": "counting", "members": None}
    row = ExampleLists().row(raw, "lst_1")
    assert (row.size, row.status) == (None, "processing")
    assert row.size_note == "not counted yet: Example Lists is still counting it"


def test_a_wait_is_found_in_the_body_of_an_error() -> None:
    assert ExampleLists().retry_after({"error": {"code": "slow_down", "retry_in_s": 7}}) == 7
    assert ExampleLists().retry_after("<html>") is None

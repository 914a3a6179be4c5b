"""Which checks of the suite are of every run: the others take long, and the gate makes them."""

from __future__ import annotations

import pytest

EDGES = "test_a_list_that_ends_at_the_edge_of_a_page_is_whole"
EDGE_OF_EVERY_RUN = {"pages": 1, "more": 0}
"""A list that ends with its first page."""


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave all edges but one to the gate: a vendor's list is served once for each."""
    for item in items:
        if isinstance(item, pytest.Function) and item.originalname == EDGES:
            edge = {name: item.callspec.params[name] for name in EDGE_OF_EVERY_RUN}
            if edge != EDGE_OF_EVERY_RUN:
                item.add_marker(pytest.mark.slow)

"""The gate has all that a test can need, so there a skip is a failure, unless its reason is listed here."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

NO_SKIPS = "AUDIENCE_MCP_NO_SKIPS"
TRUE_REASONS = (
    # Documents that are their vendors', and are not copied into this project.
    "is kept beside the project and is not here",
    "the vendors' OpenAPI documents are not there (../shared/specs)",
    # Root may mount, and the gate need not be root.
    "mounting a file system needs root",
    # A plug-in that happens to be installed beside the package.
    "a vendor of another package is run through the suite there",
)
"""What a skip in the gate may say: a part of its reason. All else can be installed."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def strictly(report: Report) -> Report:
    """The report; a skip without a true reason has become a failure where `NO_SKIPS` is set."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(NO_SKIPS) == "1":
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not any(each in reason for each in TRUE_REASONS):
            report.outcome = "failed"
            report.longrepr = f"skipped, and nothing may be skipped here: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge the skips of tests and of their fixtures."""
    return strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge the skips of whole modules."""
    return strictly((yield))

"""A real browser, where this computer has one."""

from __future__ import annotations

import shutil

PROGRAMS = ("chromium", "chromium-headless-shell", "google-chrome", "chromium-browser")


def find_browser() -> str | None:
    """The program of a browser that Playwright can drive."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)

"""Synchronous code that starts an event loop of its own, in a test run that keeps one open."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a fresh context: async fixtures of wider scope mark this one as having a loop."""
    return contextvars.Context().run(function, *args, **kwargs)

"""How a call reports its progress."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Progress = Callable[[float, float | None, str], Awaitable[None]]
"""Told after every page: pages so far, pages in all where known, and a sentence."""

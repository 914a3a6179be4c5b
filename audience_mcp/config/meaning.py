"""Which sources and vendors people mean: by names as they write them, clients, and patterns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from audience_mcp.vendors import Vendor

if TYPE_CHECKING:
    from audience_mcp.config.sources import Source

WRITTEN_AS = {
    "bing": "microsoftads",
    "bingads": "microsoftads",
    "displayvideo360": "datamanager",
    "dv360": "datamanager",
    "facebook": "meta",
    "facebookads": "meta",
    "linkedinads": "linkedin",
    "metaads": "meta",
    "twiliosegment": "segment",
}
"""Other names of vendors, without spaces and signs, as people write them in `sources`."""


def find_sources(name: str, sources: Iterable[Source]) -> list[Source]:
    """Return those of `sources` that a name means; an empty list if it means none.

    It is a vendor's name, also as people write it (`smallest.ai`, `google ads`), for all its sources; a
    source's name; a client's, for all its sources; or a pattern in which `*` stands for any letters.
    """
    text, there = name.strip().lower(), list(sources)
    squeezed = _squeeze(text)
    vendor = WRITTEN_AS.get(squeezed, squeezed)
    ways: Iterable[Callable[[Source], bool]] = (
        lambda source: text == source.vendor.name,
        lambda source: text in (source.name, source.client),
        lambda source: vendor in (source.vendor.name, _squeeze(source.vendor.title)),
        lambda source: source.label is not None and text == source.label.lower(),
    )
    if "*" in text:
        return [source for source in there if fits_pattern(text, source.name)]
    found: list[Source] = []
    for fits in ways:
        found = found or [source for source in there if fits(source)]
    return found


def fits_pattern(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern with `*` for any letters.

    It takes no longer for a pattern of many stars, which anybody may send.
    """
    if "*" not in pattern:
        return pattern == name
    first, *inner, last = pattern.split("*")
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in inner:
        if (at := name.find(part, at, end)) < 0:
            return False
        at += len(part)
    return True


def find_vendors(text: str, vendors: Iterable[Vendor]) -> list[Vendor]:
    """Return the vendor with that name, as people write it, or those of which it is a part of the name."""
    squeezed, there = _squeeze(text), list(vendors)
    exact = [v for v in there if WRITTEN_AS.get(squeezed, squeezed) in (v.name, _squeeze(v.title))]
    return exact or [v for v in there if squeezed and (squeezed in v.name or squeezed in _squeeze(v.title))]


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

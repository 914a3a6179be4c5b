"""What people call codes in an answer: sources, vendors, clients, and refs that stand there nameless."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from audience_mcp.catalog.display import display_name
from audience_mcp.sources.reader import SourceReader


def name_sources(readers: Iterable[SourceReader]) -> dict[str, str]:
    """Names of sources (`Batch (Acme GmbH)`), their vendors (`Batch`), and clients with a label, by code."""
    names: dict[str, str] = {}
    for reader in readers:
        source, title = reader.source, reader.source.vendor.title
        names.setdefault(source.vendor.name, title)
        whose = source.label or source.suffix
        names[source.name] = f"{title} ({whose})" if whose else title
        if source.client and source.label:
            names[source.client] = source.label
    return names


def name_refs(answer: Mapping[str, Any], readers: Mapping[str, SourceReader]) -> dict[str, str]:
    """Names, by ref, of the audiences that others of an answer lie within, and of groups' members.

    answer: the structured result of either tool. The names are those of the readings at hand; a ref that is
    in none of them is left out.
    """
    audiences = answer.get("audiences", [])
    refs = {member["ref"] for group in answer.get("groups", []) for member in group.get("members", [])}
    refs |= {audience["part_of"] for audience in audiences if "part_of" in audience}
    refs -= {audience["ref"] for audience in audiences}
    names: dict[str, str] = {}
    for ref in refs:
        source, _, id = ref.partition(":")
        reading = readers[source].cached() if source in readers else None
        row = reading.pager.rows.get(id) if reading is not None else None
        if row is not None:
            names[ref] = display_name(row)
    return names

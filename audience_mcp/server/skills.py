"""The prompts as Agent Skills (extension `io.modelcontextprotocol/skills`, SEP-2640).

A host that knows the extension lists them, shows them to its user, and loads one when it is needed. They cost
a model nothing until then. Their texts never change while the server runs, so their digests are stable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from audience_mcp.server.prompts import PROMPTS, write_example

Context = ServerRequestContext[Any]
EXTENSION = "io.modelcontextprotocol/skills"
MIME_TYPE = "text/markdown"
CURRENT_FOR_MS = 3_600_000
"""Milliseconds for which clients may cache an entry."""


class GetSkillParams(types.RequestParams):
    """The parameters of `skills/get`."""

    uri: str


METHODS: Mapping[str, type[types.Request[Any, Any]]] = {
    "skills/list": types.PaginatedRequest[Literal["skills/list"]],
    "skills/get": types.Request[GetSkillParams, Literal["skills/get"]],
}
"""The extension's requests."""


class ListSkillsResult(types.PaginatedResult, types.CacheableResult):
    """The result of `skills/list`. skills: entries as the extension has them."""

    skills: list[dict[str, Any]]
    result_type: Literal["complete"] = "complete"


class GetSkillResult(types.CacheableResult):
    """The result of `skills/get`. skill: an entry as the extension has it."""

    skill: dict[str, Any]
    result_type: Literal["complete"] = "complete"


@cache
def skill_texts() -> dict[str, str]:
    """Each skill's SKILL.md by its URI."""
    return {
        f"skill://audience-mcp/{name}/SKILL.md": _write(name, prompt)
        for prompt, name in ((each, each.replace("_", "-")) for each in PROMPTS)
    }


def _write(name: str, prompt: str) -> str:
    about = PROMPTS[prompt]
    return (
        f"---\nname: {name}\ndescription: {json.dumps(about.description)}\n---\n\n# {about.title}\n\n"
        "This uses the tools of the MCP server audience-mcp. The dates are examples: put in those that the\n"
        "user means, by default a week ago for a report and 90 days ago for what is stale. To look at some\n"
        f'sources alone, add "sources" to each call.\n\n{write_example(prompt)}\n'
    )


def _entry(uri: str) -> dict[str, Any]:
    text = skill_texts()[uri]
    raw = text.encode()
    name = uri.split("/")[-2]
    return {
        "uri": uri,
        "frontmatter": {"name": name, "description": PROMPTS[name.replace("-", "_")].description},
        "resources": [{"uri": uri, "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw)}],
    }


async def list_skills(ctx: Context, params: types.PaginatedRequestParams) -> ListSkillsResult:
    """All skills, in one page."""
    entries = [_entry(uri) for uri in skill_texts()]
    return ListSkillsResult(skills=entries, ttl_ms=CURRENT_FOR_MS, cache_scope="public")


async def get_skill(ctx: Context, params: GetSkillParams) -> GetSkillResult:
    """One skill's entry. Raises MCPError for an unknown URI."""
    if params.uri not in skill_texts():
        known = ", ".join(skill_texts())
        raise MCPError(types.INVALID_PARAMS, f"Unknown skill. This server has {known}.", {"uri": params.uri})
    return GetSkillResult(skill=_entry(params.uri), ttl_ms=CURRENT_FOR_MS, cache_scope="public")


def list_skill_resources() -> list[types.Resource]:
    """Each skill's SKILL.md as a resource."""
    entries = [_entry(uri) for uri in skill_texts()]
    return [types.Resource(uri=each["uri"], mime_type=MIME_TYPE, **each["frontmatter"]) for each in entries]


def read_skill(uri: str) -> types.ReadResourceResult | None:
    """A skill's SKILL.md as a resource, or None if the URI is not that of a skill."""
    if (text := skill_texts().get(uri)) is None:
        return None
    contents = types.TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=text)
    return types.ReadResourceResult(contents=[contents])

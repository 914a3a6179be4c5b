"""The prompts as skills: what hosts that know the extension list, verify and load."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import yaml
from mcp import types

from audience_mcp.server.prompts import PROMPTS
from tests.support.process import Spoken, program
from tests.support.served import connected
from tests.test_named_calls import calls_in, check

pytestmark = pytest.mark.anyio

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def ask(server: Spoken, method: str, **params: Any) -> Any:
    return await server.ask(method, _meta=META, **params)


@pytest.mark.slow
async def test_a_host_finds_the_skills_verifies_them_and_loads_their_text() -> None:
    async with program("--sandbox") as server:
        found = (await ask(server, "server/discover"))["result"]["capabilities"]
        assert "io.modelcontextprotocol/skills" in found["extensions"]
        listed = (await ask(server, "skills/list"))["result"]
        assert (listed["resultType"], listed["cacheScope"]) == ("complete", "public")
        assert len(listed["skills"]) == len(PROMPTS)
        for entry in listed["skills"]:
            assert (await ask(server, "skills/get", uri=entry["uri"]))["result"]["skill"] == entry
            (contents,) = (await ask(server, "resources/read", uri=entry["uri"]))["result"]["contents"]
            raw = contents["text"].encode()
            digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
            assert entry["resources"] == [{"uri": entry["uri"], "digest": digest, "size": len(raw)}]
            _, frontmatter, body = contents["text"].split("---\n", 2)
            assert yaml.safe_load(frontmatter) == entry["frontmatter"]
            assert entry["uri"] == f"skill://audience-mcp/{entry['frontmatter']['name']}/SKILL.md"
            assert calls_in(body)
            for tool, arguments in calls_in(body):
                check(tool, arguments)
        unknown = await ask(server, "skills/get", uri="skill://audience-mcp/other/SKILL.md")
        assert unknown["error"]["code"] == -32602


async def test_the_example_calls_of_a_skill_are_answered() -> None:
    async with connected() as there:
        for resource in (await there.client.list_resources()).resources:
            if str(resource.uri).startswith("skill://"):
                (contents,) = (await there.client.read_resource(resource.uri)).contents
                assert isinstance(contents, types.TextResourceContents)
                for tool, arguments in calls_in(contents.text):
                    given = {k: v for k, v in arguments.items() if k != "compare_to"}
                    given["sort"] = "size" if "compare_to" in arguments else given.get("sort", "size")
                    assert not (await there.client.call_tool(tool, given)).is_error

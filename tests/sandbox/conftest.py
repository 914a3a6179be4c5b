"""The sandbox, served over real HTTP on loopback."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.app import serve


@dataclass
class Caller:
    """Calls one served sandbox with the keys of `Sandbox.environment`."""

    sandbox: Sandbox
    origin: str
    http: httpx.AsyncClient

    def url_and_headers(self, vendor: str) -> tuple[str, dict[str, str]]:
        env = self.sandbox.environment(self.origin)
        keys = {"batch": "BATCH_REST_API_KEY"}
        headers = {"Authorization": f"Bearer {env[keys.get(vendor, f'{vendor.upper()}_API_KEY')]}"}
        if vendor == "batch":
            headers["X-Batch-Project"] = env["BATCH_PROJECT_KEY"]
        return env[f"{vendor.upper()}_BASE_URL"], headers

    async def get(
        self, vendor: str, path: str, *, method: str = "GET", body: bytes | None = None, **query: Any
    ) -> httpx.Response:
        """GET `path` below the vendor's base URL; Whop's account is added, `header_*` are headers."""
        base, headers = self.url_and_headers(vendor)
        if vendor == "whop":
            query = {"account_id": self.sandbox.environment("")["WHOP_ACCOUNT_ID"], **query}
        for name in [name for name in query if name.startswith("header_")]:
            value = query.pop(name)
            headers.pop(name := name.removeprefix("header_").replace("_", "-").title(), None)
            if value is not None:
                headers[name] = value
        params = {name: value for name, value in query.items() if value is not None}
        return await self.http.request(method, f"{base}/{path}", params=params, headers=headers, content=body)


@pytest.fixture
async def call(anyio_backend: str) -> AsyncIterator[Caller]:
    sandbox = Sandbox()
    async with serve(sandbox) as origin, httpx.AsyncClient(trust_env=False, verify=False) as http:
        yield Caller(sandbox, origin, http)

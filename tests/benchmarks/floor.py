"""The floor: only fetches the pages that audience-mcp fetches, with httpx, and parses them with json.loads.

`python -m tests.benchmarks.floor` reads the environment as JSON from a line of stdin, waits for a second
line, does its work and prints what it took and how many rows it saw. It keeps no row, and knows nothing
but how to go from page to page.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import Any


async def fetch_all(variables: dict[str, str]) -> int:
    import httpx  # in a fresh process, importing it is part of the first answer

    async with httpx.AsyncClient(trust_env=False) as client:

        async def get(url: str, params: dict[str, str], **headers: str) -> Any:
            response = await client.get(url, params=params, headers=headers)
            return json.loads(response.content)

        async def one_page(name: str, path: str) -> int:
            bearer = f"Bearer {variables[f'{name}_API_KEY']}"
            return len(
                (await get(f"{variables[f'{name}_BASE_URL']}{path}", {}, Authorization=bearer))["data"]
            )

        async def batch() -> int:
            base = variables["BATCH_BASE_URL"]
            headers = {
                "Authorization": f"Bearer {variables['BATCH_REST_API_KEY']}",
                "X-Batch-Project": variables["BATCH_PROJECT_KEY"],
            }
            seen, params = 0, {"limit": "100"}
            while True:
                body = await get(f"{base}/audiences/list", params, **headers)
                seen += len(body["audiences"])
                if not body["has_more"]:
                    break
                params["from"] = body["next_from"]
            return seen + len((await get(f"{base}/segments/list", {"limit": "100"}, **headers))["segments"])

        async def whop() -> int:
            url, bearer = f"{variables['WHOP_BASE_URL']}/audiences", f"Bearer {variables['WHOP_API_KEY']}"
            seen, params = 0, {"account_id": variables["WHOP_ACCOUNT_ID"], "first": "100"}
            while True:
                body = await get(url, params, Authorization=bearer)
                seen += len(body["data"])
                if not body["page_info"]["has_next_page"]:
                    return seen
                params["after"] = body["page_info"]["end_cursor"]

        lists = one_page("COMMBOX", "/audiences"), one_page("SMALLEST", "/audience")
        return sum(await asyncio.gather(*lists, batch(), whop()))


def used() -> dict[str, float]:
    """CPU seconds and peak MiB of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}


def main() -> None:
    variables = json.loads(sys.stdin.readline())
    sys.stdin.readline()
    before, began = used()["cpu"], time.perf_counter()
    rows = asyncio.run(fetch_all(variables))
    wall = time.perf_counter() - began
    after = used()
    print(json.dumps({"rows": rows, "wall": wall, "cpu": after["cpu"] - before, "peak": after["peak"]}))


if __name__ == "__main__":
    main()

"""The vendors, in a process of their own: `python -m tests.benchmarks.vendor AUDIENCES DELAY_MS`.

Serves that many audiences at each vendor, every answer that much later; prints its origin and ends when
stdin does. Bodies are made once, so that the side under test is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from audience_mcp.sandbox import Asked, Sandbox
from tests.support.served import FOUR

KEYS = {"commbox": "id", "batch": "name", "smallest": "_id", "whop": "id"}


def many(count: int) -> dict[str, list[dict[str, Any]]]:
    """`count` lifelike audiences at each vendor, ids unique."""
    rows = Sandbox(vendors=FOUR).rows
    made: dict[str, list[dict[str, Any]]] = {}
    for vendor, key in KEYS.items():
        known: list[Any] = [row for row in rows[vendor] if isinstance(row, dict) and key in row]
        made[vendor] = []
        for n in range(count):
            row = dict(known[n % len(known)])
            id = str(row[key])
            row[key] = (
                f"{n:024x}"
                if vendor == "smallest"
                else str(10_000 + n)
                if vendor == "commbox"
                else f"{id}_{n}"
            )
            made[vendor].append(row)
    return made


class Served:
    """A raw HTTP/1.1 server: answers from the sandbox, kept as bytes."""

    def __init__(self, count: int, delay_s: float) -> None:
        self._sandbox = Sandbox(many(count), FOUR)
        self._delay_s = delay_s
        self._kept: dict[bytes, bytes] = {}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                line = head.split(b"\r\n", 1)[0]
                if line not in self._kept:
                    self._kept[line] = self._answer(head)
                writer.write(self._kept[line])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        from urllib.parse import parse_qs, unquote, urlsplit

        first, *lines = head.decode("latin-1").strip().split("\r\n")
        method, target, _ = first.split(" ")
        url = urlsplit(target)
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        answer = self._sandbox.answer(Asked(method, unquote(url.path), parse_qs(url.query), headers))
        body = json.dumps(answer.body, ensure_ascii=False).encode()
        return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            answer.status,
            len(body),
            body,
        )


async def serve(count: int, delay_s: float) -> None:
    served = Served(count, delay_s)
    server = await asyncio.start_server(served.talk, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(json.dumps(Sandbox(vendors=FOUR).environment(origin)), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))

"""An MCP server as a process, spoken to in plain lines, so that a client's own cost is not measured."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


class Server:
    """A started server. `began` is the moment before it was started."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._next = 0
        self._answers: dict[int, Any] = {}

    def send(self, method: str, params: Mapping[str, Any] | None = None, *, answered: bool = True) -> int:
        self._next += answered
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if answered:
            message["id"] = self._next
        if params is not None:
            message["params"] = params
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return self._next

    def result(self, id: int) -> Any:
        assert self._process.stdout is not None
        while id not in self._answers:
            line = self._process.stdout.readline()
            if not line:
                break
            message = json.loads(line)
            if "result" in message:
                self._answers[message["id"]] = message["result"]
        if id in self._answers:
            return self._answers.pop(id)
        raise RuntimeError("the server ended without an answer")

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        return self.result(self.send(method, params))

    def initialize(self) -> Any:
        answer = self.ask("initialize", HELLO)
        self.send("notifications/initialized", answered=False)
        return answer

    def get_ready(self) -> None:
        """Begin as a client does, and let the server come up: no model asks sooner than half a second on."""
        self.initialize()
        self.ask("tools/list")
        time.sleep(0.5)

    def call(self, tool: str, arguments: Mapping[str, Any]) -> int:
        return self.send("tools/call", {"name": tool, "arguments": arguments})

    def end(self) -> float:
        """Close stdin; seconds until the process was gone."""
        began = time.perf_counter()
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return time.perf_counter() - began

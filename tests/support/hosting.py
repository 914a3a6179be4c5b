"""The real program on Streamable HTTP, as a subprocess on a free port."""

from __future__ import annotations

import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

from tests.support.process import environment

TOKEN = "a-token-of-at-least-32-characters-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def free_port() -> int:
    """A port that nothing listens on, for a program that must be told one."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Hosted:
    """A server that is serving. url: of its MCP endpoint. log: the lines of its stderr so far."""

    def __init__(self, command: Sequence[str], variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self) -> None:
        """Until a line of the log has told the address, and something listens there."""
        line = ""
        while not re.search("serving at|running on", line):
            following = self._lines.get(timeout=60)
            assert following is not None, f"it ended without serving: {self.log}"
            line = following
        parts = urlsplit(next(word for word in line.split() if word.startswith("http://")))
        assert parts.port is not None
        self.port = parts.port
        self.origin = f"http://127.0.0.1:{parts.port}"
        self.url = f"{self.origin}/mcp"
        for _ in range(1200):
            with socket.socket() as trial:
                reached = trial.connect_ex(("127.0.0.1", self.port)) == 0
                # A socket can be given the very port that nobody listens at yet, and then reaches itself.
                if reached and trial.getsockname() != trial.getpeername():
                    return
            time.sleep(0.05)  # uvicorn with workers tells the address before any of them listens
        raise AssertionError(f"nothing listens on port {self.port}: {self.log}")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal it, and wait for it and the last of its log; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextmanager
def started(command: Sequence[str], variables: dict[str, str]) -> Iterator[Hosted]:
    """What a command serves, once it listens."""
    server = Hosted(command, variables)
    try:
        server.wait()
        yield server
    finally:
        if server.process.poll() is None:
            server.end()  # by a signal, so that workers end too
        server.close()


def hosted(*arguments: str, **variables: str) -> AbstractContextManager[Hosted]:
    """`python -m audience_mcp --http --port 0` with these further arguments and variables."""
    command = [sys.executable, "-m", "audience_mcp", "--http", "--port", "0", *arguments]
    return started(command, variables)


def worked(workers: int, **variables: str) -> AbstractContextManager[Hosted]:
    """The app under uvicorn with several workers behind one port."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "audience_mcp.server.http:create_app"]
    command += ["--workers", str(workers), "--port", "0", "--timeout-graceful-shutdown", "1"]
    return started(command, variables)

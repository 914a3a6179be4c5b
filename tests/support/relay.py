"""A TCP relay to a server: it may be far away, and connections that are open may freeze."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Relay:
    """Relays connections to an address. one_way_s: seconds that each chunk takes, in each direction.

    trips: of each connection, how often its client has sent something, and had to wait for an answer.
    """

    def __init__(self, host: str, port: int, one_way_s: float = 0.0) -> None:
        self._target = host, port
        self._one_way_s = one_way_s
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._frozen: set[socket.socket] = set()
        self._ended = threading.Event()
        self.trips: list[int] = []
        self._asking: list[bool] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self.trips)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.getsockname()[1])

    def freeze(self) -> None:
        """Let nothing pass any more on what is open now; new connections are not touched."""
        self._frozen.update(self._open)

    def close(self) -> None:
        """End it."""
        self._ended.set()
        for each in (self._server, *self._open):
            with contextlib.suppress(OSError):
                each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self.trips.append(0)
            self._asking.append(False)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                facts = source, target, self.connections - 1, source is client
                threading.Thread(target=self._pass, args=facts, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, number: int, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65_536):
                if asks and not self._asking[number]:
                    self.trips[number] += 1
                self._asking[number] = asks
                if self._one_way_s:
                    self._ended.wait(self._one_way_s)
                if source in self._frozen:
                    self._ended.wait(60)
                    return
                target.sendall(chunk)
        for each in (source, target):
            if each not in self._frozen:
                with contextlib.suppress(OSError):
                    each.close()


@contextmanager
def relayed(address: str, one_way_s: float = 0.0) -> Iterator[tuple[str, Relay]]:
    """The same address by way of a relay, and the relay."""
    parts = urlsplit(address)
    relay = Relay(parts.hostname or "127.0.0.1", parts.port or 5432, one_way_s)
    user = f"{parts.username}@" if parts.username else ""
    try:
        yield parts._replace(netloc=f"{user}127.0.0.1:{relay.port}").geturl(), relay
    finally:
        relay.close()

"""The real servers; each is started once for all tests of a process that only read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.real.ghost import Ghost
from tests.real.mailman import Mailman
from tests.real.servers import CannotBeHad, RealServer
from tests.real.vendure import VendureServer

SERVERS: Mapping[str, type[RealServer]] = {"ghost": Ghost, "mailman": Mailman, "vendure": VendureServer}


def start(server: RealServer) -> RealServer:
    """The server, once it is up; the test is skipped where it cannot be had."""
    try:
        return server.__enter__()
    except CannotBeHad as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def started() -> Iterator[dict[str, RealServer]]:
    """The servers that were started so far, by name, until all tests are over."""
    servers: dict[str, RealServer] = {}
    try:
        yield servers
    finally:
        for each in servers.values():
            each.__exit__()


@pytest.fixture
def filled(request: pytest.FixtureRequest, started: dict[str, RealServer]) -> RealServer:
    """A server with 250 audiences, which tests only read. `request.param`: which."""
    if request.param not in started:
        started[request.param] = start(SERVERS[request.param]())
    return started[request.param]


@pytest.fixture
def empty(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """A server as it is when it is new. `request.param`: which."""
    server = start(SERVERS[request.param](0))
    yield server
    server.__exit__()


@pytest.fixture
def doomed(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """A server with two pages of audiences, which the test may stop. `request.param`: which."""
    server = start(SERVERS[request.param](110))
    yield server
    server.__exit__()

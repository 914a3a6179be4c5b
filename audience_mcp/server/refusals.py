"""Callers that are not let in: one line of the log a minute and peer address, and how many there were."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.types import Scope

from audience_mcp.core.logs import FACTS

log = logging.getLogger(__name__)

Kind = Literal["host", "origin", "token", "scope", "not_allowed", "unavailable"]
"""Why a caller was refused: the request's host or page, a token that is missing or not valid, one without the
scope, a caller who is not among those who may come in, or an issuer whose keys cannot be had."""
WITHIN_S = 60.0
"""Seconds for which further refusals of one peer are counted before they are reported."""
MOST_PEERS = 1_000
"""Peer addresses that are told apart at a time; all others are reported as one."""
OTHERS = "other addresses"


def _later(seconds: float, do: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, do)


@dataclass(slots=True)
class _Peer:
    """What of one peer has not been reported. reason: of the first refusal; level: the highest."""

    reason: str | None = None
    followed: int = 0
    level: int = logging.INFO


class Refusals:
    """Reports refused requests: the first of a peer at once, those that follow within a minute as one line.

    later: calls something after so many seconds. counts: how many there were of each kind.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], None] = _later) -> None:
        self._later = later
        self._peers: dict[str, _Peer] = {}
        self.counts: Counter[Kind] = Counter()

    def note(self, scope: Scope, kind: Kind, reason: str, level: int = logging.INFO) -> None:
        """Report a refusal. reason: our own words, and nothing that is secret."""
        self.counts[kind] += 1
        client = scope.get("client")
        address = str(client[0]) if client else "an unknown address"
        if address not in self._peers and len(self._peers) >= MOST_PEERS:
            address = OTHERS
        peer = self._peers.get(address)
        if peer is None:
            self._peers[address] = _Peer()
            self._later(WITHIN_S, lambda: self._sum_up(address))
            facts = {"peer": address, "refused": kind, "reason": reason}
            log.log(level, "refused %s: %s", address, reason, extra={FACTS: facts})
        else:
            peer.followed += 1
            peer.reason, peer.level = peer.reason or reason, max(peer.level, level)

    def close(self) -> None:
        """Report what has not been reported."""
        for address in [*self._peers]:
            self._report(address)
        self._peers.clear()

    def _sum_up(self, address: str) -> None:
        """At the end of a minute: report what followed; a peer that has become quiet is forgotten."""
        if address not in self._peers:
            return
        if self._report(address):
            self._later(WITHIN_S, lambda: self._sum_up(address))
        else:
            del self._peers[address]

    def _report(self, address: str) -> bool:
        """Write the line of what followed; whether anything did."""
        peer = self._peers[address]
        followed, reason, level = peer.followed, peer.reason, peer.level
        if not followed:
            return False
        self._peers[address] = _Peer()
        facts = {"peer": address, "followed": followed, "reason": reason}
        log.log(
            level,
            "refused %s: %d more within a minute, the first of them: %s",
            address,
            followed,
            reason,
            extra={FACTS: facts},
        )
        return True

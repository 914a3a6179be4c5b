"""Asks a source for one audience alone, once for all calls that want the same one."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from audience_mcp.config import Account, Source
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import VendorError
from audience_mcp.sources.counts import SizeCounter
from audience_mcp.sources.pager import Fetch
from audience_mcp.sources.rows import row_of
from audience_mcp.sources.signal import ChangeSignal
from audience_mcp.vendors import Request

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Look-ups of one source under way; for further ones its list is read, which is one request for all."""

MESSAGES = {
    "too_many": "{source} is being asked for too many audiences at once. Try again in 5 s.",
    "abandoned": "{source}: the look-up was given up, as no call was waiting. Try again.",
    "unclear": "{source}: the vendor's response for one audience is not in the documented format.",
}


@dataclass(slots=True, eq=False)
class LookUp:
    """One audience asked for. `row` is None where there is no such audience, or `error` says why not."""

    row: Row | None = None
    error: VendorError | None = None
    ended: bool = False
    waiting: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def abandoned(self) -> bool:
        """Whether nobody waited any more, so that it ends without an answer."""
        return self.scope.cancel_called

    def leave(self) -> None:
        """Say that a call waits no longer; a look-up that nobody waits for ends."""
        self.waiting -= 1
        if not self.waiting and not self.ended:
            self.scope.cancel()


class LookUps:
    """The look-ups of one source."""

    def __init__(
        self,
        source: Source,
        fetch: Fetch,
        tasks: TaskGroup,
        signal: ChangeSignal,
        counter: SizeCounter | None = None,
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._tasks = tasks
        self._signal = signal
        self._counter = counter
        self._under_way: dict[str, LookUp] = {}

    def ask(self, id: str) -> LookUp | None:
        """Ask for `id`, or join who does; None where the vendor has no way: read its list instead."""
        under_way = self._under_way.get(id)
        if under_way is not None and not under_way.abandoned:
            return under_way
        account = self._source.account
        if account is None or not account.vendor.id_shape.fullmatch(id):
            return None
        try:
            request = account.vendor.get_request(id, account.values)
        except Exception:  # a vendor's code, perhaps another package's: the list will do
            log.exception("%s: the vendor's code could not ask for one audience", self._source.name)
            return None
        if request is None:
            return None
        if len(self._under_way) >= AT_ONCE:
            text = MESSAGES["too_many"].format(source=self._source.name)
            return LookUp(error=VendorError("unavailable", text, retry_after_s=5), ended=True)
        found = self._under_way[id] = LookUp()
        self._tasks.start_soon(self._run, found, account, request, id, name=f"look-up at {self._source.name}")
        return found

    async def _run(self, found: LookUp, account: Account, request: Request, id: str) -> None:
        """Nothing may be raised from here: it would end every reading."""
        try:
            with found.scope:
                body = await self._fetch(request)
                raws = account.vendor.parse_get(body, request)
                rows = (row_of(account.vendor, raw, request) for raw in raws)
                row = next((row for row in rows if row is not None and row.id == id), None)
                if row is not None and self._counter is not None:
                    await self._counter.count_one(row)
                found.row = row
                if row is None and raws:  # it answered, and not with the audience that was asked for
                    found.error = self._unclear()
            if found.scope.cancelled_caught:
                found.error = VendorError("timeout", MESSAGES["abandoned"].format(source=self._source.name))
        except VendorError as e:
            if e.kind != "not_found":
                found.error = e
        except (Exception, SystemExit, GeneratorExit):
            log.debug("%s: the answer for one audience was not understood", self._source.name, exc_info=True)
            found.error = self._unclear()
        finally:
            found.ended = True
            if self._under_way.get(id) is found:
                del self._under_way[id]
            self._signal.notify()

    def _unclear(self) -> VendorError:
        return VendorError("bad_response", MESSAGES["unclear"].format(source=self._source.name))

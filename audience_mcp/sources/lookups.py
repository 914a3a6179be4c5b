"""Asks a source for one audience alone, once for all calls that want the same one."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from audience_mcp.config import Account, Source
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import VendorError
from audience_mcp.sources.counts import SizeCounter
from audience_mcp.sources.rows import row_of, was_deleted
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.talk import Fetch, converse
from audience_mcp.vendors import Listing, Talk, value_at

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
    """One audience requested. `row` is None where there is no such audience, or `error` says why not.

    as_of: when the vendor answered. size_error: why the size of the row could not be counted. deleted_at: the
    vendor's word for when the audience was deleted, if it says that it was.
    """

    row: Row | None = None
    error: VendorError | None = None
    size_error: VendorError | None = None
    deleted_at: object = None
    ended: bool = False
    as_of: datetime | None = None
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
        runtime: Runtime,
        counter: SizeCounter | None = None,
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._tasks = runtime.tasks
        self._signal = runtime.signal
        self._clock = runtime.clock
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
        vendor = account.vendor
        listings = [each for each in vendor.listings if each.kind == vendor.listing_of(id).kind]
        talks = ((each, each.talk_of_one(id, account.values)) for each in listings)
        listing, talk = next(((each, talk) for each, talk in talks if talk is not None), (None, None))
        if listing is None or talk is None:
            return None
        if len(self._under_way) >= AT_ONCE:
            text = MESSAGES["too_many"].format(source=self._source.name)
            return LookUp(error=VendorError("unavailable", text, retry_after_s=5), ended=True)
        found = self._under_way[id] = LookUp()
        self._tasks.start_soon(
            self._run, found, account, listing, talk, id, name=f"look-up at {self._source.name}"
        )
        return found

    async def _run(
        self, found: LookUp, account: Account, listing: Listing, talk: Talk[object], id: str
    ) -> None:
        """Nothing may be raised from here: it would end every reading."""
        try:
            with found.scope:
                raw = await converse(talk, self._fetch)
                found.as_of = self._clock.utc()
                row = row_of(account.vendor, listing, raw, listing.split_id(id)[1])
                if row is not None and row.id != id:
                    row = None
                if row is not None and listing.deleted_at and was_deleted(raw, listing.deleted_at):
                    found.deleted_at = value_at(raw, listing.deleted_at)
                elif row is not None:
                    found.row = row
                    if self._counter is not None:
                        found.size_error = await self._counter.count_one(row)
                elif raw is not None:  # it answered, and not with the audience that was requested
                    found.error = self._unclear()
            if found.scope.cancelled_caught:
                found.error = VendorError("timeout", MESSAGES["abandoned"].format(source=self._source.name))
        except VendorError as e:
            if e.kind != "not_found" or e.foreign:
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

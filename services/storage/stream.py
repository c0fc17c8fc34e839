"""The hot door: length-prefixed msgpack, appends and reads, for the other services of this node."""

import asyncio
from typing import cast

import msgspec
import structlog

from services.kernel.model import mac
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import Cursor, RoomId
from services.kernel.wire import storage_api as api
from services.storage.committer import Committer
from services.storage.stores.base import Store

_KNOCK_WITHIN = 5.0
_STRANGER_BYTES = 1024
_MOST_PAGE = 1_000

log = structlog.get_logger()


class Door(asyncio.Protocol):
    """One connection from a service; each request is answered as soon as its work is done."""

    def __init__(self, store: Store, committer: Committer, token: bytes, group: asyncio.TaskGroup) -> None:
        self._store, self._committer, self._token, self._group = store, committer, token, group
        self._known = False
        self._splitter = api.Splitter(_STRANGER_BYTES)
        self._transport: asyncio.Transport | None = None
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has no common base class
        self._late = asyncio.get_running_loop().call_later(_KNOCK_WITHIN, self._shut)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._late is not None:
            self._late.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            asks = [api.ask_decoder.decode(frame) for frame in self._splitter.feed(data)]
        except (ValueError, msgspec.DecodeError):
            log.warning("door.garbled")
            self._shut()
            return
        for ask in asks:
            if self._known:
                self._group.create_task(self._answer(ask))
            else:
                self._knock(ask)

    def rest(self) -> None:
        """Takes nothing more; what was taken is still answered."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def leave(self) -> None:
        """Ends the connection once every answer is out."""
        if self._transport is not None:
            self._transport.close()

    def _shut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _knock(self, ask: api.Ask) -> None:
        if isinstance(ask, api.Knock) and mac.matches(self._token, ask.token):
            self._known = True
            self._splitter.most = api.MAX_FRAME
            if self._late is not None:
                self._late.cancel()
            self._reply(api.Fine(ask.n))
        else:
            log.warning("door.refused")
            self._shut()

    def _reply(self, reply: api.Reply) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(api.pack(reply))

    async def _answer(self, ask: api.Ask) -> None:
        try:
            reply = await self._perform(ask)
        except Fault as fault:
            reply = api.Refused(ask.n, fault.code, fault.detail, fault.retry)
        self._reply(reply)

    async def _perform(self, ask: api.Ask) -> api.Reply:
        match ask:
            case api.Append():
                return api.Stored(ask.n, list(await self._committer.append(ask.batch)))
            case api.After():
                cursor, limit = _cursor(ask.cursor), min(ask.limit, _MOST_PAGE)
                return api.Paged(ask.n, await self._store.after(RoomId(ask.room), cursor, limit))
            case api.Before():
                cursor, limit = _cursor(ask.cursor), min(ask.limit, _MOST_PAGE)
                return api.Paged(ask.n, await self._store.before(RoomId(ask.room), cursor, limit))
            case api.Since():
                return api.Spanned(ask.n, await self._store.since(RoomId(ask.room), ask.second, ask.limit))
            case api.Moved():
                growth = await self._store.moved(ask.mark)
                return api.Grown(ask.n, growth.log_id, growth.mark, list(growth.rooms))
            case api.Knock():
                raise Fault(ErrorCode.BAD_REQUEST, "the door is open already")


def _cursor(text: str) -> Cursor | None:
    return Cursor.parse(text) if text else None

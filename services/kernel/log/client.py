"""Client of the storage service: appends of one loop turn go as one batch, reads by cursor, the sweep."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import msgspec
import structlog

from services.kernel.bus.tasks import keep, owned
from services.kernel.model.errors import ErrorCode, Fault, unavailable
from services.kernel.model.ids import Cursor, RoomId
from services.kernel.wire import storage_api as api
from services.kernel.wire.rows import Appended, Page, Received, Span

_DEADLINE = 10.0
_DIAL_DEADLINE = 2.0
_BATCH_ROWS = 512

log = structlog.get_logger()


class _Line(asyncio.Protocol):
    """One connection to the stream door."""

    def __init__(self) -> None:
        self.pending: dict[int, asyncio.Future[api.Reply]] = {}
        self.transport: asyncio.Transport | None = None
        self.closed = asyncio.get_running_loop().create_future()
        self.heard = asyncio.get_running_loop().time()
        self._splitter = api.Splitter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has no common base class

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()
        try:
            replies = [api.reply_decoder.decode(frame) for frame in self._splitter.feed(data)]
        except (ValueError, msgspec.DecodeError):
            log.exception("storage.garbled")
            self.abort()
            return
        for reply in replies:
            waiting = self.pending.pop(reply.n, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        for waiting in self.pending.values():
            if not waiting.done():
                waiting.set_exception(unavailable("the storage service went away"))
        self.pending.clear()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def _heed(place: asyncio.Future[Appended]) -> None:
    if not place.cancelled():
        place.exception()


def conflict() -> Fault:
    """The same (sender, id) is in the log with other content."""
    return Fault(ErrorCode.CONFLICT, "this id stands for another message")


class StorageClient:
    """The storage API. Every call raises Fault(UNAVAILABLE) while storage cannot be reached."""

    def __init__(self, address: str, token: bytes, group: asyncio.TaskGroup) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._token = token
        self._line: _Line | None = None
        self._n = 0
        self._batch: list[tuple[Received, asyncio.Future[Appended]]] = []
        self._group = group
        self._left = False

    @property
    def connected(self) -> bool:
        """Whether the door is open now."""
        return self._line is not None

    def submit(self, message: Received) -> "asyncio.Future[Appended]":
        """Hands one message over; the order of calls is the order in the log.

        The future has where the message stands once it is on disk, or the Fault. A conflict is a
        result here (`Appended.conflict`).
        """
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Appended] = loop.create_future()
        place.add_done_callback(_heed)  # who waited for it may have gone
        self._batch.append((message, place))
        if len(self._batch) == 1:
            loop.call_soon(self._flush)
        return place

    async def append(self, message: Received) -> Appended:
        """Where the message stands, once it is on disk; raises Fault(CONFLICT) for an id with other content."""
        stored = await self.submit(message)
        if stored.conflict:
            raise conflict()
        return stored

    async def after(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """Rows above the cursor, oldest first; None starts at the floor."""
        return await self._page(api.After(0, room, str(cursor or ""), limit))

    async def before(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """Rows at or below the cursor, newest first; None starts at the head."""
        return await self._page(api.Before(0, room, str(cursor or ""), limit))

    async def since(self, room: RoomId, second: int, limit: int) -> Span:
        """Which text rows are newer than this Unix second."""
        reply = await self._ask(api.Since(0, room, second, limit))
        assert isinstance(reply, api.Spanned)
        return reply.span

    async def moved(self, mark: int | None) -> api.Grown:
        """Every room that grew or whose floor rose since the mark."""
        reply = await self._ask(api.Moved(0, mark))
        assert isinstance(reply, api.Grown)
        return reply

    async def _page(self, ask: api.Ask) -> Page:
        reply = await self._ask(ask)
        assert isinstance(reply, api.Paged)
        return reply.page

    def _post(self, line: _Line, ask: api.Ask) -> "asyncio.Future[api.Reply]":
        self._n += 1
        waiting: asyncio.Future[api.Reply] = asyncio.get_running_loop().create_future()
        line.pending[self._n] = waiting
        assert line.transport is not None
        line.transport.write(api.pack(msgspec.structs.replace(ask, n=self._n)))
        return waiting

    async def _ask(self, ask: api.Ask, line: _Line | None = None) -> api.Reply:
        line = line or self._line
        if self._left or line is None or line.closed.done():
            raise unavailable("the storage service is away")
        try:
            async with asyncio.timeout(_DEADLINE):
                reply = await self._post(line, ask)
        except TimeoutError:
            if asyncio.get_running_loop().time() - line.heard >= _DEADLINE:
                line.abort()  # its other end may have gone without a word; the sweep alone asks twice a second
            raise unavailable("the storage service does not answer") from None
        if isinstance(reply, api.Refused):
            raise Fault(ErrorCode(reply.code), reply.detail, reply.retry)
        return reply

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        for start in range(0, len(batch), _BATCH_ROWS):
            self._group.create_task(self._store(batch[start : start + _BATCH_ROWS]))

    async def _store(self, batch: list[tuple[Received, asyncio.Future[Appended]]]) -> None:
        try:
            reply = await self._ask(api.Append(0, [message for message, _ in batch]))
        except Fault as fault:
            for _, place in batch:
                if not place.done():
                    place.set_exception(fault)
            return
        assert isinstance(reply, api.Stored)
        for (_, place), stored in zip(batch, reply.results, strict=True):
            if not place.done():
                place.set_result(stored)

    async def leave(self, leaving: asyncio.Event, seconds: float) -> None:
        """So many seconds after `leaving` is set, what still waits, and what comes, is told that storage is away."""
        await leaving.wait()
        await asyncio.sleep(seconds)
        self._left = True
        if self._line is not None:
            self._line.abort()

    async def run(self) -> None:
        """Keeps the connection up until cancelled; says once when it goes and when it is back."""
        await keep(self._hold, "storage")

    async def _hold(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_DIAL_DEADLINE):
            _, line = await loop.create_connection(_Line, self._host, self._port)
        try:
            async with asyncio.timeout(_DIAL_DEADLINE):
                await self._ask(api.Knock(0, self._token), line)
            self._line = line
            log.info("storage.connected")
            await line.closed
        finally:
            self._line = None
            line.abort()


@asynccontextmanager
async def open_storage(address: str, secret: bytes, group: asyncio.TaskGroup) -> AsyncIterator[StorageClient]:
    """A client that reconnects for ever."""
    client = StorageClient(address, api.service_token(secret), group)
    async with owned(group, client.run()):
        yield client

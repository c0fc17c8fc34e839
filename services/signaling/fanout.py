"""Fan-out: one frame built per message, one write per socket per event-loop turn, bounded queues.

A socket that takes too little is taken off the live list and served from the log at its own pace;
after ten seconds without progress it is closed (docs/security.md S16). Frames are written to the transport
beside the websockets library, which is sound without compression and while the connection is open.
"""

import asyncio
from collections.abc import Sequence

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from services.kernel.log.client import StorageClient
from services.kernel.log.feed import Feed, Listener
from services.kernel.model.errors import CloseCode, Fault
from services.kernel.model.ids import Cursor
from services.kernel.wire import codec
from services.kernel.wire.frames import Down, Reset
from services.kernel.wire.limits import HISTORY_PAGE, QUEUE_BYTES, QUEUE_MESSAGES, STUCK_S
from services.kernel.wire.rows import Row

_TAIL_BYTES = 64 * 1024
_LOOK_EVERY = 0.05
_STORAGE_PAUSE = 0.5


def text_frame(payload: bytes) -> bytes:
    """One unmasked, final text frame (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Stuck(Exception):
    """The client took nothing for ten seconds."""


class Outlet:
    """The outgoing side of one socket."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self._own: list[bytes] = []
        self._own_bytes = 0
        self._queued = 0

    @property
    def open(self) -> bool:
        """Whether frames may be written."""
        return self.connection.state is State.OPEN

    @property
    def buffered(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return int(self.connection.transport.get_write_buffer_size())

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing may be added which the log cannot bring later."""
        return self.buffered + self._own_bytes > QUEUE_BYTES

    def send(self, frame: Down) -> None:
        """Queues an answer to this client alone; it leaves at the end of the turn."""
        self.send_json(codec.encode(frame))

    def send_json(self, payload: bytes) -> None:
        """The same for JSON that is no frame of `egoat.1`.

        A client that is a whole queue behind is cut; when it comes back its join tells it what it missed.
        """
        if self.full:
            self._drop_own()
            self.connection.transport.abort()
            return
        if not self._own:
            asyncio.get_running_loop().call_soon(self._flush_own)
        self._own.append(text_frame(payload))
        self._own_bytes += len(self._own[-1])

    def _drop_own(self) -> None:
        self._own.clear()
        self._own_bytes = 0

    def _flush_own(self) -> None:
        if self._own:
            self.write(b"")

    def write(self, data: bytes) -> None:
        """Writes what is queued and then the data, in one write."""
        if self._own:
            data = b"".join(self._own) + data
            self._drop_own()
        if data and self.open:
            self.connection.transport.write(data)

    def takes(self, messages: int, size: int) -> bool:
        """Whether so many more messages fit the bounds; counts them when they do."""
        waiting = self.buffered
        if waiting == 0:
            self._queued = 0
        if self._queued + messages > QUEUE_MESSAGES and waiting > 0:
            return False
        if waiting and waiting + size > QUEUE_BYTES:
            return False
        self._queued += messages
        return True

    async def drained(self, down_to: int = _TAIL_BYTES) -> None:
        """Returns when little waits to be sent; raises Stuck after ten seconds without progress."""
        if self.buffered <= down_to:
            return
        loop = asyncio.get_running_loop()
        least, moved_at = self.buffered, loop.time()
        while self.open and (now := self.buffered) > down_to:
            if now < least:
                least, moved_at = now, loop.time()
            elif loop.time() - moved_at > STUCK_S:
                raise Stuck
            await asyncio.sleep(_LOOK_EVERY)


class Channel:
    """The sockets of one room in this process that get its messages."""

    def __init__(self, feed: Feed, storage: StorageClient, group: asyncio.TaskGroup) -> None:
        self.feed = feed
        self._storage, self._group = storage, group
        self._live: set[Outlet] = set()
        self._catching_up: set[Outlet] = set()
        self._pending: list[bytes] = []
        self._flushed = feed.place.cursor
        self.listener = Listener(self._on_rows, self._on_reset, lambda _: None)
        feed.listeners.add(self.listener)

    def start(self, outlet: Outlet, after: Cursor | None) -> Cursor:
        """Serves the socket from the cursor on, or only what is new; returns the head it starts from."""
        self._flush()
        if after is None or after == self._flushed:
            self._live.add(outlet)
        else:
            self._catching_up.add(outlet)
            self._group.create_task(self._serve_from_log(outlet, after))
        return self._flushed

    def stop(self, outlet: Outlet) -> None:
        """The socket has gone."""
        self._live.discard(outlet)
        self._catching_up.discard(outlet)

    def close(self) -> None:
        """The last socket has gone."""
        self.feed.listeners.discard(self.listener)

    def _on_rows(self, rows: Sequence[Row]) -> None:
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending += [text_frame(codec.encode(codec.message(row))) for row in rows]

    def _on_reset(self, reason: str) -> None:
        place = self.feed.place
        frame = Reset(reason, self.feed.floor, place.last, place.log_id)
        self._pending.clear()
        self._flushed = place.cursor
        for outlet in self._live:
            outlet.send(frame)

    def _flush(self) -> None:
        before, self._flushed = self._flushed, self.feed.place.cursor
        if not self._pending:
            return
        count, data = len(self._pending), b"".join(self._pending)
        self._pending.clear()
        for outlet in tuple(self._live):
            if outlet.takes(count, len(data)):
                outlet.write(data)
            else:
                self._live.discard(outlet)
                self._catching_up.add(outlet)
                self._group.create_task(self._serve_from_log(outlet, before))

    async def _serve_from_log(self, outlet: Outlet, cursor: Cursor) -> None:
        """Brings a socket from the cursor to the live edge, never more than it takes."""
        try:
            while outlet.open and outlet in self._catching_up:
                await outlet.drained()
                cursor = await self._page(outlet, cursor)
                self._flush()
                if cursor == self._flushed:
                    if outlet.open and outlet in self._catching_up:
                        self._live.add(outlet)
                    return
        except Stuck:
            await outlet.connection.close(CloseCode.SLOW, "no progress for 10 s")
        finally:
            self._catching_up.discard(outlet)

    async def _page(self, outlet: Outlet, cursor: Cursor) -> Cursor:
        """Sends the next rows after the cursor; returns how far that came."""
        place = self.feed.place
        rows = self.feed.recent(cursor.seq) if cursor.log_id == place.log_id else None
        if rows is None or cursor.seq > place.last:
            try:
                page = await self._storage.after(self.feed.room, cursor, HISTORY_PAGE)
            except Fault:
                await asyncio.sleep(_STORAGE_PAUSE)
                return cursor
            if page.reset is not None:
                outlet.send(Reset(page.reset, page.floor, page.head, page.log_id))
                return Cursor(page.log_id, page.head)
            rows = page.rows
        return await self._send_rows(outlet, cursor, rows)

    async def _send_rows(self, outlet: Outlet, cursor: Cursor, rows: Sequence[Row]) -> Cursor:
        """Sends a first part of the rows, none that the feed has not come to: those come live."""
        frames: list[bytes] = []
        size, last = 0, cursor.seq
        for row in rows:
            if row.seq > self.feed.place.last or size > _TAIL_BYTES:
                break
            frames.append(text_frame(codec.encode(codec.message(row))))
            size, last = size + len(frames[-1]), row.seq
        if not frames:
            self.feed.read()
            await asyncio.sleep(_LOOK_EVERY)
        outlet.write(b"".join(frames))
        return Cursor(cursor.log_id, last)

"""The one log reader of a process: every rung's messages come from a Feed, contiguous per room.

A Feed stays open a while after its last user left, so that a poller does not subscribe anew each time.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import structlog

from services.kernel.bus import subjects
from services.kernel.bus.base import Bus, Delivery, Resumed
from services.kernel.bus.tasks import owned
from services.kernel.log.client import StorageClient
from services.kernel.log.reader import Place, Step, on_hint, on_page
from services.kernel.model.errors import Fault
from services.kernel.model.ids import RoomId, Seq
from services.kernel.wire.limits import HISTORY_PAGE, SWEEP_S
from services.kernel.wire.rows import Row, decode_hint

_RING_ROWS = 256
_RING_BYTES = 256 * 1024
_STAND_WITHIN = 2.0
_LINGER = 30.0

log = structlog.get_logger()

OnRows = Callable[[Sequence[Row]], None]
OnReset = Callable[[str], None]
OnSignal = Callable[[bytes], None]


class Listener:
    """What a user of a feed wants to hear; each callback must return at once.

    `on_reset` is called with the reason when the log was changed under the feed, `on_signal` with
    each publication on the room's signal subject.
    """

    def __init__(self, on_rows: OnRows, on_reset: OnReset, on_signal: OnSignal) -> None:
        self.on_rows, self.on_reset, self.on_signal = on_rows, on_reset, on_signal


class Feed:
    """The log of one room as it grows. `place` is how far everything was given to every listener."""

    def __init__(self, room: RoomId, feeds: "Feeds", place: Place, floor: Seq) -> None:
        self.room, self.place, self.floor = room, place, floor
        self.listeners: set[Listener] = set()
        self.behind = True  # the first sweep reads once: a hint may be lost while the feed opens
        self.users = 0
        self.idle_since = 0.0
        self._feeds = feeds
        self._reading = False
        self._ring: deque[Row] = deque()
        self._ring_bytes = 0

    def recent(self, after: Seq) -> list[Row] | None:
        """Rows above `after` from memory; None when it does not reach back that far, or `after` is below the floor.

        A floor is known half a second after it rose (the sweep); until then memory may give what was just forgotten.
        """
        if after < self.floor:
            return None
        if after >= self.place.last:
            return []
        if not self._ring or self._ring[0].seq > after + 1:
            return None
        return [row for row in self._ring if row.seq > after]

    def on_log(self, event: Delivery | Resumed) -> None:
        """A hint, or the end of a gap in the subscription."""
        hint = None
        if isinstance(event, Delivery):
            hint = decode_hint(self._feeds.hint_key, self.room, event.data)
        self.apply(on_hint(self.place, hint))

    def on_signal(self, event: Delivery | Resumed) -> None:
        """A signal or presence event of the room."""
        if isinstance(event, Delivery):
            for listener in tuple(self.listeners):
                listener.on_signal(event.data)

    def apply(self, step: Step) -> None:
        """Performs what the pure reader decided."""
        self.place = step.place
        if step.reset is not None:
            self._ring.clear()
            self._ring_bytes = 0
            for listener in tuple(self.listeners):
                listener.on_reset(step.reset)
        if step.rows:
            self._remember(step.rows)
            for listener in tuple(self.listeners):
                listener.on_rows(step.rows)
        if step.read:
            self.read()

    def on_sweep(self, head: Seq, floor: Seq) -> None:
        """Where the room stands in the log that this feed reads."""
        self.floor = max(self.floor, floor)
        if head > self.place.last:
            self.read()

    def read(self) -> None:
        """Reads the log from the place on; does nothing while a read is under way."""
        self.behind = True
        if not self._reading:
            self._reading = True
            self._feeds.spawn(self._read())

    async def _read(self) -> None:
        try:
            while self.behind:
                self.behind = False
                page = await self._feeds.storage.after(self.room, self.place.cursor, HISTORY_PAGE)
                self.floor = page.floor if page.log_id != self.place.log_id else max(self.floor, page.floor)
                step = on_page(self.place, page)
                self.behind = self.behind or step.read
                self.apply(Step(step.place, step.rows, reset=step.reset))
        except Fault:
            self.behind = True
            log.info("feed.waits", room=self.room)
        finally:
            self._reading = False

    def _remember(self, rows: Sequence[Row]) -> None:
        self._ring.extend(rows)
        self._ring_bytes += sum(len(row.env) for row in rows)
        while len(self._ring) > _RING_ROWS or (self._ring_bytes > _RING_BYTES and len(self._ring) > 1):
            self._ring_bytes -= len(self._ring.popleft().env)


class Feeds:
    """All open feeds of a process, and the sweep that finds lost hints and risen floors."""

    def __init__(self, bus: Bus, storage: StorageClient, hint_key: bytes, group: asyncio.TaskGroup) -> None:
        self.storage, self.hint_key = storage, hint_key
        self._bus = bus
        self._open: dict[RoomId, Feed] = {}
        self._opening: dict[RoomId, asyncio.Task[Feed | Fault]] = {}
        self._subscriptions: dict[RoomId, list[Callable[[], None]]] = {}
        self._group = group

    @asynccontextmanager
    async def use(self, room: RoomId) -> AsyncIterator[Feed]:
        """The feed of a room whose subscription stands (or could not within 2 s: then the sweep feeds it).

        Raises Fault(UNAVAILABLE) when the log cannot be read.
        """
        feed = self._open.get(room) or await self._start(room)
        feed.users += 1
        try:
            yield feed
        finally:
            feed.users -= 1
            feed.idle_since = asyncio.get_running_loop().time()

    async def _start(self, room: RoomId) -> Feed:
        task = self._opening.get(room)
        if task is None:
            task = self._group.create_task(self._settle(room))
            self._opening[room] = task
            task.add_done_callback(lambda _: self._opening.pop(room, None))
        opened = await asyncio.shield(task)
        if isinstance(opened, Fault):
            raise Fault(opened.code, opened.detail, opened.retry)
        return opened

    async def _settle(self, room: RoomId) -> Feed | Fault:
        try:
            return await self._begin(room)
        except Fault as fault:
            return fault

    async def _begin(self, room: RoomId) -> Feed:
        early: list[Delivery | Resumed] = []
        feed: Feed | None = None

        def on_log(event: Delivery | Resumed) -> None:
            early.append(event) if feed is None else feed.on_log(event)

        def on_signal(event: Delivery | Resumed) -> None:
            if feed is not None:
                feed.on_signal(event)

        hints = self._bus.subscribe(subjects.room_log(room), on_log)
        signals = self._bus.subscribe(subjects.room_signals(room), on_signal)
        try:
            await hints.standing(_STAND_WITHIN)
            await signals.standing(_STAND_WITHIN if self._bus.connected else 0)
            page = await self.storage.before(room, None, 0)
        except BaseException:
            hints.close()
            signals.close()
            raise
        feed = Feed(room, self, Place(page.log_id, page.head), page.floor)
        feed.idle_since = asyncio.get_running_loop().time()
        self._open[room] = feed
        self._subscriptions[room] = [hints.close, signals.close]
        for event in early:
            feed.on_log(event)
        return feed

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Runs a read in the background."""
        self._group.create_task(work)

    async def run(self) -> None:
        """Sweeps every half second until cancelled: one call tells every room that grew."""
        mark: int | None = None
        log_id: str | None = None
        while True:
            await asyncio.sleep(SWEEP_S)
            self._close_idle()
            try:
                grown = await self.storage.moved(mark)
            except Fault:
                continue
            if mark is None or grown.log_id != log_id:
                for feed in self._open.values():
                    feed.read()
            mark = grown.mark if log_id in (None, grown.log_id) else None  # a mark counts in one log only
            log_id = grown.log_id
            for name, head, floor in grown.rooms:
                feed_of = self._open.get(RoomId(name))
                if feed_of is not None and grown.log_id == feed_of.place.log_id:
                    feed_of.on_sweep(Seq(head), Seq(floor))
            for feed in self._open.values():
                if feed.behind:
                    feed.read()

    def _close_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        for room, feed in list(self._open.items()):
            if feed.users == 0 and now - feed.idle_since > _LINGER:
                del self._open[room]
                for close in self._subscriptions.pop(room):
                    close()


@asynccontextmanager
async def open_feeds(
    bus: Bus, storage: StorageClient, hint_key: bytes, group: asyncio.TaskGroup
) -> AsyncIterator[Feeds]:
    """Feeds with their sweep running."""
    feeds = Feeds(bus, storage, hint_key, group)
    async with owned(group, feeds.run()):
        yield feeds

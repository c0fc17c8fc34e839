"""One node in one process: a memory store behind the storage client's calls, its committer, and a bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from services.kernel.bus.tasks import owned
from services.kernel.log.client import StorageClient
from services.kernel.log.feed import Feeds, open_feeds
from services.kernel.model.errors import unavailable
from services.kernel.model.ids import Cursor, RoomId
from services.kernel.wire.rows import Appended, Page, Received, hint_key
from services.kernel.wire.storage_api import Grown
from services.storage.committer import Committer
from tests.fakes.memory_bus import MemoryBus, MemoryHub
from tests.fakes.memory_leases import MemoryLeases
from tests.fakes.memory_store import MemoryStore
from tests.fakes.virtual_time import LoopClock

SECRET = bytes(32)
KEY = hint_key(SECRET)


class NearStorage:
    """The storage client's calls, without a connection. While `away`, each is refused."""

    def __init__(self, store: MemoryStore, committer: Committer) -> None:
        self.store, self.committer = store, committer
        self.away = False
        self.reads: list[int] = []
        self.sweeps = 0
        self.before_page: asyncio.Event | None = None

    def _check(self) -> None:
        if self.away:
            raise unavailable("the storage was told to be away")

    async def append(self, message: Received) -> Appended:
        """See StorageClient.append."""
        self._check()
        [placed] = await self.committer.append([message])
        return placed

    async def after(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """See StorageClient.after; with `before_page` the page, read already, arrives once that is set."""
        self._check()
        self.reads.append(cursor.seq if cursor else 0)
        page = await self.store.after(room, cursor, limit)
        if self.before_page is not None:
            await self.before_page.wait()
        return page

    async def before(self, room: RoomId, cursor: Cursor | None, limit: int) -> Page:
        """See StorageClient.before."""
        self._check()
        return await self.store.before(room, cursor, limit)

    async def moved(self, mark: int | None) -> Grown:
        """See StorageClient.moved."""
        self._check()
        self.sweeps += 1
        growth = await self.store.moved(mark)
        return Grown(0, growth.log_id, growth.mark, list(growth.rooms))


class Node:
    """The parts that the processes of a node share. `hub` is its Redis."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.group, self.clock = group, LoopClock()
        self.hub, self.leases = MemoryHub(), MemoryLeases(self.clock)
        self.store = MemoryStore(self.clock)
        self.bus = MemoryBus(self.hub)
        self.storage = NearStorage(self.store, Committer(self.store, self.bus, KEY))

    @asynccontextmanager
    async def process(self) -> AsyncIterator[tuple[MemoryBus, Feeds]]:
        """What one of its processes has: a bus connection and feeds of its own."""
        bus = MemoryBus(self.hub)
        async with open_feeds(bus, self.client, KEY, self.group) as feeds:
            yield bus, feeds

    @property
    def client(self) -> StorageClient:
        """The storage, as services type it."""
        return cast(StorageClient, self.storage)


@asynccontextmanager
async def running_node() -> AsyncIterator[Node]:
    """A node whose storage commits; all its tasks end with the block."""
    async with asyncio.TaskGroup() as group:
        node = Node(group)
        async with owned(group, node.storage.committer.run()):
            yield node

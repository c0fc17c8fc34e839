"""Composition of the signaling service: bus, leases, storage client, feeds, rooms, sockets, health."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.server import serve

from services.kernel.bus.redis_bus import open_bus
from services.kernel.bus.redis_leases import open_leases
from services.kernel.bus.tasks import owned
from services.kernel.log.client import open_storage
from services.kernel.log.feed import open_feeds
from services.kernel.model.errors import CloseCode
from services.kernel.model.join import JoinKeys
from services.kernel.run import health as healths
from services.kernel.run.clock import SystemClock
from services.kernel.run.joining import Joining
from services.kernel.run.limits import Budgets
from services.kernel.run.listen import BACKLOG, listen
from services.kernel.run.origin import Door, Tags
from services.kernel.run.relaying import TurnDesk
from services.kernel.run.serve import Parts, http
from services.kernel.run.settings import read_secret
from services.kernel.run.turn import Relay
from services.kernel.wire.limits import FRAME_BYTES
from services.kernel.wire.roster import events_key
from services.kernel.wire.rows import hint_key
from services.signaling.presence import Presence
from services.signaling.receipts import Receipts
from services.signaling.room import Rooms
from services.signaling.settings import Settings
from services.signaling.socket import Sockets

# websockets waits without end for a paused client, also in pings and closes; what waits is bounded by Outlet.
_NEVER_PAUSE = 2**30

# What a client sent ahead is parsed in one go once it is read, and all others wait meanwhile; the kernel doubles this.
_UNREAD_BYTES = 32 * 1024


@asynccontextmanager
async def _running(
    settings: Settings, group: asyncio.TaskGroup, health: healths.Health
) -> AsyncIterator[None]:
    mine, shared = settings.signaling, settings.shared
    secret, relay = read_secret(shared.secret_file), Relay.of(settings.turn)
    inside = listen(mine.internal_host, mine.internal_port)
    outside = listen(mine.host, mine.port, reuse_port=True)
    outside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)
    door = Door.of(settings.public)
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        bus = await stack.enter_async_context(open_bus(shared.redis_url, group))
        leases = await stack.enter_async_context(open_leases(shared.redis_url))
        storage = await stack.enter_async_context(
            open_storage(settings.public.storage_address, secret, group)
        )
        feeds = await stack.enter_async_context(open_feeds(bus, storage, hint_key(secret), group))
        replica = secrets.token_bytes(8)
        told = settings.public.receipts == "on"
        rooms = Rooms(feeds, storage, bus, leases, events_key(secret), replica, group, receipts=told)
        presence = Presence(leases, rooms, settings.limits.sockets, settings.limits.peers)
        await stack.enter_async_context(owned(group, presence.run()))
        await stack.enter_async_context(owned(group, Receipts(presence, rooms).run()))
        joining = Joining(JoinKeys.of(secret), leases, clock)
        budgets = Budgets(settings.limits, leases, clock)
        await stack.enter_async_context(owned(group, budgets.run()))
        turn = TurnDesk(relay, budgets, clock)
        sockets = Sockets(rooms, presence, storage, joining, door, clock, Tags(secret), budgets, turn)
        health.needs["storage"] = lambda: storage.connected
        health.notes["redis"] = lambda: bus.connected
        await stack.enter_async_context(http(healths.app(health), inside, group))
        logging.getLogger("websockets").setLevel(logging.ERROR)
        await stack.enter_async_context(_open(outside, sockets))
        stack.callback(presence.stop)
        yield


@asynccontextmanager
async def _open(outside: socket.socket, sockets: Sockets) -> AsyncIterator[None]:
    """Takes sockets while the block lasts, then tells all of them to come back."""
    server = await serve(
        sockets.serve,
        sock=outside,
        process_request=sockets.admit,
        select_subprotocol=sockets.choose,
        compression=None,
        max_size=FRAME_BYTES,
        server_header=None,
        open_timeout=10,
        close_timeout=2,
        write_limit=_NEVER_PAUSE,
        backlog=BACKLOG,
    )
    try:
        yield
    finally:
        server.close(code=CloseCode.RESTART, reason="restart")
        await server.wait_closed()


def parts(settings: Settings) -> Parts:
    """The signaling service with these settings."""
    return lambda group, health: _running(settings, group, health)

"""Composition of the storage service: store, committer, stream door, health."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from weakref import WeakSet

from services.kernel.bus.redis_bus import open_bus
from services.kernel.bus.tasks import owned
from services.kernel.model.errors import Fault
from services.kernel.run import health as healths
from services.kernel.run.clock import SystemClock
from services.kernel.run.listen import listen
from services.kernel.run.serve import Parts, http
from services.kernel.run.settings import StartError, read_secret
from services.kernel.wire.rows import hint_key
from services.kernel.wire.storage_api import service_token
from services.storage.committer import Committer
from services.storage.settings import Settings
from services.storage.stores.base import Store
from services.storage.stores.holding import StoreInUse
from services.storage.stores.sqlite import open_sqlite
from services.storage.stream import Door

_PROBE_EVERY = 5.0


def open_store(url: str) -> Store:
    """The store that the URL names; raises StartError when it cannot be opened for writing."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or not parts.path.startswith("/"):
        raise StartError(f"no store of the form {parts.scheme}:// is known; use sqlite:////path/of/chat.db")
    path = Path(parts.path)
    try:
        return open_sqlite(path, SystemClock())
    except StoreInUse as problem:
        raise StartError(str(problem)) from None
    except (OSError, sqlite3.Error) as problem:
        raise StartError(f"the database {path} cannot be written: {problem}") from None


async def _probe(store: Store, committer: Committer) -> None:
    """While commits fail, asks now and then whether the store can write again; an idle healthy disk is left alone."""
    while True:
        await asyncio.sleep(_PROBE_EVERY)
        if committer.failing:
            with contextlib.suppress(Fault):
                await store.ready()
                committer.failing = False


@asynccontextmanager
async def _running(
    settings: Settings, group: asyncio.TaskGroup, health: healths.Health
) -> AsyncIterator[None]:
    mine = settings.storage
    secret = read_secret(settings.shared.secret_file)
    inside = listen(mine.internal_host, mine.internal_port)
    door = listen(mine.host, mine.port)
    store = open_store(mine.url)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.aclose)
        bus = await stack.enter_async_context(open_bus(settings.shared.redis_url, group))
        committer = Committer(store, bus, hint_key(secret), mine.commit_gap)
        await stack.enter_async_context(owned(group, _probe(store, committer)))
        await stack.enter_async_context(owned(group, committer.run()))
        token, doors = service_token(secret), WeakSet[Door]()

        def open_door() -> Door:
            opened = Door(store, committer, token, group)
            doors.add(opened)
            return opened

        def each_door(does: Callable[[Door], None]) -> None:
            for each in tuple(doors):
                does(each)

        stack.callback(each_door, Door.leave)
        stack.push_async_callback(committer.drain)
        server = await asyncio.get_running_loop().create_server(open_door, sock=door)
        stack.callback(each_door, Door.rest)
        stack.callback(server.close)
        health.needs["database"] = lambda: not committer.failing
        health.notes["redis"] = lambda: bus.connected
        await stack.enter_async_context(http(healths.app(health), inside, group))
        yield


def parts(settings: Settings) -> Parts:
    """The storage service with these settings."""
    return lambda group, health: _running(settings, group, health)

"""The store suite against SQLite and against memory."""

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from services.storage.stores.base import Store
from services.storage.stores.sqlite import SqliteStore, open_sqlite
from tests.contract.store_moved_suite import MovedSuite
from tests.contract.store_suite import (
    AppendSuite,
    FailureSuite,
    ForgetSuite,
    KeySuite,
    PageSuite,
)
from tests.contract.store_time_suite import SinceSuite, TimeSuite
from tests.contract.store_world import StoreWorld, opened
from tests.fakes.manual_clock import ManualClock
from tests.fakes.memory_store import MemoryStore


@contextmanager
def full_disk(limit: int = 16 * 1024) -> Iterator[None]:
    """No file of this process grows beyond `limit` bytes: writes fail as on a full disk (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class SqliteWorld:
    """A file in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.path = ManualClock(), folder / "chat.db"

    def open(self) -> SqliteStore:
        """See StoreWorld."""
        return open_sqlite(self.path, self.clock)

    @contextmanager
    def failing(self, store: Store) -> Iterator[None]:
        """See StoreWorld: the write-ahead log cannot grow."""
        with full_disk():
            yield


class MemoryWorld:
    """Memory; opening again starts anew."""

    def __init__(self) -> None:
        self.clock = ManualClock()

    def open(self) -> MemoryStore:
        """See StoreWorld."""
        return MemoryStore(self.clock)

    @contextmanager
    def failing(self, store: Store) -> Iterator[None]:
        """See StoreWorld."""
        assert isinstance(store, MemoryStore)
        store.failing = True
        yield
        store.failing = False


class StoreSuite(
    AppendSuite, PageSuite, ForgetSuite, MovedSuite, FailureSuite, KeySuite, TimeSuite, SinceSuite
):
    """The whole protocol."""

    @pytest_asyncio.fixture
    async def store(self, world: StoreWorld) -> AsyncIterator[Store]:
        """The world's store."""
        async with opened(world) as store:
            yield store


class TestSqliteStore(StoreSuite):
    """The real one."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SqliteWorld:
        """A new file."""
        return SqliteWorld(tmp_path)


class TestMemoryStore(StoreSuite):
    """The one the unit tests use."""

    @pytest.fixture
    def world(self) -> MemoryWorld:
        """New memory."""
        return MemoryWorld()

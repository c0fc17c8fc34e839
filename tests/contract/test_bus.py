"""The bus suite against a real Redis and against memory, and what only Redis can show."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio

from services.kernel.bus.base import Bus
from services.kernel.bus.redis_bus import Endpoint, RedisBus, open_bus
from tests.contract.bus_suite import OTHER, ROOM, BusSuite, Ear, until
from tests.contract.redis_server import RedisServer
from tests.fakes.memory_bus import MemoryBus, MemoryHub


class RedisBusWorld:
    """A server of its own."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[RedisBus]:
        """See BusWorld."""
        async with asyncio.TaskGroup() as group, open_bus(self.server.url, group) as bus:
            await until(lambda: bus.connected)
            yield bus

    async def cut(self) -> None:
        """See BusWorld."""
        self.server.kill()

    async def mend(self) -> None:
        """See BusWorld."""
        self.server.start()


class MemoryBusWorld:
    """A hub of its own."""

    def __init__(self) -> None:
        self.hub = MemoryHub()

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        """See BusWorld."""
        yield MemoryBus(self.hub)

    async def cut(self) -> None:
        """See BusWorld."""
        self.hub.cut()

    async def mend(self) -> None:
        """See BusWorld."""
        self.hub.mend()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis."""
    with RedisServer(tmp_path).running() as server:
        yield server


class TestRedisBus(BusSuite):
    """The real one."""

    @pytest.fixture
    def world(self, server: RedisServer) -> RedisBusWorld:
        """A new server."""
        return RedisBusWorld(server)

    async def test_the_last_sink_of_a_subject_ends_its_subscription(self, world: RedisBusWorld) -> None:
        async with world.bus() as bus, redis.asyncio.Redis.from_url(world.server.url) as asking:
            one, two = bus.subscribe(ROOM, Ear()), bus.subscribe(ROOM, Ear())
            assert await one.standing(5)
            assert await two.standing(5)
            assert await asking.pubsub_numsub(ROOM) == [(ROOM.encode(), 1)]
            one.close()
            two.close()
            assert await bus.subscribe(OTHER, Ear()).standing(5)
            assert await asking.pubsub_numsub(ROOM, OTHER) == [(ROOM.encode(), 0), (OTHER.encode(), 1)]

    async def test_a_killed_subscriber_connection_is_a_gap(self, world: RedisBusWorld) -> None:
        async with world.bus() as bus, redis.asyncio.Redis.from_url(world.server.url) as asking:
            ear = Ear()
            assert await bus.subscribe(ROOM, ear).standing(5)
            await asking.client_kill_filter(_type="pubsub")
            await until(lambda: len(ear.heard) == 1)
            bus.publish(ROOM, b"next")
            await ear.hears(b"next")

    async def test_a_server_that_takes_nothing_costs_bounded_memory_and_no_time(
        self, world: RedisBusWorld
    ) -> None:
        async with world.bus() as bus:
            with world.server.frozen():
                for _ in range(64):
                    bus.publish(ROOM, bytes(256 * 1024))
                await until(lambda: not bus.connected)
            await until(lambda: bus.connected)

    async def test_a_password_is_shown_at_the_door(self, tmp_path: Path) -> None:
        with RedisServer(tmp_path, "--requirepass", "p@ss").running() as server:
            url = server.url.replace("unix://", "unix://:p%40ss@")
            async with asyncio.TaskGroup() as group, open_bus(url, group) as bus:
                ear = Ear()
                assert await bus.subscribe(ROOM, ear).standing(5)
                await until(lambda: bus.connected)
                bus.publish(ROOM, b"in")
                await ear.hears(b"in")


class TestMemoryBus(BusSuite):
    """The one the unit tests use."""

    @pytest.fixture
    def world(self) -> MemoryBusWorld:
        """A new hub."""
        return MemoryBusWorld()


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("redis://localhost", Endpoint(None, "localhost", 6379, "", "")),
        ("redis://:p%40ss@[::1]:7000/0", Endpoint(None, "::1", 7000, "", "p@ss")),
        ("redis://me:secret@redis:6379/0", Endpoint(None, "redis", 6379, "me", "secret")),
        ("unix:///run/redis.sock", Endpoint("/run/redis.sock", "", 0, "", "")),
    ],
)
def test_where_a_redis_url_leads(url: str, endpoint: Endpoint) -> None:
    assert Endpoint.parse(url) == endpoint


@pytest.mark.parametrize(
    "url", ["", "localhost:6379", "http://localhost", "redis://", "unix://", "rediss://h"]
)
def test_a_url_that_is_no_redis_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a Redis URL is"):
        Endpoint.parse(url)

"""The leases suite against a real Redis and against memory, and what only Redis can show."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop

from services.kernel.bus.base import Away, Lease
from services.kernel.bus.redis_leases import RedisLeases, open_leases
from tests.chaos.wall_clock import DAY_S, WallClock
from tests.contract.leases_suite import LeasesSuite, held
from tests.contract.redis_server import RedisServer
from tests.fakes.manual_clock import ManualClock
from tests.fakes.memory_leases import MemoryLeases


class RedisLeasesWorld:
    """A server of its own; its time is real."""

    def __init__(self, server: RedisServer) -> None:
        self.server, self._clients = server, AsyncExitStack()

    async def open(self) -> RedisLeases:
        """See LeasesWorld."""
        return await self._clients.enter_async_context(open_leases(self.server.url))

    async def pass_time(self, seconds: float) -> None:
        """See LeasesWorld."""
        await asyncio.sleep(seconds)

    async def cut(self) -> None:
        """See LeasesWorld."""
        self.server.kill()

    async def aclose(self) -> None:
        """See LeasesWorld."""
        await self._clients.aclose()


class MemoryLeasesWorld:
    """One object for all clients; its time is the test's."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._leases = MemoryLeases(self.clock)

    async def open(self) -> MemoryLeases:
        """See LeasesWorld."""
        return self._leases

    async def pass_time(self, seconds: float) -> None:
        """See LeasesWorld."""
        self.clock.advance(seconds)

    async def cut(self) -> None:
        """See LeasesWorld."""
        self._leases.away = True

    async def aclose(self) -> None:
        """See LeasesWorld."""


class TestRedisLeases(LeasesSuite):
    """The real one."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[RedisLeasesWorld]:
        """A new server."""
        with RedisServer(tmp_path).running() as server:
            yield RedisLeasesWorld(server)

    async def test_a_server_that_does_not_answer_is_away_after_a_second(
        self, leases: RedisLeases, world: RedisLeasesWorld
    ) -> None:
        await leases.hold("g", {"a": b"1"}, 10)
        started = time.monotonic()
        with world.server.frozen():
            answers = await asyncio.gather(
                leases.hold("g", {"a": b"1"}, 10), leases.once("n", 1), return_exceptions=True
            )
        assert [type(answer) for answer in answers] == [Away, Away]
        assert time.monotonic() - started < 2

    async def test_a_crowd_that_asks_at_once_is_answered(self, leases: RedisLeases) -> None:
        answers = await asyncio.gather(
            *(leases.once(f"n{number}", 10) for number in range(300)), return_exceptions=True
        )
        assert answers == [True] * 300

    async def test_a_server_that_came_back_is_used_again(
        self, leases: RedisLeases, world: RedisLeasesWorld
    ) -> None:
        await leases.hold("g", {"a": b"1"}, 10)
        world.server.kill()
        with pytest.raises(Away):
            await held(leases)
        world.server.start()
        assert await leases.hold("g", {"a": b"2"}, 10) == {"a"}
        assert set(await held(leases)) == {"a"}


class TestMemoryLeases(LeasesSuite):
    """The one the unit tests use."""

    @pytest.fixture
    def world(self) -> MemoryLeasesWorld:
        """New memory."""
        return MemoryLeasesWorld()

    async def test_what_ran_out_a_minute_ago_is_forgotten(
        self, leases: MemoryLeases, world: MemoryLeasesWorld
    ) -> None:
        await leases.hold("g", {"a": b"1"}, 1)
        await world.pass_time(62)
        assert await held(leases) == {}


async def test_a_redis_that_is_silent_is_waited_for_once(tmp_path: Path) -> None:
    """A poll asks three times; its answer may not be three seconds late."""
    with RedisServer(tmp_path).running() as server:
        async with open_leases(server.url) as leases:
            await leases.hold("g", {"a": b"1"}, 60)
            with server.frozen():
                began = time.monotonic()
                for _ in range(5):
                    with pytest.raises(Away):
                        await leases.holders(["g"])
                assert time.monotonic() - began < 1.4
            await asyncio.sleep(1.1)
            [held] = await leases.holders(["g"])
            assert held["a"].live


async def test_a_server_whose_clock_was_set_back_keeps_no_ghosts(tmp_path: Path) -> None:
    """Who is there stays there; what nobody repeats runs out within a minute, not in a day."""
    clock, server = WallClock(tmp_path / "clock"), RedisServer(tmp_path)
    server.env |= clock.env
    clock.set(DAY_S)
    with server.running():
        async with open_leases(server.url) as leases:
            await leases.hold("g", {"here": b"1", "ghost": b"2"}, 10)
            clock.set(0)
            assert await held(leases) == {"here": Lease(b"1", True), "ghost": Lease(b"2", True)}
            assert await leases.hold("g", {"here": b"1"}, 10) == set()
            clock.set(62)
            assert (await held(leases))["ghost"] == Lease(b"2", False)


async def test_a_server_whose_clock_leaps_ahead_takes_what_is_repeated(tmp_path: Path) -> None:
    clock, server = WallClock(tmp_path / "clock"), RedisServer(tmp_path)
    server.env |= clock.env
    with server.running():
        async with open_leases(server.url) as leases:
            await leases.hold("g", {"a": b"1"}, 10)
            clock.set(DAY_S)
            assert not any(lease.live for lease in (await held(leases)).values())
            await leases.hold("g", {"a": b"1"}, 10)
            assert await held(leases) == {"a": Lease(b"1", True)}


def test_a_redis_that_hangs_up_at_once_is_away() -> None:
    """uvloop says RuntimeError of a connection that ended before the first write; it may never get further up."""

    def hang_up(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listening.accept()
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                caller.close()

    async def ask(port: int) -> None:
        async with open_leases(f"redis://127.0.0.1:{port}/0") as leases, asyncio.TaskGroup() as group:

            async def one() -> None:
                for _ in range(10):
                    with pytest.raises(Away):
                        await leases.holders(["x"])

            for _ in range(40):
                group.create_task(one())

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=hang_up, args=(listening,), daemon=True).start()
        uvloop.run(ask(listening.getsockname()[1]))
        listening.shutdown(socket.SHUT_RDWR)

"""The levels suite against a real Redis and against memory, and what only Redis can show."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from services.kernel.bus.base import Away
from services.kernel.bus.redis_leases import RedisLeases
from services.kernel.model.bucket import Quota
from tests.contract.levels_suite import LevelsSuite, charge
from tests.contract.redis_server import RedisServer
from tests.contract.test_leases import MemoryLeasesWorld, RedisLeasesWorld


class TestRedisLevels(LevelsSuite):
    """The real one."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[RedisLeasesWorld]:
        """A new server."""
        with RedisServer(tmp_path).running() as server:
            yield RedisLeasesWorld(server)

    async def test_a_bucket_is_kept_no_longer_than_something_is_missing(
        self, levels: RedisLeases, world: RedisLeasesWorld
    ) -> None:
        await levels.settle([charge(10, key="soon", quota=Quota(10, 100)), charge(10, key="late")])
        with redis.Redis(unix_socket_path=str(world.server.socket)) as client:
            assert 1_000 < client.pttl("soon") <= 2_000
            assert 9_000_000 < client.pttl("late") <= 10_001_000

    async def test_a_server_that_lost_everything_learns_it_anew(
        self, levels: RedisLeases, world: RedisLeasesWorld
    ) -> None:
        await levels.settle([charge(100)])
        world.server.kill()
        with pytest.raises(Away):
            await levels.settle([charge(1)])
        world.server.start()
        assert await levels.settle([charge(2, left=-2)]) == [pytest.approx(-2, abs=0.1)]


class TestMemoryLevels(LevelsSuite):
    """The one the unit tests use."""

    @pytest.fixture
    def world(self) -> MemoryLeasesWorld:
        """New memory."""
        return MemoryLeasesWorld()

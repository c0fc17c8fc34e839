"""The Levels protocol: buckets that several processes draw from."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
import pytest_asyncio

from services.kernel.bus.base import Away, Levels
from services.kernel.model.bucket import Charge, Quota

SLOW = Quota(rate=0.001, burst=100)
FAST = Quota(rate=100, burst=100)


class LevelsWorld(Protocol):
    """One server (or what stands for it) and its time."""

    async def open(self) -> Levels:
        """Another client of the same server."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Returns after so many seconds of the server's clock."""
        ...

    async def cut(self) -> None:
        """The server is gone."""
        ...

    async def aclose(self) -> None:
        """Ends all clients."""
        ...


def charge(spent: float, left: float | None = None, key: str = "b", quota: Quota = SLOW) -> Charge:
    """By a process that believes in a bucket that was full before, unless told otherwise."""
    return Charge(key, quota, spent, quota.burst - spent if left is None else left)


class LevelsSuite:
    """Run with a `world` fixture."""

    @pytest_asyncio.fixture
    async def levels(self, world: LevelsWorld) -> AsyncIterator[Levels]:
        """One client."""
        yield await world.open()
        await world.aclose()

    async def test_what_one_takes_another_no_longer_has(self, levels: Levels, world: LevelsWorld) -> None:
        other = await world.open()
        assert await levels.settle([charge(30)]) == [pytest.approx(70, abs=0.1)]
        assert await other.settle([charge(50)]) == [pytest.approx(20, abs=0.1)]
        assert await levels.settle([charge(0, 70)]) == [pytest.approx(20, abs=0.1)]

    async def test_a_bucket_may_owe(self, levels: Levels) -> None:
        await levels.settle([charge(90)])
        assert await levels.settle([charge(90)]) == [pytest.approx(-80, abs=0.1)]

    async def test_what_nobody_knows_begins_at_what_is_believed(self, levels: Levels) -> None:
        assert await levels.settle([charge(3, left=-7)]) == [pytest.approx(-7, abs=0.1)]
        assert await levels.settle([charge(3, left=50)]) == [pytest.approx(-10, abs=0.1)]

    async def test_it_fills_with_time_up_to_its_burst(self, levels: Levels, world: LevelsWorld) -> None:
        await levels.settle([charge(90, quota=FAST)])
        await world.pass_time(0.3)
        (left,) = await levels.settle([charge(0, quota=FAST)])
        assert 39 < left < 70
        await world.pass_time(0.8)
        assert await levels.settle([charge(0, quota=FAST)]) == [pytest.approx(100)]
        assert await levels.settle([charge(1, quota=FAST)]) == [pytest.approx(99, abs=1)]

    async def test_a_debt_is_paid_back_by_time(self, levels: Levels, world: LevelsWorld) -> None:
        await levels.settle([charge(0, left=-20, quota=FAST)])
        await world.pass_time(0.1)
        (left,) = await levels.settle([charge(0, quota=FAST)])
        assert -11 < left < 20

    async def test_many_buckets_are_answered_in_their_order(self, levels: Levels) -> None:
        charges = [
            charge(0, left=number, key=f"b{number}", quota=Quota(0.001, 1000)) for number in range(700)
        ]
        assert await levels.settle(charges) == [pytest.approx(number, abs=0.1) for number in range(700)]
        assert await levels.settle([]) == []

    async def test_nothing_is_lost_when_many_settle_at_once(self, levels: Levels, world: LevelsWorld) -> None:
        clients = [levels, await world.open(), await world.open()]
        await levels.settle([charge(0)])
        await asyncio.gather(*(clients[n % 3].settle([charge(1)]) for n in range(60)))
        assert await levels.settle([charge(0)]) == [pytest.approx(40, abs=0.1)]

    async def test_without_the_server_it_raises_away(self, levels: Levels, world: LevelsWorld) -> None:
        await levels.settle([charge(1)])
        await world.cut()
        with pytest.raises(Away):
            await levels.settle([charge(1)])

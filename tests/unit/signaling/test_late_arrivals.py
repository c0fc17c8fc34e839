"""A join that is done too late takes nobody's place and nobody hears of it: its client has gone or is elsewhere."""

import asyncio
from collections.abc import Mapping

import pytest

from services.kernel.model.errors import ErrorCode
from services.kernel.wire.roster import SOCKET, Came, entry
from tests.fakes.people import ANN, GUS
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.expect import refused
from tests.unit.signaling.replicas import Client, replicas


@in_virtual_time
async def test_a_late_join_of_a_closed_socket_ends_no_live_one() -> None:
    """As after a replica that was frozen: the client has long been elsewhere when its old hello is read."""
    async with replicas() as (here, there):
        live, gus = await here.join(ANN), await here.join(GUS)
        await asyncio.sleep(1)
        gus.heard()
        for replica in (here, there):
            late = Client(replica, ANN, None)
            await late.socket.close(1006, "")
            with refused(ErrorCode.UNAVAILABLE):
                await late.come()
        await asyncio.sleep(30)
        assert (live.socket.closed, gus.heard()) == (None, [])


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same replica", "other replica"])
@in_virtual_time
async def test_a_late_join_of_an_open_socket_ends_no_younger_one(elsewhere: bool) -> None:
    async with replicas() as (here, there):
        live, gus = await here.join(ANN), await here.join(GUS)
        await asyncio.sleep(1)
        gus.heard()
        late = Client(there if elsewhere else here, ANN, None, age=4_000)
        with refused(ErrorCode.UNAVAILABLE, "a younger socket"):
            await late.come()
        assert await there.presence.knows(ANN.member()), "its place in the roster was not touched"
        await asyncio.sleep(30)
        assert (live.socket.closed, gus.heard()) == (None, [])
        young = Client(there if elsewhere else here, ANN, None, age=100)
        await young.come()
        await asyncio.sleep(0.1)
        assert live.socket.closed == (4001, "replaced")


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same replica", "other replica"])
@in_virtual_time
async def test_a_younger_socket_that_comes_while_an_older_one_joins_stays(elsewhere: bool) -> None:
    """The older is past its first look when the younger comes: it looks again when it is in the roster."""
    async with replicas() as (here, there):
        gus, hold = await here.join(GUS), here.node.leases.hold
        other = there if elsewhere else here
        late = Client(here, ANN, None, age=4_000)
        came = []

        async def held(group: str, facts: Mapping[str, bytes], ttl: float) -> set[str]:
            found = await hold(group, facts, ttl)
            if not came:
                came.append(None)
                came[0] = await other.join(ANN)
                await asyncio.sleep(0.1)
            return found

        here.node.leases.hold = held
        with refused(ErrorCode.UNAVAILABLE, "a younger socket"):
            await late.come()
        await asyncio.sleep(30)
        assert came[0].socket.closed is None
        assert gus.heard() == ["Ann joined"]


@in_virtual_time
async def test_word_of_an_older_socket_elsewhere_ends_no_younger_one() -> None:
    async with replicas() as (here, there):
        live, gus = await here.join(ANN), await there.join(GUS)
        now = here.node.clock.wall_ms()
        for age, closed in ((1, None), (-1, (4001, "replaced"))):
            gus.room.publish(Came(b"there", entry(ANN.member(), SOCKET, now + 9, challenged=now - age)))
            await asyncio.sleep(0.1)
            assert live.socket.closed == closed

"""Joins with memory: a nonce is spent once, on whichever replica, and while Redis is away."""

import asyncio

from services.kernel.model.errors import ErrorCode
from services.kernel.model.join import JoinKeys, JoinRequest
from services.kernel.run.joining import Joining
from tests.fakes.manual_clock import ManualClock
from tests.fakes.memory_leases import MemoryLeases
from tests.fakes.people import ANN, BEN, GUS, ROOM
from tests.fakes.virtual_time import LoopClock, in_virtual_time
from tests.unit.expect import refused

ORIGIN, HOST = "http://node:8080", "node:8080"


def replicas(count: int = 2) -> tuple[MemoryLeases, list[Joining]]:
    """Processes of one node that share Redis and secret."""
    clock = ManualClock()
    leases = MemoryLeases(clock)
    return leases, [Joining(JoinKeys.of(bytes(32)), leases, clock) for _ in range(count)]


async def test_a_nonce_of_one_replica_is_good_at_another_once() -> None:
    _, (here, there) = replicas()
    asked = ANN.join(here.nonce())
    assert (await there.admit(ROOM, asked, ORIGIN, HOST)).member.peer == ANN.peer
    for replica in (here, there):
        with refused(ErrorCode.UNAUTHORIZED, "used before"):
            await replica.admit(ROOM, asked, ORIGIN, HOST)


async def test_without_redis_a_replica_still_knows_what_it_spent() -> None:
    leases, (here, _) = replicas()
    leases.away = True
    asked = ANN.join(here.nonce())
    assert (await here.admit(ROOM, asked, ORIGIN, HOST)).member.verified
    with refused(ErrorCode.UNAUTHORIZED, "used before"):
        await here.admit(ROOM, asked, ORIGIN, HOST)
    leases.away = False
    with refused(ErrorCode.UNAUTHORIZED, "used before"):
        await here.admit(ROOM, asked, ORIGIN, HOST)


async def test_one_nonce_serves_one_peer() -> None:
    _, (here, _) = replicas()
    nonce = here.nonce()
    await here.admit(ROOM, ANN.join(nonce), ORIGIN, HOST)
    with refused(ErrorCode.UNAUTHORIZED, "used before"):
        await here.admit(ROOM, BEN.join(nonce), ORIGIN, HOST)


async def test_a_proof_that_does_not_hold_spends_nothing() -> None:
    _, (here, _) = replicas()
    nonce = here.nonce()
    with refused(ErrorCode.UNAUTHORIZED, "origin"):
        await here.admit(ROOM, ANN.join(nonce), "http://evil", HOST)
    assert (await here.admit(ROOM, ANN.join(nonce), ORIGIN, HOST)).member.verified


async def test_a_guest_spends_nothing() -> None:
    _, (here, _) = replicas()
    for _ in range(2):
        assert (await here.admit(ROOM, JoinRequest(GUS.session, "Gus"), None, HOST)).member.peer == GUS.peer


async def test_a_program_signs_the_address_it_dialled() -> None:
    _, (here, _) = replicas()
    assert (await here.admit(ROOM, ANN.join(here.nonce()), None, HOST)).member.verified
    with refused(ErrorCode.UNAUTHORIZED, "origin"):
        await here.admit(ROOM, ANN.join(here.nonce(), origin="http://other:8080"), None, HOST)


@in_virtual_time
async def test_what_was_spent_is_remembered_as_long_as_it_could_be_used() -> None:
    clock = LoopClock()
    leases = MemoryLeases(clock)
    leases.away = True
    here = Joining(JoinKeys.of(bytes(32)), leases, clock)
    asked = ANN.join(here.nonce())
    assert (await here.admit(ROOM, asked, ORIGIN, HOST)).member.verified
    for pause in (1, 28, 1):
        await asyncio.sleep(pause)
        with refused(ErrorCode.UNAUTHORIZED, "used before"):
            await here.admit(ROOM, asked, ORIGIN, HOST)
    await asyncio.sleep(0.1)
    with refused(ErrorCode.UNAUTHORIZED, "older than 30 s"):
        await here.admit(ROOM, asked, ORIGIN, HOST)
    await asyncio.sleep(3)
    assert (await here.admit(ROOM, BEN.join(here.nonce()), ORIGIN, HOST)).member.peer == BEN.peer


def test_tokens_are_read_by_every_replica() -> None:
    _, (here, there) = replicas()
    member, _ = there.by_token(here.token(ANN.member()))
    assert member == ANN.member()

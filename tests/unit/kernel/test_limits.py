"""Budgets of several processes that share their levels: who pays, what is refused, what an outage changes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from services.kernel.bus.tasks import owned
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import PeerId, RoomId
from services.kernel.run.limits import Budgets, Payer
from services.kernel.run.settings import Limits
from tests.fakes.memory_leases import MemoryLeases
from tests.fakes.virtual_time import LoopClock, in_virtual_time
from tests.unit.expect import refused

ROOM, OTHER = RoomId("room"), RoomId("other")
HERE, THERE = b"\x01" * 8, b"\x02" * 8
OFF = Limits(joins=0, sends=0, room_sends=0, frames=0, rooms=0)


def peer(name: str, address: bytes = b"") -> Payer:
    """Somebody with a key."""
    return Payer(PeerId(name), True, address)


def guest(label: str, address: bytes = b"") -> Payer:
    """Somebody with a label."""
    return Payer(PeerId(f"guest:{label}"), False, address)


class Node:
    """Processes over one memory."""

    def __init__(self, leases: MemoryLeases, processes: list[Budgets]) -> None:
        self.leases, self.processes = leases, processes

    async def flood(
        self, payer: Payer, per_second: int, seconds: float, *, rooms: list[RoomId] | None = None
    ) -> int:
        """How many messages are let through, spread over all processes."""
        found, number = 0, 0
        for step in range(int(seconds * 100)):
            while number < per_second * (step + 1) / 100:
                process = self.processes[number % len(self.processes)]
                found += allowed(process.send, payer, (rooms or [ROOM])[number % len(rooms or [ROOM])])
                number += 1
            await asyncio.sleep(0.01)
        return found


def allowed(ask: Callable[..., None], *asked: object, **more: object) -> bool:
    """Whether the question is not refused; a refusal must be of the right kind."""
    try:
        ask(*asked, **more)
    except Fault as fault:
        assert fault.code is ErrorCode.TOO_MANY
        assert fault.retry is not None and fault.retry > 0
        return False
    return True


def count(ask: Callable[..., None], tries: int, *asked: object, **more: object) -> int:
    """How many of so many tries are let through."""
    return sum(allowed(ask, *asked, **more) for _ in range(tries))


@asynccontextmanager
async def node(count: int = 1, limits: Limits | None = None) -> AsyncIterator[Node]:
    """So many processes of one node."""
    leases = MemoryLeases(LoopClock())
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        processes = [Budgets(limits or Limits(), leases, LoopClock()) for _ in range(count)]
        for process in processes:
            await stack.enter_async_context(owned(group, process.run()))
        yield Node(leases, processes)
        await stack.aclose()


@in_virtual_time
async def test_a_flood_over_four_processes_gets_what_one_may() -> None:
    async with node(4) as flooded:
        found = await flooded.flood(peer("flood"), 1_000, 8)
        assert found == pytest.approx(200 + 20 * 8, rel=0.1)
        assert await flooded.flood(peer("flood"), 1_000, 20) == pytest.approx(20 * 20, rel=0.1)


@in_virtual_time
async def test_an_honest_sender_in_the_flooded_room_is_never_refused() -> None:
    async with node(2) as flooded:
        async with asyncio.TaskGroup() as group:
            group.create_task(flooded.flood(peer("flood"), 2_000, 8))
            honest = group.create_task(flooded.flood(peer("honest"), 19, 8))
        assert honest.result() == 19 * 8


@in_virtual_time
async def test_a_burst_that_comes_at_once_everywhere_is_paid_back() -> None:
    async with node(4) as bursting:
        at_once = sum(count(each.send, 1_000, peer("burst"), ROOM) for each in bursting.processes)
        assert at_once == 4 * 200
        assert await bursting.flood(peer("burst"), 100, 28) <= 20, (
            "one who settled first believed in 0, not in debt"
        )
        assert await bursting.flood(peer("burst"), 100, 22) == pytest.approx(200 + 50 * 20 - 800, rel=0.1)


@in_virtual_time
async def test_a_room_has_a_bound_of_its_own_and_its_senders_keep_theirs() -> None:
    limits = Limits(sends=1_000, sends_burst=10_000)
    async with node(2, limits) as crowded:
        found = await crowded.flood(peer("crowd"), 2_000, 8)
        assert found == pytest.approx(400 * 4 + 400 * 8, rel=0.1)
        with refused(ErrorCode.TOO_MANY, "400 messages a second in one room"):
            for _ in range(100):
                crowded.processes[0].send(peer("crowd"), ROOM)
        assert count(crowded.processes[0].send, 100, peer("crowd"), OTHER) == 100


@in_virtual_time
async def test_guests_of_one_address_share_and_peers_do_not() -> None:
    async with node() as asked:
        (process,) = asked.processes
        assert count(process.send, 150, guest("a", HERE), ROOM) == 150
        assert count(process.send, 150, guest("b", HERE), ROOM) == 50
        assert count(process.send, 150, guest("b", THERE), ROOM) == 150
        assert count(process.send, 150, peer("c", HERE), ROOM) == 150
        assert count(process.send, 150, peer("d", HERE), ROOM) == 150
        assert count(process.send, 300, guest("a"), OTHER) == 200
        assert count(process.send, 300, guest("b"), OTHER) == 200


@in_virtual_time
async def test_joins_count_per_address_and_a_known_session_s_are_free() -> None:
    async with node() as asked:
        (process,) = asked.processes
        assert count(process.join, 100, peer("a", HERE), known=False) == 100
        assert count(process.join, 100, guest("b", HERE), known=False) == 20
        assert not process.may_join(peer("a", HERE)) and process.may_join(peer("a", THERE))
        with refused(ErrorCode.TOO_MANY, "joins a minute"):
            process.join(peer("a", HERE), known=False)
        assert count(process.join, 100, peer("a", HERE), known=True) == 100
        assert count(process.join, 100, peer("a", THERE), known=False) == 100
        for name in ("a", "b"):
            assert count(process.join, 200, peer(name), known=False) == 120


@in_virtual_time
async def test_a_trickle_of_candidates_passes_and_a_flood_of_frames_does_not() -> None:
    async with node(2) as asked:
        here, there = asked.processes
        for _ in range(20):
            assert count(here.frame, 50, peer("a", HERE)) == 50
            await asyncio.sleep(0.5)
        assert count(there.frame, 1, peer("a", HERE)) == 1
        await asyncio.sleep(0.2)
        assert count(here.frame, 5_000, peer("a", HERE)) == pytest.approx(1_000, abs=1)
        await asyncio.sleep(0.2)
        assert count(there.frame, 1, peer("a", HERE)) == 1, "it has not heard yet"
        await asyncio.sleep(0.2)
        assert count(there.frame, 5_000, peer("a", HERE)) < 50
        assert count(here.frame, 10, guest("a", HERE)) == 10, (
            "a guest's label at its address is another client"
        )
        assert count(here.send, 10, peer("a", HERE), ROOM) == 10


@in_virtual_time
async def test_rooms_are_charged_once_they_exist_and_new_ones_refused_then() -> None:
    async with node(2) as asked:
        here, there = asked.processes
        for _ in range(60):
            here.send(peer("a", HERE), ROOM, new=True)
            here.created(peer("a", HERE))
        assert not here.may_create(peer("b", HERE))
        with pytest.raises(Fault, match="60 new rooms an hour") as found:
            here.send(peer("b", HERE), ROOM, new=True)
        assert found.value.retry == pytest.approx(60, abs=1)
        here.send(peer("b", HERE), ROOM)
        assert here.may_create(peer("a", THERE))
        assert there.may_create(peer("a", HERE)), "it has not heard of this address"
        there.created(peer("a", HERE))
        await asyncio.sleep(0.2)
        assert not there.may_create(peer("a", HERE))
        await asyncio.sleep(60)
        assert not there.may_create(peer("a", HERE)), "one room was owed"
        await asyncio.sleep(60)
        assert there.may_create(peer("a", HERE))


@in_virtual_time
async def test_a_refused_first_message_costs_nothing() -> None:
    async with node(1, Limits(rooms=1)) as asked:
        (process,) = asked.processes
        process.created(peer("a"))
        assert count(process.send, 500, peer("a"), ROOM, new=True) == 0
        assert count(process.send, 500, peer("a"), ROOM) == 200


@in_virtual_time
async def test_without_redis_each_process_counts_alone_and_no_debt_is_left_behind() -> None:
    async with node(2) as alone:
        alone.leases.away = True
        found = await alone.flood(peer("a"), 1_000, 10)
        assert found == pytest.approx(2 * (200 + 20 * 10), rel=0.1)
        await asyncio.sleep(30)
        assert await alone.flood(peer("b"), 30, 60) == pytest.approx(30 * 60)
        alone.leases.away = False
        await asyncio.sleep(2)
        assert await alone.flood(peer("b"), 10, 20) == 200, "what was allowed is no debt now"
        assert await alone.flood(peer("a"), 1_000, 8) == pytest.approx(200 + 20 * 8, rel=0.1)


@in_virtual_time
async def test_a_limit_of_nought_is_none() -> None:
    async with node(1, OFF) as asked:
        (process,) = asked.processes
        for ask in (process.frame, process.created):
            assert count(ask, 20_000, guest("a", HERE)) == 20_000
        assert count(process.send, 20_000, guest("a", HERE), ROOM, new=True) == 20_000
        assert count(process.join, 20_000, guest("a", HERE), known=False) == 20_000
        assert process.may_create(guest("a", HERE))


@in_virtual_time
async def test_strangers_without_number_cost_bounded_memory() -> None:
    async with node() as asked:
        (process,) = asked.processes
        for number in range(30_000):
            process.frame(guest(f"g{number}"))
        assert len(process._ledger) <= 10_000


@in_virtual_time
async def test_refusals_of_one_address_are_paced_together_and_others_are_not() -> None:
    async with node() as flooded:
        (process,) = flooded.processes
        now = asyncio.get_running_loop().time

        async def refused_again_and_again(who: Payer, times: int) -> float:
            for _ in range(times):
                await process.rest(who)
            return now()

        began = now()
        many = (refused_again_and_again(peer(f"tab {n}", HERE), 10) for n in range(50))
        *_, other = await asyncio.gather(*many, refused_again_and_again(peer("once", THERE), 1))
        assert now() - began == pytest.approx(500 / 500, rel=0.05)
        assert other - began == pytest.approx(1 / 500, rel=0.05)


@in_virtual_time
async def test_nobody_who_was_refused_waits_longer_than_a_second_for_the_others_of_its_address() -> None:
    async with node() as flooded:
        (process,) = flooded.processes
        async with asyncio.timeout(1.1):
            await asyncio.gather(*(process.rest(peer(f"{number}", HERE)) for number in range(5_000)))


@in_virtual_time
async def test_only_who_is_refused_for_too_many_rests() -> None:
    async with node() as flooded:
        (process,) = flooded.processes
        began = asyncio.get_running_loop().time()
        async with process.paced(peer("fine")):
            pass
        with pytest.raises(Fault):
            async with process.paced(peer("wrong")):
                raise Fault(ErrorCode.FORBIDDEN, "no")
        assert asyncio.get_running_loop().time() == began
        with pytest.raises(Fault):
            async with process.paced(peer("flood")):
                raise Fault(ErrorCode.TOO_MANY, "no", retry=1)
        assert asyncio.get_running_loop().time() == pytest.approx(began + 0.01)

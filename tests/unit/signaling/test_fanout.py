"""Fan-out: frames as RFC 6455 has them, one write per turn, and what a slow client costs (P8, S16)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.kernel.log.feed import Feed
from services.kernel.model.ids import Cursor, LogId, Seq
from services.kernel.wire.frames import Ack, Pong
from services.kernel.wire.limits import QUEUE_BYTES, QUEUE_MESSAGES
from services.signaling.fanout import Channel, Outlet, Stuck, text_frame
from tests.fakes.memory_store import MemoryStore
from tests.fakes.node import Node, running_node
from tests.fakes.people import ROOM, received
from tests.fakes.socket import Socket
from tests.fakes.virtual_time import in_virtual_time

ACK = Ack("m", 1, "0" * 16, 5)


@pytest.mark.parametrize("size", [2, 125, 126, 127, 65_535, 65_536, 1_000_000])
@in_virtual_time
async def test_frames_of_every_length(size: int) -> None:
    socket = Socket()
    for _ in range(2):
        socket.transport.write(text_frame(b'"' + b"x" * (size - 2) + b'"'))
    assert socket.frames() == ["x" * (size - 2)] * 2
    shortest = 2 if size < 126 else 4 if size < 65_536 else 10
    assert len(socket.transport.writes[0]) == size + shortest


@in_virtual_time
async def test_answers_of_one_turn_leave_in_one_write() -> None:
    socket = Socket()
    outlet = Outlet(socket.connection)
    for number in range(3):
        outlet.send(Pong(number, 5))
    assert socket.transport.writes == []
    await asyncio.sleep(0)
    assert len(socket.transport.writes) == 1
    assert [frame["t"] for frame in socket.frames()] == [0, 1, 2]
    outlet.send(ACK)
    outlet.write(text_frame(b'{"type":"message","seq":1}'))
    await asyncio.sleep(0)
    assert len(socket.transport.writes) == 2
    assert [frame["type"] for frame in socket.frames()[3:]] == ["ack", "message"]


@in_virtual_time
async def test_nothing_is_written_to_a_closed_socket() -> None:
    socket = Socket()
    outlet = Outlet(socket.connection)
    await socket.close(1000, "")
    outlet.send(ACK)
    outlet.write(b"x")
    await asyncio.sleep(0)
    assert (socket.transport.writes, outlet.open) == ([], False)


@in_virtual_time
async def test_a_queue_has_so_many_messages_or_bytes() -> None:
    outlet = Outlet(Socket(rate=0).connection)
    assert outlet.takes(QUEUE_MESSAGES, 10)
    outlet.write(bytes(10))
    assert not outlet.takes(1, 10)
    big = Outlet(Socket(rate=0).connection)
    big.write(bytes(QUEUE_BYTES - 10))
    assert big.takes(1, 10)
    assert not big.takes(1, 11)


@in_virtual_time
async def test_an_empty_queue_takes_anything_and_counts_anew() -> None:
    socket = Socket()
    outlet = Outlet(socket.connection)
    for _ in range(3):
        assert outlet.takes(QUEUE_MESSAGES + 1, 2 * QUEUE_BYTES)
    socket.transport.rate = 0
    outlet.write(b"x")
    assert not outlet.takes(1, 1)


@in_virtual_time
async def test_drained_waits_while_the_client_takes_and_gives_up_when_it_does_not() -> None:
    loop = asyncio.get_running_loop()
    for rate, size, expected in ((None, 10, 0.0), (0, 64 * 1024, 0.0), (50_000, 64 * 1024 + 500_000, 10.0)):
        socket, started = Socket(rate), loop.time()
        outlet = Outlet(socket.connection)
        outlet.write(bytes(size))
        await outlet.drained()
        assert loop.time() - started == pytest.approx(expected, abs=0.1)
    outlet = Outlet(Socket(rate=0).connection)
    outlet.write(bytes(100_000))
    started = loop.time()
    with pytest.raises(Stuck):
        await outlet.drained()
    assert loop.time() - started == pytest.approx(10, abs=0.2)


@in_virtual_time
async def test_a_socket_that_closes_is_no_longer_waited_for() -> None:
    socket = Socket(rate=0)
    outlet = Outlet(socket.connection)
    outlet.write(bytes(100_000))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(outlet.drained())
        await asyncio.sleep(1)
        await socket.close(1000, "")
        await asyncio.sleep(0.1)
        assert waiting.done()


class Hub:
    """One room in one process."""

    def __init__(self, node: Node, feed: Feed) -> None:
        self.node, self.feed = node, feed
        self.channel = Channel(feed, node.client, node.group)
        self.said = 0

    def join(self, after: int | Cursor | None = None, *, rate: float | None = None) -> tuple[Socket, Outlet]:
        """A socket that comes with this cursor."""
        socket = Socket(rate)
        outlet = Outlet(socket.connection)
        cursor = Cursor(self.node.store.log_id, Seq(after)) if isinstance(after, int) else after
        self.channel.start(outlet, cursor)
        return socket, outlet

    async def say(self, count: int = 1, *, text: str = "x") -> None:
        """So many messages in one commit."""
        batch = [received(f"m{self.said + number}", text=text) for number in range(count)]
        self.said += count
        await self.node.storage.committer.append(batch)


@asynccontextmanager
async def hub() -> AsyncIterator[Hub]:
    """A room whose feed has settled."""
    async with running_node() as node, node.process() as (_, feeds), feeds.use(ROOM) as feed:
        await asyncio.sleep(1.1)
        yield Hub(node, feed)


@in_virtual_time
async def test_messages_of_one_commit_are_one_write_of_the_same_bytes_to_every_socket() -> None:
    async with hub() as here:
        (one, _), (two, _) = here.join(), here.join()
        await here.say(5)
        await asyncio.sleep(0.01)
        assert one.seqs == two.seqs == [1, 2, 3, 4, 5]
        assert len(one.transport.writes) == 1
        assert one.transport.writes[0] is two.transport.writes[0]
        assert one.frames()[0]["env"] == received("m0", text="x").env


@in_virtual_time
async def test_a_socket_without_a_cursor_gets_only_what_is_new() -> None:
    async with hub() as here:
        await here.say(3)
        await asyncio.sleep(0.01)
        socket, outlet = here.join()
        await here.say(2)
        await asyncio.sleep(0.01)
        assert socket.seqs == [4, 5]
        here.channel.stop(outlet)
        await here.say()
        await asyncio.sleep(0.01)
        assert socket.seqs == [4, 5]


@pytest.mark.parametrize("after", [0, 1, 299, 300])
@in_virtual_time
async def test_a_socket_with_a_cursor_gets_what_it_lacks_and_then_what_is_new(after: int) -> None:
    async with hub() as here:
        for _ in range(30):
            await here.say(10)
        await asyncio.sleep(0.01)
        socket, _ = here.join(after)
        for _ in range(5):
            await here.say(2)
        await asyncio.sleep(1)
        assert socket.seqs == list(range(after + 1, 311))
        await here.say()
        await asyncio.sleep(0.01)
        assert socket.seqs[-1] == 311


@in_virtual_time
async def test_a_cursor_that_cannot_be_used_is_a_reset_and_then_what_is_new() -> None:
    async with running_node() as node:
        await node.store.append([received(f"old{number}") for number in range(5)])
        await node.store.forget(ROOM, Seq(2))
        log_id = node.store.log_id
        async with node.process() as (_, feeds), feeds.use(ROOM) as feed:
            here = Hub(node, feed)
            for after, reason in (
                (Cursor(LogId("f" * 16), Seq(3)), "log"),
                (9, "above_head"),
                (1, "below_floor"),
            ):
                socket, _ = here.join(after)
                await asyncio.sleep(0.2)
                head = feed.place.last
                await here.say()
                await asyncio.sleep(0.2)
                assert socket.frames()[0] == {
                    "type": "reset", "reason": reason, "floor": 2, "head": head, "log_id": log_id
                }  # fmt: skip
                assert socket.seqs == [head + 1]


@in_virtual_time
async def test_a_log_that_was_replaced_is_a_reset_for_everybody() -> None:
    async with hub() as here:
        await here.say(5)
        await asyncio.sleep(0.6)
        (one, _), (two, _) = here.join(), here.join(0)
        await asyncio.sleep(0.6)
        fresh = here.node.storage.store = MemoryStore(here.node.clock)
        await fresh.append([received("other")])
        await asyncio.sleep(1.1)
        for socket in (one, two):
            assert socket.frames()[-1] == {
                "type": "reset", "reason": "log", "floor": 0, "head": 1, "log_id": fresh.log_id
            }  # fmt: skip


@in_virtual_time
async def test_a_stuck_client_costs_bounded_memory_delays_nobody_and_is_cut() -> None:
    async with hub() as here:
        (stuck, _), (fast, _) = here.join(rate=0), here.join()
        for _ in range(300):
            await here.say(10, text="y" * 1_000)
        await asyncio.sleep(0.01)
        assert fast.seqs == list(range(1, 3_001))
        await asyncio.sleep(9)
        assert stuck.closed is None
        await asyncio.sleep(2)
        assert stuck.closed == (4008, "no progress for 10 s")
        assert stuck.transport.most_waiting <= QUEUE_BYTES
        assert len(stuck.transport.writes) <= QUEUE_MESSAGES
        assert fast.closed is None


@in_virtual_time
async def test_a_slow_client_is_served_from_the_log_at_its_own_pace() -> None:
    async with hub() as here:
        slow, _ = here.join(rate=40_000)
        for _ in range(100):
            await here.say(10, text="z" * 1_000)
        await asyncio.sleep(10)
        assert 0 < len(slow.seqs) < 1_000
        for _ in range(5):
            await here.say()
            await asyncio.sleep(10)
        assert slow.seqs == list(range(1, 1_006))
        assert slow.closed is None
        assert slow.transport.most_waiting <= QUEUE_BYTES
        writes = len(slow.transport.writes)
        await here.say(2)
        await asyncio.sleep(0.1)
        assert (slow.seqs[-1], len(slow.transport.writes)) == (1_007, writes + 1)


@in_virtual_time
async def test_while_storage_is_away_a_client_that_lags_waits() -> None:
    async with hub() as here:
        for _ in range(60):
            await here.say(10)
        await asyncio.sleep(0.6)
        here.node.storage.away = True
        socket, _ = here.join(0)
        await asyncio.sleep(20)
        assert (socket.seqs, socket.closed) == ([], None)
        here.node.storage.away = False
        await asyncio.sleep(2)
        assert socket.seqs == list(range(1, 601))


@in_virtual_time
async def test_a_channel_that_closed_hears_nothing_more() -> None:
    async with hub() as here:
        socket, _ = here.join()
        here.channel.close()
        await here.say()
        await asyncio.sleep(1)
        assert socket.seqs == []

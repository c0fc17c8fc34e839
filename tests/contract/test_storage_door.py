"""The storage API from end to end: the client every service uses, over a real socket, to the stream door."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from services.kernel.bus.tasks import owned
from services.kernel.log.client import StorageClient, open_storage
from services.kernel.model.errors import ErrorCode
from services.kernel.model.ids import Cursor, LogId, RoomId, Seq
from services.kernel.wire import storage_api as api
from services.kernel.wire.rows import Appended, Received
from services.storage.committer import Committer
from services.storage.stream import Door
from tests.contract.bus_suite import until
from tests.fakes.manual_clock import ManualClock
from tests.fakes.memory_bus import MemoryBus
from tests.fakes.memory_store import MemoryStore
from tests.fakes.node import KEY, SECRET
from tests.fakes.people import ANN, ROOM, received
from tests.unit.expect import refused


class CountingStore(MemoryStore):
    """A memory store that knows how large its transactions were."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.batches: list[int] = []

    async def append(self, batch: Sequence[Received]) -> Sequence[Appended]:
        """See Store.append."""
        self.batches.append(len(batch))
        return await super().append(batch)


class House:
    """A storage service on a loopback port; `connections` are its ends of what was dialled."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.group, self.store = group, CountingStore()
        self.committer = Committer(self.store, MemoryBus(), KEY, 0)
        self.connections: list[Door] = []
        self.server: asyncio.Server
        self.port = 0

    def door(self) -> Door:
        """One more connection."""
        self.connections.append(Door(self.store, self.committer, api.service_token(SECRET), self.group))
        return self.connections[-1]

    async def listen(self) -> None:
        """Opens the port, the same again after the first time."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self.door, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    def hang_up(self) -> None:
        """The process is gone."""
        self.server.close()
        for door in self.connections:
            door._shut()
        self.connections.clear()


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """A storage service that works."""
    async with asyncio.TaskGroup() as group:
        made = House(group)
        await made.listen()
        async with owned(group, made.committer.run()):
            yield made
            made.hang_up()


@asynccontextmanager
async def client(made: House, secret: bytes = SECRET) -> AsyncIterator[StorageClient]:
    """A service's client."""
    async with open_storage(f"127.0.0.1:{made.port}", secret, made.group) as storage:
        yield storage


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[House, StorageClient]]:
    """Both ends."""
    async with house() as made, client(made) as storage:
        await until(lambda: storage.connected)
        yield made, storage


async def test_every_question_is_answered_as_the_store_answers_it() -> None:
    async with connected() as (made, storage):
        placed = await storage.append(received("a", by=ANN))
        assert (placed.seq, placed.fresh, placed.log_id) == (1, True, made.store.log_id)
        await storage.append(received("b", room="other"))
        assert (await storage.append(received("a", by=ANN))).fresh is False
        for cursor in (None, Cursor(made.store.log_id, Seq(1)), Cursor(LogId("f" * 16), Seq(0))):
            assert await storage.after(ROOM, cursor, 10) == await made.store.after(ROOM, cursor, 10)
            assert await storage.before(ROOM, cursor, 10) == await made.store.before(ROOM, cursor, 10)
        assert await storage.since(ROOM, 0, 10) == await made.store.since(ROOM, 0, 10)
        grown = await storage.moved(0)
        assert (grown.log_id, sorted(grown.rooms)) == (made.store.log_id, [("other", 1, 0), (ROOM, 1, 0)])
        assert (await storage.moved(None)).mark == grown.mark == 2


async def test_sends_of_one_loop_turn_are_one_transaction_in_their_order() -> None:
    async with connected() as (made, storage):
        places = [storage.submit(received(f"m{number}")) for number in range(500)]
        assert [(await place).seq for place in places] == list(range(1, 501))
        assert made.store.batches == [500]


async def test_a_crowd_of_sends_keeps_its_order_over_several_batches() -> None:
    async with connected() as (made, storage):
        places = [storage.submit(received(f"m{number}")) for number in range(2_000)]
        assert [(await place).seq for place in places] == list(range(1, 2_001))
        assert len(made.store.batches) <= 4


async def test_a_conflict_is_a_result_of_submit_and_a_fault_of_append() -> None:
    async with connected() as (_, storage):
        await storage.append(received("a"))
        assert (await storage.submit(received("a", text="other"))).conflict
        with refused(ErrorCode.CONFLICT):
            await storage.append(received("a", text="other"))


async def test_a_store_that_fails_is_unavailable_to_all_who_ask() -> None:
    async with connected() as (made, storage):
        made.store.failing = True
        for work in (
            storage.append(received()),
            storage.after(ROOM, None, 1),
            storage.moved(None),
        ):
            with refused(ErrorCode.UNAVAILABLE, "told to fail"):
                await work
        made.store.failing = False
        assert (await storage.append(received())).seq == 1


async def test_a_caller_that_gives_up_hurts_nobody() -> None:
    async with connected() as (made, storage):
        leaving, staying = storage.submit(received("a")), storage.submit(received("b"))
        leaving.cancel()
        assert (await staying).seq == 2
        assert made.store.head(ROOM) == 2


async def test_without_a_connection_everything_is_unavailable_at_once() -> None:
    async with house() as made:
        made.hang_up()
        async with client(made) as storage:
            assert not storage.connected
            for work in (storage.append(received()), storage.before(ROOM, None, 1)):
                with refused(ErrorCode.UNAVAILABLE, "away"):
                    await work


async def test_what_was_under_way_when_the_service_went_is_unavailable_and_the_client_comes_back() -> None:
    async with connected() as (made, storage):
        place = storage.submit(received("a"))
        await asyncio.sleep(0)
        made.hang_up()
        with refused(ErrorCode.UNAVAILABLE, "went away"):
            await place
        await until(lambda: not storage.connected)
        await made.listen()
        await until(lambda: storage.connected)
        assert (await storage.append(received("a"))).seq == 1


async def test_a_connection_on_which_nothing_comes_any_more_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its other end may have lost its power: then no end of the connection is ever told."""
    monkeypatch.setattr("services.kernel.log.client._DEADLINE", 0.2)
    async with connected() as (made, storage):
        made.connections[0].rest()
        with refused(ErrorCode.UNAVAILABLE, "does not answer"):
            await storage.append(received())
        await until(lambda: len(made.connections) == 2 and storage.connected)
        assert (await storage.append(received())).seq == 1


async def test_an_answer_that_takes_too_long_ends_no_connection_that_answers_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.kernel.log.client._DEADLINE", 0.2)
    async with connected() as (made, storage):
        disk, quick = asyncio.Event(), made.store.append

        async def append(batch: Sequence[Received]) -> Sequence[Appended]:
            await disk.wait()
            return await quick(batch)

        monkeypatch.setattr(made.store, "append", append)
        slow = asyncio.ensure_future(storage.append(received()))
        while not slow.done():
            await storage.moved(None)
            await asyncio.sleep(0.02)
        with refused(ErrorCode.UNAVAILABLE, "does not answer"):
            await slow
        assert storage.connected and len(made.connections) == 1
        disk.set()


async def test_another_node_s_service_is_not_let_in() -> None:
    async with house() as made, client(made, bytes([1] * 32)) as storage:
        await until(lambda: len(made.connections) > 1)
        assert not storage.connected
        with refused(ErrorCode.UNAVAILABLE):
            await storage.append(received())
        assert made.store.batches == []


STRANGE = [
    api.pack(api.Append(1, [received()])),
    api.pack(api.Knock(1, b"wrong")),
    api.pack(api.Knock(1, b"")) + api.pack(api.Append(2, [received()])),
    (1_025).to_bytes(4, "big"),
    b"\xff\xff\xff\xff",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\0\0\0\x01\xc1",
    b"\0\0\0\0",
]


@pytest.mark.parametrize("sent", STRANGE, ids=lambda sent: repr(sent[:12]))
async def test_a_stranger_is_shut_out_and_stores_nothing(sent: bytes) -> None:
    async with connected() as (made, storage):
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(sent)
        async with asyncio.timeout(5):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()
        assert made.store.batches == []
        assert (await storage.append(received())).seq == 1


async def test_a_second_knock_is_refused_and_nothing_else_breaks() -> None:
    async with house() as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        knock = api.Knock(1, api.service_token(SECRET))
        after = api.After(3, RoomId("room"), "nonsense", 10)
        writer.write(api.pack(knock) + api.pack(knock) + api.pack(after) + api.pack(api.Moved(4, None)))
        splitter, replies = api.Splitter(), list[api.Reply]()
        async with asyncio.timeout(5):
            while len(replies) < 4:
                replies += map(api.reply_decoder.decode, splitter.feed(await reader.read(4_096)))
        writer.close()
        assert [getattr(reply, "code", None) for reply in replies] == [
            None,
            "bad_request",
            "bad_request",
            None,
        ]
        assert [reply.n for reply in replies] == [1, 1, 3, 4]

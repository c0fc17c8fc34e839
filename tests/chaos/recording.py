"""Storage under load with everything it did on record: kills in between, and which acks it had given by when."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from services.kernel.bus.tasks import owned
from services.kernel.log.client import StorageClient, _Line
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.wire import storage_api as api
from services.kernel.wire.rows import Received
from tests.chaos.trace import Call, Traced, calls
from tests.fakes.people import ANN, BEN, GUS, received
from tests.support.node import RunningNode, eventually

ROOMS = tuple(f"room{number}" for number in range(7))
_SENDERS = 8
_NUMBERS = 1_000_000
_REFUSALS = 100

Key = tuple[str, str, str]


class Ack(NamedTuple):
    """A message that storage said is on disk; `at` is the index of the call that said so."""

    at: int
    key: Key
    seq: int
    log_id: str


class Recording(NamedTuple):
    """What was sent, what storage did, and which of it were acks. `ends`: the index at which each life ended."""

    folder: Path
    sent: dict[Key, str]
    calls: list[Call]
    acks: list[Ack]
    ends: list[int]


def key_of(message: Received) -> Key:
    """What no two messages share."""
    return (message.room, message.sender, message.id)


class _Client(StorageClient):
    """A client that keeps what it asked for, by the number of the request; no two clients use one number."""

    def __init__(self, which: int, asked: dict[int, list[Received]], *where: object) -> None:
        super().__init__(*where)  # type: ignore[arg-type]
        self._n = which * _NUMBERS
        self._asked = asked

    def _post(self, line: _Line, ask: api.Ask) -> "asyncio.Future[api.Reply]":
        if isinstance(ask, api.Append):
            self._asked[self._n + 1] = ask.batch
        return super()._post(line, ask)


class Load:
    """Senders that send each message until it is acked, and some of them once more."""

    def __init__(self, node: RunningNode, chance: Random) -> None:
        self._node, self._chance = node, chance
        self.sent: dict[Key, str] = {}
        self.asked: dict[int, list[Received]] = {}
        self.acked: dict[Key, int] = {}
        self.refused = 0
        self._clients = 0

    async def send(self, count: int, meanwhile: Callable[[], None], *, faulty: bool = False) -> None:
        """So many more messages; `meanwhile` runs in a thread, early: once a third of them are acked.

        With `faulty` once many were refused, with all senders at rest, so that the transaction that was refused last
        is whole in the kernel's memory.
        """
        third, refused = len(self.acked) + count // 3, self.refused + _REFUSALS
        messages = [self._message(len(self.sent) + number) for number in range(count)]
        self.sent |= {key_of(message): message.env for message in messages}
        self._going = asyncio.Event()
        self._going.set()
        async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
            senders = []
            for which in range(_SENDERS):
                client = await self._client(group, stack)
                senders.append(group.create_task(self._sender(client, messages[which::_SENDERS])))
            await eventually(lambda: self.refused >= refused if faulty else len(self.acked) >= third, 30)
            if faulty:
                self._going.clear()
                await asyncio.sleep(0.1)
            await asyncio.to_thread(meanwhile)
            self._going.set()
            await asyncio.wait(senders)
        assert self.acked.keys() == self.sent.keys()

    def _message(self, number: int) -> Received:
        text = f"{number} " + "x" * int(self._chance.paretovariate(1.2) * 20 % 3_000)
        by = self._chance.choice((ANN, BEN, GUS))
        return received(f"m{number}", room=self._chance.choice(ROOMS), by=by, text=text)

    async def _client(self, group: asyncio.TaskGroup, stack: AsyncExitStack) -> StorageClient:
        self._clients += 1
        token = api.service_token(self._node.secret)
        client = _Client(self._clients, self.asked, self._node.storage_address, token, group)
        await stack.enter_async_context(owned(group, client.run()))
        await eventually(lambda: client.connected)
        return client

    async def _sender(self, client: StorageClient, messages: list[Received]) -> None:
        while messages:
            size = self._chance.randint(1, 12)
            again = list(self.acked)[-3:] if self._chance.random() < 0.2 else []
            batch, messages = messages[:size], messages[size:]
            await asyncio.gather(*(self._until_acked(client, message) for message in batch))
            for key in again:
                await self._until_acked(client, self._copy(key))

    def _copy(self, key: Key) -> Received:
        return next(each for batch in self.asked.values() for each in batch if key_of(each) == key)

    async def _until_acked(self, client: StorageClient, message: Received) -> None:
        while True:
            try:
                placed = await client.append(message)
            except Fault as fault:
                assert fault.code is ErrorCode.UNAVAILABLE and fault.retry == 1, fault
                self.refused += 1
                await asyncio.sleep(0.05)
                await self._going.wait()
            else:
                assert self.acked.setdefault(key_of(message), placed.seq) == placed.seq
                return


def _acks(recorded: list[Call], asked: dict[int, list[Received]], first: int = 0) -> list[Ack]:
    """What the process itself wrote to its clients, from the sockets' bytes of one life."""
    streams: dict[str, api.Splitter | None] = {}
    found: list[Ack] = []
    for at, call in enumerate(recorded, first):
        splitter = streams.setdefault(call.target, api.Splitter())
        if splitter is None or not call.target.startswith("socket:") or call.value <= 0:
            continue
        try:
            replies = [api.reply_decoder.decode(frame) for frame in splitter.feed(call.data[: call.value])]
        except (ValueError, msgspec.DecodeError):
            streams[call.target] = None  # Redis or HTTP
            continue
        for reply in replies:
            if isinstance(reply, api.Stored):
                for message, placed in zip(asked[reply.n], reply.results, strict=True):
                    found.append(Ack(at, key_of(message), placed.seq, placed.log_id))
    return found


def read(node: RunningNode, storage: Traced, load: Load) -> Recording:
    """What is on record of all lives of this storage."""
    recorded: list[Call] = []
    acks: list[Ack] = []
    ends: list[int] = []
    lines = 0
    for trace in storage.traces:
        life = list(calls(trace, str(node.folder), lines))
        lines += trace.read_bytes().count(b"\n")
        acks += _acks(life, load.asked, len(recorded))
        recorded += life
        ends.append(len(recorded))
    seen = {ack.key: ack.seq for ack in acks}
    assert {key: seen.get(key) for key in load.acked} == load.acked, "an ack is missing in the trace"
    return Recording(node.folder, load.sent, recorded, acks, ends)


def record(folder: Path, redis_url: str, chance: Random, messages: int, inject: str = "") -> Recording:
    """Three lives of a storage service under load: killed in the middle, stopped in the middle, killed at the end.

    `inject` is in strace's words what fails in the first.
    """
    node = RunningNode(folder, redis_url, replicas=1)
    storage = Traced(node.storage, folder)
    load = Load(node, chance)

    storage.inject = ("-e", f"inject={inject}") if inject else ()
    storage.start()
    storage.inject = ()
    try:
        asyncio.run(load.send(messages // 2, lambda: storage.restart(signal.SIGKILL), faulty=bool(inject)))
        asyncio.run(load.send(messages - messages // 2, lambda: storage.restart(signal.SIGTERM)))
    finally:
        storage.stop(signal.SIGKILL)
    return read(node, storage, load)

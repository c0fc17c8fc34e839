"""A reader that stops costs a bounded queue and is cut with 4008; one that is slow but alive is served from the log."""

import asyncio
import fcntl
import json
import termios
import time

import psutil
import pytest

from tests.support.clients import Author, Socket
from tests.support.node import Process, RunningNode, eventually
from tests.support.raw import CLOSE, PING, PONG, Wire, client_frame, greet, wire

pytestmark = pytest.mark.usefixtures("survives")

COUNT, SIZE = 2_500, 14_000
GIVEN_UP_S, WAKES_S = 10.0, 11.2
"""The node gives up after 10 s without progress and waits 2 s more for the goodbye."""
BULK, TRIPS = 1_200, 400
"""After so many messages the stuck ones are stuck; of the next each is sent once a fast reader has the one before."""
FEW_TRIPS, FEW_ECHOES = 40, 20
"""What others get at least in those 10 s on a machine many times too busy, and not when they wait for the stuck."""


class Arrivals:
    """When messages came to a reader."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._one = asyncio.Event()

    def add(self) -> None:
        """One comes now."""
        self.times.append(time.monotonic())
        self._one.set()

    async def reach(self, count: int) -> None:
        """Returns when so many have come."""
        while len(self.times) < count:
            self._one.clear()
            await self._one.wait()


async def read(
    line: Wire, upto: int, pause: float = 0.0, came: Arrivals | None = None
) -> tuple[list[int], int | None]:
    """The seqs of all messages until this one or the close frame, whose code is returned; a pause every 20 frames.

    `came` hears of each.
    """
    seqs: list[int] = []
    while not seqs or seqs[-1] < upto:
        opcode, payload = await line.frame(20)
        if opcode == CLOSE:
            return seqs, int.from_bytes(payload[:2], "big")
        if opcode == PING:
            await line.send(client_frame(PONG, payload))
        elif (frame := json.loads(payload))["type"] == "message":
            seqs.append(frame["seq"])
            if came is not None:
                came.add()
        if len(seqs) % 20 == 0:
            await asyncio.sleep(pause)
    return seqs, None


async def stalled(line: Wire) -> float:
    """Since when the kernel takes nothing more for this connection, which nobody reads."""
    sock = line.writer.get_extra_info("socket")
    waiting, since = b"", time.monotonic()
    while time.monotonic() - since < 1:
        now = fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0" * 4)
        if now != waiting or not any(now):
            waiting, since = now, time.monotonic()
        await asyncio.sleep(0.05)
    return since


def holds(process: Process, line: Wire) -> bool:
    """Whether the process still has its end of this connection."""
    assert process.popen is not None
    mine = line.writer.get_extra_info("sockname")
    return any(each.raddr == mine for each in psutil.Process(process.popen.pid).net_connections("tcp"))


async def write(node: RunningNode, room: str, came: Arrivals) -> None:
    """Fills the room, in the middle no faster than messages come to a reader; returns when all is acked."""
    writer = Author("Writer", signed=True)
    async with Socket(node.socket_url(1), room, writer) as socket:
        await write_fast(socket, writer, BULK)
        for number in range(BULK, BULK + TRIPS):
            await came.reach(number)
            await write_fast(socket, writer, 1)
        await write_fast(socket, writer, COUNT - BULK - TRIPS)


async def write_fast(socket: Socket, writer: Author, count: int) -> None:
    """So many messages, of which at most 128 wait for their acks."""
    acked = 0
    for number in range(count):
        await socket.send(writer.write(socket.room, "x" * SIZE))
        if number - acked >= 128:
            await socket.of_type("ack", within=20)
            acked += 1
    while acked < count:
        await socket.of_type("ack", within=20)
        acked += 1
    socket.seen.clear()


async def echoes(node: RunningNode, room: str, stop: asyncio.Event) -> list[float]:
    """When messages came back in another room of the same replica, one after the other."""
    author, times = Author("Elsewhere", signed=True), []
    async with Socket(node.socket_url(0), room, author) as socket:
        while not stop.is_set():
            await socket.send(author.write(room, "ping"))
            await socket.of_type("message", within=20)
            times.append(time.monotonic())
            await asyncio.sleep(0.05)
    return times


async def read_when_given_up(line: Wire, stop: asyncio.Event) -> tuple[list[int], int | None, float]:
    """Reads what a stuck client finds when it wakes up too late, at once, since the node waits two seconds for it;
    and since when it was stuck."""
    since = await stalled(line)
    await asyncio.sleep(since + WAKES_S - time.monotonic())
    stop.set()
    found = asyncio.StreamReader()
    found.feed_data(await line.ended(20))
    found.feed_eof()
    line.reader = found
    return *await read(line, COUNT), since


async def test_stuck_slow_and_fast_readers_of_35_megabytes(node: RunningNode, room: str) -> None:
    signaling, port = node.signaling[0], node.ws[0]
    before = signaling.forget_peak()
    whole, came = list(range(1, COUNT + 1)), Arrivals()
    async with wire(port) as stuck, wire(port) as dead, wire(port) as slow, wire(port) as fast:
        for line, name in ((stuck, "Stuck"), (dead, "Dead"), (slow, "Slow"), (fast, "Fast")):
            await greet(line, port, room, name)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            others = group.create_task(echoes(node, room + "-other", stop))
            slowly = group.create_task(read(slow, COUNT, pause=0.08))
            quickly = group.create_task(read(fast, COUNT, came=came))
            late = group.create_task(read_when_given_up(stuck, stop))
            await write(node, room, came)
        assert quickly.result() == (whole, None), "a fast reader lost something"
        assert slowly.result() == (whole, None), "a slow reader lost something"
        got, code, since = late.result()
        await eventually(lambda: not holds(signaling, dead), within=5)
    trips = came.times[BULK : BULK + TRIPS]
    meanwhile = [sum(since <= at < since + GIVEN_UP_S for at in times) for times in (trips, others.result())]
    assert meanwhile[0] >= FEW_TRIPS and meanwhile[1] >= FEW_ECHOES, f"others waited: {meanwhile}"
    assert code == 4008
    assert got == list(range(1, len(got) + 1))
    assert len(got) * SIZE < 12_000_000, "what the kernel took, and a bounded queue"
    assert signaling.memory("VmHWM") < before + 24, "memory grew with what was published"
    log = await _log_id(node, room)
    async with wire(port) as again:
        await greet(again, port, room, "Stuck", after=f"{log}.{got[-1]}")
        assert (await read(again, COUNT))[0] == whole[len(got) :], "it comes back by its cursor"


async def _log_id(node: RunningNode, room: str) -> str:
    async with Socket(node.socket_url(0), room, Author("Asks")) as socket:
        return str(socket.welcome["log_id"])

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
STUCK_S = 11.2
"""The node gives up after 10 s without progress and waits 2 s more for the goodbye."""


async def read(line: Wire, upto: int, pause: float = 0.0) -> tuple[list[int], int | None]:
    """The seqs of all messages until this one or the close frame, whose code is returned; a pause every 20 frames."""
    seqs: list[int] = []
    while not seqs or seqs[-1] < upto:
        opcode, payload = await line.frame(20)
        if opcode == CLOSE:
            return seqs, int.from_bytes(payload[:2], "big")
        if opcode == PING:
            await line.send(client_frame(PONG, payload))
        elif (frame := json.loads(payload))["type"] == "message":
            seqs.append(frame["seq"])
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


async def write(node: RunningNode, room: str) -> None:
    """Fills the room; returns when everything is acked."""
    writer = Author("Writer", signed=True)
    async with Socket(node.socket_url(1), room, writer) as socket:
        acked = 0
        for number in range(COUNT):
            await socket.send(writer.write(room, "x" * SIZE))
            if number - acked >= 128:
                await socket.of_type("ack", within=20)
                acked += 1
        while acked < COUNT:
            await socket.of_type("ack", within=20)
            acked += 1
        socket.seen.clear()


async def echo_times(node: RunningNode, room: str, stop: asyncio.Event) -> list[float]:
    """How long messages take in another room of the same replica, meanwhile."""
    author, took = Author("Elsewhere", signed=True), []
    async with Socket(node.socket_url(0), room, author) as socket:
        while not stop.is_set():
            began = time.monotonic()
            await socket.send(author.write(room, "ping"))
            await socket.of_type("message", within=10)
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.05)
    return sorted(took)


async def read_when_given_up(line: Wire) -> tuple[list[int], int | None]:
    """Reads what a stuck client finds when it wakes up too late: at once, since the node waits two seconds for it."""
    await asyncio.sleep(await stalled(line) + STUCK_S - time.monotonic())
    found = asyncio.StreamReader()
    found.feed_data(await line.ended(20))
    found.feed_eof()
    line.reader = found
    return await read(line, COUNT)


async def test_stuck_slow_and_fast_readers_of_35_megabytes(node: RunningNode, room: str) -> None:
    signaling, port = node.signaling[0], node.ws[0]
    before = signaling.forget_peak()
    whole = list(range(1, COUNT + 1))
    async with wire(port) as stuck, wire(port) as dead, wire(port) as slow, wire(port) as fast:
        for line, name in ((stuck, "Stuck"), (dead, "Dead"), (slow, "Slow"), (fast, "Fast")):
            await greet(line, port, room, name)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            others = group.create_task(echo_times(node, room + "-other", stop))
            slowly = group.create_task(read(slow, COUNT, pause=0.08))
            quickly = group.create_task(read(fast, COUNT))
            late = group.create_task(read_when_given_up(stuck))
            await write(node, room)
            async with asyncio.timeout(2):
                assert await quickly == (whole, None)
            stop.set()
        assert slowly.result() == (whole, None), "a slow reader lost something"
        got, code = late.result()
        await eventually(lambda: not holds(signaling, dead), within=5)
    assert code == 4008
    assert got == list(range(1, len(got) + 1))
    assert len(got) * SIZE < 12_000_000, "what the kernel took, and a bounded queue"
    assert signaling.memory("VmHWM") < before + 24, "memory grew with what was published"
    times = others.result()
    assert times[len(times) * 95 // 100] < 0.5, f"others waited: {times[-5:]}"
    log = await _log_id(node, room)
    async with wire(port) as again:
        await greet(again, port, room, "Stuck", after=f"{log}.{got[-1]}")
        assert (await read(again, COUNT))[0] == whole[len(got) :], "it comes back by its cursor"


async def _log_id(node: RunningNode, room: str) -> str:
    async with Socket(node.socket_url(0), room, Author("Asks")) as socket:
        return str(socket.welcome["log_id"])

"""A subscriber that falls behind is thrown out by Redis: what it missed comes from the log, once and in order (P5)."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.redis_server import SMALL_BUFFERS, RedisServer
from tests.support.clients import Author, Socket
from tests.support.node import Process, RunningNode, eventually

BEFORE, UNSEEN, AFTER = 10, 200, 50
SIZE = 12_000
"""One message fits into its hint, so that hints fill Redis's buffer."""


@contextmanager
def frozen(process: Process) -> Iterator[None]:
    """Inside the block the process is there but does nothing."""
    assert process.popen is not None
    process.popen.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.popen.send_signal(signal.SIGCONT)


async def write(socket: Socket, author: Author, room: str, count: int) -> None:
    """Sends so many messages, each once the one before is acked."""
    for number in range(count):
        await socket.send(author.write(room, f"{number} {'x' * SIZE}"))
        await socket.of_type("ack")


async def seqs(socket: Socket, count: int, within: float) -> list[int]:
    """The places of the next so many messages."""
    return [frame["seq"] for frame in await socket.messages(count, within)]


async def test_a_frozen_replica_that_redis_threw_out_has_everything_within_two_seconds(
    tmp_path: Path,
) -> None:
    redis = RedisServer(tmp_path, *SMALL_BUFFERS)
    author = Author("Writer", signed=True)
    with redis.running(), RunningNode(tmp_path, redis.url).running() as node:
        async with (
            Socket(node.socket_url(0), "tide", author) as writer,
            Socket(node.socket_url(0), "tide", Author("Beside")) as beside,
            Socket(node.socket_url(1), "tide", Author("Signed", signed=True)) as signed,
            Socket(node.socket_url(1), "tide", Author("Visitor")) as guest,
        ):
            everyone = (beside, signed, guest)
            await write(writer, author, "tide", BEFORE)
            for reader in everyone:
                assert await seqs(reader, BEFORE, 5) == list(range(1, BEFORE + 1))
            await asyncio.sleep(1)  # the first sweep reads anyway, and is not what this is about
            with frozen(node.signaling[1]):
                await write(writer, author, "tide", UNSEEN)
                await eventually(lambda: redis.overflows == 1)
                await asyncio.sleep(1)
            thawed = time.monotonic()
            missed = list(range(BEFORE + 1, BEFORE + UNSEEN + 1))
            for reader in everyone:
                assert await seqs(reader, UNSEEN, 10) == missed
            assert time.monotonic() - thawed < 2
            await write(writer, author, "tide", AFTER)
            for reader in everyone:
                assert await seqs(reader, AFTER, 5) == list(range(missed[-1] + 1, missed[-1] + AFTER + 1))
                assert [frame for frame in await reader.during(0.3) if frame["type"] == "message"] == []
    assert redis.overflows == 1

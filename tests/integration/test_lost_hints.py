"""Pub/sub is a hint: whatever of it is lost or forged, every reader sees the log, whole and in order."""

import asyncio
import time
from pathlib import Path

import redis.asyncio

from services.kernel.model.ids import LogId, MessageId, PeerId, RoomId, Seq
from services.kernel.wire.rows import Hint, Row, encode_hint
from tests.support.clients import Author, Socket, bodies
from tests.support.node import RunningNode


async def test_without_any_hint_the_sweep_delivers_within_two_seconds(redis_url: str, tmp_path: Path) -> None:
    deaf = RunningNode(tmp_path, redis_url)
    deaf.storage.tell(REDIS_URL="redis://127.0.0.1:1/0")
    with deaf.running() as node:
        writer = Author("Writer", signed=True)
        async with (
            Socket(node.socket_url(0), "deaf", writer) as here,
            Socket(node.socket_url(1), "deaf", Author("Reader")) as there,
        ):
            for burst in range(3):
                await here.send(writer.write("deaf", f"text {burst}"))
                await here.of_type("ack")
                acked = time.monotonic()
                (got,) = await there.messages(1)
                assert time.monotonic() - acked < 2
                assert bodies([got]) == [f"text {burst}"]


async def test_subscribers_killed_again_and_again_lose_nothing(node: RunningNode, redis_url: str) -> None:
    writer, stop = Author("Writer", signed=True), asyncio.Event()

    async def kill() -> int:
        rounds = 0
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            while not stop.is_set():
                rounds += await client.client_kill_filter(_type="pubsub")
                await asyncio.sleep(0.03)
        return rounds

    async with (
        Socket(node.socket_url(0), "killed", writer) as here,
        Socket(node.socket_url(1), "killed", Author("Reader")) as there,
        asyncio.TaskGroup() as group,
    ):
        killer = group.create_task(kill())
        for number in range(200):
            await here.send(writer.write("killed", f"text {number}"))
            await asyncio.sleep(0.01)
        stop.set()
        got = await there.messages(200)
    assert killer.result() >= 5, "nothing was killed"
    assert bodies(got) == [f"text {number}" for number in range(200)]
    assert [frame["seq"] for frame in got] == list(range(1, 201))


async def test_forged_hints_show_nothing(node: RunningNode, redis_url: str) -> None:
    writer, room = Author("Writer", signed=True), RoomId("forged")
    async with Socket(node.socket_url(1), room, Author("Reader")) as there:
        log_id = LogId(there.welcome["log_id"])
        lie = Row(
            Seq(1), 0, PeerId("guest:x"), MessageId("lie"), "text", '{"body":{"text":"a lie","name":"x"}}'
        )
        forged = encode_hint(b"k" * 32, room, Hint(log_id, Seq(0), Seq(1), [lie]))
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            for data in (forged, b"", b"\0" * 16, forged[:20]):
                assert await client.publish(f"room:{room}", data) >= 1
        async with Socket(node.socket_url(0), room, writer) as here:
            await here.send(writer.write(room, "the truth"))
            (got,) = await there.messages(1)
    assert bodies([got]) == ["the truth"] and got["seq"] == 1

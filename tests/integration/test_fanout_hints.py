"""Order of work 2: hints dropped, replayed or forged, and a Redis that goes, change nothing of what is shown."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
import redis.asyncio

from services.kernel.model.ids import PeerId, SessionId
from services.kernel.wire.roster import Came, Entry, Left, Signalled, encode_event, events_key
from tests.integration.conftest import REDIS_IMAGE
from tests.support.clients import Author, Frame, Poller, Socket, bodies
from tests.support.node import RunningNode
from tests.support.redis import OwnRedis, own_redis


@pytest.fixture(scope="module")
def bus() -> Iterator[OwnRedis]:
    """A Redis that the tests of this file may hurt."""
    with own_redis(REDIS_IMAGE) as running:
        yield running


@pytest.fixture(scope="module")
def shaky(bus: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node on it."""
    with RunningNode(tmp_path_factory.mktemp("shaky"), bus.url, twin=True).running() as running:
        yield running
        for process in running.processes:
            assert "Traceback" not in process.log(), f"{process.name} has a bug:\n{process.log()[-4000:]}"


@asynccontextmanager
async def polled(shaky: RunningNode, room: str, count: int) -> AsyncIterator["asyncio.Task[list[Frame]]"]:
    """A session that polls both gateways in turn until it has so many messages."""
    async with httpx.AsyncClient(timeout=30) as http, asyncio.TaskGroup() as group:
        poller = Poller(http, shaky.base, room, Author("Poller"))
        await poller.join()

        async def read() -> list[Frame]:
            got: list[Frame] = []
            while len(got) < count:
                found = await poller.poll(wait=5)
                got += [frame for frame in found["frames"] if frame["type"] == "message"]
                poller.base = shaky.base2 if poller.base == shaky.base else shaky.base
            return got

        yield group.create_task(read())


@pytest.mark.parametrize("size", [10, 12_000])
async def test_hints_dropped_in_the_middle_and_at_the_end(
    shaky: RunningNode, bus: OwnRedis, room: str, size: int
) -> None:
    """Redis refuses every other ten publications, the last ones too; two replicas and both gateways miss nothing."""
    writer = Author("Writer", signed=True)
    texts = [f"{number} " + "x" * size for number in range(200)]
    try:
        async with (
            Socket(shaky.socket_url(0), room, writer) as here,
            Socket(shaky.socket_url(1), room, Author("Reader")) as there,
            polled(shaky, room, 200) as poll,
        ):
            for start in range(0, 200, 10):
                rule = "-publish" if start // 10 % 2 else "+publish"
                await asyncio.to_thread(bus.command, "ACL", "SETUSER", "default", rule)
                for number in range(start, start + 10):
                    await here.send(writer.write(room, texts[number]))
                    await here.of_type("ack")
            acked = time.monotonic()
            got = await there.messages(200)
            at_poll = await poll
            assert time.monotonic() - acked < 2
    finally:
        bus.command("ACL", "SETUSER", "default", "+publish")
    for seen in (got, at_poll):
        assert bodies(seen) == texts
        assert [frame["seq"] for frame in seen] == list(range(1, 201))


async def test_true_hints_again_in_any_order_and_in_other_rooms(
    shaky: RunningNode, bus: OwnRedis, room: str
) -> None:
    """A stranger records what storage publishes and sends it again: nothing is shown twice or elsewhere."""
    writer = Author("Writer", signed=True)
    async with (
        redis.asyncio.Redis.from_url(bus.url) as client,
        client.pubsub() as ear,
        Socket(shaky.socket_url(0), room, writer) as here,
        Socket(shaky.socket_url(1), room, Author("Reader")) as there,
        Socket(shaky.socket_url(1), room + "2", Author("Neighbour")) as neighbour,
    ):
        await ear.subscribe(f"room:{room}")
        recorded: list[bytes] = []

        async def record() -> None:
            async for heard in ear.listen():
                if heard["type"] == "message" and heard["data"] not in recorded:
                    recorded.append(heard["data"])

        recording = asyncio.ensure_future(record())
        early = 0
        while not recorded:  # storage may still be on its way back to a Redis that another test ended
            assert early < 50, "storage publishes nothing"
            await here.send(writer.write(room, f"early {early}"))
            await here.of_type("ack")
            await asyncio.sleep(0.1)
            early += 1
        for number in range(40):
            await here.send(writer.write(room, f"text {number}"))
            await here.of_type("ack")
            for data in random.Random(number).sample(recorded, min(5, len(recorded))):
                await client.publish(f"room:{room}", data)
                await client.publish(f"room:{room}2", data)
            await asyncio.sleep(0.01)
        recording.cancel()
        assert len(recorded) > 20
        got = await there.messages(early + 40)
        expected = [f"early {number}" for number in range(early)] + [f"text {number}" for number in range(40)]
        assert bodies(got) == expected
        assert await there.during(1) == []
        assert [frame for frame in await neighbour.during(0.1) if frame["type"] == "message"] == []


async def test_events_of_a_stranger_are_not_believed(shaky: RunningNode, bus: OwnRedis, room: str) -> None:
    """Forged comings, goings and signals, under a wrong key or another room's tag, reach nobody."""
    victim = Author("Victim", signed=True)
    peer, session = PeerId(victim.peer), SessionId(victim.session)
    events = [
        Came(b"x" * 8, Entry(peer, session, "Renamed", True, "socket", 2**50)),
        Came(b"x" * 8, Entry(PeerId("guest:Ghost"), session, "Ghost", False, "socket", 1)),
        Left(b"x" * 8, peer, session, 2**50),
        Signalled(b"x" * 8, "offer", peer, session, b'{"sdp":"forged"}'),
    ]
    true_key = events_key(shaky.secret)
    async with (
        Socket(shaky.socket_url(0), room, victim) as there,
        Socket(shaky.socket_url(1), room, Author("Reader")) as reader,
        redis.asyncio.Redis.from_url(bus.url) as client,
    ):
        await there.of_type("peer_joined")
        for event in events:
            for data in (
                encode_event(b"k" * 32, room, event),  # type: ignore[arg-type]
                encode_event(true_key, room + "2", event),  # type: ignore[arg-type]
                encode_event(true_key, room, event)[16:],  # type: ignore[arg-type]
                encode_event(true_key, room, event)[:-1],  # type: ignore[arg-type]
                b"",
            ):
                assert await client.publish(f"signal:{room}", data) >= 2
        assert await reader.during(0.5) == await there.during(0.1) == []
        await there.send({"type": "ping", "t": 1})
        await there.of_type("pong")


async def test_redis_killed_flushed_and_paused_under_load(
    shaky: RunningNode, bus: OwnRedis, room: str
) -> None:
    """Sends are acked all the time, arrive within 2 s on all rungs, and nobody is shown as gone."""
    writer, stop = Author("Writer", signed=True), asyncio.Event()
    written: dict[str, float] = {}
    slow: dict[str, float] = {"ack": 0.0, "socket": 0.0, "poll": 0.0}
    seen: dict[str, list[int]] = {"socket": [], "poll": []}
    gone: list[Frame] = []

    def note(rung: str, frame: Frame) -> None:
        text = json.loads(frame["env"])["body"]["text"]
        seen[rung].append(frame["seq"])
        slow[rung] = max(slow[rung], time.monotonic() - written[text])

    async def write(socket: Socket) -> None:
        number = 0
        while not stop.is_set():
            text = f"text {number}"
            written[text] = began = time.monotonic()
            await socket.send(writer.write(room, text))
            assert (await socket.of_type("ack", "fault"))["type"] == "ack"
            slow["ack"] = max(slow["ack"], time.monotonic() - began)
            number += 1
            await asyncio.sleep(0.05)

    async def read(socket: Socket) -> None:
        while not stop.is_set() or len(seen["socket"]) < len(written):
            with contextlib.suppress(TimeoutError):
                frame = await socket.frame(within=0.3)
                if frame["type"] == "message":
                    note("socket", frame)
                elif frame["type"] == "peer_left":
                    gone.append(frame)

    async def poll(poller: Poller) -> None:
        while not stop.is_set() or len(seen["poll"]) < len(written):
            for frame in (await poller.poll(wait=4))["frames"]:
                note("poll", frame)

    async def come_meanwhile() -> None:
        async with Socket(
            shaky.socket_url(0), room + "-new", Author("Comes without Redis", signed=True)
        ) as new:
            new.author.n = 0
            await new.send(new.author.write(room + "-new", "x"))
            await new.of_type("message", within=3)

    async with (
        Socket(shaky.socket_url(0), room, writer) as here,
        Socket(shaky.socket_url(1), room, Author("Reader")) as there,
        httpx.AsyncClient(timeout=30) as http,
        asyncio.timeout(60),
        asyncio.TaskGroup() as group,
    ):
        poller = Poller(http, shaky.base, room, Author("Poller", signed=True))
        await poller.join()
        for work in (write(here), read(there), poll(poller)):
            group.create_task(work)
        await asyncio.sleep(1)
        await asyncio.to_thread(bus.kill)
        await asyncio.sleep(1)
        await come_meanwhile()
        await asyncio.sleep(10)
        await asyncio.to_thread(bus.start)
        await asyncio.sleep(4)
        await asyncio.to_thread(bus.command, "FLUSHALL")
        await asyncio.sleep(1)
        await asyncio.to_thread(bus.command, "CLIENT", "PAUSE", "2000", "ALL")
        await asyncio.sleep(9)
        async with Socket(shaky.socket_url(1), room, Author("Late", signed=True)) as late:
            names = {row["name"] for row in late.welcome["roster"]}
            await here.send({"type": "offer", "payload": "again", "target_peer_id": late.author.peer})
            assert (await late.of_type("offer"))["payload"] == "again", "signals flow again"
        stop.set()
    assert names == {"Writer", "Reader", "Poller", "Late"}
    assert gone == [], "somebody was shown as gone"
    whole = list(range(1, len(written) + 1))
    assert seen == {"socket": whole, "poll": whole}
    assert len(whole) > 200
    assert slow["ack"] < 1 and slow["socket"] < 2 and slow["poll"] < 2, slow

"""SIGTERM: sockets are told 1012, what hangs is answered, nothing acked is lost, the exit code is 0, in time."""

import asyncio
import contextlib
import json
import secrets
import signal
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.chaos.verdict import read_log
from tests.support.clients import Author, Frame, Poller, Socket
from tests.support.crowd import Guest, allow_files, figures
from tests.support.node import Process, RunningNode, eventually
from tests.support.raw import TEXT, client_frame, upgrade, wire
from tests.support.reference import ReferenceSocket

SOCKETS = 1000


@pytest.fixture(scope="module")
def own(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node whose services are stopped one by one."""
    allow_files()
    with RunningNode(tmp_path_factory.mktemp("stops"), redis_url, twin=True).running() as running:
        yield running
        for process in running.processes:
            assert "Traceback" not in process.log(), f"{process.name} has a bug:\n{process.log()[-4000:]}"


async def stopped(process: Process, within: float) -> None:
    """Sends SIGTERM; asserts exit code and time."""
    began = time.monotonic()
    assert await asyncio.to_thread(process.stop, signal.SIGTERM) == 0
    assert time.monotonic() - began < within


async def test_signaling_says_come_back_and_nobody_is_shown_as_gone(own: RunningNode, room: str) -> None:
    """Sockets of all kinds get 1012; they come back at the other replica by cursor, unnoticed by the others."""
    author = Author("Ada", signed=True)
    async with (
        Socket(own.socket_url(1), room, Author("Watcher")) as watcher,
        Socket(own.socket_url(0), room, author) as socket,
        ReferenceSocket(own.socket_url(0), room, "Old") as old,
        Socket(own.socket_url(0), room, Author("Has just left", signed=True)) as leaver,
        wire(own.ws[0]) as silent,
        wire(own.ws[0]) as stuck,
    ):
        await silent.send(upgrade("/signal", Sec_WebSocket_Protocol="egoat.1"))
        await silent.answer()
        await stuck.send(upgrade("/signal", Sec_WebSocket_Protocol="egoat.1"))
        hello = {"type": "hello", "v": [1], "room": room, "session": "0" * 16, "name": "Stuck"}
        await stuck.send(client_frame(TEXT, json.dumps(hello).encode()))
        await leaver.ws.close()
        for number in range(600):
            await socket.send(author.write(room, f"{number} " + "x" * 15_000))
        acks = [await socket.of_type("ack") for _ in range(300)]
        await stopped(own.signaling[0], within=8)
        try:
            with contextlib.suppress(Exception):
                while True:
                    frame = await socket.of_type("ack")
                    acks.append(frame)
            assert socket.ws.close_code == 1012
            await old.ws.wait_closed()
            assert old.ws.close_code == 1012
            assert await silent.close_code() == 1012
            last = acks[-1]
            cursor = f"{last['log_id']}.{last['seq'] - 1}"
            async with Socket(own.socket_url(1), room, author, after=cursor) as again:
                assert (await again.of_type("message"))["seq"] == last["seq"]
                assert again.welcome["head"] >= last["seq"]
                seen = [frame["type"] for frame in await watcher.during(3)]
                assert "peer_left" not in seen
        finally:
            own.signaling[0].start()


async def test_a_gateway_answers_what_hangs_and_closes_what_it_splices(own: RunningNode, room: str) -> None:
    async with httpx.AsyncClient(timeout=25) as http, contextlib.AsyncExitStack() as stack:
        poller = Poller(http, own.base, room, Author("Ada"))
        await poller.join()
        spliced = Socket(f"ws://127.0.0.1:{own.http}/signal", room, Author("Spliced", signed=True))
        await stack.enter_async_context(spliced)
        idle = await stack.enter_async_context(wire(own.http))
        await idle.send(b"GET /config HTTP/1.1\r\nHost: a\r\n\r\n")
        await idle.answer()
        hanging = asyncio.ensure_future(poller.poll(wait=20))
        await asyncio.sleep(0.3)
        try:
            await stopped(own.gateway, within=8)
            assert (await asyncio.wait_for(hanging, 1))["frames"] == []
            await asyncio.wait_for(spliced.ws.wait_closed(), 1)
            poller.base = own.base2
            assert (await poller.poll())["frames"] == []
            body = {"room": room, "peer_id": "Bob", "text": "through the twin"}
            assert (await http.post(f"{own.base2}/send", json=body)).status_code == 200
        finally:
            own.gateway.start()


async def test_storage_commits_what_it_took_before_it_goes(own: RunningNode, room: str) -> None:
    """SIGTERM under load, five times: what was acked is there, nothing twice, the senders just go on."""
    author, acked = Author("Ada", signed=True), dict[str, int]()
    async with Socket(own.socket_url(0), room, author) as socket:
        stop = asyncio.Event()

        async def write() -> None:
            while not stop.is_set():
                frames = {secrets.token_hex(4): Frame() for _ in range(20)}
                for key in frames:
                    frames[key] = author.write(room, key, id=key)
                while frames:
                    for frame in frames.values():
                        await socket.send(frame)
                    for _ in tuple(frames):
                        found = await socket.of_type("ack", "fault", within=15)
                        if found["type"] == "ack" and frames.pop(found["id"], None):
                            acked[found["id"]] = found["seq"]
                    await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            for _ in range(5):
                await asyncio.sleep(0.3)
                await stopped(own.storage, within=5)
                await asyncio.to_thread(own.storage.start)
            await asyncio.sleep(0.5)
            stop.set()
    await asyncio.to_thread(own.gateway.await_ready)
    async with httpx.AsyncClient() as http:
        found: dict[str, int] = {}
        cursor = ""
        while True:
            page = (await http.get(f"{own.base}/history", params={"room": room, "after": cursor})).json()
            found |= {item["id"]: item["seq"] for item in page["items"]}
            cursor = page["next"]
            if not page["more"]:
                break
    assert len(acked) > 100
    assert found == acked
    assert sorted(found.values()) == list(range(1, len(found) + 1))


async def test_a_thousand_sockets_move_to_the_other_replica_one_by_one(own: RunningNode) -> None:
    """SIGTERM under load: all are told 1012, nothing acked is lost, nobody misses a row, and no tenth of a second
    has an eighth of those who come back by the product's rule."""
    async with asyncio.TaskGroup() as group:
        crowd = [Guest(own, f"crowd-{n % 100}", f"guest {n}", after=n / 200) for n in range(SOCKETS)]
        tasks = [group.create_task(guest.run()) for guest in crowd]
        await eventually(lambda: all(guest.acked for guest in crowd), within=120)
        began = time.monotonic()
        try:
            assert await asyncio.to_thread(own.signaling[0].stop, signal.SIGTERM) == 0
            ended = time.monotonic()
            await eventually(lambda: all(len(guest.came) > 1 for guest in crowd), within=60)
            for guest in crowd:
                guest.quiet = True
            await eventually(lambda: not any(guest.waiting for guest in crowd), within=60)
            log = read_log(own.db)
            heads = {name: len(rows) for name, rows in log.items()}
            await eventually(
                lambda: all(guest.seen[-1:] == [heads[guest.room]] for guest in crowd), within=30
            )
        finally:
            await asyncio.to_thread(own.signaling[0].start)
        for task in tasks:
            task.cancel()
    found = figures(crowd, began, ended)
    sys.stdout.write(f"\n{json.dumps(found)}\n")
    assert {tuple(guest.codes) for guest in crowd} == {(1012,)}
    for guest in crowd:
        mine = {key: seq for seq, sender, key in log[guest.room] if sender == guest.author.peer}
        assert mine == guest.acked
        assert guest.seen == list(range(guest.start + 1, heads[guest.room] + 1))
    assert found["most_dials_in_100ms"] < SOCKETS / 8, "they come back in step"


async def test_every_service_stops_at_once_when_idle_and_twice_is_once(own: RunningNode) -> None:
    for process in (own.transport, own.gateway2, own.signaling[1], own.storage):
        assert process.popen is not None
        process.popen.send_signal(signal.SIGTERM)
        process.popen.send_signal(signal.SIGINT)
        await stopped(process, within=3)
        await asyncio.to_thread(process.start)


async def test_what_waits_for_a_storage_that_says_nothing_is_answered_before_the_end(
    own: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    """A gateway stops while storage is frozen: each request under way gets its 503, nothing is cut off."""
    storage, gateway = own.storage, own.gateway
    assert storage.popen is not None
    message = {"room": room, "peer_id": "Ann", "text": "hello"}
    storage.popen.send_signal(signal.SIGSTOP)
    try:
        asked = [
            asyncio.create_task(http.post(f"{own.base}/send", json=message, timeout=20)) for _ in range(5)
        ]
        asked.append(asyncio.create_task(http.get(f"{own.base}/history?room={room}&after=", timeout=20)))
        await asyncio.sleep(0.5)
        await stopped(gateway, within=8)
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {503}
        assert all("Retry-After" in answer.headers for answer in answers)
    finally:
        storage.popen.send_signal(signal.SIGCONT)
        await asyncio.to_thread(gateway.start)

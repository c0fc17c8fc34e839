"""What was acked is there: through kill -9 of storage under load, a full disk, a frozen disk owner, storage away."""

import asyncio
import contextlib
import json
import os
import resource
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.clients import Author, Frame, Poller, Socket
from tests.support.node import ROOT, RunningNode, eventually
from tests.support.refusals import head_of, refused

CYCLES = 10


@pytest.fixture(scope="module")
def own(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node whose storage the tests of this file may hurt."""
    with RunningNode(tmp_path_factory.mktemp("own"), redis_url).running() as running:
        yield running
        for process in running.processes:
            assert "Traceback" not in process.log(), f"{process.name} has a bug:\n{process.log()[-4000:]}"


def stored(own: RunningNode, room: str) -> dict[str, int]:
    """Ids and seqs of the room's rows, read from the file."""
    with contextlib.closing(sqlite3.connect(f"file:{own.db}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = db.execute("SELECT id, seq FROM message WHERE room=? ORDER BY seq", (room,)).fetchall()
    assert [seq for _, seq in rows] == list(range(1, len(rows) + 1)), "seq has gaps"
    return dict(rows)


class Outbox:
    """Sends new messages over one door until stopped; what was refused it sends again under its id."""

    def __init__(self, own: RunningNode, room: str, author: Author, http: httpx.AsyncClient) -> None:
        self.own, self.room, self.author, self.http = own, room, author, http
        self.acked: dict[str, int] = {}
        self.refusals = 0
        self.stop = asyncio.Event()

    async def run(self) -> None:
        """Until told to stop; then everything begun is acked."""
        number = 0
        while not self.stop.is_set():
            frame = self.author.write(self.room, f"{self.author.name} {number}")
            message_id = json.loads(frame["env"])["id"]
            while (seq := await self.attempt(frame)) is None:
                self.refusals += 1
                await asyncio.sleep(0.02)
            self.acked[message_id] = seq
            number += 1
            if number % 7 == 0:
                assert await self.attempt(frame) in (seq, None), "sent again, it got another seq"

    async def attempt(self, frame: Frame) -> int | None:
        """The seq that this send was acked with, None when it was refused for the moment."""
        raise NotImplementedError


class HttpOutbox(Outbox):
    """By `POST /send` with a token."""

    token = ""

    async def attempt(self, frame: Frame) -> int | None:
        if not self.token:
            poller = Poller(self.http, self.own.base, self.room, self.author)
            await poller.join()
            self.token = poller.token
        body = {"env": frame["env"], "sig": frame["sig"]}
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self.http.post(f"{self.own.base}/send", json=body, headers=headers)
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
            return None
        assert answer.status_code == 200, answer.text
        return int(answer.json()["seq"])


class SocketOutbox(Outbox):
    """By a socket that outlives storage."""

    socket: Socket

    async def attempt(self, frame: Frame) -> int | None:
        await self.socket.send(frame)
        wanted = json.loads(frame["env"])["id"]
        while True:
            found = await self.socket.of_type("ack", "fault", within=15)
            if found.get("id") == wanted:
                break
        if found["type"] == "fault":
            assert (found["code"], found["retry"]) == ("unavailable", 1)
            return None
        return int(found["seq"])


async def test_every_acked_message_survives_kills_of_storage_under_load(
    own: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    """Ten kill -9: what was acked is in the file under its seq, no id twice, and a reader saw it all once, in order."""
    by_http = [HttpOutbox(own, room, Author(f"H{n}", signed=True), http) for n in range(4)]
    by_socket = [SocketOutbox(own, room, Author(f"S{n}", signed=True), http) for n in range(4)]
    for outbox in by_http:
        await outbox.attempt(outbox.author.write(room, "first"))
    seen: list[int] = []
    async with contextlib.AsyncExitStack() as stack:
        reader = await stack.enter_async_context(Socket(own.socket_url(1), room, Author("Reader")))
        seen_from = reader.welcome["head"]
        for outbox in by_socket:
            socket = Socket(own.socket_url(0), room, outbox.author)
            outbox.socket = await stack.enter_async_context(socket)
        async with asyncio.TaskGroup() as group:
            for each in (*by_http, *by_socket):
                group.create_task(each.run())
            for cycle in range(CYCLES):
                await asyncio.sleep(0.25 + cycle * 0.02)
                await asyncio.to_thread(own.storage.restart, signal.SIGKILL)
            await asyncio.sleep(0.5)
            for each in (*by_http, *by_socket):
                each.stop.set()
        there = stored(own, room)
        while len(seen) < len(there) - seen_from:
            seen.append((await reader.of_type("message", within=5))["seq"])
    acked = {key: seq for each in (*by_http, *by_socket) for key, seq in each.acked.items()}
    assert len(acked) > 20 * CYCLES
    assert sum(each.refusals for each in (*by_http, *by_socket)) >= CYCLES, "the kills were not felt"
    assert {key: there.get(key) for key in acked} == acked
    assert set(there.values()) == set(range(1, len(acked) + len(by_http) + 1)), "something was stored twice"
    assert seen == list(range(seen_from + 1, len(there) + 1))


async def test_while_storage_is_away_nothing_is_acked_and_everybody_is_told(
    own: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    author = Author("Ada", signed=True)
    poller = Poller(http, own.base, room, author)
    await poller.join()
    async with Socket(own.socket_url(0), room, author.elsewhere()) as socket:
        own.storage.stop(signal.SIGTERM)
        try:
            await eventually(lambda: "link.away" in own.gateway.log())
            frame = author.write(room, "later")
            headers = {"Authorization": f"Bearer {poller.token}"}
            body = {"env": frame["env"], "sig": frame["sig"]}
            guest = {"room": room, "peer_id": "Bob", "text": "x"}
            for answer in (
                await http.post(f"{own.base}/send", json=guest),
                await http.post(f"{own.base}/send", json=body, headers=headers),
                await http.get(f"{own.base}/history", params={"room": room}),
                await http.get(f"{own.base}/history", params={"room": room, "after": ""}),
                await http.post(f"{own.base}/join", json={"room": room, "session": "0" * 16, "name": "Cy"}),
            ):
                refused(answer, 503, "unavailable")
                assert answer.headers["retry-after"] == "1"
            (fault,) = (await poller.poll(frames=[frame], after=None))["frames"]
            await socket.send(frame)
            for told in (fault, await socket.of_type("fault")):
                wanted = {
                    "type": "fault",
                    "code": "unavailable",
                    "retry": 1,
                    "id": json.loads(frame["env"])["id"],
                }
                assert told | wanted == told
            await socket.send({"type": "ping", "t": 1})
            await socket.of_type("pong")
            await _doors_are_closed(own, room, http)
        finally:
            own.storage.start()
        await eventually(lambda: httpx.get(f"{own.base}/readyz").status_code == 200)
        assert await head_of(http, own, room) == 0, "what was refused was stored"
        await socket.send(frame)
        assert (await socket.of_type("ack"))["seq"] == 1


async def _doors_are_closed(own: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    """Health says why, and new sockets are asked to come back later."""
    ready = await http.get(f"{own.base}/readyz")
    assert (ready.status_code, ready.json()["parts"]["storage"]) == (503, "away")
    assert (await http.get(f"{own.base}/healthz")).status_code == 200
    with pytest.raises(ConnectionClosed):
        await Socket(own.socket_url(0), room + "-fresh", Author("Dee")).__aenter__()
    late = Socket(own.socket_url(1), room + "-fresh", Author("Dee"))
    with pytest.raises(ConnectionClosed):
        await late.__aenter__()
    assert (late.ws.close_code, late.seen[-1]["code"]) == (1013, "unavailable")
    with pytest.raises(InvalidStatus) as problem:
        async with connect(f"{own.socket_url(0)}?room={room}-fresh&peer_id=Dee"):
            pass
    assert problem.value.response.status_code == 503


async def test_a_full_disk_refuses_and_recovers_without_a_restart(
    own: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    """No byte more for the storage process: sends are refused, reads go on; with room again, all is well."""

    async def send(text: str, **more: Any) -> httpx.Response:
        body = {"room": room, "peer_id": "Ada", "text": text} | more
        return await http.post(f"{own.base}/send", json=body)

    for number in range(5):
        assert (await send(f"text {number}")).status_code == 200
    assert own.storage.popen is not None
    pid = own.storage.popen.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    try:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
        results = [await send("x" * 15_000, id=f"full-{number}") for number in range(20)]
        for answer in results:
            refused(answer, 503, "unavailable")
        assert len((await http.get(f"{own.base}/history", params={"room": room})).json()) == 5
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    again = [await send("x" * 15_000, id=f"full-{number}") for number in range(20)]
    assert [answer.json().get("seq") for answer in again] == list(range(6, 26))
    assert own.storage.popen.poll() is None
    assert len(stored(own, room)) == 25
    ready = await http.get(f"{own.base}/readyz")
    assert ready.status_code == 200


async def test_a_frozen_storage_is_waited_for_and_a_retry_is_the_same_message(
    own: RunningNode, room: str
) -> None:
    """SIGSTOP in the middle: the send is refused after its deadline; retries after SIGCONT find one row."""
    assert own.storage.popen is not None
    body = {"room": room, "peer_id": "Ada", "text": "frozen", "id": secrets.token_hex(4)}
    async with httpx.AsyncClient(timeout=20) as patient:
        own.storage.popen.send_signal(signal.SIGSTOP)
        try:
            answer = await patient.post(f"{own.base}/send", json=body)
            refused(answer, 503, "unavailable")
        finally:
            own.storage.popen.send_signal(signal.SIGCONT)
        await asyncio.to_thread(own.gateway.await_ready)  # it gave the silent connection up, and dials
        for _ in range(2):
            again = await patient.post(f"{own.base}/send", json=body)
            assert (again.status_code, again.json()["seq"]) == (200, 1)
    assert len(stored(own, room)) == 1


def test_a_second_storage_on_the_file_is_refused(own: RunningNode) -> None:
    environment = dict(os.environ) | own.storage._env | {"STORAGE_PORT": "0", "STORAGE_INTERNAL_PORT": "0"}
    second = subprocess.run(
        [sys.executable, "-m", "services.storage"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert second.returncode == 2
    assert str(own.db) in second.stderr and "Traceback" not in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1


async def test_a_stranger_at_the_door_of_storage_gets_nothing(
    own: RunningNode, http: httpx.AsyncClient
) -> None:
    host, port = own.storage_address.split(":")
    before = own.storage.forget_peak()
    for said in (b"", b"\0\0\0\x05hello", b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\0" * 1000,
                 (20_000_000).to_bytes(4, "big") + b"x" * 4096):  # fmt: skip
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(said)
        async with asyncio.timeout(8):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    assert own.storage.memory("VmHWM") < before + 8
    assert (await http.get(f"{own.base}/readyz")).status_code == 200

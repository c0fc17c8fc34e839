"""Floods against a node with the default limits: what one gets through, what the others notice of it."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from tests.integration.conftest import REDIS_IMAGE
from tests.support.clients import Author, Frame, Poller, Socket
from tests.support.node import RunningNode, eventually
from tests.support.redis import own_redis
from tests.support.reference import ReferenceSocket
from tests.support.refusals import refused

RATE, BURST = 20, 200
FLOOD_S = 8.0
TEST_NET = "203.0.113"


@pytest.fixture(scope="module")
def limited(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Two signaling processes and two gateways, as they come."""
    folder = tmp_path_factory.mktemp("limited")
    with RunningNode(folder, redis_url, twin=True, limits={}).running() as running:
        yield running
        for process in running.processes:
            assert "Traceback" not in process.log(), process.log()[-3000:]


@pytest.fixture
def address() -> str:
    """An address that nobody else has, as our own proxy would tell it."""
    return f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(250)}"


def via(address: str) -> dict[str, str]:
    """The header of a trusted proxy."""
    return {"X-Forwarded-For": address}


Figure = Callable[[str, object], None]


@pytest.fixture
def figure(record_testsuite_property: Figure, request: pytest.FixtureRequest) -> Figure:
    """Keeps a figure in the suite's report (`pytest --junitxml`)."""
    return lambda name, value: record_testsuite_property(f"{request.node.name}: {name}", value)


class Tally:
    """What became of the messages one author sent."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.acked: set[str] = set()
        self.refused: set[str] = set()
        self.waits: list[float] = []
        self.slowest = 0.0
        self._at: dict[str, float] = {}

    def wrote(self, frame: Frame) -> Frame:
        """The frame leaves now."""
        found = json.loads(frame["env"])["id"]
        self.sent.add(found)
        self._at[found] = time.monotonic()
        return frame

    def heard(self, frame: Frame) -> None:
        """An answer of the node."""
        if frame["type"] == "ack":
            self.acked.add(frame["id"])
            self.slowest = max(self.slowest, time.monotonic() - self._at[frame["id"]])
        elif frame["type"] == "fault":
            assert frame["code"] == "too_many" and frame["retry"] > 0, frame
            self.refused.add(frame["id"])
            self.waits.append(frame["retry"])

    @property
    def settled(self) -> bool:
        """Whether every message has its answer."""
        return self.sent == self.acked | self.refused


async def by_socket(
    node: RunningNode, replica: int, room: str, author: Author, tally: Tally, rate: float, seconds: float
) -> None:
    """Sends at this rate over one socket, then waits until all is answered."""
    async with Socket(node.socket_url(replica), room, author) as socket:

        async def read() -> None:
            while True:
                tally.heard(await socket.frame(60))

        reader = asyncio.get_running_loop().create_task(read())
        start, number = time.monotonic(), 0
        while (now := time.monotonic() - start) < seconds:
            while number < rate * now:
                await socket.send(tally.wrote(author.write(room, f"{number}")))
                number += 1
            await asyncio.sleep(0.01)
        await eventually(lambda: tally.settled, 10)
        reader.cancel()
        await asyncio.wait([reader])


async def by_poll(
    http: httpx.AsyncClient, base: str, room: str, author: Author, tally: Tally, rate: float, seconds: float
) -> None:
    """Sends at this rate in polls, ten a second, as far as the node lets a poller who is refused go on."""
    poller = Poller(http, base, room, author)
    await poller.join()
    start, number = time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds:
        count = min(200, int(rate * now) - number)
        due = [tally.wrote(author.write(room, f"p{number + n}")) for n in range(count)]
        number += count
        for part in (due[:100], due[100:200]):
            if part:
                body = {"after": None, "frames": part}
                token = {"Authorization": f"Bearer {poller.token}"}
                answer = await http.post(f"{base}/poll", json=body, headers=token)
                for frame in answer.json()["frames"]:
                    tally.heard(frame)
        await asyncio.sleep(0.1)


async def stored(http: httpx.AsyncClient, node: RunningNode, room: str) -> set[str]:
    """The ids in the log."""
    found: set[str] = set()
    after = ""
    while True:
        answer = await http.get(f"{node.base}/history", params={"room": room, "after": after, "limit": "200"})
        page = answer.json()
        found |= {item["id"] for item in page["items"]}
        if not page["more"]:
            return found
        after = page["next"]


async def test_a_flood_over_every_door_gets_one_quota_and_hurts_nobody(
    limited: RunningNode, http: httpx.AsyncClient, room: str, figure: Figure
) -> None:
    flooder, tally = Author("Flooder", signed=True), Tally()
    honest = {name: (Author(name, signed=True), Tally()) for name in ("same", "other")}
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for replica in (0, 1):
            group.create_task(by_socket(limited, replica, room, flooder.elsewhere(), tally, 250, FLOOD_S))
        for base in (limited.base, limited.base2):
            group.create_task(by_poll(http, base, room, flooder.elsewhere(), tally, 250, FLOOD_S))
        for name, (author, own) in honest.items():
            where = room if name == "same" else f"{room}-2"
            group.create_task(by_socket(limited, 0, where, author, own, 5, FLOOD_S))
    took = time.monotonic() - started
    may = BURST + RATE * took
    figure("flood", f"{len(tally.sent)} sent, {len(tally.acked)} taken, {may:.0f} allowed in {took:.1f} s")
    for name, (_, own) in honest.items():
        figure(name, f"{len(own.acked)} of {len(own.sent)} acked, slowest {own.slowest * 1000:.0f} ms")
    assert tally.settled and not tally.acked & tally.refused
    assert len(tally.sent) > 25 * RATE * FLOOD_S, "as much as both sockets send, and more"
    assert 0.9 * may <= len(tally.acked) <= 1.1 * may
    log = await stored(http, limited, room)
    assert log & tally.sent == tally.acked, "what was refused is not there, what was acked is"
    for _, own in honest.values():
        assert own.acked == own.sent and len(own.sent) >= 4 * FLOOD_S
        assert own.slowest < 1


async def test_twenty_messages_in_a_second_pass(limited: RunningNode, room: str) -> None:
    tally = Tally()
    await by_socket(limited, 0, room, Author("Quick", signed=True), tally, 40, 1)
    assert len(tally.acked) == len(tally.sent) >= 38


async def test_what_was_refused_passes_once_it_has_waited(limited: RunningNode, room: str) -> None:
    author = Author("Patient", signed=True)
    async with Socket(limited.socket_url(), room, author) as socket:
        frames = [author.write(room, f"{number}") for number in range(230)]
        for frame in frames:
            await socket.send(frame)
        answers = [await socket.of_type("ack", "fault") for _ in frames]
        again = {frame["id"]: frame["retry"] for frame in answers if frame["type"] == "fault"}
        assert 0 < len(again) <= 30
        for frame in frames:
            found = json.loads(frame["env"])["id"]
            while found in again:
                await asyncio.sleep(again[found])
                await socket.send(frame)
                answer = await socket.of_type("ack", "fault")
                if answer["type"] == "ack":
                    del again[found]
    assert not again


async def test_a_send_flood_from_one_address_gets_the_quota_of_one(
    limited: RunningNode, http: httpx.AsyncClient, room: str, address: str, figure: Figure
) -> None:
    counts = {200: 0, 429: 0}
    started = time.monotonic()

    async def flood(which: int) -> None:
        base = (limited.base, limited.base2)[which % 2]
        async with httpx.AsyncClient(headers=via(address)) as client:
            number = 0
            while time.monotonic() - started < 4:
                number += 1
                body = {"room": room, "peer_id": f"Guest {which} {number}", "text": "flood"}
                answer = await client.post(f"{base}/send", json=body)
                counts[answer.status_code] += 1
                if answer.status_code == 429:
                    refused(answer, 429, "too_many")
                    assert answer.json()["retry"] > 0
                    assert int(answer.headers["retry-after"]) >= answer.json()["retry"]

    async def neighbour(headers: dict[str, str], label: str) -> None:
        for number in range(40):
            body = {"room": room, "peer_id": label, "text": f"{number}"}
            answer = await http.post(f"{limited.base}/send", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.06)

    async with asyncio.TaskGroup() as group:
        for which in range(4):
            group.create_task(flood(which))
        group.create_task(neighbour(via(f"{TEST_NET}.7"), "Elsewhere"))
        group.create_task(neighbour({}, "Here"))
    may = BURST + RATE * (time.monotonic() - started)
    figure("flood", f"{sum(counts.values())} sent, {counts[200]} taken, {may:.0f} allowed")
    assert counts[429] > 0
    assert 0.9 * may <= counts[200] <= 1.1 * may
    assert len(await stored(http, limited, room)) == counts[200] + 80


async def test_guests_on_this_machine_count_per_label(
    limited: RunningNode, http: httpx.AsyncClient, room: str
) -> None:
    async def flood(label: str) -> int:
        found = 0
        for number in range(150):
            body = {"room": room, "peer_id": label, "text": f"{number}"}
            found += (await http.post(f"{limited.base}/send", json=body)).status_code == 200
        return found

    assert await asyncio.gather(flood("One"), flood("Two")) == [150, 150]


@pytest_asyncio.fixture
async def spent(
    limited: RunningNode, http: httpx.AsyncClient, address: str, figure: Figure
) -> AsyncIterator[str]:
    """An address that has joined as often as it may; both gateways and both hubs have heard of it."""
    started, counts = time.monotonic(), {200: 0, 429: 0}
    while (took := time.monotonic() - started) < 3 or (took < 15 and not counts[429]):
        bodies = [
            {"room": f"join-{address}-{n}", "session": secrets.token_hex(8), "name": f"G{n}"}
            for n in range(8)
        ]
        posts = [
            http.post(f"{(limited.base, limited.base2)[n % 2]}/join", json=body, headers=via(address))
            for n, body in enumerate(bodies)
        ]
        for answer in await asyncio.gather(*posts):
            counts[answer.status_code] += 1
            if answer.status_code == 429:
                refused(answer, 429, "too_many")
                assert int(answer.headers["retry-after"]) >= answer.json()["retry"] > 0
    may = 120 + 2 * (time.monotonic() - started)
    figure("flood", f"{sum(counts.values())} asked, {counts[200]} let in, {may:.0f} allowed")
    assert counts[429] > 0
    assert 0.9 * may <= counts[200] <= 1.1 * may
    yield address


async def closed_with(url: str, room: str, author: Author, address: str) -> tuple[list[Frame], int | None]:
    """Tries to join until refused: the frames then, and the close code."""
    for _ in range(10):
        socket = Socket(url, room, author.elsewhere(), headers=via(address))
        try:
            async with socket:
                await asyncio.sleep(0.3)
        except ConnectionClosed as closed:
            return socket.seen, closed.rcvd.code if closed.rcvd else None
    raise AssertionError("was let in ten times")


async def test_a_join_flood_is_refused_at_every_door_and_others_come_in(
    limited: RunningNode, http: httpx.AsyncClient, room: str, spent: str
) -> None:
    for replica in (0, 1):
        seen, code = await closed_with(limited.socket_url(replica), room, Author("Late"), spent)
        assert code == 1013
        assert seen[-1]["type"] == "fault" and seen[-1]["code"] == "too_many" and seen[-1]["retry"] > 0
    reference = ReferenceSocket(limited.socket_url(), room, "Late")
    reference.headers = via(spent)
    with pytest.raises(ConnectionClosed) as closed:
        async with reference:
            await reference.frame()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
    other = Author("Welcome", signed=True)
    async with Socket(limited.socket_url(), room, other, headers=via(f"{TEST_NET}.9")):
        pass
    await Poller(http, limited.base, room, Author("Here")).join()


async def test_who_is_known_comes_back_for_free(
    limited: RunningNode, room: str, address: str, http: httpx.AsyncClient
) -> None:
    signed, label = Author("Known", signed=True), Author("Label")
    url = limited.socket_url
    for author in (signed, label):
        async with Socket(url(0), room, author, headers=via(address)):
            pass
    async with httpx.AsyncClient(headers=via(address)) as client:
        for number in range(140):
            body = {"room": f"{room}-{number % 5}", "session": secrets.token_hex(8), "name": f"G{number}"}
            answer = await client.post(f"{limited.base}/join", json=body)
        assert answer.status_code == 429
        for number in range(20):
            for author in (signed, label):
                async with Socket(url(number % 2), room, author, headers=via(address)):
                    pass
        await Poller(client, limited.base2, room, signed).join()
        again = Poller(client, limited.base2, room, Author("Stranger", signed=True))
        with pytest.raises(AssertionError, match="too_many"):
            for _ in range(40):  # the other gateway has to hear of this address first
                again.author = again.author.elsewhere()
                await again.join()
                await asyncio.sleep(0.05)


async def test_new_rooms_are_bounded_per_address_and_old_ones_stay_open(
    limited: RunningNode, http: httpx.AsyncClient, room: str, address: str
) -> None:
    async def post(name: str, **headers: str) -> httpx.Response:
        body = {"room": name, "peer_id": "Maker", "text": "first"}
        return await http.post(f"{limited.base}/send", json=body, headers=headers)

    for number in range(60):
        assert (await post(f"{room}-{number}", **via(address))).status_code == 200
    answer = await post(f"{room}-60", **via(address))
    refused(answer, 429, "too_many")
    assert 50 < answer.json()["retry"] <= 60
    assert (await post(f"{room}-7", **via(address))).status_code == 200
    assert (await post(f"{room}-60")).status_code == 200
    assert (await post(f"{room}-60", **via(address))).status_code == 200
    author = Author("Maker", signed=True)
    await asyncio.sleep(0.3)
    async with Socket(limited.socket_url(), f"{room}-61", author, headers=via(address)) as socket:
        # This hub has not heard of the address before: it lets one room through, and then knows.
        await socket.send(author.write(f"{room}-61", "first"))
        await socket.of_type("ack")
        await asyncio.sleep(0.3)
        await socket.send(author.write(f"{room}-61", "second"))
        await socket.of_type("ack")
    async with Socket(limited.socket_url(), f"{room}-62", author, headers=via(address)) as socket:
        await socket.send(author.write(f"{room}-62", "no"))
        fault = await socket.of_type("ack", "fault")
        assert (fault["type"], fault["code"]) == ("fault", "too_many") and fault["retry"] > 50
    assert not await stored(http, limited, f"{room}-62")


async def test_a_trickle_of_candidates_passes_and_a_flood_of_signals_drowns_nobody(
    limited: RunningNode, room: str, figure: Figure
) -> None:
    caller, callee, flooder = (Author(name, signed=True) for name in ("Caller", "Callee", "Noise"))
    async with (
        Socket(limited.socket_url(1), room, callee) as called,
        Socket(limited.socket_url(0), room, caller) as calling,
        Socket(limited.socket_url(0), room, flooder) as noisy,
    ):
        for number in range(100):
            payload = {"candidate": f"{number}", "to": "callee"}
            await calling.send({"type": "ice", "payload": payload, "target_peer_id": callee.peer})
        got = [await called.of_type("ice") for _ in range(100)]
        assert [frame["payload"]["candidate"] for frame in got] == [str(number) for number in range(100)]
        noise = json.dumps({"type": "ice", "payload": {}, "target_peer_id": callee.peer})

        async def flood() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    for _ in range(20_000):
                        await noisy.ws.send(noise)

        flooding = asyncio.get_running_loop().create_task(flood())
        tally = Tally()
        await by_socket(limited, 0, room, caller.elsewhere(), tally, 10, 2)
        await flooding
        assert tally.acked == tally.sent
        figure("flood", f"slowest ack {tally.slowest * 1000:.0f} ms")
        assert tally.slowest < 2
        fault = await noisy.of_type("fault")
        assert fault["code"] == "too_many" and fault["retry"] > 0


async def test_a_limit_of_nought_is_none(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    names = ("JOINS", "SENDS", "ROOM_SENDS", "FRAMES", "ROOMS", "SOCKETS")
    off = {f"LIMIT_{name}": "0" for name in names}
    with RunningNode(tmp_path_factory.mktemp("off"), redis_url, replicas=1, limits=off).running() as node:
        author, tally = Author("Fast", signed=True), Tally()
        await by_socket(node, 0, "off", author, tally, 1_000, 2)
        assert len(tally.acked) == len(tally.sent) > 1_500
        async with httpx.AsyncClient(headers=via("10.9.8.7")) as http:
            for number in range(150):
                body = {"room": f"off-{number}", "session": secrets.token_hex(8), "name": "Maker"}
                assert (await http.post(f"{node.base}/join", json=body)).status_code == 200
                text = {"room": f"off-{number}", "peer_id": "Maker", "text": "first"}
                assert (await http.post(f"{node.base}/send", json=text)).status_code == 200


async def test_without_redis_each_process_limits_alone_and_later_they_agree_again(tmp_path: Path) -> None:
    room, flooder, tally, later = "alone", Author("Flooder", signed=True), Tally(), Tally()
    with own_redis(REDIS_IMAGE) as redis, RunningNode(tmp_path, redis.url, limits={}).running() as node:
        async with asyncio.TaskGroup() as group:
            for replica in (0, 1):
                group.create_task(by_socket(node, replica, room, flooder.elsewhere(), tally, 200, 3))
            await asyncio.sleep(0.5)
            redis.kill()
        alone = 2 * (BURST + RATE * 3)
        assert BURST < len(tally.acked) <= 1.1 * alone
        redis.start()
        await asyncio.sleep(2)
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for replica in (0, 1):
                group.create_task(by_socket(node, replica, room, flooder.elsewhere(), later, 200, 4))
        # What both gave together beyond one quota is owed, one burst at most, and paid back first.
        assert 0 < len(later.acked) <= 1.1 * RATE * (time.monotonic() - started + 3)
        assert "limits.alone" in node.signaling[0].log() and "limits.shared" in node.signaling[0].log()

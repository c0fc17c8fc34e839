"""The reference's own client, without our subprotocol and without Origin, is served in its form."""

import asyncio
import contextlib
import secrets
import time

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.clients import Author, Poller, Socket
from tests.support.node import RunningNode, eventually
from tests.support.raw import CLOSE, PING, PONG, client_frame, upgrade, wire
from tests.support.reference import ReferenceSocket

SDP = "v=0\r\n" + "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n" * 360
QUIET = 0.4


def replicas() -> pytest.MarkDecorator:
    """Both clients at one replica, and at two."""
    return pytest.mark.parametrize("there", [0, 1], ids=["one replica", "two replicas"])


async def refused(url: str, room: str, label: str) -> int:
    """The status with which the handshake is refused; 101 when it is not."""
    try:
        async with ReferenceSocket(url, room, label):
            return 101
    except InvalidStatus as problem:
        assert set(problem.response.headers["Content-Type"].split(";")) == {"application/json"}
        return problem.response.status_code


async def close_code(socket: ReferenceSocket, within: float = 5.0) -> int | None:
    """How the node ends this socket."""
    async with asyncio.timeout(within):
        await socket.ws.wait_closed()
    return socket.ws.close_code


@replicas()
@pytest.mark.parametrize("kind", ["offer", "answer", "ice"])
async def test_signals_pass_with_the_sender_overwritten(
    node: RunningNode, room: str, kind: str, there: int
) -> None:
    payload = {"type": kind, "sdp": SDP, "n": [1, None, 2.5], "ü": "\u2028"}
    async with (
        ReferenceSocket(node.socket_url(0), room, "Ada") as ada,
        ReferenceSocket(node.socket_url(there), room, "Bob") as bob,
    ):
        await ada.say(kind, payload, peer_id="Mallory")
        got = await bob.of_type(kind)
        assert got == {"type": kind, "peer_id": "Ada", "payload": payload}
        assert len(SDP) > 20_000
        assert [frame for frame in await ada.during(QUIET) if frame["type"] == kind] == [], "an echo"


@replicas()
async def test_a_target_gets_it_alone_and_no_target_means_all_others(
    node: RunningNode, room: str, there: int
) -> None:
    async with (
        ReferenceSocket(node.socket_url(0), room, "Ada") as ada,
        ReferenceSocket(node.socket_url(there), room, "Bob") as bob,
        ReferenceSocket(node.socket_url(1 - there), room, "Cy") as cy,
    ):
        assert {(await ada.frame())["peer_id"] for _ in range(2)} == {"Bob", "Cy"}
        await ada.say("offer", "for bob", target_peer_id="Bob")
        await ada.say("ice", "for all")
        bobs = [await bob.of_type("offer"), await bob.of_type("ice")]
        assert [frame["payload"] for frame in bobs] == ["for bob", "for all"]
        assert bobs[0]["target_peer_id"] == "Bob"
        assert "target_peer_id" not in bobs[1]
        seen = await cy.during(QUIET)
    assert [frame["payload"] for frame in seen if "payload" in frame] == ["for all"]


async def test_a_signal_stays_in_its_room(node: RunningNode, room: str) -> None:
    async with (
        ReferenceSocket(node.socket_url(0), room, "Ada") as ada,
        ReferenceSocket(node.socket_url(0), room + "2", "Bob") as bob,
    ):
        await ada.say("offer", 1, target_peer_id="Bob")
        await ada.say("offer", 2)
        assert await bob.during(QUIET) == []
        assert await ada.during(0.1) == [], "a reference client gets no fault"


JUNK = [
    '{"type":"chat","payload":1}',
    '{"type":"peer_joined","peer_id":"X","room":"r"}',
    '{"type":"hello","v":[1],"room":"r","session":"0000000000000000","name":"X"}',
    '{"type":"send","env":"{}"}',
    '{"type":"ping","t":1}',
    '{"type":"name","name":"X"}',
    '{"type":"offer"}',
    '{"payload":1}',
    '{"type":"offer","type":"answer","payload":1}',
    '{"type":"offer","payload":NaN}',
    '{"type":"offer","payload":' + "[" * 30_000 + "]" * 30_000 + "}",
    '{"type":"offer","payload":"\\ud800"}',
    '{"type":"offer","payload":1,"target_peer_id":["Bob","Cy"]}',
    '{"type":"offer","payload":1,"target_peer_id":"Ada"}',
    '{"type":"offer","payload":1,"target_peer_id":"nobody"}',
    "[1,2]",
    "\ufeff{}",
    "",
    "not json",
    b'{"type":"offer","payload":1}',
]


async def test_what_is_no_signal_is_dropped_without_echo(node: RunningNode, room: str) -> None:
    async with (
        ReferenceSocket(node.socket_url(0), room, "Ada") as ada,
        ReferenceSocket(node.socket_url(1), room, "Bob") as bob,
    ):
        await ada.frame()
        for junk in JUNK:
            await ada.ws.send(junk)
        await ada.say("offer", "last")
        assert (await bob.frame())["payload"] == "last", "junk was relayed"
        assert await ada.during(QUIET) == []


async def test_a_message_above_64_kib_closes_with_1009_and_one_below_passes(
    node: RunningNode, room: str
) -> None:
    async with (
        ReferenceSocket(node.socket_url(0), room, "Ada") as ada,
        ReferenceSocket(node.socket_url(0), room, "Bob") as bob,
    ):
        await ada.say("offer", "x" * 65_000)
        assert len((await bob.of_type("offer"))["payload"]) == 65_000
        await ada.say("offer", "x" * 65_536)
        assert await close_code(ada) == 1009
        assert [frame for frame in await bob.during(QUIET) if "payload" in frame] == []


@replicas()
async def test_the_others_are_told_of_a_newcomer_and_the_newcomer_is_not(
    node: RunningNode, room: str, there: int
) -> None:
    async with ReferenceSocket(node.socket_url(0), room, "Ada") as ada:
        await asyncio.sleep(0.002)  # two sockets of one millisecond are told of each other
        async with ReferenceSocket(node.socket_url(there), room, "Bob") as bob:
            assert await ada.frame() == {"type": "peer_joined", "peer_id": "Bob", "room": room}
            assert await bob.during(QUIET) == []
        peer = Author("Key holder", signed=True)
        async with Socket(node.socket_url(there), room, peer):
            assert await ada.frame() == {"type": "peer_joined", "peer_id": peer.peer, "room": room}
        poller = Author("Poller")
        async with httpx.AsyncClient() as http:
            await Poller(http, node.base, room, poller).join()
        assert await ada.frame() == {"type": "peer_joined", "peer_id": "Poller", "room": room}


async def test_our_frames_are_never_forced_on_it(node: RunningNode, room: str) -> None:
    """Messages, acks, names, faults, leaving: nothing but the reference's own types reaches its client."""
    async with ReferenceSocket(node.socket_url(0), room, "Ada") as ada:
        assert ada.ws.subprotocol is None
        writer = Author("Writer", signed=True)
        async with Socket(node.socket_url(1), room, writer) as socket:
            await socket.send(writer.write(room, "hello"))
            await socket.of_type("ack")
            await socket.send({"type": "name", "name": "Other name"})
            await socket.send({"type": "offer", "payload": {"sdp": 1}, "target_peer_id": "Ada"})
        async with httpx.AsyncClient() as http:
            sent = await http.post(
                f"{node.base}/send", json={"room": room, "peer_id": "Ada", "text": "by http"}
            )
            assert sent.status_code == 200
        seen = await ada.during(1.0)
    assert [frame["type"] for frame in seen] == ["peer_joined", "offer"]
    assert set(seen[1]) <= {"type", "peer_id", "payload", "target_peer_id"}
    assert seen[1]["peer_id"] == writer.peer


async def test_send_and_history_work_under_the_name_of_an_open_socket(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    async with ReferenceSocket(node.socket_url(1), room, "Ada Lovelace"):
        body = {"room": room, "peer_id": "Ada Lovelace", "text": "Grüße 👋\n2"}
        before = int(time.time())
        sent = await http.post(f"{node.base}/send", json=body)
        assert sent.status_code == 200, sent.text
        found = await http.get(f"{node.base}/history", params={"room": room, "since": before - 1})
    (item,) = found.json()
    assert item["peer_id"] == "Ada Lovelace"
    assert item["text"] == body["text"]
    assert item["timestamp"] == sent.json()["timestamp"] >= before
    assert item["id"] == sent.json()["id"]
    assert item["seq"] == sent.json()["seq"] == 1


@replicas()
async def test_a_second_socket_with_a_live_label_is_refused(node: RunningNode, room: str, there: int) -> None:
    async with (
        ReferenceSocket(node.socket_url(0), room, "Bob") as bob,
        ReferenceSocket(node.socket_url(0), room, "Ada") as first,
    ):
        await bob.of_type("peer_joined")
        async with ReferenceSocket(node.socket_url(there), room, "Ada") as second:
            assert await close_code(second) == 4003
        await bob.say("offer", "still you", target_peer_id="Ada")
        assert (await first.of_type("offer"))["payload"] == "still you"


@replicas()
async def test_a_label_is_free_again_as_soon_as_its_socket_has_closed(
    node: RunningNode, room: str, there: int
) -> None:
    async with (
        ReferenceSocket(node.socket_url(0), room, "Bob") as bob,
        ReferenceSocket(node.socket_url(1), room, "Cy"),
    ):
        for _ in range(3):
            async with ReferenceSocket(node.socket_url(0), room, "Ada") as ada:
                await ada.say("ice", 0)
                await bob.of_type("ice")
            await asyncio.sleep(0.05)
            async with ReferenceSocket(node.socket_url(there), room, "Ada") as again:
                await again.say("ice", 1)
                assert (await bob.of_type("ice", within=4))["payload"] == 1
            await asyncio.sleep(0.1)


async def test_of_many_sockets_that_want_one_label_at_once_one_gets_it(node: RunningNode, room: str) -> None:
    async with asyncio.TaskGroup() as group:
        dials = [
            group.create_task(ReferenceSocket(node.socket_url(0), room, "Ada").__aenter__())
            for _ in range(12)
        ]
    sockets = [dial.result() for dial in dials]
    await eventually(lambda: sum(socket.ws.close_code == 4003 for socket in sockets) == 11)
    await asyncio.sleep(0.3)
    codes = [socket.ws.close_code for socket in sockets]
    for socket in sockets:
        await socket.ws.close()
    assert sorted(codes, key=str) == [4003] * 11 + [None]


async def test_labels_that_nobody_may_take(node: RunningNode, room: str) -> None:
    for label in ("Owner", "ＡＤＭＩＮ", "egoat", "a2b3c4d5" * 3 + "e6", "A2B3C4D5" * 3 + "E6"):
        assert await refused(node.socket_url(0), room, label) == 403, label
    for label in ("", "a" * 65, "a\u202eb", "a\x00b", "two  spaces", "guest:Ada", "<b>"):
        assert await refused(node.socket_url(0), room, label) == 400, label


@replicas()
async def test_id_and_name_of_a_verified_peer_are_refused(node: RunningNode, room: str, there: int) -> None:
    peer = Author("Grace Hopper", signed=True)
    async with Socket(node.socket_url(0), room, peer):
        for label in (peer.peer, peer.peer.upper(), "Grace Hopper", "gRACE hopper", "Ｇｒａｃｅ Hopper"):
            assert await refused(node.socket_url(there), room, label) == 403, label
        assert await refused(node.socket_url(there), room, "Grace") == 101
    assert await refused(node.socket_url(there), room + "x", "Grace Hopper") == 101


async def test_queries_that_name_nobody(node: RunningNode, room: str) -> None:
    for query in (
        "",
        f"?room={room}",
        "?peer_id=Ada",
        f"?room={room}&peer_id=A&peer_id=B",
        "?room=&peer_id=A",
    ):
        with pytest.raises(InvalidStatus) as problem:
            async with connect(node.socket_url(0) + query):
                pass
        assert problem.value.response.status_code == 400, query


@replicas()
async def test_the_handshake_ends_only_once_the_room_can_reach_the_client(
    node: RunningNode, room: str, there: int
) -> None:
    """What is sent after the newcomer has its 101 arrives, also in rooms that the replica did not serve before."""
    for number in range(25):
        name = f"{room}-{number}-{secrets.token_hex(2)}"
        async with (
            ReferenceSocket(node.socket_url(0), name, "Ada") as ada,
            ReferenceSocket(node.socket_url(there), name, "Bob") as bob,
        ):
            await ada.say("offer", number)
            assert (await bob.of_type("offer", within=2))["payload"] == number, f"lost in try {number}"


async def test_through_the_port_of_the_page(node: RunningNode, room: str) -> None:
    url = f"ws://127.0.0.1:{node.http}/signal"
    async with (
        ReferenceSocket(url, room, "Ada") as ada,
        ReferenceSocket(node.socket_url(1), room, "Bob") as bob,
    ):
        await bob.say("offer", SDP)
        assert (await ada.of_type("offer"))["payload"] == SDP
        await ada.say("answer", SDP, peer_id="Bob")
        assert (await bob.of_type("answer"))["peer_id"] == "Ada"
        await ada.say("offer", "x" * 70_000)
        with pytest.raises(ConnectionClosed):
            await ada.of_type("offer")
        assert ada.ws.close_code == 1009


async def test_two_who_come_at_the_same_time_learn_of_each_other(node: RunningNode, room: str) -> None:
    async def one_try(number: int) -> None:
        sockets = [
            ReferenceSocket(node.socket_url(place), f"{room}-{number}", label)
            for place, label in enumerate("AB")
        ]
        await asyncio.gather(*(each.__aenter__() for each in sockets))
        seen = [[frame["peer_id"] for frame in await each.during(0.3)] for each in sockets]
        await asyncio.gather(*(each.ws.close() for each in sockets))
        assert ["B"] in seen or ["A"] in seen, f"neither was told: {seen}"
        assert all(len(names) <= 1 for names in seen), seen

    for number in range(6):
        await asyncio.gather(*(one_try(3 * number + each) for each in range(3)))


async def only_pings(port: int, room: str, *, answer: bool, within: float) -> list[int]:
    """Opcodes that a reference socket gets while it says nothing (but pongs, if it answers) for so long."""
    seen: list[int] = []
    async with wire(port) as line:
        await line.send(upgrade(f"/signal?room={room}&peer_id=Silent", host=f"localhost:{port}"))
        assert (await line.answer()).status == 101
        with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(within):
                while True:
                    opcode, payload = await line.frame(within)
                    seen.append(opcode)
                    if answer and opcode == PING:
                        await line.send(client_frame(PONG, payload))
    return seen


async def test_a_silent_client_stays_and_one_that_answers_no_ping_goes(node: RunningNode, room: str) -> None:
    """A minute of silence: reference and `egoat.1` sockets stay, at both ports; a dead one is found by its pings."""
    silent_for = 61.0

    async def silent_own(port: int) -> tuple[list[str], list[str]]:
        """The names that the welcome had beside the own one, and then every frame."""
        author = Author(f"Own {port}", signed=True)
        async with Socket(f"ws://127.0.0.1:{port}/signal", room + "-own", author) as socket:
            others = [peer["name"] for peer in socket.welcome["roster"] if peer["name"] != author.name]
            return others, [frame["type"] for frame in await socket.during(silent_for)]

    async def silent_then_speaks() -> None:
        name = room + "-later"
        async with ReferenceSocket(node.socket_url(0), name, "Ada") as ada:
            await asyncio.sleep(silent_for)
            async with ReferenceSocket(node.socket_url(1), name, "Bob") as bob:
                assert await ada.frame() == {"type": "peer_joined", "peer_id": "Bob", "room": name}
                await ada.say("offer", 1)
                assert (await bob.of_type("offer"))["payload"] == 1

    direct, spliced, dead, own, own_spliced, _ = await asyncio.gather(
        only_pings(node.ws[0], room, answer=True, within=silent_for),
        only_pings(node.http, room + "-http", answer=True, within=silent_for),
        only_pings(node.ws[1], room + "-dead", answer=False, within=silent_for),
        silent_own(node.ws[1]),
        silent_own(node.http),
        silent_then_speaks(),
    )
    assert direct == spliced == [PING] * 3
    for here, told in (
        own,
        own_spliced,
    ):  # they came at the same time: each learns of the other once, either way
        assert len(here) + len(told) == 1
        assert told in ([], ["peer_joined"])
    assert own[1] or own_spliced[1]
    assert dead in ([PING, PING, CLOSE], [PING, CLOSE]), (
        "closed 40 s after it fell silent, with a close frame"
    )

"""Order of work 5: who has no WebSocket joins, sends, reads and signals by HTTP alone, at any gateway replica."""

import asyncio
import contextlib
import json
import secrets
import time
from typing import Any

import httpx
import pytest

from services.kernel.model import join
from services.kernel.model.ids import RoomId
from services.kernel.model.join import JoinKeys
from services.kernel.model.member import Member
from tests.support.clients import Author, Frame, Poller, Socket, bodies
from tests.support.node import RunningNode
from tests.support.raw import exchange, request, wire
from tests.support.reference import ReferenceSocket
from tests.support.refusals import head_of, refused

pytestmark = pytest.mark.usefixtures("survives")


def acks(found: Frame) -> list[Frame]:
    """The ack frames of a poll."""
    return [frame for frame in found["frames"] if frame["type"] == "ack"]


async def test_join_send_and_read_by_http_alone(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    author = Author("Ada", signed=True)
    poller = Poller(http, node.base, room, author)
    joined = await poller.join()
    row = {"peer_id": author.peer, "name": "Ada", "sessions": [author.session], "verified": True}
    assert joined | {"token": 0, "log_id": 0, "now": 0} == {
        "peer_id": author.peer, "token": 0, "log_id": 0, "head": 0, "floor": 0, "now": 0, "roster": [row],
        "turn": None}  # fmt: skip
    assert abs(joined["now"] - time.time() * 1000) < 2000
    sent = [author.write(room, f"text {number}") for number in range(3)]
    found = await poller.poll(frames=sent)
    assert [ack["id"] for ack in acks(found)] == [json.loads(frame["env"])["id"] for frame in sent]
    assert [ack["seq"] for ack in acks(found)] == [1, 2, 3]
    got = [frame for frame in found["frames"] if frame["type"] == "message"]
    got += (await poller.poll())["frames"] if len(got) < 3 else []
    assert bodies(got) == ["text 0", "text 1", "text 2"]
    assert [(frame["env"], frame["sig"], frame["pk"]) for frame in got] == [
        (frame["env"], frame["sig"], author.pk) for frame in sent
    ]
    direct = author.write(room, "by /send")
    headers = {"Authorization": f"Bearer {poller.token}"}
    body = {"env": direct["env"], "sig": direct["sig"]}
    answer = await http.post(f"{node.base}/send", json=body, headers=headers)
    assert answer.json() == {"timestamp": answer.json()["at"] // 1000, "id": json.loads(direct["env"])["id"],
                             "seq": 4, "log_id": joined["log_id"], "at": answer.json()["at"]}  # fmt: skip
    page = (await http.get(f"{node.base}/history", params={"room": room, "after": "", "full": "1"})).json()
    assert [item["text"] for item in page["items"]] == ["text 0", "text 1", "text 2", "by /send"]
    assert {(item["peer_id"], item["name"], item["verified"]) for item in page["items"]} == {
        (author.peer, "Ada", True)
    }


async def test_a_guest_by_http(node: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    guest = Author("Ada")
    poller = Poller(http, node.base, room, guest)
    assert (await poller.join())["peer_id"] == "guest:Ada"
    assert acks(await poller.poll(frames=[guest.write(room, "hello")]))[0]["seq"] == 1
    (fault,) = (await poller.poll(frames=[{"type": "name", "name": "Bob"}], after=None))["frames"]
    assert (fault["type"], fault["code"]) == ("fault", "forbidden")


async def test_forged_senders_are_refused_on_poll_and_send(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    victim, thief, guest = Author("Victim", signed=True), Author("Thief", signed=True), Author("Visitor")
    for liar in (thief, guest):
        poller = Poller(http, node.base, room, liar)
        await poller.join()
        headers = {"Authorization": f"Bearer {poller.token}"}
        for sender in (victim.peer, "guest:Victim", "Victim", "", "egoat"):
            frame = liar.write(room, "forged", sender=sender)
            (fault,) = (await poller.poll(frames=[frame]))["frames"]
            assert (fault["type"], fault["code"], fault["id"]) == (
                "fault", "forbidden", json.loads(frame["env"])["id"])  # fmt: skip
            body = {key: frame[key] for key in ("env", "sig", "pk") if key in frame}
            refused(await http.post(f"{node.base}/send", json=body, headers=headers), 403, "forbidden")
        other_room = liar.write(room + "x", "elsewhere")
        body = {"env": other_room["env"], "sig": other_room.get("sig")}
        refused(await http.post(f"{node.base}/send", json=body, headers=headers), 403, "forbidden")
        refused(await http.post(f"{node.base}/send", json=body), 401, "unauthorized")
    assert await head_of(http, node, room) == await head_of(http, node, room + "x") == 0


async def test_joins_that_prove_nothing(node: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    author, thief = Author("Ada", signed=True), Author("Thief", signed=True)
    keys = JoinKeys.of(node.secret)

    def nonce(age: float) -> str:
        made = time.time_ns() // 10**6 - int(age * 1000)
        return join.make_nonce(keys, made, secrets.token_bytes(8))

    async def attempt(base: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"room": room, "session": author.session, "name": "Ada"} | fields
        return await http.post(f"{base}/join", json=body, headers=headers)

    fresh = nonce(0)
    good = author.proof(room, fresh, node.base)
    for wrong in (
        author.proof(room, nonce(31), node.base),
        author.proof(room, nonce(-5), node.base),
        author.proof(room, fresh, node.base2),
        author.proof(room, fresh, "http://["),
        author.proof(room + "x", fresh, node.base),
        good | {"sig": thief.proof(room, fresh, node.base)["sig"]},
        good | {"pk": thief.pk},
        good | {"session": secrets.token_hex(8)},
        good | {"nonce": nonce(0)},
    ):
        refused(await attempt(node.base, **wrong), 401, "unauthorized")
    for garbled in (
        good | {"sig": None},
        good | {"nonce": None},
        good | {"origin": None},
        good | {"pk": None},
        good | {"pk": "x"},
        good | {"nonce": "x"},
        good | {"nonce": 5},
    ):
        refused(await attempt(node.base, **garbled), 400, "bad_request")
    page = f"http://127.0.0.1:{node.ws[0]}"
    refused(await attempt(node.base, {"Origin": page}, **good), 401, "unauthorized")
    assert (await attempt(node.base, **good)).status_code == 200
    refused(await attempt(node.base, **good), 401, "unauthorized")
    again = author.proof(room, fresh, node.base2)
    refused(await attempt(node.base2, **again), 401, "unauthorized")
    from_page = author.proof(room, nonce(0), page)
    assert (await attempt(node.base, {"Origin": page}, **from_page)).status_code == 200


async def test_tokens_that_open_nothing(node: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    member = Member(RoomId(room), "guest:Ada", poller.author.session, "Ada")  # type: ignore[arg-type]
    now = time.time_ns() // 10**6
    ended = join.make_token(JoinKeys.of(node.secret), member, now - 600_001)
    foreign = join.make_token(JoinKeys.of(b"y" * 32), member, now)
    good = poller.token
    for header in (None, "", "Bearer", "Bearer ", f"Basic {good}", good, f"Bearer {good}x", f"Bearer {good[:-4]}",
                   f"Bearer {ended}", f"Bearer {foreign}", "Bearer " + "A" * 3000, "Bearer é", f"Bearer {good} x",
                   f"Bearer {good[:30]}A{good[31:]}"):  # fmt: skip
        headers = {} if header is None else {"Authorization": header}
        for path, body in (("/poll", b'{"after":""}'), ("/send", b'{"env":"{}"}')):
            asked = request("POST", path, body, Content_Type="application/json", **headers)
            refused(await exchange(node.http, asked), 401, "unauthorized")
    assert (await poller.poll())["frames"] == []


async def test_a_token_is_renewed_in_its_second_half(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    poller = Poller(http, node.base, room, Author("Ada", signed=True))
    await poller.join()
    assert "token" not in await poller.poll()
    member, ends = join.read_token(JoinKeys.of(node.secret), poller.token, time.time_ns() // 10**6)
    poller.token = join.make_token(JoinKeys.of(node.secret), member, ends - 600_000 - 301_000)
    old = poller.token
    assert (await poller.poll())["token"] not in ("", old)
    _, renewed = join.read_token(JoinKeys.of(node.secret), poller.token, time.time_ns() // 10**6)
    assert renewed >= ends
    assert "token" not in await poller.poll()


@pytest.mark.parametrize("writer_at", [0, 1])
async def test_a_long_poll_wakes_at_once(
    node: RunningNode, room: str, http: httpx.AsyncClient, writer_at: int
) -> None:
    writer = Author("Writer", signed=True)
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    async with Socket(node.socket_url(writer_at), room, writer) as socket:
        for number in range(10):
            waiting = asyncio.ensure_future(poller.poll(wait=15))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await socket.send(writer.write(room, f"text {number}"))
            assert bodies((await waiting)["frames"]) == [f"text {number}"]
            assert time.monotonic() - began < 0.5


async def test_twenty_messages_in_a_second_come_once_and_in_order(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    """Written by socket and by poll at once, read by a poll that goes from replica to replica with one cursor."""
    by_socket, by_poll = Author("Socket", signed=True), Author("Poll", signed=True)
    reader, sender = (Poller(http, node.base, room, author) for author in (Author("Reader"), by_poll))
    await reader.join()
    await sender.join()
    got: list[Frame] = []

    async def read() -> None:
        bases = [node.base, node.base2]
        while len(got) < 40:
            reader.base = bases[len(got) % 2]
            got.extend((await reader.poll(wait=5))["frames"])

    async with (
        Socket(node.socket_url(1), room, by_socket) as socket,
        asyncio.timeout(10),
        asyncio.TaskGroup() as group,
    ):
        group.create_task(read())
        for number in range(20):
            await socket.send(by_socket.write(room, f"socket {number}"))
            if number % 5 == 0:
                frames = [by_poll.write(room, f"poll {number + each}") for each in range(5)]
                await sender.poll(frames=frames, after=None)
            await asyncio.sleep(0.02)
    assert [frame["seq"] for frame in got] == list(range(1, 41))
    for kind in ("socket", "poll"):
        assert [text for text in bodies(got) if text.startswith(kind)] == [f"{kind} {n}" for n in range(20)]


async def test_any_replica_answers_from_one_cursor(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    author = Author("Ada", signed=True)
    poller = Poller(http, node.base, room, author)
    await poller.join()
    cursor = poller.after
    await poller.poll(frames=[author.write(room, f"text {number}") for number in range(5)], after=None)
    for base in (node.base2, node.base):
        poller.base, poller.after = base, cursor
        assert bodies((await poller.poll())["frames"]) == [f"text {number}" for number in range(5)]
        assert (await poller.poll())["frames"] == []
    page = (await http.get(f"{node.base2}/history", params={"room": room, "after": cursor})).json()
    assert page["next"] == poller.after


async def test_cursors_of_a_poll(node: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    author = Author("Ada")
    poller = Poller(http, node.base, room, author)
    log = (await poller.join())["log_id"]
    frames = [
        author.write(room, f"text {number}", body={"text": f"{number}", "name": "Ada"})
        for number in range(130)
    ]
    for part in (frames[:100], frames[100:], [author.write(room, f"late {n}") for n in range(100)]):
        found = await poller.poll(frames=part, after=None)
        assert len(acks(found)) == len(part) == len(found["frames"]), "with after null only answers come"
        assert found["next"] is None
    poller.after = ""
    first = await poller.poll()
    assert ([frame["seq"] for frame in first["frames"]], first["next"]) == (list(range(1, 201)), f"{log}.200")
    second = await poller.poll(wait=5)
    assert ([frame["seq"] for frame in second["frames"]], second["next"]) == (
        list(range(201, 231)),
        f"{log}.230",
    )
    poller.after = f"{log}.229"
    assert [frame["seq"] for frame in (await poller.poll())["frames"]] == [230]
    for place, reason in ((f"{log}.231", "above_head"), (f"{'0' * 16}.1", "log")):
        poller.after = place
        found = await poller.poll(wait=5)
        assert found["frames"] == [
            {"type": "reset", "reason": reason, "floor": 0, "head": 230, "log_id": log}
        ]
        assert found["next"] == f"{log}.230"


@pytest.mark.parametrize(
    "body",
    [
        {"wait": 20.001},
        {"wait": -1},
        {"wait": 1e300},
        {"wait": "1"},
        {"wait": None},
        {"after": 5},
        {"after": "x"},
        {"after": "0123456789abcdef.x"},
        {"roster": 5},
        {"frames": {}},
        {"frames": [5]},
        {"frames": [{}]},
        {"frames": [{"type": "message"}]},
        {"frames": [{"type": "ping", "t": 0}] * 201},
    ],
)
async def test_polls_of_the_wrong_form(
    node: RunningNode, room: str, http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    author = Author("Ada")
    poller = Poller(http, node.base, room, author)
    await poller.join()
    whole = {"after": None, "wait": 0, "frames": []} | body
    if "frames" in body and isinstance(body["frames"], list):
        whole["frames"] = [author.write(room, "half of it"), *body["frames"]][:201]
    headers = {"Authorization": f"Bearer {poller.token}"}
    refused(await http.post(f"{node.base}/poll", json=whole, headers=headers), 400, "bad_request")
    assert await head_of(http, node, room) == 0, "half of a refused poll was performed"


async def test_two_hundred_frames_are_taken_and_one_bad_one_harms_no_other(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    frames: list[Frame] = [{"type": "ping", "t": number} for number in range(198)]
    bad = {"type": "send", "env": "not json"}
    found = await poller.poll(
        frames=[*frames[:99], bad, *frames[99:], poller.author.write(room, "x")], wait=20
    )
    kinds = [frame["type"] for frame in found["frames"]]
    assert kinds.count("pong") == 198
    assert kinds.count("fault") == kinds.count("ack") == 1
    assert [frame["t"] for frame in found["frames"] if frame["type"] == "pong"] == list(range(198))


async def test_frames_are_answered_at_once_whatever_wait_says(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    began = time.monotonic()
    (pong,) = (await poller.poll(wait=20, frames=[{"type": "ping", "t": 3}]))["frames"]
    assert (pong["type"], pong["t"]) == ("pong", 3)
    assert time.monotonic() - began < 1
    began = time.monotonic()
    assert (await poller.poll(wait=1.5))["frames"] == []
    assert 1.4 < time.monotonic() - began < 2.5


async def test_signals_reach_a_polling_session_and_come_from_it(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    peer, far, near = (Author(name, signed=True) for name in ("Socket", "Far", "Near"))
    at_one, at_two = Poller(http, node.base, room, near), Poller(http, node.base2, room, far)
    await at_one.join()
    await at_two.join()
    async with (
        Socket(node.socket_url(0), room, peer) as socket,
        ReferenceSocket(node.socket_url(1), room, "Old") as old,
    ):
        await socket.of_type("peer_joined")
        slowest = 0.0
        for number in range(25):
            waiting = asyncio.ensure_future(at_one.poll(wait=10))
            await asyncio.sleep(0.03)
            began = time.monotonic()
            aim = {"target_peer_id": near.peer, "target_session": near.session}
            await socket.send({"type": "offer", "payload": {"sdp": "x" * 9000, "n": number}} | aim)
            found = (await waiting)["frames"]
            slowest = max(slowest, time.monotonic() - began)
            assert [frame["payload"]["n"] for frame in found] == [number]
            assert (found[0]["peer_id"], found[0]["session"]) == (peer.peer, peer.session)
        assert slowest < 1, "a signal waited for the next look into the mailbox"
        await at_one.poll(frames=[{"type": "answer", "payload": 1, "target_peer_id": peer.peer}], after=None)
        got = await socket.of_type("answer")
        assert (got["peer_id"], got["session"], got["payload"]) == (near.peer, near.session, 1)
        await at_one.poll(frames=[{"type": "ice", "payload": 2, "target_peer_id": "Old"}], after=None)
        assert (await old.of_type("ice"))["payload"] == 2
        await old.say("ice", 3)
        for poller in (at_one, at_two):
            (ice,) = (await poller.poll(wait=5))["frames"]
            assert (ice["type"], ice["peer_id"], ice["payload"]) == ("ice", "guest:Old", 3)
        waiting = asyncio.ensure_future(at_two.poll(wait=10))
        await asyncio.sleep(0.1)
        await at_one.poll(frames=[{"type": "offer", "payload": 4, "target_peer_id": far.peer}], after=None)
        async with asyncio.timeout(1):
            assert [frame["payload"] for frame in (await waiting)["frames"]] == [4]
        for target in ("Nobody", far.peer + "x"):
            found = await at_one.poll(
                frames=[{"type": "ice", "payload": 5, "target_peer_id": target}], after=None
            )
            assert [frame["code"] for frame in found["frames"]] == ["not_found"]
        (fault,) = (await at_one.poll(frames=[{"type": "ice", "payload": 5, "target_peer_id": near.peer}]))[
            "frames"
        ]
        assert fault["code"] == "bad_request"


async def test_a_mailbox_keeps_the_newest_sixty_four(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    async with Socket(node.socket_url(0), room, Author("Flood", signed=True)) as socket:
        for number in range(100):
            await socket.send({"type": "ice", "payload": number})
        await socket.send({"type": "ping", "t": 1})
        await socket.of_type("pong")
        await asyncio.sleep(0.5)
    found = (await poller.poll())["frames"]
    assert [frame["payload"] for frame in found if frame["type"] == "ice"] == list(range(36, 100))


async def test_the_roster_comes_when_it_differs_from_the_tag(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    near = Poller(http, node.base, room, Author("Near", signed=True))
    await near.join()
    first = (await near.poll(roster=""))["roster"]
    assert [(row["name"], row["verified"]) for row in first["peers"]] == [("Near", True)]
    assert "roster" not in await near.poll()
    assert "roster" not in await near.poll(roster=first["tag"])
    peer = Author("Socket", signed=True)
    waiting = asyncio.ensure_future(near.poll(roster=first["tag"], wait=10))
    await asyncio.sleep(0.1)
    async with Socket(node.socket_url(1), room, peer) as socket:
        async with asyncio.timeout(2):
            second = (await waiting)["roster"]
        assert {row["peer_id"] for row in second["peers"]} == {near.author.peer, peer.peer}
        assert {row["peer_id"] for row in socket.welcome["roster"]} == {near.author.peer, peer.peer}
        found = await near.poll(frames=[{"type": "name", "name": "Renamed"}], roster=second["tag"])
        assert "Renamed" in {row["name"] for row in found["roster"]["peers"]}
        named = await socket.of_type("peer_named")
        assert (named["peer_id"], named["name"]) == (near.author.peer, "Renamed")
        assert "token" in found, "the new name goes into the token"
    assert "Renamed" in {row["name"] for row in (await near.poll(roster=""))["roster"]["peers"]}


async def test_a_crowd_joins_at_once_and_all_are_there(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    """More requests at once than a replica has connections to Redis: nobody is left out, no proof counts twice."""
    author = Author("Twice", signed=True)
    nonce = (await http.post(f"{node.base}/join/challenge", json={"room": room})).json()["nonce"]
    host = f"127.0.0.1:{node.http}"
    signed = {"room": room, "session": author.session, "name": "Twice"} | author.proof(room, nonce, node.base)
    crowd = [{"room": room, "session": f"{number:016x}", "name": f"P{number}"} for number in range(150)]
    asked = [
        request("POST", "/join", json.dumps(body).encode(), host=host, Content_Type="application/json")
        for body in [*crowd, *[signed] * 20]
    ]
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(wire(node.http)) for _ in asked]
        for line, data in zip(lines, asked, strict=True):
            line.writer.write(data)
        answers = [await line.answer() for line in lines]
    assert [answer.status for answer in answers[:150]] == [200] * 150
    assert sorted(answer.status for answer in answers[150:]) == [200] + [401] * 19
    poller = Poller(http, node.base2, room, Author("Looks"))
    await poller.join()
    assert len((await poller.poll(roster=""))["roster"]["peers"]) == 152

"""Messages by `egoat.1`: resuming by cursor, resets, acks, faults; what an envelope may say and who may bring it."""

import asyncio
import json
import secrets
import sqlite3
import time
from typing import Any

import httpx
import pytest

from tests.support.clients import Author, Frame, Socket, bodies
from tests.support.node import RunningNode
from tests.support.refusals import head_of

pytestmark = pytest.mark.usefixtures("survives")


async def fill(http: httpx.AsyncClient, node: RunningNode, room: str, count: int) -> None:
    """So many messages `text 1`, `text 2` … in the room."""
    for number in range(1, count + 1):
        body = {"room": room, "peer_id": "Filler", "text": f"text {number}"}
        assert (await http.post(f"{node.base}/send", json=body)).status_code == 200


async def fault_for(socket: Socket, frame: Frame) -> Frame:
    """The fault that this frame gets; it names the message, and no ack comes with it."""
    await socket.send(frame)
    found = await socket.of_type("fault", "ack")
    assert found["type"] == "fault", found
    assert found["id"] == json.loads(frame["env"])["id"]
    return found


@pytest.mark.parametrize("replica", [0, 1])
async def test_a_cursor_brings_what_was_missed_and_then_what_is_new(
    node: RunningNode, room: str, http: httpx.AsyncClient, replica: int
) -> None:
    await fill(http, node, room, 450)
    log = (await http.get(f"{node.base}/history", params={"room": room, "after": ""})).json()["log_id"]
    writer = Author("Writer", signed=True)
    async with (
        Socket(node.socket_url(1 - replica), room, writer) as sender,
        Socket(node.socket_url(replica), room, Author("Ada"), after=f"{log}.40") as reader,
    ):
        assert reader.welcome["head"] == 450
        for number in range(451, 501):
            await sender.send(writer.write(room, f"text {number}"))
        got = await reader.messages(460)
    assert [frame["seq"] for frame in got] == list(range(41, 501))
    assert bodies(got) == [f"text {number}" for number in range(41, 501)]


async def test_cursors_at_the_head_and_at_the_floor(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    await fill(http, node, room, 3)
    log = (await http.get(f"{node.base}/history", params={"room": room, "after": ""})).json()["log_id"]
    async with Socket(node.socket_url(0), room, Author("Ada"), after=f"{log}.3") as reader:
        assert await reader.during(0.7) == []
    async with Socket(node.socket_url(0), room, Author("Ada"), after=f"{log}.0") as reader:
        assert [frame["seq"] for frame in await reader.messages(3)] == [1, 2, 3]
    with sqlite3.connect(node.db, timeout=5) as db:
        db.execute("DELETE FROM message WHERE room=? AND seq<=2", (room,))
        db.execute("INSERT INTO floor (room, seq, at) VALUES (?, 2, 0)", (room,))
    async with Socket(node.socket_url(1), room, Author("Ada"), after=f"{log}.2") as reader:
        assert reader.welcome["floor"] == 2
        assert [frame["seq"] for frame in await reader.messages(1)] == [3]
        assert await reader.during(0.3) == []
    for place, reason in ((f"{log}.1", "below_floor"), (f"{log}.4", "above_head"), (f"{'0' * 16}.2", "log")):
        async with Socket(node.socket_url(1), room, Author("Ada"), after=place) as reader:
            reset = await reader.of_type("reset", "message")
            assert reset == {"type": "reset", "reason": reason, "floor": 2, "head": 3, "log_id": log}
            sent = await http.post(
                f"{node.base}/send", json={"room": room + "x", "peer_id": "Bob", "text": "elsewhere"}
            )
            assert sent.status_code == 200
            assert await reader.during(0.2) == [], "after a reset only new messages come"


async def test_messages_after_a_reset_come(node: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    await fill(http, node, room, 2)
    async with Socket(node.socket_url(0), room, Author("Ada"), after=f"{'0' * 16}.9") as reader:
        await reader.of_type("reset")
        await fill(http, node, room, 1)
        assert (await reader.of_type("message"))["seq"] == 3


async def test_a_conflict_names_its_message(node: RunningNode, room: str, http: httpx.AsyncClient) -> None:
    author = Author("Ada", signed=True)
    async with Socket(node.socket_url(0), room, author) as socket:
        await socket.send(author.write(room, "first", id="same"))
        first = await socket.of_type("ack")
        fault = await fault_for(socket, author.write(room, "second", id="same"))
        assert (fault["code"], fault["retry"]) == ("conflict", None)
        again = author.write(room, "third", id="other")
        for _ in range(3):
            await socket.send(again)
        acks = [await socket.of_type("ack") for _ in range(3)]
        assert [(ack["seq"], ack["at"]) for ack in acks] == [(first["seq"] + 1, acks[0]["at"])] * 3
    guest = Author("Visitor")
    async with Socket(node.socket_url(1), room, guest) as socket:
        await socket.send(guest.write(room, "mine", id="same"))
        assert (await socket.of_type("ack"))["seq"] == 3, "ids are the sender's own"
        await socket.send(guest.write(room, "mine", id="same"))
        assert (await socket.of_type("ack"))["seq"] == 3, "a guest may stamp a retry anew"
        assert (await fault_for(socket, guest.write(room, "not mine", id="same")))["code"] == "conflict"
    assert await head_of(http, node, room) == 3


async def test_a_clock_ahead_is_told_the_time_and_nothing_is_stored(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    author = Author("Ada", signed=True)
    now = int(time.time() * 1000)
    async with Socket(node.socket_url(0), room, author) as socket:
        ahead = author.write(room, "x", id="again", hlc=f"{now + 62_000:012x}-0000")
        fault = await fault_for(socket, ahead)
        assert (fault["code"], fault["retry"]) == ("clock", 0)
        assert abs(fault["now"] - time.time() * 1000) < 1000
        assert await head_of(http, node, room) == 0
        for stamp in (fault["now"], now + 55_000, now - 86_400_000, 0):
            changes: dict[str, Any] = {"id": "again"} if stamp == fault["now"] else {}
            await socket.send(author.write(room, "x", hlc=f"{stamp:012x}-ffff", **changes))
            await socket.of_type("ack")
    assert await head_of(http, node, room) == 4


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"room": "another-room"}, "forbidden"),
        ({"sender": "guest:Bob"}, "forbidden"),
        ({"sender": "a2b3c4d5a2b3c4d5a2b3c4d5e6"}, "forbidden"),
        ({"sender": ""}, "forbidden"),
        ({"to": "a2b3c4d5a2b3c4d5a2b3c4d5e6"}, "bad_request"),
        ({"id": ""}, "bad_request"),
        ({"id": "a" * 65}, "bad_request"),
        ({"id": "a b"}, "bad_request"),
        ({"id": "ä"}, "bad_request"),
        ({"id": "a\n"}, "bad_request"),
        ({"kind": ""}, "bad_request"),
        ({"kind": "Text"}, "bad_request"),
        ({"kind": "x" * 33}, "bad_request"),
        ({"hlc": ""}, "bad_request"),
        ({"hlc": "0" * 12}, "bad_request"),
        ({"hlc": "0" * 12 + "-000G"}, "bad_request"),
        ({"hlc": "0" * 12 + "-0000\n"}, "bad_request"),
        ({"stream": "x"}, "bad_request"),
        ({"stream": None}, "bad_request"),
        ({"n": -1}, "bad_request"),
        ({"n": 1.5}, "bad_request"),
        ({"n": 2**53 + 1}, "bad_request"),
        ({"n": 10**30}, "bad_request"),
        ({"n": None}, "bad_request"),
        ({"body": None}, "bad_request"),
        ({"body": "x"}, "bad_request"),
        ({"body": {"text": "x"}}, "bad_request"),
        ({"body": {"text": 1, "name": "Ada"}}, "bad_request"),
        ({"body": {"text": "", "name": "Ada"}}, "bad_request"),
        ({"body": {"text": "\0", "name": "Ada"}}, "bad_request"),
        ({"body": {"text": "x", "name": "<b>"}}, "bad_request"),
        ({"body": {"text": "x", "name": ""}}, "bad_request"),
        ({"body": {"text": "x" * 16_385, "name": "Ada"}}, "too_large"),
    ],
)
async def test_envelopes_that_may_not_be_stored(
    node: RunningNode, room: str, http: httpx.AsyncClient, changes: dict[str, Any], code: str
) -> None:
    author = Author("Ada", signed=True)
    async with Socket(node.socket_url(0), room, author) as socket:
        frame = author.write(changes.pop("room", room), "x", **changes)
        await socket.send(frame)
        fault = await socket.of_type("fault", "ack")
        assert (fault["type"], fault.get("code")) == ("fault", code)
        if len(str(changes.get("id", "ok"))) <= 64:
            assert fault["id"] == json.loads(frame["env"])["id"]
        assert fault["retry"] is None
    assert await head_of(http, node, room) == 0
    assert await head_of(http, node, "another-room") == 0


async def test_an_unsigned_envelope_of_a_verified_peer_is_refused(node: RunningNode, room: str) -> None:
    author = Author("Ada", signed=True)
    async with Socket(node.socket_url(0), room, author) as socket:
        for without in ({"sig": None}, {"sig": "x"}, {"sig": ""}):
            frame = author.write(room, "x") | without
            assert (await fault_for(socket, frame))["code"] == "bad_request"


async def test_anybody_may_bring_what_an_author_has_signed_and_nothing_else(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    author, thief = Author("Absent author", signed=True), Author("Thief", signed=True)
    bringers = [Author("Visitor"), Author("Peer", signed=True)]
    for number, bringer in enumerate(bringers, 1):
        async with Socket(node.socket_url(number % 2), room, bringer) as socket:
            true = author.write(room, f"true {number}")
            forged = json.loads(true["env"]) | {
                "id": secrets.token_hex(4),
                "body": {"text": "f", "name": "f"},
            }
            elsewhere = author.write(room + "x", "elsewhere")
            for wrong in (
                true | {"env": json.dumps(forged)},
                true | {"sig": thief.write(room, "x")["sig"]},
                true | {"pk": thief.pk},
                {key: true[key] for key in ("type", "env", "pk")},
                {key: true[key] for key in ("type", "env", "sig")},
                true | {"sig": thief.sign(b"egoat.1|" + true["env"].encode()), "pk": thief.pk},
                elsewhere,
            ):
                assert (await fault_for(socket, wrong))["code"] == "forbidden", wrong
            await socket.send(true)
            assert (await socket.of_type("ack"))["seq"] == number
    page = (await http.get(f"{node.base}/history", params={"room": room, "after": "", "full": "1"})).json()
    assert [item["text"] for item in page["items"]] == ["true 1", "true 2"]
    assert {item["peer_id"] for item in page["items"]} == {author.peer}
    assert {item["pk"] for item in page["items"]} == {author.pk}
    assert all(item["verified"] for item in page["items"])


async def test_kinds_that_the_node_does_not_know_travel_unchanged(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    author = Author("Ada", signed=True)
    body = {"anything": [1, 2.50, None, "\u2028"], "z": {"a": "ä"}}
    async with (
        Socket(node.socket_url(1), room, Author("Reader")) as reader,
        Socket(node.socket_url(0), room, author) as socket,
    ):
        fields = json.loads(author.write(room, "x")["env"]) | {"kind": "x.reaction", "body": body, "later": 1}
        env = json.dumps(fields, indent=1).replace("2.5", "2.500")
        await socket.send({"type": "send", "env": env, "sig": author.sign(b"egoat.1|" + env.encode())})
        await socket.of_type("ack")
        assert (await reader.of_type("message"))["env"] == env
    page = (await http.get(f"{node.base}/history", params={"room": room, "after": "", "full": "1"})).json()
    (item,) = page["items"]
    assert (item["env"], item["text"], item["name"], item["kind"]) == (env, None, None, "x.reaction")
    array = await http.get(f"{node.base}/history", params={"room": room, "since": "0"})
    assert array.text == "[]", "kinds other than text do not appear in the reference form"


async def test_twenty_in_a_second_come_once_and_in_order_to_all(node: RunningNode, room: str) -> None:
    """Two writers at two replicas; everybody sees the same order, and each author's own."""
    writers = [Author(name, signed=True) for name in ("One", "Two")]
    async with (
        Socket(node.socket_url(0), room, writers[0]) as one,
        Socket(node.socket_url(1), room, writers[1]) as two,
        Socket(node.socket_url(1), room, Author("Reader")) as reader,
    ):
        async with asyncio.TaskGroup() as group:
            for socket, writer in ((one, writers[0]), (two, writers[1])):
                for number in range(20):
                    group.create_task(socket.send(writer.write(room, f"{writer.name} {number}")))
        seen = [
            [(frame["seq"], frame["env"]) for frame in await each.messages(40)] for each in (one, two, reader)
        ]
    assert seen[0] == seen[1] == seen[2]
    texts = [json.loads(env)["body"]["text"] for _, env in seen[2]]
    for writer in writers:
        own = [text for text in texts if text.startswith(writer.name)]
        assert own == [f"{writer.name} {number}" for number in range(20)]
    assert [seq for seq, _ in seen[2]] == list(range(1, 41))

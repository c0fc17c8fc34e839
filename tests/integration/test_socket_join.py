"""Joining by `egoat.1`: proofs, sessions, names, presence with its grace, resuming by cursor and token."""

import asyncio
import contextlib
import json
import secrets
import time
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from services.kernel.model import join
from services.kernel.model.ids import RoomId
from services.kernel.model.join import JoinKeys
from services.kernel.model.member import Member
from tests.support.clients import Author, Frame, Poller, Socket, bodies
from tests.support.node import RunningNode

pytestmark = pytest.mark.usefixtures("survives")

REPLICAS = pytest.mark.parametrize("there", [0, 1], ids=["same replica", "other replica"])
OWN = [Subprotocol("egoat.1")]


async def first_frame(url: str, frame: str | bytes) -> tuple[Frame, int | None]:
    """The fault and the close code that answer this first frame."""
    async with connect(url, subprotocols=OWN) as ws:
        assert json.loads(await ws.recv())["type"] == "challenge"
        await ws.send(frame)
        fault = json.loads(await asyncio.wait_for(ws.recv(), 5))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(ws.recv(), 5)
        return fault, ws.close_code


async def refused(url: str, room: str, author: Author, **hello: Any) -> tuple[str, int | None]:
    """Code of the fault and of the close that a hello with these fields gets."""
    socket = Socket(url, room, author, **hello)
    try:
        async with asyncio.timeout(5):
            await socket.__aenter__()
    except ConnectionClosed:
        return str(socket.seen[-1]["code"]), socket.ws.close_code
    await socket.ws.close()
    raise AssertionError(f"{hello} was let in")


def aged(node: RunningNode, seconds: float) -> str:
    """A nonce that the node made so long ago."""
    now = time.time_ns() // 1_000_000
    return join.make_nonce(JoinKeys.of(node.secret), now - int(seconds * 1000), secrets.token_bytes(8))


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"ping","t":1}',
        '{"type":"send","env":"{}"}',
        '{"type":"hello"}',
        '{"type":"hello","v":[1],"room":"a","session":"0000000000000000"}',
        '{"type":"hello","v":[],"room":"a","session":"0000000000000000","name":"A"}',
        '{"type":"hello","v":[2,3],"room":"a","session":"0000000000000000","name":"A"}',
        '{"type":"hello","v":1,"room":"a","session":"0000000000000000","name":"A"}',
        '{"type":"hello","v":[1],"room":"../a","session":"0000000000000000","name":"A"}',
        '{"type":"hello","v":[1],"room":"a","session":"0000","name":"A"}',
        '{"type":"hello","v":[1],"room":"a","session":"000000000000000G","name":"A"}',
        '{"type":"hello","v":[1],"room":"a","session":"0000000000000000","name":"<b>"}',
        '{"type":"hello","v":[1],"room":"a","session":"0000000000000000","name":"A","after":"x"}',
        '{"type":"hello","v":[1],"room":"a","session":"0000000000000000","name":"A","nonce":"x"}',
        '{"type":"hello","v":[1],"room":"a","session":"0000000000000000","name":"A","pk":"x"}',
        '{"type":"hello","v":[1],"room":"a","session":"0000000000000000","name":"A","pk":"' + "A" * 43 + '"}',
        "not json",
        "",
        b'{"type":"hello","v":[1],"room":"a","session":"0000000000000000","name":"A"}',
    ],
)
async def test_a_first_frame_that_is_no_good_hello(node: RunningNode, frame: str | bytes) -> None:
    fault, code = await first_frame(node.socket_url(0), frame)
    assert (fault["type"], fault["code"], fault["retry"], code) == ("fault", "bad_request", None, 1008)


async def test_reserved_names_and_rooms_are_refused_for_good(node: RunningNode, room: str) -> None:
    for label in ("admin", "ＮＯＤＥ", "a2b3c4d5" * 3 + "e6"):
        assert await refused(node.socket_url(0), room, Author(label)) == ("forbidden", 1008)
    assert await refused(node.socket_url(0), "a" * 32, Author("Ada")) == ("forbidden", 1008)
    peer = Author("Grace Hopper", signed=True)
    async with Socket(node.socket_url(0), room, peer):
        for label in (peer.peer, peer.peer.upper(), "grace hopper"):
            assert await refused(node.socket_url(1), room, Author(label)) == ("forbidden", 1008)


async def test_proofs_that_do_not_hold(node: RunningNode, room: str) -> None:
    """Stale, forged and borrowed proofs close with 4401: join afresh."""
    url, origin = node.socket_url(0), node.socket_url(0).replace("ws:", "http:").removesuffix("/signal")
    author, thief = Author("Ada", signed=True), Author("Thief", signed=True)
    fresh, stale = aged(node, 0), ("unauthorized", 4401)
    wrong: list[dict[str, Any]] = [
        author.proof(room, aged(node, 31), origin),
        author.proof(room, aged(node, -5), origin),
        author.proof(room, fresh[:-1] + ("A" if fresh[-1] != "A" else "E"), origin),
        author.proof(
            room, join.make_nonce(JoinKeys.of(b"x" * 32), time.time_ns() // 10**6, b"12345678"), origin
        ),
        author.proof(room + "x", fresh, origin),
        author.proof(room, fresh, "http://127.0.0.1:1"),
        author.proof(room, fresh, "http://["),
        author.proof(room, fresh, "http://evil.example"),
        author.proof(room, fresh, ""),
        author.proof(room, fresh, origin) | {"sig": thief.proof(room, fresh, origin)["sig"]},
        author.proof(room, fresh, origin) | {"sig": "A" * 86},
        author.proof(room, fresh, origin) | {"sig": ""},
        author.proof(room, fresh, origin) | {"session": secrets.token_hex(8)},
        author.proof(room, fresh, origin) | {"pk": thief.pk},
    ]
    for hello in wrong:
        assert await refused(url, room, author, **hello) == stale, hello
    nearly = author.proof(room, aged(node, 28), origin)
    async with Socket(url, room, author, **nearly) as socket:
        assert socket.welcome["peer_id"] == author.peer


async def test_a_nonce_opens_once_on_all_replicas(node: RunningNode, room: str) -> None:
    author = Author("Ada", signed=True)
    nonce = aged(node, 0)
    proofs = [author.proof(room, nonce, f"http://127.0.0.1:{port}") for port in node.ws]
    results = await asyncio.gather(
        *(refused(node.socket_url(n % 2), room, author, **proofs[n % 2]) for n in range(10)),
        return_exceptions=True,
    )
    assert [str(each).split(" ")[-1] for each in results if isinstance(each, AssertionError)] == ["in"]
    assert [each for each in results if not isinstance(each, AssertionError)] == [("unauthorized", 4401)] * 9


async def test_the_origin_that_a_page_signs_is_the_one_it_has(node: RunningNode, room: str) -> None:
    author, page = Author("Ada", signed=True), f"http://127.0.0.1:{node.http}"
    nonce = aged(node, 0)
    async with Socket(
        node.socket_url(0), room, author, headers={"Origin": page}, **author.proof(room, nonce, page)
    ) as socket:
        assert socket.welcome["v"] == 1
    own = f"http://127.0.0.1:{node.ws[0]}"
    proof = author.proof(room, aged(node, 0), own)
    assert await refused(node.socket_url(0), room, author, headers={"Origin": page}, **proof) == (
        "unauthorized", 4401)  # fmt: skip


async def test_welcome_says_where_the_room_stands(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    for number in range(3):
        await http.post(f"{node.base}/send", json={"room": room, "peer_id": "Bob", "text": str(number)})
    author = Author("Ada", signed=True)
    async with Socket(node.socket_url(0), room, author) as socket:
        welcome = dict(socket.welcome)
        assert len(welcome.pop("log_id")) == 16
        assert abs(welcome.pop("now") - time.time() * 1000) < 2000
        assert len(welcome.pop("token")) > 60
        row = {"peer_id": author.peer, "name": "Ada", "sessions": [author.session], "verified": True}
        assert welcome == {"type": "welcome", "v": 1, "peer_id": author.peer, "head": 3, "floor": 0,
                           "roster": [row], "turn": None}  # fmt: skip
        assert await socket.during(0.7) == [], "without a cursor only new messages come"


@REPLICAS
async def test_a_new_socket_of_a_session_replaces_the_old_one(
    node: RunningNode, room: str, there: int
) -> None:
    author, other = Author("Ada", signed=True), Author("Bob")
    async with (
        Socket(node.socket_url(0), room, other) as bob,
        Socket(node.socket_url(0), room, author) as old,
    ):
        await bob.of_type("peer_joined")
        async with Socket(node.socket_url(there), room, author) as new:
            async with asyncio.timeout(3):
                await old.ws.wait_closed()
            assert old.ws.close_code == 4001
            await new.send(author.write(room, "still here"))
            await new.of_type("ack")
            seen = await bob.during(1)
            assert [frame["type"] for frame in seen] == ["message"], "others do not notice"


@REPLICAS
async def test_two_sessions_of_a_peer_live_together(node: RunningNode, room: str, there: int) -> None:
    author = Author("Ada", signed=True)
    second = author.elsewhere()
    async with Socket(node.socket_url(0), room, author) as here:
        async with Socket(node.socket_url(there), room, second) as tab:
            (row,) = tab.welcome["roster"]
            assert (row["peer_id"], row["sessions"]) == (author.peer, [author.session, second.session])
            joined = await here.of_type("peer_joined")
            assert (joined["peer_id"], joined["session"]) == (author.peer, second.session)
            await here.send(author.write(room, "from the first"))
            await tab.send(second.write(room, "from the second"))
            got = [bodies(await socket.messages(2)) for socket in (here, tab)]
        assert got[0] == got[1]
        assert sorted(got[0]) == ["from the first", "from the second"]
        assert here.ws.close_code is None


async def test_nothing_comes_before_welcome(node: RunningNode, room: str) -> None:
    """Many join at once: what a client is told before its welcome it would ignore, and then never learn."""

    async def come(number: int) -> Socket:
        author = Author(f"P{number}", signed=True)
        return await Socket(node.socket_url(number % 2), room, author).__aenter__()

    sockets = await asyncio.gather(*(come(number) for number in range(30)))
    everybody = {socket.author.peer for socket in sockets}
    for socket in sockets:
        assert [frame["type"] for frame in socket.seen] == ["challenge", "welcome"]
        known = {row["peer_id"] for row in socket.welcome["roster"]}
        known |= {frame["peer_id"] for frame in await socket.during(0.05)}
        assert known == everybody
    await asyncio.gather(*(socket.ws.close() for socket in sockets))


@REPLICAS
async def test_a_token_resumes_without_a_signature(node: RunningNode, room: str, there: int) -> None:
    author = Author("Ada", signed=True)
    async with Socket(node.socket_url(0), room, author) as first:
        token = first.welcome["token"]
    bare = {"token": token, "pk": None, "nonce": None, "origin": None, "sig": None}
    async with Socket(node.socket_url(there), room, author, **bare) as again:
        assert again.welcome["peer_id"] == author.peer
        await again.send(author.write(room, "resumed"))
        await again.of_type("ack")
    stale = ("unauthorized", 4401)
    url = node.socket_url(there)
    assert await refused(url, room + "x", author, **bare) == stale
    assert await refused(url, room, author.elsewhere(), **bare) == stale
    for wrong in ("", "x", token[:-2], token[:-2] + "AA", "A" * 1000, "é" * 40):
        assert await refused(url, room, author, **bare | {"token": wrong}) == stale, wrong
    member = Member(RoomId(room), author.peer, author.session, "Ada", author.pk)
    ended = join.make_token(JoinKeys.of(node.secret), member, time.time_ns() // 10**6 - 600_001)
    assert await refused(url, room, author, **bare | {"token": ended}) == stale


async def test_a_name_changes_for_all_and_stays(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    author = Author("Ada", signed=True)
    async with (
        Socket(node.socket_url(0), room, Author("Bob")) as near,
        Socket(node.socket_url(1), room, Author("Cy")) as far,
        Socket(node.socket_url(0), room, author) as ada,
    ):
        for socket in (near, far):
            while (await socket.of_type("peer_joined"))["peer_id"] != author.peer:
                pass
        await ada.send({"type": "name", "name": "Ada L."})
        told = {"type": "peer_named", "peer_id": author.peer, "room": room, "session": author.session,
                "name": "Ada L.", "verified": True}  # fmt: skip
        assert await near.of_type("peer_named") == told
        assert await far.of_type("peer_named") == told
        await near.send({"type": "name", "name": "Robert"})
        assert (await near.of_type("fault"))["code"] == "forbidden"
        assert await refused(node.socket_url(1), room, Author("Ada L.")) == ("forbidden", 1008)
        async with Socket(node.socket_url(1), room, Author("Dee")) as late:
            names = {row["peer_id"]: row["name"] for row in late.welcome["roster"]}
        assert names[author.peer] == "Ada L."
        await ada.send(author.write(room, "x", body={"text": "x", "name": "Ada L."}))
        await ada.of_type("ack")
    page = (await http.get(f"{node.base}/history", params={"room": room, "after": ""})).json()
    assert page["items"][0]["name"] == "Ada L."


async def test_those_who_leave_are_missed_after_ten_seconds_and_not_before(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    """Who goes is told after 10 s; who comes back meanwhile, to whichever replica or by polling, is not told at all."""
    goes, stays, moves, polls = (Author(name, signed=True) for name in ("Goes", "Stays", "Moves", "Polls"))
    poller = Poller(http, node.base, room, polls)
    async with (
        Socket(node.socket_url(0), room, Author("Near")) as near,
        Socket(node.socket_url(1), room, Author("Far")) as far,
    ):
        for author in (goes, stays, moves, polls):
            async with Socket(node.socket_url(0), room, author):
                pass
        left_at = time.monotonic()
        async with (
            Socket(node.socket_url(0), room, stays),
            Socket(node.socket_url(1), room, moves),
            Socket(node.socket_url(1), room, Author("Late")) as late,
        ):
            await poller.join()
            assert goes.peer not in {row["peer_id"] for row in late.welcome["roster"]}
            seen: dict[str, list[Frame]] = {"near": [], "far": []}

            async def watch(name: str, socket: Socket) -> None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(16):
                        while True:
                            frame = await socket.of_type("peer_left", within=20)
                            seen[name].append(frame | {"after": time.monotonic() - left_at})

            async def keep_polling() -> None:
                for _ in range(5):
                    await poller.poll(wait=3)

            async with asyncio.TaskGroup() as group:
                group.create_task(watch("near", near))
                group.create_task(watch("far", far))
                group.create_task(keep_polling())
    for name, frames in seen.items():
        assert [frame["name"] for frame in frames] == ["Goes"], f"{name} saw {frames}"
        assert 9.9 < frames[0]["after"] < 11, "ten seconds of grace"

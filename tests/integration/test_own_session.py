"""A session is its own: nobody takes a guest's over who only read its id, and it survives the death of its socket."""

import asyncio
import contextlib
import json
import secrets
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from services.kernel.model import join
from services.kernel.model.ids import RoomId, SessionId, guest
from services.kernel.model.join import JoinKeys
from services.kernel.model.member import Member
from tests.support.clients import Author, Poller, Socket
from tests.support.node import RunningNode
from tests.support.raw import TEXT, client_frame, upgrade, wire

pytestmark = pytest.mark.usefixtures("survives")


def twin_of(author: Author) -> Author:
    """Somebody who took label and session from the roster."""
    thief = Author(author.name)
    thief.session = author.session
    return thief


async def refusal(url: str, room: str, author: Author, **hello: str) -> tuple[str, int | None]:
    """Code of the fault and of the close that this hello gets."""
    socket = Socket(url, room, author, **hello)
    with contextlib.suppress(ConnectionClosed):
        await socket.__aenter__()
        raise AssertionError("let in")
    return str(socket.seen[-1]["code"]), socket.ws.close_code


async def test_a_live_guest_is_replaced_by_itself_only(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    ada = Author("Ada")
    async with Socket(node.socket_url(0), room, ada) as socket:
        for url in (node.socket_url(0), node.socket_url(1)):
            assert await refusal(url, room, twin_of(ada)) == ("forbidden", 1008)
            elsewhere = JoinKeys.of(secrets.token_bytes(32))
            member = Member(RoomId(room), guest("Ada"), SessionId(ada.session), "Ada")
            forged = join.make_token(elsewhere, member, time.time_ns() // 10**6)
            assert await refusal(url, room, twin_of(ada), token=forged) == ("unauthorized", 4401)
        for base in (node.base, node.base2):
            body = {"room": room, "session": ada.session, "name": "Ada"}
            answer = await http.post(f"{base}/join", json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert await socket.during(0.5) == []
        long_ago = join.make_token(JoinKeys.of(node.secret), member, time.time_ns() // 10**6 - 86_400_000)
        async with Socket(node.socket_url(1), room, ada, token=long_ago) as again:
            await socket.ws.wait_closed()
            assert socket.ws.close_code == 4001
            assert again.welcome["peer_id"] == "guest:Ada"
            by_http = Poller(http, node.base, room, ada)
            await by_http.join()


async def test_a_guest_that_polls_keeps_its_mail(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    poller = Poller(http, node.base, room, Author("Ada"))
    await poller.join()
    thief = twin_of(poller.author)
    for url in (node.socket_url(0), node.socket_url(1)):
        assert await refusal(url, room, thief) == ("forbidden", 1008)
    body = {"room": room, "session": thief.session, "name": "Ada"}
    assert (await http.post(f"{node.base2}/join", json=body)).status_code == 403
    await poller.join()
    async with Socket(node.socket_url(0), room, Author("Bob")) as bob:
        await bob.send({"type": "offer", "payload": 1, "target_peer_id": "guest:Ada"})
        assert [frame["payload"] for frame in (await poller.poll(wait=5))["frames"]] == [1]


async def test_signals_reach_a_session_whose_socket_died_in_silence(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    """Its polls make the node ask the socket; long before the ping time-out its mailbox is in use."""
    ada = Author("Ada")
    hello = {"type": "hello", "v": [1], "room": room, "session": ada.session, "name": "Ada"}
    async with wire(node.ws[1]) as dead, Socket(node.socket_url(0), room, Author("Bob")) as bob:
        await dead.send(upgrade("/signal", host=f"127.0.0.1:{node.ws[1]}", Sec_WebSocket_Protocol="egoat.1"))
        await dead.answer()
        await dead.send(client_frame(TEXT, json.dumps(hello).encode()))
        welcome: dict[str, str] = {}
        while welcome.get("type") != "welcome":
            welcome = json.loads((await dead.frame())[1])
        poller = Poller(http, node.base, room, ada)
        poller.token = welcome["token"]
        await bob.of_type("peer_joined")
        began, number, got = time.monotonic(), 0, []
        while not got and time.monotonic() - began < 15:
            number += 1
            await bob.send({"type": "offer", "payload": number, "target_session": ada.session})
            got = [frame for frame in (await poller.poll(wait=1))["frames"] if frame["type"] == "offer"]
        assert got and time.monotonic() - began < 8
        assert await dead.close_code() == 1006
        rest = [frame["type"] for frame in await bob.during(12)]
        assert rest == [], "it never left"


async def test_a_live_socket_stays_when_its_session_polls_too(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    ada = Author("Ada", signed=True)
    async with (
        Socket(node.socket_url(0), room, ada) as socket,
        Socket(node.socket_url(1), room, Author("Bob")) as bob,
    ):
        poller = Poller(http, node.base, room, ada)
        await poller.join()
        for number in range(5):
            await poller.poll(wait=1)
            await bob.send({"type": "offer", "payload": number, "target_peer_id": ada.peer})
            assert (await socket.of_type("offer"))["payload"] == number
        await asyncio.sleep(2.5)
        assert socket.ws.close_code is None
        assert [frame["type"] for frame in await bob.during(0.2)] == []

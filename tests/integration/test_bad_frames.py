"""Hostile sockets: origins, frames that break RFC 6455, frames that are no protocol of ours, signals to nobody."""

import asyncio
import contextlib
import json
import secrets

import httpx
import pytest

from tests.integration.conftest import FRIEND
from tests.support.clients import Author, Socket
from tests.support.node import RunningNode
from tests.support.raw import (
    CLOSE,
    CONTINUATION,
    GONE,
    PING,
    TEXT,
    client_frame,
    exchange,
    upgrade,
    wire,
)
from tests.support.refusals import head_of, refused

pytestmark = pytest.mark.usefixtures("survives")

DIALECTS = pytest.mark.parametrize("own", [True, False], ids=["egoat.1", "reference"])


def handshake(port: int, room: str, *, own: bool, **headers: str) -> bytes:
    """The opening handshake of a client of either dialect."""
    host = headers.pop("host", f"localhost:{port}")
    if own:
        return upgrade("/signal", host=host, Sec_WebSocket_Protocol="egoat.1", **headers)
    return upgrade(f"/signal?room={room}&peer_id=Ada", host=host, **headers)


# 19: origins


@DIALECTS
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://evil.example.ok.example", "https://ok.example.evil.example", "null", "",
     "https://ok.example:444", "http://ok.example", "https://ok.example/", "http://localhost", "http://localhost:1",
     "http://127.0.0.1:{http}", "http://localhost:{http}/", "http://localhost:{http}@evil.example", "file://",
     "ftp://localhost:{http}", "HTTP://LOCALHOST:{http}", "http://[", "http://\xad.example", "http://localhost:x",
     "http://localhost:{http}, http://localhost:{http}", "chrome-extension://localhost:{http}"],
)  # fmt: skip
async def test_foreign_origins_are_refused(node: RunningNode, room: str, origin: str, own: bool) -> None:
    origin = origin.replace("{http}", str(node.http))
    for port in (node.ws[0], node.http):
        answer = await exchange(port, handshake(port, room, own=own, Origin=origin))
        refused(answer, 403, "forbidden")


@DIALECTS
async def test_own_origins_and_none_are_let_in(node: RunningNode, room: str, own: bool) -> None:
    ports = (node.http, node.ws[0])
    origins: list[str | None] = [f"http://localhost:{port}" for port in ports]
    origins += [f"https://localhost:{node.http}", FRIEND, None]
    for port in ports:
        for number, origin in enumerate(origins):
            headers = {"Origin": origin} if origin is not None else {}
            hello = handshake(port, f"{room}-{port}-{number}", own=own, **headers)
            assert (await exchange(port, hello)).status == 101, origin


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "", "evil\x00"])
async def test_hosts_that_are_none(node: RunningNode, room: str, host: str) -> None:
    headers = {"Origin": f"http://localhost:{node.http}"}
    for port in (node.ws[0], node.http):
        async with wire(port) as line:
            await line.send(handshake(port, room, own=True, host=host, **headers))
            try:
                assert (await line.answer()).status in (400, 403)
            except asyncio.IncompleteReadError:
                assert "\x00" in host, "closed without a word"


@pytest.mark.parametrize(
    "target", ["/", "/signal/", "/signals", "//[", "/%73ignal", "//signal", "*", "/signal/..//"]
)
async def test_sockets_are_at_signal_alone(node: RunningNode, target: str) -> None:
    for port in (node.ws[0], node.http):
        answer = await exchange(
            port, upgrade(target, host=f"localhost:{port}", Sec_WebSocket_Protocol="egoat.1")
        )
        assert answer.status in (400, 404), (port, answer)
        if answer.status == 404:
            refused(answer, 404, "not_found")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": "a" * 4000}, 400),
        ({"Connection": "keep-alive"}, 426),
    ],
)
async def test_handshakes_that_are_wrong(
    node: RunningNode, room: str, headers: dict[str, str], status: int
) -> None:
    hello = handshake(node.ws[0], room, own=True, **headers)
    assert (await exchange(node.ws[0], hello)).status == status


async def test_compression_is_not_agreed_on(node: RunningNode, room: str) -> None:
    hello = handshake(node.ws[0], room, own=True, Sec_WebSocket_Extensions="permessage-deflate")
    assert "sec-websocket-extensions" not in (await exchange(node.ws[0], hello)).headers


# 21–22: frames


@DIALECTS
@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (client_frame(TEXT, b"{}", mask=False), {1002}),
        (client_frame(TEXT, b"{}", reserved=4), {1002, 1009}),
        (client_frame(TEXT, b"{}", reserved=1), {1002}),
        (client_frame(3, b"{}"), {1002}),
        (client_frame(15, b""), {1002}),
        (client_frame(CONTINUATION, b"{}"), {1002}),
        (client_frame(TEXT, b"{", fin=False) + client_frame(TEXT, b"}"), {1002}),
        (client_frame(PING, b"x" * 126), {1002}),
        (client_frame(PING, b"x", fin=False), {1002}),
        (b"\x81\xff" + (2**63).to_bytes(8, "big") + b"mask", {1002, 1009}),
        (b"\x81\xff" + (2**62).to_bytes(8, "big") + b"mask", {1002, 1009}),
        (b"\x81\xff" + (65_537).to_bytes(8, "big") + b"mask", {1009}),
        (client_frame(TEXT, b"x" * 65_537), {1009}),
        (client_frame(TEXT, b"x" * 40_000, fin=False) + client_frame(CONTINUATION, b"x" * 40_000), {1009}),
        (client_frame(TEXT, b"\xff\xfe"), {1007}),
        (client_frame(TEXT, b"\xed\xa0\x80"), {1007}),
        (client_frame(TEXT, b"\xc3", fin=False) + client_frame(CONTINUATION, b"\x28"), {1007}),
        (client_frame(CLOSE, b"\x03"), {1002}),
        (client_frame(CLOSE, (1005).to_bytes(2, "big")), {1002}),
        (client_frame(CLOSE, (999).to_bytes(2, "big")), {1002}),
        (client_frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), {1007, 1002}),
        (b"\x00" * 64, {1002}),
        (b"GET / HTTP/1.1\r\n\r\n" * 4, {1002}),
    ],
)  # fmt: skip
async def test_frames_that_break_the_rules_of_websockets(
    node: RunningNode, room: str, own: bool, data: bytes, codes: set[int]
) -> None:
    async with wire(node.ws[0]) as line:
        await line.send(handshake(node.ws[0], room, own=own))
        assert (await line.answer()).status == 101
        await line.send(data)
        assert await line.close_code(5) in codes


@DIALECTS
async def test_a_million_empty_frames_cost_no_memory(node: RunningNode, room: str, own: bool) -> None:
    signaling = node.signaling[0]
    for endless in (
        client_frame(CONTINUATION, b"", fin=False) * 10_000,
        client_frame(PING, b"x" * 125) * 500,
        client_frame(10, b"unasked") * 5_000,
    ):
        before = signaling.forget_peak()
        async with wire(node.ws[0]) as line:
            await line.send(handshake(node.ws[0], f"{room}-{secrets.token_hex(2)}", own=own))
            assert (await line.answer()).status == 101
            await line.send(client_frame(TEXT, b'{"', fin=False))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    for _ in range(100):
                        await line.send(endless)
        assert signaling.memory("VmHWM") < before + 16


# 11, 24: frames of ours that are none

FAULTY = {
    "not json": ("not json", "bad_request"),
    "array": ("[]", "bad_request"),
    "no type": ("{}", "bad_request"),
    "unknown type": ('{"type":"reboot"}', "bad_request"),
    "frame of the node": ('{"type":"message","seq":1,"at":1,"env":"{}"}', "bad_request"),
    "second hello": ('{"type":"hello","v":[1],"room":"r","session":"0000000000000000","name":"x"}', "bad_request"),
    "send without env": ('{"type":"send"}', "bad_request"),
    "env that is an object": ('{"type":"send","env":{}}', "bad_request"),
    "ping without t": ('{"type":"ping"}', "bad_request"),
    "ping with text": ('{"type":"ping","t":"1"}', "bad_request"),
    "ping beyond numbers": ('{"type":"ping","t":1e999}', "bad_request"),
    "name that is none": ('{"type":"name","name":"<b>"}', "bad_request"),
    "reserved but allowed to keys": ('{"type":"name","name":""}', "bad_request"),
    "signal without payload": ('{"type":"offer"}', "bad_request"),
    "signal to myself": ('{"type":"offer","payload":1,"target_peer_id":"ME"}', "bad_request"),
    "signal to nobody": ('{"type":"ice","payload":1,"target_peer_id":"Nobody"}', "not_found"),
    "signal to an unknown session": (
        '{"type":"ice","payload":1,"target_peer_id":"guest:Bob","target_session":"0000000000000000"}', "not_found"),
    "ten thousand targets": (json.dumps({"type": "offer", "payload": 1, "target_peer_id": ["x"] * 10_000}),
                             "bad_request"),
    "a doubled key": ('{"type":"ping","t":1,"t":2}', "bad_request"),
    "NaN": ('{"type":"ping","t":NaN}', "bad_request"),
    "nested": ('{"type":"offer","payload":' + "[" * 30_000 + "]" * 30_000 + "}", "bad_request"),
    "strings that never end": ('{"type":"offer","payload":' + "[" * 17 + '"' + '\\"' * 31_000, "bad_request"),
    "half a surrogate": ('{"type":"offer","payload":"\\ud800"}', "bad_request"),
    "too many keys": (json.dumps({"type": "offer", "payload": {f"k{n}": 0 for n in range(300)}}), "bad_request"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(FAULTY))
async def test_frames_that_mean_nothing_get_a_fault_and_the_socket_lives(
    node: RunningNode, room: str, what: str
) -> None:
    text, code = FAULTY[what]
    author = Author("Ada", signed=True)
    async with (
        Socket(node.socket_url(0), room, Author("Bob")) as other,
        Socket(node.socket_url(0), room, author) as socket,
    ):
        await other.of_type("peer_joined")
        await socket.ws.send(text.replace("ME", author.peer))
        fault = await socket.of_type("fault", within=1)
        assert (fault["code"], fault["retry"]) == (code, None)
        assert fault["detail"]
        await socket.send({"type": "ping", "t": 7.5})
        assert (await socket.of_type("pong"))["t"] == 7.5
        assert await other.during(0.1) == []


async def test_binary_frames_are_a_fault(node: RunningNode, room: str) -> None:
    async with Socket(node.socket_url(0), room, Author("Ada")) as socket:
        await socket.ws.send(b'{"type":"ping","t":1}')
        assert (await socket.of_type("fault"))["code"] == "bad_request"


async def test_a_flood_of_nonsense_leaves_others_alone_and_stores_nothing(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    """A client that sends 20,000 bad frames and reads no answer is not kept waiting for; another one chats."""
    author = Author("Ada", signed=True)
    before = node.signaling[0].forget_peak()
    async with Socket(node.socket_url(0), room, author) as socket, wire(node.ws[0]) as line:
        await line.send(handshake(node.ws[0], room, own=False))
        await line.answer()
        bad = client_frame(TEXT, b'{"type":"offer"}') * 20_000
        async with asyncio.TaskGroup() as group:
            group.create_task(line.send(bad))
            for number in range(20):
                await socket.send(author.write(room, f"text {number}"))
                await socket.of_type("ack", within=2)
    assert await head_of(http, node, room) == 20
    assert node.signaling[0].memory("VmHWM") < before + 16


async def test_signals_to_one_who_does_not_read_are_bounded(node: RunningNode, room: str) -> None:
    """60 MB of signals to a stuck client: memory stays bounded, the sender is unhurt, the stuck one is closed."""
    signaling = node.signaling[0]
    frame = json.dumps({"type": "offer", "payload": "x" * 60_000})

    async def flood(name: str, own: bool) -> None:
        async with (
            Socket(node.socket_url(0), name, Author("Flood", signed=True)) as sender,
            wire(node.ws[0]) as line,
        ):
            await line.send(handshake(node.ws[0], name, own=own))
            assert (await line.answer()).status == 101
            if own:
                hello = {"type": "hello", "v": [1], "room": name, "session": "0" * 16, "name": "Stuck"}
                await line.send(client_frame(TEXT, json.dumps(hello).encode()))
            await sender.of_type("peer_joined")
            for number in range(1000):
                await sender.ws.send(frame)
                if number % 50 == 0:
                    await sender.send({"type": "ping", "t": number})
                    await sender.of_type("pong", within=5)
            await asyncio.sleep(13)
            rest = await line.ended(3)
            assert len(rest) < 8_000_000

    before = signaling.forget_peak()
    await asyncio.gather(flood(room, True), flood(room + "-reference", False))
    assert signaling.memory("VmHWM") < before + 20, "what waits for a stuck client is not bounded"


async def test_closing_says_goodbye_back(node: RunningNode, room: str) -> None:
    async with wire(node.ws[0]) as line:
        await line.send(handshake(node.ws[0], room, own=False))
        await line.answer()
        await line.send(client_frame(CLOSE, (1000).to_bytes(2, "big")))
        assert await line.close_code() == 1000
        assert await line.close_code() == GONE

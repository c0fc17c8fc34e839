"""What RFC 6455 asks of a server, case by case with its section, at signaling and through the gateway's splice."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import httpx
import pytest

from tests.support.clients import Author, Frame
from tests.support.node import RunningNode
from tests.support.raw import (
    CLOSE,
    CONTINUATION,
    GONE,
    PING,
    PONG,
    TEXT,
    Wire,
    client_frame,
    exchange,
    greet,
    request,
    upgrade,
    wire,
)
from tests.support.refusals import head_of

pytestmark = pytest.mark.usefixtures("survives")

DOORS = pytest.mark.parametrize("door", ["signaling", "gateway"])


def port_of(node: RunningNode, door: str) -> int:
    """The port of this way in."""
    return node.ws[0] if door == "signaling" else node.http


@asynccontextmanager
async def joined(node: RunningNode, door: str, room: str, name: str = "Ada") -> AsyncIterator[Wire]:
    """A guest that has its welcome, frame by frame."""
    port = port_of(node, door)
    async with wire(port) as line:
        await greet(line, port, room, name)
        yield line


async def told(line: Wire, kind: str, within: float = 5.0) -> Frame:
    """The next text frame of this type."""
    async with asyncio.timeout(within):
        while True:
            opcode, payload = await line.frame(within)
            if opcode == TEXT and (frame := json.loads(payload))["type"] == kind:
                found: Frame = frame
                return found


def ping_text(number: int, filler: str = "") -> bytes:
    """An application ping; `filler` makes it longer."""
    return json.dumps({"type": "ping", "t": number, "filler": filler}, ensure_ascii=False).encode()


@DOORS
async def test_the_accept_header_is_made_from_the_key(node: RunningNode, room: str, door: str) -> None:
    """Section 1.3 has this key and this answer."""
    port = port_of(node, door)
    answer = await exchange(
        port, upgrade("/signal", host=f"localhost:{port}", Sec_WebSocket_Protocol="egoat.1")
    )
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.headers["upgrade"].lower() == "websocket"
    assert "upgrade" in answer.headers["connection"].lower()
    assert answer.headers["sec-websocket-protocol"] == "egoat.1"


@DOORS
async def test_another_version_is_refused_with_the_one_that_is_known(
    node: RunningNode, room: str, door: str
) -> None:
    """Section 4.4."""
    port = port_of(node, door)
    asked = upgrade("/signal?room=r&peer_id=Ada", host=f"localhost:{port}", Sec_WebSocket_Version="25")
    answer = await exchange(port, asked)
    assert answer.status == 426
    assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    ("door", "wrong"),
    [
        ("signaling", "version"),
        *product(("signaling", "gateway"), ("method", "no key", "two keys", "no host")),
    ],
)
async def test_a_handshake_that_is_none(node: RunningNode, room: str, door: str, wrong: str) -> None:
    """Section 4.2.1. Towards signaling the gateway speaks HTTP/1.1, whatever its client speaks."""
    port = port_of(node, door)
    whole = upgrade(f"/signal?room={room}&peer_id=Ada", host=f"localhost:{port}").decode()
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    changed = {
        "method": whole.replace("GET", "POST", 1),
        "version": whole.replace("HTTP/1.1", "HTTP/1.0"),
        "no key": whole.replace(key, ""),
        "two keys": whole.replace(key, key + key),
        "no host": whole.replace(f"Host: localhost:{port}\r\n", ""),
    }[wrong]
    assert changed != whole
    async with wire(port) as line:
        await line.send(changed.encode())
        said = (await line.ended(10)).split(b"\r\n")[0]
    assert said == b"" or int(said.split()[1]) in (400, 404, 405, 426, 505), said


@DOORS
async def test_control_frames_come_between_fragments(node: RunningNode, room: str, door: str) -> None:
    """Sections 5.4 and 5.5.2: the pong comes first, with the ping's bytes; the message is whole."""
    text = ping_text(7, "ä" * 500)
    async with joined(node, door, room) as line:
        await line.send(client_frame(TEXT, text[:20], fin=False))
        await line.send(client_frame(CONTINUATION, b"", fin=False))
        await line.send(client_frame(PING, b"between"))
        assert await line.frame(5) == (PONG, b"between")
        for byte in text[20:60]:  # also in the middle of a character (5.6)
            await line.send(client_frame(CONTINUATION, bytes([byte]), fin=False))
        await line.send(client_frame(CONTINUATION, text[60:]))
        assert (await told(line, "pong"))["t"] == 7


@DOORS
async def test_pings_are_answered_with_their_bytes_and_pongs_are_not(
    node: RunningNode, room: str, door: str
) -> None:
    """Sections 5.5.2 and 5.5.3."""
    async with joined(node, door, room) as line:
        for size in (0, 1, 124, 125):
            await line.send(client_frame(PONG, b"unasked") + client_frame(PING, bytes(size)))
            assert await line.frame(5) == (PONG, bytes(size))


@DOORS
async def test_lengths_are_read_in_every_form_and_written_in_the_shortest(
    node: RunningNode, room: str, door: str
) -> None:
    """Section 5.2; frames from a server are not masked and reserve no bits (5.1)."""
    async with joined(node, door, room) as line, joined(node, door, room, "Bob") as other:
        await told(line, "peer_joined")
        for size in (1, 60, 120, 126, 127, 40_000, 65_000):
            offer = json.dumps({"type": "offer", "payload": "x" * size}).encode()
            for form in {offer, offer + b" " * max(0, 126 - len(offer))}:
                await line.send(client_frame(TEXT, form))
                await told_shortest(other, size)


async def told_shortest(line: Wire, size: int) -> None:
    """The relayed offer, read by hand."""
    async with asyncio.timeout(5):
        first, second = await line.reader.readexactly(2)
        assert first == 0x80 | TEXT and second & 0x80 == 0
        length = second
        if second == 126:
            length = int.from_bytes(await line.reader.readexactly(2), "big")
            assert length > 125
        elif second == 127:
            length = int.from_bytes(await line.reader.readexactly(8), "big")
            assert length > 65_535
        assert json.loads(await line.reader.readexactly(length))["payload"] == "x" * size


@DOORS
@pytest.mark.parametrize("key", [bytes(4), b"\xff" * 4, b"\x00\x01\x02\x03"])
async def test_any_masking_key_will_do(node: RunningNode, room: str, door: str, key: bytes) -> None:
    """Section 5.3."""
    text = ping_text(3)
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(text))
    async with joined(node, door, room) as line:
        await line.send(bytes([0x80 | TEXT, 0x80 | len(text)]) + key + masked)
        assert (await told(line, "pong"))["t"] == 3


@DOORS
@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4999])
async def test_a_close_is_answered_with_its_code_and_then_the_line_ends(
    node: RunningNode, http: httpx.AsyncClient, room: str, door: str, code: int
) -> None:
    """Sections 5.5.1 and 7.1: what comes after the close is not looked at."""
    author = Author("Ada")
    late = json.dumps(author.write(room, "after the close")).encode()
    async with joined(node, door, room) as line:
        reason = "auf Wiedersehen, tschüß".encode()
        goodbye = client_frame(CLOSE, code.to_bytes(2, "big") + reason)
        await line.send(goodbye + client_frame(TEXT, late) + client_frame(PING, b"late"))
        opcode, payload = await line.frame(5)
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
        assert await line.close_code(5) == GONE
    assert await head_of(http, node, room) == 0


@DOORS
async def test_a_close_without_a_code_is_answered_without_one(
    node: RunningNode, room: str, door: str
) -> None:
    """Section 7.1.5: no code stands for 1005, which is never sent."""
    async with joined(node, door, room) as line:
        await line.send(client_frame(CLOSE, b""))
        opcode, payload = await line.frame(5)
        assert (opcode, payload) in [(CLOSE, b""), (CLOSE, (1000).to_bytes(2, "big"))]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
async def test_codes_that_must_not_be_sent_are_protocol_errors(
    node: RunningNode, room: str, code: int
) -> None:
    """Sections 7.4.1 and 7.4.2."""
    async with joined(node, "signaling", room) as line:
        await line.send(client_frame(CLOSE, code.to_bytes(2, "big")))
        assert await line.close_code(5) == 1002


BAD_TEXT: list[Any] = [
    pytest.param(b"\xc0\xaf", id="overlong"),
    pytest.param(b"\xf4\x90\x80\x80", id="above U+10FFFF"),
    pytest.param(b"\xed\xbf\xbf", id="surrogate"),
    pytest.param(b"\xe2\x82", id="cut"),
    pytest.param(b"ok \x80", id="lone continuation"),
    pytest.param(b"\xfe", id="no byte of UTF-8"),
]


@pytest.mark.parametrize("text", BAD_TEXT)
async def test_text_is_utf_8(node: RunningNode, room: str, text: bytes) -> None:
    """Sections 5.6 and 8.1, in one frame and over two."""
    for frames in (
        client_frame(TEXT, text),
        client_frame(TEXT, text[:1], fin=False) + client_frame(CONTINUATION, text[1:]),
    ):
        async with joined(node, "signaling", room) as line:
            await line.send(frames)
            assert await line.close_code(5) == 1007


async def test_a_plain_request_is_told_to_upgrade(node: RunningNode) -> None:
    """RFC 9110 section 15.5.22: 426 names the protocol."""
    answer = await exchange(
        node.ws[0], request("GET", "/signal?room=r&peer_id=Ada", host=f"localhost:{node.ws[0]}")
    )
    assert answer.status == 426
    assert answer.headers["upgrade"].lower() == "websocket"

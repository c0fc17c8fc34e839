"""Clients that take their time: every dial has a deadline, at both ports, and its end is told where it can be."""

import asyncio
import json
import time

import httpx
import pytest

from tests.support.clients import Author, Socket
from tests.support.node import RunningNode
from tests.support.raw import TEXT, Wire, client_frame, request, upgrade, wire
from tests.support.refusals import head_of, refused

pytestmark = pytest.mark.usefixtures("survives")


async def drip(line: Wire, data: bytes, every: float = 0.5) -> None:
    """Sends one byte after the other until it is stopped or the other side has gone."""
    for byte in data:
        if line.writer.transport.is_closing():
            return
        await line.send(bytes([byte]))
        await asyncio.sleep(every)


async def timeout_after(port: int, start: bytes, rest: bytes, seconds: float) -> None:
    """Asserts that a request that comes too slowly is answered 408 after so many seconds, and closed."""
    began = time.monotonic()
    async with wire(port) as line:
        await line.send(start)
        dripping = asyncio.ensure_future(drip(line, rest))
        refused(await line.answer(seconds + 3), 408, "timeout")
        assert seconds - 0.5 < time.monotonic() - began < seconds + 2
        dripping.cancel()
        assert await line.ended(12) == b""


async def ends_within(port: int, least: float, most: float, *parts: bytes) -> bytes:
    """Asserts that the connection ends in this time although bytes keep coming; returns what it said."""
    began = time.monotonic()
    async with wire(port) as line:
        await line.send(parts[0])
        dripping = asyncio.ensure_future(drip(line, b"".join(parts[1:])))
        try:
            said = await line.ended(most)
        except TimeoutError:
            raise AssertionError(f"{parts!r:.90} is still open after {most} s") from None
        finally:
            dripping.cancel()
    assert least < time.monotonic() - began < most, (
        f"{parts[0][:40]!r} ended after {time.monotonic() - began}"
    )
    return said


async def closes_with(port: int, code: int, seconds: float, after: bytes = b"") -> None:
    """Asserts how and when an `egoat.1` socket that says no whole hello is closed."""
    async with wire(port) as line:
        await line.send(upgrade("/signal", host=f"localhost:{port}", Sec_WebSocket_Protocol="egoat.1"))
        assert (await line.answer()).status == 101
        began = time.monotonic()
        await line.send(after)
        assert await line.close_code(seconds + 3) == code
        assert seconds - 0.5 < time.monotonic() - began < seconds + 2


async def test_slow_requests_and_handshakes_end_in_time(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    body = json.dumps({"room": room, "peer_id": "Ada", "text": "never"}).encode()
    whole = request("POST", "/send", body, Content_Type="application/json")
    head = whole[: -len(body)]
    chunked = request("POST", "/send", Content_Type="application/json", Transfer_Encoding="chunked")
    large = request("POST", "/send", b"", Content_Type="application/json", Content_Length="999999")
    shake = upgrade("/signal", Sec_WebSocket_Protocol="egoat.1")
    hello = b'{"type":"hello","v":[1],"room":"a"'
    async with asyncio.TaskGroup() as group:
        for check in (
            timeout_after(node.http, b"", b"", 5),
            timeout_after(node.http, b"POST /se", b"", 5),
            timeout_after(node.http, whole[:60], whole[60 : len(head) - 2], 5),
            timeout_after(node.http, shake[:60], b"", 5),
            timeout_after(node.http, head, b"", 10),
            timeout_after(node.http, head + body[:-1], b"", 10),
            timeout_after(node.http, head, body[:-1], 10),
            timeout_after(node.http, chunked, b"1\r\n{\r\n" * 20, 10),
            ends_within(node.http, 0, 17, large, b"x" * 60),
            ends_within(node.http, 0, 17, request("POST", "/poll", b"", Content_Length="9999"), b"x" * 60),
            ends_within(
                node.http, 0, 17, request("GET", "/config", Transfer_Encoding="chunked"), b"1\r\nx\r\n" * 20
            ),
            ends_within(node.http, 3, 7, request("GET", "/config")),
            ends_within(node.http, 3, 12, request("GET", "/config"), b"\r\n" * 40),
            ends_within(node.http, 3, 12, request("GET", "/config"), b"GET / HTTP/1.1\r\nX: " + b"a" * 60),
            ends_within(node.ws[0], 9, 12, b""),
            ends_within(node.ws[0], 9, 12, shake[:60], b"a" * 60),
            closes_with(node.ws[0], 4002, 5),
            closes_with(node.http, 4002, 5),
            closes_with(node.ws[1], 4002, 5, client_frame(TEXT, hello, fin=False)),
            closes_with(node.ws[1], 4002, 5, client_frame(TEXT, hello + b"}")[:-1]),
        ):
            group.create_task(check)
    assert await head_of(http, node, room) == 0


async def test_a_slow_client_does_not_slow_the_others(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    """Two hundred half requests and half handshakes stand open; others are answered at once."""
    async with asyncio.TaskGroup() as group, asyncio.timeout(20):
        stop = asyncio.Event()

        async def hold(port: int) -> None:
            async with wire(port) as line:
                await line.send(b"GET /signal HTTP/1.1\r\nHost: lo")
                await stop.wait()

        for _ in range(100):
            group.create_task(hold(node.http))
            group.create_task(hold(node.ws[0]))
        await asyncio.sleep(0.3)
        author = Author("Quick", signed=True)
        began = time.monotonic()
        async with Socket(node.socket_url(0), room, author) as socket:
            await socket.send(author.write(room, "through"))
            await socket.of_type("ack")
        assert (await http.get(f"{node.base}/history", params={"room": room})).json()[0]["text"] == "through"
        assert time.monotonic() - began < 1
        stop.set()


async def test_a_connection_reset_in_the_middle_stores_nothing(
    node: RunningNode, room: str, http: httpx.AsyncClient
) -> None:
    body = json.dumps({"room": room, "peer_id": "Ada", "text": "half"}).encode()
    whole = request("POST", "/send", body, Content_Type="application/json")
    for cut in (1, 20, len(whole) - len(body), len(whole) - 1):
        async with wire(node.http) as line:
            await line.send(whole[:cut])
            line.writer.transport.abort()
    frame = client_frame(TEXT, b'{"type":"send","env":"{}"}')
    async with wire(node.ws[0]) as line:
        await line.send(upgrade("/signal", host="localhost", Sec_WebSocket_Protocol="egoat.1"))
        await line.answer()
        await line.send(frame[:-3])
        line.writer.transport.abort()
    assert await head_of(http, node, room) == 0

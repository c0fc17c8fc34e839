"""Repeated headers, crowds that come at once, clients that never read: refused or bounded, never a 500."""

import asyncio
import contextlib

import httpx
import psutil
import pytest

from services.kernel.wire.roster import POLL_SESSIONS
from tests.support.clients import Author, Poller, Socket
from tests.support.node import RunningNode

LINES = {
    "two origins": ["Origin: http://127.0.0.1", "Origin: http://127.0.0.1"],
    "two hosts": ["Host: evil.example"],
}


async def handshake(port: int, *lines: str) -> bytes:
    """The first bytes of the answer to an upgrade with these further header lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [
        "GET /signal?room=repeated&peer_id=ada HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *lines,
    ]
    writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
    async with asyncio.timeout(5):
        answer = await reader.read(4096)
    writer.close()
    return answer


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
async def test_a_header_that_must_stand_once_is_refused_when_it_stands_twice(
    node: RunningNode, lines: list[str]
) -> None:
    for port in (node.ws[0], node.http):
        answer = await handshake(port, *lines)
        assert answer.startswith(b"HTTP/1.1 400"), answer
        assert b'"code":"bad_request"' in answer


async def test_protocols_and_forwarded_for_may_stand_in_several_lines(node: RunningNode) -> None:
    protocols = ["Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: egoat.1"]
    answer = await handshake(node.ws[0], *protocols, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2")
    assert answer.startswith(b"HTTP/1.1 101"), answer


async def test_a_crowd_that_comes_at_once_is_counted(node: RunningNode) -> None:
    async def come() -> bool:
        with contextlib.suppress(Exception):
            async with Socket(node.socket_url(0), "crowd", Author("Crowd")):
                await asyncio.sleep(3)
                return True
        return False

    welcomed = sum(await asyncio.gather(*(come() for _ in range(150))))
    assert welcomed == 100


async def test_one_peer_polls_in_so_many_sessions(node: RunningNode, http: httpx.AsyncClient) -> None:
    for _ in range(POLL_SESSIONS):
        await Poller(http, node.base, "many-polls", Author("Many")).join()
    body = {"room": "many-polls", "session": "0" * 16, "name": "Many"}
    assert (await http.post(f"{node.base}/join", json=body)).status_code == 429


async def test_names_for_a_client_that_never_reads_cost_bounded_memory(node: RunningNode) -> None:
    process = psutil.Process(node.signaling[0].popen.pid)
    noisy = Author("Noisy", signed=True)
    async with contextlib.AsyncExitStack() as stack:
        for number in range(30):
            deaf = await stack.enter_async_context(
                Socket(node.socket_url(0), "deaf", Author(f"Deaf{number}"))
            )
            deaf.ws.transport.pause_reading()
        speaker = await stack.enter_async_context(Socket(node.socket_url(0), "deaf", noisy))
        before = process.memory_info().rss
        for number in range(15_000):
            await speaker.send({"type": "name", "name": f"{number} " + "𐌰" * 56})
        await speaker.send({"type": "ping", "t": 1})
        await speaker.of_type("pong", within=30)
        assert process.memory_info().rss - before < 130 * 2**20

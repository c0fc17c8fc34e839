"""A polling client learns of people as fast as of messages, and may send as many frames as it is told."""

import asyncio

import httpx

from services.kernel.wire.limits import POLL_FRAMES
from tests.support.clients import Author, Poller, Socket
from tests.support.node import RunningNode


async def test_a_newcomer_ends_a_hanging_poll(node: RunningNode, http: httpx.AsyncClient) -> None:
    poller = Poller(http, node.base, "poll-roster", Author("Poller", signed=True))
    await poller.join()
    tag = (await poller.poll(roster=""))["roster"]["tag"]
    assert "roster" not in await poller.poll(roster=tag)
    waiting = asyncio.create_task(poller.poll(wait=15, roster=tag))
    await asyncio.sleep(0.3)
    async with Socket(node.socket_url(1), "poll-roster", Author("Newcomer")):
        async with asyncio.timeout(2):
            found = await waiting
    assert {peer["name"] for peer in found["roster"]["peers"]} == {"Poller", "Newcomer"}


async def test_as_many_signed_frames_as_the_limit_says(node: RunningNode, http: httpx.AsyncClient) -> None:
    author = Author("Many", signed=True)
    poller = Poller(http, node.base, "poll-many", author)
    await poller.join()
    frames = [author.write("poll-many", str(number)) for number in range(100)]
    frames += [{"type": "ping", "t": number} for number in range(POLL_FRAMES - len(frames))]
    found = await poller.poll(frames=frames)
    assert [frame["type"] for frame in found["frames"]].count("ack") == 100
    assert [frame["type"] for frame in found["frames"]].count("pong") == 100

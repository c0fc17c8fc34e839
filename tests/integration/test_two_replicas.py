"""Sent at one replica, received at the other, also when a hint is dropped."""

import asyncio
import json

from tests.support.clients import Author, Socket, bodies
from tests.support.node import RunningNode


async def test_sent_at_one_replica_received_at_the_other_in_order(node: RunningNode) -> None:
    writer, reader = Author("Writer", signed=True), Author("Reader")
    async with (
        Socket(node.socket_url(0), "replicas", writer) as here,
        Socket(node.socket_url(1), "replicas", reader) as there,
    ):
        for number in range(200):
            await here.send(writer.write("replicas", f"text {number}"))
            if number == 100:
                await asyncio.sleep(1.2)  # what a reader finds in the log when it comes is no fan-out
        got = await there.messages(200)
    assert bodies(got) == [f"text {number}" for number in range(200)]
    seqs = [frame["seq"] for frame in got]
    assert seqs == list(range(seqs[0], seqs[0] + 200))


async def test_a_sender_gets_an_ack_and_its_own_message(node: RunningNode) -> None:
    writer = Author("Solo", signed=True)
    async with Socket(node.socket_url(0), "solo", writer) as here:
        sent = writer.write("solo", "hello")
        await here.send(sent)
        found = {frame["type"]: frame for frame in [await here.of_type("ack", "message") for _ in range(2)]}
    assert found["ack"]["seq"] == found["message"]["seq"]
    assert found["message"]["env"] == sent["env"]
    assert found["message"]["sig"] == sent["sig"]
    assert found["message"]["pk"] == writer.pk
    assert found["ack"]["id"] == json.loads(sent["env"])["id"]

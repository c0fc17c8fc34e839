"""Sent at one replica, received at the other; a session has one socket at all of them, the youngest."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Iterator

import pytest

from tests.support.clients import Author, Socket, bodies
from tests.support.node import Process, RunningNode


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


@contextlib.contextmanager
def frozen(process: Process) -> Iterator[None]:
    """The process does nothing while the block lasts."""
    assert process.popen is not None
    process.popen.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.popen.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("signed", [True, False], ids=["peer", "guest"])
async def test_a_greeting_that_a_frozen_replica_reads_late_ends_no_younger_socket(
    node: RunningNode, room: str, signed: bool
) -> None:
    """The late one is told to come back, which it can: then it is the younger."""
    ada = Author("Ada", signed=signed)
    async with Socket(node.socket_url(1), room, ada):
        pass
    late = Socket(node.socket_url(0), room, ada)
    challenge = await late.knock()
    with frozen(node.signaling[0]):
        await late.greet(challenge)
        young = await Socket(node.socket_url(1), room, ada).__aenter__()
    fault = await late.of_type("welcome", "fault")
    assert (fault["type"], fault.get("code")) == ("fault", "unavailable")
    await late.ws.wait_closed()
    assert late.ws.close_code == 1013
    await young.during(0.5)
    await young.send(ada.write(room, "still here"))
    await young.of_type("ack")
    async with Socket(node.socket_url(0), room, ada):
        await young.ws.wait_closed()
        assert young.ws.close_code == 4001


async def test_those_who_come_at_once_wait_at_the_door(node: RunningNode) -> None:
    """As after a restart: their connections stand although the service has no time for them, none is tried again."""
    for process, port in ((node.signaling[0], node.ws[0]), (node.gateway, node.http)):
        with frozen(process):
            async with asyncio.timeout(5):
                asked = [asyncio.open_connection("127.0.0.1", port) for _ in range(800)]
                lines = await asyncio.gather(*asked)
            for _, writer in lines:
                writer.close()

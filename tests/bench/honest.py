"""Honest clients for benchmarks: each sends on a timetable, and counts an ack's time from when it was due to send."""

import asyncio
import json
import time
from typing import NamedTuple

from tests.support.clients import Author, Socket
from tests.support.node import RunningNode


class Sample(NamedTuple):
    """A message that was due at this time (monotonic) was acked so many seconds later."""

    due: float
    took: float


class Honest:
    """Peers that write all the time, a few of them in each room. `samples` is what they found."""

    def __init__(self, node: RunningNode, rooms: list[str], rate: float) -> None:
        self._node, self._rooms, self._every = node, rooms, 1 / rate
        self.samples: list[Sample] = []
        self.faults: list[str] = []
        self._due: dict[str, float] = {}

    @property
    def unanswered(self) -> int:
        """Messages without an ack so far."""
        return len(self._due)

    async def run(self) -> None:
        """Sends until cancelled."""
        start = time.monotonic() + 1
        async with asyncio.TaskGroup() as group:
            for number, room in enumerate(self._rooms):
                phase = self._every * number / len(self._rooms)
                group.create_task(self._one(room, f"Honest {number}", start + phase))

    async def _one(self, room: str, name: str, due: float) -> None:
        author = Author(name, signed=True)
        async with (
            Socket(self._node.socket_url(), room, author) as socket,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._hear(socket))
            while True:
                frame = author.write(room, "good day")
                await asyncio.sleep(due - time.monotonic())
                self._due[json.loads(frame["env"])["id"]] = due
                await socket.send(frame)
                due += self._every

    async def _hear(self, socket: Socket) -> None:
        while True:
            text = await socket.ws.recv()
            if text[9:12] == "mes":
                continue
            frame = json.loads(text)
            if frame["type"] == "ack":
                due = self._due.pop(frame["id"])
                self.samples.append(Sample(due, time.monotonic() - due))
            elif frame["type"] == "fault":
                self.faults.append(frame["detail"])

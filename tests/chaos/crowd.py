"""One of many sockets: writes now and then, and moves to the other replica when it is told to come back."""

import json
import random
import time

from websockets.exceptions import ConnectionClosed

from tests.chaos.node import ProxiedNode
from tests.support.clients import Author, Frame, Socket

_EVERY_S = 2.0


class Guest:
    """`waiting` is what is sent and not acked, `seen` every row it was shown, `codes` how its sockets were closed."""

    def __init__(self, node: ProxiedNode, room: str, name: str) -> None:
        self.node, self.room, self.author = node, room, Author(name)
        self.acked: dict[str, int] = {}
        self.waiting: Frame | None = None
        self.seen: list[int] = []
        self.codes: list[int | None] = []
        self.start = 0
        self.quiet = False
        self._log_id = ""

    async def run(self) -> None:
        """At the first replica, then at the second, until cancelled."""
        for replica in range(2):
            more = {"after": f"{self._log_id}.{self._last}"} if self._log_id else {}
            socket = Socket(self.node.socket_url(replica), self.room, self.author, **more)
            try:
                async with socket:
                    self._begin(socket)
                    await self._talk(socket)
            except ConnectionClosed:
                self.codes.append(socket.ws.close_code)

    @property
    def _last(self) -> int:
        return self.seen[-1] if self.seen else self.start

    def _begin(self, socket: Socket) -> None:
        if not self._log_id:
            self._log_id, self.start = socket.welcome["log_id"], socket.welcome["head"]

    async def _talk(self, socket: Socket) -> None:
        if self.waiting is not None:
            await socket.send(self.waiting)
        due = time.monotonic() + random.uniform(0, _EVERY_S)
        while True:
            try:
                self._heard(await socket.frame(max(0.01, due - time.monotonic())))
                socket.seen.clear()
            except TimeoutError:
                due = time.monotonic() + _EVERY_S
                if self.waiting is None and not self.quiet:
                    self.waiting = self.author.write(self.room, "here")
                    await socket.send(self.waiting)

    def _heard(self, frame: Frame) -> None:
        if frame["type"] == "message":
            self.seen.append(frame["seq"])
        elif frame["type"] == "ack":
            assert self.waiting is not None and json.loads(self.waiting["env"])["id"] == frame["id"]
            self.acked[frame["id"]], self.waiting = frame["seq"], None

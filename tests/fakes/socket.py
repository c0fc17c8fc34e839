"""The two sides of a WebSocket as the hub writes to it: a transport that takes all, some or nothing."""

import asyncio
import json
from collections.abc import Generator
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.streams import StreamReader

Found = dict[str, Any]


class Pipe:
    """A transport. `rate` is how many bytes a second its reader takes; None takes all at once."""

    def __init__(self, rate: float | None = None) -> None:
        self.rate, self.writes = rate, list[bytes]()
        self.arrived = StreamReader()
        self._waiting = bytearray()
        self._looked = asyncio.get_running_loop().time()
        self.most_waiting = 0
        self.aborted = False

    def abort(self) -> None:
        """The hub cuts it."""
        self.aborted = True

    def write(self, data: bytes) -> None:
        """Takes what the reader takes, keeps the rest."""
        self.flow()
        self.writes.append(data)
        self._waiting += data
        if self.rate is None:
            self._pass(len(self._waiting))
        self.most_waiting = max(self.most_waiting, len(self._waiting))

    def get_write_buffer_size(self) -> int:
        """What still waits."""
        self.flow()
        return len(self._waiting)

    def flow(self) -> None:
        """The reader takes what it had time for since it was last looked at."""
        now = asyncio.get_running_loop().time()
        took = int(self.rate * (now - self._looked)) if self.rate else 0
        self._looked = self._looked + took / self.rate if self.rate and took < len(self._waiting) else now
        self._pass(took)

    def _pass(self, count: int) -> None:
        self.arrived.feed_data(bytes(self._waiting[:count]))
        del self._waiting[:count]


class Socket:
    """One accepted connection and what its client has got."""

    def __init__(self, rate: float | None = None) -> None:
        self.state = State.OPEN
        self.transport = Pipe(rate)
        self.closed: tuple[int, str] | None = None
        self.got: list[Found] = []
        self._parser: Generator[None, None, Frame] | None = None
        self.silent, self.pings = False, 0

    @property
    def connection(self) -> ServerConnection:
        """As services type it."""
        return cast(ServerConnection, self)

    async def close(self, code: int, reason: str) -> None:
        """The hub ends it."""
        self.state, self.closed = State.CLOSED, (int(code), reason)

    async def ping(self) -> "asyncio.Future[float]":
        """Answered unless the client is silent."""
        self.pings += 1
        pong = asyncio.get_running_loop().create_future()
        if not self.silent:
            pong.set_result(0.0)
        return pong

    def frames(self) -> list[Found]:
        """Every whole frame that arrived so far, as JSON."""
        self.transport.flow()
        while True:
            parser = self._parser or Frame.parse(self.transport.arrived.read_exact, mask=False, max_size=None)
            try:
                next(parser)
            except StopIteration as done:
                assert (done.value.opcode, done.value.fin) == (Opcode.TEXT, True)
                self.got.append(json.loads(done.value.data))
                self._parser = None
            else:
                self._parser = parser
                return self.got

    def of_type(self, kind: str) -> list[Found]:
        """The frames of one type."""
        return [frame for frame in self.frames() if frame["type"] == kind]

    @property
    def seqs(self) -> list[int]:
        """The numbers of the messages that arrived."""
        return [frame["seq"] for frame in self.of_type("message")]

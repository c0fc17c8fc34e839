"""One of many sockets: writes now and then, and comes back as the product's ladder says when its socket ends."""

import asyncio
import json
import random
import resource
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from websockets.exceptions import WebSocketException

from services.kernel.model.errors import CloseCode
from services.transport.ladder.actions import Dial
from services.transport.ladder.events import Closed, Event, Failed, Opened, Start, Tick
from services.transport.ladder.policy import RUNGS, Config
from services.transport.ladder.state import ladder
from services.transport.ladder.step import Stepped, step
from tests.support.clients import Author, Frame, Socket
from tests.support.node import RunningNode

_SOCKET = "websocket-direct"
_EVERY_S = 10.0
_FILES = 4096


def allow_files() -> None:
    """Lets this process, and those it starts, hold a socket for everyone of a crowd."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, hard), hard))


def peak(moments: Iterable[float], width: float = 0.1) -> int:
    """The most moments (seconds) that lie in one of the pieces of this width."""
    return max(Counter(int(moment / width) for moment in moments).values())


def figures(crowd: "Sequence[Guest]", began: float, ended: float) -> dict[str, float]:
    """How a crowd came back after its process was told to stop at `began` and had ended at `ended`."""
    back = [guest.came[1] - began for guest in crowd]
    return {
        "sockets": len(crowd),
        "acked": sum(len(guest.acked) for guest in crowd),
        "stopped_s": round(ended - began, 1),
        "all_back_s": round(max(back), 1),
        "most_dials_in_100ms": peak(guest.pauses[0] for guest in crowd),
        "most_joins_in_100ms": peak(back),
    }


class Pace:
    """When a client with one rung dials: the ladder, driven as web/js/driver.js drives it."""

    def __init__(self) -> None:
        self._config = Config(rungs=tuple(place for place in RUNGS if place.name == _SOCKET), keep=True)
        self._state = ladder(self._config)
        self._tell(Start((_SOCKET,)), self._now())

    def opened(self) -> None:
        """The dial has become a link."""
        self._tell(Opened(_SOCKET), self._now())

    async def ended(self, code: int | None, *, up: bool) -> float:
        """Waits until it is time to dial again; returns how many seconds of waiting were asked for."""
        began, spread = self._now(), random.random()
        if not up:
            result = self._tell(Failed(_SOCKET, "refused", "", spread), began)
        else:
            kept_back = int(spread * self._config.crowd) if code == CloseCode.RESTART else 0
            result = self._tell(Closed(_SOCKET, str(code), spread), began + kept_back)
        due = result.wake
        await asyncio.sleep((due - self._now()) / 1000)
        assert Dial(_SOCKET) in self._tell(Tick(), due).actions
        return (due - began) / 1000

    def _tell(self, event: Event, now: int) -> Stepped:
        result = step(self._state, event, now)
        self._state = result.state
        return result

    @staticmethod
    def _now() -> int:
        return time.monotonic_ns() // 1_000_000


class Guest:
    """First at one replica, then at the other.

    `waiting` is what is sent and not acked, `seen` every row it was shown, `codes` how its open sockets
    were closed, `pauses` how long it was to wait before each dial, `came` when it was welcomed.
    """

    def __init__(self, node: RunningNode, room: str, name: str, after: float) -> None:
        self.node, self.room, self.author = node, room, Author(name)
        self.acked: dict[str, int] = {}
        self.waiting: Frame | None = None
        self.seen: list[int] = []
        self.codes: list[int | None] = []
        self.pauses: list[float] = []
        self.came: list[float] = []
        self.start = 0
        self.quiet = False
        self._log_id, self._wait = "", after

    async def run(self) -> None:
        """Comes after its wait; at the first replica, then at the second, until cancelled."""
        await asyncio.sleep(self._wait)
        pace = Pace()
        while True:
            visits = len(self.came)
            code = await self._visit(min(visits, 1), pace)
            up = len(self.came) > visits
            if up:
                self.codes.append(code)
            self.pauses.append(await pace.ended(code, up=up))

    async def _visit(self, replica: int, pace: Pace) -> int | None:
        """One socket from its dial to its end; returns its close code."""
        more = {"after": f"{self._log_id}.{self._last}"} if self._log_id else {}
        socket = Socket(self.node.socket_url(replica), self.room, self.author, **more)
        try:
            async with socket:
                pace.opened()
                self.came.append(time.monotonic())
                self._begin(socket)
                await self._talk(socket)
        except (OSError, WebSocketException):
            return socket.ws.close_code if hasattr(socket, "ws") else None
        return None

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

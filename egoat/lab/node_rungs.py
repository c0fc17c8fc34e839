"""The rungs to the node in the laboratory: a socket, and polling by requests."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from egoat.lab.clock import Timer
from egoat.lab.driver import Kind, Link, Told
from egoat.lab.frames import Frame, Hello, Roster, Row, Welcome, Who
from egoat.lab.network import Device, Flow, Path, reaches_node
from egoat.lab.node import Answer, Node
from services.transport.ladder.outbox import Window

HOLD_MS = 4_000
JOIN_MS = 8_000
POLL_MS = 9_000
HISTORY_MS = 10_000

SOCKET_WINDOW = Window(64, 512 * 1024, False)
POLL_WINDOW = Window(50, 60 * 1024, True)


class Reach(NamedTuple):
    """What a rung to the node needs; `cursor` is the last seq held without a hole."""

    device: Device
    node: Node
    chance: Random
    who: Who
    cursor: Callable[[], int | None]


class Socket:
    """A WebSocket: refused by a node that is down, stripped by some proxies, silent where no packet passes."""

    def __init__(self, reach: Reach, told: Told) -> None:
        self.reach, self.told = reach, told
        self.over = False
        self.opened = False
        device, network = reach.device, reach.device.network
        path = Path(reach.chance, device)
        self.flow: Flow[Frame] = Flow(
            device.clock, path, lambda: reaches_node(device) and device.network == network
        )
        self.flow.attach(0, self._take, lambda: device.do(self._lost))
        device.asked[id(self)] = self._lost
        device.clock.after(2 * path.travel(), self._connect)

    def send(self, frame: Frame) -> None:
        """A frame up."""
        if self.opened and not self.over:
            self.flow.send(0, frame)

    def activate(self, active: bool) -> None:
        """A socket delivers by itself, in use or not."""

    def refresh(self) -> None:
        """TCP has one way only."""

    def close(self) -> None:
        """Ends it; nothing is told."""
        self.reach.device.asked.pop(id(self), None)
        if not self.over:
            self.over = True
            self.flow.close(0)

    def lives(self) -> bool:
        """Whether packets pass."""
        return self.flow.lives()

    def _connect(self) -> None:
        device, node = self.reach.device, self.reach.node
        if self.over or not reaches_node(device):
            return
        if not device.access.websocket or not node.up:
            device.do(self._lost)
            return
        hello = Hello(self.reach.who, self.reach.cursor())
        self.flow.attach(1, lambda _frame: node.greet(self.flow, hello), lambda: None)
        self.flow.send(0, hello)

    def _take(self, frame: Frame) -> None:
        self.reach.device.do(partial(self._taken, frame))

    def _taken(self, frame: Frame) -> None:
        if self.over:
            return
        if isinstance(frame, Welcome) and not self.opened:
            self.opened = True
            self.reach.device.asked.pop(id(self), None)
            self.told.opened(frame)
        else:
            self.told.frame(frame)

    def _lost(self) -> None:
        self.reach.device.asked.pop(id(self), None)
        if not self.over:
            self.over = True
            self.told.ended("closed" if self.opened else "refused", "it broke off")


def request(
    reach: Reach, ask: Callable[[Answer], None], answered: Answer, failed: Callable[[], None], deadline: int
) -> None:
    """One request to the node; `answered` or `failed` is called once, and never while the device sleeps."""
    device, node = reach.device, reach.node
    network, path = device.network, Path(reach.chance, device)
    open_still = [True]

    def finish(act: Callable[[], None]) -> None:
        if open_still[0]:
            open_still[0] = False
            timer.cancel()
            device.asked.pop(id(timer), None)
            act()

    def passes() -> bool:
        return reaches_node(device) and device.network == network

    def arrive() -> None:
        if not passes():
            return
        if node.up:
            ask(back)
        else:
            device.do(lambda: finish(failed))

    def back(frames: tuple[Frame, ...]) -> None:
        device.clock.after(
            path.travel(), lambda: device.do(lambda: finish(lambda: answered(frames))) if passes() else None
        )

    timer: Timer = device.after(deadline, lambda: finish(failed))
    device.asked[id(timer)] = lambda: finish(failed)
    device.clock.after(path.travel(), arrive)


class Polling:
    """A signed join, then requests only; reads by cursor while it is in use."""

    def __init__(self, reach: Reach, tokens: set[Who], told: Told) -> None:
        self.reach, self.tokens, self.told = reach, tokens, told
        self.over = False
        self.opened = False
        self.active = False
        self._reading = False
        self._posting = False
        self._out: list[Frame] = []
        if reach.who in tokens:
            self._ask(None, 0, (), lambda _frames: self._open(None), JOIN_MS)
        else:
            request(reach, partial(reach.node.join, reach.who), self._joined, self._fail, JOIN_MS)

    def send(self, frame: Frame) -> None:
        """A frame up, with the next request."""
        self._out.append(frame)
        if not self._posting:
            self._posting = True
            self.reach.device.after(0, self._post)

    def activate(self, active: bool) -> None:
        """Reads while in use."""
        self.active = active
        if active and not self._reading:
            self._read(self.reach.cursor())

    def refresh(self) -> None:
        """Every request finds its own way."""

    def close(self) -> None:
        """Ends it; nothing is told."""
        self.over = True

    def lives(self) -> bool:
        """Whether a request can be answered now."""
        return self.reach.node.up and reaches_node(self.reach.device)

    def _joined(self, frames: tuple[Frame, ...]) -> None:
        if not self.over:
            self.tokens.add(self.reach.who)
            welcome = frames[0]
            self._open(welcome if isinstance(welcome, Welcome) else None)

    def _open(self, welcome: Welcome | None) -> None:
        if not self.over:
            self.opened = True
            self.told.opened(welcome)

    def _ask(
        self, after: int | None, wait: int, frames: tuple[Frame, ...], then: Answer, deadline: int
    ) -> None:
        node, who = self.reach.node, self.reach.who
        request(
            self.reach, lambda reply: node.poll(who, after, wait, frames, reply), then, self._fail, deadline
        )

    def _fail(self) -> None:
        if not self.over:
            self.over = True
            self.told.ended("closed" if self.opened else "refused", "no answer")

    def _read(self, after: int | None) -> None:
        self._reading = self.active and not self.over
        if not self._reading:
            return

        def answered(frames: tuple[Frame, ...]) -> None:
            self._take(frames)
            rows = [frame.seq for frame in frames if isinstance(frame, Row)]
            self._read(max(rows) if rows else after if after is not None else self.reach.cursor())

        self._ask(after, HOLD_MS, (), answered, HOLD_MS + POLL_MS)

    def _post(self) -> None:
        frames, self._out = tuple(self._out), []
        self._posting = bool(frames) and not self.over
        if not self._posting:
            return

        def answered(down: tuple[Frame, ...]) -> None:
            self._take(down)
            self._post()

        self._ask(None, 0, frames, answered, POLL_MS)

    def _take(self, frames: tuple[Frame, ...]) -> None:
        if not self.over:
            self.told.heard()
        for frame in frames:
            if not self.over and (self.active or not isinstance(frame, Roster)):
                self.told.frame(frame)


def node_kinds(reach: Reach) -> dict[str, Kind]:
    """The rungs from this page to its node."""
    tokens: set[Who] = set()

    def poll(told: Told) -> Link:
        return Polling(reach, tokens, told)

    return {
        "websocket-direct": Kind(1_500, 5_000, SOCKET_WINDOW, lambda told: Socket(reach, told)),
        "http-polling": Kind(1_500, 20_000, POLL_WINDOW, poll),
    }

"""The rungs between browsers in the laboratory: perfect negotiation over the node, then one data channel.

As web/js/rungs/webrtc-link.js and negotiation.js; of ICE only what it decides is here: whether a pair meets.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from egoat.lab.clock import Timer
from egoat.lab.driver import Kind, Told
from egoat.lab.frames import Call, Frame, Ping, Pong
from egoat.lab.network import Device, Flow, Path, pairs
from services.transport.ladder.outbox import Window

YIELD_MS = 400
AGAIN_MS = (2_000, 4_000, 8_000)
RESTART_EVERY_MS = 5_000
CHECK_EVERY_MS = 500
CHECKS = 30

WINDOW = Window(256, 512 * 1024, False)


class Air:
    """Where the two ends of a connection meet once each knows the other's description."""

    def __init__(self, chance: Random, relay: bool) -> None:
        self.chance = chance
        self.relay = relay
        self._waiting: dict[tuple[str, str], DirectLink] = {}

    def agreed(self, offer: str, answer: str, link: "DirectLink") -> None:
        """This end has both descriptions; with the second end the checks begin."""
        other = self._waiting.pop((offer, answer), None)
        if other is None:
            self._waiting[offer, answer] = link
        else:
            self._check(other, link, CHECKS)

    def _check(self, one: "DirectLink", other: "DirectLink", left: int) -> None:
        if one.over or other.over:
            return
        here, there = one.parts.device, other.parts.device
        if pairs(here, there, one.rung, self.relay):
            path = Path(self.chance, here, there)
            here.clock.after(3 * path.travel(), partial(self._connect, one, other, path))
        elif left > 0:
            here.clock.after(CHECK_EVERY_MS, lambda: self._check(one, other, left - 1))
        else:
            for link in (one, other):
                link.parts.device.do(link.no_path)

    def _connect(self, one: "DirectLink", other: "DirectLink", path: Path) -> None:
        if one.over or other.over:
            return
        here, there = one.parts.device, other.parts.device
        networks = (here.network, there.network)

        def alive() -> bool:
            return (here.network, there.network) == networks and pairs(here, there, one.rung, self.relay)

        if one.flow is not None and one.flow is other.flow:
            one.flow.alive = alive
            return
        flow: Flow[Frame] = Flow(here.clock, path, alive)
        for end, link in enumerate((one, other)):
            link.parts.device.do(partial(link.connected, flow, end))


class Parts(NamedTuple):
    """What a direct rung needs to reach one session of a peer."""

    device: Device
    air: Air
    polite: bool
    attempt: Callable[[], str]
    take_call: Callable[[str], Call | None]
    signal: Callable[[Call], None]
    other_awake: Callable[[], bool]


class DirectLink:
    """A dial, answered or offered, and the channel it becomes once an echo came back on it."""

    def __init__(self, rung: str, parts: Parts, told: Told) -> None:
        self.rung, self.parts, self.told = rung, parts, told
        self.over = False
        self.opened = False
        self.agreed = False
        self.begun = False
        self.offering = ""
        self.flow: Flow[Frame] | None = None
        self.end = 0
        self.attempt = parts.attempt()
        self._answered = ("", "")
        self._restarted = -RESTART_EVERY_MS
        self._again: Timer | None = None
        call = parts.take_call(rung)
        if call is not None:
            parts.device.after(0, lambda: self.take(call))
        elif not parts.polite:
            parts.device.after(0, self._begin)
        parts.device.after(10 * YIELD_MS if call is not None else YIELD_MS, self._begin)

    def takes(self, call: Call) -> bool:
        """Whether an offer belongs to this connection: to its attempt, or to one that no side has answered."""
        return call.attempt == self.attempt or not self.agreed

    def take(self, call: Call) -> None:
        """A signal from the other side."""
        if self.over:
            return
        if call.kind == "offer":
            self._offered(call)
        elif call.attempt == self.attempt:
            self._answer_came(call)

    def send(self, frame: Frame) -> None:
        """A frame to the other side."""
        if self.flow is not None and not self.over:
            self.flow.send(self.end, frame)

    def activate(self, active: bool) -> None:
        """A channel delivers by itself, in use or not."""

    def refresh(self) -> None:
        """Looks for another way to the same place."""
        now = self.parts.device.now
        if not self.over and self.agreed and now - self._restarted >= RESTART_EVERY_MS:
            self._restarted = now
            self._offer()

    def close(self) -> None:
        """Ends it; nothing is told here."""
        if not self.over:
            self.over = True
            if self.flow is not None:
                self.flow.close(self.end)

    def lives(self) -> bool:
        """Whether the two hear each other now."""
        return self.flow is not None and self.flow.lives() and self.parts.other_awake()

    def no_path(self) -> None:
        """No pair of addresses answered."""
        if not self.opened:
            self._end("no-path", "no pair of addresses answered")

    def connected(self, flow: Flow[Frame], end: int) -> None:
        """The channel is open; it is up when an echo has come back."""
        if self.over:
            flow.close(end)
            return
        do = self.parts.device.do
        self.flow, self.end = flow, end
        flow.attach(end, lambda frame: do(partial(self._received, frame)), lambda: do(self._far_end_closed))
        self.send(Ping(self.parts.device.now))

    def _received(self, frame: Frame) -> None:
        if self.over:
            return
        if isinstance(frame, Ping):
            self.told.heard()
            self.send(Pong(frame.t, None))
        elif isinstance(frame, Pong) and not self.opened:
            self.opened = True
            self.told.opened(None)
        elif self.opened:
            self.told.frame(frame)
        else:
            self.told.heard()

    def _begin(self) -> None:
        if not self.begun and not self.over:
            self.begun = True
            self._offer()

    def _offer(self) -> None:
        if not self.offering and not self.over:
            self.offering = self.parts.attempt()
            self._say_offer(0)

    def _say_offer(self, tries: int) -> None:
        if self.over or not self.offering:
            return
        self.parts.signal(Call("offer", self.rung, self.attempt, self.offering))
        if self._again is not None:
            self._again.cancel()
        if tries < len(AGAIN_MS):
            self._again = self.parts.device.after(AGAIN_MS[tries], lambda: self._say_offer(tries + 1))

    def _offered(self, call: Call) -> None:
        offer, answer = self._answered
        if call.sdp == offer:
            self.parts.signal(Call("answer", self.rung, self.attempt, answer))
            return
        if self.offering and not self.parts.polite:
            self.parts.signal(Call("offer", self.rung, self.attempt, self.offering))
            return
        self.offering, self.attempt = "", call.attempt
        self.begun = self.agreed = True
        self._answered = (call.sdp, self.parts.attempt())
        self.parts.signal(Call("answer", self.rung, self.attempt, self._answered[1]))
        self.parts.air.agreed(*self._answered, self)

    def _answer_came(self, call: Call) -> None:
        if call.refused:
            self._end("refused", "the other side does not use this path now")
        elif self.offering:
            offer, self.offering = self.offering, ""
            self.agreed = True
            self.parts.air.agreed(offer, call.sdp, self)

    def _far_end_closed(self) -> None:
        self._end("closed", "the other side ended it")

    def _end(self, what: str, evidence: str) -> None:
        if not self.over:
            self.close()
            self.told.ended("closed" if self.opened else what, evidence)


def direct_kinds(parts: Parts) -> dict[str, Kind]:
    """The rungs from this page to one session of a peer."""
    return {
        rung: Kind(1_500, 5_000, WINDOW, partial(DirectLink, rung, parts))
        for rung in ("webrtc-stun", "webrtc-turn")
    }

"""The simulated network: how devices are connected, which pairs can meet, and flows that carry frames."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Generic, TypeVar

import msgspec

from egoat.lab.clock import Act, Clock, Timer

FIRST_RETRY_MS = 200
LAST_RETRY_MS = 3_000
MOST_TRIES = 40

Item = TypeVar("Item")


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How a device is connected.

    `nat`: "open"; "cone" (one mapping for all, filters by address: meets everything but two symmetric
    ones); "symmetric" (a mapping per target). `delay` and `jitter` are milliseconds one way, `loss` a
    share. `websocket` is false behind a proxy that strips upgrades; `idle_cut` is how long it lets a
    connection be quiet. `node` is false while the way to the node's network is cut.
    """

    nat: str = "cone"
    udp: bool = True
    websocket: bool = True
    online: bool = True
    node: bool = True
    delay: int = 20
    jitter: int = 10
    loss: float = 0.0
    idle_cut: int | None = None


class Device:
    """A machine with a clock of its own that may sleep: its timers stop, and what comes waits or is lost."""

    def __init__(self, clock: Clock, name: str, access: Access, skew: int = 0) -> None:
        self.clock = clock
        self.name = name
        self.access = access
        self.skew = skew
        self.network = 0
        self.asleep = False
        self.asked: dict[int, Act] = {}
        self._missed: list[Act] = []

    @property
    def now(self) -> int:
        """Monotonic milliseconds."""
        return self.clock.now

    def after(self, pause: int, act: Act) -> Timer:
        """A timer of this device: while it sleeps nothing is done, when it wakes what is overdue."""
        return self.clock.after(pause, lambda: self.do(act))

    def do(self, act: Act) -> None:
        """Does it now, or when this device wakes."""
        if self.asleep:
            self._missed.append(act)
        else:
            act()

    def move(self) -> None:
        """Another address: as browsers do, what was asked for and not yet answered fails at once."""
        self.network += 1
        asked, self.asked = self.asked, {}
        for fail in asked.values():
            self.do(fail)

    def sleep(self) -> None:
        """From now on nothing is done."""
        self.asleep = True

    def wake(self) -> None:
        """Does what was missed, in its order."""
        self.asleep = False
        missed, self._missed = self._missed, []
        for act in missed:
            self.clock.after(0, partial(self.do, act))


def reaches_node(device: Device) -> bool:
    """Whether packets of this device come as far as the node's network."""
    return device.access.online and device.access.node


def pairs(one: Device, other: Device, rung: str, relay: bool) -> bool:
    """Whether two devices can meet on a direct rung now; the relay answers on TCP too."""
    here, there = one.access, other.access
    if not (here.online and there.online):
        return False
    if rung == "webrtc-turn":
        return relay and here.node and there.node
    return here.udp and there.udp and (here.nat, there.nat) != ("symmetric", "symmetric")


class Path:
    """The way between two machines: how long a packet takes, lost ones included as their retries."""

    def __init__(self, chance: Random, *devices: Device) -> None:
        self.chance = chance
        self.devices = devices

    def travel(self) -> int:
        """Milliseconds until a segment has arrived; each loss costs a growing retry."""
        total, retry = 0, FIRST_RETRY_MS
        for device in self.devices:
            access = device.access
            total += access.delay + self.chance.randint(0, access.jitter)
            while self.chance.random() < access.loss:
                total += retry
                retry = min(2 * retry, LAST_RETRY_MS)
        return total

    def quiet(self) -> int | None:
        """After how much quiet a proxy on the way to the node drops a connection."""
        return self.devices[0].access.idle_cut if len(self.devices) == 1 else None


class Way:
    """One direction of a flow: in order; what cannot pass now waits and is tried again, for a while."""

    def __init__(self, clock: Clock, path: Path, alive: Callable[[], bool]) -> None:
        self.clock = clock
        self.path = path
        self.alive = alive
        self.over = False
        self._last = 0
        self._tries = 0
        self._waiting: list[Act] = []

    def send(self, arrive: Act) -> None:
        """Puts something on its way."""
        self._last = max(self._last, self.clock.now + self.path.travel())
        self.clock.after(self._last - self.clock.now, lambda: self._arrive(arrive))

    def _arrive(self, arrive: Act) -> None:
        if self.over:
            return
        if not self._waiting and self.alive():
            arrive()
            return
        self._waiting.append(arrive)
        if len(self._waiting) == 1:
            self._tries = 0
            self._again_later()

    def _again_later(self) -> None:
        self._tries += 1
        self.over = self.over or self._tries > MOST_TRIES
        if not self.over:
            self.clock.after(min(FIRST_RETRY_MS << self._tries, LAST_RETRY_MS), self._again)

    def _again(self) -> None:
        if not self.alive():
            self._again_later()
            return
        waiting, self._waiting = self._waiting, []
        for arrive in waiting:
            if not self.over:
                arrive()


class Flow(Generic[Item]):
    """A connection between two ends, as TCP and SCTP give it: ordered, whole, and silent when its path is gone.

    Ends are 0 and 1. Who closes an end hears nothing more there; the other is told when that gets through.
    """

    def __init__(self, clock: Clock, path: Path, alive: Callable[[], bool]) -> None:
        self.clock = clock
        self.path = path
        self.alive = alive
        self.dropped = False
        self._spoke = clock.now
        self._ways = (Way(clock, path, self._passes), Way(clock, path, self._passes))
        self._takes: list[Callable[[Item], None]] = [_ignore, _ignore]
        self._ends: list[Act] = [_nothing, _nothing]

    def attach(self, end: int, take: Callable[[Item], None], ended: Act) -> None:
        """Who takes what arrives at this end."""
        self._takes[end], self._ends[end] = take, ended

    def send(self, end: int, item: Item) -> None:
        """From this end to the other."""
        quiet = self.path.quiet()
        self.dropped = self.dropped or (quiet is not None and self.clock.now - self._spoke > quiet)
        self._spoke = self.clock.now
        self._ways[end].send(lambda: self._takes[1 - end](item))

    def close(self, end: int) -> None:
        """Ends it from this end."""
        self._ways[1 - end].over = True
        self._ways[end].send(lambda: self._closed(end))

    def lives(self) -> bool:
        """Whether both ends hear each other now."""
        return self._passes() and not any(way.over for way in self._ways)

    def _passes(self) -> bool:
        return not self.dropped and self.alive()

    def _closed(self, end: int) -> None:
        self._ways[end].over = True
        self._ends[1 - end]()


def _ignore(_item: object) -> None:
    """Nobody is there yet."""


def _nothing() -> None:
    """Nobody is there yet."""

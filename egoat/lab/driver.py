"""The shell of one ladder in the laboratory, as web/js/driver.js: performs what `step` decides, and echoes."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from egoat.lab.clock import Timer
from egoat.lab.frames import Frame, Ping, Pong, Welcome
from egoat.lab.network import Device
from egoat.lab.trace import Trace
from services.transport.ladder import echo as echoes
from services.transport.ladder.actions import Action, Dial, HangUp, Use
from services.transport.ladder.events import (
    Called,
    Closed,
    Event,
    Failed,
    NetworkChanged,
    Opened,
    Sampled,
    Start,
    Tick,
)
from services.transport.ladder.outbox import Window
from services.transport.ladder.policy import Config
from services.transport.ladder.quality import is_good
from services.transport.ladder.state import ladder
from services.transport.ladder.step import step

BEAT_MS = 500
SAMPLE_MS = 5_000


class Link(Protocol):
    """A dial, and the open link it becomes."""

    def send(self, frame: Frame) -> None: ...
    def activate(self, active: bool) -> None: ...
    def refresh(self) -> None: ...
    def close(self) -> None: ...
    def lives(self) -> bool: ...


class Told(NamedTuple):
    """What a link tells its driver; `ended` is told once, and never after `close`."""

    opened: Callable[[Welcome | None], None]
    frame: Callable[[Frame], None]
    heard: Callable[[], None]
    ended: Callable[[str, str], None]


class Kind(NamedTuple):
    """One rung: how often echoes are asked for, how much may be under way, and how it is dialled."""

    active: int
    standby: int
    window: Window
    dial: Callable[[Told], Link]


class Owner(NamedTuple):
    """What the driver tells its owner."""

    opened: Callable[[str, Welcome | None], None]
    frame: Callable[[str, Frame], None]
    use: Callable[[str | None, str | None], None]


class Held:
    """A dial or a link of this driver."""

    def __init__(self, number: int, now: int) -> None:
        self.number = number
        self.link: Link | None = None
        self.up = False
        self.echo = echoes.fresh(now)
        self.sampled_at = -SAMPLE_MS


class Current(NamedTuple):
    """The link in use."""

    number: int
    link: Link
    window: Window


class Driver:
    """One ladder at work, from `start` to `stop`."""

    def __init__(
        self, device: Device, chance: Random, trace: Trace, key: str,
        config: Config, kinds: Mapping[str, Kind], owner: Owner,
    ) -> None:  # fmt: skip
        self.device, self.chance, self.trace, self.key = device, chance, trace, key
        self.kinds, self.owner = kinds, owner
        self.state = ladder(config)
        self.links: dict[str, Held] = {}
        self.count = 0
        self.dials = 0
        self.uses = 0
        self.last_heard = 0
        self.stopped = False
        self._waiting: deque[Event] = deque()
        self._busy = False
        self._wake: Timer | None = None
        trace.note("ladder", key, "ladder", (config,), None)

    def start(self) -> None:
        """Begins to climb and to beat."""
        self.feed(Start(tuple(self.kinds)))
        self._beat_later()

    def stop(self) -> None:
        """Ends every link."""
        self.stopped = True
        for held in self.links.values():
            if held.link is not None:
                held.link.close()
        self.links.clear()

    def network_changed(self) -> None:
        """The network is another one, or this device woke."""
        for held in list(self.links.values()):
            if held.up and held.link is not None:
                held.link.refresh()
        self.feed(NetworkChanged())
        for name, held in list(self.links.items()):
            if held.up:
                self._echo(name, "hurry", (), replace(held.echo, asked_at=-math.inf))
            self._beat_one(name)

    def called(self, name: str) -> bool:
        """The other end dials this rung; whether it is dialled here too."""
        count = self.count
        self.feed(Called(name))
        return self.count > count and name in self.links

    def feed(self, event: Event) -> None:
        """Takes an event in, after those that came before it."""
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        while self._waiting and not self.stopped:
            self._advance(self._waiting.popleft())
        self._busy = False

    def _advance(self, event: Event) -> None:
        before, now = self.state.active, self.device.now
        self.state, actions, wake = step(self.state, event, now)
        shown = {"allowed": self.state.allowed, "rungs": self.state.rungs, "active": self.state.active}
        out = {"actions": actions, "wake": wake, "state": shown}
        self.trace.note("ladder", self.key, "step", (event, now), out)
        for action in actions:
            self._perform(action, before)
        if self._wake is not None:
            self._wake.cancel()
        self._wake = self.device.after(max(10, wake - now), self._tick)

    def _tick(self) -> None:
        if not self.stopped:
            self.feed(Tick())

    def _perform(self, action: Action, before: str | None) -> None:
        match action:
            case Dial(rung=name):
                self._dial(name)
            case HangUp(rung=name):
                self._hang_up(name)
            case Use(rung=name):
                self.uses += 1
                for each, held in list(self.links.items()):
                    if held.up and held.link is not None:
                        held.link.activate(each == name)
                self.owner.use(name, before)

    def _dial(self, name: str) -> None:
        self._hang_up(name)
        self.count += 1
        self.dials += 1
        held = self.links[name] = Held(self.count, self.device.now)
        self._echo(name, "fresh", (self.device.now,), held.echo)

        def guarded(act: Callable[..., None]) -> Callable[..., None]:
            return lambda *args: (
                act(name, *args) if self.links.get(name) is held and not self.stopped else None
            )

        told = Told(
            guarded(self._opened), guarded(self._received), guarded(self._heard), guarded(self._ended)
        )
        link = self.kinds[name].dial(told)
        held.link = link

    def _hang_up(self, name: str) -> None:
        held = self.links.pop(name, None)
        if held is not None and held.link is not None:
            held.link.close()

    def _opened(self, name: str, welcome: Welcome | None) -> None:
        held = self.links[name]
        held.up = True
        self._echo(name, "fresh", (self.device.now,), echoes.fresh(self.device.now))
        self.owner.opened(name, welcome)
        self.feed(Opened(name))
        self._beat_one(name)

    def _received(self, name: str, frame: Frame) -> None:
        now, held = self.device.now, self.links[name]
        if isinstance(frame, Pong):
            self._echo(name, "answered", (frame.t, now), echoes.answered(held.echo, frame.t, now))
            self._sample(name)
        else:
            self._echo(name, "heard", (now,), echoes.heard(held.echo, now))
        self.owner.frame(name, frame)

    def _heard(self, name: str) -> None:
        now = self.device.now
        self._echo(name, "heard", (now,), echoes.heard(self.links[name].echo, now))

    def _ended(self, name: str, what: str, evidence: str) -> None:
        held = self.links.pop(name)
        self.last_heard = round(held.echo.heard_at)
        spread = self.chance.randrange(256) / 256
        self.feed(Closed(name, evidence, spread) if held.up else Failed(name, what, evidence, spread))

    def _beat_later(self) -> None:
        if not self.stopped:
            self.device.after(BEAT_MS, self._beat)

    def _beat(self) -> None:
        for name in list(self.links):
            self._beat_one(name)
        self._beat_later()

    def _beat_one(self, name: str) -> None:
        held = self.links.get(name)
        if held is None or not held.up or held.link is None or self.stopped:
            return
        kind = self.kinds[name]
        every = kind.active if name == self.state.active else kind.standby
        beaten = echoes.beat(held.echo, every, self.device.now)
        self._echo(name, "beat", (every, self.device.now), beaten.echo, beaten)
        counted = beaten.echo.asked is not None and beaten.echo.asked.counted
        if beaten.ask is None and counted:
            held.link.refresh()
        if beaten.dead:
            held.link.close()
            self._ended(name, "closed", "nothing came in for 4 s")
        elif beaten.ask is not None:
            held.link.send(Ping(beaten.ask))
        if counted:
            self._sample(name)

    def _sample(self, name: str) -> None:
        held = self.links.get(name)
        quality = None if held is None else echoes.quality_of(held.echo)
        if held is None or quality is None or self.device.now - held.sampled_at < SAMPLE_MS:
            return
        held.sampled_at = self.device.now
        self.feed(Sampled(name, is_good(quality)))

    def _echo(
        self, name: str, call: str, args: tuple[object, ...],
        echo: echoes.Echo, beaten: echoes.Beaten | None = None,
    ) -> None:  # fmt: skip
        held = self.links.get(name)
        if held is not None:
            held.echo = echo
            out = echo if beaten is None else beaten._asdict()
            self.trace.note("echo", f"{self.key} {name} {held.number}", call, args, out)

    def is_spare(self, name: str) -> bool:
        """Whether a better rung is in use: it tells what changes in order; another may tell what is older."""
        places = [rung.name for rung in self.state.rungs]
        return self.state.active is not None and places.index(self.state.active) < places.index(name)

    def current(self) -> Current | None:
        """The link in use and how much may be under way on it."""
        name = self.state.active
        held = None if name is None else self.links.get(name)
        if name is None or held is None or not held.up or held.link is None:
            return None
        return Current(held.number, held.link, self.kinds[name].window)

"""A world of browsers around one node: who is there, what befalls them, and what a judge watches."""

from random import Random

from msgspec.structs import replace

from egoat.lab.clock import Act, Clock
from egoat.lab.direct_rungs import Air
from egoat.lab.frames import Envelope, Who
from egoat.lab.judge import Judge
from egoat.lab.network import Access, Device, reaches_node
from egoat.lab.node import Node
from egoat.lab.page import Setting, Tab
from egoat.lab.trace import Trace

QUIET_MS = 200_000
"""How long nothing befalls anybody before the end is judged."""

LOOK_MS = 100


class Person:
    """One browser profile and its tab, if that is open."""

    def __init__(self, device: Device, guest: bool) -> None:
        self.device = device
        self.guest = guest
        self.tab: Tab | None = None
        self.kept: list[Envelope] = []
        self.visits = 0
        self.home = device.access

    @property
    def name(self) -> str:
        """What this browser is called."""
        return self.device.name

    @property
    def peer(self) -> str:
        """The id it speaks under."""
        return f"guest:{self.name}" if self.guest else self.name


class World:
    """Everything of one run; all chance comes from the seed."""

    def __init__(self, seed: str, relay: bool, keep_trace: bool) -> None:
        self.seed = seed
        self.clock = Clock()
        self.trace = Trace(keep_trace)
        self.node = Node(self.clock)
        self.air = Air(self.chance("air"), relay)
        self.people: dict[str, Person] = {}
        self.story: list[str] = []
        self.judge = Judge(self)
        self._look()

    def chance(self, name: str) -> Random:
        """A source of chance of its own, so that one part's draws do not change another's."""
        return Random(f"{self.seed} {name}")

    def add(self, name: str, access: Access, skew: int = 0, guest: bool = False) -> Person:
        """One more browser, its tab still closed."""
        person = self.people[name] = Person(Device(self.clock, name, access, skew), guest)
        return person

    def tell(self, text: str) -> None:
        """One line of the run's story."""
        self.story.append(f"{self.clock.now / 1000:9.3f}  {text}")

    def open(self, name: str) -> None:
        """A tab is opened; what an earlier one could not send waits in it."""
        person = self.people[name]
        if person.tab is not None or person.device.asleep:
            return
        person.visits += 1
        who = Who(person.peer, f"{name}{person.visits}")
        chance = self.chance(f"{name} {person.visits}")
        tab = Tab(
            Setting(
                person.device,
                self.node,
                self.air,
                self.trace,
                chance,
                who,
                not person.guest,
                self._awake,
                lambda envelope, older: self.judge.shown(person, envelope, older),
                lambda peer, rung, before: self.judge.used(person, peer, rung, before),
            )
        )
        person.tab = tab

        def start() -> None:
            tab.start()
            for envelope in person.kept:
                tab.adopt(envelope)
            person.kept = []

        self.change(person, f"{name} opens the room", start, told=True)

    def shut(self, name: str) -> None:
        """The tab is closed; what is not yet acked stays in the browser."""
        person = self.people[name]

        def close() -> None:
            if person.tab is not None:
                self.judge.closing(person, person.tab)
                person.kept, person.tab = person.tab.close(), None

        self.change(person, f"{name} closes the tab", close)

    def say(self, name: str) -> None:
        """Somebody awake says something."""
        person = self.people[name]
        if person.tab is not None and not person.device.asleep:
            envelope = person.tab.say(f"{name} at {self.clock.now}")
            self.judge.said(person, envelope)

    def sleep(self, name: str) -> None:
        """A device is shut: nothing happens on it."""
        person = self.people[name]
        self.change(person, f"{name} sleeps", person.device.sleep)

    def wake(self, name: str) -> None:
        """A device is opened again."""
        person = self.people[name]
        if not person.device.asleep:
            return

        def wake() -> None:
            person.device.wake()
            if person.tab is not None:
                person.tab.wake()

        self.change(person, f"{name} wakes", wake, told=True)

    def connect(self, name: str, access: Access, moved: bool = True) -> None:
        """A device is on another network; `moved`: with another address, of which its page is told."""
        person = self.people[name]

        def act() -> None:
            person.device.access = access
            if moved:
                person.device.move()
                if person.tab is not None:
                    person.device.do(person.tab.wake)

        self.change(person, f"{name} is now on {_words(access)}{', moved' if moved else ''}", act, told=moved)

    def cut(self, name: str) -> None:
        """Packets of this device no longer come to the node, and nothing says so."""
        self.connect(name, replace(self.people[name].device.access, node=False), moved=False)

    def mend(self, name: str) -> None:
        """They do again."""
        self.connect(name, replace(self.people[name].device.access, node=True), moved=False)

    def stop_node(self) -> None:
        """The node's services go down."""
        self.change(None, "the node stops", self.node.stop)

    def start_node(self) -> None:
        """The node's services are there again, with their log."""
        self.change(None, "the node starts", self.node.start)

    def heal(self) -> None:
        """Everything that befell somebody is over, and lines lose nothing; closed tabs stay closed."""
        if not self.node.up:
            self.start_node()
        for name, person in self.people.items():
            self.wake(name)
            access = replace(person.device.access, node=True, online=True, loss=0.0)
            if access != person.device.access:
                self.connect(name, access, moved=False)

    def scroll(self) -> None:
        """Everybody reads on upwards, a page at a time."""
        for person in self.people.values():
            if person.tab is not None:
                person.tab.older()

    def change(self, person: Person | None, text: str, act: Act, told: bool = False) -> None:
        """Something befalls one device, or the node; `told`: the page is told of it."""
        self.tell(text)
        self.judge.before(self.people.values())
        act()
        self.judge.after(person, told)

    def works(self, person: Person) -> bool:
        """Whether this page is awake and has a way to the node."""
        there = person.tab is not None and not person.device.asleep
        return there and self.node.up and reaches_node(person.device)

    def _look(self) -> None:
        self.judge.look()
        self.clock.after(LOOK_MS, self._look)

    def _awake(self, who: Who) -> bool:
        person = self.people[who.peer.removeprefix("guest:")]
        return not person.device.asleep and person.tab is not None and person.tab.who == who


def _words(access: Access) -> str:
    words = [f"a {access.nat} network" if access.online else "no network"]
    words += [] if access.udp else ["without UDP"]
    words += [] if access.websocket else ["without WebSocket"]
    words += [] if access.node else ["cut off from the node"]
    words += [] if access.idle_cut is None else [f"connections cut after {access.idle_cut} ms of quiet"]
    words += [f"loss {access.loss:.0%}"] if access.loss else []
    return ", ".join(words)

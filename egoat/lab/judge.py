"""Watches a run and says at its end what held and what did not.

What is promised: nothing is lost or shown twice, the author's order holds, all see the same; a page that
is awake leaves a dead rung within 5 s, and while it has a way to the node its messages are seen within
10 s of being said, or of the last thing that befell either end; better rungs are taken again; no flapping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from egoat.lab.driver import Driver
from egoat.lab.frames import Envelope, Who
from egoat.lab.network import pairs
from services.transport.ladder.state import find, is_tainted

if TYPE_CHECKING:
    from egoat.lab.page import Tab
    from egoat.lab.world import Person, World

NOTICED_MS = 5_000
SEEN_MS = 10_000
RECOVERY_MS = 85_000
"""After a time without any way, of whose end nobody tells the page: the longest rest, a dial, and some."""

USES_AT_FIRST = 8
USES_PER_CHANGE = 4
SHORTEST_IDLE_MS = 6_000
"""A proxy that cuts sooner than an echo keeps a socket busy leaves no socket to use."""

Mark = tuple[str, Who | None]


class Figures(msgspec.Struct):
    """What a run came to; times are milliseconds."""

    said: int = 0
    logged: int = 0
    kept: int = 0
    shown: int = 0
    changes: int = 0
    uses: int = 0
    dials: int = 0
    noticed: int = 0
    slowest_noticed: int = 0
    slowest_seen: int = 0
    events: int = 0


class Judge:
    """What the world tells while it runs, and the verdict."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.figures = Figures()
        self.faults: list[str] = []
        self._said: dict[str, tuple[int, Person, Envelope]] = {}
        self._seen: set[tuple[str, str]] = set()
        self._steady: dict[str, int] = {}
        self._worked: dict[str, bool] = {}
        self._dead: dict[Mark, int] = {}
        self._befell: Counter[str] = Counter()

    def said(self, person: Person, envelope: Envelope) -> None:
        """Somebody said something."""
        self.figures.said += 1
        self._said[envelope.id] = (self.world.clock.now, person, envelope)

    def shown(self, person: Person, envelope: Envelope, older: bool) -> None:
        """A page shows a message; told again for every copy. `older`: it was asked for as history."""
        key = (person.name, envelope.id)
        if key in self._seen or envelope.id not in self._said:
            return
        self._seen.add(key)
        self.figures.shown += 1
        said_at, author, _ = self._said[envelope.id]
        if older or author.tab is None or author.tab.who.session != envelope.stream:
            return
        if not (self.world.works(author) and self.world.works(person)):
            return
        since = max(said_at, self._steady.get(author.name, 0), self._steady.get(person.name, 0))
        took = self.world.clock.now - since
        self.figures.slowest_seen = max(self.figures.slowest_seen, took)
        if took > SEEN_MS:
            self._blame(f"{person.name} saw {envelope.id} of {author.name} {took} ms after it could have")

    def used(self, person: Person, peer: Who | None, rung: str | None, before: str | None) -> None:
        """A page uses another link, to its node or to a peer."""
        self.world.tell(
            f"{person.name} > {peer.session if peer else 'node'}: {before or 'none'} -> {rung or 'none'}"
        )
        since = self._dead.pop((person.name, peer), None)
        if since is not None and person.tab is not None:
            driver = person.tab.driver if peer is None else person.tab.peers.held[peer].driver
            self._noticed(person, peer, self.world.clock.now - max(since, driver.last_heard))

    def look(self) -> None:
        """A link that was dead may live again by itself: asked from time to time."""
        for name in {name for name, _ in self._dead}:
            self._mark(self.world.people[name])

    def before(self, people: Iterable[Person]) -> None:
        """Something is about to befall somebody."""
        self.figures.changes += 1
        self._worked = {person.name: self.world.works(person) for person in people}

    def after(self, person: Person | None, told: bool) -> None:
        """It has; `told`: the page of `person` was told."""
        now = self.world.clock.now
        for each in self.world.people.values():
            mine = person is None or person is each
            self._befell[each.name] += 1
            if not self._worked.get(each.name, False) and self.world.works(each):
                self._steady[each.name] = now + (0 if mine and told else RECOVERY_MS)
            elif mine:
                self._steady[each.name] = max(now, self._steady.get(each.name, 0))
            self._mark(each)

    def closing(self, person: Person, tab: Tab) -> None:
        """A tab is about to close: its ladders are counted."""
        for peer, driver in _drivers(tab):
            self._count(person, driver)
            self._dead.pop((person.name, peer), None)

    def end(self) -> None:
        """The verdict over the last state of everything."""
        present = [person for person in self.world.people.values() if person.tab is not None]
        self.figures.events = self.world.clock.done
        self.figures.logged = len(self.world.node.log)
        self._nothing_lost(present)
        for person in present:
            self._right_lines(person)
            self._right_rungs(person, present)
        for (name, peer), since in self._dead.items():
            if self.world.clock.now - since > NOTICED_MS:
                self._blame(f"{name} still uses a dead link to {peer or 'the node'}, since {since}")

    def _nothing_lost(self, present: list[Person]) -> None:
        logged = Counter((row.envelope.sender, row.envelope.id) for row in self.world.node.log)
        kept = {held.id for person in self.world.people.values() for held in person.kept}
        held = {line.id for person in present if person.tab for line in person.tab.timeline.lines}
        for message_id, (_, author, envelope) in self._said.items():
            times = logged[envelope.sender, message_id]
            waits = author.tab is None and message_id in kept
            self.figures.kept += waits and not times
            if times > 1:
                self._blame(f"{message_id} is in the log {times} times")
            elif times == 0 and not waits:
                self._blame(f"{message_id} of {author.name} is lost")
            elif times == 0 and message_id in held and envelope.signed:
                self._blame(f"{message_id} is shown to others and never came to the log")

    def _right_lines(self, person: Person) -> None:
        """This page shows the log, in the order of (hlc, sender, id), and every author's in the order said."""
        assert person.tab is not None
        lines = person.tab.timeline.lines
        want = sorted((row.envelope.hlc, row.envelope.sender, row.envelope.id) for row in self.world.node.log)
        waiting = self._waiting()
        have = [(line.hlc, line.sender, line.id) for line in lines if line.id not in waiting]
        if have != want:
            missing, more = set(want) - set(have), Counter(have) - Counter(want)
            self._blame(
                f"{person.name} lacks {sorted(missing)[:5]} and has {sorted(more)[:5]} beyond the log"
            )
        states = Counter(line.state for line in lines if line.id not in waiting)
        if set(states) - {"node"}:
            self._blame(f"{person.name} shows {dict(states)}")
        place = {message_id: index for index, message_id in enumerate(self._said)}
        by_author: dict[str, list[int]] = {}
        for line in lines:
            by_author.setdefault(self._said[line.id][2].stream, []).append(place[line.id])
        for stream, places in by_author.items():
            if places != sorted(places):
                self._blame(f"{person.name} shows what {stream} said in another order")

    def _waiting(self) -> set[str]:
        """What only its author may bring to the log, and the author's tab is closed."""
        logged = {row.envelope.id for row in self.world.node.log}
        kept = [held for person in self.world.people.values() for held in person.kept]
        return {held.id for held in kept if not held.signed} - logged

    def _right_rungs(self, person: Person, present: list[Person]) -> None:
        assert person.tab is not None
        access = person.device.access
        socket = access.websocket and (access.idle_cut is None or access.idle_cut >= SHORTEST_IDLE_MS)
        wanted: dict[Who | None, str | None] = {None: "websocket-direct" if socket else "http-polling"}
        for other in present:
            if other.tab is not None and other is not person:
                meet = (pairs(person.device, other.device, rung, self.world.air.relay) for rung in DIRECT)
                wanted[other.tab.who] = next(
                    (rung for rung, can in zip(DIRECT, meet, strict=True) if can), None
                )
        drivers = _drivers(person.tab)
        found = {peer: _taken(driver, wanted.get(peer)) for peer, driver in drivers}
        if found != wanted and not (set(found) == set(wanted) and not socket and _same_direct(found, wanted)):
            self._blame(f"{person.name} ends on {_rungs(found)}, not on {_rungs(wanted)}")
        for _, driver in drivers:
            self._count(person, driver)

    def _count(self, person: Person, driver: Driver) -> None:
        self.figures.uses += driver.uses
        self.figures.dials += driver.dials
        if driver.uses > USES_AT_FIRST + USES_PER_CHANGE * self._befell[person.name]:
            self._blame(f"{driver.key} changed its rung {driver.uses} times")

    def _mark(self, person: Person) -> None:
        """Notes since when links in use are dead, as far as somebody awake could notice."""
        now = self.world.clock.now
        for peer, driver in [] if person.tab is None else _drivers(person.tab):
            current, mark = driver.current(), (person.name, peer)
            if person.device.asleep or current is None or current.link.lives():
                since = self._dead.pop(mark, now)
                if not person.device.asleep and now - since > NOTICED_MS:
                    self._noticed(person, peer, now - since)
            else:
                self._dead.setdefault(mark, now)

    def _noticed(self, person: Person, peer: Who | None, took: int) -> None:
        self.figures.noticed += 1
        self.figures.slowest_noticed = max(self.figures.slowest_noticed, took)
        if took > NOTICED_MS:
            self._blame(
                f"{person.name} left a dead link to {peer.session if peer else 'the node'} after {took} ms"
            )

    def _blame(self, text: str) -> None:
        self.world.tell(f"WRONG: {text}")
        self.faults.append(f"at {self.world.clock.now / 1000:.3f} s: {text}")


DIRECT = ("webrtc-stun", "webrtc-turn")


def _drivers(tab: Tab) -> list[tuple[Who | None, Driver]]:
    return [(None, tab.driver), *((who, peer.driver) for who, peer in tab.peers.held.items())]


def _taken(driver: Driver, wanted: str | None) -> str | None:
    """The rung in use; the wanted one also when it is up and only its measured quality speaks against it."""
    rung = None if wanted is None else find(driver.state, wanted)
    return driver.state.active if rung is None or not is_tainted(rung) else wanted


def _same_direct(found: dict[Who | None, str | None], wanted: dict[Who | None, str | None]) -> bool:
    return all(found[peer] == rung for peer, rung in wanted.items() if peer is not None)


def _rungs(rungs: dict[Who | None, str | None]) -> str:
    return ", ".join(f"{peer.session if peer else 'node'} {rung}" for peer, rung in rungs.items())

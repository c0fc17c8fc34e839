"""What breaks while two people talk, and how soon their pages notice and go on; nothing said is lost or shown twice."""

import signal
import time
from dataclasses import dataclass

import pytest

from tests.browser.room import a_room
from tests.natlab.conftest import Office
from tests.natlab.figures import Figures
from tests.natlab.lab import NODE, Rules
from tests.natlab.people import Person, Place, until

PAUSE_MS = 400
STUN, TURN, SOCKET = "webrtc-stun", "webrtc-turn", "websocket-direct"
NO_UDP_NOW = "-A FORWARD -p udp -j DROP"

NOTICED_S, WORKS_S = 5.0, 10.0
"""Promised."""

LOOKING_S = 1.0
"""What a busy machine may add."""

AGAIN_S = 70
"""The longest rest of a rung, and a dial."""


@dataclass
class Talk:
    """Two people in a room who speak five times in two seconds. Times are milliseconds since the epoch."""

    people: tuple[Person, Person]
    room: str
    count: int = 0

    def start(self, seconds: float) -> None:
        """Both begin."""
        self.count = int(seconds * 1000 / PAUSE_MS)
        for person in self.people:
            person.start_saying(self.words(person), PAUSE_MS)

    def words(self, person: Person) -> list[str]:
        """What somebody says."""
        return [f"{person.name} says {number:03d}" for number in range(self.count)]

    def settle(self, within: float) -> None:
        """Waits until everybody has everything: each thing once, in one order for all, in each author's own order."""
        ann, bob = self.people
        everything = sorted([*self.words(ann), *self.words(bob), "first of Ann", "first of Bob"])

        def settled() -> bool:
            return all(len(person.heard("")) >= len(everything) for person in self.people)

        until(settled, within, lambda: [(each.name, len(each.heard("")), each.path) for each in self.people])
        until(lambda: ann.shown() == bob.shown(), WORKS_S, lambda: (ann.shown(), bob.shown()))
        until(
            lambda: sorted(ann.history(self.room)) == everything,
            WORKS_S,
            lambda: sorted(ann.history(self.room)),
        )
        for author in self.people:
            shown = [text for text in ann.shown() if text.startswith(f"{author.name} says")]
            assert shown == self.words(author)[-len(shown) :]
        for person in self.people:
            assert sorted(person.heard("")) == everything

    def slowest(self, since: float, able: float) -> tuple[float, float]:
        """The longest way to Ann and to Bob of what was said after `since`, counted from `able` at least."""
        ann, bob = (person.diary() for person in self.people)
        found = [
            [to["texts"][text] - max(at, able) for text, at in by["said"].items() if at >= since]
            for by, to in ((bob, ann), (ann, bob))
        ]
        return max([0.0, *found[0]]) / 1000, max([0.0, *found[1]]) / 1000


def talking(people: tuple[Person, Person], rung: str = STUN, place: Place | None = None) -> Talk:
    """Both in a room, on this path, quiet."""
    room = a_room()
    for person in people:
        person.enter(room, place or Place(), f"first of {person.name}")
    for person in people:
        person.reached(rung, 20)
    until(
        lambda: all(len(each.heard("")) == 2 for each in people),
        20,
        lambda: [each.diary() for each in people],
    )
    return Talk(people, room)


def left(person: Person, rung: str, since: float, ladder: str = "paths") -> float:
    """Seconds until the page used another path than this one."""
    return (
        min(at for at, path in person.diary()[ladder] if at >= since and path != rung) / 1000 - since / 1000
    )


def taken(person: Person, rung: str, since: float) -> float:
    """Seconds until the page used this path again."""
    return (
        min(at for at, path in person.diary()["paths"] if at >= since and path == rung) / 1000 - since / 1000
    )


def now() -> float:
    """Milliseconds since the epoch, as the pages count them."""
    return time.time() * 1000


@pytest.mark.parametrize(("rung", "rules"), [(STUN, Rules()), (TURN, Rules(symmetric=True))])
def test_udp_is_dropped_while_people_talk(
    people: tuple[Person, Person], figures: Figures, rung: str, rules: Rules
) -> None:
    for person in people:
        person.home.set(rules)
    talk = talking(people, rung)
    talk.start(12)
    time.sleep(1)
    cut = now()
    people[0].home.cut(NO_UDP_NOW)
    time.sleep(8)
    healed = now()
    people[0].home.cut()
    talk.settle(30)
    noticed = [left(person, rung, cut) for person in people]
    for person in people:
        person.reached(rung, AGAIN_S)
    slowest = talk.slowest(cut, cut)
    # A relayed link comes back over TCP while UDP is still dropped.
    since = healed if rung == STUN else cut
    again = [taken(person, rung, since) for person in people]
    figures.outage(f"UDP dropped for 8 s under {rung}", noticed, slowest, again)
    assert max(noticed) < NOTICED_S + LOOKING_S
    assert max(slowest) < WORKS_S


def test_a_cable_is_out_for_fifteen_seconds(people: tuple[Person, Person], figures: Figures) -> None:
    talk = talking(people)
    talk.start(18)
    time.sleep(1)
    cut = now()
    people[0].home.cable(False)
    time.sleep(15)
    healed = now()
    people[0].home.cable(True)
    talk.settle(40)
    for person in people:
        person.reached(STUN, AGAIN_S)
    noticed, slowest = [left(person, STUN, cut) for person in people], talk.slowest(cut, healed)
    figures.outage("cable out for 15 s", noticed, slowest, [taken(person, STUN, healed) for person in people])
    assert max(noticed) < NOTICED_S + LOOKING_S
    assert max(slowest) < WORKS_S


def test_another_address_in_the_middle_of_a_talk(people: tuple[Person, Person], figures: Figures) -> None:
    talk = talking(people)
    talk.start(12)
    time.sleep(1)
    cut = now()
    people[0].home.move()
    talk.settle(40)
    for person in people:
        person.reached(STUN, AGAIN_S)
    noticed, slowest = [left(person, STUN, cut) for person in people], talk.slowest(cut, cut)
    figures.outage("another address", noticed, slowest, [taken(person, STUN, cut) for person in people])
    assert max(noticed) < NOTICED_S + LOOKING_S
    assert max(slowest) < WORKS_S


def test_a_browser_sleeps_for_twenty_seconds(people: tuple[Person, Person], figures: Figures) -> None:
    ann, bob = people
    talk = talking(people)
    talk.start(10)
    time.sleep(1)
    cut = now()
    ann.home.host.signal(signal.SIGSTOP)
    try:
        time.sleep(20)
    finally:
        healed = now()
        ann.home.host.signal(signal.SIGCONT)
    talk.settle(40)
    for person in people:
        person.reached(STUN, AGAIN_S)
    noticed, slowest = [left(bob, STUN, cut)], talk.slowest(cut, healed)
    figures.outage(
        "browser stopped for 20 s", noticed, slowest, [taken(person, STUN, healed) for person in people]
    )
    assert max(noticed) < NOTICED_S + LOOKING_S
    assert max(slowest) < WORKS_S


@pytest.mark.parametrize("word", ["cut", "idle 1"])
def test_a_proxy_kills_the_sockets(
    people: tuple[Person, Person], office: Office, figures: Figures, word: str
) -> None:
    office.tell("pass")
    office.tell("idle 0")
    for person in people:
        person.home.set(Rules(udp=False, tcp=(80,)))
    talk = talking(people, SOCKET, Place(base=f"http://{NODE}"))
    try:
        if word == "cut":
            talk.start(8)
            time.sleep(1)
        cut = now()
        office.tell(word)
        until(lambda: all(len(each.diary()["node"]) > 2 for each in people), 20, people[0].diary)
        if word != "cut":  # while somebody speaks no socket is idle
            talk.start(8)
        talk.settle(30)
    finally:
        office.tell("idle 0")
    noticed, slowest = [left(person, SOCKET, cut, "node") for person in people], talk.slowest(cut, cut)
    for person in people:
        person.reached(SOCKET, AGAIN_S)
    figures.outage(
        f"a proxy kills sockets ({word})", noticed, slowest, [taken(person, SOCKET, cut) for person in people]
    )
    assert max(slowest) < WORKS_S

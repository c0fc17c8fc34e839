"""Which path wins behind which routers, what it costs, and that everything said arrives once and in order."""

from dataclasses import dataclass, field

import pytest

from tests.browser.room import a_room
from tests.natlab.conftest import Office
from tests.natlab.coturn import Counters
from tests.natlab.figures import Figures, measured
from tests.natlab.lab import NODE, Rules
from tests.natlab.people import Person, Place, until

WORDS = 100
PAUSE_MS = 20

CONE, SYMMETRIC = Rules(), Rules(symmetric=True)
NO_UDP = Rules(udp=False)
WEB_SOCKETS = Rules(udp=False, deny=(3478,))
NO_PORT = Rules(deny=(9000,))
PORT_80 = Rules(udp=False, tcp=(80,))
PROXIED = Rules(udp=False, tcp=(3128,))

OPEN = Place()
REVERSE = Place(base=f"http://{NODE}")
FORWARD = Place(proxy=f"http://{NODE}:3128")

STUN, TURN, SOCKET, POLLING = "webrtc-stun", "webrtc-turn", "websocket-direct", "http-polling"
BOTH_SYMMETRIC = ("This device is behind a symmetric NAT", "Both sides are behind symmetric NAT")


@dataclass(frozen=True)
class Case:
    """Routers and proxies, and what is expected behind them."""

    name: str
    ann: Rules
    bob: Rules
    rung: str
    ways: tuple[str, str] = ("udp", "udp")
    places: tuple[Place, Place] = (OPEN, OPEN)
    why: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()))


CASES = [
    Case("cone / cone", CONE, CONE, STUN),
    Case(
        "cone / symmetric", CONE, SYMMETRIC, TURN,
        why=(
            ("This device knows its public address", "Bob’s device is behind a symmetric NAT", "One side"),
            ("This device is behind a symmetric NAT", "Ann’s device knows its public address", "One side"),
        ),
    ),
    Case("symmetric / symmetric", SYMMETRIC, SYMMETRIC, TURN, why=(BOTH_SYMMETRIC, BOTH_SYMMETRIC)),
    Case(
        "cone / no UDP", CONE, NO_UDP, TURN, ("udp", "tcp"),
        why=(("Bob’s device learnt no public address", "let UDP out"), ("This device learnt no public address",)),
    ),
    Case("no UDP / no UDP", NO_UDP, NO_UDP, TURN, ("tcp", "tcp")),
    Case("no UDP, no TURN port, both", WEB_SOCKETS, WEB_SOCKETS, SOCKET),
    Case("cone, WebSocket stripped, both", NO_PORT, NO_PORT, STUN, places=(REVERSE, REVERSE)),
    Case("port 80 alone, WebSocket stripped, both", PORT_80, PORT_80, POLLING, places=(REVERSE, REVERSE)),
    Case("web proxy alone, both", PROXIED, PROXIED, POLLING, places=(FORWARD, FORWARD)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_path_that_wins(
    case: Case, people: tuple[Person, Person], office: Office, counters: Counters, figures: Figures
) -> None:
    ann, bob = people
    office.tell("strip")
    room = a_room()
    for person, rules, place in zip(people, (case.ann, case.bob), case.places, strict=True):
        person.home.set(rules)
        person.enter(room, place, f"first of {person.name}")
    for person in people:
        person.reached(case.rung, 20)
    before = [person.channel()["received"] for person in people]
    seconds = talk(people)
    for person, way, had in zip(people, case.ways, before, strict=True):
        checked(case, person, way, had)
    until(lambda: ann.shown() == bob.shown(), 10, lambda: (ann.shown(), bob.shown()))
    log = ann.history(room)
    assert sorted(log) == sorted(ann.heard("")) == sorted(bob.heard(""))
    for person, words in zip(people, case.why, strict=True):
        said(person, words)
    figures.add(measured(case.name, people, seconds))
    relayed = counters.during(lambda: [person.part() for person in people], 2 * (case.rung == TURN))
    if case.rung == TURN:
        assert len(relayed) == 2, relayed
        assert sorted(each.way for each in relayed) == sorted(case.ways)


def talk(people: tuple[Person, Person]) -> float:
    """Both say a hundred things at once; seconds until everybody has everything, each once and in order."""
    said = {person.name: [f"{person.name} says {number:03d}" for number in range(WORDS)] for person in people}
    for person in people:
        person.start_saying(said[person.name], PAUSE_MS)

    def everything() -> bool:
        return all(len(person.heard(f"{name} says")) >= WORDS for person in people for name in said)

    took = until(everything, 40, lambda: [len(person.heard("")) for person in people])
    for person in people:
        for name, words in said.items():
            assert person.heard(f"{name} says") == words, (person.name, name)
    return took


def checked(case: Case, person: Person, way: str, before: int) -> None:
    """What the browser itself counted agrees with what the page says."""
    found, copies = person.channel(), person.copies()
    if not case.rung.startswith("webrtc-"):
        assert found["open"] == 0, found
        # Where one's own ack shows that a number is missing, the log is read at once.
        assert set(copies) <= {case.rung, "history"}, copies
        return
    # Beside the direct copy comes the node's, and in a busy page it may be looked at first.
    assert copies[case.rung] >= WORDS * 0.7, (person.name, copies)
    assert found["received"] - before >= WORDS, found
    pairs = [tuple(pair) for pair in found["pairs"]]
    if case.rung == TURN:
        assert ("relay", "relay", way) in pairs, pairs
    else:
        assert any(pair[0] != "relay" and pair[2] == "udp" for pair in pairs), pairs


def said(person: Person, words: tuple[str, ...]) -> None:
    """Waits until the page gives these reasons."""
    other = "Bob" if person.name == "Ann" else "Ann"
    if words:
        until(lambda: all(each in person.why(other) for each in words), 25, lambda: person.why(other))

"""The laboratory's links: ordered while they live, silent when their path is gone; and which pairs can meet."""

from random import Random

import pytest

from egoat.lab.clock import Clock
from egoat.lab.network import Access, Device, Flow, Path, pairs, reaches_node

STUN, TURN = "webrtc-stun", "webrtc-turn"


class Line:
    """A flow between two devices, and what came out of it."""

    def __init__(self, access: Access) -> None:
        self.clock = Clock()
        self.passes = True
        self.came: list[tuple[int, str]] = []
        self.ended = 0
        path = Path(Random(1), Device(self.clock, "ann", access))
        self.flow: Flow[str] = Flow(self.clock, path, lambda: self.passes)
        self.flow.attach(1, lambda word: self.came.append((self.clock.now, word)), self._end)

    def _end(self) -> None:
        self.ended += 1

    @property
    def words(self) -> str:
        return "".join(word for _, word in self.came)


def test_everything_arrives_in_order_however_the_line_shakes() -> None:
    line = Line(Access(delay=10, jitter=300, loss=0.2))
    for word in "abcdefgh":
        line.flow.send(0, word)
        line.clock.run(line.clock.now + 5)
    line.clock.run(20_000)
    assert line.words == "abcdefgh"
    assert line.came[0][0] >= 10


def test_what_cannot_pass_waits_and_comes_in_order_when_it_can() -> None:
    line = Line(Access(delay=10, jitter=0))
    line.flow.send(0, "a")
    line.clock.run(20)
    line.passes = False
    for word in "bc":
        line.flow.send(0, word)
    line.clock.run(5_000)
    assert (line.words, line.flow.lives()) == ("a", False)
    line.passes = True
    line.flow.send(0, "d")
    line.clock.run(15_000)
    assert line.words == "abcd"


def test_a_path_that_is_gone_for_good_is_given_up() -> None:
    line = Line(Access())
    line.passes = False
    line.flow.send(0, "a")
    line.clock.run(1_000_000)
    line.passes = True
    line.clock.run(2_000_000)
    assert line.words == ""


def test_an_end_that_closes_hears_nothing_and_the_other_is_told_once() -> None:
    line = Line(Access(delay=10, jitter=0))
    line.flow.attach(0, lambda word: pytest.fail(word), lambda: pytest.fail("told itself"))
    line.flow.send(0, "a")
    line.flow.send(1, "too late")
    line.flow.close(0)
    line.clock.run(1_000)
    assert (line.words, line.ended, line.flow.lives()) == ("a", 1, False)


def test_a_proxy_drops_what_was_quiet_without_a_word() -> None:
    line = Line(Access(delay=1, jitter=0, idle_cut=1_000))
    line.flow.send(0, "a")
    line.clock.run(1_000)
    line.flow.send(0, "b")
    line.clock.run(2_500)
    line.flow.send(0, "c")
    line.clock.run(60_000)
    assert (line.words, line.ended, line.flow.lives()) == ("ab", 0, False)


@pytest.mark.parametrize(
    ("here", "there", "rung", "relay", "meet"),
    [
        (Access(nat="cone"), Access(nat="cone"), STUN, True, True),
        (Access(nat="cone"), Access(nat="symmetric"), STUN, True, True),
        (Access(nat="open"), Access(nat="symmetric"), STUN, True, True),
        (Access(nat="symmetric"), Access(nat="symmetric"), STUN, True, False),
        (Access(nat="symmetric"), Access(nat="symmetric"), TURN, True, True),
        (Access(nat="symmetric"), Access(nat="symmetric"), TURN, False, False),
        (Access(), Access(udp=False), STUN, True, False),
        (Access(udp=False), Access(udp=False), TURN, True, True),
        (Access(), Access(online=False), TURN, True, False),
        (Access(), Access(node=False), TURN, True, False),
        (Access(), Access(node=False), STUN, True, True),
    ],
)
def test_which_pairs_meet(here: Access, there: Access, rung: str, relay: bool, meet: bool) -> None:
    clock = Clock()
    one, other = Device(clock, "ann", here), Device(clock, "ben", there)
    assert pairs(one, other, rung, relay) is pairs(other, one, rung, relay) is meet


def test_who_reaches_the_node() -> None:
    accesses = (Access(), Access(node=False), Access(online=False))
    assert [reaches_node(Device(Clock(), "ann", access)) for access in accesses] == [True, False, False]

"""What can befall a room in the laboratory, by name: who is there, and a script of what happens when."""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from egoat.lab.network import Access
from egoat.lab.world import World

SECOND = 1_000
OPEN = Access(nat="open")
CONE = Access(nat="cone")
SYMMETRIC = Access(nat="symmetric")
NO_UDP = Access(nat="cone", udp=False)
STRIPPED = Access(nat="cone", websocket=False)
POOR = Access(nat="cone", delay=120, jitter=80, loss=0.05)


class Scenario(NamedTuple):
    """What happens to whom.

    `seconds` is how long people talk while things happen; then all heals, and quiet shows what is left.
    People come within the first `arrive` seconds. `skews`: how far a device's clock is off, in
    milliseconds. `relay` is whether the node has one. What `guests` say only they may bring to the log.
    """

    text: str
    people: Mapping[str, Access]
    script: Callable[[World], None]
    seconds: int = 60
    arrive: int = 0
    relay: bool = True
    skews: Mapping[str, int] = {}
    guests: tuple[str, ...] = ()


def _nothing(_world: World) -> None:
    """Nothing befalls anybody."""


def _at(world: World, second: float, act: Callable[[], object]) -> None:
    world.clock.after(round(second * SECOND), act)


def _sleep(world: World) -> None:
    _at(world, 12, lambda: world.sleep("ben"))
    _at(world, 40, lambda: world.wake("ben"))
    _at(world, 50, lambda: world.sleep("ann"))
    _at(world, 53, lambda: world.wake("ann"))
    _at(world, 60, lambda: world.sleep("cat"))
    _at(world, 150, lambda: world.wake("cat"))


def _network_change(world: World) -> None:
    _at(world, 15, lambda: world.connect("ann", SYMMETRIC))
    _at(world, 30, lambda: world.connect("ben", NO_UDP))
    _at(world, 45, lambda: world.connect("ben", replace(CONE, online=False)))
    _at(world, 52, lambda: world.connect("ben", POOR))
    _at(world, 60, lambda: world.connect("ann", CONE))


def _silent_cut(world: World) -> None:
    _at(world, 12, lambda: world.connect("ann", replace(CONE, udp=False), moved=False))
    _at(world, 20, lambda: world.connect("ann", CONE, moved=False))
    _at(world, 30, lambda: world.cut("ben"))
    _at(world, 50, lambda: world.mend("ben"))


def _node_restarts(world: World) -> None:
    for second in (10, 20, 40):
        _at(world, second, world.stop_node)
        _at(world, second + world.chance("restarts").choice((1, 4, 9)), world.start_node)


def _closes_after_direct_send(world: World) -> None:
    """Ann cannot reach the node, says something to those in direct reach, and is gone for good."""
    _at(world, 20, lambda: world.cut("ann"))
    for second in (21, 22, 23):
        _at(world, second, lambda: world.say("ann"))
    _at(world, 23.5, lambda: world.shut("ann"))


def _ahead(world: World) -> None:
    """The node is away when people begin to talk, each by a clock of their own."""
    world.stop_node()
    _at(world, 20, world.start_node)


def _random(world: World) -> None:
    chance = world.chance("script")
    second = 5.0
    while second < 110:
        _at(world, second, lambda: _befall(world, chance))
        second += chance.choice((0.3, 2, 5, 12))


def _befall(world: World, chance: Random) -> None:
    """One thing of everything that can happen; repairs are as likely as harm."""
    name = chance.choice(sorted(world.people))
    draw = chance.randrange(10)
    if draw == 0:
        world.stop_node() if world.node.up else world.start_node()
    elif draw == 1 and not world.node.up:
        world.start_node()
    elif draw == 2:
        world.cut(name) if world.people[name].device.access.node else world.mend(name)
    elif draw == 3:
        world.wake(name) if world.people[name].device.asleep else world.sleep(name)
    elif draw == 4:
        world.shut(name) if world.people[name].tab else world.open(name)
    elif draw == 5:
        world.wake(name)
    elif draw == 6:
        world.open(name)
    else:
        world.connect(name, _access(chance), moved=chance.random() < 0.6)


def _access(chance: Random) -> Access:
    return Access(
        nat=chance.choice(("open", "cone", "cone", "symmetric")),
        udp=chance.random() < 0.75,
        websocket=chance.random() < 0.75,
        online=chance.random() < 0.9,
        node=chance.random() < 0.9,
        delay=chance.choice((5, 20, 60, 150)),
        jitter=chance.choice((0, 10, 60)),
        loss=chance.choice((0, 0, 0.01, 0.05)),
    )


FOUR = {"ann": CONE, "ben": SYMMETRIC, "cat": OPEN, "dan": NO_UDP}

SCENARIOS: Mapping[str, Scenario] = {
    "both-cone": Scenario("two cone NATs meet directly", {"ann": CONE, "ben": CONE}, _nothing),
    "cone-symmetric": Scenario("a cone NAT and a symmetric one", {"ann": CONE, "ben": SYMMETRIC}, _nothing),
    "both-symmetric": Scenario(
        "two symmetric NATs need the relay", {"ann": SYMMETRIC, "ben": SYMMETRIC}, _nothing
    ),
    "udp-blocked-one": Scenario("one side lets no UDP out", {"ann": NO_UDP, "ben": CONE}, _nothing),
    "udp-blocked-both": Scenario("neither side lets UDP out", {"ann": NO_UDP, "ben": NO_UDP}, _nothing),
    "websocket-stripped": Scenario(
        "a proxy strips WebSocket upgrades", {"ann": STRIPPED, "ben": CONE, "cat": CONE}, _nothing
    ),
    "http-only": Scenario(
        "requests are all that passes",
        {name: replace(STRIPPED, udp=False) for name in ("ann", "ben")},
        _nothing,
        relay=False,
    ),
    "poor-lines": Scenario(
        "long, uneven, lossy lines", {"ann": POOR, "ben": replace(POOR, loss=0.1), "cat": CONE}, _nothing
    ),
    "people-arrive": Scenario(
        "six people come within three seconds over slow lines",
        {name: replace(POOR, loss=0.0) for name in ("ann", "ben", "cat", "dan", "eve", "fay")},
        _nothing,
        30,
        arrive=3,
    ),
    "sleep": Scenario(
        "devices sleep, briefly and long", {"ann": CONE, "ben": CONE, "cat": SYMMETRIC}, _sleep, 160
    ),
    "network-change": Scenario(
        "people move between networks", {"ann": CONE, "ben": CONE, "cat": OPEN}, _network_change, 70
    ),
    "silent-cut": Scenario(
        "paths go silent without a word", {"ann": CONE, "ben": CONE, "cat": CONE}, _silent_cut
    ),
    "node-restarts": Scenario("the node goes and comes back", {"ann": CONE, "ben": STRIPPED}, _node_restarts),
    "proxy-idle-cut": Scenario(
        "a proxy drops quiet connections without a word",
        {"ann": replace(CONE, idle_cut=3_000, udp=False), "ben": replace(CONE, idle_cut=6_000), "cat": CONE},
        _nothing,
        120,
    ),
    "author-closes-tab-after-direct-send": Scenario(
        "what went to browsers only is brought to the log by them",
        {"ann": CONE, "ben": CONE, "cat": CONE},
        _closes_after_direct_send,
    ),
    "clock-skew": Scenario(
        "device clocks are hours and just over a minute off",
        {"ann": CONE, "ben": CONE, "cat": CONE, "dan": CONE},
        _ahead,
        skews={"ann": 7_200_000, "ben": -3_600_000, "cat": 62_000, "dan": 75_000},
    ),
    "random": Scenario("everything at once", FOUR, _random, 120, guests=("dan",)),
}

"""One run of one scenario: people talk while things happen, all heals, and the judge speaks."""

import hashlib
from functools import partial
from typing import NamedTuple

import msgspec

from egoat.lab.judge import Figures
from egoat.lab.scenarios import SCENARIOS, Scenario
from egoat.lab.world import QUIET_MS, World

LAST_WORD_MS = 150_000


class Result(NamedTuple):
    """What a run came to: no faults, or what was wrong; the story is for reading."""

    scenario: str
    seed: int
    figures: Figures
    faults: tuple[str, ...]
    story: tuple[str, ...]
    trace: tuple[str, ...]
    digest: str

    def report(self) -> str:
        """The figures, and on a fault also everything that led to it; the same for the same seed."""
        held = "held" if not self.faults else "VIOLATED"
        words = [f"scenario {self.scenario}  seed {self.seed}  {held}"]
        words += [f"  {name.replace('_', ' '):<16}{value:>8}" for name, value in _rows(self.figures)]
        words.append(f"  digest          {self.digest}")
        if self.faults:
            words += ["", *self.story, "", *(f"VIOLATED {fault}" for fault in self.faults)]
        return "\n".join(words) + "\n"


def run(name: str, seed: int, keep_trace: bool = False) -> Result:
    """Runs a scenario to its end; raises KeyError for one that does not exist."""
    scenario = SCENARIOS[name]
    world = World(f"{name} {seed}", scenario.relay, keep_trace)
    for person, access in scenario.people.items():
        world.add(person, access, scenario.skews.get(person, 0), person in scenario.guests)
    scenario.script(world)
    arrivals = world.chance("arrivals")
    for person in scenario.people:
        pause = arrivals.randint(0, scenario.arrive * 1000)
        world.clock.after(pause, partial(world.open, person))
    _talk(world, scenario)
    world.clock.run(scenario.seconds * 1000)
    world.heal()
    for person in scenario.people:
        world.clock.after(LAST_WORD_MS, partial(world.say, person))
    for pause in range(QUIET_MS - 40_000, QUIET_MS, 2_000):
        world.clock.after(pause, world.scroll)
    world.clock.run(scenario.seconds * 1000 + QUIET_MS)
    world.judge.end()
    story, trace = tuple(world.story), tuple(world.trace.lines())
    shown = [f"{row.seq} {row.at} {row.envelope}" for row in world.node.log]
    digest = hashlib.sha256("\n".join([*story, *shown]).encode()).hexdigest()[:16]
    return Result(name, seed, world.judge.figures, tuple(world.judge.faults), story, trace, digest)


def _talk(world: World, scenario: Scenario) -> None:
    """Everybody says something every few seconds, and now and then much at once."""
    for person in scenario.people:
        chance = world.chance(f"{person} talks")
        when = chance.randrange(200, 2_000)
        while when < scenario.seconds * 1000:
            for place in range(chance.choice((1, 1, 1, 1, 2, 8))):
                pause = when + place * chance.choice((0, 5, 90))
                world.clock.after(pause, partial(world.say, person))
            when += chance.randrange(500, 6_000)


def _rows(figures: Figures) -> list[tuple[str, object]]:
    return list(msgspec.structs.asdict(figures).items())

"""The ladder under random events: its invariants, and the random traces its JavaScript twin must reproduce.

Run as a program, it writes those traces anew (tests/vectors/ladder/random.json).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec
import pytest

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
    StrategyChanged,
    Tick,
)
from services.transport.ladder.policy import RUNGS, Config
from services.transport.ladder.state import Dialing, Ladder, Ready, Resting, Rung, Up, ladder
from services.transport.ladder.step import Stepped, step

VECTOR = Path(__file__).parents[2] / "vectors" / "ladder" / "random.json"
CONFIGS = {
    "five": Config(rungs=RUNGS),
    "node": Config(rungs=RUNGS[2:4], keep=True),
    "none warm": Config(rungs=RUNGS, standbys=0, patience=2),
    "two warm": Config(rungs=RUNGS, standbys=2, stagger=300, deadline=7000),
}
MINUTE = 60_000


def _names(chance: Random, config: Config) -> tuple[str, ...]:
    return tuple(place.name for place in config.rungs if chance.random() < 0.7)


def _told(chance: Random, state: Ladder) -> Event:
    """One of the things a driver may come to say, mostly but not only of rungs it concerns."""
    lively = [rung.name for rung in state.rungs if isinstance(rung.phase, Up | Dialing)]
    rung = chance.choice(lively if lively and chance.random() < 0.9 else [rung.name for rung in state.rungs])
    draw = chance.randrange(100)
    if draw < 30:
        return Opened(rung)
    if draw < 42:
        return Failed(rung, "refused", "", chance.randrange(256) / 256)
    if draw < 54:
        return Closed(rung, "", chance.randrange(256) / 256)
    if draw < 84:
        return Sampled(rung, chance.random() < 0.4)
    if draw < 91:
        return Called(rung)
    return NetworkChanged() if draw < 96 else StrategyChanged(_names(chance, state.config))


def _life(chance: Random, config: Config, length: int) -> Iterator[tuple[int, Event, Ladder, Stepped]]:
    """Random steps of one ladder: time, event, the state before, and what came of it."""
    state, now = ladder(config), chance.randrange(1000)
    event: Event = Start(tuple(place.name for place in config.rungs))
    for _ in range(length):
        result = step(state, event, now)
        yield now, event, state, result
        state = result.state
        if chance.random() < 0.4:
            now, event = result.wake + chance.choice((0, 0, 0, 7, 90_000)), Tick()
        else:
            now, event = now + chance.choice((0, 1, 40, 300, 2000, 9000)), _told(chance, state)


@dataclass
class Driver:
    """What a driver believes: which rungs it dials, which links it has, which one it uses."""

    dialing: set[str] = field(default_factory=set)
    up: set[str] = field(default_factory=set)
    using: str | None = None

    def hear(self, event: Event) -> set[str]:
        """Takes the event in; returns the rungs that may be hung up although nothing is known of them."""
        match event:
            case Opened(rung=rung) if rung in self.dialing:
                self.dialing.discard(rung)
                self.up.add(rung)
            case Opened(rung=rung) if rung not in self.up:
                return {rung}
            case Failed(rung=rung) | Closed(rung=rung):
                self.dialing.discard(rung)
                self.up.discard(rung)
            case _:
                pass
        return set()

    def perform(self, action: Action, late: set[str]) -> None:
        match action:
            case Dial(rung=rung):
                assert rung not in self.dialing | self.up, "dialled twice"
                self.dialing.add(rung)
            case HangUp(rung=rung):
                assert rung in self.dialing | self.up | late, "nothing to hang up"
                self.dialing.discard(rung)
                self.up.discard(rung)
            case Use(rung=rung):
                assert rung != self.using, "said again what it had said"
                self.using = rung


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(25))
def test_invariants(name: str, seed: int) -> None:
    config = CONFIGS[name]
    driver = Driver()
    for now, event, _, (state, actions, wake) in _life(Random(f"{name} {seed}"), config, 120):
        late = driver.hear(event)
        for action in actions:
            driver.perform(action, late)
        phases = {rung.name: rung.phase for rung in state.rungs}
        assert {rung for rung, phase in phases.items() if isinstance(phase, Up)} == driver.up
        assert {rung for rung, phase in phases.items() if isinstance(phase, Dialing)} == driver.dialing
        assert state.active == driver.using
        assert state.active in driver.up or (state.active is None and not driver.up)
        assert now < wake <= now + MINUTE
        assert driver.up | driver.dialing <= set(state.allowed)
        assert config.keep or len(driver.up) <= 1 + config.standbys
        assert all(not isinstance(phase, Dialing) or phase.deadline >= wake for phase in phases.values())
        kinds = [("use", "hang_up", "dial").index(action.__struct_config__.tag or "") for action in actions]
        assert kinds == sorted(kinds)


def test_the_same_step_twice_is_the_same() -> None:
    for now, event, state, result in _life(Random(3), CONFIGS["five"], 60):
        assert step(state, event, now) == result


def _spell(message: Event | Action) -> str:
    """An event or action as a few words, as random.json has it."""
    words = msgspec.to_builtins(message)
    return " ".join(
        ",".join(word) if isinstance(word, list | tuple) else str(word).lower() for word in words.values()
    )


def _outline(rung: Rung) -> str:
    match rung.phase:
        case Ready(due=due):
            text = f"ready {due}"
        case Dialing(deadline=deadline):
            text = f"dialing {deadline}"
        case Up(bad=bad, tainted=tainted):
            text = f"{'tainted' if tainted else 'up'} {bad}"
        case Resting(due=due):
            text = f"resting {due}"
    return f"{text} {rung.tries}"


def random_traces() -> str:
    """The text of random.json: 40 lives of 60 steps, one step per line."""
    traces = []
    for seed in range(40):
        name = list(CONFIGS)[seed % len(CONFIGS)]
        rows = []
        state = ladder(CONFIGS[name])
        for now, event, _, (state, actions, wake) in _life(Random(seed), CONFIGS[name], 60):
            outline = [state.active or "none", *map(_outline, state.rungs)]
            rows.append(json.dumps([now, _spell(event), [*map(_spell, actions)], wake, ", ".join(outline)]))
        head = json.dumps(msgspec.to_builtins(CONFIGS[name]))
        end = json.dumps(msgspec.to_builtins(state.rungs))
        traces.append(f'{{"config": {head},\n"end": {end},\n"steps": [\n' + ",\n".join(rows) + "\n]}")
    return "[\n" + ",\n".join(traces) + "\n]\n"


def test_the_committed_random_traces_are_those_of_this_code() -> None:
    assert VECTOR.read_text(encoding="utf-8") == random_traces()


if __name__ == "__main__":
    VECTOR.write_text(random_traces(), encoding="utf-8")

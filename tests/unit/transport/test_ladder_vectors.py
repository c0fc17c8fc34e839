"""The ladder against the traces it shares with its JavaScript twin, one file per rule."""

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from services.transport.ladder import events, quality
from services.transport.ladder.actions import Action
from services.transport.ladder.policy import RUNGS, STRATEGIES, Config, Place, allowed, allowed_to_node
from services.transport.ladder.state import Rung, ladder
from services.transport.ladder.step import step

VECTORS = Path(__file__).parents[2] / "vectors" / "ladder"


class State(msgspec.Struct):
    allowed: tuple[str, ...]
    rungs: tuple[Rung, ...]
    active: str | None


class Taken(msgspec.Struct):
    now: int
    event: events.Event
    actions: tuple[Action, ...]
    wake: int
    state: State


class Trace(msgspec.Struct):
    name: str
    config: Config
    steps: list[Taken]


class TraceFile(msgspec.Struct):
    says: str
    traces: list[Trace]


class Strategy(msgspec.Struct):
    allowed: tuple[str, ...]
    to_node: tuple[str, ...]


class PolicyFile(msgspec.Struct):
    rungs: tuple[Place, ...]
    defaults: dict[str, int | bool]
    node: tuple[str, ...]
    strategies: dict[str, Strategy]


class Measured(msgspec.Struct):
    name: str
    echoes: list[float | None]
    kept: tuple[float | None, ...]
    quality: quality.Quality | None
    good: bool | None


FILES = sorted(path for path in VECTORS.glob("*.json") if path.stem.startswith(("rule", "node-")))
TRACES = [trace for path in FILES for trace in msgspec.json.decode(path.read_bytes(), type=TraceFile).traces]
POLICY = msgspec.json.decode((VECTORS / "policy.json").read_bytes(), type=PolicyFile)
MEASURED = msgspec.json.decode((VECTORS / "quality.json").read_bytes(), type=list[Measured])


def test_every_rule_has_its_traces() -> None:
    assert [path.stem.split("-")[0] for path in FILES] == [
        "node",
        *(f"rule{number}" for number in range(1, 10)),
    ]


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.name)
def test_trace(trace: Trace) -> None:
    state = ladder(trace.config)
    for taken in trace.steps:
        result = step(state, taken.event, taken.now)
        state = result.state
        assert result.actions == taken.actions, taken
        assert result.wake == taken.wake, taken
        assert State(state.allowed, state.rungs, state.active) == taken.state, taken


def test_an_event_the_ladder_does_not_know_is_refused() -> None:
    with pytest.raises(AssertionError):
        step(ladder(Config(rungs=RUNGS)), cast(Any, object()), 0)


def test_policy_is_the_shared_one() -> None:
    defaults = msgspec.to_builtins(Config(rungs=()))
    del defaults["rungs"]
    node = tuple(place for place in RUNGS if place.name in POLICY.node)
    strategies = {name: Strategy(allowed(name, RUNGS), allowed_to_node(name, node)) for name in STRATEGIES}
    assert PolicyFile(RUNGS, defaults, POLICY.node, strategies) == POLICY


def test_a_strategy_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError):
        allowed("telepathy", RUNGS)


def test_auto_allows_a_rung_from_outside() -> None:
    places = (Place("smoke-signals", 10),)
    assert allowed("auto", places) == ("smoke-signals",)
    assert allowed("relay-safe", places) == ()


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: case.name)
def test_quality(case: Measured) -> None:
    echoes: tuple[float | None, ...] = ()
    for echo in case.echoes:
        echoes = quality.remember(echoes, echo)
    assert echoes == case.kept
    measured = quality.measure(echoes)
    assert measured == case.quality
    assert (None if measured is None else quality.is_good(measured)) == case.good

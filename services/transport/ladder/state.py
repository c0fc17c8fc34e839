"""What a ladder is, and the two questions its rules ask of it: what is preferred, what is wanted.

Twin of web/js/ladder/state.js.
"""

from collections.abc import Iterable

import msgspec

from services.transport.ladder.policy import Config


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """May be dialled from `due` on."""

    due: int


class Dialing(msgspec.Struct, frozen=True, tag="dialing"):
    """A dial is on its way and fails at `deadline`."""

    deadline: int


class Up(msgspec.Struct, frozen=True, tag="up"):
    """A link is open; `bad` samples are not yet cancelled by good ones, the last `good` ones came in a row."""

    bad: int
    tainted: bool
    good: int


class Resting(msgspec.Struct, frozen=True, tag="resting"):
    """Not to be dialled before `due`."""

    due: int


Phase = Ready | Dialing | Up | Resting


class Outcome(msgspec.Struct, frozen=True):
    """The last thing that happened to a rung.

    `what` is "opened", "closed", "overdue", "tainted" or the word of a `Failed` event; `evidence` is
    for a person and never read by the ladder.
    """

    what: str
    evidence: str
    at: int


class Rung(msgspec.Struct, frozen=True):
    """One rung; `tries` counts the failures since a link last proved itself (rule 5)."""

    name: str
    phase: Phase
    tries: int
    outcome: Outcome | None


class Ladder(msgspec.Struct, frozen=True):
    """`rungs` stand best first; `active` is what the last `Use` said; before `Start` nothing is allowed."""

    config: Config
    allowed: tuple[str, ...]
    rungs: tuple[Rung, ...]
    active: str | None


def ladder(config: Config) -> Ladder:
    """A ladder at rest: nothing is allowed, hence nothing wanted, until `Start`."""
    places = sorted(config.rungs, key=lambda place: -place.priority)
    rungs = tuple(Rung(place.name, Ready(0), 0, None) for place in places)
    return Ladder(config, (), rungs, None)


def preferred(state: Ladder) -> tuple[Rung, ...]:
    """The links that are up in the order of rule 2: clean before tainted, then best first."""
    return tuple(sorted((rung for rung in state.rungs if is_up(rung)), key=is_tainted))


def wanted(state: Ladder, now: int) -> frozenset[str]:
    """The rungs without a link that are worth dialling or waiting for.

    All while no clean link is up, else the better ones (rule 3) and the standbys that are missing
    (rule 4).
    """
    down = [rung for rung in state.rungs if rung.name in state.allowed and not is_up(rung)]
    up = preferred(state)
    if not up or is_tainted(up[0]):
        return _names(down)
    place = state.rungs.index(up[0])
    better = [rung for rung in down if state.rungs.index(rung) < place]
    worse = [rung for rung in down if state.rungs.index(rung) > place]
    return _names(better) | _standbys(worse, state.config.standbys - (len(up) - 1), now)


def _standbys(worse: Iterable[Rung], missing: int, now: int) -> frozenset[str]:
    """Rule 4: who may become a standby.

    A dial in progress holds a place first; a rung that still rests may take one when its rest is
    over, but holds none until then.
    """
    names = []
    for rung in sorted(worse, key=lambda rung: not isinstance(rung.phase, Dialing)):
        if missing > 0:
            names.append(rung.name)
            missing -= not (isinstance(rung.phase, Resting) and rung.phase.due > now)
    return frozenset(names)


def find(state: Ladder, name: str) -> Rung | None:
    """The rung of that name, if this ladder has it."""
    return next((rung for rung in state.rungs if rung.name == name), None)


def swap(state: Ladder, changed: Rung) -> Ladder:
    """The ladder with one rung changed."""
    rungs = tuple(changed if rung.name == changed.name else rung for rung in state.rungs)
    return msgspec.structs.replace(state, rungs=rungs)


def is_up(rung: Rung) -> bool:
    """Whether the rung has a link."""
    return isinstance(rung.phase, Up)


def is_tainted(rung: Rung) -> bool:
    """Whether the rung has a link that too many bad samples speak against."""
    return isinstance(rung.phase, Up) and rung.phase.tainted


def due_at(rung: Rung, now: int) -> bool:
    """Whether the rung's turn to be dialled has come."""
    return isinstance(rung.phase, Ready | Resting) and rung.phase.due <= now


def _names(rungs: Iterable[Rung]) -> frozenset[str]:
    return frozenset(rung.name for rung in rungs)

"""The ladder: which rungs to dial and which link to use, as one pure function of (state, event, time).

Twin of web/js/ladder/step.js, held to it by tests/vectors/ladder. It opens nothing, reads no clock
and keeps no message: a driver performs the actions, in their order, and feeds what happened back in.
The driver's side of the contract:

- `HangUp(rung)` ends that rung's dial or link, whichever there is; no event about it follows.
- `Dial(rung)` is answered by one `Opened` or one `Failed`; an opened link ends with one `Closed`.
- A `Tick` comes at `wake` at the latest.
- What ended carries a `spread`, drawn anew from 0 to 1: it is what keeps many clients of one node from
  coming back in the same instant. A link that ended for many at once (close 1012) is told of `spread`
  times `crowd` late, so that also the next rung is not taken by all of them in the same instant.

The nine rules, where the table leaves room:

1. A climb dials the best allowed rung now and each next one a stagger later, until a link is up.
2. The best clean link is used; when all are tainted, the best. `Use` is said only on a change.
3. With a clean link in use the better rungs are wanted. After a failure or a loss rule 5 says when
   (2, 4, 8 … 60 s), so its ceiling is the steady "every 60 s"; a better link that was put down
   because it was tainted rests `retry` outright. A changed network forgets all rests, and dials
   again what was begun more than a stagger ago, as that dial belongs to the old network.
4. Behind a clean link in use the next worse rungs are dialled as standbys, a stagger after that link
   came into use, so that they never compete with it. A resting rung does not hold a standby's
   place. What is neither better nor a standby is hung up, unless the ladder keeps its links.
5. The rest doubles with each failure, and also when a link is lost before it proved itself: an open
   link is not a live link. `patience` good samples in a row forget the failures, so that a rung which
   opens, speaks once and dies is tried ever more seldom. A rest lasts up to twice that
   long, as the `spread` of what ended says, but never longer than the longest.
6. Bad samples count up to `patience` and good ones back to zero; the two ends set and clear the
   taint. While every link is tainted all rungs are wanted.
7. Losing the last link starts a climb of the rungs that do not rest; no rest lasts longer than the
   shortest with its spread, also that of the rung just lost.
8. A changed strategy or card hangs up what is no longer allowed and starts a climb without rests.
9. When the other end dials a rung (`Called`), it is dialled here too, now and whatever rests: what
   the two ends build is one link. A link or dial held until then is the other end's no longer, so
   it is hung up first. A rung that is not allowed, or not wanted, is not dialled; no `Dial` in the
   answer tells the driver to say no.
"""

from typing import NamedTuple, assert_never

from msgspec.structs import replace

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
from services.transport.ladder.policy import Config
from services.transport.ladder.state import (
    Dialing,
    Ladder,
    Outcome,
    Ready,
    Resting,
    Rung,
    Up,
    due_at,
    find,
    is_tainted,
    is_up,
    preferred,
    swap,
    wanted,
)

_MOST_DOUBLINGS = 16


class Stepped(NamedTuple):
    """What becomes of the ladder, what is to be done now, and when to come back (always later than now)."""

    state: Ladder
    actions: tuple[Action, ...]
    wake: int


class _Heard(NamedTuple):
    """A state, and the rungs whose dial or link is over by our wish."""

    state: Ladder
    ended: tuple[str, ...] = ()


def step(state: Ladder, event: Event, now: int) -> Stepped:
    """Takes one event in; the actions stand in the order use, hang up, dial.

    `now` is a monotonic time in milliseconds that never runs backwards.
    """
    heard = _hear(state, event, now)
    timed = _fail_overdue(heard.state, now)
    chosen = _choose(timed.state, now)
    sparing = _put_down(chosen, now)
    dialled, begun = _dial_due(sparing.state, now)
    use = () if chosen.active == state.active else (Use(chosen.active),)
    ended = tuple(HangUp(name) for name in (*heard.ended, *timed.ended, *sparing.ended))
    return Stepped(dialled, (*use, *ended, *(Dial(name) for name in begun)), _wake_at(dialled, now))


def _hear(state: Ladder, event: Event, now: int) -> _Heard:
    match event:
        case Start(allowed=names) | StrategyChanged(allowed=names):
            return _refilter(state, names, now)
        case Tick():
            return _Heard(state)
        case Opened(rung=name):
            return _opened(state, name, now)
        case Failed(rung=name, what=what, evidence=evidence, spread=spread):
            return _lost(state, name, Outcome(what, evidence, now), spread)
        case Closed(rung=name, evidence=evidence, spread=spread):
            return _lost(state, name, Outcome("closed", evidence, now), spread)
        case Sampled(rung=name, good=good):
            return _sampled(state, name, good)
        case Called(rung=name):
            return _called(state, name, now)
        case NetworkChanged():
            return _reconsider(state, now)
        case _:
            assert_never(event)


def _refilter(state: Ladder, names: tuple[str, ...], now: int) -> _Heard:
    """Rule 8; also the start."""
    allowed = tuple(rung.name for rung in state.rungs if rung.name in names)
    ended = tuple(
        rung.name for rung in state.rungs if rung.name not in allowed and isinstance(rung.phase, Up | Dialing)
    )
    return _Heard(_climb(_made_ready(replace(state, allowed=allowed), ended, now), now), ended)


def _opened(state: Ladder, name: str, now: int) -> _Heard:
    """A link nobody waits for any more is hung up."""
    rung = find(state, name)
    if rung is not None and is_up(rung):
        return _Heard(state)
    if rung is None or not isinstance(rung.phase, Dialing):
        return _Heard(state, (name,))
    return _Heard(swap(state, replace(rung, phase=Up(0, False, 0), outcome=Outcome("opened", "", now))))


def _lost(state: Ladder, name: str, outcome: Outcome, spread: float) -> _Heard:
    """Rule 5 for a dial or a link that ended by itself, and rule 7 when it was the last link."""
    rung = find(state, name)
    if rung is None or not isinstance(rung.phase, Up | Dialing):
        return _Heard(state)
    rested = swap(state, _rested(state.config, rung, outcome, spread))
    last = is_up(rung) and not any(map(is_up, rested.rungs))
    return _Heard(_climb(rested, outcome.at, _pause(state.config, 0, spread)) if last else rested)


def _sampled(state: Ladder, name: str, good: bool) -> _Heard:
    """Rule 6; and a link that proved itself forgets the failures of rule 5."""
    rung = find(state, name)
    if rung is None or not isinstance(rung.phase, Up):
        return _Heard(state)
    patience = state.config.patience
    bad = max(0, rung.phase.bad - 1) if good else min(patience, rung.phase.bad + 1)
    tainted = bad == patience or (rung.phase.tainted and bad > 0)
    in_row = min(patience, rung.phase.good + 1) if good else 0
    tries = 0 if in_row == patience else rung.tries
    return _Heard(swap(state, replace(rung, phase=Up(bad, tainted, in_row), tries=tries)))


def _called(state: Ladder, name: str, now: int) -> _Heard:
    """Rule 9, and rule 7 when the link that ends was the last one."""
    rung = find(state, name)
    if rung is None or name not in state.allowed:
        return _Heard(state)
    freed = _made_ready(state, (name,), now)
    last = is_up(rung) and not any(map(is_up, freed.rungs))
    climbing = _climb(freed, now, state.config.rest) if last else freed
    ended = (name,) if isinstance(rung.phase, Up | Dialing) else ()
    return _Heard(_made_ready(climbing, (name,), now), ended)


def _reconsider(state: Ladder, now: int) -> _Heard:
    """Rule 3 on a changed network.

    A dial younger than a stagger stays: browsers announce one change by several events.
    """
    settled = now + state.config.deadline - state.config.stagger
    ended = tuple(
        rung.name for rung in state.rungs if isinstance(rung.phase, Dialing) and rung.phase.deadline < settled
    )
    return _Heard(_climb(_made_ready(state, ended, now), now), ended)


def _climb(state: Ladder, now: int, shortest: int | None = None) -> Ladder:
    """Rule 1: gives the allowed rungs without link or dial their turn, a stagger apart.

    Rests end, or shrink to `shortest` when that is given. A turn that is already nearer stays.
    """
    turn = now
    rungs = []
    for rung in state.rungs:
        match rung.phase:
            case Resting(due=due) if shortest is not None and rung.name in state.allowed:
                rungs.append(replace(rung, phase=Resting(min(due, now + shortest)), tries=1))
            case Ready(due=due) | Resting(due=due) if rung.name in state.allowed:
                nearer = isinstance(rung.phase, Ready) and now < due < turn
                phase = Ready(due if nearer else turn)
                rungs.append(replace(rung, phase=phase, tries=0 if shortest is None else rung.tries))
                turn += state.config.stagger
            case Dialing():
                rungs.append(rung)
                turn += state.config.stagger
            case _:
                rungs.append(rung)
    return replace(state, rungs=tuple(rungs))


def _fail_overdue(state: Ladder, now: int) -> _Heard:
    """Rule 5 for dials that took too long."""
    late = [rung for rung in state.rungs if isinstance(rung.phase, Dialing) and rung.phase.deadline <= now]
    outcome = Outcome("overdue", f"no answer within {state.config.deadline} ms", now)
    for rung in late:
        state = swap(state, _rested(state.config, rung, outcome, 0))
    return _Heard(state, tuple(rung.name for rung in late))


def _choose(state: Ladder, now: int) -> Ladder:
    """Rule 2, and the pause of rule 4 before a standby is dialled behind a clean link that came into use."""
    active = next(iter(preferred(state)), None)
    if active is None or active.name == state.active or is_tainted(active):
        return replace(state, active=active and active.name)
    soonest = now + state.config.stagger
    place = state.rungs.index(active)
    worse = tuple(
        replace(rung, phase=replace(rung.phase, due=max(rung.phase.due, soonest)))
        if isinstance(rung.phase, Ready | Resting)
        else rung
        for rung in state.rungs[place:]
    )
    return replace(state, rungs=state.rungs[:place] + worse, active=active.name)


def _put_down(state: Ladder, now: int) -> _Heard:
    """Rule 4: hangs up spare links, then dials nobody wants any more."""
    config, up = state.config, preferred(state)
    if config.keep or not up:
        return _Heard(state)
    place = state.rungs.index(up[0])
    spare = up[1 + config.standbys :]
    lighter = state
    for rung in spare:
        better = state.rungs.index(rung) < place
        outcome = Outcome("tainted", f"{config.patience} bad samples", now) if better else rung.outcome
        phase = Resting(now + config.retry) if better else Ready(now)
        lighter = swap(lighter, replace(rung, phase=phase, outcome=outcome))
    names = wanted(lighter, now)
    idle = tuple(
        rung.name for rung in lighter.rungs if isinstance(rung.phase, Dialing) and rung.name not in names
    )
    return _Heard(_made_ready(lighter, idle, now), (*(rung.name for rung in spare), *idle))


def _dial_due(state: Ladder, now: int) -> _Heard:
    """Dials the wanted rungs whose turn has come; here the names are those begun."""
    names = wanted(state, now)
    begun = tuple(rung for rung in state.rungs if rung.name in names and due_at(rung, now))
    for rung in begun:
        state = swap(state, replace(rung, phase=Dialing(now + state.config.deadline)))
    return _Heard(state, tuple(rung.name for rung in begun))


def _wake_at(state: Ladder, now: int) -> int:
    """The next deadline or turn, and never more than `retry` away."""
    names = wanted(state, now)
    times = [now + state.config.retry]
    for rung in state.rungs:
        match rung.phase:
            case Dialing(deadline=time):
                times.append(time)
            case Ready(due=time) | Resting(due=time) if rung.name in names:
                times.append(time)
            case _:
                continue
    return min(times)


def _made_ready(state: Ladder, names: tuple[str, ...], now: int) -> Ladder:
    rungs = tuple(replace(rung, phase=Ready(now)) if rung.name in names else rung for rung in state.rungs)
    return replace(state, rungs=rungs)


def _rested(config: Config, rung: Rung, outcome: Outcome, spread: float) -> Rung:
    due = outcome.at + _pause(config, rung.tries, spread)
    return Rung(rung.name, Resting(due), rung.tries + 1, outcome)


def _pause(config: Config, tries: int, spread: float) -> int:
    """Rule 5: how long a rest lasts after so many failures before."""
    return min(config.longest, int((config.rest << min(tries, _MOST_DOUBLINGS)) * (1 + spread)))

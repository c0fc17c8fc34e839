"""Whether an open link is alive: when to ask for an echo, what echoes measured, when silence means dead. Pure.

Twin of web/js/echo.js, held to it by tests/vectors/echo. Times are monotonic milliseconds.
"""

import math
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from services.transport.ladder import quality
from services.transport.ladder.quality import LOST_AFTER, Quality, measure, remember

SILENCE_MS: Final = 4_000
"""Without anything coming in for this long after asking, a link is dead; asking starts 1.5 s into it.

Two askings, where something came in right after the first, and a look before each, stay within 5 s.
"""

ASK_AGAIN_MS: Final = 2_000
SLEPT_MS: Final = 2_500
FIGURE_MS: Final = 5_000


class Asked(msgspec.Struct, frozen=True):
    """The echo under way: its mark, when it was asked for, and whether it was counted as lost."""

    t: float
    at: float
    counted: bool


class Echo(msgspec.Struct, frozen=True, rename="camel"):
    """What is known of one link.

    `heard_at`: when anything last came in; `beat_at`: when `beat` was last called, a long pause means
    that this device slept; `asked_at`: when an echo was last asked for, minus infinity at first.
    """

    heard_at: float
    beat_at: float
    asked: Asked | None = None
    asked_at: float = -math.inf
    echoes: tuple[quality.Echo, ...] = ()


class Beaten(NamedTuple):
    """What one look at a link came to; `ask` is the mark of the echo to ask for."""

    echo: Echo
    ask: float | None = None
    dead: bool = False


def fresh(now: float) -> Echo:
    """A link that has just opened."""
    return Echo(heard_at=now, beat_at=now)


def heard(echo: Echo, now: float) -> Echo:
    """Something came in."""
    return replace(echo, heard_at=now)


def answered(echo: Echo, t: float, now: float) -> Echo:
    """The echo with the mark `t` came back."""
    if echo.asked is None or echo.asked.t != t:
        return heard(echo, now)
    counted = echo.asked.counted
    echoes = echo.echoes if counted else remember(echo.echoes, now - echo.asked.at)
    return replace(echo, heard_at=now, asked=None, echoes=echoes)


def beat(echo: Echo, every: float, now: float) -> Beaten:
    """One look at a link, to be repeated about twice a second; `every` ms of quiet ask for an echo."""
    if now - echo.beat_at > SLEPT_MS:
        return _ask(replace(echo, heard_at=now), now)
    asked, seen = echo.asked, replace(echo, beat_at=now)
    if asked is not None and not asked.counted and now - asked.at >= LOST_AFTER:
        seen = replace(seen, echoes=remember(echo.echoes, None), asked=replace(asked, counted=True))
    if asked is not None and now - asked.at >= ASK_AGAIN_MS:
        if now - echo.heard_at >= SILENCE_MS:
            return Beaten(seen, dead=True)
        return _ask(seen, now) if echo.heard_at > asked.at else Beaten(seen)
    due = now - echo.heard_at >= every or now - echo.asked_at >= max(every, FIGURE_MS)
    return _ask(seen, now) if due and asked is None else Beaten(seen)


def quality_of(echo: Echo) -> Quality | None:
    """What the echoes show so far."""
    return measure(echo.echoes)


def _ask(echo: Echo, now: float) -> Beaten:
    t = math.floor(now * 1000 + 0.5) / 1000
    return Beaten(replace(echo, beat_at=now, asked_at=now, asked=Asked(t, now, False)), ask=t)

"""How good a link is, from its last ten echoes: round-trip time, jitter, loss and a score. Pure.

Twin of web/js/ladder/quality.js, held to it by tests/vectors/ladder/quality.json.
"""

import math
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Final

import msgspec

WINDOW: Final = 10
"""How many echoes count."""

LOST_AFTER: Final = 2_000
"""An echo that takes longer than this many milliseconds counts as lost."""

BAD_BELOW: Final = 30
"""A sample below this score is a bad one (rule 6)."""

Echo = float | None
"""Round-trip time in milliseconds, None when it did not come back in time."""


class Quality(msgspec.Struct, frozen=True):
    """What the last echoes say.

    `rtt` is the mean of those that came back, `jitter` the mean difference between one and the next,
    both in milliseconds and None when none came back; `loss` is percent; `score` a whole number from
    0 to 100.
    """

    rtt: float | None
    jitter: float | None
    loss: float
    score: int


def remember(echoes: Sequence[Echo], echo: Echo) -> tuple[Echo, ...]:
    """The last echoes, oldest first, with one more."""
    counted = None if echo is None or echo > LOST_AFTER else echo
    return (*echoes, counted)[-WINDOW:]


def measure(echoes: Sequence[Echo]) -> Quality | None:
    """The quality these echoes (as `remember` keeps them) show; None until there is one to speak of."""
    if not echoes:
        return None
    back = [echo for echo in echoes if echo is not None]
    loss = 100 * (len(echoes) - len(back)) / len(echoes)
    if not back:
        return Quality(None, None, loss, 0)
    rtt = _mean(back)
    steps = [abs(after - before) for before, after in pairwise(back)]
    return Quality(rtt, _mean(steps) if steps else 0, loss, score(rtt, loss))


def score(rtt: float, loss: float) -> int:
    """100 − rtt / 10 ms − 2 · loss %, kept between 0 and 100 and rounded half up."""
    return min(100, max(0, math.floor(100 - rtt / 10 - 2 * loss + 0.5)))


def is_good(quality: Quality) -> bool:
    """The verdict a sample carries to the ladder."""
    return quality.score >= BAD_BELOW


def _mean(values: Sequence[float]) -> float:
    # Plain additions from left to right: from 3.12 on sum() compensates rounding, which JavaScript does not.
    return reduce(add, values) / len(values)

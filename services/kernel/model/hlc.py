"""The hybrid logical clock that orders what people read: fixed-width text `ms48-counter16`, pure.

Times are the *node's* Unix milliseconds. Stamps compare as text: `a < b` is the order of the clock.
Twin of web/js/hlc.js, held to it by tests/vectors/hlc.
"""

import re
from typing import Final, NamedTuple

AHEAD: Final = 60_000
"""How far ahead of the node's time a stamp may be before it is refused, in milliseconds."""

ZERO: Final = "000000000000-0000"
"""The stamp before every other."""

_FORM = re.compile(r"[0-9a-f]{12}-[0-9a-f]{4}")
_MS_END = 2**48
_COUNTER_END = 2**16


class Stamp(NamedTuple):
    """The two parts of a stamp."""

    ms: int
    counter: int


def stamp(last: str, now_ms: int) -> str:
    """The stamp of something new: later than `last` (`ZERO` at first) and not before `now_ms`."""
    ms, counter = parse(last)
    if now_ms > ms:
        return format_stamp(now_ms, 0)
    return format_stamp(ms, counter + 1) if counter + 1 < _COUNTER_END else format_stamp(ms + 1, 0)


def observe(last: str, text: str) -> str:
    """The newest stamp given or seen, after `text` was seen.

    Ask `too_far_ahead` first: a stamp that is refused must not carry this clock along.
    """
    parse(text)
    return max(last, text)


def too_far_ahead(text: str, now_ms: int) -> bool:
    """Whether a stamp claims a time that the node's clock will not reach within `AHEAD`."""
    return parse(text).ms > now_ms + AHEAD


def parse(text: str) -> Stamp:
    """The parts of a stamp; raises ValueError unless `text` is exactly the fixed-width form."""
    if not _FORM.fullmatch(text):
        raise ValueError("a stamp is 12 hex digits, a hyphen and 4 hex digits")
    return Stamp(int(text[:12], 16), int(text[13:], 16))


def format_stamp(ms: int, counter: int) -> str:
    """The text of a stamp; raises ValueError when a part does not fit."""
    if not (0 <= ms < _MS_END and 0 <= counter < _COUNTER_END):
        raise ValueError("a stamp holds 48 bits of ms and 16 of counter")
    return f"{ms:012x}-{counter:04x}"

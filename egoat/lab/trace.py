"""What the pure parts were asked and answered during a run, as lines that web/js can be held to byte for byte.

A line is `{"of", "key", "call", "args", "out"}`: which pure module, which of its states, the function by
its name in web/js, and plain values. tests/web/replay.js makes the same calls and the same text.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec


class Trace:
    """The calls of one run in their order; keeps nothing unless asked to."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self._lines: list[str] = []

    def note(self, of: str, key: str, call: str, args: tuple[object, ...], out: object) -> None:
        """Notes one call, if this trace is kept."""
        if self._keep:
            self._lines.append(canonical(line(of, key, call, args, out)))

    def lines(self) -> Iterator[str]:
        """What was noted."""
        return iter(self._lines)


def line(of: str, key: str, call: str, args: tuple[object, ...], out: object) -> dict[str, object]:
    """One call as a value."""
    return {"of": of, "key": key, "call": call, "args": list(args), "out": out}


def canonical(value: object) -> str:
    """JSON as both languages write it: sorted keys, no spaces, whole numbers without a point, no infinity."""
    plain = _plain(msgspec.to_builtins(value))
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(held) for name, held in value.items()}
        case list() | tuple():
            return [_plain(held) for held in value]
        case float() if math.isinf(value):
            return None
        case float() if value.is_integer():
            return int(value)
        case _:
            return value

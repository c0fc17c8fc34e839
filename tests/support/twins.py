"""Calls the pure modules by the names they have in web/js, so that one list of calls drives both languages.

Twin of tests/web/twins.js. A machine holds one state; `call` changes it and returns what the call came to.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from egoat.lab.trace import canonical
from services.kernel.model import coverage, node_clock
from services.kernel.model.timeline import Logged, Message, Place, Timeline
from services.transport.ladder import echo, outbox

VECTORS = Path(__file__).parents[1] / "vectors"

Call = Callable[..., Any]


class Machine:
    """One state of one pure module."""

    def __init__(self, calls: dict[str, Call]) -> None:
        self._calls = calls

    def call(self, name: str, args: list[Any]) -> Any:
        """What the call came to, as a plain value in canonical JSON's sense."""
        return json.loads(canonical(self._calls[name](*args)))


class _Outbox(Machine):
    def __init__(self) -> None:
        self.box = outbox.EMPTY
        super().__init__(
            {
                "put": lambda message: self._keep(outbox.put(self.box, _as(message, outbox.Message))),
                "take": self._take,
                "without": lambda message_id: self._keep(outbox.without(self.box, message_id)),
                "postpone": lambda message_id, until: self._keep(
                    outbox.postpone(self.box, message_id, until)
                ),
                "nextTry": lambda link: outbox.next_try(self.box, link),
            }
        )

    def _keep(self, box: outbox.Outbox) -> outbox.Outbox:
        self.box = box
        return box

    def _take(self, link: int, now: float, window: Any) -> Any:
        self.box, batch = outbox.take(self.box, link, now, _as(window, outbox.Window))
        return {"batch": [held.id for held in batch], "box": self.box}


class _Echo(Machine):
    def __init__(self) -> None:
        self.echo = echo.fresh(0)
        super().__init__(
            {
                "fresh": lambda now: self._keep(echo.fresh(now)),
                "heard": lambda now: self._keep(echo.heard(self.echo, now)),
                "answered": lambda t, now: self._keep(echo.answered(self.echo, t, now)),
                "beat": self._beat,
                "qualityOf": lambda: echo.quality_of(self.echo),
            }
        )

    def _keep(self, changed: echo.Echo) -> echo.Echo:
        self.echo = changed
        return changed

    def _beat(self, every: float, now: float) -> Any:
        beaten = echo.beat(self.echo, every, now)
        self.echo = beaten.echo
        return beaten._asdict()


class _Coverage(Machine):
    def __init__(self) -> None:
        self.spans: tuple[coverage.Span, ...] = ()
        super().__init__(
            {
                "cover": self._cover,
                "firstGap": lambda: coverage.first_gap(self.spans),
                "resumeAfter": lambda: coverage.resume_after(self.spans),
                "readFrom": lambda: coverage.read_from(self.spans),
            }
        )

    def _cover(self, after: int, to: int) -> Any:
        self.spans = coverage.cover(self.spans, after, to)
        return self.spans


class _NodeClock(Machine):
    def __init__(self) -> None:
        self.clock = node_clock.guess(0, 0)
        super().__init__(
            {
                "guess": lambda *args: self._keep(node_clock.guess(*args)),
                "notBefore": lambda *args: self._keep(node_clock.not_before(self.clock, *args)),
                "learn": lambda *args: self._keep(node_clock.learn(self.clock, *args)),
                "nodeTime": lambda now: node_clock.node_time(self.clock, now),
            }
        )

    def _keep(self, clock: node_clock.NodeClock) -> node_clock.NodeClock:
        self.clock = clock
        return clock


class _Timeline(Machine):
    def __init__(self) -> None:
        self.room = Timeline()
        told = self._told
        super().__init__(
            {
                "timeline": self._begin,
                "queue": lambda message: told(self.room.queue(_as(message, Message))),
                "direct": lambda message: told(self.room.direct(_as(message, Message))),
                "handed": lambda key: told(self.room.handed(*_key(key))),
                "logged": lambda message, older: told(self.room.logged(_as(message, Logged), older)),
                "acked": lambda key: told(self.room.acked(*_key(key), key["seq"], key["at"])),
                "failed": lambda key: told(self.room.failed(*_key(key), key["reason"])),
                "discard": lambda key: told(self.room.discard(*_key(key))),
                "follow": lambda place: told(self.room.follow(_as(place, Place))),
                "reset": lambda place: told(self.room.reset(_as(place, Place))),
                "markRead": lambda seq: told(self.room.mark_read(seq)),
                "firstUnread": lambda: self.room.first_unread(),
                "olderThan": lambda: self.room.older_than(),
                "lines": lambda: self.room.lines,
            }
        )

    def _begin(self, earlier: dict[str, Any]) -> Any:
        self.room = Timeline(earlier.get("logId"), earlier.get("read"))
        return self._told(None)

    def _told(self, result: object) -> Any:
        room = self.room
        return {"result": result, "read": room.read, "unread": room.unread, "spans": room.spans}


def _key(key: dict[str, Any]) -> tuple[str, str]:
    return key["sender"], key["id"]


def _as(value: Any, kind: Any) -> Any:
    return msgspec.convert(value, kind)


MACHINES: dict[str, Callable[[], Machine]] = {
    "coverage": _Coverage,
    "echo": _Echo,
    "node_clock": _NodeClock,
    "outbox": _Outbox,
    "timeline": _Timeline,
}


class Trace(msgspec.Struct):
    """Named calls on one state: name, arguments, what it comes to."""

    name: str
    calls: list[tuple[str, list[Any], Any]]


def traces(of: str, file: str) -> list[Trace]:
    """The traces of one vector file."""
    return msgspec.json.decode((VECTORS / of / file).read_bytes(), type=list[Trace])


def text(traced: list[Trace]) -> str:
    """A vector file: one call per line."""
    rows = []
    for trace in traced:
        calls = ",\n".join(canonical(call) for call in trace.calls)
        rows.append(f'{{"name":{json.dumps(trace.name)},"calls":[\n{calls}\n]}}')
    return "[\n" + ",\n".join(rows) + "\n]\n"

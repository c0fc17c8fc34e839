"""What one room shows: local echoes, direct copies and logged copies merged into one ordered list. Pure.

Twin of web/js/timeline.js, held to it by tests/vectors/timeline. A timeline has one owner and is
changed in place, so that the ten-thousandth message costs what the first did.

- One line per (sender, id), however many copies come; the log's copy is the truth.
- Shown in the order of (hlc, sender, id), by UTF-16 code units; what is missing and what is unread
  goes by seq.
- Which stretch of the log is held is kept in the spans of coverage.py.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec.structs import asdict, replace

from services.kernel.model import hlc
from services.kernel.model.coverage import Span, cover, first_gap, read_from

Standing = Literal["queued", "direct", "node", "failed", "kept"]
"""queued: on this device, being sent · direct: came from device to device and was not seen in the log ·
node: in the node's log · failed: refused, with a reason · kept: held here, but the log that held it is
gone or has let go of it."""

What = Literal["inserted", "changed", "moved", "same"]


class Message(msgspec.Struct, frozen=True):
    """A message as it was said; `text` is None for kinds that have none."""

    sender: str
    id: str
    hlc: str
    name: str
    kind: str
    text: str | None
    verified: bool
    mine: bool


class Logged(Message, frozen=True):
    """A message as the log holds it; `at` is the node's receive time in milliseconds."""

    seq: int
    at: int


class Line(Message, frozen=True):
    """What is shown; `late`: it came in above the newest logged line, by `behind` milliseconds of hlc."""

    state: Standing
    reason: str | None = None
    seq: int | None = None
    at: int | None = None
    late: bool = False
    behind: int = 0


class Change(msgspec.Struct, frozen=True, rename={"was": "from"}):
    """What a call did: the line stands at `index`, a moved one stood at `was`; `gap`: the oldest hole."""

    what: What
    line: Line
    index: int
    was: int
    gap: Span | None


class Place(msgspec.Struct, frozen=True, rename="camel"):
    """Which log the node holds, what it no longer keeps, and how far it goes."""

    log_id: str
    floor: int
    head: int


class Timeline:
    """One room's lines in the order shown, and what of the log they cover.

    Give back `log_id` and `read` (every line up to this seq has been read) of an earlier visit to see
    what is unread since then. `unread` counts the lines of others after it.
    """

    def __init__(self, log_id: str | None = None, read: int | None = None) -> None:
        self.log_id = log_id
        self.floor = 0
        self.read = read
        self.unread = 0
        self.spans: tuple[Span, ...] = ()
        self.lines: list[Line] = []
        self._held: dict[tuple[str, str], Line] = {}

    def held(self, sender: str, message_id: str) -> Line | None:
        """The line of a message, if it is shown."""
        return self._held.get((sender, message_id))

    def queue(self, message: Message) -> Change:
        """Shows an own message at once as queued.

        Said again it queues a failed or kept line anew, or moves a queued one that was stamped again;
        what the node has stays.
        """
        known = self.held(message.sender, message.id)
        if known is not None and (
            known.state == "node" or (known.state == "queued" and known.hlc == message.hlc)
        ):
            return self._same(known)
        return self._show(_line(message, "queued"))

    def direct(self, message: Message) -> Change:
        """Shows a message that came from device to device; what is known already stays."""
        known = self.held(message.sender, message.id)
        if known is not None:
            return self._same(known)
        late, behind = self._arrival(message)
        return self._show(replace(_line(message, "direct"), late=late, behind=behind))

    def handed(self, sender: str, message_id: str) -> Change | None:
        """Somebody has an own message that the node does not keep. None for one that is not shown."""
        known = self.held(sender, message_id)
        if known is None:
            return None
        return self._show(replace(known, state="direct")) if known.state == "queued" else self._same(known)

    def logged(self, message: Logged, older: bool = False) -> Change:
        """Takes in a message of the log; one that was asked for as an `older` page is not late."""
        known = self.held(message.sender, message.id)
        self.spans = cover(self.spans, message.seq - 1, message.seq)
        if known is not None and known.state == "node":
            return self._same(known)
        if known is not None:
            late, behind, mine = known.late, known.behind, message.mine or known.mine
        else:
            late, behind = (False, 0) if older else self._arrival(message)
            mine = message.mine
        line = replace(_line(message, "node"), mine=mine, seq=message.seq, at=message.at)
        return self._show(replace(line, late=late, behind=behind))

    def acked(self, sender: str, message_id: str, seq: int, at: int) -> Change | None:
        """The node has it: the line stays where it is. None for a message that is not shown."""
        known = self.held(sender, message_id)
        if known is None:
            return None
        self.spans = cover(self.spans, seq - 1, seq)
        if known.state == "node":
            return self._same(known)
        return self._show(replace(known, state="node", reason=None, seq=seq, at=at))

    def failed(self, sender: str, message_id: str, reason: str) -> Change | None:
        """A queued message was refused for good. None for a message that is not shown."""
        known = self.held(sender, message_id)
        if known is None:
            return None
        if known.state != "queued":
            return self._same(known)
        return self._show(replace(known, state="failed", reason=reason))

    def discard(self, sender: str, message_id: str) -> None:
        """The author takes back what was refused. Nothing else goes."""
        known = self.held(sender, message_id)
        if known is not None and known.state == "failed":
            del self.lines[self._place_of(known)]
            del self._held[sender, message_id]

    def follow(self, place: Place) -> list[Line]:
        """The node named its log: what is missing up to its head becomes a gap.

        What it no longer keeps and what another log held becomes "kept"; those lines are returned.
        With nothing read yet, or in a new log, everything up to the head counts as read.
        """
        another = self.log_id is not None and self.log_id != place.log_id
        gone = self._let_go(lambda seq: another or seq <= place.floor)
        if another or self.read is None:
            self.read = place.head
        spans = () if another else self.spans
        self.log_id, self.floor = place.log_id, place.floor
        self.spans = cover(_clip(spans, place.floor, math.inf), place.head, place.head)
        self.unread = self._count()
        return gone

    def reset(self, place: Place) -> list[Line]:
        """The node refused our cursor: as `follow`, and what lies above its head is kept here only."""
        above = self._let_go(lambda seq: seq > place.head)
        self.spans = _clip(self.spans, 0, place.head)
        if self.read is not None:
            self.read = min(self.read, place.head)
        return [*above, *self.follow(place)]

    def mark_read(self, seq: int) -> None:
        """Everything up to `seq` has been read."""
        self.read = max(self.read or 0, seq)
        self.unread = self._count()

    def first_unread(self) -> int:
        """The index of the first unread line, -1 when all are read."""
        if self.unread == 0:
            return -1
        return next(index for index, line in enumerate(self.lines) if self._is_unread(line))

    def older_than(self) -> int | None:
        """The seq to read older pages before (inclusive); None when the log keeps none, or is unknown."""
        start = read_from(self.spans)
        return None if start is None or start <= self.floor else start

    def _show(self, line: Line) -> Change:
        """Puts the line where it belongs, in place of an earlier form of it."""
        known = self.held(line.sender, line.id)
        was = -1 if known is None else self._place_of(known)
        self.unread += self._is_unread(line)
        self._held[line.sender, line.id] = line
        gap = first_gap(self.spans)
        if known is not None and known.hlc == line.hlc:
            self.lines[was] = line
            return Change("changed", line, was, was, gap)
        if known is not None:
            del self.lines[was]
        index = self._place_of(line)
        self.lines.insert(index, line)
        if known is None:
            return Change("inserted", line, index, index, gap)
        return Change("moved", line, index, was, gap)

    def _same(self, line: Line) -> Change:
        index = self._place_of(line)
        return Change("same", line, index, index, first_gap(self.spans))

    def _let_go(self, is_gone: Callable[[int], bool]) -> list[Line]:
        """Marks the logged lines the log no longer answers for."""
        gone = []
        for index, line in enumerate(self.lines):
            if line.seq is not None and is_gone(line.seq):
                kept = replace(line, state="kept", seq=None)
                self.lines[index] = self._held[line.sender, line.id] = kept
                gone.append(kept)
        return gone

    def _place_of(self, line: Message) -> int:
        """The first place whose line does not stand before this one."""
        order = _order(line)
        if self.lines and _order(self.lines[-1]) < order:
            return len(self.lines)
        return bisect_left(self.lines, order, key=_order)

    def _arrival(self, message: Message) -> tuple[bool, int]:
        """Whether a new line comes in above the newest one not merely queued here, and how far behind."""
        shown = (line for line in reversed(self.lines) if line.state not in ("queued", "failed"))
        newest = next(shown, None)
        if newest is None or _order(newest) < _order(message):
            return False, 0
        return True, hlc.parse(newest.hlc).ms - hlc.parse(message.hlc).ms

    def _is_unread(self, line: Line) -> bool:
        if line.mine or line.seq is None or self.read is None:
            return False
        return line.seq > self.read

    def _count(self) -> int:
        return sum(self._is_unread(line) for line in self.lines)


def _line(message: Message, state: Standing) -> Line:
    said = {name: value for name, value in asdict(message).items() if name in Message.__struct_fields__}
    return Line(**said, state=state)


def _order(message: Message) -> tuple[str, bytes, bytes]:
    """As JavaScript compares: a stamp is ASCII, a sender may be any script."""
    return message.hlc, _units(message.sender), _units(message.id)


def _units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _clip(spans: tuple[Span, ...], low: float, high: float) -> tuple[Span, ...]:
    """The spans cut to what lies between two places."""
    cut = [(max(span.after, low), min(span.to, high)) for span in spans]
    return tuple(Span(int(after), int(to)) for after, to in cut if after < to)

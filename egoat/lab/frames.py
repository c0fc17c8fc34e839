"""What travels in the laboratory: the frames of docs/protocol.md, as far as its parts act on them."""

from collections.abc import Callable
from typing import NamedTuple


class Envelope(NamedTuple):
    """One message; `signed` says whether anybody but its author may bring it."""

    id: str
    sender: str
    stream: str
    n: int
    hlc: str
    text: str
    signed: bool


class Row(NamedTuple):
    """A message in the node's log, and as the node sends it."""

    seq: int
    at: int
    envelope: Envelope


class Who(NamedTuple):
    """One session of a peer."""

    peer: str
    session: str


class Ping(NamedTuple):
    t: float


class Pong(NamedTuple):
    """`now` is the node's time; a browser tells none."""

    t: float
    now: int | None


class Send(NamedTuple):
    envelope: Envelope


class Ack(NamedTuple):
    id: str
    seq: int
    at: int


class Fault(NamedTuple):
    """The envelope's time is ahead of the node's, which is told."""

    id: str
    now: int


class Direct(NamedTuple):
    """A message from browser to browser."""

    envelope: Envelope


class Got(NamedTuple):
    ids: tuple[str, ...]


class Call(NamedTuple):
    """An offer, an answer or a refusal; `sdp` tells one description from another."""

    kind: str
    rung: str
    attempt: str
    sdp: str = ""
    refused: bool = False


class Signal(NamedTuple):
    """A call on its way through the node: `who` is the target on the way up, the author on the way down."""

    who: Who
    call: Call


class Roster(NamedTuple):
    """Everybody here, after somebody came or went."""

    people: tuple[Who, ...]


class Hello(NamedTuple):
    """`after`: the last seq held without a hole; None while nothing is known."""

    who: Who
    after: int | None


class Welcome(NamedTuple):
    now: int
    head: int
    people: tuple[Who, ...]


class Page(NamedTuple):
    """A page of history, oldest row first."""

    rows: tuple[Row, ...]
    head: int


Frame = Ping | Pong | Send | Row | Ack | Fault | Direct | Got | Signal | Roster | Hello | Welcome | Page

Take = Callable[[Frame], None]

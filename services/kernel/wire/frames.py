"""Frames: what travels on a socket and inside `/poll`, a union tagged by `type`.

Fields that are None are left out. Unknown fields are ignored by every reader.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**53)]


class _Frame(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    pass


class RosterPeer(msgspec.Struct, frozen=True):
    """One peer in a room with its live sessions; a peer stands once however many sessions it has."""

    peer_id: str
    name: str
    sessions: list[str]
    verified: bool


class Turn(msgspec.Struct, frozen=True):
    """STUN and TURN servers with credentials that end `ttl` seconds after they were given; `POST /turn` gives new."""

    stun: list[str]
    turn: list[str]
    username: str
    credential: str
    ttl: int


class ReceiptRow(msgspec.Struct, frozen=True):
    """How far one session is: the log up to `got` is in its page, up to `read` it was on its screen."""

    peer_id: str
    session: str
    got: int
    read: int


# What a client sends.


class Hello(_Frame, frozen=True, tag="hello"):
    """First frame of an `egoat.1` client, within 5 s: joins one room with this socket.

    Signed join: pk, nonce, origin, sig. Resume: token. Guest: `name` is the label, and the session's last
    token, if it has one, takes over its live socket.
    """

    v: list[int]
    room: str
    session: str
    name: str
    after: str | None = None
    pk: str | None = None
    nonce: str | None = None
    origin: str | None = None
    sig: str | None = None
    token: str | None = None


class Send(_Frame, frozen=True, tag="send"):
    """One envelope for the log. `pk` stands beside `sig`."""

    env: str
    sig: str | None = None
    pk: str | None = None


class Ping(_Frame, frozen=True, tag="ping"):
    """An application echo; `t` comes back as it went."""

    t: float


class Name(_Frame, frozen=True, tag="name"):
    """A verified peer's new shown name."""

    name: str


class Signal(msgspec.Struct, frozen=True):
    """What offer, answer and ice have in common when a client sends them; no target means all others."""

    payload: msgspec.Raw
    target_peer_id: str | None = None
    target_session: str | None = None


class Offer(Signal, frozen=True, tag="offer", tag_field="type", omit_defaults=True):
    """A WebRTC session description that asks (RFC 8829)."""


class Answer(Signal, frozen=True, tag="answer", tag_field="type", omit_defaults=True):
    """A WebRTC session description that answers."""


class Ice(Signal, frozen=True, tag="ice", tag_field="type", omit_defaults=True):
    """One trickled ICE candidate (RFC 8838)."""


class Receipt(_Frame, frozen=True, tag="receipt"):
    """How far this session is in this log: it holds everything up to `got`, everything up to `read` was visible.

    Sent when it has changed, at most once a second; what is lower than said before changes nothing.
    """

    log_id: str
    got: Count
    read: Count


Up = Hello | Send | Ping | Name | Offer | Answer | Ice | Receipt


# What a node sends.


class Challenge(_Frame, frozen=True, tag="challenge"):
    """First frame to an `egoat.1` client: the nonce to sign, and the node's time."""

    nonce: str
    now: int


class Welcome(_Frame, frozen=True, tag="welcome"):
    """The join is done and the room's subscription stands; messages after `head` will come.

    `turn` is null on a node without TURN, and for who has used up the credentials of this hour.
    """

    v: int
    peer_id: str
    token: str
    log_id: str
    head: int
    floor: int
    now: int
    roster: list[RosterPeer]
    turn: Turn | None
    receipts: list[ReceiptRow] = []


class Ack(_Frame, frozen=True, tag="ack"):
    """The message is on disk under this seq."""

    id: str
    seq: int
    log_id: str
    at: int


class Message(_Frame, frozen=True, tag="message"):
    """One message of the log; each reader sees seq without gap or repeat."""

    seq: int
    at: int
    env: str
    sig: str | None = None
    pk: str | None = None


class Reset(_Frame, frozen=True, tag="reset"):
    """The cursor names nothing this log can continue from; `reason` is log, above_head or below_floor."""

    reason: str
    floor: int
    head: int
    log_id: str


class Pong(_Frame, frozen=True, tag="pong"):
    """Answer to `ping`."""

    t: float
    now: int


class PeerFrame(msgspec.Struct, frozen=True):
    """What the three presence frames carry: one session of one peer."""

    peer_id: str
    room: str
    session: str
    name: str
    verified: bool


class PeerJoined(PeerFrame, frozen=True, tag="peer_joined", tag_field="type"):
    """A session came into the room."""


class PeerLeft(PeerFrame, frozen=True, tag="peer_left", tag_field="type"):
    """A session has been gone for ten seconds."""


class PeerNamed(PeerFrame, frozen=True, tag="peer_named", tag_field="type"):
    """A verified peer changed its shown name."""


class Receipts(_Frame, frozen=True, tag="receipts"):
    """Sessions that have come further in this log, at most one such frame a second; the newest word counts."""

    log_id: str
    rows: list[ReceiptRow]


class FaultFrame(_Frame, frozen=True, tag="fault"):
    """A refusal; `id` names the message it is about, `now` comes with code `clock`."""

    code: str
    detail: str
    retry: float | None
    id: str | None = None
    now: int | None = None


class Relayed(msgspec.Struct, frozen=True):
    """A signal as it reaches its target, with its sender's bound id and session."""

    peer_id: str
    session: str
    payload: msgspec.Raw
    target_peer_id: str | None = None
    target_session: str | None = None


class RelayedOffer(Relayed, frozen=True, tag="offer", tag_field="type", omit_defaults=True):
    """An offer from another session."""


class RelayedAnswer(Relayed, frozen=True, tag="answer", tag_field="type", omit_defaults=True):
    """An answer from another session."""


class RelayedIce(Relayed, frozen=True, tag="ice", tag_field="type", omit_defaults=True):
    """A candidate from another session."""


Down = (
    Challenge
    | Welcome
    | Ack
    | Message
    | Reset
    | Pong
    | PeerJoined
    | PeerLeft
    | PeerNamed
    | Receipts
    | FaultFrame
    | RelayedOffer
    | RelayedAnswer
    | RelayedIce
)

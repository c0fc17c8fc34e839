"""Who is in a room, as services tell each other: entries of the shared roster and events about them (pure)."""

from collections.abc import Iterable, Mapping

import msgspec

from services.kernel.model import mac
from services.kernel.model.errors import ErrorCode, Fault, unavailable
from services.kernel.model.ids import GUEST_PREFIX, PeerId, RoomId, SessionId, fold
from services.kernel.model.member import Member
from services.kernel.wire.frames import RelayedAnswer, RelayedIce, RelayedOffer, RosterPeer
from services.kernel.wire.receipts import Mark, Word
from services.kernel.wire.sealed import seal, unseal

Key = tuple[PeerId, SessionId]

SOCKET, REFERENCE, POLL = "socket", "reference", "poll"
POLL_SESSIONS = 16
"""How many sessions of one peer may poll one room: each can have a mailbox."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One live session. `via` is socket, reference or poll; `since` is when it came (Unix ms);
    `address` a keyed tag of the client's address (empty: not counted); `gone` its socket has closed;
    `challenged` is when its socket was challenged (Unix ms; 0 without a challenge); `mark` how far it is in the log.
    """

    peer: PeerId
    session: SessionId
    name: str
    verified: bool
    via: str
    since: int
    address: bytes = b""
    gone: bool = False
    challenged: int = 0
    mark: Mark | None = None

    @property
    def key(self) -> Key:
        """What a session is told apart by."""
        return (self.peer, self.session)


def entry(member: Member, via: str, since: int, address: bytes = b"", challenged: int = 0) -> Entry:
    """The roster entry of a member who comes now."""
    session, verified = member.session, member.verified
    return Entry(member.peer, session, member.name, verified, via, since, address, challenged=challenged)


def after(known: Entry | None, now: int) -> int:
    """When a session comes, if it was known before: later than then, whatever the clocks say."""
    return now if known is None else max(now, known.since + 1)


def field(key: Key) -> str:
    """A session's key in the shared roster."""
    return f"{key[1]}:{key[0]}"


def peers(entries: Iterable[Entry]) -> list[RosterPeer]:
    """Each peer once, with its live sessions, the longest present first."""
    found: dict[PeerId, list[Entry]] = {}
    for each in sorted(entries, key=lambda each: (each.since, each.session)):
        if not each.gone:
            found.setdefault(each.peer, []).append(each)
    return [
        RosterPeer(peer, mine[-1].name, [each.session for each in mine], mine[-1].verified)
        for peer, mine in found.items()
    ]


def words(entries: Iterable[Entry]) -> list[Word]:
    """How far the live sessions are that have said so."""
    return [(*each.key, each.mark) for each in entries if each.mark is not None and not each.gone]


def check_label(label: str, entries: Iterable[Entry]) -> None:
    """Raises Fault(FORBIDDEN) when a verified peer in the room has this id or shown name (docs/security.md S6a)."""
    folded = fold(label)
    for each in entries:
        if each.verified and folded in (each.peer, fold(each.name)):
            raise Fault(ErrorCode.FORBIDDEN, "a verified peer in this room has this name")


def check_owner(key: Key, owner: bool, entries: Mapping[Key, Entry]) -> None:
    """Raises Fault(FORBIDDEN) when the session is live and the newcomer did not show that it is its own (S6a)."""
    known = entries.get(key)
    if not owner and known is not None and not known.gone:
        raise Fault(ErrorCode.FORBIDDEN, "this session is live; it is taken over with its token only")


def check_age(newcomer: Entry, entries: Mapping[Key, Entry]) -> None:
    """Raises Fault(UNAVAILABLE) when the session has a younger socket: a process that was frozen is late."""
    known = entries.get(newcomer.key)
    if known is not None and not known.gone and known.challenged > newcomer.challenged:
        raise unavailable("a younger socket of this session is here")


def check_counts(newcomer: Entry, entries: Mapping[Key, Entry], most_sockets: int, most_peers: int) -> None:
    """Raises Fault(TOO_MANY) when the room or the newcomer's address is full; 0 means no limit (S15)."""
    if newcomer.key in entries:
        return
    live = [each for each in entries.values() if not each.gone]
    present = {each.peer for each in live}
    if most_peers and newcomer.peer not in present and len(present) >= most_peers:
        raise Fault(ErrorCode.TOO_MANY, f"the room is full: {most_peers} peers", retry=30)
    if newcomer.via == POLL and sum(1 for each in live if each.peer == newcomer.peer) >= POLL_SESSIONS:
        raise Fault(ErrorCode.TOO_MANY, f"more than {POLL_SESSIONS} sessions of one peer", retry=30)
    if most_sockets and newcomer.via != POLL:
        near = newcomer.address or newcomer.peer
        same = sum(1 for each in live if each.via != POLL and (each.address or each.peer) == near)
        if same >= most_sockets:
            raise Fault(ErrorCode.TOO_MANY, f"more than {most_sockets} sockets from one address", retry=30)


def target_of(text: str, entries: Iterable[Entry]) -> str:
    """The peer id that a signal's target names: an id, or a guest's label as reference clients write it."""
    ids = {each.peer for each in entries}
    return text if text in ids or text.startswith(GUEST_PREFIX) else GUEST_PREFIX + text


class _Event(msgspec.Struct, frozen=True, array_like=True, tag=True):
    replica: bytes


class Came(_Event, frozen=True):
    """A session came, or changed its name."""

    entry: Entry


class Left(_Event, frozen=True):
    """The session that came at `since` (Unix ms) is gone for good; one that came later is not."""

    peer: PeerId
    session: SessionId
    since: int


class Doubted(_Event, frozen=True):
    """A session polls though it has a socket: whoever serves that socket asks it for a sign of life."""

    peer: PeerId
    session: SessionId


class Marked(_Event, frozen=True):
    """Sessions have come further in the log, or have read more of it."""

    words: list[Word]


class Signalled(_Event, frozen=True):
    """A WebRTC signal; `kind` is offer, answer or ice, `payload` its JSON text."""

    kind: str
    peer: PeerId
    session: SessionId
    payload: bytes
    target_peer: str | None = None
    target_session: str | None = None

    def reaches(self, peer: str, session: str) -> bool:
        """Whether the signal is for this session; without a target it is for all others."""
        if (peer, session) == (self.peer, self.session):
            return False
        return self.target_peer in (None, peer) and self.target_session in (None, session)

    def frame(self) -> RelayedOffer | RelayedAnswer | RelayedIce:
        """As its target gets it."""
        return RELAYED[self.kind](
            peer_id=self.peer,
            session=self.session,
            payload=msgspec.Raw(self.payload),
            target_peer_id=self.target_peer,
            target_session=self.target_session,
        )


RELAYED: dict[str, type[RelayedOffer | RelayedAnswer | RelayedIce]] = {
    "offer": RelayedOffer,
    "answer": RelayedAnswer,
    "ice": RelayedIce,
}

Event = Came | Left | Doubted | Marked | Signalled

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_entries = msgspec.msgpack.Decoder(Entry)


def encode_entry(each: Entry) -> bytes:
    """An entry as it lies in the shared roster."""
    return _encoder.encode(each)


def decode_entry(data: bytes) -> Entry | None:
    """The entry, or None where another version wrote something else."""
    try:
        return _entries.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def events_key(secret: bytes) -> bytes:
    """The subkey that tags events."""
    return mac.subkey(secret, "event")


def encode_event(key: bytes, room: RoomId, event: Event) -> bytes:
    """The event as it travels on `signal:<room>`."""
    return seal(key, room, _encoder.encode(event))


def decode_event(key: bytes, room: RoomId, data: bytes) -> Event | None:
    """The event, or None when its tag does not hold."""
    body = unseal(key, room, data)
    try:
        return None if body is None else _decoder.decode(body)
    except msgspec.DecodeError:
        return None

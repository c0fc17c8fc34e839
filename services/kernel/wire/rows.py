"""Rows, pages and hints: the log between the services of one node, in msgpack (never seen by clients)."""

import msgspec

from services.kernel.model import mac
from services.kernel.model.ids import LogId, MessageId, PeerId, RoomId, Seq
from services.kernel.wire.sealed import seal, unseal


class Received(msgspec.Struct, frozen=True, array_like=True):
    """A message on its way into the log, judged and parsed by the edge that took it."""

    room: RoomId
    sender: PeerId
    id: MessageId
    kind: str
    digest: bytes
    env: str
    sig: str | None = None
    pk: str | None = None


class Appended(msgspec.Struct, frozen=True, array_like=True):
    """Where a message stands: its first seq and time, and whether this append put it there.

    `conflict` says that (sender, id) is known with another digest; nothing was stored.
    """

    log_id: LogId
    seq: Seq
    at: int
    fresh: bool
    conflict: bool = False


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One stored message: seq in its room, receive time (Unix ms, never decreasing in a room)."""

    seq: Seq
    at: int
    sender: PeerId
    id: MessageId
    kind: str
    env: str
    sig: str | None = None
    pk: str | None = None


class Page(msgspec.Struct, frozen=True, array_like=True):
    """Contiguous rows of one room and where the room stands.

    `reset` is None, or why the cursor could not be used: log, above_head, below_floor (then no rows).
    """

    log_id: LogId
    floor: Seq
    head: Seq
    rows: list[Row]
    reset: str | None = None


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Rows `after` < seq ≤ `upto` answer a `since` question; `next_since` is set when more follow."""

    log_id: LogId
    after: Seq
    upto: Seq
    next_since: int | None = None


class Hint(msgspec.Struct, frozen=True, omit_defaults=True):
    """A room grew from `prev` to `seq`; `rows` are there when they are small."""

    log_id: LogId
    prev: Seq
    seq: Seq
    rows: list[Row] | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Hint)


def hint_key(secret: bytes) -> bytes:
    """The subkey that tags hints."""
    return mac.subkey(secret, "hint")


def encode_hint(key: bytes, room: RoomId, hint: Hint) -> bytes:
    """The hint as it travels on `room:<room>`."""
    return seal(key, room, _encoder.encode(hint))


def decode_hint(key: bytes, room: RoomId, data: bytes) -> Hint | None:
    """The hint, or None when its tag does not hold: then it is only a reason to read the log."""
    body = unseal(key, room, data)
    try:
        return None if body is None else _decoder.decode(body)
    except msgspec.DecodeError:
        return None

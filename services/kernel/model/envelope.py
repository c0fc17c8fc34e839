"""Envelopes: one immutable message as the JSON text its author made; nobody re-encodes it."""

import hashlib
import re

import msgspec

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import GUEST_PREFIX, MessageId, PeerId, RoomId, parse_message_id

_HLC = re.compile(r"[0-9a-f]{12}-[0-9a-f]{4}")
_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,31}")
_HEX64 = re.compile(r"[0-9a-f]{16}")
_MAX_N = 2**53


class _Wire(msgspec.Struct, frozen=True):
    id: str
    room: str
    sender: str
    kind: str
    hlc: str
    body: msgspec.Raw
    stream: str | None = None
    n: int | None = None
    to: msgspec.Raw = msgspec.Raw()
    keep: bool = True


class TextBody(msgspec.Struct, frozen=True):
    """The body of kind `text`: what was said, and the name its author then had."""

    text: str
    name: str


class Envelope(msgspec.Struct, frozen=True):
    """The fields of one envelope that a node looks at, beside the text itself.

    `digest` tells whether two sends of one (sender, id) are the same message: over the whole text
    when signed, over kind and body when not (a guest's client may stamp a retry anew).
    """

    env: str
    id: MessageId
    room: RoomId
    sender: PeerId
    kind: str
    hlc: str
    body: bytes
    digest: bytes
    keep: bool = True
    """False: its author sent it from browser to browser for no log to hold."""

    @property
    def ms(self) -> int:
        """The author's time, Unix milliseconds of the node's clock as the author knew it."""
        return int(self.hlc[:12], 16)

    def text_body(self) -> TextBody:
        """The body of a `text` envelope; raises Fault(BAD_REQUEST) where it has another form."""
        try:
            return msgspec.json.decode(self.body, type=TextBody)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _bad("a text has the body {text, name}") from None


_decoder = msgspec.json.Decoder(_Wire)


def _bad(detail: str) -> Fault:
    return Fault(ErrorCode.BAD_REQUEST, detail)


def parse(env: str) -> Envelope:
    """The envelope that this text is; raises Fault(BAD_REQUEST).

    The text must have passed `wire.strict.check`. Whether room and sender are the bound ones, and
    whether the body of a known kind is well formed, is judged by the caller.
    """
    try:
        wire = _decoder.decode(env)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise _bad("an envelope has id, room, sender, stream, n, kind, hlc, body") from None
    if not (_HLC.fullmatch(wire.hlc) and _KIND.fullmatch(wire.kind)):
        raise _bad("hlc is 12 hex digits, -, 4 hex digits; kind is a lower-case word")
    if bytes(wire.to):
        raise _bad("to is reserved")
    _check_stream(wire)
    body = bytes(wire.body)
    signed = not wire.sender.startswith(GUEST_PREFIX)
    return Envelope(
        env=env,
        id=parse_message_id(wire.id),
        room=RoomId(wire.room),
        sender=PeerId(wire.sender),
        kind=wire.kind,
        hlc=wire.hlc,
        body=body,
        keep=wire.keep,
        digest=_digest(env.encode()) if signed else _digest(wire.kind.encode() + b"\0" + body),
    )


def _check_stream(wire: _Wire) -> None:
    if wire.sender.startswith(GUEST_PREFIX) and wire.stream is None and wire.n is None:
        return
    if wire.stream is None or not _HEX64.fullmatch(wire.stream):
        raise _bad("stream is 16 hex digits")
    if wire.n is None or not 0 <= wire.n <= _MAX_N:
        raise _bad("n is a whole number from 0 to 2^53")


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()

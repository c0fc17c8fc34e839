"""The storage service's stream door: length-prefixed msgpack, many requests in flight on one connection.

A connection opens with `Knock`; requests carry a number that their reply repeats. Frames are a
4-byte big-endian length and that many bytes.
"""

import hashlib

import msgspec

from services.kernel.model import mac
from services.kernel.wire.rows import Appended, Page, Received, Span

MAX_FRAME = 32 * 1024 * 1024
HEADER = 4


class _Ask(msgspec.Struct, frozen=True, array_like=True, tag=True):
    n: int


class Knock(_Ask, frozen=True):
    """First frame of a connection: the service token of this node."""

    token: bytes


class Append(_Ask, frozen=True):
    """Store these, in this order; the reply is `Stored`, given after the commit."""

    batch: list[Received]


class After(_Ask, frozen=True):
    """Rows with seq above the cursor, oldest first; an empty cursor means from the floor."""

    room: str
    cursor: str
    limit: int


class Before(_Ask, frozen=True):
    """Rows with seq at or below the cursor, newest first; an empty cursor means from the head."""

    room: str
    cursor: str
    limit: int


class Since(_Ask, frozen=True):
    """Which rows of kind `text` are newer than this second, at most `limit`, no second cut."""

    room: str
    second: int
    limit: int


class Moved(_Ask, frozen=True):
    """Every room that grew or whose floor rose since the mark; None asks for the mark of now."""

    mark: int | None


Ask = Knock | Append | After | Before | Since | Moved


class _Reply(msgspec.Struct, frozen=True, array_like=True, tag=True):
    n: int


class Stored(_Reply, frozen=True):
    """One `Appended` for each message of the batch, in its order."""

    results: list[Appended]


class Paged(_Reply, frozen=True):
    """Reply to After and Before."""

    page: Page


class Spanned(_Reply, frozen=True):
    """Reply to Since."""

    span: Span


class Grown(_Reply, frozen=True):
    """Reply to Moved: the log, the new mark, head and floor of every such room."""

    log_id: str
    mark: int
    rooms: list[tuple[str, int, int]]


class Fine(_Reply, frozen=True):
    """Reply to Knock."""


class Refused(_Reply, frozen=True):
    """The request was refused."""

    code: str
    detail: str
    retry: float | None


Reply = Stored | Paged | Spanned | Grown | Fine | Refused

encoder = msgspec.msgpack.Encoder()
ask_decoder: msgspec.msgpack.Decoder[Ask] = msgspec.msgpack.Decoder(Ask)
reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def service_token(secret: bytes) -> bytes:
    """What a service of this node shows at the storage door (docs/security.md S22)."""
    return hashlib.blake2b(mac.subkey(secret, "storage.door"), digest_size=32).digest()


def pack(frame: Ask | Reply) -> bytes:
    """A frame with its length in front."""
    body = encoder.encode(frame)
    return len(body).to_bytes(HEADER, "big") + body


class Splitter:
    """Cuts a byte stream into frames."""

    def __init__(self, most: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self.most = most

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are whole after these bytes; raises ValueError for one above the size limit."""
        self._buffer += data
        frames: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= HEADER:
            size = int.from_bytes(self._buffer[start : start + HEADER], "big")
            if size > self.most:
                raise ValueError("frame too large")
            end = start + HEADER + size
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[start + HEADER : end]))
            start = end
        del self._buffer[:start]
        return frames

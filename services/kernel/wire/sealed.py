"""What travels on the bus about a room: a keyed tag and a body; the bus is untrusted (docs/security.md S21)."""

from services.kernel.model import mac
from services.kernel.model.ids import RoomId


def seal(key: bytes, room: RoomId, body: bytes) -> bytes:
    """Tag and body."""
    return mac.tag(key, room.encode(), body) + body


def unseal(key: bytes, room: RoomId, data: bytes) -> bytes | None:
    """The body, or None when its tag does not hold for this room."""
    given, body = data[: mac.TAG_BYTES], data[mac.TAG_BYTES :]
    return body if mac.matches(mac.tag(key, room.encode(), body), given) else None

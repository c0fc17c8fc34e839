"""The only place where subjects and keys on the bus are spelled."""

from services.kernel.bus.base import Subject
from services.kernel.model.ids import PeerId, RoomId, SessionId


def room_log(room: RoomId) -> Subject:
    """Hints that the room's log grew; published by storage alone."""
    return Subject(f"room:{room}")


def room_signals(room: RoomId) -> Subject:
    """Signals and presence of the room, between replicas."""
    return Subject(f"signal:{room}")


def roster(room: RoomId) -> str:
    """Group of leases: the live sessions of the room."""
    return f"roster:{room}"


def nonce(text: str) -> str:
    """Key of a join nonce that was spent."""
    return f"nonce:{text}"


def mailbox(room: RoomId, peer: PeerId, session: SessionId) -> str:
    """Signals that wait for a session which polls."""
    return f"mail:{room}:{session}:{peer}"


def level(what: str, who: str) -> str:
    """A token bucket: `what` it limits, `who` fills it."""
    return f"level:{what}:{who}"


TRANSPORT_STATUS = "transport:status"
"""Group of leases: what each transport process says of itself."""

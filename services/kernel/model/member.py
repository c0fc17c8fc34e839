"""Who joined which room: the result of a join, whatever door it came through."""

import msgspec

from services.kernel.model.ids import PeerId, RoomId, SessionId


class Member(msgspec.Struct, frozen=True):
    """One session of one peer, bound to one room.

    `pk` is the wire form of the peer's public key; None marks a guest, whose `peer` is `guest:<label>`.
    """

    room: RoomId
    peer: PeerId
    session: SessionId
    name: str
    pk: str | None = None

    @property
    def verified(self) -> bool:
        """Whether the peer proved that it holds its key."""
        return self.pk is not None

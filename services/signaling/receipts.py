"""Receipts: how far the sessions of a room are, told to its sockets here and to the other processes once a second.

The words are kept in memory and ride on the roster's leases, never in the store (decision 010).
"""

import asyncio

from services.kernel.wire import codec
from services.kernel.wire.frames import ReceiptRow
from services.kernel.wire.frames import Receipts as Frame
from services.kernel.wire.limits import RECEIPTS_S
from services.kernel.wire.roster import Marked
from services.signaling.presence import Presence
from services.signaling.room import Room, Rooms

_LOOK_S = 0.25


class Receipts:
    """Tells what has changed in the rooms of this process."""

    def __init__(self, presence: Presence, rooms: Rooms) -> None:
        self._presence, self._rooms = presence, rooms

    async def run(self) -> None:
        """Until cancelled: each room in which somebody came further, at most once a second."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now = asyncio.get_running_loop().time()
            for room in [each for each in self._rooms.stirred if now - each.marks_told >= RECEIPTS_S]:
                room.marks_told = now
                await self._tell(room)

    async def _tell(self, room: Room) -> None:
        place = room.channel.feed.place
        fresh, said = room.marks.fresh(place.log_id, place.last), room.marks.said()
        behind = self._send(room, fresh)
        if not behind and not room.marks.waiting:
            self._rooms.stirred.discard(room)
        links = [link for peer, session, _ in said if (link := room.links.get((peer, session))) is not None]
        if said:
            await self._presence.hold(room, links)
            room.publish(Marked(self._rooms.replica, said))

    def _send(self, room: Room, fresh: list[ReceiptRow]) -> bool:
        """One frame, built once; a socket that was too slow for one gets everything later. Whether there is such."""
        place = room.channel.feed.place
        links = [link for link in room.links.values() if not link.reference]
        data = codec.encode(Frame(place.log_id, fresh))
        for link in links:
            if link.outlet.full:
                link.owed = True
            elif link.owed:
                link.owed = False
                link.outlet.send(Frame(place.log_id, room.marks.rows(place.log_id, place.last)))
            elif fresh:
                link.outlet.send_json(data)
        return any(link.owed for link in links)

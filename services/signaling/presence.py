"""Presence: this process's sessions held in the shared roster, and joined/left with their grace.

Redis is where replicas meet, not what presence rests on: while it is away nobody is shown as gone.
"""

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from services.kernel.bus import subjects
from services.kernel.bus.base import Away, Lease, Leases
from services.kernel.model.errors import Fault, unavailable
from services.kernel.model.ids import RoomId
from services.kernel.model.member import Member
from services.kernel.wire.limits import LEASE_RENEW_S, LEASE_S, LEAVE_GRACE_S
from services.kernel.wire.roster import (
    REFERENCE,
    SOCKET,
    Came,
    Entry,
    Key,
    Left,
    after,
    check_age,
    check_counts,
    check_label,
    check_owner,
    decode_entry,
    encode_entry,
    entry,
    field,
    words,
)
from services.signaling.room import Link, Room, Rooms

_LOOK_AGAIN_S = 1.0


class Presence:
    """Sessions of this process in the shared roster."""

    def __init__(self, leases: Leases, rooms: Rooms, most_sockets: int, most_peers: int) -> None:
        self._leases, self._rooms = leases, rooms
        self._most_sockets, self._most_peers = most_sockets, most_peers
        self._leaving: dict[tuple[RoomId, Key], asyncio.Task[None]] = {}
        self._stopped = False

    async def come(self, room: Room, link: Link) -> None:
        """Lets the session in and tells the room; raises Fault when the room or the address is full, a guest's
        label is the name of a verified peer, the session is live and another's, or this socket is not the
        youngest of its session or has closed."""
        shared = (await self._look(room)) or [{}]
        here = room.view.entries | room.coming
        link.since = after(here.get(link.key), after(shared[0].get(link.key), link.since))
        mine = self._entry(room, link)
        check_owner(link.key, link.owner, here)
        check_age(mine, here)
        check_counts(mine, here, self._most_sockets, self._most_peers)
        if not mine.verified:
            check_label(mine.name, here.values())
        room.coming[link.key] = mine  # counted from now on, without a pause since the check
        try:
            await self._let_in(room, link, mine)
        finally:
            room.coming.pop(link.key, None)

    async def knows(self, member: Member) -> bool:
        """Whether the session is in the roster, live or gone for less than its grace."""
        key = (member.peer, member.session)
        room = self._rooms.open.get(member.room)
        if room is not None and key in room.view.entries:
            return True
        try:
            (found,) = await self._leases.holders([subjects.roster(member.room)])
        except Away:
            return False
        return key in _live(found)

    async def _let_in(self, room: Room, link: Link, mine: Entry) -> None:
        if not link.outlet.open:
            raise unavailable("the socket has closed")
        leaving = self._leaving.pop((room.name, link.key), None)
        if leaving is not None:
            leaving.cancel()
        await self._hold(room, [mine])
        try:  # it may have come back elsewhere meanwhile
            if not link.outlet.open:
                raise unavailable("the socket has closed")
            check_age(mine, room.view.entries)
        except Fault:
            await self._release(room, mine)
            raise
        old = room.links.get(link.key)
        if old is not None:
            room.replace(old)
        room.links[link.key] = link  # from here on it is sent frames, and `welcome` comes before them
        room.apply(Came(self._rooms.replica, mine))

    async def renamed(self, room: Room, link: Link, name: str) -> None:
        """The peer is shown under another name from now on."""
        link.member = msgspec.structs.replace(link.member, name=name)
        mine = self._entry(room, link)
        await self._hold(room, [mine])
        room.apply(Came(self._rooms.replica, mine))

    def stop(self) -> None:
        """The process drains: its sessions come back elsewhere, so nobody is told that they left."""
        self._stopped = True
        for task in self._leaving.values():
            task.cancel()

    def go(self, room: Room, link: Link) -> None:
        """The socket has closed: ten seconds later the room is told, unless the session comes back."""
        if room.links.get(link.key) is link:
            del room.links[link.key]
        if link.replaced or self._stopped:
            return
        key = (room.name, link.key)
        self._leaving[key] = self._rooms.group.create_task(self._leave(room.name, link))

    async def _leave(self, name: RoomId, link: Link) -> None:
        try:
            async with self._rooms.use(name) as room:
                known = room.view.entries.get(link.key)
                if known is not None and known.since > link.since:
                    return  # it has come back elsewhere already
                gone = msgspec.structs.replace(self._entry(room, link), gone=True)
                room.view.entries[link.key] = gone
                await self._hold(room, [gone])
                await asyncio.sleep(LEAVE_GRACE_S)
                while not await self.look(room):  # noqa: ASYNC110 - Redis has no Event; without it nobody leaves
                    await asyncio.sleep(_LOOK_AGAIN_S)
                now = room.view.entries.get(link.key)
                if now is not None and (now.since > link.since or not now.gone):
                    return  # it came back at another replica, or polls
                await self._release(room, gone)
                room.apply(Left(self._rooms.replica, *link.key, link.since))
        finally:
            if self._leaving.get((name, link.key)) is asyncio.current_task():
                del self._leaving[(name, link.key)]

    async def run(self) -> None:
        """Every five seconds: says again who is here, and looks who is elsewhere."""
        while True:
            await asyncio.sleep(LEASE_RENEW_S)
            rooms = list(self._rooms.open.values())
            for room in rooms:
                await self.hold(room, room.links.values())
            await self.look(*rooms)

    async def hold(self, room: Room, links: Iterable[Link]) -> None:
        """Says that these sessions are here, and how far they are."""
        await self._hold(room, [self._entry(room, link) for link in links])

    async def look(self, *rooms: Room) -> bool:
        """Brings the views of these rooms up to the shared roster; whether it could be read."""
        return not rooms or await self._look(*rooms) is not None

    async def _look(self, *rooms: Room) -> list[dict[Key, Entry]] | None:
        """What the shared roster has of each, sessions in their grace too; None when it could not be read."""
        try:
            leases = await self._leases.holders([subjects.roster(room.name) for room in rooms])
        except Away:
            return None
        now = asyncio.get_running_loop().time()
        found = [_live(each) for each in leases]
        for room, entries in zip(rooms, found, strict=True):
            room.tell(room.view.snapshot(entries, set(room.links), now))
            room.mark(words(entries.values()))
        return found

    async def _hold(self, room: Room, entries: list[Entry]) -> None:
        if not entries:
            return
        facts = {field(each.key): encode_entry(each) for each in entries}
        try:
            await self._leases.hold(subjects.roster(room.name), facts, LEASE_S)
        except Away:
            return

    async def _release(self, room: Room, gone: Entry) -> None:
        try:
            await self._leases.release(subjects.roster(room.name), {field(gone.key): encode_entry(gone)})
        except Away:
            return

    def _entry(self, room: Room, link: Link) -> Entry:
        via = REFERENCE if link.reference else SOCKET
        mine = entry(link.member, via, link.since, link.address, link.challenged)
        return msgspec.structs.replace(mine, mark=room.marks.of(link.key))


def _live(leases: Mapping[str, Lease]) -> dict[Key, Entry]:
    found = (decode_entry(lease.payload) for lease in leases.values() if lease.live)
    return {each.key: each for each in found if each is not None}

"""Sockets of reference clients: guests by their query string, who send and get offer, answer and ice alone."""

import msgspec
import structlog
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from services.kernel.model.clock import Clock
from services.kernel.model.errors import CloseCode, ErrorCode, Fault
from services.kernel.model.member import Member
from services.kernel.run.limits import Budgets, Payer
from services.kernel.run.log import short
from services.kernel.wire import strict
from services.kernel.wire.frames import Answer, Ice, Offer
from services.kernel.wire.roster import REFERENCE
from services.kernel.wire.session import signal
from services.signaling.fanout import Outlet
from services.signaling.handshake import reference_member
from services.signaling.presence import Presence
from services.signaling.room import Link, Room, Rooms

log = structlog.get_logger()

_frame = msgspec.json.Decoder(Offer | Answer | Ice)


class ReferenceSockets:
    """Serves the reference clients of this process."""

    def __init__(self, rooms: Rooms, presence: Presence, clock: Clock, budgets: Budgets) -> None:
        self._rooms, self._presence, self._clock, self._budgets = rooms, presence, clock, budgets

    async def serve(self, connection: ServerConnection, request: Request, address: bytes) -> None:
        """One socket from its 101 to its end."""
        member = reference_member(request.path)
        outlet = Outlet(connection)
        try:
            self._budgets.join(Payer(member.peer, member.verified, address), known=False)
            async with self._rooms.use(member.room) as room:
                now = self._clock.wall_ms()
                link = Link(member, outlet, reference=True, since=now, address=address, owner=False)
                await self._arrive(room, link)
                try:
                    log.info("peer.joined", peer=short(member.peer), room=member.room, reference=True)
                    await self._read(room, link)
                finally:
                    self._presence.go(room, link)
        except Fault as fault:
            code = CloseCode.LABEL_IN_USE if fault.code is ErrorCode.FORBIDDEN else CloseCode.TRY_LATER
            await connection.close(code, fault.detail[:100])

    async def _arrive(self, room: Room, link: Link) -> None:
        """Brings a reference socket into the roster; it has its 101, so signals reach it meanwhile. Raises Fault."""
        taken = any(other.member.peer == link.member.peer for other in room.arriving)
        room.arriving.add(link)
        try:
            if taken:
                raise Fault(ErrorCode.FORBIDDEN, "another socket has this name")
            await self._presence.look(room)
            await self._claim_label(room, link.member)
            await self._presence.come(room, link)
            room.catch_up(link)
        finally:
            room.arriving.discard(link)

    async def _claim_label(self, room: Room, member: Member) -> None:
        """Raises Fault when another reference socket has the label and still answers."""
        for each in list(room.view.entries.values()):
            if each.peer != member.peer or each.via != REFERENCE or each.gone:
                continue
            other = room.links.get(each.key)
            if other is None or await other.answers():
                raise Fault(ErrorCode.FORBIDDEN, "another socket has this name")
            room.replace(other)

    async def _read(self, room: Room, link: Link) -> None:
        """Relays offer, answer and ice; whatever else a reference client sends is dropped."""
        async for text in link.outlet.connection:
            await link.outlet.drained()
            try:
                self._budgets.frame(link.payer)
            except Fault:
                await self._budgets.rest(link.payer)
                continue
            if not isinstance(text, str):
                continue
            try:
                strict.check(text)
                frame = _frame.decode(text)
                room.relay(link, signal(link.member, frame, self._rooms.replica))
            except (Fault, msgspec.DecodeError):
                continue

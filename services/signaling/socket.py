"""The WebSocket shell: handshake, hello, frames in of `egoat.1`; the reference client's dialect is reference.py."""

import asyncio
from collections.abc import Sequence

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from services.kernel.log.client import StorageClient, conflict
from services.kernel.model.clock import Clock
from services.kernel.model.errors import CloseCode, ErrorCode, Fault
from services.kernel.model.ids import Cursor, parse_room
from services.kernel.model.join import Admitted, JoinRequest
from services.kernel.model.member import Member
from services.kernel.run.joining import Joining
from services.kernel.run.limits import Budgets, Payer
from services.kernel.run.log import short
from services.kernel.run.origin import Door, Tags
from services.kernel.run.relaying import TurnDesk
from services.kernel.wire import codec
from services.kernel.wire.frames import (
    Ack,
    Challenge,
    Hello,
    Name,
    Pong,
    Send,
    Up,
    Welcome,
)
from services.kernel.wire.limits import HELLO_S
from services.kernel.wire.receipts import Mark
from services.kernel.wire.roster import Signalled, check_label, peers
from services.kernel.wire.rows import Appended, Received
from services.kernel.wire.session import Rename, judge, message_id
from services.signaling.fanout import Outlet, Stuck
from services.signaling.handshake import (
    SUBPROTOCOL,
    VERSION,
    another_version,
    one_header,
    reference_member,
    refusal,
)
from services.signaling.presence import Presence
from services.signaling.reference import ReferenceSockets
from services.signaling.room import Link, Room, Rooms

_VERSION = 1
_MOST_IN_FLIGHT = 256

log = structlog.get_logger()

_CLOSE = {
    ErrorCode.UNAUTHORIZED: CloseCode.JOIN_STALE,
    ErrorCode.UNAVAILABLE: CloseCode.TRY_LATER,
    ErrorCode.TOO_MANY: CloseCode.TRY_LATER,
}
"""How a refused join closes; every other refusal is final (1008)."""


class Sockets:
    """Serves every socket of this process."""

    def __init__(
        self,
        rooms: Rooms,
        presence: Presence,
        storage: StorageClient,
        joining: Joining,
        door: Door,
        clock: Clock,
        tags: Tags,
        budgets: Budgets,
        turn: TurnDesk,
    ) -> None:
        self._rooms, self._presence, self._storage = rooms, presence, storage
        self._joining, self._door, self._clock = joining, door, clock
        self._tags, self._budgets, self._turn = tags, budgets, turn
        self._reference = ReferenceSockets(rooms, presence, clock, budgets)

    def choose(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """`egoat.1` when offered; a client without it is a reference client."""
        return SUBPROTOCOL if SUBPROTOCOL in offered else None

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Judges the handshake; a reference client gets its 101 only once its room's subscription stands."""
        try:
            origin, host = one_header(request, "Origin"), one_header(request, "Host")
            if host is None:
                raise Fault(ErrorCode.BAD_REQUEST, "a handshake has a Host header")
            if one_header(request, "Sec-WebSocket-Version") not in (None, VERSION):
                return another_version(connection)
            if request.path.partition("?")[0] != "/signal":
                raise Fault(ErrorCode.NOT_FOUND, "signaling is at /signal")
            if origin is not None and not self._door.allows(origin, host):
                raise Fault(ErrorCode.FORBIDDEN, "this origin may not connect")
            offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
            if SUBPROTOCOL not in [part.strip() for part in offered.split(",")]:
                await self._check_reference(reference_member(request.path), self._tag(connection, request))
        except Fault as fault:
            return refusal(connection, fault)
        return None

    async def _check_reference(self, member: Member, address: bytes) -> None:
        """Raises Fault(FORBIDDEN) for a verified peer's name. Nothing is opened for who has joined too often: its
        socket closes with 1013."""
        if self._budgets.may_join(Payer(member.peer, member.verified, address)):
            async with self._rooms.use(member.room) as room:
                await self._presence.look(room)
                check_label(member.name, room.view.entries.values())

    def _tag(self, connection: ServerConnection, request: Request) -> bytes:
        forwarded = ",".join(request.headers.get_all("X-Forwarded-For"))
        return self._tags.of(self._door.address(connection.remote_address[0], forwarded))

    async def serve(self, connection: ServerConnection) -> None:
        """One socket from its handshake to its end."""
        request = connection.request
        assert request is not None
        tag = self._tag(connection, request)
        try:
            if connection.subprotocol == SUBPROTOCOL:
                await self._serve_own(connection, request, tag)
            else:
                await self._reference.serve(connection, request, tag)
        except ConnectionClosed:
            return
        except Stuck:
            await connection.close(CloseCode.SLOW, "no progress for 10 s")

    async def _serve_own(self, connection: ServerConnection, request: Request, address: bytes) -> None:
        outlet, challenged = Outlet(connection), self._clock.wall_ms()
        try:
            try:
                hello, admitted = await self._greet(connection, outlet, request, challenged)
            except TimeoutError:
                await connection.close(CloseCode.HELLO_LATE, "no hello within 5 s")
                return
            after = Cursor.parse(hello.after) if hello.after else None
            member, now = admitted.member, self._clock.wall_ms()
            await self._charge_join(admitted, Payer(member.peer, member.verified, address))
            async with self._rooms.use(member.room) as room:
                link = Link(
                    member,
                    outlet,
                    reference=False,
                    since=now,
                    address=address,
                    owner=admitted.owner,
                    challenged=challenged,
                )
                await self._presence.come(room, link)
                try:
                    self._welcome(room, link, after, one_header(request, "Host") or "")
                    log.info("peer.joined", peer=short(member.peer), room=member.room)
                    await self._read(room, link)
                finally:
                    room.channel.stop(outlet)
                    self._presence.go(room, link)
        except Fault as fault:
            outlet.send(codec.fault_frame(fault))
            await asyncio.sleep(0)
            await connection.close(_CLOSE.get(fault.code, CloseCode.POLICY), fault.detail[:100])

    async def _charge_join(self, admitted: Admitted, payer: Payer) -> None:
        """Raises Fault(TOO_MANY); who shows that a session of the roster is its own comes back for free."""
        known = admitted.resumed or (admitted.owner and await self._presence.knows(admitted.member))
        self._budgets.join(payer, known=known)

    async def _greet(
        self, connection: ServerConnection, outlet: Outlet, request: Request, now: int
    ) -> tuple[Hello, Admitted]:
        """Challenge out, hello in; raises Fault, or TimeoutError after five seconds."""
        async with asyncio.timeout(HELLO_S):
            outlet.send(Challenge(self._joining.nonce(), now))
            hello = codec.decode_up(await _text(connection))
        if not isinstance(hello, Hello) or _VERSION not in hello.v:
            raise Fault(ErrorCode.BAD_REQUEST, "the first frame is hello with v: [1]")
        room = parse_room(hello.room)
        asked = JoinRequest(
            hello.session, hello.name, hello.pk, hello.nonce, hello.origin, hello.sig, hello.token
        )
        origin, host = one_header(request, "Origin"), one_header(request, "Host") or ""
        return hello, await self._joining.admit(room, asked, origin, host)

    def _welcome(self, room: Room, link: Link, after: Cursor | None, host: str) -> None:
        member = link.member
        head = room.channel.feed.place
        link.outlet.send(
            Welcome(
                v=_VERSION,
                peer_id=member.peer,
                token=self._joining.token(member),
                log_id=head.log_id,
                head=head.last,
                floor=room.channel.feed.floor,
                now=self._clock.wall_ms(),
                roster=peers(room.view.entries.values()),
                turn=self._turn.offer(link.payer, host),
                receipts=room.marks.rows(head.log_id, head.last),
            )
        )
        room.channel.start(link.outlet, after)

    async def _read(self, room: Room, link: Link) -> None:
        """Takes frames until the socket ends; a client that does not read is not read either."""
        in_flight: set[asyncio.Future[Appended]] = set()
        async for text in link.outlet.connection:
            await link.outlet.drained()
            if len(in_flight) >= _MOST_IN_FLIGHT:
                await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
            try:
                if not isinstance(text, str):
                    raise Fault(ErrorCode.BAD_REQUEST, "frames are text")
                frame = codec.decode_up(text)
            except Fault as fault:
                await self._refuse(link, fault)
                continue
            await self._on_frame(room, link, frame, in_flight)

    async def _refuse(self, link: Link, fault: Fault) -> None:
        """Says what is wrong with text that is no frame; such text costs a frame."""
        try:
            self._budgets.frame(link.payer)
        except Fault as too_many:
            fault = too_many
            await self._rest(link)
        link.outlet.send(codec.fault_frame(fault))

    async def _rest(self, link: Link) -> None:
        """What a closed socket still brought is not waited for: its end would be noticed late."""
        if link.outlet.open:
            await self._budgets.rest(link.payer)

    def _charge(self, room: Room, link: Link, frame: Up) -> None:
        """Raises Fault(TOO_MANY). A new name costs as much as a message: everyone is told of it."""
        match frame:
            case Send():
                self._budgets.send(link.payer, room.name, new=room.channel.feed.place.last == 0)
            case Name():
                self._budgets.send(link.payer, room.name)
            case _:
                self._budgets.frame(link.payer)

    async def _on_frame(
        self, room: Room, link: Link, frame: Up, in_flight: "set[asyncio.Future[Appended]]"
    ) -> None:
        now = self._clock.wall_ms()
        try:
            self._charge(room, link, frame)
            outcome = judge(link.member, frame, self._rooms.replica, now)
            match outcome:
                case Received():
                    place = self._storage.submit(outcome)
                    in_flight.add(place)
                    place.add_done_callback(in_flight.discard)
                    place.add_done_callback(lambda done: self._stored(link, outcome, done))
                case Pong():
                    link.outlet.send(outcome)
                case Signalled():
                    room.relay(link, outcome)
                case Mark():
                    room.mark([(*link.key, outcome)], own=True)
                case Rename():
                    await self._presence.renamed(room, link, outcome.name)
        except Fault as fault:
            link.outlet.send(codec.fault_frame(fault, message_id(frame), now))
            if fault.code is ErrorCode.TOO_MANY:
                await self._rest(link)

    def _stored(self, link: Link, message: Received, done: "asyncio.Future[Appended]") -> None:
        """Acks once the message is on disk."""
        if done.cancelled():
            return
        problem = done.exception()
        if problem is None:
            stored = done.result()
            if stored.fresh and stored.seq == 1:
                self._budgets.created(link.payer)
            if not stored.conflict:
                link.outlet.send(Ack(message.id, stored.seq, stored.log_id, stored.at))
                return
            problem = conflict()
        if isinstance(problem, Fault):
            link.outlet.send(codec.fault_frame(problem, message.id))


async def _text(connection: ServerConnection) -> str:
    received = await connection.recv()
    if not isinstance(received, str):
        raise Fault(ErrorCode.BAD_REQUEST, "frames are text")
    return received

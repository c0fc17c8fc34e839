"""The WebSocket shell: handshake, hello, frames in; two dialects, `egoat.1` and the reference client's."""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from services.kernel.log.client import StorageClient, conflict
from services.kernel.model import mac
from services.kernel.model.clock import Clock
from services.kernel.model.errors import CloseCode, ErrorCode, Fault
from services.kernel.model.ids import Cursor, parse_room
from services.kernel.model.join import Admitted, JoinRequest
from services.kernel.model.member import Member
from services.kernel.run.joining import Joining
from services.kernel.run.log import short
from services.kernel.run.origin import Door
from services.kernel.wire import codec, strict
from services.kernel.wire.frames import Ack, Answer, Challenge, Hello, Ice, Offer, Pong, Up, Welcome
from services.kernel.wire.limits import HELLO_S
from services.kernel.wire.roster import REFERENCE, Signalled, check_label, peers
from services.kernel.wire.rows import Appended, Received
from services.kernel.wire.session import Rename, judge, message_id, signal
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
        address_key: bytes,
    ) -> None:
        self._rooms, self._presence, self._storage = rooms, presence, storage
        self._joining, self._door, self._clock = joining, door, clock
        self._address_key = address_key

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
                member = reference_member(request.path)
                async with self._rooms.use(member.room) as room:
                    await self._presence.look(room)
                    check_label(member.name, room.view.entries.values())
        except Fault as fault:
            return refusal(connection, fault)
        return None

    async def serve(self, connection: ServerConnection) -> None:
        """One socket from its handshake to its end."""
        request = connection.request
        assert request is not None
        forwarded = ",".join(request.headers.get_all("X-Forwarded-For"))
        address = self._door.address(connection.remote_address[0], forwarded)
        tag = mac.tag(self._address_key, address.encode())[:8] if address else b""
        try:
            if connection.subprotocol == SUBPROTOCOL:
                await self._serve_own(connection, request, tag)
            else:
                await self._serve_reference(connection, request, tag)
        except ConnectionClosed:
            return
        except Stuck:
            await connection.close(CloseCode.SLOW, "no progress for 10 s")

    async def _serve_own(self, connection: ServerConnection, request: Request, address: bytes) -> None:
        outlet = Outlet(connection)
        try:
            try:
                hello, admitted = await self._greet(connection, outlet, request)
            except TimeoutError:
                await connection.close(CloseCode.HELLO_LATE, "no hello within 5 s")
                return
            after = Cursor.parse(hello.after) if hello.after else None
            member, now = admitted.member, self._clock.wall_ms()
            async with self._rooms.use(member.room) as room:
                link = Link(member, outlet, reference=False, since=now, address=address, owner=admitted.owner)
                await self._presence.come(room, link)
                try:
                    self._welcome(room, link, after)
                    log.info("peer.joined", peer=short(member.peer), room=member.room)
                    await self._read(room, link)
                finally:
                    room.channel.stop(outlet)
                    self._presence.go(room, link)
        except Fault as fault:
            outlet.send(codec.fault_frame(fault))
            await asyncio.sleep(0)
            await connection.close(_CLOSE.get(fault.code, CloseCode.POLICY), fault.detail[:100])

    async def _greet(
        self, connection: ServerConnection, outlet: Outlet, request: Request
    ) -> tuple[Hello, Admitted]:
        """Challenge out, hello in; raises Fault, or TimeoutError after five seconds."""
        async with asyncio.timeout(HELLO_S):
            outlet.send(Challenge(self._joining.nonce(), self._clock.wall_ms()))
            hello = codec.decode_up(await _text(connection))
        if not isinstance(hello, Hello) or _VERSION not in hello.v:
            raise Fault(ErrorCode.BAD_REQUEST, "the first frame is hello with v: [1]")
        room = parse_room(hello.room)
        asked = JoinRequest(
            hello.session, hello.name, hello.pk, hello.nonce, hello.origin, hello.sig, hello.token
        )
        origin, host = one_header(request, "Origin"), one_header(request, "Host") or ""
        return hello, await self._joining.admit(room, asked, origin, host)

    def _welcome(self, room: Room, link: Link, after: Cursor | None) -> None:
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
                turn=None,
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
                link.outlet.send(codec.fault_frame(fault))
                continue
            await self._on_frame(room, link, frame, in_flight)

    async def _on_frame(
        self, room: Room, link: Link, frame: Up, in_flight: "set[asyncio.Future[Appended]]"
    ) -> None:
        now = self._clock.wall_ms()
        try:
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
                case Rename():
                    await self._presence.renamed(room, link, outcome.name)
        except Fault as fault:
            link.outlet.send(codec.fault_frame(fault, message_id(frame), now))

    def _stored(self, link: Link, message: Received, done: "asyncio.Future[Appended]") -> None:
        """Acks once the message is on disk."""
        if done.cancelled():
            return
        problem = done.exception()
        if problem is None:
            stored = done.result()
            if not stored.conflict:
                link.outlet.send(Ack(message.id, stored.seq, stored.log_id, stored.at))
                return
            problem = conflict()
        if isinstance(problem, Fault):
            link.outlet.send(codec.fault_frame(problem, message.id))

    async def _serve_reference(self, connection: ServerConnection, request: Request, address: bytes) -> None:
        member = reference_member(request.path)
        outlet = Outlet(connection)
        async with self._rooms.use(member.room) as room:
            now = self._clock.wall_ms()
            link = Link(member, outlet, reference=True, since=now, address=address, owner=False)
            try:
                await self._arrive(room, link)
            except Fault as fault:
                code = CloseCode.TRY_LATER if fault.code is ErrorCode.TOO_MANY else CloseCode.LABEL_IN_USE
                await connection.close(code, fault.detail[:100])
                return
            try:
                log.info("peer.joined", peer=short(member.peer), room=member.room, reference=True)
                await self._read_reference(room, link)
            finally:
                self._presence.go(room, link)

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

    async def _read_reference(self, room: Room, link: Link) -> None:
        """Relays offer, answer and ice; whatever else a reference client sends is dropped."""
        async for text in link.outlet.connection:
            await link.outlet.drained()
            if not isinstance(text, str):
                continue
            try:
                strict.check(text)
                frame = _reference_frame.decode(text)
                room.relay(link, signal(link.member, frame, self._rooms.replica))
            except (Fault, msgspec.DecodeError):
                continue


_reference_frame = msgspec.json.Decoder(Offer | Answer | Ice)


async def _text(connection: ServerConnection) -> str:
    received = await connection.recv()
    if not isinstance(received, str):
        raise Fault(ErrorCode.BAD_REQUEST, "frames are text")
    return received

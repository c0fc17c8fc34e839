"""What the routes stand on: this replica's clients of storage and Redis, and what several routes ask of them."""

import asyncio
import secrets

import msgspec
from starlette.requests import Request

from services.kernel.bus import subjects
from services.kernel.bus.base import Away, Bus, Leases, Mail
from services.kernel.log.client import StorageClient
from services.kernel.log.feed import Feeds
from services.kernel.model.clock import Clock
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import PeerId, RoomId
from services.kernel.model.member import Member
from services.kernel.run.joining import Joining
from services.kernel.run.limits import Budgets, Payer
from services.kernel.run.origin import Door, Tags
from services.kernel.run.relaying import TurnDesk
from services.kernel.run.settings import Limits, Public
from services.kernel.wire.limits import LEASE_S
from services.kernel.wire.receipts import Mark, later
from services.kernel.wire.roster import (
    POLL,
    Came,
    Doubted,
    Entry,
    Event,
    Key,
    Marked,
    after,
    check_counts,
    check_label,
    decode_entry,
    encode_entry,
    encode_event,
    entry,
    field,
)
from services.kernel.wire.rows import Appended


class Node(msgspec.Struct, frozen=True):
    """Handed to every route as `request.app.state.node`."""

    public: Public
    limits: Limits
    clock: Clock
    storage: StorageClient
    feeds: Feeds
    bus: Bus
    leases: Leases
    mail: Mail
    joining: Joining
    budgets: Budgets
    turn: TurnDesk
    door: Door
    tags: Tags
    events_key: bytes
    draining: asyncio.Event
    replica: bytes = msgspec.field(default_factory=lambda: secrets.token_bytes(8))

    @property
    def takes_receipts(self) -> bool:
        """Whether the operator lets pages tell each other what they hold and have read."""
        return self.public.receipts == "on"

    def member(self, authorization: str | None) -> tuple[Member, int]:
        """Who the bearer token stands for, and its end; raises Fault(UNAUTHORIZED)."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Fault(ErrorCode.UNAUTHORIZED, "join first: a Bearer token is needed")
        return self.joining.by_token(token.strip())

    def payer(self, request: Request, peer: PeerId, *, verified: bool) -> Payer:
        """Whom this request's doings are charged to."""
        socket = request.client.host if request.client else ""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        return Payer(peer, verified, self.tags.of(self.door.address(socket, forwarded)))

    async def charge_send(self, payer: Payer, room: RoomId) -> None:
        """Charges a message; raises Fault(TOO_MANY). Looks whether the room exists only where that matters."""
        new = False
        if not self.budgets.may_create(payer):
            new = (await self.storage.before(room, None, 0)).head == 0
        self.budgets.send(payer, room, new=new)

    def stored(self, payer: Payer, where: Appended) -> None:
        """Charges the room that a message has made, if it has."""
        if where.fresh and where.seq == 1:
            self.budgets.created(payer)

    async def entries(self, room: RoomId) -> dict[Key, Entry] | None:
        """The live sessions of a room; None while Redis is away."""
        try:
            (found,) = await self.leases.holders([subjects.roster(room)])
        except Away:
            return None
        decoded = (decode_entry(lease.payload) for lease in found.values() if lease.live)
        return {each.key: each for each in decoded if each is not None}

    async def present(
        self, member: Member, entries: dict[Key, Entry] | None, *, instead: bool = False
    ) -> None:
        """Holds the presence of a session that polls, unless a socket of it does; raises Fault when full.

        `instead`: the session reads by polls now, so a socket that it still has is asked whether it lives.
        """
        if entries is None:
            return
        known = entries.get((member.peer, member.session))
        mine = entry(member, POLL, after(known, self.clock.wall_ms()))
        if known is not None and known.via != POLL and not known.gone:
            if instead:
                self.tell(member.room, Doubted(self.replica, *mine.key))
            return
        check_counts(mine, entries, self.limits.sockets, self.limits.peers)
        fresh = known is None or known.gone or known.name != mine.name
        if known is not None:
            since = mine.since if known.gone else known.since
            mine = msgspec.structs.replace(mine, since=since, mark=known.mark)
        if await self._hold(member.room, entries, mine) and fresh:
            self.tell(member.room, Came(self.replica, mine))

    async def mark(self, member: Member, entries: dict[Key, Entry] | None, mark: Mark) -> None:
        """A session without a socket here says how far it is; raises Fault when the room is full."""
        key = (member.peer, member.session)
        if entries is None:
            return
        if key not in entries or entries[key].gone:
            await self.present(member, entries)
        known = entries.get(key)
        merged = later(known.mark, mark) if known is not None else None
        if known is None or merged is None:
            return
        if await self._hold(member.room, entries, msgspec.structs.replace(known, mark=merged)):
            self.tell(member.room, Marked(self.replica, [(*key, merged)]))

    async def _hold(self, room: RoomId, entries: dict[Key, Entry], mine: Entry) -> bool:
        """Puts the entry into the shared roster; whether that was possible."""
        try:
            await self.leases.hold(subjects.roster(room), {field(mine.key): encode_entry(mine)}, LEASE_S)
        except Away:
            return False
        entries[mine.key] = mine
        return True

    def tell(self, room: RoomId, event: Event) -> None:
        """Publishes an event to every replica that serves the room."""
        self.bus.publish(subjects.room_signals(room), encode_event(self.events_key, room, event))

    async def check_guest(self, room: RoomId, label: str) -> None:
        """Raises Fault(FORBIDDEN) when a verified peer in the room has this name (while Redis is there to ask)."""
        entries = await self.entries(room)
        check_label(label, (entries or {}).values())

"""One room in this process: its sockets, its channel, and what they are told of each other."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import msgspec
from websockets.exceptions import ConnectionClosed

from services.kernel.bus import subjects
from services.kernel.bus.base import Away, Bus, Mail
from services.kernel.log.client import StorageClient
from services.kernel.log.feed import Feed, Feeds, Listener
from services.kernel.model.errors import CloseCode, ErrorCode, Fault
from services.kernel.model.ids import PeerId, RoomId, SessionId, guest
from services.kernel.model.member import Member
from services.kernel.run.limits import Payer
from services.kernel.wire import codec
from services.kernel.wire.frames import PeerJoined, PeerLeft
from services.kernel.wire.limits import MAIL_COUNT, MAIL_S, QUEUE_MESSAGES
from services.kernel.wire.receipts import Marks, Word
from services.kernel.wire.roster import (
    POLL,
    Came,
    Doubted,
    Entry,
    Event,
    Key,
    Left,
    Marked,
    Signalled,
    decode_event,
    encode_event,
)
from services.kernel.wire.session import receipts_off
from services.signaling.fanout import Channel, Outlet, Stuck
from services.signaling.rooms import Change, View, reachable, reference_joined, reference_signal

_PING_S = 2.0


class Link:
    """One joined socket."""

    def __init__(
        self,
        member: Member,
        outlet: Outlet,
        *,
        reference: bool,
        since: int,
        address: bytes,
        owner: bool,
        challenged: int = 0,
    ) -> None:
        self.member, self.outlet, self.reference, self.address = member, outlet, reference, address
        self.since, self.owner, self.challenged = since, owner, challenged
        self.payer = Payer(member.peer, member.verified, address)
        self.replaced = self.doubted = False
        self.watched = False
        self.owed = False  # it was too slow for some receipts

    @property
    def key(self) -> Key:
        """The session."""
        return (self.member.peer, self.member.session)

    async def answers(self) -> bool:
        """Whether the client answers a ping within two seconds."""
        try:
            async with asyncio.timeout(_PING_S):
                await (await self.outlet.connection.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True


class Room:
    """Sockets of one room here. `view` knows the sessions everywhere."""

    def __init__(self, name: RoomId, feed: Feed, hub: "Rooms") -> None:
        self.name = name
        self.links: dict[Key, Link] = {}
        self.coming: dict[Key, Entry] = {}  # let in, on their way into the roster
        self.arriving: set[Link] = set()  # reference sockets with their 101, on their way into the roster
        self.view = View(name)
        self.channel = Channel(feed, hub.storage, hub.group)
        self._feed, self._hub = feed, hub
        self._signals: deque[Signalled] = deque(maxlen=QUEUE_MESSAGES)
        self._passing = False
        self.marks, self.marks_told = Marks(), float("-inf")
        self._events = Listener(lambda _: None, lambda _: self.marks.again(), self._on_event)
        feed.listeners.add(self._events)
        self.users = 0

    def close(self) -> None:
        """Nobody is here any more."""
        self.channel.close()
        self._feed.listeners.discard(self._events)

    def apply(self, event: Came | Left) -> None:
        """An event of this process: seen here at once, told to the other replicas."""
        self.tell(self.view.event(event))
        self.publish(event)

    def publish(self, event: Event) -> None:
        """Tells the other replicas."""
        data = encode_event(self._hub.events_key, self.name, event)
        self._hub.bus.publish(subjects.room_signals(self.name), data)

    def tell(self, changes: Iterable[Change]) -> None:
        """Tells the sockets here what changed in the roster; a session is not told of itself."""
        for change in changes:
            if isinstance(change, PeerLeft):
                self.marks.drop((PeerId(change.peer_id), SessionId(change.session)))
            for link in tuple(self.links.values()):
                if link.key == (change.peer_id, change.session):
                    continue
                if not link.reference:
                    link.outlet.send(change)
                elif isinstance(change, PeerJoined):
                    self._tell_reference(link, change.peer_id)

    def catch_up(self, link: Link) -> None:
        """Tells a reference socket of those who came after its 101 and before its place in the roster."""
        for each in self.view.entries.values():
            if each.key != link.key and each.since >= link.since and not each.gone:
                self._tell_reference(link, each.peer)

    def _tell_reference(self, link: Link, peer: str) -> None:
        link.outlet.send_json(reference_joined(peer, self.name))

    def mark(self, words: Iterable[Word], *, own: bool = False) -> None:
        """Sessions say how far they are; receipts.py tells it within a second. Raises Fault for an `own` one where
        receipts are switched off."""
        if not self._hub.receipts:
            if own:
                raise receipts_off()
            return
        log_id = self.channel.feed.place.log_id
        for peer, session, mark in words:
            key = (peer, session)
            if key in self.view.entries and self.marks.take(key, mark, log_id, own=own):
                self._hub.stirred.add(self)

    def relay(self, link: Link, event: Signalled) -> None:
        """Passes a signal on; raises Fault(NOT_FOUND) when nobody in the room is its target."""
        event = self._aimed(event)
        entries = tuple(self.view.entries.values())
        if event.target_peer and not reachable(entries, event.target_peer, event.target_session):
            raise Fault(ErrorCode.NOT_FOUND, "nobody in this room is the target of this signal")
        self._deliver(event)
        self._signals.append(event)
        if not self._passing:
            self._passing = True
            self._hub.group.create_task(self._pass_on())

    def _aimed(self, event: Signalled) -> Signalled:
        """Reference clients name guests by their bare label."""
        target = event.target_peer
        if target is None or any(key[0] == target for key in self.view.entries):
            return event
        return msgspec.structs.replace(event, target_peer=guest(target))

    async def _pass_on(self) -> None:
        """Puts signals, in order, into the boxes of those who poll, then publishes them, which wakes their polls."""
        while self._signals:
            events = list(self._signals)
            self._signals.clear()
            boxes: dict[str, list[bytes]] = {}
            pollers = [each for each in self.view.entries.values() if each.via == POLL]
            for event in events if pollers else []:
                letter = codec.encode(event.frame())
                for each in pollers:
                    if event.reaches(each.peer, each.session):
                        boxes.setdefault(subjects.mailbox(self.name, *each.key), []).append(letter)
            with suppress(Away):
                for box, letters in boxes.items():
                    await self._hub.mail.post(box, letters, MAIL_COUNT, MAIL_S)
            for event in events:
                self.publish(event)
        self._passing = False

    def _deliver(self, event: Signalled) -> None:
        for link in {*self.links.values(), *self.arriving}:
            if not event.reaches(*link.key):
                continue
            if link.outlet.full:
                self._cut_if_stuck(link)
                continue
            if link.reference:
                link.outlet.send_json(reference_signal(event))
            else:
                link.outlet.send(event.frame())

    def _cut_if_stuck(self, link: Link) -> None:
        """Signals for a socket that takes too little are dropped; after ten seconds without progress it is closed."""

        async def watch() -> None:
            try:
                await link.outlet.drained()
            except Stuck:
                await link.outlet.connection.close(CloseCode.SLOW, "no progress for 10 s")
            finally:
                link.watched = False

        if not link.watched:
            link.watched = True
            self._hub.group.create_task(watch())

    def _on_event(self, data: bytes) -> None:
        event = decode_event(self._hub.events_key, self.name, data)
        if event is None or event.replica == self._hub.replica:
            return
        if isinstance(event, Signalled):
            self._deliver(event)
            return
        if isinstance(event, Doubted):
            self._probe(event)
            return
        if isinstance(event, Marked):
            self.mark(event.words)
            return
        if isinstance(event, Came):
            self._replaced_elsewhere(event)
        elif (event.peer, event.session) in self.links:
            return  # another replica's old word of a session whose socket is here
        self.tell(self.view.event(event))

    def _replaced_elsewhere(self, event: Came) -> None:
        link = self.links.get(event.entry.key)
        if link is not None and event.entry.challenged >= link.challenged and event.entry.via != POLL:
            self.replace(link)

    def _probe(self, event: Doubted) -> None:
        """A socket whose client polls instead is cut unless it answers: its poll then stands in the roster."""
        link = self.links.get((event.peer, event.session))
        if link is None or link.doubted:
            return

        async def ask() -> None:
            try:
                if not await link.answers():
                    link.outlet.connection.transport.abort()
            finally:
                link.doubted = False

        link.doubted = True
        self._hub.group.create_task(ask())

    def replace(self, link: Link) -> None:
        """Another socket of the same session has come: this one ends and its client does not come back."""
        link.replaced = True
        if self.links.get(link.key) is link:
            del self.links[link.key]
        self.channel.stop(link.outlet)
        self._hub.group.create_task(link.outlet.connection.close(CloseCode.REPLACED, "replaced"))


class Rooms:
    """The rooms that have a socket in this process."""

    def __init__(
        self,
        feeds: Feeds,
        storage: StorageClient,
        bus: Bus,
        mail: Mail,
        events_key: bytes,
        replica: bytes,
        group: asyncio.TaskGroup,
        *,
        receipts: bool = True,
    ) -> None:
        self.storage, self.bus, self.mail, self.group = storage, bus, mail, group
        self.receipts, self.stirred = receipts, set[Room]()
        self.events_key, self.replica = events_key, replica
        self.open: dict[RoomId, Room] = {}
        self._feeds = feeds

    @asynccontextmanager
    async def use(self, name: RoomId) -> AsyncIterator[Room]:
        """The room for as long as the block lasts; raises Fault(UNAVAILABLE) when its log cannot be read."""
        async with self._feeds.use(name) as feed:
            room = self.open.get(name)
            if room is None:
                room = self.open[name] = Room(name, feed, self)
            room.users += 1
            try:
                yield room
            finally:
                room.users -= 1
                if room.users == 0:
                    del self.open[name]
                    self.stirred.discard(room)
                    room.close()

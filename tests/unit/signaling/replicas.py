"""Signaling processes of one node in one loop, with clients whose sockets are fakes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from services.kernel.bus.tasks import owned
from services.kernel.model.ids import SessionId
from services.kernel.wire.roster import events_key
from services.signaling.fanout import Outlet
from services.signaling.presence import Presence
from services.signaling.room import Link, Room, Rooms
from tests.fakes.node import SECRET, Node, running_node
from tests.fakes.people import ROOM, Person
from tests.fakes.socket import Found, Socket


class Client:
    """One socket that has joined at one replica; `age` is how long ago (ms) it was challenged."""

    def __init__(
        self,
        replica: "Replica",
        who: Person,
        session: str | None,
        *,
        reference: bool = False,
        address: bytes = b"",
        owner: bool = True,
        age: int = 0,
    ) -> None:
        self.replica, self.socket = replica, Socket()
        member = who.member()
        if session is not None:
            member = msgspec.structs.replace(member, session=SessionId(session))
        since = replica.node.clock.wall_ms()
        outlet = Outlet(self.socket.connection)
        self.link = Link(
            member,
            outlet,
            reference=reference,
            since=since,
            address=address,
            owner=owner,
            challenged=since - age,
        )
        self.using = AsyncExitStack()
        self.room: Room

    async def come(self) -> "Client":
        """Joins; raises Fault."""
        self.room = await self.using.enter_async_context(self.replica.rooms.use(ROOM))
        try:
            await self.replica.presence.come(self.room, self.link)
        except BaseException:
            await self.using.aclose()
            raise
        return self

    async def go(self) -> None:
        """The socket closes."""
        await self.socket.close(1001, "")
        self.replica.presence.go(self.room, self.link)
        await self.using.aclose()

    def heard(self) -> list[str]:
        """What it was told of others since it was last asked, in words."""
        frames = [frame for frame in self.socket.frames() if frame["type"].startswith("peer_")]
        self.socket.got.clear()
        return [f"{frame['name']} {frame['type'].removeprefix('peer_')}" for frame in frames]

    def signals(self) -> list[Found]:
        """The offers that reached it."""
        return self.socket.of_type("offer")


class Replica:
    """One signaling process."""

    def __init__(self, node: Node, rooms: Rooms, presence: Presence) -> None:
        self.node, self.rooms, self.presence = node, rooms, presence
        self.clients: list[Client] = []

    async def join(
        self,
        who: Person,
        session: str | None = None,
        *,
        reference: bool = False,
        address: bytes = b"",
        owner: bool = True,
    ) -> Client:
        """A socket that joins here; `owner`: it showed that the session is its own."""
        client = await Client(self, who, session, reference=reference, address=address, owner=owner).come()
        self.clients.append(client)
        return client


@asynccontextmanager
async def started(node: Node, name: bytes, most_peers: int = 0) -> AsyncIterator[Replica]:
    """A process; when the block ends it is gone like after kill -9: it says nothing more."""
    async with node.process() as (bus, feeds):
        rooms = Rooms(feeds, node.client, bus, node.leases, events_key(SECRET), name, node.group)
        presence = Presence(node.leases, rooms, 0, most_peers)
        async with owned(node.group, presence.run()):
            replica = Replica(node, rooms, presence)
            yield replica
        presence.stop()
        for client in replica.clients:
            await client.using.aclose()


@asynccontextmanager
async def replicas(most_peers: int = 0) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two of them."""
    async with (
        running_node() as node,
        started(node, b"here", most_peers) as here,
        started(node, b"there", most_peers) as there,
    ):
        yield here, there

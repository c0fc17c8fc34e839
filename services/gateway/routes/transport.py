"""`GET /transport/status`, as the transport service last said it."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.edge import Json
from services.gateway.node import Node
from services.kernel.bus import subjects
from services.kernel.bus.base import Away
from services.kernel.model.errors import unavailable
from services.kernel.wire.status import Status


class PublicStatus(msgspec.Struct):
    """What a stranger may know."""

    peer_id: str
    connections: int
    available_transports: list[str]


class RoomStatus(msgspec.Struct):
    """What a member may know: the same, for its room, and why rungs are missing."""

    peer_id: str
    room: str
    connections: int
    available_transports: list[str]
    unavailable: dict[str, str]


async def status(request: Request) -> Response:
    """`GET /transport/status`; 503 while no transport service reports."""
    node: Node = request.app.state.node
    try:
        (found,) = await node.leases.holders([subjects.TRANSPORT_STATUS])
    except Away:
        raise unavailable("the transport service cannot be asked while Redis is away") from None
    live = [lease.payload for lease in found.values() if lease.live]
    if not live:
        raise unavailable("the transport service is not running")
    said = msgspec.msgpack.decode(live[0], type=Status)
    authorization = request.headers.get("authorization")
    if authorization is None:
        return Json(PublicStatus(said.peer_id, said.connections, said.available_transports))
    member, _ = node.member(authorization)
    return Json(
        RoomStatus(said.peer_id, member.room, said.connections, said.available_transports, said.unavailable)
    )

"""`GET /transport/status`, as the transport service last said it."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.edge import Json
from services.gateway.node import Node
from services.gateway.status import heard
from services.kernel.bus.base import Away
from services.kernel.model.errors import unavailable


class StatusInfo(msgspec.Struct, omit_defaults=True):
    """What a stranger may know: the node's id, a count of links, the rungs it has.

    A member also learns why other rungs are missing; `room` is the one its token is for.
    """

    peer_id: str
    connections: int
    available_transports: list[str]
    room: str | None = None
    unavailable: dict[str, str] | None = None


async def status(request: Request) -> Response:
    """`GET /transport/status`; 503 while no transport service reports."""
    node: Node = request.app.state.node
    try:
        said = await heard(node.leases)
    except Away:
        raise unavailable("the transport service cannot be asked while Redis is away") from None
    if said is None:
        raise unavailable("the transport service is not running")
    info = StatusInfo(said.peer_id, said.connections, said.available_transports)
    authorization = request.headers.get("authorization")
    if authorization is not None:
        member, _ = node.member(authorization)
        info.room, info.unavailable = member.room, said.unavailable
    return Json(info)

"""`POST /turn`: fresh credentials for the relay, for who has joined."""

from starlette.requests import Request
from starlette.responses import Response

from services.gateway.edge import Json
from services.gateway.node import Node


async def turn(request: Request) -> Response:
    """`POST /turn`: null on a node without TURN."""
    node: Node = request.app.state.node
    member, _ = node.member(request.headers.get("authorization"))
    payer = node.payer(request, member.peer, verified=member.verified)
    return Json(node.turn.give(payer, request.headers.get("host", "")))

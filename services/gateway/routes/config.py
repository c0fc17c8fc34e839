"""`GET /config`: what a client must know before it joins; nothing secret."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.edge import Json
from services.gateway.node import Node
from services.kernel.wire import limits


class LimitInfo(msgspec.Struct):
    """Sizes in bytes, names in characters, `history` in rows, `poll_wait` in seconds."""

    text: int
    frame: int
    label: int
    room: int
    history: int
    poll_wait: int


class ConfigInfo(msgspec.Struct):
    """`now` is the node's time in Unix ms; `ws_port` is where signaling listens beside `/signal` here.

    `turn_urls` are the relay's, without credentials: those come with a join. Empty: the node has none.
    `receipts`: whether this node takes word of what was received and read.
    """

    versions: list[int]
    ws_port: int
    public_base: str
    now: int
    limits: LimitInfo
    strategies: list[str]
    turn_urls: list[str]
    receipts: bool


async def config(request: Request) -> Response:
    """`GET /config`."""
    node: Node = request.app.state.node
    sizes = LimitInfo(
        text=limits.TEXT_BYTES,
        frame=limits.FRAME_BYTES,
        label=limits.NAME_CHARS,
        room=limits.NAME_CHARS,
        history=limits.HISTORY_PAGE,
        poll_wait=limits.POLL_WAIT_S,
    )
    public = node.public
    return Json(
        ConfigInfo(
            versions=[1],
            ws_port=public.ws_port,
            public_base=public.public_base,
            now=node.clock.wall_ms(),
            limits=sizes,
            strategies=list(public.strategies),
            turn_urls=node.turn.urls(request.headers.get("host", "")),
            receipts=node.takes_receipts,
        )
    )

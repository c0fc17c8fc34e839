"""`/join/challenge` and `/join`: the way in for clients without a socket."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.edge import Json, body_of
from services.gateway.node import Node
from services.kernel.model.ids import parse_room
from services.kernel.model.join import JoinRequest
from services.kernel.wire.frames import ReceiptRow, RosterPeer, Turn
from services.kernel.wire.receipts import rows_of
from services.kernel.wire.roster import check_label, check_owner, peers, words


class ChallengeBody(msgspec.Struct):
    """Which room the nonce is for."""

    room: str


class Challenged(msgspec.Struct):
    """A nonce to sign within 30 s."""

    nonce: str


class JoinBody(JoinRequest, frozen=True, kw_only=True):
    """Signed: pk, nonce, origin, sig. Guest: none of these, `name` is the label, `token` the session's last one."""

    room: str


class Joined(msgspec.Struct):
    """The join is done; the token goes into `Authorization: Bearer` for ten minutes."""

    peer_id: str
    token: str
    log_id: str
    head: int
    floor: int
    now: int
    roster: list[RosterPeer]
    turn: Turn | None
    receipts: list[ReceiptRow] | msgspec.UnsetType = msgspec.UNSET


_challenges = msgspec.json.Decoder(ChallengeBody)
_joins = msgspec.json.Decoder(JoinBody)


async def challenge(request: Request) -> Response:
    """`POST /join/challenge`."""
    node: Node = request.app.state.node
    body = await body_of(request, _challenges)
    parse_room(body.room)
    return Json(Challenged(node.joining.nonce()))


async def join(request: Request) -> Response:
    """`POST /join`."""
    node: Node = request.app.state.node
    body = await body_of(request, _joins)
    room = parse_room(body.room)
    headers = request.headers
    admitted = await node.joining.admit(room, body, headers.get("origin"), headers.get("host", ""))
    member = admitted.member
    payer = node.payer(request, member.peer, verified=member.verified)
    if not admitted.owner:
        async with node.budgets.paced(payer):
            node.budgets.join(payer, known=False)
    entries, key = await node.entries(room), (member.peer, member.session)
    check_owner(key, admitted.owner, entries or {})
    if admitted.owner:
        async with node.budgets.paced(payer):
            node.budgets.join(payer, known=admitted.resumed or key in (entries or {}))
    if not member.verified:
        check_label(member.name, (entries or {}).values())
    await node.present(member, entries)
    page = await node.storage.before(room, None, 0)
    answer = Joined(
        peer_id=member.peer,
        token=node.joining.token(member),
        log_id=page.log_id,
        head=page.head,
        floor=page.floor,
        now=node.clock.wall_ms(),
        roster=peers((entries or {}).values()),
        turn=node.turn.offer(payer, headers.get("host", "")),
        receipts=rows_of(words((entries or {}).values()), page.log_id, page.head) or msgspec.UNSET,
    )
    return Json(answer)

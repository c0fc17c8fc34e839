"""`POST /send`: the reference form of a guest, and the envelope form of a joined member."""

import os

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.edge import Json, body_of
from services.gateway.node import Node
from services.kernel.model import envelope, hlc
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import RoomId, guest, parse_label, parse_message_id, parse_room
from services.kernel.wire import intake
from services.kernel.wire.rows import Appended, Received


class SendBody(msgspec.Struct):
    """Reference form: room, peer_id, text, perhaps id. Envelope form: env, and sig unless a guest."""

    room: str | None = None
    peer_id: str | None = None
    text: str | None = None
    id: str | None = None
    env: str | None = None
    sig: str | None = None
    pk: str | None = None


class Sent(msgspec.Struct):
    """The message is on disk. `timestamp` is its receive time in Unix seconds, `at` in milliseconds."""

    timestamp: int
    id: str
    seq: int
    log_id: str
    at: int


class _Body(msgspec.Struct):
    text: str
    name: str


class _Envelope(msgspec.Struct):
    id: str
    room: str
    sender: str
    kind: str
    hlc: str
    body: _Body


_decoder = msgspec.json.Decoder(SendBody)


async def send(request: Request) -> Response:
    """`POST /send`; answers only once the message is durable. The same id, or `Idempotency-Key`, is one message."""
    node: Node = request.app.state.node
    body = await body_of(request, _decoder)
    key = _idempotency_key(request.headers.getlist("idempotency-key"))
    if key is not None and body.env is None:
        if body.id not in (None, key):
            raise Fault(ErrorCode.BAD_REQUEST, "id and Idempotency-Key differ")
        body.id = key
    if body.env is not None:
        member, _ = node.member(request.headers.get("authorization"))
        payer = node.payer(request, member.peer, verified=member.verified)
        async with node.budgets.paced(payer):
            await node.charge_send(payer, member.room)
        message = intake.take(member, body.env, body.sig, body.pk, node.clock.wall_ms())
    else:
        room, label, text = _named(body)
        payer = node.payer(request, guest(label), verified=False)
        async with node.budgets.paced(payer):
            await node.charge_send(payer, room)
        message = await _reference(node, room, label, text, body.id)
    if key not in (None, message.id):
        raise Fault(ErrorCode.BAD_REQUEST, "the envelope's id and Idempotency-Key differ")
    stored = await node.storage.append(message)
    node.stored(payer, stored)
    return Json(_sent(message, stored))


def _idempotency_key(found: list[str]) -> str | None:
    """The header as a message id, bare or as the quoted string of the HTTP API draft; raises Fault(BAD_REQUEST)."""
    if len(found) > 1:
        raise Fault(ErrorCode.BAD_REQUEST, "Idempotency-Key stands more than once")
    if not found:
        return None
    text = found[0].strip()
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return parse_message_id(text[1:-1] if quoted else text)


def _sent(message: Received, stored: Appended) -> Sent:
    return Sent(stored.at // 1000, message.id, stored.seq, stored.log_id, stored.at)


def _named(body: SendBody) -> tuple[RoomId, str, str]:
    """Room, label and text of the reference form; raises Fault."""
    if body.room is None or body.peer_id is None or body.text is None:
        raise Fault(ErrorCode.BAD_REQUEST, "send {room, peer_id, text} or {env, sig}")
    return parse_room(body.room), parse_label(body.peer_id), body.text


async def _reference(node: Node, room: RoomId, label: str, text: str, id: str | None) -> Received:
    """The envelope that stands for a reference client's message."""
    message_id = parse_message_id(id) if id is not None else uuid7(node.clock.wall_ms())
    await node.check_guest(room, label)
    env = _Envelope(
        id=message_id,
        room=room,
        sender=guest(label),
        kind="text",
        hlc=hlc.stamp(hlc.ZERO, node.clock.wall_ms()),
        body=_Body(text, label),
    )
    parsed = envelope.parse(msgspec.json.encode(env).decode())
    intake.check_text(parsed)
    return intake.received(parsed, None, None)


def uuid7(now_ms: int) -> str:
    """A time-ordered id (RFC 9562 section 5.7)."""
    number = (now_ms & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

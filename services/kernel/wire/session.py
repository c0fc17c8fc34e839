"""What follows from one frame of a joined client, whatever rung carried it (pure)."""

import msgspec

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import parse_name
from services.kernel.model.member import Member
from services.kernel.wire import intake, receipts
from services.kernel.wire.frames import Answer, Hello, Ice, Name, Offer, Ping, Pong, Receipt, Send, Up
from services.kernel.wire.receipts import Mark
from services.kernel.wire.roster import Signalled
from services.kernel.wire.rows import Received

_KINDS = {Offer: "offer", Answer: "answer", Ice: "ice"}


class Rename(msgspec.Struct, frozen=True):
    """The member wants to be shown under another name."""

    name: str


Outcome = Received | Pong | Signalled | Rename | Mark


def judge(member: Member, frame: Up, replica: bytes, now_ms: int) -> Outcome:
    """What to do for this frame: store, answer, relay, rename or mark; raises Fault for what is refused."""
    match frame:
        case Send():
            return intake.take(member, frame.env, frame.sig, frame.pk, now_ms)
        case Ping():
            return Pong(frame.t, now_ms)
        case Name():
            if not member.verified:
                raise Fault(ErrorCode.FORBIDDEN, "a guest joins anew under another label")
            return Rename(parse_name(frame.name))
        case Offer() | Answer() | Ice():
            return signal(member, frame, replica)
        case Receipt():
            return receipts.parse(frame.log_id, frame.got, frame.read)
        case Hello():
            raise Fault(ErrorCode.BAD_REQUEST, "the session has joined already")


def receipts_off() -> Fault:
    """What a receipt is answered where the operator has switched them off."""
    return Fault(ErrorCode.FORBIDDEN, "receipts are switched off at this node")


def signal(member: Member, frame: Offer | Answer | Ice, replica: bytes) -> Signalled:
    """A signal under its sender's bound id; raises Fault(BAD_REQUEST) for one aimed at its own session."""
    aimed = Signalled(
        replica,
        _KINDS[type(frame)],
        member.peer,
        member.session,
        bytes(frame.payload),
        frame.target_peer_id,
        frame.target_session,
    )
    if frame.target_peer_id == member.peer and frame.target_session in (None, member.session):
        raise Fault(ErrorCode.BAD_REQUEST, "a signal cannot be aimed at its own sender")
    return aimed


def message_id(frame: Up) -> str | None:
    """The id that a fault about this frame names, when it can be read."""
    if not isinstance(frame, Send):
        return None
    try:
        found = msgspec.json.decode(frame.env, type=_WithId).id
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if len(found) <= 64 else None


class _WithId(msgspec.Struct, frozen=True):
    id: str

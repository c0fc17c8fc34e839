"""What a node checks before a message may enter the log, whatever door it came through (pure)."""

from services.kernel.model import envelope, hlc
from services.kernel.model.envelope import Envelope
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.identity import b64decode, envelope_message, parse_key, peer_id, verify
from services.kernel.model.ids import parse_name
from services.kernel.model.member import Member
from services.kernel.wire import strict
from services.kernel.wire.limits import FRAME_BYTES, TEXT_BYTES
from services.kernel.wire.rows import Received


def take(member: Member, env: str, sig: str | None, pk: str | None, now_ms: int) -> Received:
    """The message that this member may store; raises Fault.

    BAD_REQUEST for its form, TOO_LARGE, FORBIDDEN for another room or sender than the bound ones
    (unless the author's signature holds) and for what its author keeps off every log, CLOCK for a stamp more
    than 60 s ahead.
    """
    if len(env) > FRAME_BYTES or len(env.encode()) > FRAME_BYTES:
        raise Fault(ErrorCode.TOO_LARGE, f"an envelope has at most {FRAME_BYTES} bytes")
    strict.check(env)
    parsed = envelope.parse(env)
    if parsed.room != member.room:
        raise Fault(ErrorCode.FORBIDDEN, "the envelope is for another room")
    if not parsed.keep:
        raise Fault(ErrorCode.FORBIDDEN, "its author wants this message in no log")
    author = _author(member, parsed, sig, pk)
    if parsed.kind == "text":
        check_text(parsed)
        if parsed.sender == member.peer and not member.verified and parsed.text_body().name != member.name:
            raise Fault(ErrorCode.FORBIDDEN, "a guest speaks under its label")
    if hlc.too_far_ahead(parsed.hlc, now_ms):
        raise Fault(ErrorCode.CLOCK, "stamped more than 60 s ahead of the node's clock", retry=0)
    return received(parsed, sig if author else None, author)


def received(parsed: Envelope, sig: str | None, pk: str | None) -> Received:
    """An envelope that passed every check, as storage takes it."""
    return Received(parsed.room, parsed.sender, parsed.id, parsed.kind, parsed.digest, parsed.env, sig, pk)


def check_text(parsed: Envelope) -> None:
    """Raises Fault unless the body is a text of 1 to 16,384 bytes, not blank, without NUL, under a proper name."""
    body = parsed.text_body()
    size = len(body.text.encode())
    if size > TEXT_BYTES:
        raise Fault(ErrorCode.TOO_LARGE, f"a text has at most {TEXT_BYTES} bytes")
    if not body.text.strip() or "\0" in body.text:
        raise Fault(ErrorCode.BAD_REQUEST, "a text is not blank and has no NUL")
    parse_name(body.name)


def _author(member: Member, parsed: Envelope, sig: str | None, pk: str | None) -> str | None:
    """The author's public key in wire form, None for a guest's own message."""
    if parsed.sender == member.peer:
        if member.pk is None:
            return None
        if sig is None:
            raise Fault(ErrorCode.BAD_REQUEST, "a verified peer signs its envelopes")
        b64decode(sig, 64, "sig")
        return member.pk
    if sig is None or pk is None:
        raise Fault(ErrorCode.FORBIDDEN, "the envelope's sender is not the joined peer")
    key = parse_key(pk)
    if peer_id(key) != parsed.sender or not verify(key, sig, envelope_message(parsed.env)):
        raise Fault(ErrorCode.FORBIDDEN, "the author's signature does not hold")
    return pk

"""Nonces, signed joins and the tokens they give (docs/security.md S1, S5): pure, checkable by any replica.

Single use of a nonce needs memory and is kept by the caller.
"""

import msgspec

from services.kernel.model import mac
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.identity import b64decode, b64encode, join_message, parse_key, peer_id, verify
from services.kernel.model.ids import RoomId, guest, parse_label, parse_name, parse_session
from services.kernel.model.member import Member

NONCE_TTL_MS = 30_000
TOKEN_TTL_MS = 600_000
_NONCE_BYTES = 32
_SKEW_MS = 1_000


class JoinKeys(msgspec.Struct, frozen=True):
    """Subkeys of the node's secret for nonces and tokens."""

    nonce: bytes
    token: bytes

    @classmethod
    def of(cls, secret: bytes) -> "JoinKeys":
        """The subkeys of this secret."""
        return cls(mac.subkey(secret, "join.nonce"), mac.subkey(secret, "join.token"))


class JoinRequest(msgspec.Struct, frozen=True):
    """What a client says of itself: `hello` and the body of `/join` carry these fields.

    Signed: pk, nonce, origin, sig. Guest: `name` is the label; `token`, the last one of this session,
    shows that the session is its own, also when it has ended. A token alone resumes either.
    """

    session: str
    name: str
    pk: str | None = None
    nonce: str | None = None
    origin: str | None = None
    sig: str | None = None
    token: str | None = None


class Admitted(msgspec.Struct, frozen=True):
    """A member, whether it showed that the session is its own (only then may it take a live one's place),
    and whether it did so with a token."""

    member: Member
    owner: bool
    resumed: bool = False


class _Claims(msgspec.Struct, frozen=True, array_like=True):
    expires: int
    member: Member


def stale(detail: str) -> Fault:
    """A join that must be done afresh."""
    return Fault(ErrorCode.UNAUTHORIZED, detail)


def make_nonce(keys: JoinKeys, now_ms: int, random8: bytes) -> str:
    """A nonce for one join (the signature binds it to a room): 8 bytes time, 8 random, 16 tag."""
    head = now_ms.to_bytes(8, "big") + random8
    return b64encode(head + mac.tag(keys.nonce, head))


def check_nonce(keys: JoinKeys, nonce: str, now_ms: int) -> None:
    """Raises Fault(UNAUTHORIZED) unless this node made the nonce within 30 s."""
    raw = b64decode(nonce, _NONCE_BYTES, "nonce")
    head, given = raw[:16], raw[16:]
    if not mac.matches(mac.tag(keys.nonce, head), given):
        raise stale("the nonce is not of this node")
    age = now_ms - int.from_bytes(head[:8], "big")
    if not -_SKEW_MS <= age <= NONCE_TTL_MS:
        raise stale("the nonce is older than 30 s")


def admit(keys: JoinKeys, room: RoomId, asked: JoinRequest, origin_ok: bool, now_ms: int) -> Admitted:
    """The member that this request proves; the caller then spends the nonce (signed joins only).

    `origin_ok` says whether the signed origin is the one that the request came from. Raises Fault:
    BAD_REQUEST for a form error, UNAUTHORIZED for a proof that does not hold, FORBIDDEN for a
    reserved label.
    """
    session = parse_session(asked.session)
    if asked.pk is None:
        if asked.sig is not None or asked.nonce is not None:
            raise Fault(ErrorCode.BAD_REQUEST, "a signed join needs pk, nonce, origin and sig")
        if asked.token is not None:
            return Admitted(_resumed(keys, room, asked, asked.token, now_ms), owner=True, resumed=True)
        label = parse_label(asked.name)
        return Admitted(Member(room=room, peer=guest(label), session=session, name=label), owner=False)
    if asked.nonce is None or asked.origin is None or asked.sig is None:
        raise Fault(ErrorCode.BAD_REQUEST, "a signed join needs pk, nonce, origin and sig")
    key, name = parse_key(asked.pk), parse_name(asked.name)
    check_nonce(keys, asked.nonce, now_ms)
    if not origin_ok:
        raise stale("the signed origin is not the one of this request")
    message = join_message(room, asked.origin, asked.nonce, asked.pk, session)
    if not verify(key, asked.sig, message):
        raise stale("the signature does not hold")
    return Admitted(Member(room=room, peer=peer_id(key), session=session, name=name, pk=asked.pk), owner=True)


def _resumed(keys: JoinKeys, room: RoomId, asked: JoinRequest, token: str, now_ms: int) -> Member:
    claims = _claims(keys, token)
    member = claims.member
    if (member.room, member.session) != (room, asked.session):
        raise stale("the token is of another room or session")
    if member.verified and claims.expires <= now_ms:
        raise stale("the token has ended")
    if not member.verified and member.name != parse_label(asked.name):
        raise stale("the token is of another name")
    return member


def make_token(keys: JoinKeys, member: Member, now_ms: int) -> str:
    """A bearer token that stands for this member for ten minutes."""
    claims = msgspec.msgpack.encode(_Claims(now_ms + TOKEN_TTL_MS, member))
    return b64encode(mac.tag(keys.token, claims) + claims)


def read_token(keys: JoinKeys, token: str, now_ms: int) -> tuple[Member, int]:
    """The member a token stands for and when it ends (Unix ms); raises Fault(UNAUTHORIZED)."""
    claims = _claims(keys, token)
    if claims.expires <= now_ms:
        raise stale("the token has ended")
    return claims.member, claims.expires


def _claims(keys: JoinKeys, token: str) -> _Claims:
    size = len(token) * 3 // 4
    try:
        raw = b64decode(token, size, "token")
    except Fault:
        raise stale("the token is malformed") from None
    given, claims = raw[: mac.TAG_BYTES], raw[mac.TAG_BYTES :]
    if not mac.matches(mac.tag(keys.token, claims), given):
        raise stale("the token is not of this node")
    return msgspec.msgpack.decode(claims, type=_Claims)

"""A peer is a key: ids from public keys, and Ed25519 signatures over joins and envelopes (RFC 8032)."""

import base64
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import PeerId

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def b64encode(raw: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def b64decode(text: str, size: int, what: str) -> bytes:
    """The `size` bytes that unpadded base64url text stands for; raises Fault(BAD_REQUEST)."""
    if _BASE64URL.fullmatch(text) and len(text) == (size * 4 + 2) // 3:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if b64encode(raw) == text:
            return raw
    raise Fault(ErrorCode.BAD_REQUEST, f"{what} is base64url of {size} bytes")


def peer_id(public_key: bytes) -> PeerId:
    """The id of the peer that holds this raw public key: 26 characters of base32 over SHA-256."""
    digest = hashlib.sha256(public_key).digest()
    return PeerId(base64.b32encode(digest).decode("ascii").lower()[:26])


def parse_key(text: str) -> bytes:
    """A raw Ed25519 public key from its wire form; raises Fault(BAD_REQUEST)."""
    return b64decode(text, 32, "pk")


def verify(public_key: bytes, signature: str, message: bytes) -> bool:
    """Whether the wire-form signature over the message was made by the key."""
    try:
        raw = b64decode(signature, 64, "sig")
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw, message)
    except (Fault, InvalidSignature, ValueError):
        return False
    return True


def envelope_message(env: str) -> bytes:
    """The bytes that an envelope's author signs."""
    return b"egoat.1|" + env.encode()


def join_message(room: str, origin: str, nonce: str, pk: str, session: str) -> bytes:
    """The bytes that a joining peer signs (docs/security.md S1)."""
    return "\n".join(("egoat.join.1", room, origin, nonce, pk, session)).encode()

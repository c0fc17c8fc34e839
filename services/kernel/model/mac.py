"""Keyed tags under the node's secret: what one service of a node made, another can check (BLAKE2b, RFC 7693)."""

import hashlib
import hmac

TAG_BYTES = 16


def subkey(secret: bytes, label: str) -> bytes:
    """A 32-byte key of its own for one use of the node's secret."""
    return hashlib.blake2b(label.encode(), key=secret, digest_size=32).digest()


def tag(key: bytes, *parts: bytes) -> bytes:
    """A 16-byte tag over the parts, each framed by its length so that no two splits agree."""
    state = hashlib.blake2b(key=key, digest_size=TAG_BYTES)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def matches(expected: bytes, given: bytes) -> bool:
    """Whether two tags are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(expected, given)

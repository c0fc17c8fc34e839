"""STUN messages as bytes (pure): the part of RFC 8489 and RFC 8656 that one allocation over IPv4 needs."""

import hashlib
import hmac
import ipaddress
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum

import msgspec

_COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_MAC_BYTES = 20
UDP = 17
"""The protocol number that a relayed address is asked for with."""


class Method(IntEnum):
    """What a message is about (RFC 8489 section 18.2, RFC 8656 section 17)."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008


class Kind(IntEnum):
    """The class of a message, in its place within the type."""

    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS = 0x100
    ERROR = 0x110


class Attribute(IntEnum):
    """Attributes used here."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    DATA = 0x0013
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_ADDRESS_FAMILY = 0x0017
    REQUESTED_TRANSPORT = 0x0019


class Address(msgspec.Struct, frozen=True):
    """Host (an IP literal) and port."""

    host: str
    port: int


class Message(msgspec.Struct, frozen=True):
    """One message; of an attribute that stands twice the first counts."""

    method: int
    kind: Kind
    transaction: bytes
    attributes: Mapping[int, bytes]

    @property
    def error(self) -> tuple[int, str]:
        """Code and reason of an error; (0, "") when it carries none."""
        value = self.attributes.get(Attribute.ERROR_CODE, b"")
        if len(value) < 4:
            return 0, ""
        return (value[2] & 7) * 100 + value[3], value[4:].decode("utf-8", "replace")

    def address(self, name: Attribute) -> Address | None:
        """The address that an XOR attribute holds."""
        return unxored(self.attributes.get(name, b""), self.transaction)


def xored(address: Address, transaction: bytes) -> bytes:
    """The value of an XOR address attribute (RFC 8489 section 14.2)."""
    host = ipaddress.ip_address(address.host)
    mask = struct.pack("!I", _COOKIE) + transaction
    family = 1 if host.version == 4 else 2
    bare = bytes(a ^ b for a, b in zip(host.packed, mask, strict=False))
    return struct.pack("!BBH", 0, family, address.port ^ (_COOKIE >> 16)) + bare


def unxored(value: bytes, transaction: bytes) -> Address | None:
    """The address in such a value, None when it holds none."""
    if len(value) not in (8, 20) or value[1] != (1 if len(value) == 8 else 2):
        return None
    mask = struct.pack("!I", _COOKIE) + transaction
    host = ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], mask, strict=False)))
    return Address(str(host), int.from_bytes(value[2:4], "big") ^ (_COOKIE >> 16))


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """The key of the long-term credential mechanism (RFC 8489 section 9.2.2)."""
    text = f"{username}:{realm}:{password}".encode()
    return hashlib.md5(text, usedforsecurity=False).digest()


def encode(
    method: Method,
    kind: Kind,
    transaction: bytes,
    attributes: Sequence[tuple[Attribute, bytes | Address]] = (),
    key: bytes | None = None,
) -> bytes:
    """The message's bytes, with MESSAGE-INTEGRITY under the key when there is one."""
    body = b"".join(
        _attribute(name, xored(value, transaction) if isinstance(value, Address) else value)
        for name, value in attributes
    )
    if key is not None:
        length = len(body) + _ATTRIBUTE.size + _MAC_BYTES
        head = _HEADER.pack(method | kind, length, _COOKIE, transaction)
        mac = hmac.digest(key, head + body, "sha1")
        body += _attribute(Attribute.MESSAGE_INTEGRITY, mac)
    return _HEADER.pack(method | kind, len(body), _COOKIE, transaction) + body


def _attribute(name: Attribute, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(name, len(value)) + value + bytes(-len(value) % 4)


HEADER_BYTES = _HEADER.size


def body_bytes(head: bytes) -> int:
    """How many bytes follow this header; raises ValueError when it is none."""
    kind, length, cookie, _ = _HEADER.unpack(head)
    if kind >> 14 or cookie != _COOKIE or length % 4:
        raise ValueError("not a STUN message")
    return int(length)


def decode(data: bytes) -> Message:
    """The message; raises ValueError for bytes that are none. Integrity is not checked: nothing secret comes back."""
    if len(data) < HEADER_BYTES or len(data) != HEADER_BYTES + body_bytes(data[:HEADER_BYTES]):
        raise ValueError("not a STUN message")
    number, _, _, transaction = _HEADER.unpack_from(data)
    found: dict[int, bytes] = {}
    at = HEADER_BYTES
    while at < len(data):
        name, length = _ATTRIBUTE.unpack_from(data, at)
        at += _ATTRIBUTE.size
        if at + length > len(data):
            raise ValueError("an attribute is cut off")
        found.setdefault(name, data[at : at + length])
        at += length + -length % 4
    return Message(number & ~Kind.ERROR, Kind(number & Kind.ERROR), transaction, found)

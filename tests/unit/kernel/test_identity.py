"""Keys, ids and signatures against RFC 8032 and against the vectors that the page may replay."""

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.kernel.model import identity
from services.kernel.model.errors import ErrorCode
from services.kernel.model.identity import b64decode, b64encode
from services.kernel.model.ids import looks_like_key
from tests.unit.expect import refused


class Peer(msgspec.Struct):
    name: str
    seed: str
    pk: str
    peer_id: str


class Signature(msgspec.Struct):
    name: str
    pk: str
    message_hex: str
    sig: str
    holds: bool


class Join(msgspec.Struct):
    name: str
    seed: str
    room: str
    origin: str
    nonce: str
    pk: str
    session: str
    message: str
    sig: str


class Sealed(msgspec.Struct):
    name: str
    seed: str
    pk: str
    env: str
    message: str
    sig: str


class Vectors(msgspec.Struct):
    peers: list[Peer] = []
    signatures: list[Signature] = []
    joins: list[Join] = []
    envelopes: list[Sealed] = []


def vectors(name: str) -> Vectors:
    """One file of tests/vectors/identity."""
    path = Path(__file__).parents[2] / "vectors" / "identity" / f"{name}.json"
    return msgspec.json.decode(path.read_bytes(), type=Vectors)


def sign(seed: str, message: bytes) -> str:
    """What the seed's key signs."""
    return b64encode(Ed25519PrivateKey.from_private_bytes(b64decode(seed, 32, "seed")).sign(message))


@pytest.mark.parametrize("peer", vectors("keys").peers, ids=lambda peer: peer.name)
def test_a_peer_id_is_the_hash_of_the_key(peer: Peer) -> None:
    assert identity.peer_id(identity.parse_key(peer.pk)) == peer.peer_id
    assert looks_like_key(peer.peer_id)


@pytest.mark.parametrize("case", vectors("keys").signatures, ids=lambda case: case.name)
def test_signatures(case: Signature) -> None:
    key = identity.parse_key(case.pk)
    assert identity.verify(key, case.sig, bytes.fromhex(case.message_hex)) is case.holds


@pytest.mark.parametrize("case", vectors("joins").joins, ids=lambda case: case.name)
def test_what_a_joining_peer_signs(case: Join) -> None:
    message = identity.join_message(case.room, case.origin, case.nonce, case.pk, case.session)
    assert message.decode() == case.message
    assert sign(case.seed, message) == case.sig
    assert identity.verify(identity.parse_key(case.pk), case.sig, message)


@pytest.mark.parametrize("case", vectors("envelopes").envelopes, ids=lambda case: case.name)
def test_what_an_author_signs(case: Sealed) -> None:
    message = identity.envelope_message(case.env)
    assert message.decode() == case.message
    assert sign(case.seed, message) == case.sig
    assert identity.verify(identity.parse_key(case.pk), case.sig, message)


def test_every_field_of_a_join_is_signed() -> None:
    fields = ["room", "origin", "nonce", "pk", "session"]
    whole = identity.join_message(*fields)
    for place in range(5):
        changed = [*fields[:place], fields[place] + "x", *fields[place + 1 :]]
        assert identity.join_message(*changed) != whole
    assert not whole.startswith(b"egoat.1|")


@pytest.mark.parametrize("size", range(70))
def test_base64url_of_any_length_comes_back(size: int) -> None:
    raw = bytes((number * 37 + size) & 255 for number in range(size))
    assert b64decode(b64encode(raw), size, "it") == raw
    for wrong in (size + 1, size + 2, size - 1):
        if wrong >= 0:
            with refused(ErrorCode.BAD_REQUEST, f"it is base64url of {wrong} bytes"):
                b64decode(b64encode(raw), wrong, "it")


@pytest.mark.parametrize("text", ["AB", "A=", "A+", "A/", "A ", "Aé", "\nAA", "A\n", "AA\n", "AA==", "", "A"])
def test_what_is_not_the_one_form_of_a_byte(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "base64url of 1 bytes"):
        b64decode(text, 1, "it")


def test_a_key_has_32_bytes() -> None:
    for size in (0, 31, 33, 64):
        with refused(ErrorCode.BAD_REQUEST, "pk is base64url of 32 bytes"):
            identity.parse_key(b64encode(bytes(size)))


def test_a_key_that_is_no_point_verifies_nothing() -> None:
    [case, *_] = vectors("keys").signatures
    assert not identity.verify(b"\xff" * 32, case.sig, b"")
    assert not identity.verify(b"short", case.sig, b"")

"""People with fixed keys, what they sign, and messages ready for a store."""

import hashlib
import json
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.kernel.model.identity import b64encode, envelope_message, join_message, peer_id
from services.kernel.model.ids import MessageId, PeerId, RoomId, SessionId
from services.kernel.model.join import JoinRequest
from services.kernel.model.member import Member
from services.kernel.wire.rows import Received

ROOM = RoomId("room")
NOW_MS = 1_760_000_000_000


class Person:
    """A peer whose key follows from its name; `guest` has none. One session."""

    def __init__(self, name: str, *, guest: bool = False) -> None:
        self.name, self.guest = name, guest
        seed = hashlib.sha256(name.encode()).digest()
        self.session = SessionId(seed.hex()[:16])
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.pk = None if guest else b64encode(raw)
        self.peer = PeerId(f"guest:{name}") if guest else peer_id(raw)

    def member(self, room: RoomId = ROOM) -> Member:
        """Joined."""
        return Member(room, self.peer, self.session, self.name, self.pk)

    def sign(self, message: bytes) -> str:
        """Wire form of the signature."""
        return b64encode(self._key.sign(message))

    def join(self, nonce: str, *, room: str = ROOM, origin: str = "http://node:8080") -> JoinRequest:
        """A signed join."""
        assert self.pk is not None
        sig = self.sign(join_message(room, origin, nonce, self.pk, self.session))
        return JoinRequest(self.session, self.name, self.pk, nonce, origin, sig)

    def envelope(self, text: str = "hello", **changes: Any) -> str:
        """An envelope's text; `changes` overwrite its fields, None takes one out."""
        fields: dict[str, Any] = {
            "id": "m1",
            "room": ROOM,
            "sender": self.peer,
            "stream": "0123456789abcdef",
            "n": 1,
            "kind": "text",
            "hlc": f"{NOW_MS:012x}-0000",
            "body": {"text": text, "name": self.name},
        } | changes
        kept = {key: value for key, value in fields.items() if value is not None}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    def seal(self, env: str) -> str | None:
        """The signature that goes beside an envelope."""
        return None if self.guest else self.sign(envelope_message(env))


ANN, BEN = Person("Ann"), Person("Ben")
GUS = Person("Gus", guest=True)


def received(
    id: str = "m1",
    *,
    room: str = ROOM,
    by: Person = GUS,
    text: str = "hello",
    kind: str = "text",
) -> Received:
    """A message as an edge hands it to storage; its digest follows from text and kind."""
    env = by.envelope(text, id=id, room=room, kind=kind)
    digest = hashlib.blake2b(f"{kind}\0{text}".encode(), digest_size=16).digest()
    sig = None if by.guest else b64encode(hashlib.sha512(env.encode()).digest())
    return Received(RoomId(room), by.peer, MessageId(id), kind, digest, env, sig, by.pk)


def text_of(env: str) -> str:
    """What an envelope of kind text says."""
    found: str = msgspec.json.decode(env)["body"]["text"]
    return found

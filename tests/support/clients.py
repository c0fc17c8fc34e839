"""Clients for tests: an `egoat.1` socket, a plain HTTP client, signed peers and their envelopes."""

import asyncio
import contextlib
import copy
import json
import secrets
import time
from types import TracebackType
from typing import Any, Self

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from services.kernel.model.identity import b64encode, envelope_message, join_message, peer_id

Frame = dict[str, Any]


class Author:
    """Somebody who writes: a guest with a label, or a peer with a key."""

    def __init__(self, name: str, *, signed: bool = False) -> None:
        self.name, self.session, self.stream, self.n = name, secrets.token_hex(8), secrets.token_hex(8), 0
        self.key = Ed25519PrivateKey.generate() if signed else None
        self.pk = None
        self.tokens: dict[str, str] = {}
        self.peer = f"guest:{name}"
        if self.key is not None:
            raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            self.pk, self.peer = b64encode(raw), peer_id(raw)

    def elsewhere(self) -> "Author":
        """The same person in another tab: same key, another session and stream."""
        other = copy.copy(self)
        other.session, other.stream, other.n = secrets.token_hex(8), secrets.token_hex(8), 0
        other.tokens = {}
        return other

    def sign(self, message: bytes) -> str:
        """Wire form of a signature over the message."""
        assert self.key is not None
        return b64encode(self.key.sign(message))

    def proof(self, room: str, nonce: str, origin: str) -> Frame:
        """The fields of a signed join; the session's last token in this room, if there is one, for a guest."""
        if self.pk is None:
            return {"token": self.tokens[room]} if room in self.tokens else {}
        sig = self.sign(join_message(room, origin, nonce, self.pk, self.session))
        return {"pk": self.pk, "nonce": nonce, "origin": origin, "sig": sig}

    def write(self, room: str, text: str, **changes: Any) -> Frame:
        """The `send` frame of a new text; `changes` overwrite fields of its envelope."""
        self.n += 1
        fields = {
            "id": secrets.token_urlsafe(12),
            "room": room,
            "sender": self.peer,
            "stream": self.stream,
            "n": self.n,
            "kind": "text",
            "hlc": f"{time.time_ns() // 1_000_000:012x}-{self.n % 65536:04x}",
            "body": {"text": text, "name": self.name},
        } | changes
        env = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        frame = {"type": "send", "env": env}
        if self.key is not None:
            frame |= {"sig": self.sign(envelope_message(env)), "pk": self.pk}
        return frame


class Socket:
    """One `egoat.1` socket: `async with Socket(url, room, author) as s`. `hello` overwrites its fields."""

    def __init__(
        self, url: str, room: str, author: Author, *, headers: dict[str, str] | None = None, **hello: Any
    ) -> None:
        self.url, self.room, self.author, self._hello = url, room, author, hello
        self._headers = headers or {}
        self.welcome: Frame = {}
        self.seen: list[Frame] = []

    async def __aenter__(self) -> Self:
        await self.greet(await self.knock())
        self.welcome = await self.of_type("welcome")
        self.author.tokens[self.room] = self.welcome["token"]
        return self

    async def knock(self) -> Frame:
        """Connects; returns the challenge."""
        self.ws: ClientConnection = await connect(
            self.url,
            subprotocols=[Subprotocol("egoat.1")],
            compression=None,
            max_size=2**20,
            max_queue=None,
            additional_headers=self._headers,
        )
        challenge = await self.frame()
        assert challenge["type"] == "challenge"
        return challenge

    async def greet(self, challenge: Frame) -> None:
        """Sends the hello that answers the challenge."""
        origin = self.url.replace("ws://", "http://").split("/signal")[0]
        hello = {"type": "hello", "v": [1], "room": self.room, "session": self.author.session,
                 "name": self.author.name} | self.author.proof(self.room, challenge["nonce"], origin)  # fmt: skip
        await self.send(hello | self._hello)

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.ws.close()

    async def send(self, frame: Frame) -> None:
        """Sends one frame."""
        await self.ws.send(json.dumps(frame))

    async def frame(self, within: float = 5.0) -> Frame:
        """The next frame."""
        async with asyncio.timeout(within):
            found: Frame = json.loads(await self.ws.recv())
        self.seen.append(found)
        return found

    async def of_type(self, *kinds: str, within: float = 5.0) -> Frame:
        """The next frame of one of these types; others are kept in `seen`."""
        async with asyncio.timeout(within):
            while True:
                found = await self.frame(within)
                if found["type"] in kinds:
                    return found

    async def during(self, seconds: float) -> list[Frame]:
        """Every frame that comes within so many seconds."""
        found: list[Frame] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    found.append(await self.frame(seconds + 1))
        return found

    async def messages(self, count: int, within: float = 10.0) -> list[Frame]:
        """The next so many messages."""
        return [await self.of_type("message", within=within) for _ in range(count)]


class Poller:
    """A member by HTTP alone: signed or guest join, then polls."""

    def __init__(self, http: httpx.AsyncClient, base: str, room: str, author: Author) -> None:
        self.http, self.base, self.room, self.author = http, base, room, author
        self.token = ""
        self.after = ""
        self.joined: Frame = {}

    async def join(self) -> Frame:
        """Joins; keeps token and cursor."""
        challenge = await self.http.post(f"{self.base}/join/challenge", json={"room": self.room})
        proof = self.author.proof(self.room, challenge.json()["nonce"], self.base)
        body = {"room": self.room, "session": self.author.session, "name": self.author.name} | proof
        answer = await self.http.post(f"{self.base}/join", json=body)
        assert answer.status_code == 200, answer.text
        self.joined = answer.json()
        self.token = self.author.tokens[self.room] = self.joined["token"]
        self.after = f"{self.joined['log_id']}.{self.joined['head']}"
        return self.joined

    async def poll(self, wait: float = 0, frames: list[Frame] | None = None, **more: Any) -> Frame:
        """One poll from the kept cursor on."""
        body = {"after": self.after, "wait": wait, "frames": frames or []} | more
        answer = await self.http.post(
            f"{self.base}/poll", json=body, headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        found: Frame = answer.json()
        self.after = found["next"] or self.after
        self.token = found.get("token") or self.token
        return found


def bodies(frames: list[Frame]) -> list[str]:
    """The texts of message frames."""
    return [json.loads(frame["env"])["body"]["text"] for frame in frames if frame["type"] == "message"]

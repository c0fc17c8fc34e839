"""A TURN client for one allocation (RFC 8656), over UDP, TCP or TLS: enough to try a relay, not to carry calls."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from services.transport.relay.stun import (
    HEADER_BYTES,
    UDP,
    Address,
    Attribute,
    Kind,
    Message,
    Method,
    body_bytes,
    decode,
    encode,
    long_term_key,
)

_RESENDS = (0.5, 1.0, 1.5)
"""Seconds between sendings of a request over UDP (RFC 8489 section 6.2.1, cut short)."""
_ANSWER_S = sum(_RESENDS)
_QUEUE = 64
_UNAUTHORIZED, _STALE_NONCE = 401, 438
_LIFETIME = (60).to_bytes(4, "big")

Attributes = list[tuple[Attribute, bytes | Address]]


class Refused(Exception):
    """The server said no; `code` is its error code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code


class Silent(Exception):
    """The server does not answer, or nothing takes the connection."""


class _Way(asyncio.Protocol, asyncio.DatagramProtocol):
    """Whole messages to and from the server; None in the inbox says that the way broke."""

    def __init__(self, *, datagrams: bool) -> None:
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE)
        self.datagrams = datagrams
        self._transport: asyncio.BaseTransport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._take(None)

    def error_received(self, exc: Exception) -> None:
        self._take(None)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._take(data)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= HEADER_BYTES:
            try:
                end = HEADER_BYTES + body_bytes(self._rest[:HEADER_BYTES])
            except ValueError:
                self._take(None)
                return
            if len(self._rest) < end:
                return
            self._take(self._rest[:end])
            self._rest = self._rest[end:]

    def _take(self, data: bytes | None) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.inbox.put_nowait(data)

    def send(self, data: bytes) -> None:
        """One message to the server."""
        if self.datagrams:
            cast(asyncio.DatagramTransport, self._transport).sendto(data)
        else:
            cast(asyncio.WriteTransport, self._transport).write(data)

    def close(self) -> None:
        """Ends the way."""
        if self._transport is not None:
            self._transport.close()


class Allocation:
    """One relayed address; `relayed` stands once `allocate` has returned."""

    relayed: Address

    def __init__(self, way: _Way, username: str, password: str) -> None:
        self._way, self._username, self._password = way, username, password
        self._auth: Attributes = []
        self._key: bytes | None = None
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE)

    async def allocate(self, *more: tuple[Attribute, bytes]) -> None:
        """Asks for a relayed UDP address; raises Refused or Silent."""
        wanted: Attributes = [(Attribute.REQUESTED_TRANSPORT, bytes([UDP, 0, 0, 0]))]
        answer = await self._ask(Method.ALLOCATE, [*wanted, (Attribute.LIFETIME, _LIFETIME), *more])
        relayed = answer.address(Attribute.XOR_RELAYED_ADDRESS)
        if relayed is None:
            raise Refused(0, "no relayed address in the answer")
        self.relayed = relayed

    async def permit(self, peer: Address) -> None:
        """Lets this peer's host send here and be sent to; raises Refused or Silent."""
        await self._ask(Method.CREATE_PERMISSION, [(Attribute.XOR_PEER_ADDRESS, peer)])

    async def release(self) -> None:
        """Gives the address back; raises Refused or Silent."""
        await self._ask(Method.REFRESH, [(Attribute.LIFETIME, bytes(4))])

    def send(self, peer: Address, data: bytes) -> None:
        """One datagram from the relayed address to the peer; it may be lost."""
        said: Attributes = [(Attribute.XOR_PEER_ADDRESS, peer), (Attribute.DATA, data)]
        self._way.send(encode(Method.SEND, Kind.INDICATION, secrets.token_bytes(12), said))

    async def receive(self) -> bytes:
        """The next datagram that was sent to the relayed address; raises Silent when the way breaks."""
        while self._arrived.empty():
            self._sort(await self._next())
        return self._arrived.get_nowait()

    async def _ask(self, method: Method, attributes: Attributes) -> Message:
        """The success that answers the request; raises Refused or Silent."""
        answer = await self._exchange(method, attributes)
        code, reason = answer.error
        first = code == _UNAUTHORIZED and self._key is None
        if answer.kind is Kind.ERROR and (first or code == _STALE_NONCE):
            self._learn(answer)
            answer = await self._exchange(method, attributes)
            code, reason = answer.error
        if answer.kind is Kind.ERROR:
            raise Refused(code, reason)
        return answer

    def _learn(self, answer: Message) -> None:
        """Takes realm and nonce for the requests to come."""
        realm = answer.attributes.get(Attribute.REALM, b"")
        nonce = answer.attributes.get(Attribute.NONCE, b"")
        self._auth = [(Attribute.USERNAME, self._username.encode()), (Attribute.REALM, realm)]
        self._auth.append((Attribute.NONCE, nonce))
        self._key = long_term_key(self._username, realm.decode("utf-8", "replace"), self._password)

    async def _exchange(self, method: Method, attributes: Attributes) -> Message:
        transaction = secrets.token_bytes(12)
        data = encode(method, Kind.REQUEST, transaction, [*attributes, *self._auth], self._key)
        for pause in _RESENDS if self._way.datagrams else (_ANSWER_S,):
            self._way.send(data)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    return await self._answer(transaction)
        raise Silent("no answer")

    async def _answer(self, transaction: bytes) -> Message:
        while True:
            message = await self._next()
            if message.transaction == transaction and message.kind in (Kind.SUCCESS, Kind.ERROR):
                return message
            self._sort(message)

    async def _next(self) -> Message:
        while True:
            data = await self._way.inbox.get()
            if data is None:
                raise Silent("the connection was refused or ended")
            with contextlib.suppress(ValueError):
                return decode(data)

    def _sort(self, message: Message) -> None:
        """Keeps a datagram for `receive`; anything else is late."""
        if (message.method, message.kind) == (Method.DATA, Kind.INDICATION):
            with contextlib.suppress(asyncio.QueueFull):
                self._arrived.put_nowait(message.attributes.get(Attribute.DATA, b""))


@asynccontextmanager
async def connect(transport: str, server: Address, username: str, password: str) -> AsyncIterator[Allocation]:
    """An allocation yet to be made, by way of `udp`, `tcp` or `tls`; raises Silent when nothing takes it."""
    loop = asyncio.get_running_loop()
    way = _Way(datagrams=transport == "udp")
    try:
        async with asyncio.timeout(_ANSWER_S):
            if way.datagrams:
                await loop.create_datagram_endpoint(lambda: way, remote_addr=(server.host, server.port))
            else:
                tls = True if transport == "tls" else None
                await loop.create_connection(lambda: way, server.host, server.port, ssl=tls)
    except (OSError, TimeoutError) as problem:
        raise Silent(str(problem) or "no answer") from None
    try:
        yield Allocation(way, username, password)
    finally:
        way.close()

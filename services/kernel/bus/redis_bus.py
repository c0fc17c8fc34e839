"""Publish and subscribe on Redis through hiredis.Reader: two connections, pipelined, best effort.

redis-py costs 500 µs more per message at chat rates; see docs/decisions/002-bus.md. What is published
while Redis is away is dropped: the log and its sweep make up for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import unquote, urlsplit

import hiredis
import msgspec
import structlog

from services.kernel.bus.base import Delivery, Resumed, Sink, Subject
from services.kernel.bus.tasks import keep, owned

_MAX_BUFFER = 8 * 1024 * 1024
_PING_EVERY = 5.0
_SILENCE = 12.0

log = structlog.get_logger()


class Endpoint(msgspec.Struct, frozen=True):
    """Where Redis listens and who we are there."""

    path: str | None
    host: str
    port: int
    user: str
    password: str

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """From `redis://[user:password@]host:port` or `unix:///path`; raises ValueError."""
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if parts.scheme == "unix" and parts.path:
            return cls(parts.path, "", 0, user, password)
        if parts.scheme == "redis" and parts.hostname:
            return cls(None, parts.hostname, parts.port or 6379, user, password)
        raise ValueError("a Redis URL is redis://host:port or unix:///path")


def _command(*parts: bytes) -> bytes:
    """A RESP array of bulk strings, as Redis takes commands."""
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


class _Wire(asyncio.Protocol):
    """One connection: bytes out, replies to a callback."""

    def __init__(self, on_reply: Callable[[object], None]) -> None:
        self._reader = hiredis.Reader()
        self._on_reply = on_reply
        self.transport: asyncio.Transport | None = None
        self.closed = asyncio.get_running_loop().create_future()
        self.heard = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has no common base class

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, hiredis.ReplyError):
                log.error("redis.refused", problem=str(reply))
                self.abort()
                return
            self._on_reply(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def write(self, data: bytes) -> bool:
        if self.transport is None or self.transport.is_closing():
            return False
        if self.transport.get_write_buffer_size() > _MAX_BUFFER:
            self.transport.abort()
            return False
        self.transport.write(data)
        return True

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Listener:
    """One sink on one subject of a RedisBus."""

    def __init__(self, bus: "RedisBus", subject: Subject, sink: Sink) -> None:
        self._bus, self.subject, self.sink = bus, subject, sink

    async def standing(self, within: float) -> bool:
        return await self._bus.wait_standing(self.subject, within)

    def close(self) -> None:
        self._bus.drop(self)


class RedisBus:
    """A Bus on one Redis. Use `open_bus`; its `run` must be running for anything to flow."""

    def __init__(self, url: str) -> None:
        self._endpoint = Endpoint.parse(url)
        self._listeners: dict[bytes, list[_Listener]] = {}
        self._standing: dict[bytes, asyncio.Event] = {}
        self._lost: set[bytes] = set()
        self._sub: _Wire | None = None
        self._pub: _Wire | None = None

    @property
    def connected(self) -> bool:
        """Whether both connections stand."""
        return self._sub is not None and self._pub is not None

    def publish(self, subject: Subject, data: bytes) -> None:
        """Sends now or drops."""
        if self._pub is not None:
            self._pub.write(_command(b"PUBLISH", subject.encode(), data))

    def subscribe(self, subject: Subject, sink: Sink) -> _Listener:
        """Adds a sink; the first one of a subject subscribes at Redis."""
        key = subject.encode()
        listener = _Listener(self, subject, sink)
        if key not in self._listeners:
            self._listeners[key] = []
            self._standing[key] = asyncio.Event()
            if self._sub is not None:
                self._sub.write(_command(b"SUBSCRIBE", key))
        self._listeners[key].append(listener)
        return listener

    async def wait_standing(self, subject: Subject, within: float) -> bool:
        """Whether Redis has confirmed the subscription within so many seconds."""
        event = self._standing.get(subject.encode())
        if event is None:
            return False
        try:
            async with asyncio.timeout(within):
                await event.wait()
        except TimeoutError:
            return False
        return True

    def drop(self, listener: _Listener) -> None:
        """Takes a sink out; the last one of a subject unsubscribes at Redis."""
        key = listener.subject.encode()
        sinks = self._listeners.get(key, [])
        if listener in sinks:
            sinks.remove(listener)
            if not sinks:
                del self._listeners[key]
                del self._standing[key]
                self._lost.discard(key)
                if self._sub is not None:
                    self._sub.write(_command(b"UNSUBSCRIBE", key))

    async def run(self) -> None:
        """Keeps both connections up until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(keep(self._hold_sub, "redis.subscriber"))
            group.create_task(keep(self._hold_pub, "redis.publisher"))

    @asynccontextmanager
    async def _dial(self, on_reply: Callable[[object], None]) -> AsyncIterator[_Wire]:
        loop, end = asyncio.get_running_loop(), self._endpoint
        async with asyncio.timeout(2):
            if end.path is not None:
                _, wire = await loop.create_unix_connection(lambda: _Wire(on_reply), end.path)
            else:
                _, wire = await loop.create_connection(lambda: _Wire(on_reply), end.host, end.port)
        try:
            if end.password:
                who = (end.user.encode(),) if end.user else ()
                wire.write(_command(b"AUTH", *who, end.password.encode()))
            yield wire
        finally:
            wire.abort()

    async def _stay(self, wire: _Wire) -> None:
        """Until the connection ends, or says nothing although it was pinged."""
        loop = asyncio.get_running_loop()
        while not wire.closed.done():
            wire.write(_command(b"PING"))
            await asyncio.wait([wire.closed], timeout=_PING_EVERY)
            if loop.time() - wire.heard > _SILENCE:
                raise TimeoutError("Redis does not answer")

    async def _hold_pub(self) -> None:
        async with self._dial(_ignore) as wire:
            self._pub = wire
            try:
                await self._stay(wire)
            finally:
                self._pub = None

    async def _hold_sub(self) -> None:
        async with self._dial(self._take) as wire:
            self._sub = wire
            if self._listeners:
                wire.write(_command(b"SUBSCRIBE", *self._listeners))
            try:
                await self._stay(wire)
            finally:
                self._sub = None
                self._lost = set(self._listeners)
                for event in self._standing.values():
                    event.clear()

    def _take(self, reply: object) -> None:
        if not isinstance(reply, list) or len(reply) != 3:
            return
        match reply[0]:
            case b"message":
                self._deliver(reply[1], reply[2])
            case b"subscribe":
                self._confirmed(reply[1])

    def _deliver(self, key: bytes, data: bytes) -> None:
        delivery = Delivery(Subject(key.decode()), data)
        for listener in tuple(self._listeners.get(key, ())):
            listener.sink(delivery)

    def _confirmed(self, key: bytes) -> None:
        if (event := self._standing.get(key)) is not None:
            event.set()
        if key in self._lost:
            self._lost.discard(key)
            resumed = Resumed(Subject(key.decode()))
            for listener in tuple(self._listeners.get(key, ())):
                listener.sink(resumed)


def _ignore(reply: object) -> None:
    """Replies to PUBLISH prove nothing (decision 002)."""


@asynccontextmanager
async def open_bus(url: str, group: asyncio.TaskGroup) -> AsyncIterator[RedisBus]:
    """A running bus; what it cannot send it drops, and it reconnects for ever."""
    bus = RedisBus(url)
    async with owned(group, bus.run()):
        yield bus

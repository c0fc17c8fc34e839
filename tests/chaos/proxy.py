"""A TCP fault proxy for loopback: passes bytes between two parts of a node as badly as it is told at run time."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 64 * 1024
_CHUNKS_UNDER_WAY = 64
_RESET = struct.pack("ii", 1, 0)

Address = str | Path
"""`host:port`, or the path of a Unix socket."""


@dataclass(frozen=True)
class Weather:
    """How bytes pass: seconds of delay, writes of 1 to `slices` bytes, bytes per second; 0 is without.

    In a `black_hole` connections are accepted and nothing passes; what was sent meanwhile comes after it.
    `refuse` resets new connections.
    """

    latency: float = 0.0
    jitter: float = 0.0
    slices: int = 0
    bandwidth: int = 0
    black_hole: bool = False
    refuse: bool = False


FAIR = Weather()


class _Pair:
    """One connection through the proxy: two streams, passed on in both directions."""

    def __init__(self, proxy: "Proxy", here: "_Stream", there: "_Stream") -> None:
        self._proxy, self.here, self.there = proxy, here, there
        self.forgotten = False

    async def run(self) -> None:
        """Returns when both directions have ended; a reset of one end is passed on to the other."""
        try:
            async with asyncio.TaskGroup() as group:
                for source, target in ((self.here, self.there), (self.there, self.here)):
                    chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
                    group.create_task(self._take(source, chunks))
                    group.create_task(self._give(target, chunks))
        except* OSError:
            if not self.forgotten:
                self.reset()

    async def _take(self, source: "_Stream", chunks: "asyncio.Queue[tuple[float, bytes]]") -> None:
        now = asyncio.get_running_loop().time
        while True:
            data = await source.reader.read(_CHUNK)
            await chunks.put((now() + self._proxy.delay(), data))
            if not data:
                return

    async def _give(self, target: "_Stream", chunks: "asyncio.Queue[tuple[float, bytes]]") -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, data = await chunks.get()
            if due > now():
                await asyncio.sleep(due - now())
            await self._proxy.passable()
            if self.forgotten:
                await asyncio.Event().wait()
            if not data:
                target.end()
                return
            await self._write(target, data)

    async def _write(self, target: "_Stream", data: bytes) -> None:
        while data and not target.ended:
            size = self._proxy.piece(len(data))
            target.writer.write(data[:size])
            await target.writer.drain()
            await asyncio.sleep(self._proxy.pause(size))
            data = data[size:]

    def reset(self) -> None:
        """Both ends learn of it by RST (a Unix socket: by its end)."""
        for end in (self.here, self.there):
            end.reset()


class _Stream:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.ended = False

    def end(self) -> None:
        """Says that nothing more comes; the other direction stays."""
        self.ended = True
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.write_eof()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()


class Proxy:
    """Listens on a port of its own (or a Unix socket) and dials `upstream`; `weather` may be set at any time."""

    def __init__(self, upstream: Address, seed: int = 0) -> None:
        self.upstream = upstream
        self.address: Address = ""
        self._random = random.Random(seed)
        self._weather = FAIR
        self._fair = asyncio.Event()
        self._fair.set()
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def weather(self) -> Weather:
        """How bytes pass now."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        (self._fair.clear if weather.black_hole else self._fair.set)()

    @property
    def connections(self) -> int:
        """How many connections pass through now."""
        return len(self._pairs)

    async def start(self, at: Path | None = None) -> None:
        """Listens: on a free port of 127.0.0.1, or on the Unix socket `at`."""
        if at is not None:
            self._server, self.address = await asyncio.start_unix_server(self._accept, at), at
            return
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def aclose(self) -> None:
        """Listens no more; every connection is cut."""
        assert self._server is not None
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Ends every connection that there is, both ends in order."""
        for pair in tuple(self._pairs):
            pair.here.writer.close()
            pair.there.writer.close()

    def reset(self) -> None:
        """Resets every connection that there is."""
        for pair in tuple(self._pairs):
            pair.reset()

    def half_close(self) -> None:
        """Tells the upstream of every connection that its client sends nothing more; answers still pass."""
        for pair in tuple(self._pairs):
            pair.there.end()

    def forget(self) -> None:
        """Nothing passes any more on the connections that there are, and nobody is told: as after a dead router."""
        for pair in tuple(self._pairs):
            pair.forgotten = True

    def delay(self) -> float:
        """Seconds that a chunk which comes now is under way."""
        return self._weather.latency + self._random.random() * self._weather.jitter

    def piece(self, size: int) -> int:
        """How many of so many bytes go in the next write."""
        if self._weather.bandwidth:
            size = min(size, max(1, self._weather.bandwidth // 20))
        return min(size, self._random.randint(1, self._weather.slices)) if self._weather.slices else size

    def pause(self, size: int) -> float:
        """Seconds after a write of so many bytes."""
        return size / self._weather.bandwidth if self._weather.bandwidth else 0

    def passable(self) -> Awaitable[object]:
        """Returns when there is no black hole."""
        return self._fair.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(_Stream(reader, writer))
        except asyncio.CancelledError:
            return
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, here: _Stream) -> None:
        await self.passable()
        if self._weather.refuse:
            here.reset()
            return
        try:
            there = _Stream(*await self._dial())
        except OSError:
            here.reset()
            return
        pair = _Pair(self, here, there)
        self._pairs.add(pair)
        try:
            await pair.run()
        finally:
            self._pairs.discard(pair)
            there.writer.transport.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(self.upstream)
        host, _, port = self.upstream.rpartition(":")
        return await asyncio.open_connection(host, int(port))

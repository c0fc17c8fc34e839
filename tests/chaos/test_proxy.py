"""The fault proxy does what it says, or a scenario proves nothing."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.proxy import FAIR, Address, Proxy, Weather
from tests.support.node import eventually


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it hears, and `end` when it hears no more."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.write(b"end")
        writer.close()


@contextlib.asynccontextmanager
async def _proxy(upstream: Address | None = None, at: Path | None = None) -> AsyncIterator[Proxy]:
    """A proxy before an echo server."""
    if isinstance(upstream, Path):
        server = await asyncio.start_unix_server(_echo, upstream)
    else:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        upstream = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    proxy = Proxy(upstream, seed=1)
    await proxy.start(at)
    try:
        yield proxy
    finally:
        await proxy.aclose()
        server.close()


async def _dial(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(proxy.address, Path):
        return await asyncio.open_unix_connection(proxy.address)
    host, _, port = proxy.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _echoed(
    line: tuple[asyncio.StreamReader, asyncio.StreamWriter], data: bytes, within: float = 5
) -> bytes:
    reader, writer = line
    writer.write(data)
    async with asyncio.timeout(within):
        return await reader.readexactly(len(data))


@pytest.mark.parametrize("weather", [FAIR, Weather(slices=3), Weather(latency=0.01, jitter=0.03)])
async def test_bytes_pass_whole_and_in_order(weather: Weather) -> None:
    data = bytes(range(256)) * 40
    async with _proxy() as proxy:
        proxy.weather = weather
        line = await _dial(proxy)
        assert await _echoed(line, data) == data
        line[1].write_eof()
        assert await line[0].read() == b"end"
        await eventually(lambda: proxy.connections == 0, within=2)


async def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    async with _proxy(tmp_path / "up", tmp_path / "here") as proxy:
        line = await _dial(proxy)
        assert await _echoed(line, b"hello") == b"hello"
        proxy.reset()
        with contextlib.suppress(ConnectionError):
            assert await line[0].read() == b""


async def test_latency_and_bandwidth_take_their_time() -> None:
    async with _proxy() as proxy:
        line = await _dial(proxy)
        for weather, least in ((Weather(latency=0.1), 0.2), (Weather(bandwidth=20_000), 0.19)):
            proxy.weather, began = weather, time.monotonic()
            await _echoed(line, b"x" * 5000)
            assert least <= time.monotonic() - began < least + 0.5


async def test_a_black_hole_accepts_passes_nothing_and_gives_back_what_it_took() -> None:
    async with _proxy() as proxy:
        old = await _dial(proxy)
        await _echoed(old, b"before")
        proxy.weather = Weather(black_hole=True)
        new = await _dial(proxy)
        for line in (old, new):
            with pytest.raises(TimeoutError):
                await _echoed(line, b"lost?", within=0.1)
        proxy.weather = FAIR
        for line in (old, new):
            assert await line[0].readexactly(5) == b"lost?"


async def test_reset_cut_half_close_forget_and_refuse() -> None:
    async with _proxy() as proxy:
        reader, writer = line = await _dial(proxy)
        await _echoed(line, b"x")
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        reader, writer = line = await _dial(proxy)
        await _echoed(line, b"x")
        proxy.cut()
        assert await reader.read() == b""
        reader, writer = line = await _dial(proxy)
        await _echoed(line, b"x")
        proxy.half_close()
        assert await reader.read() == b"end"
        line = await _dial(proxy)
        await _echoed(line, b"x")
        proxy.forget()
        with pytest.raises(TimeoutError):
            await _echoed(line, b"x", within=0.1)
        assert await _echoed(await _dial(proxy), b"another") == b"another"
        proxy.weather = Weather(refuse=True)
        reader, writer = await _dial(proxy)
        with pytest.raises(ConnectionError):
            writer.write(b"x")
            assert await reader.read() != b""

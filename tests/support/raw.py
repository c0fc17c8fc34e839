"""Bytes on a plain TCP connection, for what no decent client would send: HTTP requests and WebSocket frames by hand."""

import asyncio
import contextlib
import json
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GONE = 1006
"""The close code of a connection that ended without a close frame."""


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class Wire:
    """One TCP connection to a port of this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Sends the bytes as far as the other side takes them; a connection it has ended takes none."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self, within: float = 15.0) -> Answer:
        """The HTTP answer that comes next."""
        async with asyncio.timeout(within):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(first.split(" ")[1]), headers, body)

    async def ended(self, within: float = 15.0) -> bytes:
        """What still comes until the other side ends the connection."""
        found = b""
        async with asyncio.timeout(within):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(65536):
                    found += data
        return found

    async def frame(self, within: float = 15.0) -> tuple[int, bytes]:
        """Opcode and payload of the WebSocket frame that comes next."""
        async with asyncio.timeout(within):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
            return first & 15, await self.reader.readexactly(size)

    async def close_code(self, within: float = 15.0) -> int:
        """The code of the close frame, whatever comes before it; GONE when there is none."""
        async with asyncio.timeout(within):
            try:
                while True:
                    opcode, payload = await self.frame(within)
                    if opcode == CLOSE:
                        return int(struct.unpack(">H", payload[:2])[0]) if payload else 1005
            except (asyncio.IncompleteReadError, ConnectionError):
                return GONE


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """A connection for the length of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(port: int, request: bytes, within: float = 15.0) -> Answer:
    """The answer to one request given as bytes."""
    async with wire(port) as line:
        await line.send(request)
        return await line.answer(within)


def request(
    method: str, target: str, body: bytes | None = None, *, host: str = "localhost", **headers: str
) -> bytes:
    """A request as bytes; `_` in header names stands for `-`, the length is added for a body."""
    fields = {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        fields.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


def upgrade(target: str, *, host: str = "localhost", **headers: str) -> bytes:
    """A WebSocket handshake as bytes."""
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    return request("GET", target, None, host=host, **(fields | headers))


def client_frame(
    opcode: int, payload: bytes, *, fin: bool = True, reserved: int = 0, mask: bool = True
) -> bytes:
    """One WebSocket frame as a client sends it; the keywords make it a wrong one."""
    size, flag = len(payload), 0x80 if mask else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([flag | 127]) + size.to_bytes(8, "big")
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


async def greet(line: Wire, port: int, room: str, name: str, **more: str) -> None:
    """Joins as a guest and reads up to the welcome; `more` goes into the hello."""
    await line.send(upgrade("/signal", host=f"127.0.0.1:{port}", Sec_WebSocket_Protocol="egoat.1"))
    assert (await line.answer()).status == 101
    session = name.encode().hex().zfill(16)[:16]
    hello = {"type": "hello", "v": [1], "room": room, "session": session, "name": name} | more
    await line.send(client_frame(TEXT, json.dumps(hello).encode()))
    while json.loads((await line.frame())[1])["type"] != "welcome":
        pass

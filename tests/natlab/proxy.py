"""A web proxy as it stands in offices: it hands HTTP on, and breaks WebSockets in one of several ways.

Reads one word per line from its input: `strip` answers every Upgrade with 400, `pass` lets it through, `cut` kills the
sockets that are open, `idle N` kills those of which one side says nothing for N seconds (0: never). As a forward proxy
(a request line with a whole URL) it refuses CONNECT.
"""

import argparse
import asyncio
import contextlib
import re
import sys

_HEAD = 64 * 1024
_PORT = 8080


class Proxy:
    """One proxy before one node."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._strip = False
        self._idle: float | None = None
        self._tunnels: set[asyncio.StreamWriter] = set()
        self._tasks: set[object] = set()

    def command(self, line: str) -> None:
        """What the operator says."""
        word, _, value = line.strip().partition(" ")
        match word:
            case "strip" | "pass":
                self._strip = word == "strip"
            case "idle":
                self._idle = float(value) or None
            case "cut":
                for writer in self._tunnels:
                    writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which carries one request."""
        task = asyncio.current_task()
        self._tasks.add(task)  # nothing else holds it
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            await self._request(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        upgrade = re.search(r"(?im)^upgrade:", head) is not None
        if head.startswith("CONNECT ") or (upgrade and self._strip):
            status = "403 Forbidden" if head.startswith("CONNECT ") else "400 Bad Request"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return await writer.drain()
        head = re.sub(r"^(\S+) http://[^/ ]+", r"\1 ", head)
        if not upgrade:
            head = re.sub(r"(?im)^(proxy-)?connection:.*\r\n", "", head)
            head = head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        there, back = await asyncio.open_connection(*self._to)
        back.write(head.encode("latin-1"))
        if upgrade:
            self._tunnels |= {writer, back}
        try:
            async with asyncio.TaskGroup() as ways:
                up = ways.create_task(self._copy(reader, back, upgrade))
                await self._copy(there, writer, upgrade)
                up.cancel()
        finally:
            self._tunnels -= {writer, back}
            back.close()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, tunnel: bool) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            while data := await asyncio.wait_for(source.read(_HEAD), self._idle if tunnel else None):
                sink.write(data)
                await sink.drain()
        if tunnel:
            sink.close()


async def main() -> None:
    """Serves until its input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, action="append", required=True)
    parser.add_argument("--to", required=True)
    given = parser.parse_args()
    proxy = Proxy((given.to, _PORT))
    for port in given.port:
        await asyncio.start_server(proxy.serve, "0.0.0.0", port, limit=_HEAD)
    print("ready", flush=True)  # noqa: T201 - its parent waits for it
    while line := await asyncio.to_thread(sys.stdin.readline):
        proxy.command(line)
        print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())

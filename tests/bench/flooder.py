"""The flooding client of tests.bench.flood, in a process of its own that any other process may take the CPU from.

It reads one JSON line per command from its standard input, makes its frames, says `ready`, floods from the next line on
for so many seconds, and says what came of it.
"""

import asyncio
import contextlib
import json
import math
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvloop
from websockets.exceptions import ConnectionClosed

from tests.support.clients import Author, Frame, Socket
from tests.support.raw import TEXT, Wire, client_frame, request, upgrade, wire

_LINES = 32
_MOST_UNSENT = 256 * 1024
ADDRESS = "203.0.113.7"
"""Where the flood over HTTP and the joins come from, as a trusted proxy would tell it."""


def say(what: object) -> None:
    """One line to the program that measures."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def told() -> Any:
    """The next line of it."""
    return json.loads(await asyncio.to_thread(sys.stdin.readline))


async def at_rate(rate: float, seconds: float, act: Callable[[int], Awaitable[bool]]) -> int:
    """Acts so often per second; returns how often the act could be done."""
    start, number, done = time.monotonic(), 0, 0
    while (now := time.monotonic() - start) < seconds:
        while number < rate * now:
            done += await act(number)
            number += 1
        await asyncio.sleep(0.004)
    return done


class Flooder:
    """One peer with several sockets, and one address."""

    def __init__(self, signaling: int, gateway: int, sockets: int) -> None:
        self.signaling, self.gateway, self.sockets, self.room = signaling, gateway, sockets, "flood"
        self.author = Author("Flooder", signed=True)

    async def flood(self, door: str, rate: float, seconds: float) -> Frame:
        """Floods this door at this rate; how many attempts left, and their answers by kind."""
        doors = {"socket": self.by_socket, "post": self.by_post, "join": self.by_join}
        return await doors[door](rate, seconds)

    async def by_socket(self, rate: float, seconds: float) -> Frame:
        """Messages on several sockets of one peer; what a socket does not take is not sent."""
        heard: Counter[str] = Counter()
        each = rate / self.sockets

        async def one(author: Author, frames: list[bytes]) -> int:
            async with Socket(f"ws://127.0.0.1:{self.signaling}/signal", self.room, author) as socket:
                ready.release()
                await go.wait()

                async def send(number: int) -> bool:
                    if socket.ws.transport.get_write_buffer_size() > _MOST_UNSENT:
                        return False
                    socket.ws.transport.write(frames[number % len(frames)])
                    return True

                async with asyncio.TaskGroup() as group:
                    reader = group.create_task(hear(socket))
                    sent = await at_rate(each, seconds, send)
                    reader.cancel()
                socket.ws.transport.abort()
                return sent

        async def hear(socket: Socket) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    text = await socket.ws.recv()
                    heard[text[9:12]] += 1

        tabs = [self.author.elsewhere() for _ in range(self.sockets)]
        made = [(tab, self.frames(tab, math.ceil(each * seconds))) for tab in tabs]
        ready, go = asyncio.Semaphore(0), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(author, frames)) for author, frames in made]
            for _ in tasks:
                await ready.acquire()
            await begin()
            go.set()
        return {
            "sent": sum(task.result() for task in tasks),
            "taken": heard["ack"],
            "refused": heard["fau"],
        }

    def frames(self, author: Author, count: int) -> list[bytes]:
        """Signed messages as they go over the line."""
        written = (author.write(self.room, f"flood {number}") for number in range(count))
        return [client_frame(TEXT, json.dumps(frame).encode()) for frame in written]

    async def by_post(self, rate: float, seconds: float) -> Frame:
        """`POST /send` over many connections, each of which waits for its answer."""

        def body(number: int) -> tuple[str, Frame]:
            return "/send", {"room": self.room, "peer_id": f"Flood {number}", "text": "flood"}

        return await self.over_http(rate, seconds, body)

    async def over_http(
        self, rate: float, seconds: float, body: Callable[[int], tuple[str, Frame]], *, begun: bool = False
    ) -> Frame:
        """Requests at this rate on kept connections; counts answers."""
        statuses: Counter[int] = Counter()
        free: asyncio.Queue[Wire] = asyncio.Queue()
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(_LINES):
                free.put_nowait(await stack.enter_async_context(wire(self.gateway)))
            if not begun:
                await begin()
            async with asyncio.TaskGroup() as group:

                async def ask(line: Wire, data: bytes) -> None:
                    await line.send(data)
                    statuses[(await line.answer()).status] += 1
                    free.put_nowait(line)

                async def act(number: int) -> bool:
                    if free.empty():
                        return False
                    target, fields = body(number)
                    data = request(
                        "POST",
                        target,
                        json.dumps(fields).encode(),
                        host=f"127.0.0.1:{self.gateway}",
                        Content_Type="application/json",
                        X_Forwarded_For=ADDRESS,
                    )
                    group.create_task(ask(free.get_nowait(), data))
                    return True

                sent = await at_rate(rate, seconds, act)
        return {"sent": sent, "taken": statuses[200], "refused": statuses[429]}

    async def by_join(self, rate: float, seconds: float) -> Frame:
        """Half over `POST /join`, half by sockets that say hello."""
        await begin()

        def body(number: int) -> tuple[str, Frame]:
            fields = {"room": self.joined(number), "session": secrets.token_hex(8), "name": f"Post {number}"}
            return "/join", fields

        by_post, by_socket = await asyncio.gather(
            self.over_http(rate / 2, seconds, body, begun=True), self.hellos(rate / 2, seconds)
        )
        return {name: by_post[name] + by_socket[name] for name in by_post}

    def joined(self, number: int) -> str:
        """The room of a join."""
        return f"{self.room}-{number % 10}"

    async def hellos(self, rate: float, seconds: float) -> Frame:
        """Sockets that join and go."""
        heard: Counter[str] = Counter()

        async def join(number: int) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with wire(self.signaling) as line:
                    heard[await self.greeted(line, number)] += 1

        async with asyncio.TaskGroup() as group:

            async def act(number: int) -> bool:
                group.create_task(join(number))
                return True

            sent = await at_rate(rate, seconds, act)
        return {"sent": sent, "taken": heard["welcome"], "refused": heard["fault"]}

    async def greeted(self, line: Wire, number: int) -> str:
        """The type of the frame that answers a hello."""
        more = {"Sec_WebSocket_Protocol": "egoat.1", "X_Forwarded_For": ADDRESS}
        await line.send(upgrade("/signal", host=f"127.0.0.1:{self.signaling}", **more))
        assert (await line.answer()).status == 101
        hello = {"type": "hello", "v": [1], "room": self.joined(number), "session": secrets.token_hex(8)}
        await line.send(client_frame(TEXT, json.dumps(hello | {"name": f"Hello {number}"}).encode()))
        while (found := str(json.loads((await line.frame())[1])["type"])) not in ("welcome", "fault"):
            pass
        return found


async def begin() -> None:
    """All is prepared; returns when the flood may start."""
    say("ready")
    await told()


async def main(given: Sequence[str]) -> None:
    """Obeys until told nothing more."""
    flooder = Flooder(*map(int, given))
    while (order := await told()) is not None:
        say(await flooder.flood(**order))


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    uvloop.run(main(sys.argv[1:]))

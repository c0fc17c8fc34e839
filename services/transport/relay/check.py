"""Tries the node's TURN servers as two browsers would: two allocations, a datagram there and back, in plain words."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from services.kernel.run.turn import credential
from services.kernel.wire.status import RelayState
from services.transport.relay.client import Allocation, Refused, Silent, connect
from services.transport.relay.stun import Address

_URL = re.compile(r"(turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?")
_PORTS = {"turn": 3478, "turns": 5349}
_ECHO_S, _RESEND_S = 2.0, 0.3
_GOOD_FOR_S = 600
_USER = "self-test"


class Way(msgspec.Struct, frozen=True):
    """One way in: `transport` is udp, tcp or tls."""

    transport: str
    server: Address

    @property
    def place(self) -> str:
        """The server as people write it."""
        host = self.server.host
        return f"[{host}]:{self.server.port}" if ":" in host else f"{host}:{self.server.port}"


class Tried(msgspec.Struct, frozen=True):
    """How a way did: milliseconds there and back, or what is wrong."""

    way: Way
    ms: float | None
    problem: str = ""


def ways(urls: Sequence[str]) -> list[Way]:
    """The ways that these URLs name, each once. TURN over DTLS is not tried."""
    found = []
    for url in urls:
        match = re.fullmatch(_URL, url)
        assert match is not None, "the settings let no other URL through"
        scheme, host, port, transport = match.groups()
        kind = transport or ("udp" if scheme == "turn" else "tcp")
        if scheme == "turns" and kind == "udp":
            continue
        server = Address(host.strip("[]"), int(port or _PORTS[scheme]))
        found.append(Way("tls" if scheme == "turns" else kind, server))
    return list(dict.fromkeys(found))


async def attempt(way: Way, username: str, password: str) -> Tried:
    """Relays a datagram between two allocations, there and back."""
    name = f"{way.transport.upper()} {way.server.port}"
    try:
        async with _allocated(way, username, password) as one, _allocated(way, username, password) as other:
            await one.permit(other.relayed)
            await other.permit(one.relayed)
            started = time.perf_counter()
            await _carried(one, other)
            await _carried(other, one)
            return Tried(way, (time.perf_counter() - started) * 1000)
    except Silent:
        return Tried(way, None, f"does not answer on {name}")
    except TimeoutError:
        return Tried(way, None, f"takes datagrams on {name} but does not pass them on")
    except Refused as refused:
        return Tried(way, None, f"{_told(refused)} on {name}")


def _told(refused: Refused) -> str:
    match refused.code:
        case 401:
            return "refuses the credentials"
        case 403:
            return "refuses to relay to its own address"
        case 486:
            return "has no allocation left"
        case _:
            return f"refuses ({refused})"


@asynccontextmanager
async def _allocated(way: Way, username: str, password: str) -> AsyncIterator[Allocation]:
    async with connect(way.transport, way.server, username, password) as allocation:
        await allocation.allocate()
        try:
            yield allocation
        finally:
            with contextlib.suppress(Silent, Refused):
                await allocation.release()


async def _carried(sender: Allocation, receiver: Allocation) -> None:
    """Sends until it arrives, since a datagram may be lost; raises TimeoutError."""
    async with asyncio.timeout(_ECHO_S):
        while True:
            sender.send(receiver.relayed, b"egoat")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RESEND_S):
                    await receiver.receive()
                    return


def told(tried: Sequence[Tried]) -> RelayState:
    """What was found, as one sentence for each server."""
    sentences = []
    for place in dict.fromkeys(each.way.place for each in tried):
        here = [each for each in tried if each.way.place == place]
        works = [f"{each.way.transport.upper()} ({each.ms:.1f} ms)" for each in here if each.ms is not None]
        parts = [f"works over {' and '.join(works)}"] if works else []
        parts += [each.problem for each in here if each.ms is None]
        sentences.append(f"TURN relay at {place} {', but '.join(parts) if works else ' and '.join(parts)}")
    return RelayState(all(each.ms is not None for each in tried), "; ".join(sentences))


async def check(urls: Sequence[str], secret: str, now_ms: int) -> RelayState:
    """Tries every way, one after the other."""
    username = f"{now_ms // 1000 + _GOOD_FOR_S}:{_USER}"
    password = credential(secret, username)
    return told([await attempt(way, username, password) for way in ways(urls)])

"""Composition of the transport service: today it says truthfully what this node can do; it has no links yet."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.kernel.bus import subjects
from services.kernel.bus.base import Away, Leases
from services.kernel.bus.redis_leases import open_leases
from services.kernel.bus.tasks import owned
from services.kernel.model.identity import peer_id
from services.kernel.run import health as healths
from services.kernel.run.listen import listen
from services.kernel.run.serve import Parts, http
from services.kernel.run.settings import StartError
from services.kernel.run.turn import Relay
from services.kernel.wire.status import Status
from services.transport.relay.watch import Watch
from services.transport.settings import Settings

_SAY_EVERY = 2.0
_TRUE_FOR = 6.0
_NOT_YET = "this version of the node has no links to other nodes"


def node_id(key_file: str) -> str:
    """The peer id of the node's key; raises StartError when the file holds none."""
    try:
        key = load_pem_private_key(Path(key_file).read_bytes(), None)
    except (OSError, ValueError) as problem:
        raise StartError(f"the node key cannot be read: {problem}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StartError(f"{key_file} does not hold an Ed25519 key")
    return peer_id(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def status_of(node: str) -> Status:
    """What this node can do: browsers reach it by socket and by polling, other nodes not at all."""
    return Status(
        peer_id=node,
        connections=0,
        available_transports=["websocket-direct", "http-polling"],
        unavailable=dict.fromkeys(("webrtc-stun", "webrtc-turn", "lan-broadcast"), _NOT_YET),
    )


async def _say(leases: Leases, status: Callable[[], Status]) -> None:
    """Repeats the status on the bus, true for six seconds each time."""
    who = secrets.token_hex(8)
    while True:
        with contextlib.suppress(Away):
            fact = {who: msgspec.msgpack.encode(status())}
            await leases.hold(subjects.TRANSPORT_STATUS, fact, _TRUE_FOR)
        await asyncio.sleep(_SAY_EVERY)


@asynccontextmanager
async def _running(
    settings: Settings, group: asyncio.TaskGroup, health: healths.Health
) -> AsyncIterator[None]:
    mine = settings.transport
    inside = listen(mine.internal_host, mine.internal_port)
    bare = status_of(node_id(mine.key_file))
    relay = Relay.of(settings.turn)
    watch = None if relay is None else Watch(relay, mine.turn_host, mine.turn_try_s)

    def status() -> Status:
        return msgspec.structs.replace(bare, relay=watch and watch.state)

    async def tell(request: Request) -> Response:
        return Response(msgspec.json.encode(status()), media_type="application/json")

    async with contextlib.AsyncExitStack() as stack:
        leases = await stack.enter_async_context(open_leases(settings.shared.redis_url))
        await stack.enter_async_context(owned(group, _say(leases, status)))
        if watch is not None:
            await stack.enter_async_context(owned(group, watch.run()))
        internal = healths.app(health, [Route("/transport/status", tell)])
        await stack.enter_async_context(http(internal, inside, group))
        yield


def parts(settings: Settings) -> Parts:
    """The transport service with these settings."""
    return lambda group, health: _running(settings, group, health)

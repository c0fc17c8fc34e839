"""Passes `/signal` upgrades of the gateway's port on to signaling, byte for byte, so that one origin is enough."""

import asyncio
from typing import Any, cast

import structlog
from uvicorn.server import ServerState

from services.kernel.run.http_protocol import answer
from services.kernel.run.listen import host_port

_DIAL_S = 3.0
_EARLY_BYTES = 64 * 1024

log = structlog.get_logger()


class _Upstream(asyncio.Protocol):
    """The connection to signaling; what it brings goes to the client."""

    def __init__(self, client: "Splice") -> None:
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._client.transport.write(data)

    def pause_writing(self) -> None:
        self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        self._client.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.transport.close()


class Splice(asyncio.Protocol):
    """One upgraded connection; uvicorn makes it and hands it the request's head as first data."""

    def __init__(
        self, *, config: object, server_state: ServerState, app_state: dict[str, Any], signaling: str
    ) -> None:
        self._state = server_state
        self._host, self._port = host_port(signaling)
        self._up: asyncio.Transport | None = None
        self._early = bytearray()
        self._started = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._state.connections.add(cast(Any, self))

    def data_received(self, data: bytes) -> None:
        if self._up is not None:
            self._up.write(data)
            return
        if not self._started:
            self._started = True
            self._begin(data)
            return
        self._early += data
        if len(self._early) > _EARLY_BYTES:
            self.transport.abort()

    def _begin(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1].split(b"?", 1)[0]
        if path != b"/signal":
            self._refuse(404, "Not Found", "not_found", "sockets are at /signal")
            return
        self._early += self._with_address(head)
        task = asyncio.get_running_loop().create_task(self._dial())
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _with_address(self, head: bytes) -> bytes:
        """The head with this hop's address at the end of X-Forwarded-For."""
        peer = str(self.transport.get_extra_info("peername", ("",))[0])
        lines = head.split(b"\r\n")
        known = [line for line in lines if line.lower().startswith(b"x-forwarded-for:")]
        others = [line for line in lines if line not in known]
        hops = [line.split(b":", 1)[1].strip() for line in known] + [peer.encode("ascii")]
        return b"\r\n".join([others[0], b"x-forwarded-for: " + b", ".join(hops), *others[1:]])

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_DIAL_S):
                _, up = await loop.create_connection(lambda: _Upstream(self), self._host, self._port)
        except (OSError, TimeoutError):
            log.warning("signaling.away")
            self._refuse(503, "Service Unavailable", "unavailable", "signaling cannot be reached", 1)
            return
        if self.transport.is_closing():
            up.transport.abort()
            return
        self._up = up.transport
        self._up.write(bytes(self._early))
        self._early.clear()

    def _refuse(self, status: int, reason: str, code: str, detail: str, retry: float | None = None) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(answer(status, reason, code, detail, retry))
        self.transport.close()

    def pause_writing(self) -> None:
        if self._up is not None:
            self._up.pause_reading()

    def resume_writing(self) -> None:
        if self._up is not None:
            self._up.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(cast(Any, self))
        if self._up is not None:
            self._up.close()

    def shutdown(self) -> None:
        """uvicorn drains: the client comes back through another replica."""
        self.transport.close()

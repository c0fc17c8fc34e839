"""The reference's own client form: no subprotocol, no Origin, joined by its query string."""

import asyncio
import contextlib
import json
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect

Frame = dict[str, Any]


class ReferenceSocket:
    """One socket of a reference client: `async with ReferenceSocket(url, room, label) as s`."""

    def __init__(self, url: str, room: str, label: str) -> None:
        self.url = f"{url}?{urlencode({'room': room, 'peer_id': label})}"
        self.headers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self.ws: ClientConnection = await connect(
            self.url,
            origin=None,
            compression=None,
            max_size=2**20,
            max_queue=None,
            additional_headers=self.headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.ws.close()

    async def say(self, kind: str, payload: object, **more: Any) -> None:
        """Sends one frame of the reference's form."""
        await self.ws.send(json.dumps({"type": kind, "payload": payload} | more))

    async def frame(self, within: float = 5.0) -> Frame:
        """The next frame."""
        async with asyncio.timeout(within):
            found: Frame = json.loads(await self.ws.recv())
        return found

    async def during(self, seconds: float) -> list[Frame]:
        """Every frame that comes within so many seconds."""
        found: list[Frame] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    found.append(await self.frame(seconds + 1))
        return found

    async def of_type(self, kind: str, within: float = 5.0) -> Frame:
        """The next frame of this type."""
        async with asyncio.timeout(within):
            while (found := await self.frame(within))["type"] != kind:
                pass
        return found

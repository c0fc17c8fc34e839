"""Tries the relay at start and again and again; says what it found in the log when that changes."""

import asyncio

import msgspec
import structlog

from services.kernel.run.clock import SystemClock
from services.kernel.run.turn import Relay
from services.kernel.wire.status import RelayState
from services.transport.relay.check import check

_STARTING_S = 5.0
_FAILED_S = 15.0

log = structlog.get_logger()


class Watch:
    """The last try of the relay; `state` is None before it."""

    def __init__(self, relay: Relay, host: str, every: float) -> None:
        self._relay, self._every, self._clock = relay, every, SystemClock()
        here = msgspec.structs.replace(relay, host=host or relay.host or "127.0.0.1")
        self._urls = here.urls_for("")
        self.state: RelayState | None = None

    async def run(self) -> None:
        """Until cancelled. A relay that starts together with this service has five seconds to answer."""
        started = self._clock.now()
        while True:
            found = await check(self._urls, self._relay.secret, self._clock.wall_ms())
            if found.ok or self.state is not None or self._clock.now() - started > _STARTING_S:
                self._found(found)
            else:
                await asyncio.sleep(1)
                continue
            await asyncio.sleep(self._every if found.ok else min(self._every, _FAILED_S))

    def _found(self, found: RelayState) -> None:
        was, self.state = self.state, found
        if found.ok and (was is None or not was.ok):
            log.info("turn.works", text=found.text)
        elif not found.ok and was != found:
            log.warning("turn.fails", text=found.text)

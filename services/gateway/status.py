"""What the transport service last said of itself, heard over the bus."""

import asyncio

import msgspec

from services.kernel.bus import subjects
from services.kernel.bus.base import Away, Leases
from services.kernel.wire.status import RelayState, Status

_HEAR_EVERY = 2.0


async def heard(leases: Leases) -> Status | None:
    """The status, None while no transport service reports; raises Away."""
    (found,) = await leases.holders([subjects.TRANSPORT_STATUS])
    live = [lease.payload for lease in found.values() if lease.live]
    return msgspec.msgpack.decode(live[0], type=Status) if live else None


class RelayNote:
    """How the relay does, as the transport service found when it tried it."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.state = RelayState(False, "not tried yet")

    async def run(self) -> None:
        """Hears again every two seconds until cancelled."""
        while True:
            try:
                status = await heard(self._leases)
            except Away:
                self.state = RelayState(False, "not known while Redis is away")
            else:
                if status is None:
                    self.state = RelayState(False, "not tried: the transport service does not report")
                else:
                    self.state = status.relay or RelayState(False, "not tried yet")
            await asyncio.sleep(_HEAR_EVERY)

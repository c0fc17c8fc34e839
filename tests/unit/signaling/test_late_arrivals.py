"""A socket whose client has gone before its join was done: it takes nobody's place and nobody hears of it."""

import asyncio

from services.kernel.model.errors import ErrorCode
from tests.fakes.people import ANN, GUS
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.expect import refused
from tests.unit.signaling.replicas import Client, replicas


@in_virtual_time
async def test_a_late_join_of_a_closed_socket_ends_no_live_one() -> None:
    """As after a replica that was frozen: the client has long been elsewhere when its old hello is read."""
    async with replicas() as (here, there):
        live, gus = await here.join(ANN), await here.join(GUS)
        await asyncio.sleep(1)
        gus.heard()
        for replica in (here, there):
            late = Client(replica, ANN, None, reference=False, address=b"", owner=True)
            await late.socket.close(1006, "")
            with refused(ErrorCode.UNAVAILABLE):
                await late.come()
        await asyncio.sleep(30)
        assert (live.socket.closed, gus.heard()) == (None, [])

"""A disk that fails and gets well: no ack it does not keep, plain refusals, history readable, no restart needed."""

import asyncio
import os
import random
from pathlib import Path
from urllib.request import urlopen

import pytest

from services.kernel.log.client import StorageClient, open_storage
from services.kernel.model.errors import ErrorCode, Fault
from tests.chaos.power_cut import cut
from tests.chaos.recording import record
from tests.chaos.trace import Traced
from tests.contract.redis_server import RedisServer
from tests.fakes.people import ROOM, received, text_of
from tests.support.node import RunningNode, eventually

SEED = int(os.environ.get("EGOAT_SEED") or random.randrange(1_000_000))

# strace counts calls for each thread; a slow store commits in a second one.
FAULTS = {
    "a sync fails": "fdatasync:error=EIO:when=20..34",
    "the disk is full": "pwrite64:error=ENOSPC:when=150..170",
    "a write fails": "pwrite64:error=EIO:when=150..170",
}


@pytest.mark.parametrize("inject", FAULTS.values(), ids=FAULTS)
async def test_while_the_disk_fails_nothing_is_acked_and_then_all_goes_on(
    tmp_path: Path, inject: str
) -> None:
    """One message after the other, each until it is acked; history in between is what was acked, in order."""
    with RedisServer(tmp_path).running() as redis:
        node = RunningNode(tmp_path, redis.url, replicas=1)
        storage = Traced(node.storage, tmp_path)
        storage.inject = ("-e", f"inject={inject}")
        storage.start()
        try:
            async with (
                asyncio.TaskGroup() as group,
                open_storage(node.storage_address, node.secret, group) as client,
            ):
                await eventually(lambda: client.connected)
                refused = [0]
                while sum(refused) < 10 or any(refused[-20:]):
                    assert len(refused) < 200, "the fault was not felt, or is never over"
                    refused.append(await _until_acked(client, len(refused)))
                with await asyncio.to_thread(urlopen, f"http://127.0.0.1:{storage._health}/readyz") as ready:
                    assert ready.status == 200
            assert storage.log().count("store.refused") == sum(refused)
            assert "Traceback" not in storage.log()
        finally:
            storage.stop()


async def _until_acked(client: StorageClient, number: int) -> int:
    """How often the message was refused before it was acked with this number; looks at history each time."""
    for refused in range(100):
        acked = True
        try:
            placed = await client.append(received(f"m{number}", text=f"text {number}"))
            assert (placed.seq, placed.fresh) == (number, True)
        except Fault as fault:
            assert (fault.code, fault.retry) == (ErrorCode.UNAVAILABLE, 1)
            acked = False
        page = await client.after(ROOM, None, 1_000)
        assert [text_of(row.env) for row in page.rows] == [
            f"text {each}" for each in range(1, number + acked)
        ]
        if acked:
            return refused
    raise AssertionError("it does not recover")


@pytest.mark.parametrize(
    "inject",
    ["fdatasync:error=EIO:when=16+3", "fdatasync:error=EIO:when=16+", "pwrite64:error=ENOSPC:when=150+30"],
    ids=["now and then", "until the restart", "full now and then"],
)
def test_no_ack_builds_on_what_a_failed_sync_has_lost(tmp_path: Path, inject: str) -> None:
    """The disk fails in the first life, which ends by kill -9; every ack of all lives outlives a power cut."""
    with RedisServer(tmp_path).running() as redis:
        recording = record(tmp_path, redis.url, random.Random(SEED), 2_400, inject)
    assert sum(call.value < 0 for call in recording.calls if call.name != "openat") >= 3, (
        "the fault was not felt"
    )
    figures = cut(recording, SEED, 60)
    assert figures.acked > 0 and figures.bad == 0, f"EGOAT_SEED={SEED}: {figures}"

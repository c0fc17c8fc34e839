"""A disk that is full or read-only under load, or at a start: refused plainly, readable, well without a restart."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.sick_disk import Fault, SickDisk, full, read_only
from tests.chaos.small_disk import SmallDisk
from tests.contract.redis_server import RedisServer
from tests.support.node import RunningNode

SEED = int(os.environ.get("EGOAT_SEED") or random.randrange(1_000_000))


@pytest.mark.parametrize("fault", [full, read_only], ids=lambda fault: fault.__name__)
async def test_a_disk_that_takes_nothing_for_a_while(tmp_path: Path, fault: Fault) -> None:
    """Nothing acked is lost, nothing refused stands twice; the node takes messages as soon as its disk does."""
    with SmallDisk(tmp_path / "disk").mounted() as disk:
        scenario = SickDisk(tmp_path, disk, fault, SEED)
        found = await scenario.run()
        sys.stdout.write(f"\n{fault.__name__}: {json.dumps(scenario.sick)}\n{json.dumps(found)}\n")
    assert scenario.ledger.wrong == []
    refused = found["answers"].get("503", 0) + scenario.ledger.counts["refused"]
    assert found["acked"] > 100 and refused > 5, "the traffic did not feel it"
    assert [each["acks meanwhile"] for each in scenario.sick] == [0, 0]
    assert max(each["first ack after ms"] for each in scenario.sick) < 1_000


def test_a_start_on_a_disk_that_takes_nothing_says_so_in_a_line(tmp_path: Path) -> None:
    """Full, or really mounted read-only; with room it starts on what was there."""
    with RedisServer(tmp_path).running() as redis, SmallDisk(tmp_path / "disk").mounted() as disk:
        node = RunningNode(tmp_path, redis.url, replicas=1)
        storage = node.storage
        storage.before = disk.enter
        storage.tell(STORAGE_URL=f"sqlite://{disk.folder}/chat.db")
        for again in (False, True):
            disk.fill()
            _refuses_to_start(storage.before, storage._env, str(disk.folder))
            disk.clear()
            disk.remount("ro")
            _refuses_to_start(storage.before, storage._env, str(disk.folder))
            disk.remount("rw")
            storage.start()
            storage.stop()
            assert (disk.seen / "chat.db").exists() and "Traceback" not in storage.log(), again


def _refuses_to_start(before: list[str], env: dict[str, str], named: str) -> None:
    command = [*before, sys.executable, "-m", "services.storage"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert named in line

"""Storms over a real node, and the directed ones that a seed may miss; `make chaos` draws new seeds."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.chaos.node import ProxiedNode
from tests.chaos.scenario import Plan, run
from tests.chaos.verdict import read_log
from tests.support.node import Process, free_ports

SEED = int(os.environ.get("EGOAT_SEED", "1"))


@pytest.mark.parametrize("number", range(2))
async def test_a_random_storm_breaks_no_promise(number: int, tmp_path: Path) -> None:
    """The first hurts everything, the second Redis alone. EGOAT_SEED=N runs N and N + 1."""
    seed = SEED + number
    plan = (Plan(seed, 10, kills_per_second=0.4), Plan(seed, 10, kills_per_second=1.5, bus_only=True))[number]
    found, wrong = await run(plan, tmp_path, sys.stdout.write)
    sys.stdout.write(f"\n{json.dumps(found)}\n")
    assert wrong == []
    assert found["acked"] > 50 and found["shown"] > 100


async def test_a_zombie_storage_stores_nothing_more_and_ends(tmp_path: Path) -> None:
    """Frozen, its lock taken away and another one on its file: what waits at its door is not stored twice."""
    async with ProxiedNode(tmp_path).up() as node, httpx.AsyncClient(timeout=15) as http:
        zombie = node.storage
        assert zombie.popen is not None

        async def send(number: int) -> httpx.Response:
            body = {"room": "zombie", "peer_id": "Ada", "text": f"text {number}", "id": f"id-{number}"}
            return await http.post(f"{node.bases[number % 2]}/send", json=body)

        assert [(await send(number)).status_code for number in range(4)] == [200] * 4
        zombie.popen.send_signal(signal.SIGSTOP)
        hanging = [asyncio.ensure_future(send(number)) for number in range(4, 24)]
        await asyncio.sleep(0.5)
        node.db.with_name("chat.db.lock").unlink()
        second = _another_storage(node, tmp_path)
        try:
            await asyncio.to_thread(second.start)
            _move_to(node, second)
            refused = await asyncio.gather(*hanging)
            assert {answer.status_code for answer in refused} == {503}
            await _all_ready(node)
            acked = [await send(number) for number in range(2, 30)]
            zombie.popen.send_signal(signal.SIGCONT)
            assert await asyncio.to_thread(zombie.popen.wait, 10) == 1
            acked += [await send(number) for number in range(30, 34)]
        finally:
            second.stop()
        assert [answer.json()["seq"] for answer in acked] == list(range(3, 35))
        log = read_log(node.db)["zombie"]
        assert [(seq, key) for seq, _, key in log] == [(n + 1, f"id-{n}") for n in range(34)]


def _another_storage(node: ProxiedNode, folder: Path) -> Process:
    """A second storage process on the file of the first."""
    port, health = free_ports(2)
    log = folder / "second.log"
    second = Process("storage", dict(node.storage._env), health, log)
    second.tell(STORAGE_PORT=str(port), STORAGE_INTERNAL_PORT=str(health))
    return second


def _move_to(node: ProxiedNode, storage: Process) -> None:
    """From now on every service reaches this storage and not the one before."""
    for name, link in node.links.items():
        if name.endswith("-storage"):
            link.upstream = f"127.0.0.1:{storage._env['STORAGE_PORT']}"
            link.cut()


async def _all_ready(node: ProxiedNode) -> None:
    for name in ("gateway0", "gateway1", "signaling0", "signaling1"):
        await asyncio.to_thread(node.services[name].await_ready)

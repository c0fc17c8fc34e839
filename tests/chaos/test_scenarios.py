"""Random storms over a real node, with a new seed every time, and the directed ones that a seed may miss."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.chaos.node import ProxiedNode
from tests.chaos.scenario import Plan, run
from tests.chaos.verdict import read_log
from tests.support.clients import Author, Socket
from tests.support.node import ROOT, Process, free_ports

SEEDS = os.environ.get("EGOAT_SEED", "")
SOCKETS = 300


@pytest.mark.parametrize("number", range(2))
async def test_a_random_storm_breaks_no_promise(number: int, tmp_path: Path) -> None:
    """EGOAT_SEED=N runs the storms N and N + 1."""
    seed = int(SEEDS) + number if SEEDS else secrets.randbelow(2**31)
    found, wrong = await run(Plan(seed, seconds=12, kills_per_second=0.4), tmp_path, print)
    print(json.dumps(found))
    assert wrong == []
    assert found["acked"] > 200 and found["shown"] > 500


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
        Path(f"{node.db}.lock").unlink()
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


async def test_a_storage_connection_that_died_without_a_word_is_given_up(tmp_path: Path) -> None:
    """As after a host that lost its power: nothing comes, and no end either. The next one is dialled."""
    async with ProxiedNode(tmp_path).up() as node, httpx.AsyncClient(timeout=15) as http:
        body = {"room": "dead", "peer_id": "Ada", "text": "x"}
        assert (await http.post(f"{node.bases[0]}/send", json=body)).status_code == 200
        node.links["gateway0-storage"].forget()
        began = time.monotonic()
        while (await http.post(f"{node.bases[0]}/send", json=body)).status_code != 200:
            assert time.monotonic() - began < 20, "storage is there, and the gateway does not dial it"
            await asyncio.sleep(0.2)

"""Traffic on every rung over a disk that takes nothing for a while, and how long the node needs to be well again."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx

from tests.chaos.ledger import Key, Window
from tests.chaos.scenario import Plan, Scenario
from tests.chaos.small_disk import SmallDisk
from tests.chaos.verdict import Log, read_log

_ROOM, _NAME = "storm-0", "Probe"
_REFUSALS = 25
_WELL_S, _SICK_S, _IN_FLIGHT_S = 1.5, 2.0, 0.3
_STORE = "pwrite64,ftruncate,fallocate,unlink,fsync,fdatasync"
"""Every call by which the storage service changes its files."""

Fault = Callable[["SickDisk"], AbstractAsyncContextManager[None]]


class SickDisk(Scenario):
    """Writers and readers of a scenario. Its one fault comes twice; `sick` has the figures of each time."""

    def __init__(self, folder: Path, disk: SmallDisk, fault: Fault, seed: int) -> None:
        super().__init__(Plan(seed, 0), folder)
        self.disk, self._fault, self._copy = disk, fault, folder / "copy"
        self.sick: list[dict[str, float]] = []
        self.node.storage.before = disk.enter
        self.node.storage.tell(STORAGE_URL=f"sqlite://{disk.folder}/chat.db")

    @property
    def _log(self) -> Log:
        """Read from a copy: the disk itself is out of this process's sight."""
        self.disk.copy(self._copy)
        return read_log(self._copy / "chat.db")

    async def _storm(self) -> None:
        async with httpx.AsyncClient(base_url=self.node.bases[0], timeout=15) as http:
            for _ in range(2):
                await asyncio.sleep(_WELL_S)
                began = time.monotonic()
                async with self._fault(self):
                    waiting, felt = await self._felt(http)
                    refused = await self._refused(http, waiting, felt + _SICK_S)
                healed = time.monotonic()
                await self._taken(http, waiting, healed)
                others = sum(felt + _IN_FLIGHT_S < ack.at < healed for ack in self.ledger.acked.values())
                self.sick[-1] |= {"refusals of one client": refused, "acks meanwhile": others}
                self.ledger.windows.append(Window(began, time.monotonic(), bus=False))
            await asyncio.sleep(_WELL_S)

    async def _send(self, http: httpx.AsyncClient, message_id: str) -> bool:
        """Whether this message of 15 KB was acked; else it was refused in the way that a client understands."""
        body = {"room": _ROOM, "peer_id": _NAME, "text": "x" * 15_000, "id": message_id}
        answer = await http.post("/send", json=body)
        if answer.status_code == 200:
            found = answer.json()
            self.ledger.ack(Key(_ROOM, f"guest:{_NAME}", message_id), found["seq"], found["log_id"])
            return True
        if (answer.status_code, answer.headers.get("retry-after")) != (503, "1"):
            self.ledger.broken("status", f"a sick disk: {answer.status_code} {answer.text}")
        return False

    async def _felt(self, http: httpx.AsyncClient) -> tuple[str, float]:
        """The first message that was refused, and when."""
        for _ in range(400):
            waiting = secrets.token_hex(8)
            if not await self._send(http, waiting):
                return waiting, time.monotonic()
        raise AssertionError("the fault was not felt")

    async def _refused(self, http: httpx.AsyncClient, waiting: str, until: float) -> int:
        """How often it was refused again; history is there all the time."""
        refused = 1
        while time.monotonic() < until or refused < _REFUSALS:
            assert not await self._send(http, waiting), "taken by a disk that takes nothing"
            refused += 1
            page = await http.get("/history", params={"room": _ROOM, "after": ""})
            if page.status_code != 200 or not page.json()["items"]:
                self.ledger.broken("status", f"history: {page.status_code} {page.text[:200]}")
            await asyncio.sleep(0.02)
        return refused

    async def _taken(self, http: httpx.AsyncClient, waiting: str, healed: float) -> None:
        """Sends it until it is acked; notes how long that and the node's readiness took."""
        while not await self._send(http, waiting):
            assert time.monotonic() < healed + 20, "it does not recover"
            await asyncio.sleep(0.005)
        acked = time.monotonic()
        while (await http.get("/readyz")).status_code != 200:
            assert time.monotonic() < healed + 20, "it does not become ready"
            await asyncio.sleep(0.005)
        took = {"first ack after ms": acked - healed, "ready after ms": time.monotonic() - healed}
        self.sick.append({name: round(1000 * each, 1) for name, each in took.items()})


@asynccontextmanager
async def full(scenario: SickDisk) -> AsyncIterator[None]:
    """No room is left on the file system."""
    await asyncio.to_thread(scenario.disk.fill)
    try:
        yield
    finally:
        scenario.disk.clear()


@asynccontextmanager
async def read_only(scenario: SickDisk) -> AsyncIterator[None]:
    """Every call that would change a file fails with EROFS, as after the kernel made a file system read-only.

    The kernel itself cannot be had for that: it remounts no file system while a file is open for writing, and what
    it made read-only in an emergency it makes writable only by unmounting it.
    """
    storage = scenario.node.storage.popen
    assert storage is not None
    words = ["-f", "-qq", "-o", os.devnull, "-e", f"trace={_STORE}", "-e", f"inject={_STORE}:error=EROFS"]
    strace = await asyncio.create_subprocess_exec("strace", *words, "-p", str(storage.pid))
    try:
        await asyncio.sleep(0.2)
        assert strace.returncode is None, "strace cannot attach"
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        await strace.wait()

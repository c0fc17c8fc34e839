"""A seeded storm over a real node: writers, readers and faults, then the log must be what everybody saw.

`python -m tests.chaos.scenario --seed N --seconds S`; the seed decides faults and clients, not the interleaving.
"""

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.faults import Faults, timetable
from tests.chaos.ledger import Ledger
from tests.chaos.node import ProxiedNode
from tests.chaos.proxy import FAIR
from tests.chaos.readers import HistoryReader, PollReader, Reader, SocketReader
from tests.chaos.verdict import Log, check_log, check_readers, check_staleness, figures, read_log
from tests.chaos.ways import Web
from tests.chaos.writers import Writer
from tests.support.clients import Author
from tests.support.node import eventually

_SETTLE_S = 40.0


@dataclass(frozen=True)
class Plan:
    """How long, how hard, how many."""

    seed: int
    seconds: float
    kills_per_second: float = 0.25
    bus_only: bool = False
    """Leaves all faults out but those of Redis and the links to it."""
    rooms: int = 2
    writers: int = 3
    """In each room; the first is a guest."""


class Scenario:
    """One run of a plan in a folder of its own, over a node of its own unless one is given."""

    writer: type[Writer] = Writer
    kinds: tuple[type[Reader], ...] = (SocketReader, SocketReader, PollReader, PollReader, HistoryReader)
    """The readers of each room."""

    def __init__(self, plan: Plan, folder: Path, node: ProxiedNode | None = None) -> None:
        self.plan, self.ledger = plan, Ledger()
        self.node = node or ProxiedNode(folder, plan.seed)
        self.writers: list[Writer] = []
        self.readers: list[Reader] = []
        self._settled_s = 0.0

    async def run(self) -> dict[str, Any]:
        """The figures, with `wrong` empty when every promise held."""
        async with self.node.up(), httpx.AsyncClient() as client:
            self._people(Web(client, self.ledger))
            log_id = await self._log_id(client)
            for reader in self.readers:
                if isinstance(reader, HistoryReader) or reader.author.name.endswith("0"):
                    reader.begin(log_id, 0)
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(reader.run()) for reader in self.readers]
                writing = [group.create_task(writer.run()) for writer in self.writers]
                await self._storm()
                await self._settle(writing)
                for task in (*reading, *writing):
                    task.cancel()
            self._inspect()
        log = self._log
        check_log(self.ledger, log)
        check_readers(self.ledger, log, self.readers)
        check_staleness(self.ledger)
        head = {"seed": self.plan.seed, "seconds": self.plan.seconds, "settled_s": round(self._settled_s, 1)}
        return head | figures(self.ledger) | {"subscribers thrown out by Redis": self.node.redis.overflows}

    def _people(self, web: Web) -> None:
        """Writers and readers of every room, each with chances of its own that the seed decides."""
        for room in (f"storm-{number}" for number in range(self.plan.rooms)):
            for number in range(self.plan.writers):
                author = Author(f"{room} writer {number}", signed=number > 0)
                self.writers.append(
                    self.writer(self.node, web, self.ledger, room, author, self._chance(author))
                )
            for kind in self.kinds:
                author = Author(f"{room} reader {len(self.readers)}", signed=len(self.readers) % 2 == 0)
                self.readers.append(kind(self.node, web, self.ledger, room, author, self._chance(author)))

    def _chance(self, author: Author) -> random.Random:
        return random.Random(f"{self.plan.seed} {author.name}")

    async def _log_id(self, client: httpx.AsyncClient) -> str:
        asked = {"room": "storm-0", "after": ""}
        return str((await client.get(f"{self.node.bases[0]}/history", params=asked)).json()["log_id"])

    async def _storm(self) -> None:
        """The faults of the seed, then fair weather everywhere."""
        plan, began = self.plan, time.monotonic()
        table = timetable(plan.seed, plan.seconds, plan.kills_per_second, sorted(self.node.links))
        await Faults(self.node, self.ledger).run([each for each in table if each.bus or not plan.bus_only])
        await asyncio.sleep(max(0.0, began + plan.seconds - time.monotonic()))
        for link in self.node.links.values():
            link.weather = FAIR

    async def _settle(self, writing: Sequence["asyncio.Task[None]"]) -> None:
        """Outboxes run empty and readers come to the end of the log, or the node has not recovered in time."""
        began = time.monotonic()
        for writer in self.writers:
            writer.stop.set()
        with contextlib.suppress(TimeoutError, AssertionError):
            async with asyncio.timeout(_SETTLE_S):
                await asyncio.wait(writing)
                heads = {room: rows[-1][0] for room, rows in self._log.items()}
                await eventually(
                    lambda: all(each.last >= heads.get(each.room, 0) for each in self.readers), _SETTLE_S
                )
                await asyncio.sleep(1)  # whatever is shown too much comes now
        self._settled_s = time.monotonic() - began
        for who, what in (
            *((each.author.name, f"{len(each.outbox)} unsent") for each in self.writers if each.outbox),
            *(
                (each.author.name, f"is at {each.last} only")
                for each in self.readers
                if not self._at_end(each)
            ),
        ):
            self.ledger.broken("not settled", f"{who}: {what}")

    def _at_end(self, reader: Reader) -> bool:
        return reader.last == len(self._log.get(reader.room, []))

    @property
    def _log(self) -> Log:
        """What the database holds now."""
        return read_log(self.node.db)

    def _inspect(self) -> None:
        """No process has ended, and none met a bug."""
        for name, process in self.node.services.items():
            assert process.popen is not None
            if process.popen.poll() is not None:
                self.ledger.broken("ended by itself", f"{name}: {process.log()[-1000:]}")
            for line in process.log().splitlines():
                if "Traceback" in line:
                    self.ledger.broken("traceback", f"{name}: …{line[-1500:]}")


async def run(plan: Plan, folder: Path, say: Callable[[str], object]) -> tuple[dict[str, Any], list[str]]:
    """Figures and broken promises of one scenario; the seed is said first."""
    say(f"seed {plan.seed}")
    scenario = Scenario(plan, folder)
    return await scenario.run(), scenario.ledger.wrong


def main() -> int:
    """Runs one scenario; returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills-per-second", type=float, default=0.25)
    parser.add_argument("--bus-only", action="store_true", help="only Redis and the links to it are hurt")
    parser.add_argument("--writers", type=int, default=3, help="in each of two rooms")
    given = parser.parse_args()
    plan = Plan(given.seed, given.seconds, given.kills_per_second, given.bus_only, writers=given.writers)

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    async def until_told() -> tuple[dict[str, Any], list[str]]:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with tempfile.TemporaryDirectory(prefix="egoat-storm-") as folder:
            return await run(plan, Path(folder), say)

    found, wrong = asyncio.run(until_told())
    for line in wrong[:40]:
        say(line)
    say(json.dumps(found))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

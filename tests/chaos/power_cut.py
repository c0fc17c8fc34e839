"""Cuts the power of a recorded storage service at random points, and looks for what it had promised.

    python -m tests.chaos.power_cut --seed 1 --cuts 1000 --messages 3000

prints one line of figures as JSON. What a cut leaves is decided in `disk`; whether an ack was out is read from the
bytes the service wrote to its sockets, in the same trace as its writes and syncs.
"""

import argparse
import asyncio
import json
import logging
import random
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import structlog

from services.kernel.model.ids import Cursor, RoomId
from services.kernel.wire.rows import Row
from services.storage.stores.base import Store
from services.storage.stores.sqlite import open_sqlite
from tests.chaos.disk import Disk
from tests.chaos.recording import ROOMS, Ack, Recording, record
from tests.contract.redis_server import RedisServer
from tests.fakes.manual_clock import ManualClock
from tests.fakes.people import NOW_MS, received

NAME = "chat.db"
FILES = {NAME, f"{NAME}-wal", f"{NAME}-journal", f"{NAME}.mark"}
_PAGE = 1_000


class Figures(msgspec.Struct):
    """What many cuts came to: `acked` messages were looked for, over all cuts.

    `invented`: nobody sent it so; `broken`: did not open, or failed its integrity check; `stuck`: the next append did
    not go on from the head; `first`: the random seed of the first cut that went wrong.
    """

    seed: int
    messages: int
    cuts: int = 0
    acked: int = 0
    lost: int = 0
    duplicated: int = 0
    gaps: int = 0
    invented: int = 0
    false_resets: int = 0
    broken: int = 0
    stuck: int = 0
    first: str = ""
    seconds: float = 0.0

    @property
    def bad(self) -> int:
        """How many promises were broken."""
        counts = (self.lost, self.duplicated, self.gaps, self.invented, self.false_resets, self.broken)
        return sum(counts) + self.stuck


async def _rows(store: Store, room: str) -> list[Row]:
    found: list[Row] = []
    cursor: Cursor | None = None
    while page := (await store.after(RoomId(room), cursor, _PAGE)).rows:
        found += page
        cursor = Cursor(store.log_id, page[-1].seq)
    return found


async def _check(path: Path, recording: Recording, acked: list[Ack], figures: Figures) -> None:
    """Opens what a cut left as the service would, and counts what is not as it should be."""
    try:
        store = open_sqlite(path, ManualClock(NOW_MS))
    except (OSError, sqlite3.Error):
        figures.broken += 1
        return
    try:
        with closing(sqlite3.connect(path)) as db:
            figures.broken += db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]
        if acked and store.log_id != acked[0].log_id:
            figures.false_resets += 1
        there = {}
        for room in ROOMS:
            rows = await _rows(store, room)
            figures.gaps += [row.seq for row in rows] != list(range(1, len(rows) + 1))
            for row in rows:
                key = (room, row.sender, row.id)
                figures.duplicated += key in there
                figures.invented += recording.sent.get(key) != row.env
                there[key] = row.seq
            placed = (await store.append([received("next", room=room)]))[0]
            figures.stuck += not (placed.fresh and placed.seq == len(rows) + 1)
        figures.lost += len({ack.key for ack in acked if there.get(ack.key) != ack.seq})
    finally:
        await store.aclose()


def _one_cut(disk: Disk, name: str, recording: Recording, acked: list[Ack], figures: Figures) -> None:
    with TemporaryDirectory(prefix="egoat-cut-") as folder:
        disk.cut(random.Random(name), Path(folder))
        asyncio.run(_check(Path(folder) / NAME, recording, acked, figures))
    figures.cuts += 1
    figures.acked += len({ack.key for ack in acked})
    if figures.bad and not figures.first:
        figures.first = name


def cut(recording: Recording, seed: int, cuts: int, upto: int | None = None) -> Figures:
    """So many cuts at random points of a recording, one of them at its end."""
    upto = len(recording.calls) if upto is None else upto
    chance = random.Random(seed)
    often = Counter([upto, *(chance.randrange(upto) for _ in range(cuts - 1))])
    figures = Figures(seed, len(recording.sent))
    started = time.monotonic()
    disk, fed, acked = Disk(recording.folder, FILES), 0, 0
    for point in sorted(often):
        for call in recording.calls[fed:point]:
            disk.feed(call)
        fed = point
        while acked < len(recording.acks) and recording.acks[acked].at < point:
            acked += 1
        for number in range(often[point]):
            _one_cut(disk, f"{seed}/{point}/{number}", recording, recording.acks[:acked], figures)
    figures.seconds = round(time.monotonic() - started, 1)
    return figures


def run(seed: int, cuts: int, messages: int) -> Figures:
    """Records anew and cuts."""
    with TemporaryDirectory(prefix="egoat-power-") as folder, RedisServer(Path(folder)).running() as redis:
        recording = record(Path(folder), redis.url, random.Random(seed), messages)
        return cut(recording, seed, cuts)


def main() -> int:
    """The command; returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.power_cut", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--cuts", type=int, default=1_000)
    parser.add_argument("--messages", type=int, default=3_000)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    figures = run(given.seed, given.cuts, given.messages)
    sys.stdout.write(json.dumps(msgspec.to_builtins(figures)) + "\n")
    return 1 if figures.bad or not figures.acked else 0


if __name__ == "__main__":
    sys.exit(main())

"""Compares what clients were told and saw with the log, and makes the figures."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.ledger import Key, Ledger, Window
from tests.chaos.readers import Reader

Log = dict[str, list[tuple[int, str, str]]]
"""Per room its rows as (seq, sender, id), in order."""

_STALE_S = 2.0
PROMISES = ("lost", "duplicated", "reordered", "gap", "shown twice", "reset", "status", "replaced", "stale")


def read_log(path: Path) -> Log:
    """The whole log, from the file."""
    found: Log = {}
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for room, seq, sender, message_id in db.execute(
            "SELECT room, seq, sender, id FROM message ORDER BY room, seq"
        ):
            found.setdefault(room, []).append((seq, sender, message_id))
    return found


def check_log(ledger: Ledger, log: Log) -> None:
    """Every acked message stands once, where its ack said; seqs have no gap; what stands was acked."""
    places: dict[Key, int] = {}
    for room, rows in log.items():
        if [seq for seq, _, _ in rows] != list(range(1, len(rows) + 1)):
            ledger.broken("gap", f"the seqs of {room} are not 1 to {len(rows)}")
        for seq, sender, message_id in rows:
            key = Key(room, sender, message_id)
            if key in places:
                ledger.broken("duplicated", f"{key} stands at {places[key]} and at {seq}")
            places[key] = seq
    for key, ack in ledger.acked.items():
        if places.get(key) != ack.seq:
            ledger.broken("lost", f"{key} was acked as {ack.seq}, stands at {places.get(key)}")
    for key in places.keys() - ledger.acked.keys():
        ledger.broken("never acked", f"{key} at {places[key]}")


def check_readers(ledger: Ledger, log: Log, readers: Sequence[Reader]) -> None:
    """Every reader was shown exactly the log from its start on."""
    for reader in readers:
        if reader.start is None:
            ledger.broken("not settled", f"{reader.author.name} never came in")
        elif reader.rows != log.get(reader.room, [])[reader.start :]:
            whole = len(log.get(reader.room, [])) - reader.start
            ledger.broken("gap", f"{reader.author.name} was shown {len(reader.rows)} rows of {whole}")


def figures(ledger: Ledger) -> dict[str, Any]:
    """What the scenario came to."""
    return {
        "kills": dict(ledger.kills),
        "faults": dict(ledger.faults),
        "acked": len(ledger.acked),
        "storms": ledger.counts["storms"],
        "shown": len(ledger.sights),
        **{name: ledger.counts[name] for name in PROMISES},
        "answers": dict(sorted(ledger.statuses.items())),
        "staleness_ms": {
            "all": _spread(ledger, []),
            "with the bus hurt at most": _spread(ledger, _apart_from_bus(ledger)),
            "calm": _spread(ledger, ledger.windows),
        },
        "wrong": dict(Counter(line.split(" s ")[1].split(":")[0] for line in ledger.wrong)),
    }


def check_staleness(ledger: Ledger) -> None:
    """Whatever happens to Redis, a reader who is connected sees an acked message within two seconds (P5, P6)."""
    worst = max(_staleness(ledger, _apart_from_bus(ledger)), default=0.0)
    if worst > _STALE_S:
        ledger.broken("stale", f"a reader waited {worst:.2f} s although only Redis was hurt, if anything")


def _apart_from_bus(ledger: Ledger) -> list[Window]:
    return [window for window in ledger.windows if not window.bus]


def _spread(ledger: Ledger, without: Sequence[Window]) -> dict[str, float]:
    took = sorted(1000 * each for each in _staleness(ledger, without))
    if not took:
        return {"count": 0}
    marks = {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "max": took[-1]}
    return {"count": len(took)} | {name: round(value, 1) for name, value in marks.items()}


def _staleness(ledger: Ledger, without: Sequence[Window]) -> list[float]:
    """Seconds from the ack to the eye of a reader who was connected all the time, outside of these windows."""
    acks = {(key.room, ack.seq): ack.at for key, ack in ledger.acked.items()}
    took: list[float] = []
    for room, seq, at, live_since in ledger.sights:
        acked = acks.get((room, seq), float("-inf"))
        if live_since < acked and not any(acked <= each.end and each.begin <= at for each in without):
            took.append(max(0.0, at - acked))
    return took

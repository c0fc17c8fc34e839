"""What the clients of a scenario were told and saw: the evidence for its verdict."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class Key(NamedTuple):
    """What names a message for ever."""

    room: str
    sender: str
    id: str


class Ack(NamedTuple):
    """Where the node said that a message stands, and when its author first heard it."""

    seq: int
    log_id: str
    at: float


class Sight(NamedTuple):
    """A reader saw a row; it had been connected without a break since `live_since`."""

    room: str
    seq: int
    at: float
    live_since: float


class Window(NamedTuple):
    """When a fault hurt the node. `bus`: it hurt Redis or a link to it, nothing else."""

    begin: float
    end: float
    bus: bool


@dataclass
class Ledger:
    """Grows while the scenario runs. `wrong` are broken promises in words; one is enough to fail."""

    acked: dict[Key, Ack] = field(default_factory=dict)
    sights: list[Sight] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def broken(self, promise: str, what: str) -> None:
        """A promise was broken; counted under its name."""
        self.counts[promise] += 1
        self.wrong.append(f"{time.monotonic() - self.began:.2f} s {promise}: {what}")

    def ack(self, key: Key, seq: int, log_id: str) -> None:
        """A message was acked, perhaps not for the first time."""
        known = self.acked.setdefault(key, Ack(seq, log_id, time.monotonic()))
        if (known.seq, known.log_id) != (seq, log_id):
            self.broken("duplicated", f"{key} was acked as {known.seq} and as {seq}")

    def in_order(self, who: str, sent: list[str], room: str, sender: str) -> None:
        """One author sent these ids for the first time, in this order, on one connection."""
        acks = [self.acked.get(Key(room, sender, each)) for each in sent]
        seqs = [ack.seq for ack in acks if ack is not None]
        if seqs != sorted(seqs):
            self.broken("reordered", f"{who} sent in another order than {seqs}")

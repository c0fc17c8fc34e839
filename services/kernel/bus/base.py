"""What services expect of the bus: hints that may be lost, and shared short-lived facts (leases, mail, levels)."""

from collections.abc import Callable, Mapping, Sequence
from typing import NewType, Protocol

import msgspec

from services.kernel.model.bucket import Charge

Subject = NewType("Subject", str)


class Away(Exception):
    """The bus cannot be reached now; nothing is known about what was asked."""


class Delivery(msgspec.Struct, frozen=True):
    """One publication as it was sent."""

    subject: Subject
    data: bytes


class Resumed(msgspec.Struct, frozen=True):
    """The subscription stands again after a gap: anything may have been missed, read the log."""

    subject: Subject


Sink = Callable[[Delivery | Resumed], None]
"""Takes what a subscription brings; runs on the event loop and must return at once (decision 002)."""


class Subscription(Protocol):
    """One sink on one subject."""

    async def standing(self, within: float) -> bool:
        """Whether the subscription stands, waiting at most `within` seconds for it."""
        ...

    def close(self) -> None:
        """Ends it; idempotent."""
        ...


class Bus(Protocol):
    """Publish and subscribe, best effort, in order per publisher while connected."""

    @property
    def connected(self) -> bool:
        """Whether publications have a way out now."""
        ...

    def publish(self, subject: Subject, data: bytes) -> None:
        """Sends to whoever listens now; dropped when the bus is away. Never blocks, never raises."""
        ...

    def subscribe(self, subject: Subject, sink: Sink) -> Subscription:
        """Feeds the sink until closed; several sinks may share a subject."""
        ...


class Lease(msgspec.Struct, frozen=True):
    """A held fact and whether its time has not yet run out."""

    payload: bytes
    live: bool


class Leases(Protocol):
    """Facts that live only while somebody repeats them. Every method raises Away without the bus."""

    async def hold(self, group: str, facts: Mapping[str, bytes], ttl: float) -> set[str]:
        """Asserts these facts for `ttl` seconds, at most 60; returns the keys that were not there before."""
        ...

    async def holders(self, groups: Sequence[str]) -> list[dict[str, Lease]]:
        """Every fact of each group, the run-out ones marked; one round trip for all groups."""
        ...

    async def release(self, group: str, facts: Mapping[str, bytes]) -> None:
        """Takes facts back; one that somebody has held with another payload since stays."""
        ...

    async def once(self, key: str, ttl: float) -> bool:
        """True the first time within `ttl` seconds that anybody of this node asks for the key."""
        ...


class Mail(Protocol):
    """Short queues for sessions that have no socket. Both methods raise Away without the bus."""

    async def post(self, box: str, letters: Sequence[bytes], keep: int, ttl: float) -> None:
        """Adds letters; only the newest `keep` stay, all go `ttl` seconds after the last post."""
        ...

    async def collect(self, box: str) -> list[bytes]:
        """Takes all letters out, oldest first."""
        ...


class Levels(Protocol):
    """Token buckets that the processes of a node share (decision 007)."""

    async def settle(self, charges: Sequence[Charge]) -> list[float]:
        """Takes off what each charge spent and returns what is left now, in their order.

        A bucket may end below 0. One that nobody knows begins at what the charge believes is left.
        Raises Away without the bus; the charges may have been taken or not then.
        """
        ...

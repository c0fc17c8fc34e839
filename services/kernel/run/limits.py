"""Token buckets per address, peer and room, shared by the processes of a node (docs/security.md S15, decision 007).

Each process decides at once from the last shared level and what it took since, and settles every 0.1 s.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import structlog

from services.kernel.bus import subjects
from services.kernel.bus.base import Away, Levels
from services.kernel.model.bucket import Quota
from services.kernel.model.clock import Clock
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import PeerId, RoomId
from services.kernel.model.ledger import Ledger
from services.kernel.run.settings import Limits

_SETTLE_S = 0.1
_AWAY_S = 0.5
_MOST_BUCKETS = 10_000
_ROOM_BURST_S = 4
_FRAMES_BURST_S = 10
_REFUSALS = Quota(500, 1)
_REQUEST_COST = 5  # measured: refusing a request takes as long as refusing so many frames
_LONGEST_REST_S = 1.0

log = structlog.get_logger()


class Payer(msgspec.Struct, frozen=True):
    """Whom something is charged to. `address` is a keyed tag of the client's, empty on loopback."""

    peer: PeerId
    verified: bool
    address: bytes

    @property
    def near(self) -> str:
        """The address, on loopback the peer."""
        return f"@{self.address.hex()}" if self.address else self.peer

    @property
    def sender(self) -> str:
        """The peer; guests of one address together, since their labels are free to choose."""
        return self.peer if self.verified else self.near

    @property
    def client(self) -> str:
        """The peer; a guest's label at its address."""
        return self.sender if self.verified or not self.address else f"{self.near}/{self.peer}"


class _Ask(msgspec.Struct, frozen=True):
    """One bucket that is asked for a token, and what is said when it has none."""

    key: str
    quota: Quota
    told: str


class Budgets:
    """What clients of this process may still do. Every method raises Fault(TOO_MANY) with the seconds to wait."""

    def __init__(self, limits: Limits, levels: Levels, clock: Clock) -> None:
        self._limits, self._levels, self._clock = limits, levels, clock
        self._ledger, self._refusals = Ledger(_MOST_BUCKETS), Ledger(_MOST_BUCKETS)
        self._hurry = asyncio.Event()

    def join(self, payer: Payer, *, known: bool) -> None:
        """Charges a join; one of a session that is `known` costs a frame of its peer instead."""
        if known:
            self.frame(payer)
        else:
            self._take(self._join(payer))

    def send(self, payer: Payer, room: RoomId, *, new: bool = False) -> None:
        """Charges a message (or whatever else everyone in the room is told); a `new` room must be affordable too."""
        rooms = self._creation(payer) if new else None
        if rooms is not None:
            self._check([rooms])
        self._take(self._send(payer), self._room(room))

    def frame(self, payer: Payer) -> None:
        """Charges a frame that is no message, or a poll."""
        limits = self._limits
        told = f"more than {limits.frames} frames a second"
        self._take(_ask("frame", payer.client, limits.frames, limits.frames * _FRAMES_BURST_S, told))

    async def rest(self, payer: Payer, cost: int = 1) -> None:
        """Waits for as long as who was refused is not read on: over all connections of one address here, one refused
        frame every 2 ms, so that a flood takes little time from others."""
        key, now = payer.near, self._clock.now()
        if self._refusals.wait(key, _REFUSALS, now) < _LONGEST_REST_S:
            for _ in range(cost):
                self._refusals.take(key, _REFUSALS, now)
        await asyncio.sleep(self._refusals.wait(key, _REFUSALS, now))

    @asynccontextmanager
    async def paced(self, payer: Payer, cost: int = _REQUEST_COST) -> AsyncIterator[None]:
        """Who is refused inside the block rests before it is told; for a request, unless told otherwise."""
        try:
            yield
        except Fault as fault:
            if fault.code is ErrorCode.TOO_MANY:
                await self.rest(payer, cost)
            raise

    def turn(self, payer: Payer) -> None:
        """Charges credentials for the relay: each verified peer its own, guests of one address together."""
        limits = self._limits
        most = limits.turns if payer.verified else limits.guest_turns
        told = f"more than {most} credentials for the relay in an hour"
        self._take(_ask("turn", payer.sender, most / 3600, most, told))

    def created(self, payer: Payer) -> None:
        """Charges the room that a stored message has made; never refuses."""
        asked = self._creation(payer)
        if asked is not None:
            self._spend([asked])

    def may_create(self, payer: Payer) -> bool:
        """Whether a message of this payer may make a room now: only if not, it matters whether it would."""
        return self._has(self._creation(payer))

    def may_join(self, payer: Payer) -> bool:
        """Whether a join of this payer would pass now; charges nothing."""
        return self._has(self._join(payer))

    def _has(self, asked: _Ask | None) -> bool:
        return asked is None or self._ledger.wait(asked.key, asked.quota, self._clock.now()) == 0

    def _join(self, payer: Payer) -> _Ask | None:
        joins = self._limits.joins
        return _ask(
            "join", payer.near, joins / 60, joins, f"more than {joins} joins a minute from one address"
        )

    def _send(self, payer: Payer) -> _Ask | None:
        sends, burst = self._limits.sends, self._limits.sends_burst
        return _ask(
            "send", payer.sender, sends, burst, f"more than {sends} messages a second from one sender"
        )

    def _room(self, room: RoomId) -> _Ask | None:
        sends = self._limits.room_sends
        told = f"more than {sends} messages a second in one room"
        return _ask("room", room, sends, sends * _ROOM_BURST_S, told)

    def _creation(self, payer: Payer) -> _Ask | None:
        rooms = self._limits.rooms
        return _ask("create", payer.near, rooms / 3600, rooms, f"more than {rooms} new rooms an hour")

    def _take(self, *asked: _Ask | None) -> None:
        """One token of each bucket, or none of any."""
        found = [each for each in asked if each is not None]
        self._check(found)
        self._spend(found)

    def _check(self, asked: list[_Ask]) -> None:
        now = self._clock.now()
        waits = [self._ledger.wait(each.key, each.quota, now) for each in asked]
        longest = max(waits, default=0)
        if longest > 0:
            told = asked[waits.index(longest)].told
            raise Fault(ErrorCode.TOO_MANY, told, retry=math.ceil(longest * 1000) / 1000)

    def _spend(self, asked: list[_Ask]) -> None:
        now = self._clock.now()
        for each in asked:
            self._ledger.take(each.key, each.quota, now)
        if self._ledger.pressing:
            self._hurry.set()

    async def run(self) -> None:
        """Settles until cancelled: every 0.1 s, sooner when much was taken. One log line per outage."""
        away = False
        while True:
            if away:
                await asyncio.sleep(_AWAY_S)
            await self._pause(_SETTLE_S)
            charges = self._ledger.due(self._clock.now())
            if not charges:
                continue
            try:
                left = await self._levels.settle(charges)
            except Away:
                self._ledger.untold(charges)
                if not away:
                    log.warning("limits.alone")
                away = True
                continue
            self._ledger.settled(charges, left, self._clock.now())
            if away:
                log.info("limits.shared")
            away = False

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()


def _ask(what: str, who: str, rate: float, burst: float, told: str) -> _Ask | None:
    """None for a limit of 0, which is no limit."""
    return _Ask(subjects.level(what, who), Quota(rate, burst), told) if rate else None

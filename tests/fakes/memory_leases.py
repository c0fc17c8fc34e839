"""Leases, Mail and Levels in memory, on a Clock; `away` stands for a Redis that does not answer."""

from collections.abc import Mapping, Sequence

from services.kernel.bus.base import Away, Lease
from services.kernel.model import bucket
from services.kernel.model.bucket import Charge, Level
from services.kernel.model.clock import Clock

_SHOWN_AFTER = 60.0


class MemoryLeases:
    """What several services of one test share. Run-out facts are shown as such for a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._groups: dict[str, dict[str, tuple[bytes, float]]] = {}
        self._asked: dict[str, float] = {}
        self._boxes: dict[str, tuple[list[bytes], float]] = {}
        self._levels: dict[str, Level] = {}
        self.away = False

    def _answer(self) -> float:
        if self.away:
            raise Away("the memory leases were told to be away")
        return self._clock.now()

    async def hold(self, group: str, facts: Mapping[str, bytes], ttl: float) -> set[str]:
        """See Leases.hold."""
        now = self._answer()
        held = self._groups.setdefault(group, {})
        fresh = set(facts) - set(held)
        held.update({key: (payload, now + ttl) for key, payload in facts.items()})
        return fresh

    async def holders(self, groups: Sequence[str]) -> list[dict[str, Lease]]:
        """See Leases.holders."""
        now = self._answer()
        for held in self._groups.values():
            for key in [key for key, (_, ends) in held.items() if ends + _SHOWN_AFTER < now]:
                del held[key]
        return [
            {key: Lease(payload, ends > now) for key, (payload, ends) in self._groups.get(group, {}).items()}
            for group in groups
        ]

    async def release(self, group: str, facts: Mapping[str, bytes]) -> None:
        """See Leases.release."""
        self._answer()
        held = self._groups.get(group, {})
        for key, payload in facts.items():
            if key in held and held[key][0] == payload:
                del held[key]

    async def once(self, key: str, ttl: float) -> bool:
        """See Leases.once."""
        now = self._answer()
        if self._asked.get(key, now) > now:
            return False
        self._asked[key] = now + ttl
        return True

    async def post(self, box: str, letters: Sequence[bytes], keep: int, ttl: float) -> None:
        """See Mail.post."""
        now = self._answer()
        known, ends = self._boxes.get(box, ([], now))
        kept = [*(known if ends > now else []), *letters]
        self._boxes[box] = (kept[-keep:], now + ttl)

    async def collect(self, box: str) -> list[bytes]:
        """See Mail.collect."""
        now = self._answer()
        letters, ends = self._boxes.pop(box, ([], now))
        return letters if ends > now else []

    async def settle(self, charges: Sequence[Charge]) -> list[float]:
        """See Levels.settle."""
        now = self._answer()
        for each in charges:
            known = self._levels.get(each.key)
            left = Level(each.left, now)
            if known is not None:
                left = bucket.less(each.quota, known, each.spent, now)
            self._levels[each.key] = left
        return [self._levels[each.key].left for each in charges]

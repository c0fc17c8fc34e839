"""What one process knows of many shared buckets, and what it has taken from them since it last said so (pure)."""

from collections.abc import Sequence

from services.kernel.model import bucket
from services.kernel.model.bucket import Charge, Level, Quota

_PRESSING_SHARE = 8
_PRESSING_LEAST = 4
_KEPT_SHARE = 0.9


class _Held:
    """One bucket as this process sees it: the last shared level less what it took itself."""

    __slots__ = ("asked", "level", "quota", "spent")

    def __init__(self, quota: Quota, level: Level) -> None:
        self.quota, self.level = quota, level
        self.spent, self.asked = 0.0, False


class Ledger:
    """At most `most` buckets; beyond that the fullest are forgotten first, since least is lost with them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[str, _Held] = {}
        self.pressing = False

    def __len__(self) -> int:
        return len(self._held)

    def wait(self, key: str, quota: Quota, now: float) -> float:
        """Seconds until the bucket has a token for this process, 0 when it has; takes nothing."""
        held = self._find(key, quota, now)
        seconds = bucket.wait(quota, held.level, now)
        held.asked = held.asked or seconds > 0  # who is refused wants to know how the level stands by now
        return seconds

    def take(self, key: str, quota: Quota, now: float) -> None:
        """Takes one token, from an empty bucket too.

        `pressing` is true from the moment when so much was taken that the others should hear of it soon.
        """
        held = self._find(key, quota, now)
        held.level = bucket.less(quota, held.level, 1, now)
        held.spent += 1
        held.asked = True
        if held.spent >= max(_PRESSING_LEAST, quota.burst / _PRESSING_SHARE):
            self.pressing = True

    def due(self, now: float) -> list[Charge]:
        """Every bucket that gave or refused since the last call; what was taken counts as told.

        No more is told than is missing from a full bucket: what was taken while nobody could be told
        has partly come back.
        """
        self.pressing = False
        charges = []
        for key, held in self._held.items():
            if not held.asked:
                continue
            level = bucket.refilled(held.quota, held.level, now)
            spent = min(held.spent, held.quota.burst - level.left)
            charges.append(Charge(key, held.quota, spent, level.left))
            held.spent, held.asked = 0.0, False
        return charges

    def settled(self, charges: Sequence[Charge], left: Sequence[float], now: float) -> None:
        """The shared levels after these charges; what was taken meanwhile still comes off."""
        for charge, shared in zip(charges, left, strict=True):
            held = self._held.get(charge.key)
            if held is not None:
                held.level = Level(shared - held.spent, now)

    def untold(self, charges: Sequence[Charge]) -> None:
        """Nobody heard of these charges: they are due again."""
        for charge in charges:
            held = self._held.get(charge.key)
            if held is not None:
                held.spent += charge.spent
                held.asked = True

    def _find(self, key: str, quota: Quota, now: float) -> _Held:
        held = self._held.get(key)
        if held is None:
            if len(self._held) >= self._most:
                self._forget(now)
            held = self._held[key] = _Held(quota, bucket.full(quota, now))
        return held

    def _forget(self, now: float) -> None:
        """Makes room, a tenth at a time."""

        def empty(key: str) -> float:
            held = self._held[key]
            return bucket.until_full(held.quota, held.level, now)

        keep = sorted(self._held, key=empty, reverse=True)[: int(self._most * _KEPT_SHARE)]
        self._held = {key: self._held[key] for key in keep}

"""A Clock that goes only when told to."""


class ManualClock:
    """Seconds and Unix milliseconds as the test wants them."""

    def __init__(self, wall_ms: int = 1_760_000_000_000, now: float = 1_000.0) -> None:
        self._wall_ms, self._now = wall_ms, now

    def now(self) -> float:
        """See Clock.now."""
        return self._now

    def wall_ms(self) -> int:
        """See Clock.wall_ms."""
        return self._wall_ms

    def advance(self, seconds: float) -> None:
        """Both clocks go on by so many seconds."""
        assert seconds >= 0, "a monotonic clock never goes back; use leap_to"
        self._now += seconds
        self._wall_ms += round(seconds * 1000)

    def leap_to(self, wall_ms: int) -> None:
        """The wall clock is set, forward or back; the monotonic one does not notice."""
        self._wall_ms = wall_ms

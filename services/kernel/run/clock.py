"""The machine's own clocks."""

import time


class SystemClock:
    """The Clock of a running service."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Unix milliseconds of the system clock."""
        return time.time_ns() // 1_000_000

"""The one way to ask for the time, so that tests can give their own."""

from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...

    def wall_ms(self) -> int:
        """Unix time in milliseconds; may jump."""
        ...

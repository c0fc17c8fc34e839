"""Pure: when the next commit may start (pacing decides what small rooms cost)."""


def next_start(now: float, last_start: float, gap: float) -> float:
    """At once after a quiet spell of `gap` seconds, else no sooner than `gap` after the last start.

    All values in seconds of one monotonic clock.
    """
    return max(now, last_start + gap)

"""A token bucket as a function of time (pure): what is left in it, and how long until there is one."""

import msgspec


class Quota(msgspec.Struct, frozen=True):
    """`rate` tokens come back per second, up to `burst`; the rate is above 0, the burst at least 1."""

    rate: float
    burst: float


class Level(msgspec.Struct, frozen=True):
    """`left` tokens at the moment `at` (seconds of a monotonic clock); less than none is a debt."""

    left: float
    at: float


class Charge(msgspec.Struct, frozen=True):
    """What one process took from a shared bucket since it last said so, and what it believes is left."""

    key: str
    quota: Quota
    spent: float
    left: float


def full(quota: Quota, now: float) -> Level:
    """A bucket that nobody has used."""
    return Level(quota.burst, now)


def refilled(quota: Quota, level: Level, now: float) -> Level:
    """The same bucket later; a time that lies back changes nothing."""
    if now <= level.at:
        return level
    return Level(min(quota.burst, level.left + (now - level.at) * quota.rate), now)


def wait(quota: Quota, level: Level, now: float) -> float:
    """Seconds until one token is there; 0 when it is."""
    return max(0.0, (1 - refilled(quota, level, now).left) / quota.rate)


def less(quota: Quota, level: Level, tokens: float, now: float) -> Level:
    """The bucket after so many tokens were taken; it may owe some then."""
    later = refilled(quota, level, now)
    return Level(later.left - tokens, later.at)


def until_full(quota: Quota, level: Level, now: float) -> float:
    """Seconds until nothing is missing any more."""
    return (quota.burst - refilled(quota, level, now).left) / quota.rate

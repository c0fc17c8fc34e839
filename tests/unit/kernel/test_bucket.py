"""A token bucket: never more than the burst and what came back, and its waits are true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.model.bucket import Level, Quota, full, less, refilled, until_full, wait

QUOTAS = st.builds(Quota, rate=st.floats(1 / 3600, 10_000), burst=st.integers(1, 10_000).map(float))
PAUSES = st.lists(st.floats(0, 30), max_size=60)
LEVELS = st.builds(Level, left=st.floats(-1_000, 1_000), at=st.floats(0, 1_000))
SEND = Quota(rate=20, burst=200)


def test_a_full_bucket_gives_its_burst_at_once_then_its_rate() -> None:
    level = full(SEND, 0)
    for _ in range(200):
        assert wait(SEND, level, 0) == 0
        level = less(SEND, level, 1, 0)
    assert wait(SEND, level, 0) == pytest.approx(0.05)
    assert wait(SEND, level, 0.05) == pytest.approx(0, abs=1e-9)
    assert until_full(SEND, level, 4) == pytest.approx(6)


def test_a_debt_is_paid_back_first() -> None:
    level = less(SEND, full(SEND, 0), 260, 0)
    assert level.left == -60
    assert wait(SEND, level, 0) == pytest.approx(3.05)
    assert wait(SEND, level, 3) == pytest.approx(0.05)


def test_a_time_that_lies_back_changes_nothing() -> None:
    level = Level(5, at=10)
    assert refilled(SEND, level, 9) is level
    assert refilled(SEND, level, 10) is level
    assert less(SEND, level, 1, 9) == Level(4, 10)


@given(QUOTAS, PAUSES)
def test_in_no_stretch_of_time_more_is_given_than_burst_and_rate_allow(
    quota: Quota, pauses: list[float]
) -> None:
    now, level, taken = 0.0, full(quota, 0), list[float]()
    for pause in pauses:
        now += pause
        for _ in range(3):
            if wait(quota, level, now) == 0:
                level = less(quota, level, 1, now)
                taken.append(now)
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= quota.burst + quota.rate * (taken[last] - start) + 1e-6


@given(QUOTAS, LEVELS, st.floats(0, 100))
def test_a_wait_is_neither_too_short_nor_too_long(quota: Quota, level: Level, later: float) -> None:
    now = level.at + later
    seconds = wait(quota, level, now)
    there = refilled(quota, level, now + seconds).left
    assert there >= min(1.0, level.left) - 1e-6 or there == pytest.approx(1)
    if seconds > 1e-6:
        assert there == pytest.approx(1, abs=1e-6)
        assert wait(quota, level, now + seconds / 2) > 0


@given(QUOTAS, LEVELS, st.floats(0, 50), st.floats(0, 50))
def test_refilling_in_two_steps_is_refilling_at_once(
    quota: Quota, level: Level, one: float, two: float
) -> None:
    steps = refilled(quota, refilled(quota, level, level.at + one), level.at + one + two)
    at_once = refilled(quota, level, level.at + one + two)
    assert steps.left == pytest.approx(at_once.left, abs=1e-6)
    assert at_once.left <= max(quota.burst, level.left)

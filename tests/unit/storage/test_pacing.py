"""When the next commit may start."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.storage.pacing import next_start

GAP = 0.002
SECONDS = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("now", "last_start", "start"),
    [
        (10.0, 9.0, 10.0),
        (10.0, 10.0 - GAP, 10.0),
        (10.0, 10.0, 10.0 + GAP),
        (10.001, 10.0, 10.0 + GAP),
        (0.0, -GAP, 0.0),
    ],
)
def test_at_once_after_quiet_else_a_gap_after_the_last_start(
    now: float, last_start: float, start: float
) -> None:
    assert next_start(now, last_start, GAP) == pytest.approx(start)


def test_without_a_gap_always_at_once() -> None:
    assert next_start(10.0, 10.0, 0) == 10.0


@given(SECONDS, SECONDS, st.floats(0, 1))
def test_never_in_the_past_nor_too_soon_nor_later_than_needed(now: float, ago: float, gap: float) -> None:
    last_start = now - ago
    start = next_start(now, last_start, gap)
    assert start >= now
    assert start >= last_start + gap
    assert start in (now, last_start + gap)

"""What one process knows of shared buckets: what it tells, what it learns, what it forgets."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.kernel.model import bucket
from services.kernel.model.bucket import Charge, Level, Quota
from services.kernel.model.ledger import Ledger

TEN = Quota(rate=1, burst=10)


def taken(ledger: Ledger, key: str, quota: Quota, now: float, tries: int) -> int:
    """How many of so many tries were let through."""
    found = 0
    for _ in range(tries):
        if ledger.wait(key, quota, now) == 0:
            ledger.take(key, quota, now)
            found += 1
    return found


def test_it_gives_what_it_last_heard_less_what_it_took() -> None:
    ledger = Ledger(100)
    assert taken(ledger, "a", TEN, 0, 4) == 4
    charges = ledger.due(0)
    assert charges == [Charge("a", TEN, 4, 6)]
    assert taken(ledger, "a", TEN, 0, 1) == 1
    ledger.settled(charges, [3], 0)
    assert taken(ledger, "a", TEN, 0, 9) == 2
    assert ledger.due(0) == [Charge("a", TEN, 3, 0)]


def test_only_what_was_used_is_told_and_a_refusal_is_a_use() -> None:
    ledger = Ledger(100)
    taken(ledger, "a", TEN, 0, 1)
    ledger.settled(ledger.due(0), [-5], 0)
    assert ledger.due(0) == []
    assert ledger.wait("a", TEN, 0) == 6
    assert ledger.due(0) == [Charge("a", TEN, 0, -5)]


def test_what_nobody_heard_is_told_again() -> None:
    ledger = Ledger(100)
    taken(ledger, "a", TEN, 0, 2)
    ledger.untold(ledger.due(0))
    taken(ledger, "a", TEN, 0, 1)
    assert ledger.due(0) == [Charge("a", TEN, 3, 7)]


def test_what_has_come_back_since_it_was_taken_is_not_told() -> None:
    ledger = Ledger(100)
    for second in range(100):
        assert taken(ledger, "a", TEN, second, 1) == 1
        ledger.untold(ledger.due(second))
    assert ledger.due(99) == [Charge("a", TEN, 1, 9)]


def test_it_presses_once_much_was_taken() -> None:
    ledger, wide = Ledger(100), Quota(20, 200)
    taken(ledger, "a", wide, 0, 24)
    assert not ledger.pressing
    taken(ledger, "a", wide, 0, 1)
    assert ledger.pressing
    ledger.due(0)
    assert not ledger.pressing
    taken(ledger, "b", Quota(1, 2), 0, 2)
    assert not ledger.pressing, "a small bucket alone would be told of all the time"


def test_the_fullest_are_forgotten_first_and_the_number_is_bounded() -> None:
    ledger = Ledger(10)
    for number in range(10):
        taken(ledger, f"{number}", TEN, 0, number)
    charges = ledger.due(0)
    taken(ledger, "new", TEN, 0, 1)
    assert len(ledger) == 10
    assert taken(ledger, "9", TEN, 0, 5) == 1, "the emptiest is still known"
    assert len(ledger) == 10
    assert taken(ledger, "0", TEN, 0, 11) == 10, "the fullest was forgotten: nothing is lost with it"
    for number in range(1_000):
        taken(ledger, f"more {number}", TEN, 0, 10)
    ledger.settled(charges, [0.0] * len(charges), 0)
    ledger.untold(charges)
    assert len(ledger) == 10, "what comes late for a forgotten bucket does not bring it back"


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.floats(0, 2)), max_size=60)


@settings(max_examples=300)
@given(STEPS)
def test_several_processes_overshoot_once_and_pay_it_back(steps: list[tuple[int, int, float]]) -> None:
    """Each settles right after what it gave; a process that has not heard for long holds one burst at most."""
    quota, now, total = Quota(rate=5, burst=20), 0.0, 0
    ledgers, shared = [Ledger(10) for _ in range(3)], Level(20, 0)
    for which, tries, pause in steps:
        now += pause
        total += taken(ledgers[which], "a", quota, now, tries)
        charges = ledgers[which].due(now)
        for charge in charges:
            shared = bucket.less(quota, shared, charge.spent, now)
        ledgers[which].settled(charges, [shared.left] * len(charges), now)
        assert shared.left >= -2 * quota.burst
        assert total <= 3 * quota.burst + quota.rate * now

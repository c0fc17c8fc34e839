"""Virtual time: in order, never twice, and to the end asked for."""

from egoat.lab.clock import Clock
from egoat.lab.network import Access, Device


def test_what_is_due_happens_in_its_order_and_at_its_time() -> None:
    clock, done = Clock(), []
    for pause, name in ((30, "c"), (10, "a"), (10, "b"), (-5, "now")):
        clock.after(pause, lambda name=name: done.append((clock.now, name)))  # type: ignore[misc]
    clock.run(20)
    assert (done, clock.now) == ([(0, "now"), (10, "a"), (10, "b")], 20)
    clock.run(40)
    assert done[-1] == (30, "c")
    assert clock.done == 4


def test_a_timer_that_was_cancelled_does_nothing() -> None:
    clock, done = Clock(), []
    timer = clock.after(5, lambda: done.append("never"))
    clock.after(1, timer.cancel)
    clock.run(10)
    assert done == []


def test_what_is_begun_in_a_turn_happens_after_it() -> None:
    clock, done = Clock(), []

    def first() -> None:
        clock.after(0, lambda: done.append("second"))
        done.append("first")

    clock.after(0, first)
    clock.run(0)
    assert done == ["first", "second"]


def test_a_sleeping_device_does_what_it_missed_when_it_wakes() -> None:
    clock, done = Clock(), []
    device = Device(clock, "ann", Access())
    device.after(10, lambda: done.append(clock.now))
    device.after(20, lambda: done.append(clock.now))
    device.after(99, lambda: done.append(clock.now))
    clock.run(5)
    device.sleep()
    clock.run(50)
    assert done == []
    device.wake()
    clock.run(100)
    assert done == [50, 50, 99]

"""The Bus protocol: order, several sinks, closing, standing, gaps, and publishing into nothing."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest

from services.kernel.bus.base import Bus, Delivery, Resumed, Subject

ROOM, OTHER = Subject("room:one"), Subject("room:other")
STRANGE = [
    "room:*",
    "room:?",
    "room:[a]",
    "room:é ü",
    "room:e\u0301",
    "room:\r\nPING\r\n",
    "room:" + "x" * 200,
]


class BusWorld(Protocol):
    """One server (or what stands for it) and buses on it."""

    def bus(self) -> AbstractAsyncContextManager[Bus]:
        """A connected bus of its own, as another process would have."""
        ...

    async def cut(self) -> None:
        """The server is gone."""
        ...

    async def mend(self) -> None:
        """A server without memory of the first is there."""
        ...


async def until(true: Callable[[], bool], within: float = 5.0) -> None:
    """Returns once it is true; fails when it does not become so."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    for _ in iter(true, True):
        assert loop.time() < end, "it did not come true"
        await asyncio.sleep(0.002)


class Ear:
    """A sink that keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[Delivery | Resumed] = []

    def __call__(self, event: Delivery | Resumed) -> None:
        self.heard.append(event)

    @property
    def data(self) -> list[bytes]:
        """The publications without the gaps."""
        return [event.data for event in self.heard if isinstance(event, Delivery)]

    async def hears(self, data: bytes) -> None:
        """Returns once this was heard."""
        await until(lambda: data in self.data)


class BusSuite:
    """Run with a `world` fixture."""

    async def test_what_is_published_arrives_in_order_and_unchanged(self, world: BusWorld) -> None:
        async with world.bus() as here, world.bus() as there:
            ear = Ear()
            assert await there.subscribe(ROOM, ear).standing(5)
            sent = [b"%d" % number for number in range(500)]
            sent += [b"", b"\r\n$5\r\n", bytes(range(256)), b"x" * 300_000, b"last"]
            for data in sent:
                here.publish(ROOM, data)
            await ear.hears(b"last")
            assert ear.heard == [Delivery(ROOM, data) for data in sent]

    async def test_a_bus_hears_itself(self, world: BusWorld) -> None:
        async with world.bus() as bus:
            ear = Ear()
            assert await bus.subscribe(ROOM, ear).standing(5)
            bus.publish(ROOM, b"me")
            await ear.hears(b"me")

    async def test_every_sink_of_a_subject_hears_everything_once(self, world: BusWorld) -> None:
        async with world.bus() as here, world.bus() as there:
            ears = [Ear(), Ear(), Ear()]
            for bus, ear in zip((there, there, here), ears, strict=True):
                assert await bus.subscribe(ROOM, ear).standing(5)
            for data in (b"a", b"b", b"c"):
                here.publish(ROOM, data)
            for ear in ears:
                await ear.hears(b"c")
                assert ear.data == [b"a", b"b", b"c"]

    async def test_subjects_are_apart_and_none_is_a_pattern(self, world: BusWorld) -> None:
        async with world.bus() as bus:
            ears = {Subject(name): Ear() for name in [*STRANGE, ROOM, OTHER]}
            for subject, ear in ears.items():
                assert await bus.subscribe(subject, ear).standing(5)
            for number, subject in enumerate(ears):
                bus.publish(subject, b"%d" % number)
            await ears[OTHER].hears(b"%d" % (len(ears) - 1))
            for number, (subject, ear) in enumerate(ears.items()):
                assert ear.heard == [Delivery(subject, b"%d" % number)]

    async def test_a_closed_sink_hears_nothing_more_and_the_others_go_on(self, world: BusWorld) -> None:
        async with world.bus() as bus:
            leaving, staying = Ear(), Ear()
            gone = bus.subscribe(ROOM, leaving)
            assert await bus.subscribe(ROOM, staying).standing(5)
            bus.publish(ROOM, b"a")
            await staying.hears(b"a")
            gone.close()
            gone.close()
            bus.publish(ROOM, b"b")
            await staying.hears(b"b")
            assert leaving.data == [b"a"]

    async def test_a_sink_may_close_itself_while_it_hears(self, world: BusWorld) -> None:
        async with world.bus() as bus:
            once: list[Delivery | Resumed] = []
            after = Ear()

            def hear(event: Delivery | Resumed) -> None:
                once.append(event)
                subscription.close()

            subscription = bus.subscribe(ROOM, hear)
            assert await bus.subscribe(ROOM, after).standing(5)
            for data in (b"a", b"b"):
                bus.publish(ROOM, data)
            await after.hears(b"b")
            assert (len(once), after.data) == (1, [b"a", b"b"])

    async def test_a_subject_can_be_taken_up_again(self, world: BusWorld) -> None:
        async with world.bus() as bus:
            for round_ in range(3):
                ear = Ear()
                subscription = bus.subscribe(ROOM, ear)
                assert await subscription.standing(5)
                bus.publish(ROOM, b"%d" % round_)
                await ear.hears(b"%d" % round_)
                assert ear.heard == [Delivery(ROOM, b"%d" % round_)]
                subscription.close()
                assert not await subscription.standing(0.01)

    async def test_what_was_said_before_is_not_heard(self, world: BusWorld) -> None:
        async with world.bus() as bus:
            bus.publish(ROOM, b"early")
            first = Ear()
            assert await bus.subscribe(OTHER, first).standing(5)
            bus.publish(OTHER, b"x")
            await first.hears(b"x")
            ear = Ear()
            assert await bus.subscribe(ROOM, ear).standing(5)
            bus.publish(ROOM, b"late")
            await ear.hears(b"late")
            assert ear.data == [b"late"]

    async def test_publishing_without_the_server_neither_raises_nor_arrives_later(
        self, world: BusWorld
    ) -> None:
        async with world.bus() as here, world.bus() as there:
            ear = Ear()
            subscription = there.subscribe(ROOM, ear)
            assert await subscription.standing(5)
            await world.cut()
            for number in range(100):
                here.publish(ROOM, b"lost %d" % number)
            await until(lambda: not here.connected and not there.connected)
            here.publish(ROOM, b"lost")
            assert not await subscription.standing(0.01)
            await world.mend()
            await until(lambda: here.connected)
            assert await subscription.standing(5)
            here.publish(ROOM, b"kept")
            await ear.hears(b"kept")
            assert ear.data == [b"kept"]

    async def test_after_a_gap_each_sink_is_told_once_before_it_hears_more(self, world: BusWorld) -> None:
        async with world.bus() as here, world.bus() as there:
            ears = {ROOM: Ear(), OTHER: Ear()}
            second = Ear()
            for subject, ear in ears.items():
                assert await there.subscribe(subject, ear).standing(5)
            there.subscribe(ROOM, second)
            for _ in range(2):
                await world.cut()
                await until(lambda: not here.connected and not there.connected)
                await world.mend()
                await until(lambda: here.connected and all(ear.heard for ear in ears.values()))
                for subject, ear in ears.items():
                    here.publish(subject, b"next")
                    await ear.hears(b"next")
                    assert ear.heard == [Resumed(subject), Delivery(subject, b"next")]
                    ear.heard.clear()
                assert second.heard == [Resumed(ROOM), Delivery(ROOM, b"next")]
                second.heard.clear()

    async def test_a_subscription_made_in_a_gap_stands_after_it(self, world: BusWorld) -> None:
        async with world.bus() as here, world.bus() as there:
            await world.cut()
            await until(lambda: not here.connected and not there.connected)
            ear, dropped = Ear(), Ear()
            subscription = there.subscribe(ROOM, ear)
            there.subscribe(OTHER, dropped).close()
            assert not await subscription.standing(0.01)
            await world.mend()
            assert await subscription.standing(5)
            await until(lambda: here.connected)
            here.publish(OTHER, b"a")
            here.publish(ROOM, b"a")
            await ear.hears(b"a")
            assert (ear.heard, dropped.heard) == ([Delivery(ROOM, b"a")], [])

    @pytest.mark.parametrize("within", [0, 0.01])
    async def test_standing_waits_no_longer_than_told(self, world: BusWorld, within: float) -> None:
        async with world.bus() as bus:
            await world.cut()
            await until(lambda: not bus.connected)
            loop = asyncio.get_running_loop()
            started = loop.time()
            assert not await bus.subscribe(ROOM, Ear()).standing(within)
            assert loop.time() - started < 1

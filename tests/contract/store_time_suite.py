"""The Store protocol where time matters: receive times that never decrease, and `since` by whole seconds."""

import pytest

from services.kernel.model.ids import Seq
from services.storage.stores.base import Store
from tests.contract.store_world import StoreWorld, put, put_one, texts
from tests.fakes.people import ROOM, received

SECOND = 1_760_000_000


async def say(store: Store, world: StoreWorld, *said: tuple[float, str]) -> None:
    """Appends each text at its moment: seconds after SECOND."""
    for moment, text in said:
        world.clock.leap_to(round((SECOND + moment) * 1000))
        await put(store, text)


class TimeSuite:
    """Receive times."""

    async def test_the_receive_time_is_the_clock_s(self, store: Store, world: StoreWorld) -> None:
        [placed] = await put(store, "a")
        assert placed.at == world.clock.wall_ms()

    async def test_it_never_decreases_in_a_room_when_the_clock_leaps_back(
        self, store: Store, world: StoreWorld
    ) -> None:
        [first] = await put(store, "a")
        world.clock.leap_to(first.at - 86_400_000)
        [second] = await put(store, "b")
        [elsewhere] = await put(store, "b", room="other")
        world.clock.leap_to(first.at + 1)
        [third] = await put(store, "c")
        assert [second.at, third.at] == [first.at, first.at + 1]
        assert elsewhere.at == first.at - 86_400_000

    async def test_behind_it_goes_on_at_half_speed_until_the_clock_has_caught_up(
        self, store: Store, world: StoreWorld
    ) -> None:
        """Else every message of a day would be of one second, and who asks `since` that second sees none of them."""
        [first] = await put(store, "a")
        world.clock.leap_to(first.at - 30_000)
        found: list[int] = []
        for number in range(80):
            world.clock.advance(1)
            [placed] = await put(store, f"b{number}")
            found.append(placed.at - first.at)
        assert found == [500 * step for step in range(1, 59)] + [1_000 * step for step in range(29, 51)]

    async def test_behind_it_goes_on_also_when_messages_come_fast(
        self, store: Store, world: StoreWorld
    ) -> None:
        [first] = await put(store, "a")
        world.clock.leap_to(first.at - 86_400_000)
        for number in range(1_000):
            world.clock.advance(0.0005)
            [placed] = await put(store, f"b{number}")
        assert 150 <= placed.at - first.at <= 250

    async def test_nor_after_everything_was_forgotten(self, store: Store, world: StoreWorld) -> None:
        [_, last] = await put(store, "a", "b")
        await store.forget(ROOM, Seq(2))
        world.clock.leap_to(last.at - 10_000)
        assert (await put(store, "c"))[0].at == last.at


class SinceSuite:
    """`since`."""

    async def test_strictly_newer_than_the_second(self, store: Store, world: StoreWorld) -> None:
        await say(store, world, (0.0, "a"), (0.999, "b"), (1.0, "c"), (1.5, "d"), (3.0, "e"))
        for second, expected in ((-1, "abcde"), (0, "cde"), (1, "e"), (2, "e"), (3, "")):
            span = await store.since(ROOM, SECOND + second, 100)
            assert "".join(await texts(store, span)) == expected
            assert (span.log_id, span.upto, span.next_since) == (store.log_id, 5, None)

    @pytest.mark.parametrize("second", [0, 2**53])
    async def test_the_ends_of_time(self, store: Store, second: int) -> None:
        await put(store, "a")
        span = await store.since(ROOM, second, 100)
        assert await texts(store, span) == (["a"] if second == 0 else [])

    async def test_an_unknown_room_has_nothing(self, store: Store) -> None:
        span = await store.since(ROOM, 0, 100)
        assert (span.after, span.upto, span.next_since) == (0, 0, None)

    async def test_a_limit_cuts_before_the_second_it_falls_in(self, store: Store, world: StoreWorld) -> None:
        await say(store, world, (1, "a"), (1.5, "b"), (2, "c"), (2.1, "d"), (2.2, "e"), (4, "f"))
        for limit, expected, following in (
            (6, "abcdef", None),
            (5, "abcde", 3),
            (4, "ab", 1),
            (3, "ab", 1),
            (2, "ab", 1),
        ):
            span = await store.since(ROOM, SECOND, limit)
            assert "".join(await texts(store, span)) == expected
            assert span.next_since == (None if following is None else SECOND + following)

    async def test_a_single_second_with_more_than_the_limit_is_whole(
        self, store: Store, world: StoreWorld
    ) -> None:
        await say(store, world, (1, "a"), (1.2, "b"), (1.4, "c"), (2, "d"))
        span = await store.since(ROOM, SECOND, 2)
        assert "".join(await texts(store, span)) == "abc"
        assert span.next_since == SECOND + 1

    async def test_a_single_second_at_the_end_has_no_next(self, store: Store, world: StoreWorld) -> None:
        await say(store, world, (1, "a"), (1.2, "b"), (1.4, "c"))
        span = await store.since(ROOM, SECOND, 2)
        assert "".join(await texts(store, span)) == "abc"
        assert span.next_since is None

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 7])
    async def test_following_next_sees_every_text_once(
        self, store: Store, world: StoreWorld, limit: int
    ) -> None:
        moments = (0.5, 1, 1.1, 1.2, 1.3, 2, 5, 5.9, 6, 6, 6, 6, 6, 9)
        await say(store, world, *((moment, f"t{number}") for number, moment in enumerate(moments)))
        second: int | None = SECOND - 1
        seen: list[str] = []
        while second is not None:
            span = await store.since(ROOM, second, limit)
            seen += await texts(store, span)
            assert span.next_since is None or span.next_since > second
            second = span.next_since
        assert seen == [f"t{number}" for number in range(len(moments))]

    async def test_other_kinds_do_not_count(self, store: Store, world: StoreWorld) -> None:
        await say(store, world, (1, "a"))
        for number in range(5):
            await put_one(store, received(f"r{number}", kind="reaction"))
        await say(store, world, (2, "b"), (3, "c"))
        span = await store.since(ROOM, SECOND, 3)
        assert ("".join(await texts(store, span)), span.next_since) == ("abc", None)
        span = await store.since(ROOM, SECOND, 2)
        assert ("".join(await texts(store, span)), span.next_since) == ("ab", SECOND + 2)

    async def test_only_the_asked_room_counts(self, store: Store, world: StoreWorld) -> None:
        await say(store, world, (1, "a"))
        await put(store, *"xyz", room="other")
        await say(store, world, (2, "b"))
        span = await store.since(ROOM, SECOND, 2)
        assert ("".join(await texts(store, span)), span.next_since) == ("ab", None)

    async def test_what_was_forgotten_is_not_newer(self, store: Store, world: StoreWorld) -> None:
        await say(store, world, (1, "a"), (2, "b"), (3, "c"))
        await store.forget(ROOM, Seq(2))
        span = await store.since(ROOM, SECOND, 10)
        assert ("".join(await texts(store, span)), span.upto) == ("c", 3)

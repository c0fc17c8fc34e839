"""The Store protocol where the half-second sweep asks: which rooms changed since a mark."""

import pytest

from services.kernel.model.ids import Seq
from services.storage.stores.base import Store
from tests.contract.store_world import put
from tests.fakes.people import ROOM, received


class MovedSuite:
    """`moved`: what the half-second sweep asks."""

    async def test_without_a_mark_it_gives_only_the_mark_of_now(self, store: Store) -> None:
        await put(store, "a")
        now = await store.moved(None)
        assert (now.log_id, list(now.rooms)) == (store.log_id, [])
        assert list((await store.moved(now.mark)).rooms) == []

    async def test_every_room_that_grew_with_its_head(self, store: Store) -> None:
        await put(store, "a", room="still")
        mark = (await store.moved(None)).mark
        await store.append([received(f"m{n}", room=room) for n in range(2) for room in ("x", "y")])
        await put(store, "z", room="y")
        grown = await store.moved(mark)
        assert sorted(grown.rooms) == [("x", 2, 0), ("y", 3, 0)]
        assert list((await store.moved(grown.mark)).rooms) == []
        assert sorted((await store.moved(mark)).rooms) == [("x", 2, 0), ("y", 3, 0)]

    async def test_a_repeat_is_no_growth(self, store: Store) -> None:
        await put(store, "a")
        mark = (await store.moved(None)).mark
        await put(store, "a")
        assert list((await store.moved(mark)).rooms) == []

    async def test_a_room_whose_floor_rose_is_told_once(self, store: Store) -> None:
        await put(store, "a", "b", "c")
        mark = (await store.moved(None)).mark
        for upto, again in ((2, 0), (3, 3)):
            assert await store.forget(ROOM, Seq(upto)) > 0
            assert await store.forget(ROOM, Seq(again)) == 0
            grown = await store.moved(mark)
            assert list(grown.rooms) == [(ROOM, 3, upto)]
            mark = grown.mark
            for late in (mark, (await store.moved(None)).mark):
                assert list((await store.moved(late)).rooms) == []

    async def test_marks_hold_after_everything_was_forgotten(self, store: Store) -> None:
        await put(store, "a", "b")
        mark = (await store.moved(None)).mark
        await store.forget(ROOM, Seq(2))
        later = (await store.moved(mark)).mark
        await put(store, "c")
        assert list((await store.moved(later)).rooms) == [(ROOM, 3, 2)]
        assert list((await store.moved(mark)).rooms) == [(ROOM, 3, 2)]

    @pytest.mark.parametrize("upto", [2, 3], ids=["in part", "wholly"])
    async def test_a_room_that_was_forgotten_has_still_grown(self, store: Store, upto: int) -> None:
        await put(store, "z", room="still")
        mark = (await store.moved(None)).mark
        await put(store, "a", "b", "c")
        await store.forget(ROOM, Seq(upto))
        assert list((await store.moved(mark)).rooms) == [(ROOM, 3, upto)]
        assert list((await store.moved((await store.moved(mark)).mark)).rooms) == []

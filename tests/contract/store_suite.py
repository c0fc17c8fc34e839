"""The Store protocol, sentence by sentence: append, pages, resets, forgetting, failure, keys."""

import pytest

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import Cursor, LogId, RoomId, Seq
from services.storage.stores.base import Store
from tests.contract.store_world import StoreWorld, at, put, put_one, seqs
from tests.fakes.people import ANN, BEN, GUS, ROOM, received

HOSTILE = ["' OR 1=1--", "%", "_", "room", "Room", "r_om", "roo%", "é", "e\u0301", "room ", "\u2603"]
ELSEWHERE = LogId("f" * 16)


class AppendSuite:
    """`append`."""

    async def test_seq_is_contiguous_from_1_within_and_across_batches(self, store: Store) -> None:
        first = await put(store, "a", "b", "c")
        second = await put(store, "d")
        assert [(each.seq, each.fresh, each.conflict) for each in [*first, *second]] == [
            (1, True, False), (2, True, False), (3, True, False), (4, True, False)
        ]  # fmt: skip
        assert {each.log_id for each in [*first, *second]} == {store.log_id}

    async def test_rooms_count_apart_also_within_one_batch(self, store: Store) -> None:
        placed = await store.append([received(f"m{n}", room=f"room{n % 3}") for n in range(9)])
        assert [each.seq for each in placed] == [1, 1, 1, 2, 2, 2, 3, 3, 3]

    async def test_an_empty_batch_is_stored_as_nothing(self, store: Store) -> None:
        assert list(await store.append([])) == []
        assert (await store.after(ROOM, None, 10)).head == 0

    async def test_a_known_message_returns_its_first_seq_and_time(
        self, store: Store, world: StoreWorld
    ) -> None:
        [first, _] = await put(store, "a", "b")
        world.clock.advance(5)
        [again] = await put(store, "a")
        assert (again.seq, again.at, again.fresh, again.conflict) == (first.seq, first.at, False, False)
        assert seqs((await store.after(ROOM, None, 10)).rows) == [1, 2]

    async def test_a_message_twice_in_one_batch_is_one_row(self, store: Store) -> None:
        placed = await put(store, "a", "a", "b", "a")
        assert [(each.seq, each.fresh) for each in placed] == [(1, True), (1, False), (2, True), (1, False)]
        assert {each.at for each in placed} == {placed[0].at}
        assert seqs((await store.after(ROOM, None, 10)).rows) == [1, 2]

    @pytest.mark.parametrize("apart", [True, False], ids=["across batches", "inside one batch"])
    async def test_another_content_under_a_known_id_is_a_conflict(self, store: Store, apart: bool) -> None:
        one, other, third = received("a", text="x"), received("a", text="y"), received("b")
        if apart:
            await put_one(store, one)
            placed = await store.append([other, third])
        else:
            placed = (await store.append([one, other, third]))[1:]
        assert [(each.seq, each.fresh, each.conflict) for each in placed] == [
            (1, False, True),
            (2, True, False),
        ]
        assert [row.env for row in (await store.after(ROOM, None, 10)).rows] == [one.env, third.env]

    async def test_one_id_of_two_senders_is_two_rows(self, store: Store) -> None:
        placed = await store.append([received("a", by=who) for who in (GUS, ANN, BEN)])
        assert [(each.seq, each.fresh) for each in placed] == [(1, True), (2, True), (3, True)]

    async def test_one_id_in_two_rooms_is_two_rows(self, store: Store) -> None:
        placed = await store.append([received("a", room="one"), received("a", room="two")])
        assert [(each.seq, each.fresh) for each in placed] == [(1, True), (1, True)]

    async def test_a_row_comes_back_as_it_was_given(self, store: Store) -> None:
        given = [
            received("a", by=ANN, text='ü "\\ \u2028 \U0001f410'),
            received("b", by=GUS, kind="reaction"),
        ]
        placed = await store.append(given)
        rows = (await store.after(ROOM, None, 10)).rows
        assert [(r.seq, r.at) for r in rows] == [(p.seq, p.at) for p in placed]
        assert [(r.sender, r.id, r.kind, r.env, r.sig, r.pk) for r in rows] == [
            (g.sender, g.id, g.kind, g.env, g.sig, g.pk) for g in given
        ]
        assert rows == list(reversed((await store.before(ROOM, None, 10)).rows))

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_hostile_room_names_do_not_cross(self, store: Store, name: str) -> None:
        for room in HOSTILE:
            await put_one(store, received("a", room=room, text=room))
        await store.forget(RoomId(name), Seq(1))
        for room in HOSTILE:
            page = await store.after(RoomId(room), None, 10)
            kept = [received("a", room=room, text=room).env] if room != name else []
            assert [row.env for row in page.rows] == kept
            assert (page.head, page.floor) == (1, 1 - len(kept))


class PageSuite:
    """`after` and `before`, and when they reset."""

    async def test_after_is_strictly_above_and_oldest_first(self, store: Store) -> None:
        await put(store, *"abcde")
        for seq in range(6):
            page = await store.after(ROOM, at(store, seq), 10)
            assert seqs(page.rows) == list(range(seq + 1, 6))
            assert (page.log_id, page.floor, page.head, page.reset) == (store.log_id, 0, 5, None)

    async def test_before_is_at_or_below_and_newest_first(self, store: Store) -> None:
        await put(store, *"abcde")
        for seq in range(6):
            page = await store.before(ROOM, at(store, seq), 10)
            assert seqs(page.rows) == list(range(seq, 0, -1))
            assert (page.log_id, page.floor, page.head, page.reset) == (store.log_id, 0, 5, None)

    async def test_no_cursor_starts_at_the_floor_or_at_the_head(self, store: Store) -> None:
        await put(store, *"abc")
        assert seqs((await store.after(ROOM, None, 2)).rows) == [1, 2]
        assert seqs((await store.before(ROOM, None, 2)).rows) == [3, 2]

    async def test_limits_cut_and_pages_continue_without_gap_or_repeat(self, store: Store) -> None:
        await put(store, *"abcdefg")
        up, down = [], []
        cursor = at(store, 0)
        while rows := (await store.after(ROOM, cursor, 3)).rows:
            up += seqs(rows)
            cursor = at(store, rows[-1].seq)
        cursor = at(store, 7)
        while rows := (await store.before(ROOM, cursor, 3)).rows:
            down += seqs(rows)
            cursor = at(store, rows[-1].seq - 1)
        assert up == [1, 2, 3, 4, 5, 6, 7]
        assert down == [7, 6, 5, 4, 3, 2, 1]

    async def test_limit_0_tells_only_where_the_room_stands(self, store: Store) -> None:
        await put(store, "a", "b")
        for page in (await store.after(ROOM, None, 0), await store.before(ROOM, None, 0)):
            assert (page.rows, page.head, page.floor, page.reset) == ([], 2, 0, None)

    async def test_an_unknown_room_is_an_empty_one(self, store: Store) -> None:
        for page in (await store.after(ROOM, None, 10), await store.before(ROOM, at(store, 0), 10)):
            assert (page.rows, page.head, page.floor, page.reset) == ([], 0, 0, None)

    async def test_the_head_is_a_cursor_and_what_is_above_it_is_not(self, store: Store) -> None:
        await put(store, "a", "b")
        assert await self.reasons(store, at(store, 2)) == (None, None)
        assert await self.reasons(store, at(store, 3)) == ("above_head", "above_head")

    async def test_a_cursor_of_another_log_resets_whatever_its_seq(self, store: Store) -> None:
        await put(store, "a", "b")
        for seq in (0, 1, 2, 3):
            assert await self.reasons(store, Cursor(ELSEWHERE, Seq(seq))) == ("log", "log")

    async def test_the_floor_is_a_cursor_and_what_is_below_it_is_not(self, store: Store) -> None:
        await put(store, *"abcde")
        await store.forget(ROOM, Seq(3))
        assert await self.reasons(store, at(store, 3)) == (None, None)
        assert await self.reasons(store, at(store, 2)) == ("below_floor", "below_floor")
        assert seqs((await store.after(ROOM, at(store, 3), 10)).rows) == [4, 5]

    async def test_a_reset_page_says_where_the_room_stands_and_has_no_rows(self, store: Store) -> None:
        await put(store, *"abc")
        await store.forget(ROOM, Seq(1))
        for cursor in (at(store, 0), at(store, 9), Cursor(ELSEWHERE, Seq(2))):
            page = await store.after(ROOM, cursor, 10)
            assert (page.log_id, page.floor, page.head, page.rows) == (store.log_id, 1, 3, [])

    async def reasons(self, store: Store, cursor: Cursor) -> tuple[str | None, str | None]:
        """Why `after` and `before` reset for this cursor."""
        after, before = await store.after(ROOM, cursor, 10), await store.before(ROOM, cursor, 10)
        return after.reset, before.reset


class ForgetSuite:
    """`forget`."""

    async def test_it_deletes_up_to_and_raises_the_floor(self, store: Store) -> None:
        await put(store, *"abcde")
        assert await store.forget(ROOM, Seq(2)) == 2
        page = await store.after(ROOM, None, 10)
        assert (seqs(page.rows), page.floor, page.head) == ([3, 4, 5], 2, 5)
        assert seqs((await store.before(ROOM, None, 10)).rows) == [5, 4, 3]

    async def test_the_floor_never_sinks(self, store: Store) -> None:
        await put(store, *"abcde")
        assert await store.forget(ROOM, Seq(3)) == 3
        assert await store.forget(ROOM, Seq(3)) == 0
        assert await store.forget(ROOM, Seq(1)) == 0
        assert (await store.after(ROOM, None, 10)).floor == 3

    async def test_everything_forgotten_the_head_stays_and_numbers_go_on(self, store: Store) -> None:
        await put(store, *"abc")
        assert await store.forget(ROOM, Seq(99)) == 3
        page = await store.after(ROOM, None, 10)
        assert (page.rows, page.floor, page.head) == ([], 3, 3)
        assert (await put(store, "d"))[0].seq == 4
        assert seqs((await store.after(ROOM, at(store, 3), 10)).rows) == [4]

    async def test_what_was_forgotten_may_come_again_as_a_new_row(self, store: Store) -> None:
        await put(store, "a", "b")
        await store.forget(ROOM, Seq(1))
        assert [(each.seq, each.fresh) for each in await put(store, "a", "b")] == [(3, True), (2, False)]

    async def test_an_unknown_room_has_nothing_to_forget(self, store: Store) -> None:
        assert await store.forget(ROOM, Seq(5)) == 0
        assert (await store.after(ROOM, None, 10)).floor == 0


class FailureSuite:
    """A medium that refuses."""

    async def test_a_failed_append_stores_nothing_and_leaves_no_gap(
        self, store: Store, world: StoreWorld
    ) -> None:
        await put(store, "a")
        mark = (await store.moved(None)).mark
        with world.failing(store):
            for work in (put(store, "b", "c"), put(store, "d", room="other"), store.ready()):
                with pytest.raises(Fault) as refused:
                    await work
                assert (refused.value.code, refused.value.retry) == (ErrorCode.UNAVAILABLE, 1)
        assert list((await store.moved(mark)).rooms) == []
        assert [(each.seq, each.fresh) for each in await put(store, "c", "b")] == [(2, True), (3, True)]
        assert (await put(store, "d", room="other"))[0].seq == 1
        assert seqs((await store.after(ROOM, None, 10)).rows) == [1, 2, 3]

    async def test_a_failed_forget_forgets_nothing(self, store: Store, world: StoreWorld) -> None:
        await put(store, "a", "b")
        with world.failing(store), pytest.raises(Fault):
            await store.forget(ROOM, Seq(1))
        page = await store.after(ROOM, None, 10)
        assert (seqs(page.rows), page.floor) == ([1, 2], 0)

    async def test_ready_returns_when_it_can_write(self, store: Store, world: StoreWorld) -> None:
        await store.ready()
        with world.failing(store), pytest.raises(Fault):
            await store.ready()
        await store.ready()

    async def test_closing_twice_is_closing_once(self, store: Store) -> None:
        await store.aclose()
        await store.aclose()


class KeySuite:
    """Public keys of verified senders."""

    async def test_every_row_of_a_sender_has_its_key(self, store: Store) -> None:
        await store.append([received(f"m{n}", by=who) for n, who in enumerate((ANN, GUS, ANN, BEN))])
        assert [row.pk for row in (await store.after(ROOM, None, 10)).rows] == [ANN.pk, None, ANN.pk, BEN.pk]

    async def test_keys_survive_forgetting_and_other_rooms(self, store: Store) -> None:
        await put_one(store, received("a", by=ANN))
        await store.forget(ROOM, Seq(1))
        await store.append([received("b", by=ANN), received("c", by=ANN, room="other")])
        for room in (ROOM, RoomId("other")):
            assert [row.pk for row in (await store.after(room, None, 10)).rows] == [ANN.pk]

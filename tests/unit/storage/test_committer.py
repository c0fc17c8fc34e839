"""Group commit: on disk, then acked, then told; one hint per room and commit (planted: publish before commit)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.kernel.bus import subjects
from services.kernel.bus.tasks import owned
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import RoomId
from services.kernel.wire.limits import HINT_ROWS_BYTES
from services.kernel.wire.rows import Appended, Hint, Received, decode_hint
from services.storage.committer import Committer
from tests.fakes.memory_bus import MemoryBus
from tests.fakes.memory_store import MemoryStore
from tests.fakes.node import KEY
from tests.fakes.people import ANN, ROOM, received
from tests.fakes.virtual_time import LoopClock, in_virtual_time
from tests.unit.expect import refused

GAP = 0.01


class HeldStore(MemoryStore):
    """A store whose commits take as long as the test wants; `batches` says when which ids were begun."""

    def __init__(self) -> None:
        super().__init__(LoopClock())
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[tuple[float, list[str]]] = []

    async def append(self, batch: Sequence[Received]) -> Sequence[Appended]:
        """See Store.append."""
        now = asyncio.get_running_loop().time()
        self.batches.append((round(now, 6), [message.id for message in batch]))
        await self.gate.wait()
        return await super().append(batch)


class Desk:
    """A running committer, its store, and what it told the bus."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.group, self.store, self.bus = group, HeldStore(), MemoryBus()
        self.committer = Committer(self.store, self.bus, KEY, GAP)

    def send(self, *messages: Received) -> "asyncio.Task[Sequence[Appended]]":
        """One caller's batch."""
        return self.group.create_task(self._send(messages))

    async def _send(self, messages: Sequence[Received]) -> Sequence[Appended]:
        return await self.committer.append(messages)

    def hints(self, room: RoomId = ROOM) -> list[Hint]:
        """What was told of this room."""
        told = [each.data for each in self.bus.published if each.subject == subjects.room_log(room)]
        found = [decode_hint(KEY, room, data) for data in told]
        assert None not in found
        return [hint for hint in found if hint is not None]


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """A desk that works."""
    async with asyncio.TaskGroup() as group:
        made = Desk(group)
        async with owned(group, made.committer.run()):
            yield made


async def settle() -> None:
    """Long enough for any commit that can start."""
    await asyncio.sleep(1)


@in_virtual_time
async def test_nothing_is_acked_or_told_before_it_is_stored() -> None:
    async with desk() as here:
        here.store.gate.clear()
        sending = here.send(received("a"), received("b"))
        await settle()
        assert here.store.batches
        assert (sending.done(), here.bus.published) == (False, [])
        here.store.gate.set()
        placed = await sending
        assert [(each.seq, each.fresh) for each in placed] == [(1, True), (2, True)]
        assert len(here.bus.published) == 1


@in_virtual_time
async def test_a_hint_is_never_ahead_of_the_log() -> None:
    async with desk() as here:
        heads: list[tuple[int, int]] = []

        def hear(_: object) -> None:
            heads.append((here.hints()[-1].seq, here.store.head(ROOM)))

        here.bus.subscribe(subjects.room_log(ROOM), hear)
        for number in range(5):
            await here.send(received(f"m{number}"))
        await settle()
        assert [seq <= stored for seq, stored in heads] == [True] * 5


@in_virtual_time
async def test_a_hint_tells_where_the_room_stood_and_stands_with_the_rows_as_stored() -> None:
    async with desk() as here:
        await here.send(received("a", by=ANN))
        await here.send(received("b"), received("c", kind="note"))
        page = await here.store.after(ROOM, None, 10)
        log_id = here.store.log_id
        assert here.hints() == [
            Hint(log_id, prev=0, seq=1, rows=page.rows[:1]),
            Hint(log_id, prev=1, seq=3, rows=page.rows[1:]),
        ]


@in_virtual_time
async def test_one_hint_per_room_and_commit() -> None:
    async with desk() as here:
        batch = [received(f"m{number}", room=room) for number in range(3) for room in ("one", "two")]
        sent = [here.send(message) for message in batch]
        await asyncio.wait(sent)
        assert len(here.store.batches) == 1
        for room in (RoomId("one"), RoomId("two")):
            [hint] = here.hints(room)
            assert (hint.prev, hint.seq, len(hint.rows or [])) == (0, 3, 3)


@in_virtual_time
async def test_repeats_and_conflicts_are_answered_but_not_told() -> None:
    async with desk() as here:
        await here.send(received("a"))
        again, other, fresh = await asyncio.gather(
            here.send(received("a")),
            here.send(received("a", text="other")),
            here.send(received("b"), received("b")),
        )
        assert [(each.seq, each.fresh, each.conflict) for each in (*again, *other, *fresh)] == [
            (1, False, False),
            (1, False, True),
            (2, True, False),
            (2, False, False),
        ]
        await here.send(received("a"))
        assert [(hint.prev, hint.seq, len(hint.rows or [])) for hint in here.hints()] == [
            (0, 1, 1),
            (1, 2, 1),
        ]


def sized(name: str, size: int) -> Received:
    """A message whose envelope has so many bytes."""
    return received(name, text="x" * (size - len(received(name, text="").env)))


@in_virtual_time
async def test_rows_travel_with_the_hint_while_they_are_small() -> None:
    async with desk() as here:
        half = HINT_ROWS_BYTES // 2
        await here.send(sized("a", half), sized("b", half))
        await here.send(sized("c", half), sized("d", half + 1))
        await here.send(sized("e", HINT_ROWS_BYTES + 1))
        await here.send(received("f"))
        assert [(hint.prev, hint.seq, hint.rows is None) for hint in here.hints()] == [
            (0, 2, False),
            (2, 4, True),
            (4, 5, True),
            (5, 6, False),
        ]


@in_virtual_time
async def test_a_big_room_does_not_make_a_small_one_s_hint_bare() -> None:
    async with desk() as here:
        await asyncio.gather(
            here.send(sized("a", HINT_ROWS_BYTES + 100)), here.send(received("b", room="other"))
        )
        assert here.hints()[0].rows is None
        assert len(here.hints(RoomId("other"))[0].rows or []) == 1


@in_virtual_time
async def test_when_the_store_fails_nobody_is_acked_and_nothing_told() -> None:
    async with desk() as here:
        here.store.failing = True
        answers = await asyncio.gather(
            *(here.committer.append([received(f"m{n}")]) for n in range(3)), return_exceptions=True
        )
        assert [
            (type(each), getattr(each, "code", None), getattr(each, "retry", None)) for each in answers
        ] == [(Fault, ErrorCode.UNAVAILABLE, 1)] * 3
        assert len(set(map(id, answers))) == 3
        assert (here.bus.published, here.committer.failing) == ([], True)
        here.store.failing = False
        assert [each.seq for each in await here.send(received("m1"))] == [1]
        assert (len(here.hints()), here.committer.failing) == (1, False)


@in_virtual_time
async def test_everything_that_waits_goes_into_one_transaction_in_the_order_it_came() -> None:
    async with desk() as here:
        here.store.gate.clear()
        sent = [here.send(received("first"))]
        await settle()
        sent += [here.send(received(f"a{n}"), received(f"b{n}")) for n in range(100)]
        await settle()
        here.store.gate.set()
        placed = [each.seq for answer in await asyncio.gather(*sent) for each in answer]
        assert placed == list(range(1, 202))
        assert [len(ids) for _, ids in here.store.batches] == [1, 200]


@in_virtual_time
async def test_a_transaction_has_so_many_rows_but_never_half_a_caller_s() -> None:
    async with desk() as here:
        here.store.gate.clear()
        sizes = [1, 600, 400, 1, 1_500, 2]
        sent = []
        for number, size in enumerate(sizes):
            sent.append(here.send(*(received(f"g{number}m{n}") for n in range(size))))
            await settle()
        here.store.gate.set()
        assert [len(answer) for answer in await asyncio.gather(*sent)] == sizes
        assert [len(ids) for _, ids in here.store.batches] == [1, 1_000, 1, 1_500, 2]


@in_virtual_time
async def test_too_many_waiting_are_refused_and_those_who_wait_are_not_hurt() -> None:
    async with desk() as here:
        here.store.gate.clear()
        sent = [here.send(*(received(f"g{group}m{n}") for n in range(1_000))) for group in range(20)]
        await asyncio.sleep(0)
        with refused(ErrorCode.UNAVAILABLE, "too many"):
            await here.committer.append([received("late")])
        here.store.gate.set()
        assert sum(len(answer) for answer in await asyncio.gather(*sent)) == 20_000
        assert [each.seq for each in await here.send(received("late"))] == [20_001]


@in_virtual_time
async def test_a_caller_that_gives_up_takes_nothing_back() -> None:
    async with desk() as here:
        here.store.gate.clear()
        first = here.send(received("first"))
        await settle()
        leaving, staying = here.send(received("a")), here.send(received("b"))
        await settle()
        leaving.cancel()
        here.store.gate.set()
        await first
        assert [each.seq for each in await staying] == [3]
        assert [(each.seq, each.fresh) for each in await here.send(received("a"))] == [(2, False)]


@in_virtual_time
async def test_the_first_commit_starts_at_once_the_next_a_gap_later() -> None:
    async with desk() as here:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(5)
        start = loop.time()
        for number in range(4):
            await here.send(received(f"m{number}"))
        await asyncio.sleep(5)
        await here.send(received("later"))
        begun = [round(at - start, 6) for at, _ in here.store.batches]
        assert begun[:4] == pytest.approx([0, GAP, 2 * GAP, 3 * GAP])
        assert begun[4] == pytest.approx(3 * GAP + 5)


@in_virtual_time
async def test_draining_waits_for_what_was_taken_but_no_longer_than_two_seconds() -> None:
    async with desk() as here:
        loop = asyncio.get_running_loop()
        sending = here.send(received("a"))
        await asyncio.sleep(0)
        await here.committer.drain()
        assert sending.done()
        here.store.gate.clear()
        stuck = here.send(received("b"))
        await asyncio.sleep(0)
        started = loop.time()
        await here.committer.drain()
        assert loop.time() - started == pytest.approx(2, abs=0.1)
        assert not stuck.done()
        here.store.gate.set()
        await stuck

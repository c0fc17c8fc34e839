"""What only a file promises: one holder, reopening, origins, keys once, failures half way, slow disks."""

import asyncio
import os
import re
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.ids import Seq
from services.storage.stores import sqlite
from services.storage.stores.holding import StoreInUse
from services.storage.stores.sqlite import Replaced
from tests.contract.store_world import at, opened, put, put_one, seqs
from tests.contract.test_store import SqliteWorld, full_disk
from tests.fakes.people import ANN, BEN, GUS, ROOM, received, text_of


@pytest.fixture
def world(tmp_path: Path) -> SqliteWorld:
    """A new file in a new folder."""
    return SqliteWorld(tmp_path / "data")


def rows(world: SqliteWorld, query: str) -> list[tuple[object, ...]]:
    """What another connection finds in the file."""
    with closing(sqlite3.connect(world.path)) as db:
        return db.execute(query).fetchall()


def change(world: SqliteWorld, script: str) -> None:
    """Alters the schema behind the store's back."""
    with closing(sqlite3.connect(world.path)) as db:
        db.executescript(script)


async def test_reopening_keeps_the_log_and_its_numbers(world: SqliteWorld) -> None:
    async with opened(world) as store:
        log_id = store.log_id
        await store.append([received("a", by=ANN), received("b"), received("a", room="other")])
        last = (await put(store, "c"))[0].at
    world.clock.leap_to(last - 60_000)
    async with opened(world) as store:
        assert store.log_id == log_id
        assert [(each.seq, each.at, each.fresh) for each in await put(store, "b2", "c")] == [
            (4, last, True),
            (3, last, False),
        ]
        assert (await put_one(store, received("b", room="other"))).seq == 2
        assert seqs((await store.after(ROOM, at(store, 2), 10)).rows) == [3, 4]
    assert re.fullmatch(r"[0-9a-f]{16}", log_id)


async def test_reopening_keeps_floors_times_and_marks(world: SqliteWorld) -> None:
    async with opened(world) as store:
        [_, last] = await put(store, "a", "b")
        mark = (await store.moved(None)).mark
        await store.forget(ROOM, Seq(2))
    world.clock.leap_to(last.at - 60_000)
    async with opened(world) as store:
        page = await store.after(ROOM, None, 10)
        assert (page.rows, page.floor, page.head) == ([], 2, 2)
        assert (await store.after(ROOM, at(store, 1), 10)).reset == "below_floor"
        assert (await put(store, "c"))[0].at == last.at
        assert list((await store.moved(mark)).rooms) == [(ROOM, 3, 2)]


async def test_a_database_put_back_to_before_a_forgetting_is_another_log(world: SqliteWorld) -> None:
    async with opened(world) as store:
        await put(store, "a", "b")
        before = store.log_id
    saved = world.path.read_bytes()
    async with opened(world) as store:
        await store.forget(ROOM, Seq(1))
    world.path.write_bytes(saved)
    async with opened(world) as store:
        assert store.log_id != before


async def test_a_new_file_is_a_new_log(tmp_path: Path) -> None:
    async with opened(SqliteWorld(tmp_path / "one")) as one, opened(SqliteWorld(tmp_path / "two")) as two:
        assert one.log_id != two.log_id


async def test_a_second_opener_is_refused_and_told_who_holds_it(world: SqliteWorld) -> None:
    async with opened(world):
        with pytest.raises(StoreInUse, match=rf"is held by process {os.getpid()}$"):
            world.open()
        with pytest.raises(StoreInUse, match=str(os.getpid())):
            world.open()
    async with opened(world) as store:
        await put(store, "a")


async def test_after_a_forced_takeover_the_old_holder_writes_nothing(world: SqliteWorld) -> None:
    """Somebody took the lock file away, or the file system keeps no locks: the epoch in the file still tells."""
    async with opened(world) as old:
        await put(old, "a")
        world.path.with_name("chat.db.lock").unlink()
        async with opened(world) as new:
            assert (await put_one(new, received("b"))).seq == 2
            for _ in range(2):
                with pytest.raises(Replaced, match="taken the database over"):
                    await put(old, "c")
            assert (await put_one(new, received("d"))).seq == 3
    assert rows(world, "SELECT id FROM message ORDER BY seq") == [("a",), ("b",), ("d",)]


async def test_a_database_put_back_to_an_earlier_state_is_another_log(world: SqliteWorld) -> None:
    """Else its next rows would take numbers that readers hold already, and they would never see them."""
    saved = world.path.with_name("saved.db")
    async with opened(world) as store:
        before, first = store.log_id, (await put(store, "a"))[0]
    shutil.copy(world.path, saved)
    async with opened(world) as store:
        assert store.log_id == before
        await put(store, "b", "c")
        cursor = at(store, 3)
    shutil.copy(saved, world.path)
    async with opened(world) as store:
        assert store.log_id != before
        again = await put_one(store, received("a"))
        assert (again.seq, again.at, again.fresh) == (1, first.at, False)
        await put(store, "x", "y", "z")
        assert (await store.after(ROOM, cursor, 10)).reset == "log"
        assert seqs((await store.after(ROOM, None, 10)).rows) == [1, 2, 3, 4]
        after = store.log_id
    async with opened(world) as store:
        assert store.log_id == after


@pytest.mark.parametrize("mark", [b"", b"nonsense", b"0" * 16 + b" " + b"9" * 20 + b"\n"])
async def test_a_mark_that_says_nothing_of_this_log_is_not_believed(world: SqliteWorld, mark: bytes) -> None:
    async with opened(world) as store:
        await put(store, "a")
        before = store.log_id
    world.path.with_name("chat.db.mark").write_bytes(mark)
    async with opened(world) as store:
        assert store.log_id == before


async def test_its_folder_is_made_for_its_owner_alone(world: SqliteWorld) -> None:
    async with opened(world):
        assert stat.S_IMODE(world.path.parent.stat().st_mode) == 0o700


async def test_what_append_returned_is_in_the_files(world: SqliteWorld, tmp_path: Path) -> None:
    """The files as they are when `append` returns are enough to go on from."""
    copy = SqliteWorld(tmp_path / "copy")
    async with opened(world) as store:
        await put(store, "a", "b")
        copy.path.parent.mkdir()
        for name in ("chat.db", "chat.db-wal"):
            shutil.copy(world.path.with_name(name), copy.path.with_name(name))
    async with opened(copy) as store:
        assert seqs((await store.after(ROOM, None, 10)).rows) == [1, 2]
        assert (await put(store, "c"))[0].seq == 3


async def test_every_fresh_row_has_an_origin_of_this_log_contiguous_per_room(world: SqliteWorld) -> None:
    async with opened(world) as store:
        await put(store, "a", "b", "a")
        await put(store, "a", room="other")
        await put(store, "b", "c")
        log_id = store.log_id
    async with opened(world) as store:
        await put(store, "d")
        await store.forget(ROOM, Seq(1))
        await put(store, "e")
    found = rows(world, "SELECT room, log_id, oseq, seq FROM origin ORDER BY room, oseq")
    assert found == [("other", log_id, 1, 1), *((ROOM, log_id, n, n) for n in range(1, 6))]


async def test_a_key_is_stored_once_per_sender(world: SqliteWorld) -> None:
    async with opened(world) as store:
        await store.append([received(f"m{n}", by=who) for n, who in enumerate((ANN, BEN, ANN, GUS))])
        await store.append([received("m9", by=ANN, room="other")])
    assert sorted(rows(world, "SELECT peer, pk FROM sender")) == sorted(
        [(ANN.peer, ANN.pk), (BEN.peer, BEN.pk)]
    )


async def test_a_failure_in_the_middle_of_a_batch_takes_all_of_it_back(world: SqliteWorld) -> None:
    async with opened(world) as store:
        await put(store, "a")
        change(
            world,
            "CREATE TRIGGER bad BEFORE INSERT ON message WHEN NEW.id = 'poison'"
            " BEGIN SELECT RAISE(ABORT, 'bad sector'); END;",
        )
        with pytest.raises(Fault, match="bad sector") as refused:
            await store.append(
                [received("b", by=ANN), received("b", room="other"), received("poison"), received("c")]
            )
        assert refused.value.code is ErrorCode.UNAVAILABLE
        assert [each.seq for each in await put(store, "c", "b")] == [2, 3]
        assert (await put_one(store, received("b", room="other"))).seq == 1
    assert rows(world, "SELECT count(*) FROM sender") == [(0,)]
    assert rows(world, "SELECT seq, oseq FROM origin WHERE room='room' ORDER BY oseq") == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]


async def test_what_is_stored_stays_readable_while_the_disk_is_full(world: SqliteWorld) -> None:
    async with opened(world) as store:
        await put(store, "a", "b")
        with full_disk():
            with pytest.raises(Fault):
                await put(store, "c")
            assert seqs((await store.after(ROOM, None, 10)).rows) == [1, 2]
            assert (await store.since(ROOM, 0, 10)).upto == 2


async def test_a_message_that_cannot_be_written_takes_its_batch_back(world: SqliteWorld) -> None:
    async with opened(world) as store:
        await put(store, "a")
        with pytest.raises(UnicodeEncodeError):
            await store.append([received("b"), received("c", text="\ud800")])
        assert [each.seq for each in await put(store, "c", "b")] == [2, 3]


async def test_a_database_that_cannot_be_read_is_unavailable(world: SqliteWorld) -> None:
    async with opened(world) as store:
        change(world, "DROP TABLE message")
        for work in (store.after(ROOM, None, 1), store.since(ROOM, 0, 1), store.moved(0)):
            with pytest.raises(Fault, match="cannot be read") as refused:
                await work
            assert refused.value.code is ErrorCode.UNAVAILABLE


async def test_more_rooms_than_are_remembered(world: SqliteWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_KNOWN_ROOMS", 3)
    async with opened(world) as store:
        for turn in range(3):
            placed = await store.append([received(f"m{turn}", room=f"room{number}") for number in range(10)])
            assert [each.seq for each in placed] == [turn + 1] * 10
    assert len(rows(world, "SELECT * FROM origin WHERE oseq = seq")) == 30


async def test_50_concurrent_sends_of_one_message_are_one_row(world: SqliteWorld) -> None:
    async with opened(world) as store:
        placed = await asyncio.gather(*(put_one(store, received("a")) for _ in range(50)))
        assert sorted((each.seq, each.fresh) for each in placed) == [(1, False)] * 49 + [(1, True)]


SLOW = (
    "CREATE TRIGGER slow AFTER INSERT ON message WHEN NEW.id LIKE 'slow%'"
    " BEGIN SELECT length(hex(randomblob(10000000))); END;"
)


async def test_once_commits_are_slow_they_leave_the_loop_alone(world: SqliteWorld) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with opened(world) as store, asyncio.TaskGroup() as group:
        change(world, SLOW)
        await put(store, "slow1", "slow2")
        counting = group.create_task(count())
        await asyncio.sleep(0)
        before = turns
        placed = await put(store, "slow3", "a")
        counting.cancel()
    assert turns > before + 10
    assert [each.seq for each in placed] == [3, 4]


async def test_a_cancelled_append_ends_its_transaction(world: SqliteWorld) -> None:
    async with opened(world) as store, asyncio.TaskGroup() as group:
        change(world, SLOW)
        await put(store, "slow1", "slow2")
        appending = group.create_task(put(store, "slow3", "last"))
        await asyncio.sleep(0)
        appending.cancel()
        await asyncio.wait([appending])
        assert appending.cancelled()
        page = await store.before(ROOM, None, 1)
        assert (page.head, text_of(page.rows[0].env)) == (4, "last")
        assert (await put(store, "c"))[0].seq == 5

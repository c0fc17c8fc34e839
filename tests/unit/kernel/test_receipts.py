"""How far sessions are: what a word must look like, how words merge, and who has been told of them."""

import pytest

from services.kernel.model.errors import ErrorCode
from services.kernel.model.ids import LogId, SessionId
from services.kernel.wire import codec, frames, receipts, session
from services.kernel.wire.frames import ReceiptRow
from services.kernel.wire.receipts import Key, Mark, Marks, later
from tests.fakes.people import ANN, BEN, NOW_MS, Person
from tests.unit.expect import refused

LOG, OTHER = LogId("a" * 16), LogId("b" * 16)


def mark(got: int, read: int = 0, log_id: LogId = LOG) -> Mark:
    """A word."""
    return Mark(log_id, got, read)


def key(who: Person = ANN, name: str = "a") -> Key:
    """A session."""
    return (who.peer, SessionId(name))


def row(got: int, read: int = 0, who: Person = ANN, name: str = "a") -> ReceiptRow:
    """What clients are told of it."""
    return ReceiptRow(who.peer, name, got, read)


def test_a_receipt_becomes_the_word_of_the_bound_session() -> None:
    frame = codec.decode_up(
        f'{{"type":"receipt","log_id":"{LOG}","got":7,"read":5,"peer_id":"{BEN.peer}","session":"x"}}'
    )
    assert session.judge(ANN.member(), frame, b"", NOW_MS) == mark(7, 5)


@pytest.mark.parametrize("log_id", ["", "a" * 15, "a" * 17, "A" * 16, "g" * 16, "a" * 16 + "\n", "ａ" * 16])
def test_a_log_is_named_by_its_id(log_id: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "log_id"):
        session.judge(ANN.member(), frames.Receipt(log_id, 1, 1), b"", NOW_MS)


def test_what_was_read_is_held() -> None:
    assert receipts.parse(LOG, 3, 3) == mark(3, 3)
    with refused(ErrorCode.BAD_REQUEST, "at most got"):
        receipts.parse(LOG, 3, 4)


@pytest.mark.parametrize(
    "fields",
    [
        "",
        '"log_id":"{log}"',
        '"log_id":"{log}","got":1',
        '"log_id":"{log}","got":-1,"read":-1',
        '"log_id":"{log}","got":1.5,"read":1',
        '"log_id":"{log}","got":"1","read":0',
        '"log_id":"{log}","got":true,"read":0',
        '"log_id":"{log}","got":null,"read":0',
        '"log_id":"{log}","got":9007199254740993,"read":0',
        '"log_id":"{log}","got":1e400,"read":0',
        '"log_id":7,"got":1,"read":0',
        '"log_id":["{log}"],"got":1,"read":0',
        '"log_id":"{log}","got":1,"read":0,"got":2',
    ],
)
def test_what_is_no_receipt(fields: str) -> None:
    with refused(ErrorCode.BAD_REQUEST):
        codec.decode_up('{"type":"receipt"' + (f",{fields}" if fields else "").replace("{log}", LOG) + "}")


@pytest.mark.parametrize(
    ("known", "new", "log_id", "merged"),
    [
        (None, mark(3, 1), LOG, mark(3, 1)),
        (mark(3, 1), mark(3, 1), LOG, None),
        (mark(3, 1), mark(2, 0), LOG, None),
        (mark(3, 1), mark(2, 2), LOG, mark(3, 2)),
        (mark(3, 1), mark(9, 0), LOG, mark(9, 1)),
        (mark(3, 1), mark(9, 9, OTHER), LOG, None),
        (mark(9, 9, OTHER), mark(1, 0), LOG, mark(1, 0)),
        (mark(3, 1), mark(1, 0, OTHER), None, mark(1, 0, OTHER)),
    ],
)
def test_a_word_never_goes_back_and_an_older_log_s_counts_no_more(
    known: Mark | None, new: Mark, log_id: LogId | None, merged: Mark | None
) -> None:
    assert later(known, new, log_id) == merged


def test_what_is_new_is_told_once() -> None:
    marks = Marks()
    assert not marks.waiting
    assert marks.take(key(), mark(2, 1), LOG)
    assert marks.take(key(BEN), mark(2), LOG, own=True)
    assert not marks.take(key(), mark(1, 1), LOG)
    assert marks.waiting
    assert sorted(marks.fresh(LOG, 5), key=lambda each: each.read) == [row(2, 0, BEN), row(2, 1)]
    assert marks.said() == [(*key(BEN), mark(2))]
    assert (marks.fresh(LOG, 5), marks.said(), marks.waiting) == ([], [], False)
    assert marks.take(key(), mark(3, 1), LOG)
    assert marks.fresh(LOG, 5) == [row(3, 1)]
    assert len(marks.rows(LOG, 5)) == 2
    assert (marks.of(key()), marks.of(key(ANN, "b"))) == (mark(3, 1), None)


def test_a_word_beyond_the_head_is_told_as_the_log_grows() -> None:
    marks = Marks()
    marks.take(key(), mark(2**53, 4), LOG)
    assert marks.rows(LOG, 3) == marks.fresh(LOG, 3) == [row(3, 3)]
    assert (marks.fresh(LOG, 3), marks.waiting) == ([], True)
    assert marks.fresh(LOG, 4) == [row(4, 4)]
    marks.take(key(BEN), mark(5, 5), LOG)
    assert row(5, 5, BEN) in marks.fresh(LOG, 5)


def test_only_words_about_this_log_are_told() -> None:
    marks = Marks()
    marks.take(key(), mark(8, 8, OTHER), LOG)  # a session that knows of a new log before this process
    assert (marks.fresh(LOG, 9), marks.rows(LOG, 9), marks.waiting) == ([], [], False)
    marks.again()
    assert marks.fresh(OTHER, 9) == [row(8, 8)]
    marks.again()
    assert marks.fresh(OTHER, 9) == [row(8, 8)], "a room whose log was another one meanwhile is told anew"


def test_who_has_left_is_not_told_of() -> None:
    marks = Marks()
    marks.take(key(), mark(2), LOG, own=True)
    marks.drop(key())
    marks.drop(key())
    assert (marks.rows(LOG, 5), marks.fresh(LOG, 5), marks.said(), marks.waiting) == ([], [], [], False)


def test_a_welcome_without_receipts_has_no_such_field() -> None:
    bare = frames.Welcome(1, "p", "t", LOG, 0, 0, 5, [], None)
    assert b"receipts" not in codec.encode(bare)
    told = frames.Receipts(LOG, [row(2, 1)])
    assert (
        codec.encode(told)
        == (
            f'{{"type":"receipts","log_id":"{LOG}","rows":'
            f'[{{"peer_id":"{ANN.peer}","session":"a","got":2,"read":1}}]}}'
        ).encode()
    )

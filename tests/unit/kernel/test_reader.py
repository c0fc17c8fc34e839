"""The reader: contiguous rows out of hints that may be lost, doubled, forged or late (P2, P5)."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.log.reader import Place, Step, on_hint, on_page
from services.kernel.model.ids import Cursor, LogId, MessageId, Seq
from services.kernel.wire.rows import Hint, Page, Row
from tests.fakes.people import GUS

LOG, ELSEWHERE = LogId("0" * 16), LogId("f" * 16)


def row(seq: int) -> Row:
    """The row of this number."""
    return Row(Seq(seq), seq, GUS.peer, MessageId(f"m{seq}"), "text", f"{seq}")


def rows(first: int, last: int) -> list[Row]:
    """Rows first … last."""
    return [row(seq) for seq in range(first, last + 1)]


def place(last: int, log_id: LogId = LOG) -> Place:
    """Everything up to `last` was given out."""
    return Place(log_id, Seq(last))


def hint(prev: int, seq: int, *, whole: bool = True, log_id: LogId = LOG) -> Hint:
    """The room grew from prev to seq; with its rows when whole."""
    return Hint(log_id, Seq(prev), Seq(seq), rows(prev + 1, seq) if whole else None)


def page(first: int, last: int, head: int, log_id: LogId = LOG) -> Page:
    """Rows first … last of a room that stands at head."""
    return Page(log_id, Seq(0), Seq(head), rows(first, last))


def flat(step: Step) -> tuple[Place, list[Row], bool, str | None]:
    """A step whose rows may be any sequence."""
    return step.place, list(step.rows), step.read, step.reset


def test_a_place_is_a_cursor() -> None:
    assert place(7).cursor == Cursor(LOG, Seq(7))


@pytest.mark.parametrize(
    ("at", "event", "step"),
    [
        (5, hint(5, 7), Step(place(7), rows(6, 7))),
        (5, hint(4, 7), Step(place(7), rows(6, 7))),
        (0, hint(0, 1), Step(place(1), rows(1, 1))),
        (5, hint(6, 7), Step(place(5), read=True)),
        (5, hint(5, 7, whole=False), Step(place(5), read=True)),
        (5, hint(4, 5), Step(place(5))),
        (5, hint(1, 3), Step(place(5))),
        (5, hint(1, 3, whole=False), Step(place(5))),
        (5, hint(5, 6, log_id=ELSEWHERE), Step(place(5), read=True)),
        (5, hint(1, 3, log_id=ELSEWHERE), Step(place(5), read=True)),
        (5, None, Step(place(5), read=True)),
        (5, Hint(LOG, Seq(5), Seq(7), []), Step(place(5), read=True)),
        (5, Hint(LOG, Seq(5), Seq(8), rows(6, 7)), Step(place(7), rows(6, 7), read=True)),
        (5, Hint(LOG, Seq(5), Seq(8), [row(6), row(8)]), Step(place(6), rows(6, 6), read=True)),
        (5, Hint(LOG, Seq(5), Seq(8), [row(6), row(6), row(7), row(8)]), Step(place(8), rows(6, 8))),
    ],
)
def test_hints(at: int, event: Hint | None, step: Step) -> None:
    assert flat(on_hint(place(at), event)) == flat(step)


@pytest.mark.parametrize(
    ("at", "event", "step"),
    [
        (5, page(6, 8, 8), Step(place(8), rows(6, 8))),
        (5, page(6, 8, 20), Step(place(8), rows(6, 8), read=True)),
        (5, page(1, 5, 5), Step(place(5))),
        (7, page(6, 8, 8), Step(place(8), rows(8, 8))),
        (9, page(6, 8, 8), Step(place(9))),
        (5, page(1, 0, 5), Step(place(5))),
        (5, page(1, 0, 6), Step(place(5), read=True)),
        (5, page(8, 9, 9), Step(place(5), read=True)),
        (
            5,
            Page(ELSEWHERE, Seq(2), Seq(40), [], "log"),
            Step(place(40, ELSEWHERE), reset="log"),
        ),
        (5, Page(LOG, Seq(9), Seq(9), [], "below_floor"), Step(place(9), reset="below_floor")),
    ],
)
def test_pages(at: int, event: Page, step: Step) -> None:
    assert flat(on_page(place(at), event)) == flat(step)


class Room:
    """A log that grows, the hints about it on their way, pages asked for on theirs, and a reader."""

    def __init__(self) -> None:
        self.head, self.place = 0, place(0)
        self.given: list[int] = []
        self.hints: list[Hint] = []
        self.asked: list[Page] = []
        self.wants_to_read = False

    def grow(self, count: int, whole: bool) -> None:
        """A commit of so many rows; its hint is on its way."""
        self.hints.append(hint(self.head, self.head + count, whole=whole))
        self.head += count

    def ask(self, limit: int) -> None:
        """A page is read now and arrives later."""
        first = self.place.last + 1
        self.asked.append(page(first, min(self.head, first + limit - 1), self.head))

    def take(self, step: Step) -> None:
        """Performs a step; what is given out must go on where the last ended."""
        assert [each.seq for each in step.rows] == list(
            range(self.place.last + 1, self.place.last + 1 + len(step.rows))
        )
        self.given += [each.seq for each in step.rows]
        self.place = step.place
        self.wants_to_read = step.read

    def catch_up(self, limit: int) -> None:
        """The sweep: reads until nothing more is wanted."""
        self.wants_to_read = True
        for _ in range(self.head + 2):
            if self.wants_to_read:
                self.ask(limit)
                self.take(on_page(self.place, self.asked.pop()))


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.integers(1, 4), st.booleans()),
        st.tuples(
            st.sampled_from(["hint", "late", "twice", "lose", "page"]), st.integers(0, 9), st.booleans()
        ),
        st.tuples(st.sampled_from(["ask", "forged"]), st.integers(1, 3), st.booleans()),
    ),
    max_size=40,
)


def perform(room: Room, what: str, number: int, flag: bool) -> None:
    """One thing that can happen between storage, Redis and the reader."""
    match what:
        case "grow":
            room.grow(number, flag)
        case "ask":
            room.ask(number)
        case "forged":
            room.take(on_hint(room.place, None))
        case "page" if room.asked:
            room.take(on_page(room.place, room.asked.pop(number % len(room.asked))))
        case "hint" if room.hints:
            room.take(on_hint(room.place, room.hints.pop(0)))
        case "late" if room.hints:
            room.take(on_hint(room.place, room.hints.pop(number % len(room.hints))))
        case "twice" if room.hints:
            room.take(on_hint(room.place, room.hints[number % len(room.hints)]))
        case "lose" if room.hints:
            room.hints.pop(number % len(room.hints))


@given(ACTIONS, st.integers(1, 5))
def test_whatever_happens_to_hints_a_read_makes_it_whole(
    actions: Sequence[tuple[str, int, bool]], limit: int
) -> None:
    room = Room()
    for what, number, flag in actions:
        perform(room, what, number, flag)
        assert room.given == list(range(1, room.place.last + 1))
    room.catch_up(limit)
    assert room.given == list(range(1, room.head + 1))
    assert not room.wants_to_read


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=20))
def test_without_loss_hints_that_carry_rows_need_no_read(commits: list[tuple[int, bool]]) -> None:
    room = Room()
    for count, _ in commits:
        room.grow(count, whole=True)
        room.take(on_hint(room.place, room.hints.pop()))
        assert not room.wants_to_read
    assert room.given == list(range(1, room.head + 1))

"""Who is seen in a room: events make it quick, snapshots make it right, grace keeps it quiet."""

import msgspec
import pytest

from services.kernel.model.ids import SessionId
from services.kernel.wire.frames import PeerJoined, PeerLeft, PeerNamed
from services.kernel.wire.roster import Came, Entry, Key, Left
from services.signaling.rooms import View, reachable
from tests.fakes.people import ANN, BEN, GUS, Person

HERE = b"replica"


def entry(who: Person = ANN, session: str = "a", *, since: int = 1_000, **fields: object) -> Entry:
    """One live session."""
    plain = Entry(who.peer, SessionId(session), who.name, not who.guest, "socket", since)
    return msgspec.structs.replace(plain, **fields)


def told(kind: type[PeerJoined], each: Entry) -> object:
    """What the room is told of this entry."""
    return kind(each.peer, "room", each.session, each.name, each.verified)


def found(*entries: Entry) -> dict[Key, Entry]:
    """A snapshot with these."""
    return {each.key: each for each in entries}


@pytest.fixture
def view() -> View:
    """An empty room."""
    return View("room")


def test_who_comes_is_told_once(view: View) -> None:
    ann, tab, gus = entry(), entry(session="b"), entry(GUS, "g")
    for each in (ann, tab, gus):
        assert view.event(Came(HERE, each)) == [told(PeerJoined, each)]
        assert view.event(Came(HERE, each)) == []
    assert view.snapshot(found(ann, tab, gus), set(), 0) == []
    assert set(view.entries) == {ann.key, tab.key, gus.key}


def test_who_leaves_is_told_once(view: View) -> None:
    ann = entry()
    view.event(Came(HERE, ann))
    assert view.event(Left(HERE, *ann.key, ann.since)) == [told(PeerLeft, ann)]
    assert view.event(Left(HERE, *ann.key, ann.since)) == []
    assert view.entries == {}


def test_a_session_leaves_alone(view: View) -> None:
    ann, tab = entry(), entry(session="b")
    for each in (ann, tab):
        view.event(Came(HERE, each))
    assert view.event(Left(HERE, *tab.key, tab.since)) == [told(PeerLeft, tab)]
    assert view.entries == found(ann)


def test_who_came_again_has_not_left(view: View) -> None:
    """A late word of an earlier socket's end."""
    view.event(Came(HERE, entry(since=2_000)))
    assert view.event(Left(HERE, *entry().key, 1_999)) == []
    assert view.entries == found(entry(since=2_000))


def test_another_name_is_told_as_such(view: View) -> None:
    ann, renamed = entry(), entry(name="Annette")
    view.event(Came(HERE, ann))
    assert view.event(Came(HERE, renamed)) == [told(PeerNamed, renamed)]
    assert view.snapshot(found(entry(name="Anna")), set(), 0) == [told(PeerNamed, entry(name="Anna"))]


def test_an_older_entry_changes_nothing(view: View) -> None:
    now = entry(since=2_000, name="new")
    view.event(Came(HERE, now))
    assert view.event(Came(HERE, entry(since=1_999, name="old"))) == []
    assert view.snapshot(found(entry(since=1_999, name="old")), set(), 0) == []
    assert view.entries == found(now)


def test_a_snapshot_shows_who_was_not_heard_of(view: View) -> None:
    ann, ben = entry(), entry(BEN, "b")
    assert view.snapshot(found(ann, ben), set(), 0) == [told(PeerJoined, ann), told(PeerJoined, ben)]


def test_who_is_in_no_snapshot_for_ten_seconds_is_gone(view: View) -> None:
    ann, ben = entry(), entry(BEN, "b")
    view.snapshot(found(ann, ben), set(), 0)
    for now in (5, 10, 14.9):
        assert view.snapshot(found(ben), set(), now) == []
    assert view.snapshot(found(ben), set(), 15) == [told(PeerLeft, ann)]
    assert view.snapshot(found(ben), set(), 30) == []
    assert view.entries == found(ben)


def test_being_seen_again_begins_the_ten_seconds_anew(view: View) -> None:
    ann = entry()
    view.snapshot(found(ann), set(), 0)
    assert view.snapshot({}, set(), 5) == []
    assert view.snapshot(found(ann), set(), 10) == []
    assert view.snapshot({}, set(), 15) == []
    assert view.snapshot({}, set(), 24.9) == []
    assert view.snapshot({}, set(), 25) == [told(PeerLeft, ann)]


def test_who_left_and_came_again_has_the_whole_grace(view: View) -> None:
    ann = entry()
    view.snapshot(found(ann), set(), 0)
    view.snapshot({}, set(), 5)
    view.event(Left(HERE, *ann.key, ann.since))
    view.event(Came(HERE, ann))
    assert view.snapshot({}, set(), 16) == []
    assert view.snapshot({}, set(), 26) == [told(PeerLeft, ann)]


def test_without_snapshots_nobody_goes(view: View) -> None:
    """Redis away: no snapshot is taken, and the first after it finds those who came back."""
    ann = entry()
    view.snapshot(found(ann), set(), 0)
    assert view.snapshot(found(ann), set(), 3_600) == []
    assert view.snapshot({}, set(), 7_200) == []
    assert view.snapshot(found(ann), set(), 7_205) == []


def test_a_session_with_a_socket_here_is_never_missed(view: View) -> None:
    ann = entry()
    view.event(Came(HERE, ann))
    for now in (0, 10, 1_000):
        assert view.snapshot({}, {ann.key}, now) == []
    assert view.snapshot({}, set(), 1_005) == []
    assert view.snapshot({}, set(), 1_015) == [told(PeerLeft, ann)]


def test_a_session_whose_socket_went_is_missed_though_its_entry_is_there(view: View) -> None:
    ann, gone = entry(), entry(gone=True)
    view.event(Came(HERE, ann))
    assert view.snapshot(found(gone), set(), 0) == []
    assert view.snapshot(found(gone), set(), 9.9) == []
    assert view.snapshot(found(gone), set(), 10) == [told(PeerLeft, ann)]


def test_a_gone_session_that_nobody_saw_is_not_told(view: View) -> None:
    assert view.snapshot(found(entry(gone=True)), set(), 0) == []
    assert view.entries == {}


def test_a_reload_within_the_grace_makes_no_noise(view: View) -> None:
    ann, gone, back = entry(), entry(gone=True), entry(since=5_000)
    view.event(Came(HERE, ann))
    view.snapshot(found(gone), set(), 0)
    assert view.event(Came(HERE, back)) == []
    for now in (5, 10, 20):
        assert view.snapshot(found(back), set(), now) == []


def test_a_target_is_reached_by_peer_and_session() -> None:
    here = [entry(), entry(BEN, "b")]
    for peer, session, there in (
        (ANN.peer, None, True),
        (ANN.peer, "a", True),
        (ANN.peer, "b", False),
        (GUS.peer, None, False),
        ("", None, False),
    ):
        assert reachable(here, peer, session) is there
    assert not reachable([], ANN.peer, None)

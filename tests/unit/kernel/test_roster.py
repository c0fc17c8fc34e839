"""Who is in a room: entries, whom a label would imitate, how many may come, events between replicas."""

import msgspec
import pytest

from services.kernel.model import mac
from services.kernel.model.errors import ErrorCode
from services.kernel.model.ids import PeerId, RoomId, SessionId
from services.kernel.wire import roster
from services.kernel.wire.frames import RelayedAnswer, RelayedIce, RelayedOffer, RosterPeer
from services.kernel.wire.roster import POLL, REFERENCE, SOCKET, Came, Doubted, Entry, Key, Left, Signalled
from tests.fakes.people import ANN, BEN, GUS, ROOM, Person
from tests.unit.expect import refused


def entry(who: Person = ANN, session: str = "a", **fields: object) -> Entry:
    """One live session."""
    plain = roster.entry(who.member(), SOCKET, 1_000)
    return msgspec.structs.replace(plain, session=SessionId(session), **fields)


def test_an_entry_says_who_came_and_how() -> None:
    made = roster.entry(ANN.member(), POLL, 5, b"tag", 4)
    assert made == Entry(ANN.peer, ANN.session, "Ann", True, "poll", 5, b"tag", False, 4)
    assert made.key == (ANN.peer, ANN.session)
    assert not roster.entry(GUS.member(), SOCKET, 5).verified


def test_a_live_session_is_its_owner_s() -> None:
    gus = entry(GUS)
    live, gone = {gus.key: gus}, {gus.key: msgspec.structs.replace(gus, gone=True)}
    with refused(ErrorCode.FORBIDDEN, "this session is live"):
        roster.check_owner(gus.key, False, live)
    roster.check_owner(gus.key, True, live)
    roster.check_owner(gus.key, False, gone)
    roster.check_owner((gus.peer, SessionId("b")), False, live)


def test_only_a_younger_socket_takes_a_live_session_over() -> None:
    held = entry(challenged=5_000)
    live, gone = {held.key: held}, {held.key: msgspec.structs.replace(held, gone=True)}
    with refused(ErrorCode.UNAVAILABLE, "a younger socket"):
        roster.check_age(entry(challenged=4_999), live)
    roster.check_age(entry(challenged=5_000), live)
    roster.check_age(entry(challenged=4_999), gone)
    roster.check_age(entry(session="b", challenged=4_999), live)
    roster.check_age(entry(challenged=4_999), {held.key: entry(via=POLL, since=6_000)})


def test_who_comes_back_comes_later_whatever_the_clock_says() -> None:
    assert roster.after(None, 5) == 5
    assert roster.after(entry(), 5) == 1_001
    assert roster.after(entry(), 2_000) == 2_000


def test_every_session_has_a_field_of_its_own() -> None:
    keys: list[Key] = [(ANN.peer, SessionId("a")), (ANN.peer, SessionId("b")), (BEN.peer, SessionId("a"))]
    assert len({roster.field(key) for key in keys}) == 3


def test_a_peer_stands_once_with_its_sessions_the_longest_present_first() -> None:
    found = roster.peers(
        [
            entry(BEN, "x", since=3),
            entry(ANN, "c", since=4, name="Annette"),
            entry(ANN, "a", since=1),
            entry(GUS, "g", since=2),
            entry(ANN, "b", since=1),
        ]
    )
    assert found == [
        RosterPeer(ANN.peer, "Annette", ["a", "b", "c"], True),
        RosterPeer(GUS.peer, "Gus", ["g"], False),
        RosterPeer(BEN.peer, "Ben", ["x"], True),
    ]


def test_who_has_gone_is_not_in_the_roster() -> None:
    assert roster.peers([entry(ANN, "a", gone=True), entry(BEN, "b", gone=True)]) == []
    assert roster.peers([entry(ANN, "a", gone=True), entry(ANN, "b")]) == [
        RosterPeer(ANN.peer, "Ann", ["b"], True)
    ]


@pytest.mark.parametrize("label", ["Ann", "ann", "ANN", "Ａｎｎ", "ａnn", ANN.peer, ANN.peer.upper()])
def test_a_label_that_would_imitate_a_verified_peer(label: str) -> None:
    with refused(ErrorCode.FORBIDDEN, "a verified peer in this room has this name"):
        roster.check_label(label, [entry(GUS, "g"), entry(ANN, "a")])


@pytest.mark.parametrize("name", ["Straße", "ﬁnn", "Ǆ", "İx"])
def test_names_are_compared_folded_on_both_sides(name: str) -> None:
    for label in (name, name.casefold(), name.upper()):
        with refused(ErrorCode.FORBIDDEN):
            roster.check_label(label, [entry(ANN, "a", name=name)])


def test_a_label_that_imitates_nobody() -> None:
    roster.check_label("Ann", [])
    roster.check_label("Anna", [entry(ANN, "a")])
    roster.check_label("Gus", [entry(GUS, "g"), entry(ANN, "a")])


def room(*entries: Entry) -> dict[Key, Entry]:
    """Entries by their key."""
    return {each.key: each for each in entries}


def test_a_room_has_so_many_peers() -> None:
    here = room(entry(ANN, "a"), entry(ANN, "b"), entry(BEN, "c"))
    roster.check_counts(entry(GUS, "g"), here, 0, 3)
    with refused(ErrorCode.TOO_MANY, "the room is full: 2 peers"):
        roster.check_counts(entry(GUS, "g"), here, 0, 2)
    with refused(ErrorCode.TOO_MANY, "full"):
        roster.check_counts(entry(GUS, "g", via=POLL), here, 0, 2)
    roster.check_counts(entry(ANN, "new"), here, 0, 2)
    roster.check_counts(entry(GUS, "g"), here, 0, 0)


def test_who_has_gone_takes_no_place() -> None:
    here = room(entry(ANN, "a", gone=True), entry(BEN, "c", address=b"x", gone=True))
    roster.check_counts(entry(GUS, "g", address=b"x"), here, 1, 1)


def test_an_address_has_so_many_sockets_in_a_room() -> None:
    here = room(
        entry(ANN, "a", address=b"x"),
        entry(BEN, "b", address=b"x", via=REFERENCE),
        entry(GUS, "c", address=b"x", via=POLL),
        entry(GUS, "d", address=b"y"),
    )
    roster.check_counts(entry(GUS, "g", address=b"x"), here, 3, 0)
    with refused(ErrorCode.TOO_MANY, "more than 2 sockets"):
        roster.check_counts(entry(GUS, "g", address=b"x"), here, 2, 0)
    roster.check_counts(entry(GUS, "g", address=b"y"), here, 2, 0)
    roster.check_counts(entry(GUS, "g", address=b"x", via=POLL), here, 2, 0)
    roster.check_counts(entry(GUS, "g", address=b"x"), here, 0, 0)


def test_without_an_address_a_peer_counts_for_itself() -> None:
    here = room(entry(ANN, "a"), entry(ANN, "b"), entry(BEN, "c"))
    with refused(ErrorCode.TOO_MANY, "more than 2"):
        roster.check_counts(entry(ANN, "d"), here, 2, 0)
    roster.check_counts(entry(BEN, "d"), here, 2, 0)


def test_coming_back_is_free() -> None:
    here = room(entry(ANN, "a"), entry(BEN, "b"))
    roster.check_counts(entry(ANN, "a"), here, 1, 1)


def test_a_target_is_an_id_or_a_guest_s_label() -> None:
    here = [entry(ANN, "a"), entry(GUS, "g")]
    assert roster.target_of(ANN.peer, here) == ANN.peer
    assert roster.target_of("Gus", here) == GUS.peer
    assert roster.target_of(GUS.peer, here) == GUS.peer
    assert roster.target_of("guest:gone", here) == "guest:gone"
    assert roster.target_of(BEN.peer, here) == f"guest:{BEN.peer}"


SIGNAL = Signalled(b"r", "offer", ANN.peer, ANN.session, b'{"sdp":"x"}')


@pytest.mark.parametrize(
    ("target", "reached"),
    [
        ({}, ["ann2", "ben1", "ben2"]),
        ({"target_peer": BEN.peer}, ["ben1", "ben2"]),
        ({"target_peer": BEN.peer, "target_session": "ben2"}, ["ben2"]),
        ({"target_peer": ANN.peer}, ["ann2"]),
        ({"target_session": "ben1"}, ["ben1"]),
        ({"target_peer": GUS.peer}, []),
        ({"target_peer": ANN.peer, "target_session": ANN.session}, []),
    ],
)
def test_whom_a_signal_reaches(target: dict[str, str], reached: list[str]) -> None:
    signal = msgspec.structs.replace(SIGNAL, **target)
    here = [(ANN.peer, ANN.session), (ANN.peer, "ann2"), (BEN.peer, "ben1"), (BEN.peer, "ben2")]
    assert [session for peer, session in here if signal.reaches(peer, session)] == reached


@pytest.mark.parametrize(
    ("kind", "frame"), [("offer", RelayedOffer), ("answer", RelayedAnswer), ("ice", RelayedIce)]
)
def test_a_signal_arrives_as_its_sender_s(kind: str, frame: type[RelayedOffer]) -> None:
    made = msgspec.structs.replace(SIGNAL, kind=kind, target_peer=BEN.peer, target_session="s").frame()
    assert isinstance(made, frame)
    assert msgspec.json.decode(msgspec.json.encode(made)) == {
        "type": kind,
        "peer_id": ANN.peer,
        "session": ANN.session,
        "payload": {"sdp": "x"},
        "target_peer_id": BEN.peer,
        "target_session": "s",
    }
    bare = msgspec.json.decode(msgspec.json.encode(SIGNAL.frame()))
    assert set(bare) == {"type", "peer_id", "session", "payload"}


def test_entries_come_back_as_they_went_and_others_are_none() -> None:
    one = entry(ANN, "a", address=b"tag", gone=True)
    assert roster.decode_entry(roster.encode_entry(one)) == one
    for data in (
        b"",
        b"\xc1",
        b"\x00",
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({"peer": "x"}),
    ):
        assert roster.decode_entry(data) is None


KEY = roster.events_key(bytes(32))
SESSION: Key = (PeerId("p"), SessionId("s"))
EVENTS = [Came(b"r", entry(ANN, "a")), Left(b"r", *SESSION, 5), Doubted(b"r", *SESSION), SIGNAL]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_come_back_as_they_went_and_forged_ones_are_none(event: roster.Event) -> None:
    sent = roster.encode_event(KEY, ROOM, event)
    assert roster.decode_event(KEY, ROOM, sent) == event
    assert roster.decode_event(KEY, RoomId("other"), sent) is None
    assert roster.decode_event(roster.events_key(bytes([1] * 32)), ROOM, sent) is None
    for place in range(len(sent)):
        forged = bytearray(sent)
        forged[place] ^= 1
        assert roster.decode_event(KEY, ROOM, bytes(forged)) is None
    for data in (b"", sent[:16], sent[:-1], sent[16:]):
        assert roster.decode_event(KEY, ROOM, data) is None


def test_a_tagged_event_of_another_version_is_none() -> None:
    body = msgspec.msgpack.encode(["Unheard", b"r", 1])
    assert roster.decode_event(KEY, ROOM, mac.tag(KEY, ROOM.encode(), body) + body) is None

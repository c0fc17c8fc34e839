"""What follows from one frame of a joined client, and how frames are read and written."""

import json

import msgspec
import pytest

from services.kernel.model.errors import COME_BACK, HTTP_STATUS, CloseCode, ErrorCode, Fault
from services.kernel.model.ids import LogId, MessageId, Seq
from services.kernel.wire import codec, frames, session
from services.kernel.wire.limits import JSON_DEPTH
from services.kernel.wire.roster import Signalled
from services.kernel.wire.rows import Received, Row
from tests.fakes.people import ANN, BEN, GUS, NOW_MS, Person
from tests.unit.expect import refused


def judge(frame: frames.Up, by: Person = ANN) -> session.Outcome:
    """What the session makes of a frame."""
    return session.judge(by.member(), frame, b"replica", NOW_MS)


def test_a_send_is_judged_as_at_every_door() -> None:
    env = ANN.envelope(id="m7")
    stored = judge(frames.Send(env, ANN.seal(env), ANN.pk))
    assert isinstance(stored, Received)
    assert (stored.sender, stored.id) == (ANN.peer, "m7")
    with refused(ErrorCode.FORBIDDEN):
        judge(frames.Send(env), GUS)
    with refused(ErrorCode.CLOCK):
        session.judge(ANN.member(), frames.Send(env, ANN.seal(env)), b"", NOW_MS - 60_001)


def test_a_ping_comes_back_with_the_node_s_time() -> None:
    assert judge(frames.Ping(17.25)) == frames.Pong(17.25, NOW_MS)


def test_a_verified_peer_may_change_its_name() -> None:
    assert judge(frames.Name("Annette")) == session.Rename("Annette")
    for name in ("", "a\u202eb", "x" * 65):
        with refused(ErrorCode.BAD_REQUEST):
            judge(frames.Name(name))
    with refused(ErrorCode.FORBIDDEN, "joins anew"):
        judge(frames.Name("Gustav"), GUS)


def test_a_second_hello_is_refused() -> None:
    with refused(ErrorCode.BAD_REQUEST, "joined already"):
        judge(frames.Hello([1], "room", ANN.session, "Ann"))


SIGNALS = [(frames.Offer, "offer"), (frames.Answer, "answer"), (frames.Ice, "ice")]


@pytest.mark.parametrize(("kind", "name"), SIGNALS)
def test_a_signal_goes_out_under_its_sender_s_bound_id(kind: type[frames.Offer], name: str) -> None:
    out = judge(kind(msgspec.Raw(b'{"sdp":1}'), BEN.peer, "b" * 16))
    assert out == Signalled(b"replica", name, ANN.peer, ANN.session, b'{"sdp":1}', BEN.peer, "b" * 16)
    assert judge(kind(msgspec.Raw(b"{}"))) == Signalled(b"replica", name, ANN.peer, ANN.session, b"{}")


def test_a_signal_is_not_aimed_at_its_own_sender() -> None:
    for target_session in (None, ANN.session):
        with refused(ErrorCode.BAD_REQUEST, "own sender"):
            judge(frames.Offer(msgspec.Raw(b"{}"), ANN.peer, target_session))
    other_tab = judge(frames.Offer(msgspec.Raw(b"{}"), ANN.peer, "f" * 16))
    assert isinstance(other_tab, Signalled)


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (frames.Send('{"id":"m1"}'), "m1"),
        (frames.Send('{"id":"' + "x" * 64 + '"}'), "x" * 64),
        (frames.Send('{"id":"' + "x" * 65 + '"}'), None),
        (frames.Send('{"id":7}'), None),
        (frames.Send("{}"), None),
        (frames.Send("nonsense"), None),
        (frames.Send("[" * 100_000), None),
        (frames.Ping(1), None),
    ],
)
def test_a_fault_names_the_message_it_is_about(frame: frames.Up, found: str | None) -> None:
    assert session.message_id(frame) == found


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('{"type":"ping","t":1,"later":{"x":[1]}}', frames.Ping(1)),
        ('{"type":"send","env":"{}"}', frames.Send("{}")),
        ('{"env":"{}","type":"send","sig":"s","pk":"p"}', frames.Send("{}", "s", "p")),
        ('{"type":"name","name":"Ann"}', frames.Name("Ann")),
    ],
)
def test_frames_are_read_and_unknown_fields_ignored(text: str, frame: frames.Up) -> None:
    assert codec.decode_up(text) == frame


def test_a_signal_keeps_the_bytes_of_its_payload() -> None:
    payload = '{"sdp": "' + "x" * 20_000 + '", "b" : 1.0}'
    frame = codec.decode_up(f'{{"type":"offer","payload":{payload},"target_peer_id":"Ben"}}')
    assert isinstance(frame, frames.Offer)
    assert (bytes(frame.payload).decode(), frame.target_peer_id) == (payload, "Ben")


DEEP = "[" * JSON_DEPTH + "]" * JSON_DEPTH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"type":7}',
        '{"type":"unheard"}',
        '{"type":"welcome"}',
        '{"type":"send"}',
        '{"type":"send","env":{}}',
        '{"type":"ping","t":"1"}',
        '{"type":"ping","t":NaN}',
        '{"type":"ping","t":1,"t":2}',
        '{"type":"ping","type":"ping","t":1}',
        '{"type":"offer"}',
        f'{{"type":"ice","payload":{DEEP}}}',
        '{"type":"name","name":"\\ud800"}',
        '{"type":"hello","v":1,"room":"r","session":"s","name":"n"}',
    ],
)
def test_what_is_no_frame(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST):
        codec.decode_up(text)


def test_a_message_frame_keeps_the_author_s_text() -> None:
    env = ANN.envelope('ü "quoted" \u2028 \U0001f410')
    row = Row(Seq(3), 99, ANN.peer, MessageId("m"), "text", env, "sig", ANN.pk)
    written = json.loads(codec.encode(codec.message(row)))
    assert written == {"type": "message", "seq": 3, "at": 99, "env": env, "sig": "sig", "pk": ANN.pk}
    bare = json.loads(codec.encode(codec.message(msgspec.structs.replace(row, sig=None, pk=None))))
    assert set(bare) == {"type", "seq", "at", "env"}


def test_frames_leave_out_what_is_none_where_the_protocol_says_so() -> None:
    ack = json.loads(codec.encode(frames.Ack("m", 1, LogId("0" * 16), 5)))
    assert ack == {"type": "ack", "id": "m", "seq": 1, "log_id": "0" * 16, "at": 5}
    welcome = json.loads(codec.encode(frames.Welcome(1, "p", "t", "0" * 16, 0, 0, 5, [], None)))
    assert welcome["turn"] is None
    joined = json.loads(codec.encode(frames.PeerJoined("p", "r", "s", "n", False)))
    assert joined == {
        "type": "peer_joined",
        "peer_id": "p",
        "room": "r",
        "session": "s",
        "name": "n",
        "verified": False,
    }


def test_a_fault_tells_the_time_only_when_it_is_about_the_clock() -> None:
    clock = codec.fault_frame(Fault(ErrorCode.CLOCK, "late", 0), "m1", NOW_MS)
    assert json.loads(codec.encode(clock)) == {
        "type": "fault", "code": "clock", "detail": "late", "retry": 0, "id": "m1", "now": NOW_MS
    }  # fmt: skip
    other = codec.fault_frame(Fault(ErrorCode.CONFLICT, "known"), None, NOW_MS)
    assert json.loads(codec.encode(other)) == {
        "type": "fault", "code": "conflict", "detail": "known", "retry": None
    }  # fmt: skip


def test_every_code_has_a_status_and_close_codes_say_who_comes_back() -> None:
    assert set(HTTP_STATUS) == set(ErrorCode)
    assert {status for status in HTTP_STATUS.values() if status >= 500} == {500, 503}
    assert Fault(ErrorCode.CLOCK, "x").status == 422
    assert {code for code in CloseCode if code in COME_BACK} == {1001, 1012, 1013, 4002, 4008, 4401}

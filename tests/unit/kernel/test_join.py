"""Nonces, signed joins and tokens (S1, S5)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.model import join
from services.kernel.model.errors import ErrorCode
from services.kernel.model.identity import b64decode, b64encode
from services.kernel.model.ids import RoomId
from services.kernel.model.join import JoinKeys, JoinRequest
from services.kernel.model.member import Member
from tests.fakes.people import ANN, BEN, GUS, NOW_MS, ROOM
from tests.unit.expect import refused

KEYS, OTHER_NODE = JoinKeys.of(bytes(32)), JoinKeys.of(bytes([*range(32)]))
NONCE = join.make_nonce(KEYS, NOW_MS, b"12345678")


def admit(asked: JoinRequest, *, room: RoomId = ROOM, origin_ok: bool = True, now: int = NOW_MS) -> Member:
    """The member that this node lets in."""
    return join.admit(KEYS, room, asked, origin_ok, now).member


def changed(asked: JoinRequest, **fields: str | None) -> JoinRequest:
    """The request with other fields."""
    return msgspec.structs.replace(asked, **fields)


def flipped(text: str, place: int) -> str:
    """The base64url text with one bit of one byte turned."""
    raw = bytearray(b64decode(text, len(text) * 3 // 4, "it"))
    raw[place] ^= 1
    return b64encode(bytes(raw))


def test_a_signed_join_proves_its_peer() -> None:
    member = admit(ANN.join(NONCE))
    assert member == Member(ROOM, ANN.peer, ANN.session, "Ann", ANN.pk)
    assert member.verified


def test_a_guest_proves_nothing() -> None:
    member = admit(JoinRequest(GUS.session, "Gus"), origin_ok=False)
    assert member == Member(ROOM, GUS.peer, GUS.session, "Gus", None)
    assert not member.verified


def test_who_shows_that_a_session_is_its_own() -> None:
    token = join.make_token(KEYS, GUS.member(), NOW_MS)
    guest = JoinRequest(GUS.session, "Gus")
    assert join.admit(KEYS, ROOM, ANN.join(NONCE), True, NOW_MS).owner
    assert not join.admit(KEYS, ROOM, guest, True, NOW_MS).owner
    for age in (0, 600_000, 10**10):  # a guest has nothing else to show, so an ended token does
        resumed = join.admit(KEYS, ROOM, changed(guest, token=token), True, NOW_MS + age)
        assert resumed == join.Admitted(GUS.member(), owner=True, resumed=True)


def test_a_token_resumes_only_its_own_session() -> None:
    guest = JoinRequest(GUS.session, "Gus", token=join.make_token(KEYS, GUS.member(), NOW_MS))
    other = join.make_token(OTHER_NODE, GUS.member(), NOW_MS)
    for asked in (changed(guest, session="f" * 16), changed(guest, name="Gu"), changed(guest, token=other)):
        with refused(ErrorCode.UNAUTHORIZED, "the token is"):
            admit(asked)
    with refused(ErrorCode.UNAUTHORIZED, "another room"):
        admit(guest, room=RoomId("other"))
    for token in ("", "x", NONCE):
        with refused(ErrorCode.UNAUTHORIZED, "token"):
            admit(changed(guest, token=token))


def test_a_peer_s_token_resumes_it_until_it_ends() -> None:
    token = join.make_token(KEYS, ANN.member(), NOW_MS)
    asked = JoinRequest(ANN.session, "whatever", token=token)
    resumed = join.admit(KEYS, ROOM, asked, False, NOW_MS + 599_999)
    assert resumed == join.Admitted(ANN.member(), owner=True, resumed=True)
    with refused(ErrorCode.UNAUTHORIZED, "ended"):
        admit(asked, now=NOW_MS + 600_000)
    assert admit(changed(ANN.join(NONCE), token="not looked at")) == ANN.member()


@pytest.mark.parametrize("label", ["admin", "Egoat", "abcdefghijklmnopqrstuvwx27"])
def test_a_guest_s_label_is_not_reserved(label: str) -> None:
    with refused(ErrorCode.FORBIDDEN, "reserved"):
        admit(JoinRequest(GUS.session, label))
    assert admit(changed(ANN.join(NONCE), name=label)).name == label


@pytest.mark.parametrize("name", ["", " x", "a\u202eb", "x" * 65])
def test_a_name_follows_the_label_rule(name: str) -> None:
    for asked in (JoinRequest(GUS.session, name), changed(ANN.join(NONCE), name=name)):
        with refused(ErrorCode.BAD_REQUEST):
            admit(asked)


def test_a_session_is_16_hex_digits() -> None:
    for asked in (JoinRequest("x", "Gus"), changed(ANN.join(NONCE), session="0" * 15)):
        with refused(ErrorCode.BAD_REQUEST, "a session is"):
            admit(asked)


def test_half_a_proof_is_a_form_error() -> None:
    whole = ANN.join(NONCE)
    for field in ("pk", "nonce", "origin", "sig"):
        with refused(ErrorCode.BAD_REQUEST, "a signed join needs"):
            admit(changed(whole, **{field: None}))
    assert not admit(JoinRequest(GUS.session, "Gus", origin="http://node")).verified


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (30_000, True), (30_001, False), (31_000, False)])
def test_a_nonce_lives_30_seconds(age: int, fresh: bool) -> None:
    if fresh:
        assert admit(ANN.join(NONCE), now=NOW_MS + age).verified
    else:
        with refused(ErrorCode.UNAUTHORIZED, "older than 30 s"):
            admit(ANN.join(NONCE), now=NOW_MS + age)


def test_a_nonce_of_the_future_is_taken_within_the_skew_of_replicas() -> None:
    assert admit(ANN.join(NONCE), now=NOW_MS - 1_000).verified
    with refused(ErrorCode.UNAUTHORIZED):
        admit(ANN.join(NONCE), now=NOW_MS - 1_001)


def test_a_nonce_of_another_node() -> None:
    with refused(ErrorCode.UNAUTHORIZED, "not of this node"):
        admit(ANN.join(join.make_nonce(OTHER_NODE, NOW_MS, b"12345678")))


@pytest.mark.parametrize("place", range(32))
def test_a_nonce_with_any_bit_turned(place: int) -> None:
    with refused(ErrorCode.UNAUTHORIZED, "not of this node"):
        join.check_nonce(KEYS, flipped(NONCE, place), NOW_MS)


def test_a_nonce_of_another_form() -> None:
    assert len(NONCE) == 43
    for text in ("", NONCE[:-1], NONCE + "A", NONCE + "=", "!" * 43):
        with refused(ErrorCode.BAD_REQUEST, "nonce is base64url"):
            join.check_nonce(KEYS, text, NOW_MS)


def test_nonces_differ_by_what_was_drawn() -> None:
    assert join.make_nonce(KEYS, NOW_MS, b"12345679") != NONCE


def test_the_same_nonce_is_admitted_again_because_spending_is_the_caller_s() -> None:
    assert admit(ANN.join(NONCE)) == admit(ANN.join(NONCE))


def test_the_origin_must_be_the_request_s() -> None:
    with refused(ErrorCode.UNAUTHORIZED, "origin"):
        admit(ANN.join(NONCE), origin_ok=False)


def test_a_join_holds_only_for_what_was_signed() -> None:
    whole = ANN.join(NONCE)
    other_nonce = join.make_nonce(KEYS, NOW_MS, b"other 64")
    for field, value in {
        "pk": BEN.pk,
        "nonce": other_nonce,
        "origin": "http://evil",
        "session": "f" * 16,
        "sig": BEN.join(NONCE).sig,
    }.items():
        with refused(ErrorCode.UNAUTHORIZED, "signature"):
            admit(changed(whole, **{field: value}))
    with refused(ErrorCode.UNAUTHORIZED, "signature"):
        admit(whole, room=RoomId("other"))


def test_a_key_of_another_form() -> None:
    with refused(ErrorCode.BAD_REQUEST, "pk is"):
        admit(changed(ANN.join(NONCE), pk="short"))
    for sig in ("", "short", "!" * 86):
        with refused(ErrorCode.UNAUTHORIZED, "signature"):
            admit(changed(ANN.join(NONCE), sig=sig))


@pytest.mark.parametrize("member", [ANN.member(), GUS.member()], ids=["peer", "guest"])
def test_a_token_stands_for_its_member_for_ten_minutes(member: Member) -> None:
    token = join.make_token(KEYS, member, NOW_MS)
    for now in (NOW_MS, NOW_MS + 599_999):
        assert join.read_token(KEYS, token, now) == (member, NOW_MS + 600_000)
    for now in (NOW_MS + 600_000, NOW_MS + 10**9):
        with refused(ErrorCode.UNAUTHORIZED, "ended"):
            join.read_token(KEYS, token, now)


def test_a_token_with_any_byte_changed_or_cut() -> None:
    token = join.make_token(KEYS, ANN.member(), NOW_MS)
    for place in range(len(token) * 3 // 4):
        with refused(ErrorCode.UNAUTHORIZED):
            join.read_token(KEYS, flipped(token, place), NOW_MS)
    for end in range(len(token)):
        with refused(ErrorCode.UNAUTHORIZED):
            join.read_token(KEYS, token[:end], NOW_MS)


@pytest.mark.parametrize("token", ["", " ", "A", "=", "é", "null", "A" * 100_000, "\0"])
def test_what_is_no_token(token: str) -> None:
    with refused(ErrorCode.UNAUTHORIZED):
        join.read_token(KEYS, token, NOW_MS)


@given(st.text(max_size=60))
def test_no_text_is_a_token(text: str) -> None:
    with refused(ErrorCode.UNAUTHORIZED):
        join.read_token(KEYS, text, NOW_MS)


def test_neither_another_node_s_token_nor_a_nonce_is_a_token() -> None:
    for text in (join.make_token(OTHER_NODE, ANN.member(), NOW_MS), NONCE):
        with refused(ErrorCode.UNAUTHORIZED, "not of this node"):
            join.read_token(KEYS, text, NOW_MS)

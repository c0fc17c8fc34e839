"""Hints on the bus: believed only with the node's tag (S21)."""

import msgspec
import pytest

from services.kernel.model import mac
from services.kernel.model.ids import LogId, MessageId, RoomId, Seq
from services.kernel.wire.rows import Hint, Row, decode_hint, encode_hint, hint_key
from tests.fakes.people import ANN, ROOM

KEY = hint_key(bytes(32))
ROW = Row(Seq(7), 1, ANN.peer, MessageId("m"), "text", "{}", "sig", ANN.pk)
HINT = Hint(LogId("0" * 16), Seq(6), Seq(7), [ROW])
SENT = encode_hint(KEY, ROOM, HINT)


@pytest.mark.parametrize("hint", [HINT, Hint(LogId("0" * 16), Seq(6), Seq(2**53))], ids=["rows", "no rows"])
def test_a_hint_comes_back_as_it_went(hint: Hint) -> None:
    assert decode_hint(KEY, ROOM, encode_hint(KEY, ROOM, hint)) == hint


def test_a_hint_is_a_tag_of_16_bytes_and_a_msgpack_map() -> None:
    fields = msgspec.msgpack.decode(SENT[16:])
    assert set(fields) == {"log_id", "prev", "seq", "rows"}
    small = encode_hint(KEY, ROOM, Hint(LogId("0" * 16), Seq(6), Seq(7)))
    assert set(msgspec.msgpack.decode(small[16:])) == {"log_id", "prev", "seq"}


@pytest.mark.parametrize("place", range(len(SENT)))
def test_a_hint_with_any_bit_turned_is_none(place: int) -> None:
    forged = bytearray(SENT)
    forged[place] ^= 1
    assert decode_hint(KEY, ROOM, bytes(forged)) is None


@pytest.mark.parametrize(
    "data", [b"", b"x", SENT[:15], SENT[:16], SENT[:-1], SENT + b"\0", SENT[16:], bytes(64)]
)
def test_a_hint_of_another_length_is_none(data: bytes) -> None:
    assert decode_hint(KEY, ROOM, data) is None


def test_a_hint_for_another_room_or_of_another_node_is_none() -> None:
    assert decode_hint(KEY, RoomId("other"), SENT) is None
    assert decode_hint(hint_key(bytes([1] * 32)), ROOM, SENT) is None
    assert decode_hint(mac.subkey(bytes(32), "event"), ROOM, SENT) is None


def test_a_tagged_map_of_another_version_is_none() -> None:
    for found in ({"log_id": 7, "prev": 6, "seq": 7}, {"seq": 7}, [1, 2], None):
        body = msgspec.msgpack.encode(found)
        assert decode_hint(KEY, ROOM, mac.tag(KEY, ROOM.encode(), body) + body) is None


def test_tags_tell_splits_uses_and_secrets_apart() -> None:
    assert mac.tag(KEY, b"ab", b"c") != mac.tag(KEY, b"a", b"bc")
    assert mac.tag(KEY, b"abc") != mac.tag(KEY, b"abc", b"")
    assert (
        len({mac.subkey(secret, use) for secret in (b"a" * 32, b"b" * 32) for use in ("hint", "event")}) == 4
    )
    assert mac.matches(mac.tag(KEY, b"a"), mac.tag(KEY, b"a"))
    assert not mac.matches(mac.tag(KEY, b"a"), mac.tag(KEY, b"b"))

"""The stream door's frames: whole again however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.model.ids import LogId, Seq
from services.kernel.wire import storage_api as api
from services.kernel.wire.rows import Appended, Page, Span
from tests.fakes.people import ANN, received

ASKS = [
    api.Knock(1, b"token"),
    api.Append(2, [received(), received("m2", by=ANN)]),
    api.After(3, "room", "", 10),
    api.Before(4, "room", "0123456789abcdef.7", 0),
    api.Since(5, "room", 2**53, 10_000),
    api.Moved(6, None),
    api.Moved(7, 12),
]
REPLIES = [
    api.Stored(
        1, [Appended(LogId("0" * 16), Seq(1), 5, True), Appended(LogId("0" * 16), Seq(1), 5, False, True)]
    ),
    api.Paged(2, Page(LogId("0" * 16), Seq(0), Seq(0), [], "log")),
    api.Spanned(3, Span(LogId("0" * 16), Seq(1), Seq(2), 7)),
    api.Grown(4, "0" * 16, 9, [("room", 3, 1)]),
    api.Fine(5),
    api.Refused(6, "unavailable", "text", 1.0),
]


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: type(ask).__name__)
def test_asks_come_back_as_they_went(ask: api.Ask) -> None:
    [frame] = api.Splitter().feed(api.pack(ask))
    assert api.ask_decoder.decode(frame) == ask


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: type(reply).__name__)
def test_replies_come_back_as_they_went(reply: api.Reply) -> None:
    [frame] = api.Splitter().feed(api.pack(reply))
    assert api.reply_decoder.decode(frame) == reply


@given(st.lists(st.binary(max_size=20), max_size=8), st.lists(st.integers(1, 7), min_size=1))
def test_frames_are_whole_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    splitter, found, place, turn = api.Splitter(), [], 0, 0
    while place < len(stream):
        step = cuts[turn % len(cuts)]
        found += splitter.feed(stream[place : place + step])
        place, turn = place + step, turn + 1
    assert found == bodies
    assert splitter.feed(b"") == []


def test_a_frame_has_bytes_up_to_the_limit() -> None:
    splitter = api.Splitter(10)
    assert splitter.feed((10).to_bytes(4, "big") + bytes(10)) == [bytes(10)]
    with pytest.raises(ValueError, match="too large"):
        splitter.feed((11).to_bytes(4, "big"))


def test_a_limit_is_seen_in_the_length_alone_also_behind_a_good_frame() -> None:
    splitter = api.Splitter(10)
    with pytest.raises(ValueError, match="too large"):
        splitter.feed((1).to_bytes(4, "big") + b"x" + b"\xff\xff\xff\xff")


def test_the_limit_can_be_raised_once_the_other_side_is_known() -> None:
    splitter = api.Splitter(1)
    splitter.most = 100
    assert splitter.feed((50).to_bytes(4, "big") + bytes(50)) == [bytes(50)]


def test_only_the_secret_gives_the_service_token() -> None:
    tokens = {api.service_token(bytes([number] * 32)) for number in range(3)}
    assert len(tokens) == 3
    assert all(len(token) == 32 for token in tokens)
    assert api.service_token(bytes(32)) == api.service_token(bytes(32))

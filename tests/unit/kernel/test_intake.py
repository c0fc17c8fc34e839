"""What may enter the log: each refusal, each size at its limit."""

import pytest

from services.kernel.model.errors import ErrorCode
from services.kernel.model.ids import RoomId
from services.kernel.wire import intake
from services.kernel.wire.limits import FRAME_BYTES, TEXT_BYTES
from services.kernel.wire.rows import Received
from tests.fakes.people import ANN, BEN, GUS, NOW_MS, Person
from tests.unit.expect import refused

OTHER_GUEST = Person("Other", guest=True)


def take(
    env: str, *, by: Person = GUS, sig: str | None = None, pk: str | None = None, now: int = NOW_MS
) -> Received:
    """Hands the envelope in as the member `by`."""
    return intake.take(by.member(), env, sig, pk, now)


def test_a_guest_s_message_goes_in_as_it_came() -> None:
    env = GUS.envelope("ü \U0001f410", id="m7")
    taken = take(env)
    assert (taken.room, taken.sender, taken.id, taken.kind) == ("room", GUS.peer, "m7", "text")
    assert (taken.env, taken.sig, taken.pk) == (env, None, None)


def test_a_guest_s_signature_is_not_kept() -> None:
    taken = take(GUS.envelope(), sig=ANN.seal(GUS.envelope()), pk=ANN.pk)
    assert (taken.sig, taken.pk) == (None, None)


def test_a_peer_s_message_goes_in_with_the_key_it_joined_with() -> None:
    env = ANN.envelope()
    for pk in (ANN.pk, None, BEN.pk):
        taken = take(env, by=ANN, sig=ANN.seal(env), pk=pk)
        assert (taken.sender, taken.sig, taken.pk) == (ANN.peer, ANN.seal(env), ANN.pk)


def test_a_peer_signs_its_messages() -> None:
    with refused(ErrorCode.BAD_REQUEST, "signs its envelopes"):
        take(ANN.envelope(), by=ANN)
    for sig in ("", "x", "A" * 86 + "=", "é" * 86):
        with refused(ErrorCode.BAD_REQUEST, "sig is base64url"):
            take(ANN.envelope(), by=ANN, sig=sig)


@pytest.mark.parametrize("by", [GUS, BEN], ids=["guest", "peer"])
def test_another_s_message_goes_in_on_its_author_s_signature(by: Person) -> None:
    env = ANN.envelope()
    taken = take(env, by=by, sig=ANN.seal(env), pk=ANN.pk)
    assert (taken.sender, taken.sig, taken.pk) == (ANN.peer, ANN.seal(env), ANN.pk)


@pytest.mark.parametrize("by", [GUS, BEN], ids=["guest", "peer"])
def test_nobody_speaks_as_another(by: Person) -> None:
    """P13: every way to claim another's id without its signature."""
    env, other = ANN.envelope(), ANN.envelope("other")
    claims = [(None, None), (ANN.seal(env), None), (None, ANN.pk), (ANN.seal(other), ANN.pk)]
    claims += [
        (by.seal(env), by.pk),
        (by.seal(env), ANN.pk),
        (BEN.seal(env), BEN.pk),
        (ANN.seal(env), BEN.pk),
    ]
    for sig, pk in claims:
        with refused(ErrorCode.FORBIDDEN):
            take(env, by=by, sig=sig, pk=pk)


def test_a_guest_is_spoken_for_by_nobody_else() -> None:
    for by in (OTHER_GUEST, ANN):
        env = GUS.envelope()
        for sig, pk in ((None, None), (by.seal(env), by.pk), (ANN.seal(env), ANN.pk)):
            with refused(ErrorCode.FORBIDDEN):
                take(env, by=by, sig=sig, pk=pk)


@pytest.mark.parametrize("sender", ["", "Gus", "guest:", "guest:gus", "GUEST:Gus", ANN.peer.upper(), "node"])
def test_near_ids_are_other_ids(sender: str) -> None:
    for by in (GUS, ANN):
        env = by.envelope(sender=sender)
        with refused(ErrorCode.FORBIDDEN):
            take(env, by=by, sig=ANN.seal(env), pk=ANN.pk)


def test_a_malformed_key_beside_another_s_message() -> None:
    env = ANN.envelope()
    with refused(ErrorCode.BAD_REQUEST, "pk is"):
        take(env, sig=ANN.seal(env), pk="short")


@pytest.mark.parametrize("room", ["Room", "room ", "other", ""])
def test_a_message_for_another_room(room: str) -> None:
    for by in (GUS, ANN):
        env = by.envelope(room=room)
        with refused(ErrorCode.FORBIDDEN, "another room"):
            take(env, by=by, sig=by.seal(env), pk=by.pk)
    with refused(ErrorCode.FORBIDDEN, "another room"):
        intake.take(GUS.member(RoomId("other")), GUS.envelope(), None, None, NOW_MS)


@pytest.mark.parametrize("char", ["a", "ü", "部", "\U0001f410", "\u0301"])
def test_a_text_has_bytes_up_to_the_limit(char: str) -> None:
    size = len(char.encode())
    whole = char * (TEXT_BYTES // size) + "x" * (TEXT_BYTES % size)
    assert len(whole.encode()) == TEXT_BYTES
    assert take(GUS.envelope(whole)).env == GUS.envelope(whole)
    with refused(ErrorCode.TOO_LARGE, "16384 bytes"):
        take(GUS.envelope(whole + "x"))


def test_64_k_combining_marks() -> None:
    with refused(ErrorCode.TOO_LARGE, "65536 bytes"):
        take(GUS.envelope("a" + "\u0301" * 65_536))
    with refused(ErrorCode.TOO_LARGE, "16384 bytes"):
        take(GUS.envelope("a" + "\u0301" * 8_192))
    assert take(GUS.envelope("a" + "\u0301" * 8_191))


def test_an_envelope_has_bytes_up_to_the_limit() -> None:
    bare = len(GUS.envelope(kind="note", body=""))
    whole = GUS.envelope(kind="note", body="x" * (FRAME_BYTES - bare))
    assert len(whole) == FRAME_BYTES
    assert take(whole).kind == "note"
    for over in (whole.replace("xx", "xxx", 1), whole.replace("x", "ü", 1)):
        with refused(ErrorCode.TOO_LARGE, "an envelope has at most"):
            take(over)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u3000\u2003", "\0", "a\0b"])
def test_a_text_is_not_blank_and_has_no_nul(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "not blank and has no NUL"):
        take(GUS.envelope(text))


@pytest.mark.parametrize("text", ["a", " a ", "\x1b[31m", "\u202e", "<b>", "0"])
def test_what_a_text_may_say(text: str) -> None:
    assert take(GUS.envelope(text))


@pytest.mark.parametrize("name", ["", " ", "\x1b[31mAnn", "a\nb", "x" * 65, "e\u0301", "\u202enA", "<b>"])
def test_the_name_in_a_text_follows_the_label_rule(name: str) -> None:
    for by in (GUS, ANN):
        env = by.envelope(body={"text": "x", "name": name})
        with refused(ErrorCode.BAD_REQUEST):
            take(env, by=by, sig=by.seal(env), pk=by.pk)


def test_other_kinds_are_not_looked_into() -> None:
    for body in ("", None, {"text": "\0"}, [1, 2]):
        assert take(GUS.envelope(kind="later", body=body if body is not None else {})).kind == "later"


def test_what_breaks_strict_json_is_no_envelope() -> None:
    env = GUS.envelope()
    for bad in (
        env[:-1] + ',"id":"m2"}',
        env.replace(":1,", ":NaN,"),
        env.replace("hello", "\\ud800"),
        "\ufeff" + env,
    ):
        with refused(ErrorCode.BAD_REQUEST):
            take(bad)


def test_a_stamp_from_the_future() -> None:
    env = ANN.envelope()
    for ahead in (60_000, 0, -86_400_000):
        assert take(env, by=ANN, sig=ANN.seal(env), now=NOW_MS - ahead)
    with refused(ErrorCode.CLOCK, "60 s ahead"):
        take(env, by=ANN, sig=ANN.seal(env), now=NOW_MS - 60_001)


def test_the_clock_is_the_last_thing_that_is_judged() -> None:
    """A client re-stamps only what would otherwise be taken."""
    with refused(ErrorCode.FORBIDDEN):
        take(ANN.envelope(), now=0)
    with refused(ErrorCode.BAD_REQUEST):
        take(GUS.envelope(" "), now=0)


def test_what_its_author_keeps_off_every_log_goes_in_by_nobody() -> None:
    env = ANN.envelope()[:-1] + ',"keep":false}'
    for by in (ANN, BEN):
        with refused(ErrorCode.FORBIDDEN, "in no log"):
            take(env, by=by, sig=ANN.seal(env), pk=ANN.pk)

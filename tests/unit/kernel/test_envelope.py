"""Envelopes: which texts are one, and when two are the same message."""

import json

import pytest

from services.kernel.model import envelope
from services.kernel.model.errors import ErrorCode
from tests.fakes.people import ANN, GUS, NOW_MS
from tests.unit.expect import refused


def test_the_fields_a_node_looks_at() -> None:
    env = ANN.envelope('"ü" \\', id="m-1", later={"x": 1})
    parsed = envelope.parse(env)
    assert (parsed.env, parsed.id, parsed.room, parsed.sender) == (env, "m-1", "room", ANN.peer)
    assert (parsed.kind, parsed.hlc, parsed.ms) == ("text", f"{NOW_MS:012x}-0000", NOW_MS)
    body = parsed.text_body()
    assert (body.text, body.name) == ('"ü" \\', "Ann")


@pytest.mark.parametrize("field", ["id", "room", "sender", "kind", "hlc", "body"])
def test_a_missing_field(field: str) -> None:
    for who in (ANN, GUS):
        with refused(ErrorCode.BAD_REQUEST, "an envelope has"):
            envelope.parse(who.envelope(**{field: None}))


@pytest.mark.parametrize("field", ["id", "room", "sender", "kind", "hlc"])
@pytest.mark.parametrize("value", [7, True, ["a"], {"a": 1}])
def test_a_field_of_another_type(field: str, value: object) -> None:
    with refused(ErrorCode.BAD_REQUEST, "an envelope has"):
        envelope.parse(ANN.envelope(**{field: value}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', "{}"])
def test_what_is_no_envelope_at_all(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "an envelope has"):
        envelope.parse(text)


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "0199c82cc000",
        "0199C82CC000-0000",
        "0199c82cc000-00000",
        "x199c82cc000-0000",
        "0199c82cc000-0000\n",
    ],
)
def test_a_stamp_of_another_form(stamp: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "hlc is"):
        envelope.parse(ANN.envelope(hlc=stamp))


@pytest.mark.parametrize("kind", ["", "Text", "1", "a b", "x" * 33, "ü", "text\n", "-a"])
def test_a_kind_of_another_form(kind: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "kind is"):
        envelope.parse(ANN.envelope(kind=kind))


@pytest.mark.parametrize("kind", ["a", "text", "file.part-2_x", "x" * 32])
def test_kinds_nobody_knows_are_envelopes_too(kind: str) -> None:
    assert envelope.parse(ANN.envelope(kind=kind, body=[1, None, "x"])).kind == kind


@pytest.mark.parametrize("to", ["x", 1, {"a": 1}, [], False])
def test_to_is_reserved(to: object) -> None:
    with refused(ErrorCode.BAD_REQUEST):
        envelope.parse(ANN.envelope(to=to))


@pytest.mark.parametrize("id_", ["", "a b", "x" * 65, "é"])
def test_an_id_of_another_form(id_: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "an id has"):
        envelope.parse(ANN.envelope(id=id_))


def test_a_guest_may_lack_stream_and_counter_a_peer_may_not() -> None:
    assert envelope.parse(GUS.envelope(stream=None, n=None))
    assert envelope.parse(GUS.envelope())
    for who, lacking in (
        (ANN, {"stream": None}),
        (ANN, {"n": None}),
        (GUS, {"stream": None}),
        (GUS, {"n": None}),
    ):
        with refused(ErrorCode.BAD_REQUEST):
            envelope.parse(who.envelope(**lacking))


@pytest.mark.parametrize("stream", ["", "0" * 15, "0" * 17, "0123456789ABCDEF", "g" * 16])
def test_a_stream_of_another_form(stream: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "stream is"):
        envelope.parse(ANN.envelope(stream=stream))


@pytest.mark.parametrize("n", [-1, 2**53 + 1, 10**30])
def test_a_counter_out_of_bounds(n: int) -> None:
    with refused(ErrorCode.BAD_REQUEST, "n is a whole number"):
        envelope.parse(ANN.envelope(n=n))
    for good in (0, 1, 2**53):
        assert envelope.parse(ANN.envelope(n=good))


@pytest.mark.parametrize("n", [1.5, "1", True])
def test_a_counter_that_is_no_number(n: object) -> None:
    with refused(ErrorCode.BAD_REQUEST, "an envelope has"):
        envelope.parse(ANN.envelope(n=n))


@pytest.mark.parametrize(
    "body", ["x", 7, None, [], {}, {"text": "x"}, {"name": "x"}, {"text": 1, "name": "x"}]
)
def test_a_text_with_another_body(body: object) -> None:
    parsed = envelope.parse(ANN.envelope(body=body or {}))
    with refused(ErrorCode.BAD_REQUEST, "a text has the body"):
        parsed.text_body()


def test_a_signed_message_is_the_same_only_to_the_last_byte() -> None:
    env = ANN.envelope()
    spaced = json.dumps(json.loads(env))
    assert envelope.parse(env).digest == envelope.parse(env).digest
    assert envelope.parse(env).digest != envelope.parse(spaced).digest
    assert envelope.parse(env).digest != envelope.parse(ANN.envelope(hlc="0199c82cc000-0001")).digest


def test_a_guest_s_message_is_the_same_while_kind_and_body_are() -> None:
    digest = envelope.parse(GUS.envelope()).digest
    again = envelope.parse(GUS.envelope(hlc="0199c82cc000-0009", stream=None, n=None))
    assert again.digest == digest
    assert envelope.parse(GUS.envelope("other")).digest != digest
    assert envelope.parse(GUS.envelope(kind="note")).digest != digest

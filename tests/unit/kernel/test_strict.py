"""JSON as it is taken from outside."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.wire import strict
from services.kernel.wire.limits import JSON_DEPTH, JSON_KEYS
from tests.unit.expect import refused


def nested(depth: int, opening: str = '{"a":', closing: str = "}", core: str = "1") -> str:
    """So many objects inside each other."""
    return opening * depth + core + closing * depth


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        ' {"a" : [1, -2.5e3, "x", true, null]} ',
        '{"a":"\\ud83d\\udc10 \\u0000 \\\\ud800"}',
        '{"ключ":"值"}',
    ],
)
def test_one_object_is_taken(text: str) -> None:
    strict.check(text)


@pytest.mark.parametrize(
    "text", ["", " ", "null", "1", '"a"', "[]", "[{}]", "true", "{}{}", "{} x", "{", '{"a"}', "{'a':1}"]
)
def test_anything_else_is_not(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST):
        strict.check(text)


@pytest.mark.parametrize(
    "text", ["\ufeff{}", '{"a":01}', '{"a":1,}', '{"a":\t"\t"}', "{a:1}", '{"a":+1}', '{"a":.5}', "{}\0"]
)
def test_near_json_is_not_json(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "not JSON"):
        strict.check(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_json_lacks(number: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, f"{number} is not JSON"):
        strict.check(f'{{"a":[{number}]}}')


def test_a_number_of_5_000_digits() -> None:
    with refused(ErrorCode.BAD_REQUEST, "not JSON"):
        strict.check('{"a":' + "9" * 5_000 + "}")


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":1}', '{"x":{"a":1,"b":2,"a":3}}', '{"x":[{"":1,"":2}]}', '{"a":1,"\\u0061":2}']
)
def test_a_doubled_key(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST, "a key stands twice"):
        strict.check(text)


def test_one_key_in_several_objects_is_no_doubled_key() -> None:
    strict.check('{"a":{"a":[{"a":1},{"a":2}]}}')


def test_nesting_ends_at_the_limit() -> None:
    strict.check(nested(JSON_DEPTH))
    strict.check('{"x":' + nested(JSON_DEPTH - 1, "[", "]") + "}")
    for text in (nested(JSON_DEPTH + 1), '{"x":' + nested(JSON_DEPTH, "[", "]") + "}"):
        with refused(ErrorCode.BAD_REQUEST, "nested deeper"):
            strict.check(text)


def test_many_brackets_side_by_side_or_in_strings_are_not_deep() -> None:
    strict.check('{"a":[' + ",".join(["[]"] * 1_000) + "]}")
    strict.check(json.dumps({"a": "[{" * 1_000, "b": '\\"[{' * 1_000}))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 50_000, '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"]
)
def test_100_000_brackets(text: str) -> None:
    with refused(ErrorCode.BAD_REQUEST):
        strict.check(text)


@pytest.mark.parametrize("tail", ["", '"', "\\", "}" * 17])
def test_no_64_kib_take_long(tail: str) -> None:
    """Strings that never end, each quote of which could begin one."""
    for text in ("{" * 17 + '"' + '\\"' * 32_000 + tail, '{"a":' * 17 + '"\\' * 20_000 + tail):
        started = time.perf_counter()
        with refused(ErrorCode.BAD_REQUEST):
            strict.check(text)
        assert time.perf_counter() - started < 1


def test_keys_are_counted_over_the_whole_text() -> None:
    half = {f"k{number}": 0 for number in range(JSON_KEYS // 2 - 1)}
    strict.check(json.dumps({"a": half, "b": half}))
    with refused(ErrorCode.BAD_REQUEST, "more than 256 keys"):
        strict.check(json.dumps({"a": half, "b": half, "c": 0}))


@pytest.mark.parametrize(
    "half", ["\\ud800", "\\uDFFF", "\\udc10\\ud83d", "x\\uD83Dx", "\\ud83d\\ud83d\\udc10"]
)
def test_half_a_surrogate_pair(half: str) -> None:
    for text in (f'{{"a":"{half}"}}', f'{{"{half}":1}}', f'{{"a":[{{"b":"{half}"}}]}}'):
        with refused(ErrorCode.BAD_REQUEST, "half a surrogate pair"):
            strict.check(text)


@pytest.mark.parametrize(
    "raw", [b"\xff", b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b"\xf5\x80\x80\x80", b'{"a":"\xc3']
)
def test_bytes_that_are_not_utf_8(raw: bytes) -> None:
    with refused(ErrorCode.BAD_REQUEST, "not UTF-8"):
        strict.text_of(raw)


def test_bytes_that_are() -> None:
    assert strict.text_of("{} ü \U0001f410".encode()) == "{} ü \U0001f410"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.booleans())
def test_what_python_writes_is_taken_unless_it_is_too_deep(
    found: dict[str, object], ascii_only: bool
) -> None:
    text = json.dumps(found, ensure_ascii=ascii_only)
    if depth(found) <= JSON_DEPTH:
        strict.check(text)
    else:
        with refused(ErrorCode.BAD_REQUEST, "nested deeper"):
            strict.check(text)


def depth(value: object) -> int:
    """How deep lists and dicts lie in each other."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(st.text(st.sampled_from('{}[]",:\\u d8NaN01'), max_size=40))
def test_whatever_comes_it_is_taken_or_refused(text: str) -> None:
    try:
        strict.check(text)
    except Fault as fault:
        assert fault.code is ErrorCode.BAD_REQUEST
    else:
        assert isinstance(json.loads(text), dict)

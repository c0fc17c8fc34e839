"""The hybrid logical clock against the vectors it shares with its JavaScript twin."""

from pathlib import Path

import msgspec
import pytest

from services.kernel.model import hlc


class Stamped(msgspec.Struct):
    name: str
    last: str
    now: int
    stamp: str | None


class Observed(msgspec.Struct):
    name: str
    last: str
    text: str
    newest: str | None


class Ahead(msgspec.Struct):
    name: str
    text: str
    now: int
    ahead: bool


class Vectors(msgspec.Struct):
    stamp: list[Stamped]
    observe: list[Observed]
    ahead: list[Ahead]
    malformed: list[str]
    ascending: list[str]
    unfit: list[tuple[int, int]]


VECTORS = msgspec.json.decode(
    (Path(__file__).parents[2] / "vectors" / "hlc" / "hlc.json").read_bytes(), type=Vectors
)


@pytest.mark.parametrize("case", VECTORS.stamp, ids=lambda case: case.name)
def test_stamp(case: Stamped) -> None:
    if case.stamp is None:
        with pytest.raises(ValueError, match="a stamp"):
            hlc.stamp(case.last, case.now)
    else:
        assert hlc.stamp(case.last, case.now) == case.stamp
        assert case.last < case.stamp


@pytest.mark.parametrize("case", VECTORS.observe, ids=lambda case: case.name)
def test_observe(case: Observed) -> None:
    if case.newest is None:
        with pytest.raises(ValueError, match="a stamp"):
            hlc.observe(case.last, case.text)
    else:
        assert hlc.observe(case.last, case.text) == case.newest


@pytest.mark.parametrize("case", VECTORS.ahead, ids=lambda case: case.name)
def test_too_far_ahead(case: Ahead) -> None:
    assert hlc.too_far_ahead(case.text, case.now) is case.ahead


@pytest.mark.parametrize("text", VECTORS.malformed, ids=repr)
def test_only_the_fixed_width_form_is_a_stamp(text: str) -> None:
    with pytest.raises(ValueError, match="12 hex digits"):
        hlc.parse(text)


@pytest.mark.parametrize(("ms", "counter"), VECTORS.unfit)
def test_a_part_that_does_not_fit_is_refused(ms: int, counter: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        hlc.format_stamp(ms, counter)


def test_text_order_is_the_order_of_the_clock() -> None:
    assert sorted(VECTORS.ascending) == VECTORS.ascending
    parsed = [hlc.parse(text) for text in VECTORS.ascending]
    assert sorted(parsed) == parsed
    assert [hlc.format_stamp(*parts) for parts in parsed] == VECTORS.ascending

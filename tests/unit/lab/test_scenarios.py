"""Every scenario of the laboratory keeps its promises, by a seed that is always the same and by fresh ones."""

import secrets

import pytest

from egoat.lab.scenarios import SCENARIOS
from egoat.lab.trial import run

FIXED = 20261122
FRESH_OF_RANDOM = 6


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_holds(name: str) -> None:
    fresh = FRESH_OF_RANDOM if name == "random" else 1
    for seed in (FIXED, *(secrets.randbelow(10**9) for _ in range(fresh))):
        result = run(name, seed)
        assert result.faults == (), f"egoat lab run {name} --seed {seed}\n{result.report()}"
        assert result.figures.said > 0
        assert result.figures.logged + result.figures.kept == result.figures.said


@pytest.mark.parametrize("name", ["poor-lines", "random"])
def test_the_same_seed_is_the_same_run_to_the_byte(name: str) -> None:
    one, other = (run(name, FIXED, keep_trace=True) for _ in range(2))
    assert one.report() == other.report()
    assert (one.story, one.trace) == (other.story, other.trace)
    assert run(name, FIXED + 1).digest != one.digest


def test_a_message_of_an_author_who_is_gone_came_to_the_log_through_others() -> None:
    result = run("author-closes-tab-after-direct-send", FIXED)
    cut = next(place for place, line in enumerate(result.story) if "ann is now on" in line)
    assert any("ann closes the tab" in line for line in result.story[cut:])
    assert result.figures.kept == 0

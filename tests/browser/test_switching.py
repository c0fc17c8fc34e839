"""A short form of `make switches`: from rung to rung under traffic, with nothing lost, doubled or out of order."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import switching
from tests.support.up import Ports, started


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """A node where two pages may say more than a person does."""
    ports = Ports(Path(tmp_path_factory.mktemp("switching")))
    with started(ports.argv, env=switching.RAISED):
        yield ports


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("webrtc-stun", "http-polling"),
        ("http-polling", "webrtc-turn"),
        ("webrtc-turn", "websocket-direct"),
        ("websocket-direct", "webrtc-stun"),
    ],
)
def test_a_change_of_rung_under_traffic(browser: Browser, roomy: Ports, before: str, after: str) -> None:
    found = switching.switch(browser, roomy, before, after, messages=400, pause_ms=40)
    assert (found.lost, found.doubled, found.reordered) == (0, 0, 0), found
    assert max(found.times) < 10_000, found
    assert found.steady >= 90, found

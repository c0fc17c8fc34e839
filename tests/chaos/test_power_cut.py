"""An ack outlives the power: recorded storage, cut at random points, opened again by the production store."""

import os
import random

import pytest

from tests.chaos.power_cut import NAME, cut
from tests.chaos.recording import Recording, record
from tests.contract.redis_server import RedisServer

SEED = int(os.environ.get("EGOAT_SEED") or random.randrange(1_000_000))
MESSAGES, CUTS = 1_500, 150


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Storage under load, killed and stopped in between."""
    folder = tmp_path_factory.mktemp("power")
    with RedisServer(folder).running() as redis:
        return record(folder, redis.url, random.Random(SEED), MESSAGES)


def test_what_was_acked_before_a_power_cut_is_there_after_it(recording: Recording) -> None:
    """Nothing lost, twice, renumbered or invented; the file is whole, the same log, and takes the next message."""
    synced = [call.target for call in recording.calls if call.name == "fdatasync"]
    assert synced.count(str(recording.folder / NAME)) >= 3, (
        "made, checkpointed under load, stopped: one is missing"
    )
    figures = cut(recording, SEED, CUTS)
    assert figures.acked > CUTS * MESSAGES / 5, figures
    assert figures.bad == 0, f"EGOAT_SEED={SEED}: {figures}"

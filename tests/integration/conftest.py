"""A real Redis in a container, and a node of real processes on it."""

import secrets
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from testcontainers.community.redis import RedisContainer
from testcontainers.core.config import testcontainers_config

from tests.support.node import RunningNode

# Its reaper is an image of a registry that may be out of reach; every container here ends with its `with`.
testcontainers_config.ryuk_disabled = True

REDIS_IMAGE = "egoat-redis:latest"
FRIEND = "https://ok.example"
"""An origin that the shared node was told to allow."""


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the project's own image."""
    with RedisContainer(REDIS_IMAGE) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


@pytest.fixture(scope="session")
def node(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """One node with two gateways and two signaling replicas for all tests of the session."""
    extra = {"NODE_ALLOWED_ORIGINS": FRIEND}
    with RunningNode(tmp_path_factory.mktemp("node"), redis_url, twin=True, extra=extra).running() as running:
        yield running
        for process in running.processes:
            assert "Traceback" not in process.log(), f"{process.name} has a bug:\n{process.log()[-4000:]}"


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client."""
    async with httpx.AsyncClient(timeout=15) as client:
        yield client


@pytest.fixture
def room() -> str:
    """A room that nobody else uses."""
    return f"room-{secrets.token_hex(5)}"


@pytest.fixture
def survives(node: RunningNode) -> Iterator[None]:
    """Whatever the test sends, no service ends or meets a bug."""
    said = {process: len(process.log()) for process in node.processes}
    yield
    for process, before in said.items():
        assert process.popen is not None
        assert process.popen.poll() is None, f"{process.name} has ended"
        fresh = process.log()[before:]
        assert "Traceback" not in fresh, f"{process.name} has a bug:\n{fresh[-3000:]}"

"""A real Redis in a container, and a node of real processes on it."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from testcontainers.community.redis import RedisContainer

from tests.support.node import RunningNode

REDIS_IMAGE = "egoat-redis:latest"


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of the project's own image."""
    with RedisContainer(REDIS_IMAGE) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


@pytest.fixture(scope="session")
def node(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """One node with two signaling replicas for all tests of the session."""
    with RunningNode(tmp_path_factory.mktemp("node"), redis_url).running() as running:
        yield running


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client."""
    async with httpx.AsyncClient(timeout=15) as client:
        yield client

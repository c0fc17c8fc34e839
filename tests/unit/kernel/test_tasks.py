"""Background work: owned by a block, and connections that are kept up at a bounded pace."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.kernel.bus.tasks import keep, owned
from services.kernel.model.errors import unavailable
from tests.fakes.virtual_time import in_virtual_time


@in_virtual_time
async def test_owned_work_ends_with_its_block() -> None:
    steps: list[str] = []

    async def work() -> None:
        steps.append("begun")
        try:
            await asyncio.sleep(3_600)
        finally:
            await asyncio.sleep(1)
            steps.append("ended")

    async with asyncio.TaskGroup() as group:
        async with owned(group, work()):
            await asyncio.sleep(1)
        assert steps == ["begun", "ended"]


@in_virtual_time
async def test_owned_work_that_fails_fails_its_group() -> None:
    async def work() -> None:
        raise LookupError("broken")

    with pytest.raises(ExceptionGroup) as found:
        async with asyncio.TaskGroup() as group, owned(group, work()):
            await asyncio.sleep(3_600)
    assert [type(problem) for problem in found.value.exceptions] == [LookupError]


async def attempts(hold: Callable[[], Awaitable[None]], seconds: float) -> list[float]:
    """When `keep` called within so many seconds, counted from the start."""
    loop = asyncio.get_running_loop()
    start, called = loop.time(), list[float]()

    async def told() -> None:
        called.append(round(loop.time() - start, 3))
        await hold()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await keep(told, "it")
    return called


@pytest.mark.parametrize("problem", [OSError("no"), TimeoutError(), unavailable("away"), None])
def test_a_link_that_fails_is_tried_again_at_a_slowing_pace(problem: Exception | None) -> None:
    async def hold() -> None:
        if problem is not None:
            raise problem

    @in_virtual_time
    async def scenario() -> None:
        called = await attempts(hold, 6)
        assert called == [0, 0.1, 0.3, 0.7, 1.5, 2.5, 3.5, 4.5, 5.5]

    scenario()


@in_virtual_time
async def test_a_link_that_stood_is_tried_again_at_once() -> None:
    stood = iter([0.0, 0.0, 0.0, 5.0, 0.0, 0.0])

    async def hold() -> None:
        await asyncio.sleep(next(stood))

    assert await attempts(hold, 5.9) == [0, 0.1, 0.3, 0.7, 5.75, 5.85]


@in_virtual_time
async def test_a_bug_is_not_tried_again() -> None:
    async def hold() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError):
        await keep(hold, "it")

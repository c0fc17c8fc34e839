"""What system tests share: an engine that answers, and one composed node for the whole module."""

from collections.abc import Generator, Iterator

import pytest

from tests.system.stack import ROOT, Stack, run


def pytest_configure(config: pytest.Config) -> None:
    """The group these tests are counted in."""
    config.addinivalue_line("markers", "compose: runs the composed node")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test that used the stack shows what its containers logged."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections.append(("containers", stack.logs()))
    return report


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine with Compose and the base image; fails, never skips, where there can be none."""
    run(str(ROOT / "scripts" / "engine.sh"), timeout=900)


@pytest.fixture(scope="module")
def stack(engine: None) -> Iterator[Stack]:
    """A node with two signaling replicas, removed with its data at the end whatever happened."""
    composed = Stack.unused()
    try:
        try:
            composed.build()
            composed.start()
        except Exception as problem:
            problem.add_note(composed.logs())
            raise
        yield composed
    finally:
        composed.down()

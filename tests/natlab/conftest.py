"""A laboratory with a real node in the street and a real Chromium in each home, for all tests of the session."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import sync_playwright

from tests.natlab.coturn import Counters
from tests.natlab.figures import Figures
from tests.natlab.lab import NODE, Lab, laboratory
from tests.natlab.people import NAMES, Person, launched
from tests.support.node import ROOT
from tests.support.up import Up, started


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two homes and a street."""
    with laboratory() as built:
        yield built


@pytest.fixture(scope="session")
def counters(tmp_path_factory: pytest.TempPathFactory) -> Counters:
    """What coturn counts."""
    return Counters(tmp_path_factory.mktemp("relay"))


@pytest.fixture(scope="session")
def node(lab: Lab, counters: Counters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The node in the street."""
    folder = tmp_path_factory.mktemp("node")
    argv = lab.street.argv(
        "env", f"PATH={counters.path()}:{os.environ['PATH']}", sys.executable, "-m", "egoat", "up"
    )
    with started([*argv, "--db", str(folder / "chat.db")]) as up:
        yield up


_FIGURES = Figures()


@pytest.fixture(scope="session")
def figures() -> Figures:
    """What goes into the table."""
    return _FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the table."""
    for line in _FIGURES.text():
        terminalreporter.write_line(line)


class Office:
    """A web proxy in the street, on the web's own port and on the one of a forward proxy."""

    def __init__(self, lab: Lab) -> None:
        argv = lab.street.argv(
            sys.executable, "-m", "tests.natlab.proxy", "--port", "80", "--port", "3128", "--to", NODE
        )
        self.process = subprocess.Popen(
            argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._answered("ready")

    def _answered(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word

    def tell(self, line: str) -> None:
        """A command, done when this returns."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self._answered("done")


@pytest.fixture(scope="session")
def office(lab: Lab) -> Iterator[Office]:
    """The proxy."""
    running = Office(lab)
    yield running
    running.process.kill()
    running.process.wait(10)


@pytest.fixture(scope="session")
def everybody(
    lab: Lab, node: Up, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Person, Person]]:
    """Ann and Bob, not in a room yet."""
    folder = tmp_path_factory.mktemp("starters")
    homes = (lab.a, lab.b)
    with sync_playwright() as playwright, contextlib.ExitStack() as stack:
        found = []
        for name, home in zip(NAMES, homes, strict=True):
            browser = launched(playwright, home, folder / name)
            stack.callback(browser.close)
            found.append(Person(name, home, browser))
        yield found[0], found[1]


@pytest.fixture
def people(everybody: tuple[Person, Person]) -> Iterator[tuple[Person, Person]]:
    """Ann and Bob before routers that let everything out; their pages are closed and the routers as before after it."""
    for each in everybody:
        each.home.restore()
    yield everybody
    for each in everybody:
        each.leave()
        each.home.restore()

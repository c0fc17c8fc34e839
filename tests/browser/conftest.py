"""Real Chromium on a node made by `egoat up`."""

import shutil
import socket
from collections.abc import Callable, Iterator

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.up import Ports, started

ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def chromium() -> str:
    """Path of a Chromium on this machine."""
    found = [
        path for name in ("chromium", "google-chrome", "chromium-browser") if (path := shutil.which(name))
    ]
    assert found, "no Chromium on the PATH: scripts/setup-tests.sh brings one"
    return found[0]


Profile = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """A node for all tests of the session."""
    ports = Ports(tmp_path_factory.mktemp("node"))
    with started(ports.argv):
        yield ports


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), headless=True, args=ARGS)
        yield launched
        launched.close()


@pytest.fixture
def profile(browser: Browser) -> Iterator[Profile]:
    """Makes browser profiles; a page error, a CSP violation or a request to a stranger fails the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
        page.on(
            "console", lambda said: problems.append(said.text) if "Content Security" in said.text else None
        )
        page.on("request", lambda request: foreign(request.url))

    def foreign(url: str) -> None:
        host = url.split("/")[2].rsplit(":", 1)[0] if "://" in url else ""
        if host and host not in allowed:
            problems.append(f"request to a stranger: {url}")

    allowed = {"localhost", "127.0.0.1"}

    def make(
        *, host: str | None = None, width: int = 1240, height: int = 820, **options: object
    ) -> BrowserContext:
        if host is not None:
            allowed.add(host)
        context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        context.on("page", watch)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="session")
def address() -> str:
    """An address of this machine that is not loopback; a page there is not a secure context."""
    found = [
        each.address
        for name, addresses in psutil.net_if_addrs().items()
        for each in addresses
        if each.family == socket.AF_INET and not each.address.startswith("127.")
    ]
    assert found, "this machine has no address but loopback: give it one"
    return found[0]

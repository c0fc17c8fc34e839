"""Two people, each in a Chromium inside a home, and what their pages saw, with the time of day of each event."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from tests.browser.conftest import ARGS, chromium
from tests.browser.direct import WATCH, channel, first_copies, say_many
from tests.browser.room import LONG, texts
from tests.natlab.lab import NODE, Home

NAMES = ("Ann", "Bob")

# Times are milliseconds since the epoch; `performance.timeOrigin` is when the navigation began.
DIARY = """
(() => {
  const diary = {opened: performance.timeOrigin, texts: {}, left: {}, said: {}, seen: {}, paths: [], node: []};
  window.__diary = diary;
  const now = () => performance.timeOrigin + performance.now();
  const note = (list, value) => { if (list.at(-1)?.[1] !== value) list.push([now(), value]); };
  const look = () => {
    for (const node of document.querySelectorAll('[data-message]')) {
      const text = node.querySelector('.text')?.textContent.trim();
      if (!text) continue;
      diary.seen[node.dataset.id] ??= text;
      if (node.hasAttribute('data-mine')) diary.said[text] ??= now();
      const list = node.hasAttribute('data-mine') ? diary.left : diary.texts;
      if (list !== diary.left || node.dataset.state !== 'queued') list[text] ??= now();
    }
    note(diary.paths, document.querySelector('[data-peer]:not([data-self])')?.dataset.path ?? '');
    note(diary.node, document.querySelector('[data-rung][data-mark="active"]')?.dataset.rung ?? '');
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true});
  if (!window.__word) return;
  const timer = setInterval(() => {
    if (!document.querySelector('#composer textarea')) return;
    clearInterval(timer);
    window.__say([window.__word], 0);
  }, 10);
})();
"""


@dataclass(frozen=True)
class Place:
    """How a page comes to the node: its address, and the web proxy in between."""

    base: str = f"http://{NODE}:8080"
    proxy: str = ""


class Person:
    """One page."""

    def __init__(self, name: str, home: Home, browser: Browser) -> None:
        self.name, self.home, self.browser = name, home, browser
        self.context: BrowserContext | None = None
        self.page: Page

    def enter(self, room: str, place: Place, word: str, query: str = "") -> None:
        """Opens the room's link and says the word as soon as the page has where to type."""
        proxy: Any = {"server": place.proxy} if place.proxy else None
        self.context = self.browser.new_context(proxy=proxy, viewport={"width": 1240, "height": 820})
        self.context.add_init_script(WATCH)
        self.context.add_init_script(f"window.__word = {word!r};")
        self.context.add_init_script(DIARY)
        self.page = self.context.new_page()
        self.page.goto(f"{place.base}/?room={room}&peer_id={self.name}{query}", wait_until="commit")
        expect(self.page.locator("#composer textarea")).to_be_visible(timeout=LONG)

    def part(self) -> None:
        """Goes elsewhere: its connections give their relayed addresses back, unlike a killed page's."""
        self.page.goto("about:blank")

    def leave(self) -> None:
        """Closes the page."""
        if self.context is not None:
            self.context.close()
            self.context = None

    def diary(self) -> dict[str, Any]:
        """What the page saw."""
        return dict(self.page.evaluate("__diary"))

    @property
    def path(self) -> str | None:
        """The rung by which the other person is reached."""
        cards = self.page.locator("[data-peer]:not([data-self])")
        return cards.first.get_attribute("data-path") if cards.count() else None

    def reached(self, rung: str, within: float) -> None:
        """Waits until the other person is reached by this rung."""
        until(lambda: self.path == rung, within, lambda: (self.name, rung, self.diary()))

    def why(self, other: str) -> str:
        """What the page says of the reasons."""
        card = self.page.locator("[data-peer]").filter(has_text=other)
        if not card.locator(".why").is_visible():
            card.get_by_role("button", name=f"Why this path to {other}?").click()
        return " ".join(card.locator(".why").inner_text().split())

    def channel(self) -> dict[str, Any]:
        """What the browser counted on its open data channels."""
        return channel(self.page)

    def copies(self) -> Counter[str]:
        """How many messages of the other came first by which rung."""
        return first_copies(self.page)

    def say(self, words: list[str], pause_ms: int = 0) -> None:
        """Says them one after the other."""
        say_many(self.page, words, pause_ms)

    def start_saying(self, words: list[str], pause_ms: int) -> None:
        """The same, but does not wait for the end of it."""
        self.page.evaluate("([words, pause]) => { void __say(words, pause); }", [words, pause_ms])

    def heard(self, prefix: str) -> list[str]:
        """The messages that begin so, each as often as it was shown under another id, in the order they appeared."""
        seen = self.page.evaluate("Object.values(__diary.seen)")
        return [str(text) for text in seen if str(text).startswith(prefix)]

    def shown(self) -> list[str]:
        """What the timeline shows now, which is the end of it."""
        return texts(self.page)

    def history(self, room: str) -> list[str]:
        """The node's log as this page can read it."""
        rows = self.page.evaluate(
            "(room) => fetch(`/history?room=${room}&since=0`).then((a) => a.json())", room
        )
        return [str(row["text"]) for row in rows]


def launched(playwright: Playwright, home: Home, starter: Path) -> Browser:
    """A Chromium inside the home; `starter` is a file that starts it there."""
    starter.write_text(f'#!/bin/sh\nexec {" ".join(home.host.argv(chromium()))} "$@"\n')
    starter.chmod(0o755)
    safe = f"--unsafely-treat-insecure-origin-as-secure=http://{NODE}:8080,http://{NODE}"
    return playwright.chromium.launch(
        executable_path=starter,
        headless=True,
        args=[*ARGS, "--disable-features=WebRtcHideLocalIpsWithMdns", safe],
    )


def until(check: Callable[[], bool], within: float, what: Callable[[], object]) -> float:
    """Seconds until the check was true."""
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < within, what()
        time.sleep(0.05)
    return time.monotonic() - started

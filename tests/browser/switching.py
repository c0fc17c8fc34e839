"""Every change from one browser rung to another under traffic both ways: what is lost, doubled, out of order, how long.

Run as a program it tries all twelve ordered pairs (`make switches`): a node of its own with limits on messages
raised, real coturn, one Chromium. Each pair is a room of two pages that talk at a steady rate while both are told to
use another rung half way. It prints one row per pair and exits with 1 when a promise does not hold.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import ARGS, chromium
from tests.browser.direct import WATCH, channel, reached
from tests.browser.room import a_room, enter, until
from tests.support.up import Ports, started

RUNGS = ("webrtc-stun", "webrtc-turn", "websocket-direct", "http-polling")
PAIRS = tuple(itertools.permutations(RUNGS, 2))
RAISED = {
    "LIMIT_SENDS": "1000",
    "LIMIT_SENDS_BURST": "5000",
    "LIMIT_ROOM_SENDS": "5000",
    "LIMIT_FRAMES": "1000",
}
"""What two pages send here is more than a person may by default."""

SETTLE_MS = 1_500
"""Messages said this long before a change, or after it was done, are not asked which rung brought them first."""


class Switched(msgspec.Struct):
    """One pair: counts over both directions; times in milliseconds, one per direction."""

    before: str
    after: str
    said: int
    lost: int
    doubled: int
    reordered: int
    others: dict[str, int]
    """What brought the first copies that the rung asked for did not, while nothing changed."""
    steady: float
    """Percent of the messages said while nothing changed whose first copy came by the rung that was asked for."""
    times: list[int]
    """From the click to the arrival of the first message that came by the new rung."""
    pause: int
    """The longest time in which nothing arrived around the change."""

    @property
    def good(self) -> bool:
        """Nothing lost, doubled or out of its author's order, and the rung that was asked for was used."""
        return not (self.lost or self.doubled or self.reordered) and self.steady >= 99


def switch(browser: Browser, node: Ports, before: str, after: str, messages: int, pause_ms: int) -> Switched:
    """One room whose two pages change from one rung to another while each says half of the messages."""
    room = a_room()
    pages = []
    for name in ("Ann", "Bob"):
        context = browser.new_context(viewport={"width": 1240, "height": 820})
        context.add_init_script(WATCH)
        page = enter(context, f"http://localhost:{node.http}", f"{room}&rung={before}", name=name)
        pages.append(page)
    for page in pages:
        reached(page, before, within=30_000)
    counted = [channel(page)["received"] for page in pages]
    half = messages // 2
    for page, name in zip(pages, "ab", strict=True):
        words = [f"{name} {number:05d}" for number in range(half)]
        page.evaluate("([words, pause]) => void __say(words, pause)", [words, pause_ms])
    time.sleep(half * pause_ms / 2000)
    clicked = [int(_force(page, after)) for page in pages]
    for page in pages:
        _everything(page, half, within=60 + half * pause_ms / 250)
    until(lambda: _waiting(pages) == 0, 30, "messages still wait")
    time.sleep(1.5)
    found = _judge(node, room, pages, before, after, half, clicked)
    for page, earlier in zip(pages, counted, strict=True):
        _check_channel(page, earlier, found)
    for page in pages:
        page.context.close()
    return found


def _everything(page: Page, count: int, within: float) -> None:
    until(lambda: len(page.evaluate("__seen()")) >= count, within, "messages are missing")


def _force(page: Page, rung: str) -> int:
    page.locator(f'[data-force="{rung}"]').click()
    return int(page.evaluate("Date.now()"))


def _waiting(pages: list[Page]) -> int:
    return sum(page.locator('[data-message][data-state="queued"]').count() for page in pages)


def _check_channel(page: Page, earlier: int, found: Switched) -> None:
    """A page that says a direct rung brought messages has them in its browser's own count."""
    direct = sum(1 for each in page.evaluate("__seen()") if each["via"].startswith("webrtc-"))
    ended = found.before.startswith("webrtc-")  # a connection that is over is not counted any more
    if direct and not ended:
        assert channel(page)["received"] - earlier >= direct, "the browser's channel counted fewer frames"


def _judge(
    node: Ports, room: str, pages: list[Page], before: str, after: str, half: int, clicked: list[int]
) -> Switched:
    rows = _log(node, room)
    counts = Counter(rows)
    said = [f"{name} {number:05d}" for name in "ab" for number in range(half)]
    found = Switched(before, after, len(said), 0, 0, 0, {}, 0.0, [], 0)
    found.lost = sum(1 for text in said if counts[text] == 0)
    found.doubled = sum(count - 1 for count in counts.values() if count > 1)
    asked = kept = 0
    others: Counter[str] = Counter()
    change = (min(clicked), max(clicked))
    everything: list[list[dict[str, Any]]] = [page.evaluate("__seen()") for page in pages]
    for seen in everything:
        news = [each["at"] for each in seen if each["via"] == after and each["at"] >= change[0]]
        found.times.append(min(news) - change[0] if news else 60_000)
    settled = (change[0] - SETTLE_MS, max(change[1], change[0] + max(found.times)) + SETTLE_MS)
    for page, seen, name, other in zip(pages, everything, "ab", "ba", strict=True):
        came = Counter(each["text"] for each in seen)
        found.lost += sum(1 for text in said if text.startswith(other) and came[text] == 0)
        found.doubled += sum(count - 1 for count in came.values() if count > 1)
        found.reordered += _disorder(page) + _disorder_of([row for row in rows if row.startswith(name)])
        sent = {each["text"]: each["at"] for each in pages[1 - pages.index(page)].evaluate("__sent")}
        for each in seen:
            at = sent[each["text"]]
            if settled[0] < at < settled[1]:
                continue
            asked += 1
            if each["via"] == (before if at < change[0] else after):
                kept += 1
            else:
                others[each["via"]] += 1
        around = sorted(each["at"] for each in seen if change[0] - 2_000 < each["at"] < change[1] + 8_000)
        found.pause = max(found.pause, *(b - a for a, b in itertools.pairwise(around)), 0)
    found.others = dict(others)
    found.steady = 100 * kept / asked if asked else 0.0
    return found


def _log(node: Ports, room: str) -> list[str]:
    """Every text of the room in the order of the log."""
    texts: list[str] = []
    after = ""
    while True:
        page = node.call(f"/history?room={room}&after={after}&limit=200")
        texts += [row["text"] for row in page["items"]]
        after = page["next"]
        if not page["more"]:
            return texts


def _disorder(page: Page) -> int:
    """Messages on the screen that stand before an earlier one of the same author."""
    shown = [text.strip() for text in page.locator("[data-message] .text").all_inner_texts()]
    return sum(_disorder_of([text for text in shown if text.startswith(name)]) for name in "ab")


def _disorder_of(texts: list[str]) -> int:
    return sum(1 for one, other in itertools.pairwise(texts) if one > other)


def percentile(values: list[int], share: float) -> int:
    """The value below which this share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> int:
    """All pairs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--messages", type=int, default=2_000, help="said in each pair, both directions together"
    )
    parser.add_argument("--pairs", default="", help="only these, as FROM:TO,FROM:TO")
    parser.add_argument("--pause", type=int, default=25, help="milliseconds between two messages of one page")
    wanted = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        ports = Ports(Path(folder))
        with started(ports.argv, env=RAISED):
            browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=ARGS)
            for before, after in _pairs(wanted.pairs):
                found = switch(browser, ports, before, after, wanted.messages, wanted.pause)
                results.append(found)
                _say(
                    f"{before} → {after}: said {found.said} lost {found.lost} doubled {found.doubled} reordered "
                    f"{found.reordered} · asked-for rung first {found.steady:.1f} % {found.others or ''} · switched in "
                    f"{'/'.join(map(str, found.times))} ms · longest pause {found.pause} ms"
                )
            browser.close()
    times = [each for found in results for each in found.times]
    _say(
        f"{len(results)} pairs, switch time p50 {percentile(times, 0.5)} ms, p99 {percentile(times, 0.99)} ms"
    )
    return 0 if all(found.good for found in results) else 1


def _pairs(text: str) -> Sequence[tuple[str, str]]:
    if not text:
        return PAIRS
    return [(before, after) for before, _, after in (pair.partition(":") for pair in text.split(","))]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())

"""Takes the README's picture of a real room: `python scripts/screenshot.py docs/room.png`."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import ARGS, chromium
from tests.browser.room import at_node, enter, message, say
from tests.support.up import Ports, started

TALK = [
    ("Amber Fox", "Did the big file get through on the train?"),
    ("Blue Heron", "Yes. WebSockets are blocked here, so I am on HTTP polling, and nothing was lost."),
    ("Amber Fox", "On my way, sending the map now: https://example.org/map"),
    ("Quiet Otter", "I only joined by the link, no account."),
    ("Blue Heron", "Same here. I reloaded and everything was still there."),
]


def talk(pages: dict[str, Page]) -> None:
    """Everybody says their part, each after the one before has arrived."""
    for who, text in TALK:
        say(pages[who], text)
        at_node(pages[who], text)
        for page in pages.values():
            expect(message(page, text)).to_have_count(1, timeout=15_000)


def main(target: str) -> int:
    """Runs a node, lets three people talk, writes the picture."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        ports = Ports(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        with started(ports.argv):
            pages = {}
            for name in ("Amber Fox", "Blue Heron", "Quiet Otter"):
                context = browser.new_context(viewport={"width": 1240, "height": 820}, device_scale_factor=1)
                if name == "Blue Heron":
                    context.route_web_socket("**/signal*", lambda ws: ws.close())
                pages[name] = enter(context, f"http://localhost:{ports.http}", "goats101", name=name)
            talk(pages)
            expect(pages["Blue Heron"].locator("#banner")).to_be_visible(timeout=15_000)
            pages["Blue Heron"].locator("#why").click()
            pages["Blue Heron"].wait_for_timeout(500)
            pages["Blue Heron"].screenshot(path=target)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

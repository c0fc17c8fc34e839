"""Devices whose clocks are wrong by a day or jump: the node's clock orders what they say, and nothing is lost (P18)."""

import datetime
import json

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Profile
from tests.browser.room import LONG, a_room, at_node, enter, message, say, texts
from tests.support.up import Ports

DAY = datetime.timedelta(days=1)


def base_of(node: Ports) -> str:
    return f"http://localhost:{node.http}"


def shifted(context: BrowserContext, by: datetime.timedelta) -> BrowserContext:
    """A device whose clock is wrong by so much; `window.shiftClock(ms)` moves it again."""
    script = """(() => {
      const RealDate = Date;
      let off = OFFSET;
      window.shiftClock = (ms) => { off += ms; };
      window.Date = class extends RealDate {
        constructor(...given) { given.length ? super(...given) : super(RealDate.now() + off); }
        static now() { return RealDate.now() + off; }
      };
    })()"""
    context.add_init_script(script.replace("OFFSET", str(int(by.total_seconds() * 1000))))
    return context


def test_clocks_a_day_off_change_no_order(node: Ports, profile: Profile) -> None:
    room = a_room()
    ahead = enter(shifted(profile(), DAY), base_of(node), room, name="Ahead")
    right = enter(profile(), base_of(node), room, name="Right")
    behind = enter(shifted(profile(), -DAY), base_of(node), room, name="Behind")
    said = []
    for number in range(3):
        for name, page in (("ahead", ahead), ("right", right), ("behind", behind)):
            said.append(f"{name} {number}.")
            say(page, said[-1])
            at_node(page, said[-1])
            for other in (ahead, right, behind):
                expect(message(other, said[-1])).to_have_count(1, timeout=LONG)
    for page in (ahead, right, behind):
        assert texts(page) == said
        page.reload()
        expect(page.locator("[data-message]")).to_have_count(9, timeout=LONG)
        assert texts(page) == said
    items = node.call(f"/history?room={room}&after=&full=1")["items"]
    times = [int(json.loads(item["env"])["hlc"].split("-")[0], 16) for item in items]
    assert all(abs(time - item["at"]) < 5_000 for time, item in zip(times, items, strict=True))


def test_a_clock_that_jumps_while_the_page_is_open(node: Ports, profile: Profile) -> None:
    """A device that was asleep, or whose clock was set: what it says next stands where it was said."""
    room = a_room()
    other = enter(profile(), base_of(node), room, name="Other")
    page = enter(shifted(profile(), datetime.timedelta()), base_of(node), room, name="Jumpy")
    said = ["start"]
    say(page, said[0])
    at_node(page, said[0])
    for number, jump in enumerate((DAY, -2 * DAY, DAY / 24, DAY)):
        page.evaluate("ms => window.shiftClock(ms)", int(jump.total_seconds() * 1000))
        for author, name in ((page, "jumpy"), (other, "other")):
            said.append(f"{name} {number}.")
            say(author, said[-1])
            at_node(author, said[-1])
            expect(message(page if author is other else other, said[-1])).to_have_count(1, timeout=LONG)
    assert sorted(texts(other)) == sorted(said)
    assert texts(other) == texts(page) == said
    assert [item["text"] for item in node.call(f"/history?room={room}")] == said

"""Delivered and read as people see it: in real profiles, hidden and visible, switched off, by polls, at small cost."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocket, expect

from tests.browser.conftest import Profile
from tests.browser.direct import reached
from tests.browser.room import LONG, a_room, at_node, enter, message, say, walled
from tests.support.up import Ports, started

HIDE = """
  window.pretend = "hidden";
  Object.defineProperty(Document.prototype, "visibilityState", { get: () => window.pretend });
"""
DIRECT_OFF = "Object.defineProperty(window, 'RTCPeerConnection', { value: undefined });"


def base_of(node: Ports) -> str:
    return f"http://localhost:{node.http}"


def state(page: Page, text: str) -> object:
    """Where the page says that this message is."""
    return message(page, text).first.locator(".state")


def hidden(context: BrowserContext) -> BrowserContext:
    """Its pages are in the background until they are shown."""
    context.add_init_script(HIDE)
    return context


def show(page: Page) -> None:
    """The tab comes to the front."""
    page.evaluate("window.pretend = 'visible'; document.dispatchEvent(new Event('visibilitychange'));")


def people(page: Page, count: int) -> None:
    expect(page.locator("[data-peer]")).to_have_count(count, timeout=LONG)


def switch_off(page: Page) -> None:
    page.get_by_label("Tell others what I have received and read").uncheck()


def overhear(context: BrowserContext, event: str, frames: list[str]) -> None:
    """Keeps the frames of every socket of this profile."""

    def on_socket(socket: WebSocket) -> None:
        socket.on(event, lambda frame: frames.append(str(frame)))  # type: ignore[call-overload]

    context.on("page", lambda page: page.on("websocket", on_socket))


def test_delivered_while_hidden_and_read_once_visible(node: Ports, profile: Profile) -> None:
    room = a_room()
    ann = enter(profile(), base_of(node), room, name="Ann")
    ben = enter(hidden(profile()), base_of(node), room, name="Ben")
    people(ann, 2)
    say(ann, "are you there?")
    at_node(ann, "are you there?")
    expect(state(ann, "are you there?")).to_have_text("delivered", timeout=LONG)
    ann.wait_for_timeout(3_000)
    expect(state(ann, "are you there?")).to_have_text("delivered")
    expect(message(ann, "are you there?")).to_have_attribute("data-receipt", "delivered")
    show(ben)
    expect(state(ann, "are you there?")).to_have_text("read", timeout=5_000)
    ann.reload()
    expect(state(ann, "are you there?")).to_have_text("read", timeout=LONG)
    expect(message(ben, "are you there?").locator(".state")).to_have_count(0)


def test_counts_of_three_people_and_two_tabs(node: Ports, profile: Profile) -> None:
    room, twice = a_room(), hidden(profile())
    ann = enter(profile(), base_of(node), room, name="Ann")
    ben = enter(twice, base_of(node), room, name="Ben")
    enter(twice, base_of(node), room)
    cleo = enter(hidden(profile()), base_of(node), room, name="Cleo")
    people(ann, 3)
    say(ann, "to both")
    expect(state(ann, "to both")).to_have_text("delivered to 2 of 2", timeout=LONG)
    show(ben)
    expect(state(ann, "to both")).to_have_text("read by 1 of 2", timeout=5_000)
    expect(state(ann, "to both")).to_have_attribute(
        "title", "at the node, delivered to 2 of 2, read by 1", timeout=5_000
    )
    cleo.context.close()
    expect(ann.locator("[data-peer]")).to_have_count(2, timeout=30_000)
    say(ann, "to one")
    expect(state(ann, "to one")).to_have_text("read", timeout=LONG)
    expect(state(ann, "to both")).to_have_text("read by 1 of 2")


def test_what_lies_below_the_screen_is_not_read(node: Ports, profile: Profile) -> None:
    room = a_room()
    ann = enter(profile(), base_of(node), room, name="Ann")
    ben = enter(profile(height=500), base_of(node), room, name="Ben")
    people(ann, 2)
    for number in range(30):
        say(ann, f"line {number:02d}")
    expect(state(ann, "line 29")).to_have_text("read", timeout=LONG)
    ben.locator(".scroller").hover()
    ben.mouse.wheel(0, -5_000)
    expect(ben.locator("#jump")).to_be_visible(timeout=LONG)
    say(ann, "far below")
    expect(state(ann, "far below")).to_have_text("delivered", timeout=LONG)
    ann.wait_for_timeout(2_500)
    expect(state(ann, "far below")).to_have_text("delivered")
    ben.locator("#jump").click()
    expect(state(ann, "far below")).to_have_text("read", timeout=5_000)


def test_delivered_directly_while_the_node_is_away(node: Ports, profile: Profile) -> None:
    """The other has it before the log does; once the node is back the log's word takes over."""
    room, contexts = a_room(), [profile(), profile()]
    walls = [walled(context) for context in contexts]
    posts = re.compile("/(poll|join|history)")
    ann, ben = (
        enter(each, base_of(node), room, name=name)
        for each, name in zip(contexts, ("Ann", "Ben"), strict=True)
    )
    reached(ann, "webrtc-stun")
    for context, wall in zip(contexts, walls, strict=True):
        wall["shut"] = True
        context.route(posts, lambda route: route.abort())
    say(ann, "past the node")
    expect(state(ann, "past the node")).to_have_text("delivered directly, not at the node yet", timeout=LONG)
    for context, wall in zip(contexts, walls, strict=True):
        wall["shut"] = False
        context.unroute(posts)
    at_node(ann, "past the node")
    expect(state(ann, "past the node")).to_have_text("read", timeout=70_000)
    expect(message(ben, "past the node")).to_have_count(1)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (True, "delivered directly, not kept at the node"),
        (False, "sent directly, not kept at the node"),
    ],
)
def test_what_no_log_keeps(node: Ports, profile: Profile, told: bool, words: str) -> None:
    room, contexts = a_room(), [profile(), profile()]
    for context in contexts:
        context.add_init_script("try { localStorage.setItem('egoat.strategy', 'p2p-only'); } catch {}")
    ann, ben = (
        enter(each, base_of(node), room, name=name)
        for each, name in zip(contexts, ("Ann", "Ben"), strict=True)
    )
    reached(ann, "webrtc-stun")
    if not told:
        switch_off(ben)
    say(ann, "between us")
    expect(message(ben, "between us")).to_have_count(1, timeout=LONG)
    expect(state(ann, "between us")).to_have_text(words, timeout=LONG)
    ann.wait_for_timeout(2_000)
    expect(state(ann, "between us")).to_have_text(words)


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "node"])
def test_switched_off_nobody_sees_it(node: Ports, profile: Profile, direct: bool) -> None:
    """Neither through the node nor over a direct path; and it stays off after a reload."""
    room, contexts = a_room(), [profile(), profile()]
    if not direct:
        for context in contexts:
            context.add_init_script(DIRECT_OFF)
    frames: list[str] = []
    overhear(contexts[1], "framesent", frames)
    ann, ben = (
        enter(each, base_of(node), room, name=name)
        for each, name in zip(contexts, ("Ann", "Ben"), strict=True)
    )
    people(ann, 2)
    switch_off(ben)
    ben.wait_for_timeout(1_500)
    frames.clear()
    ben.reload()
    expect(ben.get_by_label("Tell others what I have received and read")).not_to_be_checked(timeout=LONG)
    people(ann, 2)
    if direct:
        reached(ann, "webrtc-stun")
    say(ann, "psst")
    expect(message(ben, "psst")).to_have_count(1, timeout=LONG)
    ann.wait_for_timeout(4_000)
    expect(state(ann, "psst")).to_have_text("at the node")
    assert not [each for each in frames if '"receipt"' in each]
    ben.get_by_label("Tell others what I have received and read").check()
    expect(state(ann, "psst")).to_have_text("read", timeout=5_000)


def test_by_polls_alone(node: Ports, profile: Profile) -> None:
    room, contexts = a_room(), [profile(), hidden(profile())]
    for context in contexts:
        context.route_web_socket(re.compile("/signal"), lambda ws: ws.close())
        context.add_init_script(DIRECT_OFF)
    ann, ben = (
        enter(each, base_of(node), room, name=name)
        for each, name in zip(contexts, ("Ann", "Ben"), strict=True)
    )
    people(ann, 2)
    say(ann, "by post")
    expect(state(ann, "by post")).to_have_text("delivered", timeout=LONG)
    show(ben)
    expect(state(ann, "by post")).to_have_text("read", timeout=10_000)


def test_a_receipt_changes_words_and_builds_nothing(node: Ports, profile: Profile) -> None:
    """Fifty messages: few frames each way, and in the writer's page no row is made anew."""
    room, context = a_room(), profile()
    frames: list[str] = []
    overhear(context, "framereceived", frames)
    ann = enter(context, base_of(node), room, name="Ann")
    ben = enter(hidden(profile()), base_of(node), room, name="Ben")
    people(ann, 2)
    for number in range(50):
        say(ann, f"number {number}!")
    expect(state(ann, "number 49!")).to_have_text("delivered", timeout=LONG)
    told = [each for each in frames if '"type":"receipts"' in each]
    assert 1 <= len(told) <= 12, "one a second at most"
    ann.wait_for_timeout(1_500)
    ann.evaluate("""() => {
      window.made = 0;
      const count = (records) => {
        for (const { addedNodes } of records) for (const node of addedNodes) window.made += Number(node.nodeType === 1);
      };
      new MutationObserver(count).observe(document.querySelector("#timeline"), { childList: true, subtree: true });
    }""")
    show(ben)
    expect(state(ann, "number 49!")).to_have_text("read", timeout=5_000)
    expect(ann.locator('[data-receipt="read"]')).to_have_count(50)
    assert ann.evaluate("window.made") == 0


def test_the_operator_switches_it_off(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_RECEIPTS", "off")
    ports, room = Ports(tmp_path), a_room()
    with started(ports.argv):
        ann = enter(profile(), base_of(ports), room, name="Ann")
        ben = enter(profile(), base_of(ports), room, name="Ben")
        people(ann, 2)
        expect(ann.locator("#receipts")).to_be_disabled(timeout=LONG)
        expect(ann.locator("#people")).to_contain_text("Receipts are switched off at this node.")
        say(ann, "unseen")
        expect(message(ben, "unseen")).to_have_count(1, timeout=LONG)
        ann.wait_for_timeout(4_000)
        expect(state(ann, "unseen")).to_have_text("at the node")

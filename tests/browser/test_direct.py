"""Browser to browser in real Chromium: what goes direct, what is proven about it, and what holds when it breaks."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from tests.browser.conftest import Profile
from tests.browser.direct import WATCH, channel, first_copies, reached, say_many
from tests.browser.room import LONG, a_room, at_node, enter, message, say, texts, until
from tests.support.up import Ports


def base_of(node: Ports) -> str:
    return f"http://localhost:{node.http}"


def watched(context: BrowserContext) -> BrowserContext:
    context.add_init_script(WATCH)
    return context


def two(node: Ports, profile: Profile, query: str = "") -> tuple[Page, Page]:
    """Two people in one room, direct paths not awaited."""
    room = a_room()
    pages = [enter(watched(profile()), base_of(node), room + query, name=name) for name in ("Ann", "Bob")]
    for page in pages:
        expect(page.locator("[data-peer]")).to_have_count(2, timeout=LONG)
    return pages[0], pages[1]


def between(context: BrowserContext, up: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    """Changes or drops frames that this profile sends to its node."""

    def through(ws: WebSocketRoute) -> None:
        server = ws.connect_to_server()

        def sent(text: str | bytes) -> None:
            frame = up(json.loads(text))
            if frame is not None:
                server.send(json.dumps(frame))

        ws.on_message(sent)

    context.route_web_socket(re.compile("/signal"), through)


def test_a_message_goes_from_browser_to_browser_and_into_the_log(node: Ports, profile: Profile) -> None:
    ann, bob = two(node, profile)
    for page in (ann, bob):
        reached(page, "webrtc-stun")
        expect(page.locator("#path")).to_contain_text("1 direct")
    say(ann, "straight to you")
    at_node(ann, "straight to you")
    at_node(bob, "straight to you")
    assert message(bob, "straight to you").get_attribute("data-via") == "webrtc-stun"
    bob.locator(".when").first.click()
    copies = bob.locator("#details .copies li")
    expect(copies).to_have_count(2)
    expect(copies.nth(0)).to_contain_text("Direct from Ann’s device")
    expect(copies.nth(1)).to_contain_text("WebSocket from the node")
    bob.keyboard.press("Escape")
    expect(bob.locator("#details")).not_to_be_visible()
    bob.reload()
    expect(message(bob, "straight to you")).to_have_count(1, timeout=LONG)


@pytest.mark.parametrize("rung", ["webrtc-stun", "websocket-direct", "http-polling"])
def test_a_forced_rung_brings_the_first_copies(node: Ports, profile: Profile, rung: str) -> None:
    ann, bob = two(node, profile, f"&rung={rung}")
    for page in (ann, bob):
        reached(page, rung)
    before = channel(bob)["received"]
    words = [f"word {number:03d}" for number in range(150)]
    say_many(ann, words, pause_ms=20)
    until(lambda: len(bob.evaluate("__via()")) == len(words), 30, "not everything arrived")
    counts = first_copies(bob)
    assert counts[rung] >= 0.99 * len(words), counts
    expect(message(ann, words[-1])).to_have_attribute("data-state", "node", timeout=LONG)
    assert texts(bob)[-100:] == words[-100:]
    received = channel(bob)["received"] - before
    assert received >= len(words) if rung == "webrtc-stun" else channel(bob)["open"] == 0


def test_one_click_forces_a_rung_and_another_lets_go(node: Ports, profile: Profile) -> None:
    ann, bob = two(node, profile)
    reached(ann, "webrtc-stun")
    ann.locator('[data-force="websocket-direct"]').click()
    reached(ann, "websocket-direct")
    reached(bob, "websocket-direct")
    ann.locator('[data-force=""]').click()
    reached(ann, "webrtc-stun")
    reached(bob, "webrtc-stun", within=30_000)


def test_nothing_is_kept_at_the_node_when_that_is_asked_for(node: Ports, profile: Profile) -> None:
    ann, bob = two(node, profile)
    ann.locator("#strategy").select_option("p2p-only")
    expect(ann.locator("#subtitle")).to_contain_text("nothing you write is kept at the node")
    reached(ann, "webrtc-stun")
    reached(bob, "webrtc-stun")
    say(ann, "between us two")
    expect(message(bob, "between us two")).to_have_count(1, timeout=LONG)
    expect(message(ann, "between us two")).to_have_attribute("data-state", "direct", timeout=LONG)
    say(bob, "in the log")
    at_node(bob, "in the log")
    time.sleep(6)  # a member who holds a message that the log misses would have sent it by now
    room = re.findall(r"room=([\w-]+)", ann.url)[0]
    assert [row["text"] for row in node.call(f"/history?room={room}&since=0")] == ["in the log"]


def test_an_author_who_goes_right_after_a_direct_send_loses_nothing(node: Ports, profile: Profile) -> None:
    room, context = a_room(), watched(profile())
    between(context, lambda frame: None if frame["type"] == "send" else frame)
    ann = enter(context, base_of(node), room, name="Ann")
    bob = enter(watched(profile()), base_of(node), room, name="Bob")
    for page in (ann, bob):
        reached(page, "webrtc-stun")
    say(ann, "last words")
    expect(message(bob, "last words")).to_have_attribute("data-state", "direct", timeout=LONG)
    context.close()
    at_node(bob, "last words")
    late = enter(profile(), base_of(node), room)
    expect(message(late, "last words")).to_have_count(1, timeout=LONG)


def test_a_certificate_changed_on_the_way_is_refused(node: Ports, profile: Profile) -> None:
    room, context = a_room(), watched(profile())

    def in_the_middle(frame: dict[str, Any]) -> dict[str, Any]:
        sdp = frame.get("payload", {}).get("sdp") if isinstance(frame.get("payload"), dict) else None
        if sdp:
            found = re.search(r"a=fingerprint:sha-256 (\S\S)", sdp)
            assert found
            other = "00" if found[1] != "00" else "01"
            frame["payload"]["sdp"] = sdp.replace(f"sha-256 {found[1]}", f"sha-256 {other}", 1)
        return frame

    between(context, in_the_middle)
    ann = enter(context, base_of(node), room, name="Ann")
    bob = enter(watched(profile()), base_of(node), room, name="Bob")
    card = bob.locator("[data-peer]").filter(has_text="Ann")
    card.get_by_role("button", name="Why this path to Ann?").click()
    expect(card.locator(".why")).to_contain_text("somebody may sit in between", timeout=LONG)
    say(ann, "by the node then")
    at_node(bob, "by the node then")
    assert message(bob, "by the node then").get_attribute("data-via") == "websocket-direct"
    assert channel(bob)["received"] == 0


def test_a_link_that_falls_silent_is_left_within_five_seconds_and_taken_again(
    node: Ports, profile: Profile
) -> None:
    ann, bob = two(node, profile)
    for page in (ann, bob):
        reached(page, "webrtc-stun")
    for page in (ann, bob):
        page.evaluate("__mute = true")
    cut = time.monotonic()
    say(ann, "into the silence")
    expect(message(bob, "into the silence")).to_have_count(1, timeout=10_000)
    assert time.monotonic() - cut < 10
    reached(ann, "websocket-direct", within=10_000)
    assert time.monotonic() - cut < 6  # five, and what looking takes
    for page in (ann, bob):
        page.evaluate("__mute = false")
    reached(ann, "webrtc-stun", within=70_000)
    say(ann, "direct again")
    at_node(bob, "direct again")
    assert message(bob, "direct again").get_attribute("data-via") == "webrtc-stun"
    assert texts(bob) == ["into the silence", "direct again"]


def test_a_guest_s_direct_path_is_shown_as_unproven(node: Ports, profile: Profile, address: str) -> None:
    room = a_room()
    guest = enter(watched(profile(host=address)), f"http://{address}:{node.http}", room, name="Gast")
    local = enter(watched(profile()), base_of(node), room, name="Local")
    reached(local, "webrtc-stun")
    reached(guest, "webrtc-stun")
    say(guest, "from a guest")
    at_node(local, "from a guest")
    assert message(local, "from a guest").get_attribute("data-via") == "webrtc-stun"
    card = local.locator('[data-peer="guest:Gast"]')
    card.get_by_role("button", name="Why this path to Gast?").click()
    expect(card.locator(".why")).to_contain_text("a guest has no key")


def test_hostile_signals_break_nothing(node: Ports, profile: Profile) -> None:
    room, context = a_room(), watched(profile())
    junk = [
        {"candidate": f"candidate:{n} 1 udp 1 {'x' * 200} {n} typ host", "sdpMid": "0"} for n in range(60)
    ]

    def noisy(frame: dict[str, Any]) -> dict[str, Any]:
        payload = frame.get("payload")
        if frame["type"] == "ice" and isinstance(payload, dict) and "candidates" in payload:
            mdns = {"candidate": "candidate:1 1 udp 1 nobody.local 9 typ host", "sdpMid": "0"}
            payload["candidates"] = [
                mdns,
                {"candidate": "a=junk", "sdpMid": "0"},
                *payload["candidates"],
                *junk,
            ]
        return frame

    between(context, noisy)
    ann = enter(context, base_of(node), room, name="Ann")
    bob = enter(watched(profile()), base_of(node), room, name="Bob")
    reached(ann, "webrtc-stun")
    reached(bob, "webrtc-stun")
    say(ann, "through the noise")
    at_node(bob, "through the noise")
    assert message(bob, "through the noise").get_attribute("data-via") == "webrtc-stun"

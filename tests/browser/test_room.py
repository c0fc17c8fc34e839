"""The main job in real Chromium: open a link, talk, reload, and everything is still there."""

import re
import secrets
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Profile
from tests.browser.room import LONG, a_room, at_node, enter, message, say, texts, until, walled
from tests.support.up import Ports, started


def base_of(node: Ports) -> str:
    return f"http://localhost:{node.http}"


def test_two_profiles_chat_and_names_survive_a_reload(node: Ports, profile: Profile) -> None:
    room = a_room()
    ann = enter(profile(), base_of(node), room, name="Ann")
    bob = enter(profile(), base_of(node), room, name="Bob")
    expect(ann.locator("[data-peer]")).to_have_count(2, timeout=LONG)
    say(ann, "hello from Ann")
    at_node(ann, "hello from Ann")
    expect(message(bob, "hello from Ann")).to_have_count(1, timeout=LONG)
    say(bob, "and from Bob")
    expect(message(ann, "and from Bob")).to_have_count(1, timeout=LONG)
    for page in (ann, bob):
        page.reload()
        expect(page.locator("[data-message]")).to_have_count(2, timeout=LONG)
        assert texts(page) == ["hello from Ann", "and from Bob"]
    expect(bob.locator("[data-message]:not([data-mine]) .name")).to_have_text("Ann")
    expect(ann.locator("[data-message]:not([data-mine]) .name")).to_have_text("Bob")
    assert bob.locator('[data-message][data-proof="bad"]').count() == 0
    expect(ann.locator('[data-peer][data-verified="true"]')).to_have_count(2, timeout=LONG)


def test_the_link_names_a_person_but_never_makes_two_people_one(node: Ports, profile: Profile) -> None:
    room = a_room()
    one = enter(profile(), base_of(node), room, name="Same")
    enter(profile(), base_of(node), room, name="Same")
    expect(one.locator("[data-peer]")).to_have_count(2, timeout=LONG)
    ids = {one.locator("[data-peer]").nth(index).get_attribute("data-peer") for index in range(2)}
    assert len(ids) == 2 and all(re.fullmatch("[a-z2-7]{26}", each or "") for each in ids)


def test_two_tabs_of_one_profile_live_together_for_a_minute(node: Ports, profile: Profile) -> None:
    room, context = a_room(), profile()
    sockets: list[str] = []
    context.on("page", lambda page: page.on("websocket", lambda ws: sockets.append(ws.url)))
    tabs = [enter(context, base_of(node), room), enter(context, base_of(node), room)]
    other = enter(profile(), base_of(node), room, name="Other")
    expect(other.locator("[data-peer]")).to_have_count(2, timeout=LONG)
    started = time.monotonic()
    number = 0
    while time.monotonic() - started < 60:
        for tab in tabs:
            number += 1
            say(tab, f"tick {number}.")
        other.wait_for_timeout(3_000)
    wanted = [f"tick {index}." for index in range(1, number + 1)]
    for page in (*tabs, other):
        expect(page.locator("[data-message]")).to_have_count(number, timeout=LONG)
        assert sorted(texts(page), key=wanted.index) == wanted
    assert len(sockets) == 2, "a tab had to connect again"


def test_twenty_messages_in_a_second_arrive_once_and_in_order(node: Ports, profile: Profile) -> None:
    burst(node, profile)


def burst(node: Ports, profile: Profile, *, block: bool = False) -> None:
    room = a_room()
    contexts = [profile(), profile()]
    if block:
        for context in contexts:
            context.route_web_socket(re.compile("/signal"), lambda ws: ws.close())
    writer, reader = (enter(context, base_of(node), room) for context in contexts)
    expect(reader.locator("[data-peer]")).to_have_count(2, timeout=LONG)
    started = time.monotonic()
    for number in range(20):
        say(writer, f"number {number}!")
    assert time.monotonic() - started < 2
    for page in (writer, reader):
        expect(page.locator("[data-message]")).to_have_count(20, timeout=LONG)
        assert texts(page) == [f"number {number}!" for number in range(20)]
    expect(writer.locator('[data-message][data-state="node"]')).to_have_count(20, timeout=LONG)
    reader.reload()
    expect(reader.locator("[data-message]")).to_have_count(20, timeout=LONG)
    assert texts(reader) == [f"number {number}!" for number in range(20)]


def test_twenty_messages_by_polling_alone(node: Ports, profile: Profile) -> None:
    burst(node, profile, block=True)


def test_a_blocked_websocket_is_noticed_and_polling_carries(node: Ports, profile: Profile) -> None:
    room = a_room()
    blocked = profile()
    blocked.route_web_socket(re.compile("/signal"), lambda ws: None)  # opens, and never says a word
    free = enter(profile(), base_of(node), room, name="Free")
    started = time.monotonic()
    behind = enter(blocked, base_of(node), room, name="Behind")
    say(behind, "through the wall")
    expect(message(free, "through the wall")).to_have_count(1, timeout=10_000)
    assert time.monotonic() - started < 10
    say(free, "and back")
    expect(message(behind, "and back")).to_have_count(1, timeout=10_000)
    expect(behind.locator('[data-rung="http-polling"]')).to_have_attribute(
        "data-mark", "active", timeout=LONG
    )
    expect(behind.locator("#banner")).to_be_visible(timeout=LONG)
    expect(behind.locator("#banner")).to_contain_text("Messages go by HTTP polling; nothing is lost.")
    expect(free.locator("[data-peer]")).to_have_count(2, timeout=LONG)


def test_a_socket_that_dies_silently_is_left_within_ten_seconds_and_taken_again(
    node: Ports, profile: Profile
) -> None:
    room, context = a_room(), profile()
    wall = walled(context)
    page = enter(context, base_of(node), room)
    on = page.locator('[data-rung="websocket-direct"][data-mark="active"]')
    polling = page.locator('[data-rung="http-polling"][data-mark="active"]')
    expect(on).to_have_count(1, timeout=LONG)
    wall["shut"] = True
    say(page, "into the hole")
    at_node(page, "into the hole")
    expect(polling).to_have_count(1, timeout=10_000)
    wall["shut"] = False
    expect(on).to_have_count(1, timeout=70_000)
    say(page, "out again")
    at_node(page, "out again")
    assert texts(page) == ["into the hole", "out again"]


def test_the_page_at_an_address_is_a_guest_and_says_so(node: Ports, profile: Profile, address: str) -> None:
    room = a_room()
    base = f"http://{address}:{node.http}"
    guest = enter(profile(host=address), base, room, name="Gast")
    local = enter(profile(), base_of(node), room, name="Local")
    assert guest.evaluate("typeof crypto.subtle") == "undefined"
    say(guest, "from the LAN")
    expect(message(local, "from the LAN")).to_have_count(1, timeout=LONG)
    say(local, "to the LAN")
    expect(message(guest, "to the LAN")).to_have_count(1, timeout=LONG)
    expect(local.locator('[data-peer="guest:Gast"]')).to_have_attribute(
        "data-verified", "false", timeout=LONG
    )
    open_people(guest)
    expect(guest.locator("body")).to_contain_text(re.compile("guest", re.IGNORECASE))
    guest.locator("#invite").click()
    link = guest.locator("#invite-dialog input").first.input_value()
    assert link == f"{base}/?room={room}"


def open_people(page: Page) -> None:
    """Shows the people pane where it is folded away."""
    if page.locator("#people-toggle").is_visible():
        page.locator("#people-toggle").click()


def test_a_reload_is_not_a_departure(node: Ports, profile: Profile) -> None:
    room = a_room()
    watcher = enter(profile(), base_of(node), room, name="Watcher")
    context = profile()
    visitor = enter(context, base_of(node), room, name="Visitor")
    notes = watcher.locator("[data-note]")
    expect(notes.filter(has_text="Visitor joined")).to_have_count(1, timeout=LONG)
    visitor.reload()
    expect(visitor.locator("#composer textarea")).to_be_visible(timeout=LONG)
    watcher.wait_for_timeout(12_000)
    expect(notes.filter(has_text="Visitor joined")).to_have_count(1)
    expect(notes.filter(has_text="Visitor left")).to_have_count(0)
    context.close()
    expect(notes.filter(has_text="Visitor left")).to_have_count(1, timeout=20_000)
    expect(watcher.locator("[data-peer]")).to_have_count(1)


def test_older_pages_come_on_scroll_and_the_key_stays(node: Ports, profile: Profile) -> None:
    room = a_room()
    for number in range(260):
        node.call("/send", {"room": room, "peer_id": f"bot {number % 2}", "text": f"line {number:03d}"})
    context = profile()
    page = enter(context, base_of(node), room)
    expect(message(page, "line 259")).to_have_count(1, timeout=LONG)
    assert page.locator("[data-message]").count() < 260
    until(
        lambda: scrolled_up(page) and message(page, "line 000").count() == 1, 20, "older pages did not come"
    )
    shown = texts(page)
    assert shown == [f"line {number:03d}" for number in range(260)]
    own = page.locator("[data-self]").get_attribute("data-peer")
    page.reload()
    expect(page.locator("[data-self]")).to_have_attribute("data-peer", own or "", timeout=LONG)


def scrolled_up(page: Page) -> bool:
    """Scrolls whatever scrolls around the timeline to its top."""
    page.evaluate(
        "() => { for (let e = document.querySelector('#timeline'); e; e = e.parentElement) e.scrollTop = 0; }"
    )
    return True


def test_a_new_room_starts_from_the_start_page(node: Ports, profile: Profile) -> None:
    page = profile().new_page()
    page.goto(base_of(node))
    assert page.locator("#name").input_value().strip()
    page.locator("#name").fill("Founder")
    page.locator("#create").click()
    expect(page.locator("#composer textarea")).to_be_visible(timeout=LONG)
    room = page.locator("#room").inner_text()
    assert len(room) >= 22
    expect(page.locator("body")).to_contain_text("can read it")
    say(page, "first")
    at_node(page, "first")
    page.goto(base_of(node))
    page.locator("#room-name").fill("by-name-" + secrets.token_hex(4))
    page.locator("#join").click()
    expect(page.locator("#composer textarea")).to_be_visible(timeout=LONG)


def test_a_phone_has_no_sideways_scroll_and_big_targets(node: Ports, profile: Profile) -> None:
    page = enter(profile(width=360, height=740), base_of(node), a_room())
    say(page, "a rather long message " * 20 + "x" * 200)
    expect(page.locator("[data-message]")).to_have_count(1, timeout=LONG)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for selector in ("#send", "#invite", "#people-toggle"):
        box = page.locator(selector).bounding_box()
        assert box is not None and box["height"] >= 44 and box["width"] >= 44, selector
    page.locator("#people-toggle").click()
    expect(page.locator("#people")).to_be_in_viewport()
    expect(page.locator("#people")).to_contain_text("Local network")


def test_a_private_window_keeps_its_key_for_the_tab(node: Ports, profile: Profile) -> None:
    context = profile()
    context.add_init_script(
        "Object.defineProperty(window, 'indexedDB', {get() { throw new Error('refused'); }})"
    )
    page = enter(context, base_of(node), a_room())
    expect(page.locator("[data-self]")).to_have_attribute("data-verified", "true", timeout=LONG)
    expect(page.locator("#key-note")).to_contain_text("tab")


def test_a_node_that_restarts_is_found_again_without_a_reload(tmp_path: Path, profile: Profile) -> None:
    ports, room = Ports(tmp_path), a_room()
    with started(ports.argv):
        page = enter(profile(), base_of(ports), room)
        say(page, "before")
        at_node(page, "before")
        page.evaluate("window.notReloaded = true")
    say(page, "meanwhile")
    expect(message(page, "meanwhile")).to_have_attribute("data-state", "queued")
    expect(page.locator("#banner")).to_be_visible(timeout=LONG)
    with started(ports.argv):
        expect(message(page, "meanwhile")).to_have_attribute("data-state", "node", timeout=30_000)
        expect(page.locator("#banner")).to_be_hidden(timeout=LONG)
        assert texts(page) == ["before", "meanwhile"]
        assert page.evaluate("window.notReloaded") is True
        assert [item["text"] for item in ports.call(f"/history?room={room}")] == ["before", "meanwhile"]


def test_the_invite_is_copied(node: Ports, profile: Profile) -> None:
    context, room = profile(permissions=["clipboard-read", "clipboard-write"]), a_room()
    page = enter(context, base_of(node), room, name="Inviter")
    page.locator("#invite").click()
    page.locator("#invite-dialog").get_by_role("button", name=re.compile("copy", re.IGNORECASE)).click()
    link = f"{base_of(node)}/?room={room}"
    until(lambda: page.evaluate("navigator.clipboard.readText()") == link, 5, "the link was not copied")

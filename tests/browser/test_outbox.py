"""What was written outlives tabs, outages and refusals, and is delivered once (P2, P3, P7)."""

import json
import re
import time
from pathlib import Path

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Profile
from tests.browser.room import LONG, a_room, at_node, enter, message, say, texts, walled
from tests.support.up import Ports, started

QUEUED = '[data-message][data-state="queued"]'


def base_of(node: Ports) -> str:
    return f"http://localhost:{node.http}"


def history(node: Ports, room: str) -> list[str]:
    """What the node has, in its order."""
    return [item["text"] for item in node.call(f"/history?room={room}")]


def shut(page: Page) -> None:
    """The page loses every way to the node, and stays open."""
    page.route(re.compile("/(poll|join|send|history|config)"), lambda route: route.abort())
    page.evaluate("window.dispatchEvent(new Event('online'))")


def test_what_was_written_offline_leaves_after_the_tab_was_closed(node: Ports, profile: Profile) -> None:
    room, context = a_room(), profile()
    reader = enter(profile(), base_of(node), room, name="Reader")
    writer = enter(context, base_of(node), room, name="Writer")
    say(writer, "before")
    at_node(writer, "before")
    context.set_offline(True)
    for number in range(5):
        say(writer, f"offline {number}.")
    expect(writer.locator(QUEUED)).to_have_count(5)
    writer.wait_for_timeout(300)
    writer.close()
    context.set_offline(False)
    again = enter(context, base_of(node), room)
    for number in range(5):
        at_node(again, f"offline {number}.")
    expected = ["before", *(f"offline {number}." for number in range(5))]
    expect(reader.locator("[data-message]")).to_have_count(6, timeout=LONG)
    assert texts(reader) == texts(again) == history(node, room) == expected
    assert again.locator("[data-message][data-mine]").count() == 6
    again.reload()
    expect(again.locator("[data-message]")).to_have_count(6, timeout=LONG)
    again.wait_for_timeout(1500)
    assert history(node, room) == expected


def test_forgetting_a_room_asks_first_when_messages_wait_there(node: Ports, profile: Profile) -> None:
    room, context = a_room(), profile()
    wall = walled(context)
    writer = enter(context, base_of(node), room, name="Writer")
    say(writer, "first")
    at_node(writer, "first")
    wall["shut"] = True
    shut(writer)
    for number in range(2):
        say(writer, f"unsent {number}.")
    expect(writer.locator(QUEUED)).to_have_count(2)
    writer.wait_for_timeout(300)
    writer.close()
    wall["shut"] = False
    home = context.new_page()
    home.goto(base_of(node))
    forget, dialog = home.get_by_label(f"Forget {room}"), home.locator("#forget-dialog")
    forget.click()
    expect(dialog).to_contain_text("2 messages you wrote there have not left this device")
    dialog.get_by_text("Keep the room").click()
    expect(forget).to_be_visible()
    forget.click()
    dialog.locator("#forget-yes").click()
    expect(forget).to_have_count(0)
    home.close()
    again = enter(context, base_of(node), room)
    expect(again.locator("[data-message]")).to_have_count(1, timeout=LONG)
    again.wait_for_timeout(1500)
    assert texts(again) == history(node, room) == ["first"]
    again.goto(base_of(node))
    again.get_by_label(f"Forget {room}").click()
    expect(again.get_by_label(f"Forget {room}")).to_have_count(0)


def test_a_guest_s_words_outlive_its_tab_too(node: Ports, profile: Profile, address: str) -> None:
    """Plain HTTP off localhost: no key, no locks, but a store."""
    room, context = a_room(), profile(host=address)
    base = f"http://{address}:{node.http}"
    guest = enter(context, base, room, name="Gast")
    assert guest.evaluate("navigator.locks === undefined")
    say(guest, "first")
    at_node(guest, "first")
    context.set_offline(True)
    say(guest, "second")
    expect(guest.locator(QUEUED)).to_have_count(1)
    guest.wait_for_timeout(300)
    guest.close()
    context.set_offline(False)
    again = enter(context, base, room)
    at_node(again, "second")
    assert history(node, room) == ["first", "second"]


def test_a_tab_that_is_left_sends_what_the_closed_one_could_not(node: Ports, profile: Profile) -> None:
    room, context = a_room(), profile()
    reader = enter(profile(), base_of(node), room, name="Reader")
    page = context.new_page()
    wall = walled(page)
    page.goto(f"{base_of(node)}/?room={room}")
    say(page, "through")
    at_node(page, "through")
    left = enter(context, base_of(node), room)
    wall["shut"] = True
    shut(page)
    say(page, "stuck 1.")
    say(page, "stuck 2.")
    say(left, "of the other tab")
    at_node(left, "of the other tab")
    page.wait_for_timeout(1000)
    assert history(node, room) == ["through", "of the other tab"]
    page.close()
    expect(reader.locator("[data-message]")).to_have_count(4, timeout=LONG)
    for text in ("stuck 1.", "stuck 2."):
        at_node(left, text)
    assert sorted(history(node, room)) == ["of the other tab", "stuck 1.", "stuck 2.", "through"]
    assert texts(reader) == texts(left)


def test_an_outage_of_storage_and_a_reload_meanwhile(tmp_path: Path, profile: Profile) -> None:
    ports, room = Ports(tmp_path), a_room()
    with started(ports.argv) as up:
        page = enter(profile(), base_of(ports), room)
        say(page, "before")
        at_node(page, "before")
        storage = up.child("services.storage")[0]
        storage.suspend()
        for number in range(3):
            say(page, f"meanwhile {number}.")
        page.wait_for_timeout(7_000)
        expect(page.locator(QUEUED)).to_have_count(3)
        page.reload()
        expect(page.locator(QUEUED)).to_have_count(3, timeout=LONG)
        say(page, "after the reload")
        page.wait_for_timeout(1_000)
        storage.resume()
        at_node(page, "after the reload")
        expect(page.locator('[data-message][data-state="node"]')).to_have_count(5, timeout=30_000)
        expected = ["before", "meanwhile 0.", "meanwhile 1.", "meanwhile 2.", "after the reload"]
        time.sleep(1)
        assert history(ports, room) == texts(page) == expected


def refusing(page: Page, word: str) -> dict[str, bool]:
    """A node that refuses, for good, what has the word in it."""
    state = {"on": True}

    def between(ws: WebSocketRoute) -> None:
        server = ws.connect_to_server()

        def up(text: str | bytes) -> None:
            frame = json.loads(text)
            if state["on"] and frame["type"] == "send" and word in frame["env"]:
                fault = {"code": "forbidden", "detail": "not allowed here", "retry": None}
                ws.send(json.dumps({"type": "fault", "id": json.loads(frame["env"])["id"]} | fault))
            else:
                server.send(text)

        ws.on_message(up)
        server.on_message(lambda text: ws.send(text))

    page.route_web_socket(re.compile("/signal"), between)
    return state


def test_what_the_node_refuses_for_good_is_red_until_it_is_deleted_or_let_in(
    node: Ports, profile: Profile
) -> None:
    room, context = a_room(), profile()
    page = context.new_page()
    refuses = refusing(page, "forbidden word")
    page.goto(f"{base_of(node)}/?room={room}")
    say(page, "a forbidden word")
    say(page, "another forbidden word")
    say(page, "fine")
    at_node(page, "fine")
    for _ in range(2):
        failed = page.locator('[data-message][data-state="failed"]')
        expect(failed).to_have_count(2, timeout=LONG)
        expect(failed.first).to_contain_text("not allowed here")
        page.wait_for_timeout(300)
        page.reload()
    message(page, "another forbidden word").get_by_role("button", name="Delete").click()
    expect(page.locator("[data-message]")).to_have_count(2)
    refuses["on"] = False
    message(page, "a forbidden word").get_by_role("button", name="Try again").click()
    at_node(page, "a forbidden word")
    page.reload()
    expect(page.locator("[data-message]")).to_have_count(2, timeout=LONG)
    page.wait_for_timeout(500)
    assert history(node, room) == ["fine", "a forbidden word"]
    assert page.locator('[data-message][data-state="failed"]').count() == 0


def test_a_browser_that_keeps_nothing_asks_before_it_loses_something(node: Ports, profile: Profile) -> None:
    context = profile()
    context.add_init_script("Object.defineProperty(window, 'indexedDB', { value: undefined })")
    page = enter(context, base_of(node), a_room())
    say(page, "kept at the node")
    at_node(page, "kept at the node")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    assert asked == []
    expect(message(page, "kept at the node")).to_have_count(1, timeout=LONG)
    context.set_offline(True)
    say(page, "only here")
    expect(page.locator(QUEUED)).to_have_count(1)
    with page.expect_event("close", timeout=LONG):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]

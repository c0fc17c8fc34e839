"""A room as a person uses it: what to click, what can be read."""

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

LONG = 15_000


def a_room() -> str:
    """A room's name that no other test has."""
    return "room-" + secrets.token_hex(6)


def enter(context: BrowserContext, base: str, room: str, *, name: str | None = None) -> Page:
    """Opens the room's link in a new tab and waits until one can talk; `name` as in the reference's link."""
    page = context.new_page()
    page.goto(f"{base}/?room={room}" + (f"&peer_id={name}" if name else ""))
    expect(page.locator("#composer textarea")).to_be_visible(timeout=LONG)
    return page


def say(page: Page, text: str) -> None:
    """Types and sends."""
    page.locator("#composer textarea").fill(text)
    page.locator("#composer textarea").press("Enter")


def message(page: Page, text: str) -> Any:
    """The messages that say exactly this."""
    return page.locator("[data-message]").filter(has=page.locator(".text", has_text=text))


def texts(page: Page) -> list[str]:
    """Every message in the order shown."""
    return [each.strip() for each in page.locator("[data-message] .text").all_inner_texts()]


def at_node(page: Page, text: str) -> None:
    """Waits until the message is at the node."""
    expect(message(page, text).first).to_have_attribute("data-state", "node", timeout=LONG)


def until(check: Callable[[], bool], within: float, what: str) -> float:
    """Seconds until the check was true."""
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < within, what
        time.sleep(0.05)
    return time.monotonic() - started


def rung(page: Page) -> str | None:
    """The rung in use as the page's people pane marks it."""
    row = page.locator('[data-rung][data-mark="active"]')
    return row.first.get_attribute("data-rung") if row.count() else None


def walled(where: Page | BrowserContext) -> dict[str, bool]:
    """Sockets that fall silent while `shut` is set, and say nothing when opened then."""
    state = {"shut": False}

    def between(ws: WebSocketRoute) -> None:
        if state["shut"]:
            return
        server = ws.connect_to_server()
        ws.on_message(lambda text: None if state["shut"] else server.send(text))
        server.on_message(lambda text: None if state["shut"] else ws.send(text))

    where.route_web_socket(re.compile("/signal"), between)
    return state

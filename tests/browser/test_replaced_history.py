"""A history that was lost or put back to an earlier state: the page says so and keeps what it holds (P4)."""

import shutil
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Profile
from tests.browser.room import LONG, a_room, at_node, enter, message, say, texts
from tests.support.up import Ports, started


def base_of(node: Ports) -> str:
    return f"http://localhost:{node.http}"


def history(node: Ports, room: str) -> list[str]:
    """What the node has, in its order."""
    return [item["text"] for item in node.call(f"/history?room={room}")]


def files_of(ports: Ports) -> list[Path]:
    """The database and what SQLite keeps beside it."""
    return [ports.db.with_name(ports.db.name + end) for end in ("", "-wal", "-shm")]


def saying(page: Page, *said: str) -> None:
    for text in said:
        say(page, text)
        at_node(page, text)


def test_a_lost_history_is_told_and_own_words_can_be_sent_again(tmp_path: Path, profile: Profile) -> None:
    ports, room = Ports(tmp_path), a_room()
    with started(ports.argv):
        ann = enter(profile(), base_of(ports), room, name="Ann")
        bob = enter(profile(), base_of(ports), room, name="Bob")
        saying(ann, "one")
        saying(bob, "two")
        expect(message(ann, "two")).to_have_count(1, timeout=LONG)
    for file in files_of(ports):
        file.unlink(missing_ok=True)
    with started(ports.argv):
        kept = ann.locator('[data-message][data-state="kept"]')
        expect(kept).to_have_count(2, timeout=30_000)
        assert texts(ann) == ["one", "two"]
        expect(ann.locator("body")).to_contain_text("The node’s history was replaced")
        assert history(ports, room) == []
        message(ann, "one").get_by_role("button", name="Send again").click()
        at_node(ann, "one")
        assert history(ports, room) == ["one"]
        saying(ann, "three")
        expect(message(bob, "three")).to_have_count(1, timeout=30_000)
        assert texts(bob) == texts(ann) == ["one", "two", "three"]
        assert message(ann, "two").get_by_role("button", name="Send again").count() == 0, "not its own"


def test_a_history_put_back_to_yesterday(tmp_path: Path, profile: Profile) -> None:
    """The rows written since take the old numbers again; nobody misses one of them for it."""
    ports, room = Ports(tmp_path), a_room()
    with started(ports.argv):
        ann = enter(profile(), base_of(ports), room, name="Ann")
        saying(ann, "one")
    saved = [(file, file.with_name(file.name + ".saved")) for file in files_of(ports) if file.exists()]
    for file, copy in saved:
        shutil.copy(file, copy)
    with started(ports.argv):
        saying(ann, "two", "three")
    for file in files_of(ports):
        file.unlink(missing_ok=True)
    for file, copy in saved:
        shutil.copy(copy, file)
    with started(ports.argv):
        bob = enter(profile(), base_of(ports), room, name="Bob")
        saying(bob, "instead of two", "instead of three", "and four")
        for text in ("instead of two", "instead of three", "and four"):
            expect(message(ann, text)).to_have_count(1, timeout=30_000)
        expect(ann.locator('[data-message][data-state="kept"]')).to_have_count(2, timeout=LONG)
        message(ann, "two").first.get_by_role("button", name="Send again").click()
        expect(ann.locator('[data-message][data-state="kept"]')).to_have_count(1, timeout=LONG)
        assert sorted(history(ports, room)) == sorted(
            ["one", "instead of two", "instead of three", "and four", "two"]
        )

"""A node whose wall clocks leap by a day, together and apart: no message, no order and nobody is lost."""

import asyncio
import contextlib
import json
import os
import random
import sqlite3
import sys
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.chaos.leaping_clocks import ALL, LEAPS, LeapingClocks, clocks_of, leap_to
from tests.chaos.node import ProxiedNode
from tests.support.clients import Author, Frame, Poller, Socket

SEED = int(os.environ.get("EGOAT_SEED") or random.randrange(1_000_000))
ROOM = "clocks"
TOMORROW, YESTERDAY = dict.fromkeys(ALL, 1), dict.fromkeys(ALL, -1)


async def test_clocks_that_leap_lose_and_reorder_nothing(tmp_path: Path) -> None:
    """Eight leaps under load: gapless, each row once for every reader, receive times that never decrease."""
    scenario = LeapingClocks(tmp_path, SEED)
    found = await scenario.run()
    stamped = scenario.ledger.counts["stamped anew"]
    sys.stdout.write(f"\nleaps {len(LEAPS)}, stamped anew {stamped}\n{json.dumps(found)}\n")
    assert scenario.ledger.wrong == []
    assert found["acked"] > 100 and stamped > 5
    with contextlib.closing(sqlite3.connect(f"file:{scenario.node.db}?mode=ro", uri=True)) as db:
        times = db.execute("SELECT room, at FROM message ORDER BY room, seq").fetchall()
    assert all(first <= then for (one, first), (other, then) in pairwise(times) if one == other)
    assert times[-1][1] - times[0][1] > 86_000_000, "the leaps were not felt"


async def test_nobody_is_shown_as_gone_because_a_clock_leapt(tmp_path: Path) -> None:
    """Longer than lease or grace in all; a session that comes back under an earlier time is there for newcomers."""
    node = ProxiedNode(tmp_path)
    clocks = clocks_of(node)
    async with node.up(), httpx.AsyncClient(timeout=15) as http, contextlib.AsyncExitStack() as stack:
        here = [
            await stack.enter_async_context(Socket(node.doors[n], ROOM, Author(f"W{n}", signed=True)))
            for n in (0, 1)
        ]
        ann = Socket(node.doors[0], ROOM, Author("Ann", signed=True))
        await ann.__aenter__()
        cy = Poller(http, node.bases[0], ROOM, Author("Cy", signed=True))
        await cy.join()
        async with asyncio.TaskGroup() as group:
            polling = group.create_task(_poll_on(cy))
            await asyncio.sleep(1)
            for leap in (TOMORROW, YESTERDAY):
                leap_to(clocks, leap)
                assert await _left(here, 6) == []
            await ann.ws.close()
            back = Socket(node.doors[1], ROOM, ann.author)
            await stack.enter_async_context(back)
            assert await _left(here, 11) == []
            for door in node.doors[:2]:
                async with Socket(door, ROOM, Author("New", signed=True)) as new:
                    names = {peer["name"] for peer in new.welcome["roster"]}
                    assert names >= {"W0", "W1", "Ann", "Cy"}
            polling.cancel()


async def _poll_on(poller: Poller) -> None:
    while True:
        with contextlib.suppress(AssertionError):
            await poller.poll(wait=2)
            continue
        await poller.join()


async def _left(sockets: list[Socket], seconds: float) -> list[Frame]:
    """Who these sockets are told has left in so many seconds."""
    heard = await asyncio.gather(*(each.during(seconds) for each in sockets))
    return [frame for frames in heard for frame in frames if frame["type"] == "peer_left"]


@pytest.mark.parametrize("days", [1, -1])
async def test_a_join_under_way_is_refused_plainly_and_holds_at_once_when_done_again(
    tmp_path: Path, days: int
) -> None:
    """The nonce is of another day: 401 or 4401. So is a token that has ended; one of tomorrow still holds."""
    node = ProxiedNode(tmp_path)
    clocks = clocks_of(node)
    async with node.up(), httpx.AsyncClient(timeout=15) as http:
        ann, ben = Author("Ann", signed=True), Poller(http, node.bases[0], ROOM, Author("Ben", signed=True))
        await ben.join()
        made = await http.post(f"{node.bases[0]}/join/challenge", json={"room": ROOM})
        leap_to(clocks, dict.fromkeys(ALL, days))
        proof = ann.proof(ROOM, made.json()["nonce"], node.bases[0])
        body = {"room": ROOM, "session": ann.session, "name": ann.name} | proof
        late = await http.post(f"{node.bases[0]}/join", json=body)
        assert (late.status_code, late.json()["code"]) == (401, "unauthorized"), late.text
        async with Socket(node.doors[0], ROOM, ann) as socket:
            await socket.send(ann.write(ROOM, "stamped by the true clock"))
            told = await socket.of_type("ack", "fault")
            assert (told["type"], told.get("code")) == (("ack", None) if days > 0 else ("fault", "clock"))
        headers = {"Authorization": f"Bearer {ben.token}"}
        polled = await http.post(
            f"{node.bases[0]}/poll", json={"after": ben.after, "wait": 0}, headers=headers
        )
        assert polled.status_code == (401 if days > 0 else 200)
        await ben.join()
        assert "frames" in await ben.poll()

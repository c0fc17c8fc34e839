"""What direct paths to many cost one page: the measurement behind the mesh ceiling (decision 011).

`python -m tests.bench.mesh` starts a node, one Chromium with the page that is measured and another with everybody else,
and prints for each size of the room: how long until everybody is reached directly, what the measured Chromium burns
while nobody speaks, and what one said message costs it, each beside the same room on WebSockets alone.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil
from playwright.sync_api import Browser, Page, Playwright, Route, sync_playwright

from tests.browser.conftest import ARGS, chromium
from tests.browser.direct import WATCH, say_many
from tests.browser.room import a_room, enter
from tests.browser.switching import RAISED
from tests.support.up import Ports, started

QUIET_S = 10
MESSAGES, EVERY_MS = 50, 100


class Cost(msgspec.Struct):
    """Seconds until all were reached; percent of a core while idle; milliseconds of processor time per message."""

    reached: float
    idle: float
    message: float


def measure(playwright: Playwright, node: Ports, others: int, rung: str) -> Cost:
    """One room with so many others, everybody reached by `webrtc-stun` or nobody."""
    room = a_room() + ("" if rung == "webrtc-stun" else "&rung=websocket-direct")
    crowd = playwright.chromium.launch(executable_path=chromium(), headless=True, args=ARGS)
    for number in range(others):
        _page(crowd, node, room, f"Guest {number}")
    before = set(psutil.pids())
    alone = playwright.chromium.launch(executable_path=chromium(), headless=True, args=ARGS)
    probe = _page(alone, node, room, "Probe")
    begun = time.monotonic()
    probe.wait_for_function(
        "([rung, count]) => document.querySelectorAll(`[data-peer][data-path=${rung}]`).length === count",
        arg=[rung, others],
        timeout=120_000,
    )
    reached = time.monotonic() - begun
    time.sleep(5)
    mine = [each for each in psutil.process_iter() if each.pid not in before and "chrom" in each.name()]
    spent = _cpu(mine)
    time.sleep(QUIET_S)
    idle = (_cpu(mine) - spent) / QUIET_S
    spent, begun = _cpu(mine), time.monotonic()
    say_many(probe, [f"word {number}" for number in range(MESSAGES)], EVERY_MS)
    time.sleep(2)
    busy = _cpu(mine) - spent - idle * (time.monotonic() - begun)
    alone.close()
    crowd.close()
    return Cost(reached, 100 * idle, 1000 * busy / MESSAGES)


def _page(browser: Browser, node: Ports, room: str, name: str) -> Page:
    context = browser.new_context(viewport={"width": 1240, "height": 820})
    context.add_init_script(WATCH)
    context.route("**/static/js/mesh.js", _without_ceiling)
    return enter(context, f"http://localhost:{node.http}", room, name=name)


def _without_ceiling(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=re.sub(r"CEILING = \d+", "CEILING = 1000", answer.text()))


def _cpu(processes: list[psutil.Process]) -> float:
    total = 0.0
    for each in processes:
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def main() -> None:
    """Every size, direct and not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", default="1,4,8,12,16,24", help="how many others are in the room")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        ports = Ports(Path(folder))
        with started(ports.argv, env=RAISED):
            for others in map(int, wanted.others.split(",")):
                direct = measure(playwright, ports, others, "webrtc-stun")
                node = measure(playwright, ports, others, "websocket-direct")
                sys.stdout.write(
                    f"{others} others: all direct after {direct.reached:.1f} s; idle {direct.idle:.1f} % of a core "
                    f"(WebSocket {node.idle:.1f} %); a message {direct.message:.1f} ms ({node.message:.1f} ms)\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()

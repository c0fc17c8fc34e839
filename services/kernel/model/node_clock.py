"""What the node's clock says, learnt from its answers, so that a wrong device clock does not matter. Pure.

Device time is the monotonic one. Twin of web/js/node-clock.js, held to it by tests/vectors/node_clock.
"""

import math
from typing import Final

import msgspec
from msgspec.structs import replace

STALE_MS: Final = 10 * 60_000


class NodeClock(msgspec.Struct, frozen=True):
    """`offset` is node time minus device time, `slack` how far off it may be, `learnt` the device time of that."""

    offset: float
    slack: float
    learnt: float


def guess(wall: float, device_now: float) -> NodeClock:
    """Before the node has said anything: what the device's own clock says, for want of better."""
    return NodeClock(wall - device_now, math.inf, -math.inf)


def not_before(clock: NodeClock, at: float, device_now: float) -> NodeClock:
    """The node took a message at this time of its own, so it is at least that late there now."""
    behind = clock.slack < math.inf and at > node_time(clock, device_now)
    return replace(clock, offset=at - device_now) if behind else clock


def learn(clock: NodeClock, node_now: float, asked: float, now: float) -> NodeClock:
    """Takes a reading when it is sharper than the one held, or when that one is old.

    `node_now` is the node's time in its answer to a question that left at `asked`.
    """
    slack = max(0, now - asked) / 2
    reading = node_now + slack - now
    moved = abs(reading - clock.offset) > slack + clock.slack + 1000
    if slack > clock.slack and now - clock.learnt < STALE_MS and not moved:
        return clock
    return NodeClock(math.floor(reading + 0.5), slack, now)


def node_time(clock: NodeClock, device_now: float) -> float:
    """The node's time now, as far as it is known."""
    return device_now + clock.offset

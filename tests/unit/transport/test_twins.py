"""Outbox, echo, timeline, coverage and node clock: the calls they share with their twins in web/js.

Run as a program, it writes the random traces anew (tests/vectors/*/random.json).
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from services.kernel.model.hlc import format_stamp
from tests.support.twins import MACHINES, VECTORS, Trace, text, traces

Calls = Iterator[tuple[str, list[Any]]]
LOGS = ("00000000000000aa", "00000000000000bb")
SENDERS = ("guest:ann", "guest:ben", "guest:\uffdc", "guest:\U0001f410")


@pytest.mark.parametrize("of", MACHINES)
@pytest.mark.parametrize("file", ["cases.json", "random.json"])
def test_every_call_comes_to_the_same(of: str, file: str) -> None:
    shared = traces(of, file)
    assert shared
    for trace in shared:
        machine = MACHINES[of]()
        for call, args, out in trace.calls:
            assert machine.call(call, args) == out, f"{trace.name}: {call} {args}"


def _outbox(chance: Random) -> Calls:
    now, link = 0, 1
    for _ in range(60):
        now += chance.choice((0, 1, 50, 3000, 11_000))
        link += chance.random() < 0.1
        name = f"m{chance.randrange(12):02}"
        window = {
            "count": chance.choice((2, 64)),
            "bytes": chance.choice((250, 10_000)),
            "alone": chance.random() < 0.3,
        }
        message = {
            "id": name,
            "hlc": name,
            "sealed": {"env": f"{name} {now}"},
            "bytes": chance.randrange(1, 200),
        }
        yield chance.choice(
            [
                ("put", [message]),
                ("put", [message]),
                ("take", [link, now, window]),
                ("take", [link, now, window]),
                ("without", [name]),
                ("postpone", [name, now + chance.choice((200, 5000))]),
                ("nextTry", [link]),
            ]
        )


def _echo(chance: Random) -> Calls:
    now = chance.randrange(1000) / 8
    marks = [now]
    yield "fresh", [now]
    for _ in range(80):
        now += chance.choice((0.125, 20, 500, 500, 500, 500, 3000))
        draw = chance.random()
        if draw < 0.6:
            every = chance.choice((1500, 5000, 20_000))
            yield "beat", [every, now]
            marks.append(now)
        elif draw < 0.8:
            yield "answered", [chance.choice(marks[-4:]), now]
        else:
            yield ("heard", [now]) if draw < 0.85 else ("qualityOf", [])


def _coverage(chance: Random) -> Calls:
    for _ in range(30):
        low = chance.randrange(40)
        yield "cover", [low, low + chance.randrange(-1, 4)]
        yield chance.choice(("firstGap", "resumeAfter", "readFrom")), []


def _node_clock(chance: Random) -> Calls:
    now = 0.0
    yield "guess", [chance.randrange(10_000), now]
    for _ in range(40):
        now += chance.choice((1, 250, 5000, 700_000)) + chance.randrange(8) / 8
        told = now + 5000 + chance.randrange(-300, 300)
        asked = now - chance.randrange(2000)
        yield chance.choice([("learn", [told, asked, now]), ("notBefore", [told, now]), ("nodeTime", [now])])


def _timeline(chance: Random) -> Calls:
    def message() -> dict[str, Any]:
        number = chance.randrange(15)
        sender = SENDERS[number % len(SENDERS)]
        stamp = format_stamp(1000 + number * 7 % 10 + (chance.random() < 0.1), number % 2)
        said = {
            "name": "x",
            "kind": "text",
            "text": str(number),
            "verified": False,
            "mine": sender == SENDERS[0],
        }
        return {"sender": sender, "id": f"m{number}", "hlc": stamp, **said}

    yield "timeline", [{"logId": LOGS[0], "read": 3} if chance.random() < 0.5 else {}]
    for _ in range(60):
        said, seq = message(), chance.randrange(1, 20)
        key = {"sender": said["sender"], "id": said["id"]}
        place = {
            "logId": LOGS[chance.random() < 0.1],
            "floor": chance.choice((0, 0, 0, 2)),
            "head": chance.randrange(5, 20),
        }
        logged = {**said, "seq": seq, "at": 5000 + seq}
        yield chance.choices(
            [
                ("logged", [logged, chance.random() < 0.4]),
                ("queue", [said]),
                ("direct", [said]),
                ("acked", [{**key, "seq": seq, "at": 5000 + seq}]),
                ("handed", [key]),
                ("failed", [{**key, "reason": "no"}]),
                ("discard", [key]),
                ("follow", [place]),
                ("reset", [place]),
                ("markRead", [seq]),
                ("firstUnread", []),
                ("olderThan", []),
            ],
            weights=(30, 8, 8, 8, 4, 4, 4, 3, 2, 3, 3, 3),
        )[0]
    yield "lines", []


RANDOM: dict[str, Callable[[Random], Calls]] = {
    "coverage": _coverage,
    "echo": _echo,
    "node_clock": _node_clock,
    "outbox": _outbox,
    "timeline": _timeline,
}


def random_traces(of: str) -> str:
    """The text of a random.json: twelve lives."""
    traced = []
    for seed in range(12):
        machine = MACHINES[of]()
        calls = [(call, args, machine.call(call, args)) for call, args in RANDOM[of](Random(f"{of} {seed}"))]
        traced.append(Trace(f"seed {seed}", calls))
    return text(traced)


@pytest.mark.parametrize("of", MACHINES)
def test_the_committed_random_traces_are_those_of_this_code(of: str) -> None:
    assert (VECTORS / of / "random.json").read_text(encoding="utf-8") == random_traces(of)


if __name__ == "__main__":
    for each in MACHINES:
        (VECTORS / each / "random.json").write_text(random_traces(each), encoding="utf-8")

"""`egoat lab` as people call it, and its traces replayed through web/js: the same calls, the same bytes."""

import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = (sys.executable, "-m", "egoat", "lab")


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=120)


def test_fresh_runs_come_out_the_same_in_javascript(tmp_path: Path) -> None:
    seed, trace = str(secrets.randbelow(10**9)), tmp_path / "trace.txt"
    for scenario in ("random", "clock-skew", "network-change"):
        done = _run(*LAB, "run", scenario, "--seed", seed, "--runs", "2", "--trace", str(trace))
        assert done.returncode == 0, done.stdout
        replayed = _run("node", "tests/web/replay.js", str(trace))
        assert replayed.returncode == 0, f"{scenario} {seed}\n{replayed.stderr}"
        assert int(replayed.stdout.split()[0]) == len(trace.read_text("utf-8").splitlines()) - 2 > 1_000


def test_a_call_that_came_out_otherwise_is_seen(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    assert _run(*LAB, "run", "both-cone", "--seed", "1", "--trace", str(trace)).returncode == 0
    for was, other in (
        ('"dead":false', '"dead":true'),
        ('"what":"changed"', '"what":"moved"'),
        ('"wake":', '"wake":1'),
    ):
        text = trace.read_text("utf-8")
        assert was in text
        forged = tmp_path / "forged.txt"
        forged.write_text(text.replace(was, other, 1), "utf-8")
        assert _run("node", "tests/web/replay.js", str(forged)).returncode != 0


def test_the_same_seed_prints_the_same() -> None:
    one, other = (_run(*LAB, "run", "sleep", "--seed", "7") for _ in range(2))
    assert one.stdout == other.stdout
    assert "seed 7  held" in one.stdout


def test_the_scenarios_are_listed() -> None:
    assert "both-symmetric" in _run(*LAB, "list").stdout

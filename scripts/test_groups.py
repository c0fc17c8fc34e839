"""Runs groups of tests one after the other, prints passed counts, fails when one fails, is empty or skips.

WITHOUT_NATLAB=1 leaves out the laboratory of network namespaces where there can be none, and says so.
"""

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

PYTEST = {
    "unit": ["tests/unit", "tests/architecture"],
    "contract": ["tests/contract"],
    "integration": ["tests/integration"],
    "chaos": ["tests/chaos"],
    "run": ["tests/system/test_up.py", "tests/system/test_lab.py"],
    "compose": ["tests/system/test_compose.py"],
    "browser": ["tests/browser"],
    "natlab": ["tests/natlab"],
}
NODE = "node"


class Count(NamedTuple):
    """What one group came to."""

    passed: int
    failed: int
    skipped: int
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the group proves something."""
        return self.passed > 0 and self.failed == 0 and self.skipped == 0


def with_pytest(paths: list[str]) -> Count:
    """Runs pytest on the paths."""
    started = time.monotonic()
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run([sys.executable, "-m", "pytest", f"--junitxml={report}", *paths], cwd=ROOT)
        found = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        if report.exists():
            for suite in ElementTree.parse(report).getroot().iter("testsuite"):
                found = {name: found[name] + int(suite.get(name, "0")) for name in found}
    bad = found["failures"] + found["errors"]
    failed = max(bad, 1) if done.returncode else bad
    passed = max(found["tests"] - bad - found["skipped"], 0)
    return Count(passed, failed, found["skipped"], time.monotonic() - started)


def with_node() -> Count:
    """Runs the page's own tests with node's runner."""
    started = time.monotonic()
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "web").rglob("*.test.js"))
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", *files], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    found = {
        name: int(count)
        for name, count in re.findall(r"^# (pass|fail|skipped|todo) (\d+)$", done.stdout, re.M)
    }
    if done.returncode:
        print(done.stdout)
    failed = max(found.get("fail", 0), 1) if done.returncode else found.get("fail", 0)
    skipped = found.get("skipped", 0) + found.get("todo", 0)
    return Count(found.get("pass", 0), failed, skipped, time.monotonic() - started)


def main(names: list[str]) -> int:
    """Runs the named groups; returns 1 unless every one is good."""
    counts: dict[str, Count] = {}
    unwanted = {"natlab"} if os.environ.get("WITHOUT_NATLAB") else set()  # noqa: TID251
    left_out = [name for name in names if name in unwanted]
    for name in (name for name in names if name not in left_out):
        print(f"== {name}", flush=True)
        counts[name] = with_node() if name == NODE else with_pytest(PYTEST[name])
    print("\ngroup         passed  failed  skipped  seconds")
    for name, count in counts.items():
        mark = "" if count.good else "   <- not good: nothing may fail, be skipped or be empty"
        print(
            f"{name:<12}  {count.passed:>6}  {count.failed:>6}  {count.skipped:>7}  {count.seconds:>7.1f}{mark}"
        )
    total = [sum(column) for column in zip((0, 0, 0), *(count[:3] for count in counts.values()), strict=True)]
    for name in left_out:
        print(f"{name:<12}  left out, as WITHOUT_NATLAB says: nothing is proven about NATs and outages")
    print(f"\n{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 0 if counts and all(count.good for count in counts.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [*list(PYTEST)[:2], NODE, *list(PYTEST)[2:]]))

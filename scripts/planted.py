"""Runs each important check against the bug it exists for: every patch in tests/planted must turn its check red.

A patch opens with a line `check: <pytest arguments>`; it is applied to a copy of the tree. A patch that no longer
applies, or a check that stays green or runs no test, fails.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAILED_TESTS = 1  # pytest's exit code for tests that ran and failed


def copy(target: Path) -> None:
    """The files that git tracks."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in names.decode().rstrip("\0").split("\0"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)


def verdict(patch: Path) -> str:
    """Empty when the check saw the planted bug, else what went wrong."""
    first = patch.read_text("utf-8").splitlines()[0]
    if not first.startswith("check: "):
        return "its first line names no check"
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        tree = Path(folder)
        copy(tree)
        applied = subprocess.run(["git", "apply", str(patch)], cwd=tree, capture_output=True, text=True)
        if applied.returncode:
            return f"does not apply: {applied.stderr.strip()}"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            *first.removeprefix("check: ").split(),
        ]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    if done.returncode == 0:
        return "its check stayed green"
    return "" if done.returncode == FAILED_TESTS else f"its check did not run:\n{done.stdout[-2000:]}"


def main() -> int:
    """Every patch; returns 1 when one was not seen."""
    patches = sorted((ROOT / "tests" / "planted").glob("*.patch"))
    bad = 0
    for patch in patches:
        problem = verdict(patch)
        bad += bool(problem)
        print(
            f"{'NOT SEEN' if problem else 'seen':<9} {patch.stem}{': ' + problem if problem else ''}",
            flush=True,
        )
    print(f"\n{len(patches) - bad} passed, {bad} failed")
    return 1 if bad or not patches else 0


if __name__ == "__main__":
    sys.exit(main())

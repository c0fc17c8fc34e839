"""Planted bugs keep fitting the code that they are planted in; `make planted` shows that each is seen."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATCHES = sorted((ROOT / "tests" / "planted").glob("*.patch"))


@pytest.mark.parametrize("patch", PATCHES, ids=[patch.stem for patch in PATCHES])
def test_a_planted_bug_applies_and_names_its_check(patch: Path) -> None:
    first = patch.read_text("utf-8").splitlines()[0]
    assert first.startswith("check: ")
    for each in first.removeprefix("check: ").split():
        assert each.startswith("-") or (ROOT / each.split("::")[0]).exists(), each
    done = subprocess.run(["git", "apply", "--check", str(patch)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

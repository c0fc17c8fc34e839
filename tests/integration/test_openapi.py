"""The described API under generated requests: no 500, no answer that the description does not have."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.support.clients import Author, Poller
from tests.support.node import RunningNode

# A schema cannot say what a room's name is, so requests that fit it may still be refused.
LEFT_OUT = "positive_data_acceptance"


async def test_generated_requests_get_described_answers(
    node: RunningNode, room: str, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    poller = Poller(http, node.base, room, Author("Ada", signed=True))
    await poller.join()
    argv = [sys.executable, "-m", "schemathesis.cli", "run", f"{node.base}/openapi.json", "--no-color"]
    argv += ["--phases", "coverage,fuzzing", "--max-examples", "60", "--generation-database", "none"]
    argv += ["--exclude-checks", LEFT_OUT, "--max-response-time", "25"]
    argv += ["--header", f"Authorization: Bearer {poller.token}"]
    done = await asyncio.to_thread(
        subprocess.run, argv, cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 10" in done.stdout, done.stdout[-3000:]


async def test_nothing_in_the_description_is_free_form(node: RunningNode, http: httpx.AsyncClient) -> None:
    """But the payload of a signal, which is the peers' own."""
    described = (await http.get(f"{node.base}/openapi.json")).json()
    found = [path for path in free_forms(described) if not path.endswith("/properties/payload")]
    assert found == [], json.dumps(found, indent=1)


def free_forms(value: Any, path: str = "") -> list[str]:
    """Places of schemas that say nothing of their object."""
    if isinstance(value, list):
        return [each for number, item in enumerate(value) for each in free_forms(item, f"{path}/{number}")]
    if not isinstance(value, dict):
        return []
    free = value == {} or (
        value.get("type") == "object" and not value.get("properties") and "additionalProperties" not in value
    )
    inner = [each for name, item in value.items() for each in free_forms(item, f"{path}/{name}")]
    return [path, *inner] if free else inner

"""What refusals look like, and JSON that no door may take."""

import json
from typing import Any

import httpx

from tests.support.node import RunningNode
from tests.support.raw import Answer


def refused(answer: httpx.Response | Answer, status: int, code: str) -> None:
    """Asserts that the answer is this refusal, in the one form that errors have."""
    found = answer.status if isinstance(answer, Answer) else answer.status_code
    body = answer.body if isinstance(answer, Answer) else answer.content
    assert found == status, (found, body[:300])
    assert answer.headers["content-type"] == "application/json"
    said = json.loads(body)
    assert set(said) - {"now"} == {"code", "detail", "retry"}
    assert said["code"] == code
    assert isinstance(said["detail"], str) and said["detail"]
    assert said["retry"] is None or said["retry"] >= 0


async def head_of(http: httpx.AsyncClient, node: RunningNode, room: str) -> int:
    """How many messages the room has."""
    answer = await http.get(f"{node.base}/history", params={"room": room, "after": ""})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["head"])


async def send(
    http: httpx.AsyncClient, node: RunningNode, room: str, text: str, **more: Any
) -> httpx.Response:
    """`POST /send` in the reference form."""
    body = {"room": room, "peer_id": "Ada", "text": text} | more
    return await http.post(f"{node.base}/send", json=body)


def hostile_json(good: dict[str, Any]) -> dict[str, bytes]:
    """Bodies that are almost this one; none may be taken."""
    text = json.dumps(good)
    within = text[:-1]
    return {
        "empty": b"",
        "blank": b"   ",
        "array": b"[]",
        "string": json.dumps(text).encode(),
        "null": b"null",
        "number": b"5",
        "cut": text[:-1].encode(),
        "twice": (text + text).encode(),
        "comment": (text + "//x").encode(),
        "nested arrays": b"[" * 65_000,
        "nested objects": b'{"a":' * 12_000,
        "nested inside": (within + ',"x":' + "[" * 30_000 + "]" * 30_000 + "}").encode(),
        "depth 17": (within + ',"x":' + "[" * 16 + "]" * 16 + "}").encode(),
        "quotes that never end": (within + ',"x":' + "[" * 17 + '"' + '\\"' * 31_000).encode(),
        "doubled key": (within + f',"room":{json.dumps(good.get("room"))}}}').encode(),
        "doubled key, escaped": (within + f',"\\u0072oom":{json.dumps(good.get("room"))}}}').encode(),
        "doubled key inside": (within + ',"x":{"a":1,"a":1}}').encode(),
        "2,500 keys": (within + "".join(f',"k{n}":0' for n in range(2_500)) + "}").encode(),
        "NaN": (within + ',"x":NaN}').encode(),
        "Infinity": (within + ',"x":-Infinity}').encode(),
        "5,000 digits": (within + ',"x":' + "9" * 5000 + "}").encode(),
        "half a surrogate": (within + ',"x":"\\ud800"}').encode(),
        "half a surrogate as key": (within + ',"\\udfff":1}').encode(),
        "surrogates in the wrong order": (within + ',"x":"\\udc00\\ud800"}').encode(),
        "invalid UTF-8": (within + ',"x":"').encode() + b'\xff"}',
        "overlong UTF-8": (within + ',"x":"').encode() + b'\xc0\xaf"}',
        "surrogate in UTF-8": (within + ',"x":"').encode() + b'\xed\xa0\x80"}',
        "UTF-16": text.encode("utf-16"),
        "BOM": b"\xef\xbb\xbf" + text.encode(),
        "NUL after it": text.encode() + b"\0",
        "raw control character": (within + ',"x":"\x01"}').encode(),
    }

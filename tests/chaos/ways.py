"""The ways from a client to the node, each of which may fail at any time: then `Shut` says so."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.chaos.ledger import Ledger
from tests.support.clients import Author, Frame, Socket

_DIAL_S = 6.0
_ANSWER_S = 5.0
_REPLACED = 4001
_GOOD = {200, 401, 408, 429, 503}
"""What a gateway may answer to a sound request while parts of the node fail."""


class Shut(Exception):
    """This way does not work now; a client goes another one."""


class Web:
    """HTTP to both gateways; every status is noted, one that no fault excuses breaks a promise."""

    def __init__(self, client: httpx.AsyncClient, ledger: Ledger) -> None:
        self._client, self._ledger = client, ledger

    async def ask(
        self, method: str, url: str, within: float = _ANSWER_S, *, expected: set[int] = _GOOD, **options: Any
    ) -> httpx.Response:
        """The answer; raises Shut when none comes in time."""
        try:
            async with asyncio.timeout(within):
                answer = await self._client.request(method, url, timeout=within + 1, **options)
        except (httpx.HTTPError, TimeoutError) as problem:
            raise Shut(repr(problem)) from None
        self._ledger.statuses[str(answer.status_code)] += 1
        if answer.status_code not in expected:
            self._ledger.broken("status", f"{method} {url}: {answer.status_code} {answer.text[:200]}")
        return answer

    async def join(self, base: str, room: str, author: Author) -> Frame:
        """Joins by HTTP; the token is kept with the author. Raises Shut."""
        challenge = await self.ask("POST", f"{base}/join/challenge", json={"room": room})
        if challenge.status_code != 200:
            raise Shut(challenge.text)
        proof = author.proof(room, challenge.json()["nonce"], base)
        body = {"room": room, "session": author.session, "name": author.name} | proof
        answer = await self.ask("POST", f"{base}/join", json=body, expected=_GOOD | {403})
        if answer.status_code == 403:
            renew(author, room)
        if answer.status_code != 200:
            raise Shut(answer.text)
        joined: Frame = answer.json()
        author.tokens[room] = joined["token"]
        return joined


def renew(author: Author, room: str) -> None:
    """A guest whose welcome was lost cannot show its token: it comes as another session, as the page does."""
    author.session = secrets.token_hex(8)
    author.tokens.pop(room, None)


@asynccontextmanager
async def dialled(url: str, room: str, author: Author, ledger: Ledger, **hello: Any) -> AsyncIterator[Socket]:
    """A joined socket; whatever ends it raises Shut. It ends without a goodbye, as a closed lid does."""
    socket = Socket(url, room, author, **hello)
    try:
        async with asyncio.timeout(_DIAL_S):
            await socket.__aenter__()
        yield socket
    except (WebSocketException, OSError, EOFError, TimeoutError) as problem:
        if isinstance(problem, ConnectionClosed):
            _note_close(problem, socket, room, author, ledger)
        raise Shut(repr(problem)) from None
    finally:
        if hasattr(socket, "ws"):
            socket.ws.transport.abort()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await socket.ws.wait_closed()


def _note_close(problem: ConnectionClosed, socket: Socket, room: str, author: Author, ledger: Ledger) -> None:
    code = problem.rcvd.code if problem.rcvd is not None else 1006
    ledger.statuses[f"close {code}"] += 1
    last = socket.seen[-1] if socket.seen else {}
    if code == _REPLACED:
        ledger.broken("replaced", f"{author.name}: the only socket of its session was closed with 4001")
    elif last.get("type") == "fault" and last["code"] == "forbidden":
        renew(author, room)
    elif code in (1002, 1007, 1008, 1009, 1011) and not socket.welcome:
        ledger.broken("status", f"{author.name} was refused at the door: {code} {json.dumps(last)}")

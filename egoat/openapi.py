"""The HTTP API as OpenAPI 3.1: one row per operation, schemas from the types that the routes decode and encode."""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.gateway.routes.config import ConfigInfo
from services.gateway.routes.history import HistoryPage, ReferenceItem
from services.gateway.routes.join import ChallengeBody, Challenged, JoinBody, Joined
from services.gateway.routes.poll import PollBody, Polled
from services.gateway.routes.send import SendBody, Sent
from services.gateway.routes.transport import StatusInfo
from services.kernel.run.health import Alive, Readiness
from services.kernel.wire.frames import Down, Turn

Schema = dict[str, Any]


class Parameter(msgspec.Struct, frozen=True):
    """One parameter, in the query unless `place` says header."""

    name: str
    text: str
    required: bool = False
    place: str = "query"


class Operation(msgspec.Struct, frozen=True):
    """One operation: what it takes, what it answers with 200, which refusals are its own."""

    method: str
    path: str
    summary: str
    answer: Any
    body: Any = None
    parameters: Sequence[Parameter] = ()
    token: bool = False
    refusals: Sequence[int] = ()
    also: Sequence[int] = ()  # further statuses that carry the answer


OPERATIONS: Sequence[Operation] = (
    Operation("get", "/config", "What a client must know before it joins.", answer=ConfigInfo),
    Operation(
        "get",
        "/history",
        "Messages of a room. `since`: plain array, rows strictly newer than that Unix second, at most 10,000, "
        "never cut inside a second (a cut answer has Link rel=next); seconds cannot tell messages of one second "
        "apart, cursors can. `after` / `before`: pages by cursor, at most 200 rows.",
        answer=list[ReferenceItem] | HistoryPage,
        parameters=(
            Parameter("room", "Name of the room.", required=True),
            Parameter("since", "Unix second; absent: 0."),
            Parameter("after", "Cursor `<log_id>.<seq>`; empty: from the floor. Oldest first."),
            Parameter("before", "Cursor; empty: from the head. Newest first."),
            Parameter("limit", "Rows in a page, 1 to 200; absent: 100."),
            Parameter("full", "1: items carry env, sig and pk."),
        ),
        refusals=(400, 403, 503),
    ),
    Operation(
        "post",
        "/send",
        "Stores one message; answers only once it is durable. Reference form: room, peer_id, text, perhaps id. "
        "Envelope form: env and sig, with a token. The same id again gives the first answer, 409 with another text.",
        body=SendBody,
        answer=Sent,
        parameters=(
            Parameter("Idempotency-Key", "The message's id, where the body has none.", place="header"),
        ),
        refusals=(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
    ),
    Operation(
        "post",
        "/join/challenge",
        "A nonce to sign within 30 s.",
        body=ChallengeBody,
        answer=Challenged,
        refusals=(400, 403, 415),
    ),
    Operation(
        "post",
        "/join",
        "Joins a room, signed or as a guest; the token stands for ten minutes.",
        body=JoinBody,
        answer=Joined,
        refusals=(400, 401, 403, 415, 429, 503),
    ),
    Operation(
        "post",
        "/turn",
        "Fresh credentials for the relay, for who has joined; null on a node without TURN.",
        answer=Turn | None,
        token=True,
        refusals=(401, 429),
    ),
    Operation(
        "post",
        "/poll",
        "Long poll by cursor: frames up, frames down. Any replica answers.",
        body=PollBody,
        answer=Polled,
        token=True,
        refusals=(400, 401, 403, 413, 415, 429, 503),
    ),
    Operation(
        "get",
        "/transport/status",
        "What the node's transport can really do; more with a token.",
        answer=StatusInfo,
        refusals=(401, 503),
    ),
    Operation("get", "/healthz", "The gateway lives.", answer=Alive),
    Operation(
        "get",
        "/readyz",
        "The gateway can do its work: 200, or 503 while draining or without storage.",
        answer=Readiness,
        also=(503,),
    ),
)


class Refusal(msgspec.Struct):
    """Every refusal. `retry`: seconds until a retry makes sense, null: never the same request."""

    code: str
    detail: str
    retry: float | None


def document(version: str) -> Schema:
    """The OpenAPI document."""
    types = [kind for each in OPERATIONS for kind in (each.body, each.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        [*types, Refusal, list[Down]], ref_template="#/components/schemas/{name}"
    )
    components["Polled"]["properties"]["frames"] = schemas[-1]  # encoded once, when they were built
    found = iter(schemas)
    paths: dict[str, Schema] = {}
    for each in OPERATIONS:
        body = next(found) if each.body is not None else None
        answer = next(found)
        paths.setdefault(each.path, {})[each.method] = _operation(each, body, answer)
    return {
        "openapi": "3.1.0",
        "info": {"title": "E-Goat", "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(each: Operation, body: Schema | None, answer: Schema) -> Schema:
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    answered = {"description": "OK", "content": {"application/json": {"schema": answer}}}
    responses: Schema = {str(status): answered for status in (200, *each.also)}
    for status in each.refusals:
        responses[str(status)] = {"description": "Refused", "content": refusal}
    found: Schema = {"summary": each.summary, "responses": responses}
    if each.parameters:
        found["parameters"] = [_parameter(parameter) for parameter in each.parameters]
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if each.token:
        found["security"] = [{"token": []}]
    return found


def _parameter(each: Parameter) -> Schema:
    return {
        "name": each.name,
        "in": each.place,
        "required": each.required,
        "description": each.text,
        "schema": {"type": "string"},
    }

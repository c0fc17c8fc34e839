"""Composition of the gateway: routes under the edge, clients of storage and Redis, the /signal splice, health."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from services.gateway.edge import Edge, on_fault, on_http_exception, refusal
from services.gateway.node import Node
from services.gateway.routes.config import config
from services.gateway.routes.history import history
from services.gateway.routes.join import challenge, join
from services.gateway.routes.pages import WEB, Assets, openapi, page
from services.gateway.routes.poll import poll
from services.gateway.routes.send import send
from services.gateway.routes.transport import status
from services.gateway.routes.turn import turn
from services.gateway.settings import Settings
from services.gateway.splice import Splice
from services.gateway.status import RelayNote
from services.kernel.bus.base import Leases
from services.kernel.bus.redis_bus import open_bus
from services.kernel.bus.redis_leases import open_leases
from services.kernel.bus.tasks import owned
from services.kernel.log.client import open_storage
from services.kernel.log.feed import open_feeds
from services.kernel.model.errors import ErrorCode, Fault
from services.kernel.model.join import JoinKeys
from services.kernel.run import health as healths
from services.kernel.run.clock import SystemClock
from services.kernel.run.http_protocol import LimitedHttp
from services.kernel.run.joining import Joining
from services.kernel.run.limits import Budgets
from services.kernel.run.listen import listen
from services.kernel.run.origin import Door, Tags
from services.kernel.run.relaying import TurnDesk
from services.kernel.run.serve import LAST_WORD_S, Parts, http
from services.kernel.run.settings import read_secret
from services.kernel.run.turn import Relay
from services.kernel.wire.roster import events_key
from services.kernel.wire.rows import hint_key


def application(node: Node, health: healths.Health) -> Starlette:
    """The routes, without the edge around them."""
    app = Starlette(
        routes=[
            Route("/", page),
            Route("/config", config),
            Route("/history", history, methods=["GET"]),
            Route("/send", send, methods=["POST"]),
            Route("/join/challenge", challenge, methods=["POST"]),
            Route("/join", join, methods=["POST"]),
            Route("/turn", turn, methods=["POST"]),
            Route("/poll", poll, methods=["POST"]),
            Route("/transport/status", status),
            Route("/openapi.json", openapi),
            *healths.routes(health),
            Mount("/static", Assets(directory=WEB)),
        ],
        exception_handlers={Fault: on_fault, HTTPException: on_http_exception, Exception: _on_bug},
    )
    app.state.node = node
    app.state.clock = node.clock
    return app


async def _on_bug(request: Request, problem: Exception) -> Response:
    """Anything else is a bug: uvicorn logs its traceback, the client gets `internal`."""
    return refusal(Fault(ErrorCode.INTERNAL, "a mistake of this node; it is logged", retry=5))


def _noted(leases: Leases, health: healths.Health) -> RelayNote:
    """What the transport service found out about the relay, shown in /readyz; it never makes the node unready."""
    note = RelayNote(leases)
    health.notes["turn"] = lambda: note.state.ok
    health.details["turn"] = lambda: note.state.text
    return note


@asynccontextmanager
async def _running(
    settings: Settings, group: asyncio.TaskGroup, health: healths.Health
) -> AsyncIterator[None]:
    mine, shared, public = settings.gateway, settings.shared, settings.public
    secret, relay = read_secret(shared.secret_file), Relay.of(settings.turn)
    inside = listen(mine.internal_host, mine.internal_port)
    outside = listen(mine.host, mine.port)
    door = Door.of(public)
    async with contextlib.AsyncExitStack() as stack:
        bus = await stack.enter_async_context(open_bus(shared.redis_url, group))
        leases = await stack.enter_async_context(open_leases(shared.redis_url))
        storage = await stack.enter_async_context(open_storage(public.storage_address, secret, group))
        await stack.enter_async_context(owned(group, storage.leave(health.draining, LAST_WORD_S)))
        feeds = await stack.enter_async_context(open_feeds(bus, storage, hint_key(secret), group))
        clock = SystemClock()
        budgets = Budgets(settings.limits, leases, clock)
        await stack.enter_async_context(owned(group, budgets.run()))
        node = Node(
            public=public,
            limits=settings.limits,
            clock=clock,
            storage=storage,
            feeds=feeds,
            bus=bus,
            leases=leases,
            mail=leases,
            joining=Joining(JoinKeys.of(secret), leases, clock),
            budgets=budgets,
            turn=TurnDesk(relay, budgets, clock),
            door=door,
            tags=Tags(secret),
            events_key=events_key(secret),
            draining=health.draining,
        )
        if relay is not None:
            await stack.enter_async_context(owned(group, _noted(leases, health).run()))
        health.needs["storage"] = lambda: storage.connected
        health.notes["redis"] = lambda: bus.connected
        await stack.enter_async_context(http(healths.app(health), inside, group))
        edge = Edge(application(node, health), door, public.ws_port)
        splice = partial(Splice, signaling=mine.signaling)
        await stack.enter_async_context(http(edge, outside, group, http=LimitedHttp, ws=splice))
        yield


def parts(settings: Settings) -> Parts:
    """The gateway with these settings."""
    return lambda group, health: _running(settings, group, health)

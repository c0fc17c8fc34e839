"""Whether the process lives (/healthz) and can do its work (/readyz), on its internal port."""

import asyncio
from collections.abc import Callable

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


class Alive(msgspec.Struct, frozen=True):
    """The process lives."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """`parts`: what the process leans on, each up or away. `details`: sentences about some of them."""

    ready: bool
    draining: bool
    parts: dict[str, str]
    details: dict[str, str]


class Health:
    """What `/readyz` says. `needs` decide the status; `notes` and `details` are told but do not."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()
        self.needs: dict[str, Callable[[], bool]] = {}
        self.notes: dict[str, Callable[[], bool]] = {}
        self.details: dict[str, Callable[[], str]] = {}

    @property
    def ready(self) -> bool:
        """Whether requests should come here now."""
        return not self.draining.is_set() and all(need() for need in self.needs.values())

    def report(self) -> JSONResponse:
        """The answer to `/readyz`: 200, or 503 while draining or without a need."""
        parts = {name: ("up" if check() else "away") for name, check in (self.needs | self.notes).items()}
        details = {name: tell() for name, tell in self.details.items()}
        body = Readiness(self.ready, self.draining.is_set(), parts, details)
        return JSONResponse(msgspec.to_builtins(body), 200 if self.ready else 503)


def routes(health: Health) -> list[Route]:
    """The two routes, for the internal port and for the gateway's public one."""

    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse(msgspec.to_builtins(Alive("ok")))

    async def readyz(request: Request) -> JSONResponse:
        return health.report()

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def app(health: Health, extra: list[Route] | None = None) -> Starlette:
    """The internal port's application."""
    return Starlette(routes=[*routes(health), *(extra or [])])

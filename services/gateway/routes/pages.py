"""The page: `/` and the files of web/ under `/static`, revalidated by ETag."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).resolve().parents[3] / "web"


async def page(request: Request) -> Response:
    """`GET /`, whatever the query: the room's name is read by the page."""
    return FileResponse(WEB / "index.html", headers={"Cache-Control": "no-cache"})


class Assets(StaticFiles):
    """web/ with ETags; browsers ask each time, so a new version is never half old."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response

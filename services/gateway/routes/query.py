"""Query parameters, each at most once."""

from starlette.requests import Request

from services.kernel.model.errors import ErrorCode, Fault


def one(request: Request, name: str) -> str | None:
    """The parameter's value, None when it is not there; raises Fault(BAD_REQUEST) when it stands twice."""
    found = request.query_params.getlist(name)
    if len(found) > 1:
        raise Fault(ErrorCode.BAD_REQUEST, f"{name} stands more than once")
    return found[0] if found else None


def required(request: Request, name: str) -> str:
    """The parameter's value; raises Fault(BAD_REQUEST) when it is not there."""
    found = one(request, name)
    if found is None:
        raise Fault(ErrorCode.BAD_REQUEST, f"{name} is missing")
    return found

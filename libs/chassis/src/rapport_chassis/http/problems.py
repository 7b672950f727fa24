"""RFC 9457: every error is `application/problem+json`, says what to do, and nothing of what is inside."""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from opentelemetry.trace import format_trace_id, get_current_span
from pydantic import BaseModel, Field, ValidationError
from pymongo.errors import ConnectionFailure
from rapport_ports import OutOfReach
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from rapport_chassis.access import Forbidden, Unauthenticated
from rapport_chassis.committer import TooLarge
from rapport_chassis.errors import Conflict, PreconditionFailed, TooManyRequests, Unavailable
from rapport_chassis.http.idempotency import IdempotencyReused
from rapport_chassis.journal import EventTooLarge
from rapport_chassis.keyring import KeyringUnavailable, SubjectErased

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI, Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

MOST_LISTED = 50
"""Errors listed for one request: a hostile body is not answered at ten times its length."""

LONGEST_POINTER = 200

OWN_ERRORS: dict[type[Exception], int] = {
    Conflict: 409,
    PreconditionFailed: 412,
    IdempotencyReused: 422,
    EventTooLarge: 413,
    TooLarge: 413,
    SubjectErased: 410,
    Forbidden: 403,
    OutOfReach: 403,
}


class Problem(BaseModel):
    """An error as RFC 9457 has it; `errors` lists the fields of a request that are wrong (JSON pointers, RFC 6901)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: list[dict[str, str]] | None = Field(default=None, description="[{pointer, detail}]")
    trace_id: str | None = Field(default=None, description="Of a fault of ours: quote it when you report it")


class ProblemResponse(JSONResponse):
    media_type = MEDIA_TYPE


def problem(
    status: int,
    detail: str | None = None,
    *,
    slug: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
    trace_id: str | None = None,
) -> ProblemResponse:
    """The answer to what went wrong; `slug` names the kind of problem, without one the status says it all."""
    title = slug.replace("-", " ").capitalize() if slug else HTTPStatus(status).phrase
    content = Problem(type=_type(slug), title=title, status=status, detail=detail, errors=errors, trace_id=trace_id)
    return ProblemResponse(content.model_dump(exclude_none=True), status_code=status, headers=dict(headers or {}))


def problem_of(error: Exception) -> dict[str, Any]:
    """A row's error in an import's answer: type, title, detail and the fields that are wrong."""
    slug = slug_of(type(error))
    found: dict[str, Any] = {"type": _type(slug), "title": slug.replace("-", " ").capitalize()}
    if isinstance(error, ValidationError):
        found["errors"] = pointers(error.errors(include_url=False, include_input=False, include_context=False))
    else:
        found["detail"] = str(error)
    return found


def slug_of(kind: type[Exception]) -> str:
    """StakeholderNotFound -> stakeholder-not-found."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def pointers(errors: Iterable[Any]) -> list[dict[str, str]]:
    """Pydantic's errors as JSON pointers and words; never the value, which may be personal. No more than fifty."""
    return [{"pointer": _pointer(error["loc"]), "detail": _words(error)} for error in islice(errors, MOST_LISTED)]


def documented(description: str) -> dict[str, Any]:
    """A problem as OpenAPI tells of it."""
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def install(app: FastAPI, errors: Mapping[type[Exception], int]) -> None:
    """Answer every error of this app as a problem; `errors` are the domain's: exception -> status."""

    async def declared(_: Request, error: Exception) -> ProblemResponse:
        table = {**OWN_ERRORS, **errors}
        kind = next(kind for kind in type(error).__mro__ if kind in table)
        return problem(table[kind], str(error), slug=slug_of(kind), headers=_what_to_do(error, table[kind]))

    async def http(request: Request, error: Exception) -> ProblemResponse:
        if not isinstance(error, HTTPException):
            raise error
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        return problem(error.status_code, detail, headers=headers)

    async def invalid(_: Request, error: Exception) -> ProblemResponse:
        found = error.errors() if isinstance(error, RequestValidationError | ValidationError) else []
        return problem(422, "the request does not fit; see errors", slug="invalid-request", errors=pointers(found))

    async def unauthenticated(_: Request, error: Exception) -> ProblemResponse:
        reason = getattr(error, "reason", None)
        challenge = f'Bearer error="invalid_token", error_description="{reason}"' if reason else "Bearer"
        return problem(401, str(error), headers={"WWW-Authenticate": challenge})

    async def unavailable(_: Request, error: Exception) -> ProblemResponse:
        seconds = error.retry_after if isinstance(error, Unavailable) else 2
        return problem(503, str(error), slug="unavailable", headers={"Retry-After": str(seconds)})

    async def store_away(request: Request, _: Exception) -> ProblemResponse:
        return await unavailable(request, Unavailable("the store does not answer"))

    for kind in (*OWN_ERRORS, *errors):
        app.add_exception_handler(kind, declared)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Unauthenticated, unauthenticated)
    app.add_exception_handler(TooManyRequests, _too_many)
    app.add_exception_handler(Unavailable, unavailable)
    app.add_exception_handler(KeyringUnavailable, unavailable)
    app.add_exception_handler(ConnectionFailure, store_away)


async def _too_many(_: Request, error: Exception) -> ProblemResponse:
    """With the header fields of draft-ietf-httpapi-ratelimit-headers, for clients that pace themselves."""
    if not isinstance(error, TooManyRequests):
        raise error
    headers = {
        "Retry-After": str(error.retry_after),
        "RateLimit-Policy": f'"{error.rule}";q={error.limit};w={math.ceil(error.seconds)}',
        "RateLimit": f'"{error.rule}";r=0;t={error.retry_after}',
    }
    return problem(429, str(error), slug=slug_of(TooManyRequests), headers=headers)


class Unexpected:
    """Pure ASGI: whatever nobody declared is noted in the log, and told as a 500 without a word of the inside."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except ClientDisconnect:
            if not begun:  # nobody reads it; it is what metrics and traces count
                await problem(400, "the request ended before its body")(scope, receive, send)
        except Exception as error:
            route = getattr(scope.get("route"), "path", None)
            log.error("request failed", route=route, exc_info=error)  # noqa: TRY400 - the same, as this log has it
            if begun:
                raise  # half an answer is out: only the end of the connection tells that it is none
            context = get_current_span().get_span_context()
            trace_id = format_trace_id(context.trace_id) if context.is_valid else None
            fault = problem(500, "this is our fault; it has been noted", trace_id=trace_id)
            await fault(scope, receive, send)


def _what_to_do(error: Exception, status: int) -> dict[str, str]:
    if isinstance(error, Forbidden):
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return {"Retry-After": str(getattr(error, "retry_after", 60))}
    return {}


def _methods(request: Request) -> set[str]:
    """All methods of a path: the router stops at the first route that knows the path."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if route.methods and pattern is not None and pattern.match(request.scope["path"]):
            found |= route.methods
    return found


def _pointer(place: Iterable[Any]) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
    return ("/" + "/".join(steps))[:LONGEST_POINTER]


def _words(error: Mapping[str, Any]) -> str:
    """Pydantic's words, but where they quote the value."""
    match error["type"]:
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case "union_tag_invalid":
            return "Input should have one of the known tags"
        case "uuid_parsing":
            return "Input should be a valid UUID"
        case _:
            return str(error["msg"])


def _type(slug: str | None) -> str:
    return f"urn:rapport:problem:{slug}" if slug else "about:blank"
